package gc

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

// A frame is text in lines with a last line that holds the checksum of all
// before it: a frame without that line was cut short, one with another
// checksum was altered.

// trailerStart is how the last line begins, and no other line of ours does.
const trailerStart = `{"checksum":`

// Bounds of what is read back. maxLine is far above the largest entry, one
// transaction with a few manifests of 4 MiB in base64.
const (
	maxTrailer = 1 << 10
	maxLine    = 256 << 20
)

type trailer struct {
	Checksum digest.Digest `json:"checksum"`
	Lines    int64         `json:"lines"` // before this one
}

// frameWriter passes lines on and counts and hashes them.
type frameWriter struct {
	w     io.Writer
	sum   hash.Hash
	lines int64
	open  bool // the last line has not ended
}

func newFrameWriter(w io.Writer) *frameWriter {
	return &frameWriter{w: w, sum: sha256.New()}
}

func (f *frameWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.sum.Write(p[:n])
	f.lines += int64(bytes.Count(p[:n], []byte{'\n'}))
	if n > 0 {
		f.open = p[n-1] != '\n'
	}
	return n, err
}

// finish writes the last line. Without it nothing of the frame counts.
func (f *frameWriter) finish() error {
	if f.open {
		return fmt.Errorf("line %d does not end", f.lines+1)
	}
	line, err := json.Marshal(trailer{Checksum: digest.NewDigest(digest.SHA256, f.sum), Lines: f.lines})
	if err != nil {
		return err
	}
	_, err = f.w.Write(append(line, '\n'))
	return err
}

// frameReader gives the lines of a frame without the last one. Its io.EOF says
// that the checksum was there and right; all that is wrong is ErrDamaged.
type frameReader struct {
	r         *bufio.Reader
	sum       hash.Hash
	lines     int64
	read      int64 // bytes
	lineStart bool
	rest      []byte // read and hashed, not yet given out
	err       error
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New(), lineStart: true}
}

func (f *frameReader) Read(p []byte) (int, error) {
	for len(f.rest) == 0 && f.err == nil {
		f.fill()
	}
	if len(f.rest) == 0 {
		return 0, f.err
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// fill reads the next line, or as much of it as the buffer holds.
func (f *frameReader) fill() {
	if f.lineStart {
		start, err := f.r.Peek(len(trailerStart))
		if err == nil && string(start) == trailerStart {
			f.err = f.end()
			return
		}
	}
	chunk, err := f.r.ReadSlice('\n')
	f.sum.Write(chunk)
	f.read += int64(len(chunk))
	f.lineStart = err == nil
	if err == nil {
		f.lines++
	}
	f.rest = chunk
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		f.err = f.broken(err)
	}
}

// end reads the last line and returns io.EOF when all is well.
func (f *frameReader) end() error {
	line, err := readLine(f.r, maxTrailer)
	if err != nil {
		return f.broken(err)
	}
	var t trailer
	if err := json.Unmarshal(line, &t); err != nil {
		return fmt.Errorf("%w: checksum line at byte %d is not JSON", ErrDamaged, f.read)
	}
	if got := digest.NewDigest(digest.SHA256, f.sum); got != t.Checksum || f.lines != t.Lines {
		return fmt.Errorf("%w: %d lines with checksum %s where %d with %s were written",
			ErrDamaged, f.lines, got, t.Lines, t.Checksum)
	}
	if _, err := f.r.ReadByte(); err == nil {
		return fmt.Errorf("%w: there are bytes behind the checksum line at byte %d", ErrDamaged, f.read)
	} else if !errors.Is(err, io.EOF) {
		return f.broken(err)
	}
	return io.EOF
}

// broken explains an error of the reader below.
func (f *frameReader) broken(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends after %d bytes without a checksum line", ErrDamaged, f.read)
	case errors.Is(err, errLineTooLong), isCorruptGzip(err):
		return fmt.Errorf("%w: after %d bytes: %w", ErrDamaged, f.read, err)
	}
	return err
}

var errLineTooLong = errors.New("line is too long")

// readLine returns the next line without its end, at most limit bytes. The
// end of input before the end of the line is io.ErrUnexpectedEOF, before its
// beginning io.EOF.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		chunk, err := r.ReadSlice('\n')
		if len(line)+len(chunk) > limit {
			return nil, errLineTooLong
		}
		line = append(line, chunk...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}
