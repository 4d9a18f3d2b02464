package vuln

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// What a feed may have. All of OSV has about 700,000 records of 4 GB.
const (
	maxFeed    = 16 << 30 // bytes of records
	maxRecords = 4 << 20
	maxArchive = 1 << 30 // bytes of a zip that is not read from a file of its own
)

// A Record is one advisory as a feed has it.
type Record struct {
	Name string // of the file
	Data []byte // valid until the function that it was given to returns
}

// ID is what the file's name says that the id is.
func (r Record) ID() string { return strings.TrimSuffix(path.Base(r.Name), ".json") }

// budget counts what is left of the limits of a feed.
type budget struct {
	bytes   int64
	records int
}

// readZip reads an archive in its own order. What records cost is taken from left.
func readZip(ctx context.Context, r io.ReaderAt, size int64, left *budget, read func(Record) error, refuse func(string, error)) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.FileInfo().IsDir() || !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		open := func() (io.ReadCloser, error) { return f.Open() }
		if err := one(f.Name, open, &buf, left, read, refuse); err != nil {
			return err
		}
	}
	return nil
}

// one reads a record of at most MaxRecord bytes, whatever its header says.
func one(
	name string, open func() (io.ReadCloser, error), buf *bytes.Buffer, left *budget, read func(Record) error, refuse func(string, error),
) error {
	if left.records--; left.records < 0 {
		return fmt.Errorf("more than %d records: %w", maxRecords, ErrLimit)
	}
	in, err := open()
	if err != nil {
		refuse(name, err)
		return nil
	}
	defer in.Close()
	buf.Reset()
	n, err := io.Copy(buf, io.LimitReader(in, MaxRecord+1))
	if left.bytes -= n; left.bytes < 0 {
		return fmt.Errorf("records of more than %d bytes: %w", int64(maxFeed), ErrLimit)
	}
	switch {
	case err != nil:
		refuse(name, err)
		return nil
	case n > MaxRecord:
		refuse(name, fmt.Errorf("more than %d bytes: %w", MaxRecord, ErrLimit))
		return nil
	}
	return read(Record{name, buf.Bytes()})
}

// ReadDir gives each record in a folder and those in it to read, and ends with the
// first error of it. Files that end in .json are records, those that end in .zip
// are archives of them, as OSV's all.zip is. A record that cannot be read goes to
// refuse, by name. The error is ErrLimit if there are too many; records before that
// have been given already.
func ReadDir(ctx context.Context, dir fs.FS, read func(Record) error, refuse func(name string, err error)) error {
	left := &budget{maxFeed, maxRecords}
	return fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil || !d.Type().IsRegular() {
			return err
		}
		return readEntry(ctx, dir, name, left, read, refuse)
	})
}

// readFile reads a single file of a folder, which has to be a record or an archive.
func readFile(ctx context.Context, dir fs.FS, name string, read func(Record) error, refuse func(string, error)) error {
	if !strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".zip") {
		return fmt.Errorf("neither .json nor .zip: %w", ErrRecord)
	}
	return readEntry(ctx, dir, name, &budget{maxFeed, maxRecords}, read, refuse)
}

func readEntry(ctx context.Context, dir fs.FS, name string, left *budget, read func(Record) error, refuse func(string, error)) error {
	switch path.Ext(name) {
	case ".json":
		open := func() (io.ReadCloser, error) { return dir.Open(name) }
		return one(name, open, &bytes.Buffer{}, left, read, refuse)
	case ".zip":
		if err := readArchive(ctx, dir, name, left, read, refuse); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func readArchive(ctx context.Context, dir fs.FS, name string, left *budget, read func(Record) error, refuse func(string, error)) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if at, ok := f.(io.ReaderAt); ok {
		return readZip(ctx, at, info.Size(), left, read, refuse)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxArchive+1))
	if err != nil {
		return err
	}
	if len(data) > maxArchive {
		return fmt.Errorf("more than %d bytes: %w", maxArchive, ErrLimit)
	}
	return readZip(ctx, bytes.NewReader(data), int64(len(data)), left, read, refuse)
}
