package gc

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A snapshot object is a gzip of a frame, whose lines are a dump of the
// database that begins with a [meta.DumpHeader].

// keptSnapshots is how many there are, that one of them may be damaged.
const keptSnapshots = 2

// snapshotFormat is the format of dumps that this version reads.
const snapshotFormat = 1

// Dumper is the part of a database that a snapshot reads.
type Dumper interface {
	Dump(ctx context.Context, w io.Writer) error
}

// A Snapshotted says what [Snapshot] did.
type Snapshotted struct {
	Name             string `json:"name"`
	Sequence         int64  `json:"sequence"` // the last entry included
	Bytes            int64  `json:"bytes"`    // compressed
	SnapshotsRemoved int    `json:"snapshotsRemoved"`
	JournalRemoved   int    `json:"journalRemoved"` // objects
}

// Snapshot writes a dump of db beside the blobs and reads it back. Then it
// removes all snapshots but the newest two, and the journal objects of which
// the older of these includes every entry. A crash at any point leaves at
// worst objects that the next Snapshot removes.
func Snapshot(ctx context.Context, db Dumper, store blob.Objects) (Snapshotted, error) {
	o, err := writeSnapshot(ctx, db, store)
	if err != nil {
		return Snapshotted{}, fmt.Errorf("write snapshot: %w", err)
	}
	if _, err := verifySnapshot(ctx, store, o); err != nil {
		return Snapshotted{}, fmt.Errorf("read snapshot back: %w", err)
	}
	done := Snapshotted{Name: o.name, Sequence: o.last, Bytes: o.size}
	return done, prune(ctx, store, &done)
}

// writeSnapshot streams a dump into the object that the dump's own header
// names.
func writeSnapshot(ctx context.Context, db Dumper, store blob.Objects) (namedObject, error) {
	r, w := io.Pipe()
	header := make(chan meta.DumpHeader, 1)
	dumped := make(chan error, 1)
	go func() {
		err := dumpFrame(ctx, db, w, header)
		w.CloseWithError(err) // nil is io.EOF
		dumped <- err
	}()

	var h meta.DumpHeader
	select {
	case h = <-header:
	case err := <-dumped:
		return namedObject{}, err
	}
	o := namedObject{name: snapshotName(h.Sequence), first: h.Sequence, last: h.Sequence}
	counted := &countReader{r: r}
	err := store.PutObject(ctx, o.name, counted)
	r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // ends a dump that is not read to its end
	if dumpErr := <-dumped; err == nil {
		err = dumpErr
	}
	o.size = counted.n
	return o, err
}

// dumpFrame writes the object of a dump to w, and the dump's header to header
// before the first byte.
func dumpFrame(ctx context.Context, db Dumper, w io.Writer, header chan<- meta.DumpHeader) error {
	zip := gzip.NewWriter(w)
	frame := newFrameWriter(zip)
	dump := &headerWriter{w: frame, header: header}
	if err := db.Dump(ctx, dump); err != nil {
		return err
	}
	if !dump.done {
		return errors.New("the dump has no header")
	}
	if err := frame.finish(); err != nil {
		return err
	}
	return zip.Close()
}

// headerWriter passes all on, but the first line only after it has been read.
type headerWriter struct {
	w      io.Writer
	header chan<- meta.DumpHeader
	line   []byte
	done   bool
}

func (h *headerWriter) Write(p []byte) (int, error) {
	if h.done {
		return h.w.Write(p)
	}
	h.line = append(h.line, p...)
	end := bytes.IndexByte(h.line, '\n')
	if end < 0 {
		return len(p), nil
	}
	var header meta.DumpHeader
	if err := json.Unmarshal(h.line[:end], &header); err != nil {
		return 0, fmt.Errorf("dump header: %w", err)
	}
	h.header <- header
	h.done = true
	if _, err := h.w.Write(h.line); err != nil {
		return 0, err
	}
	h.line = nil
	return len(p), nil
}

type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// openSnapshot returns the dump in o. The reader's io.EOF says that it was
// intact.
func openSnapshot(ctx context.Context, store blob.Objects, o namedObject) (io.Reader, io.Closer, error) {
	r, err := store.OpenObject(ctx, o.name)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.name, err)
	}
	zip, err := gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		r.Close()
		if isCorruptGzip(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, nil, fmt.Errorf("%s: %w", o.name, err)
	}
	return newFrameReader(zip), r, nil
}

func isCorruptGzip(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)
}

// verifySnapshot reads o to its end and returns its header.
func verifySnapshot(ctx context.Context, store blob.Objects, o namedObject) (meta.DumpHeader, error) {
	dump, closer, err := openSnapshot(ctx, store, o)
	if err != nil {
		return meta.DumpHeader{}, err
	}
	defer closer.Close()
	lines := bufio.NewReader(dump)
	var h meta.DumpHeader
	if err := unmarshalLine(lines, &h); err != nil {
		return h, fmt.Errorf("%s: %w", o.name, damagedEnd(err))
	}
	if h.Format != snapshotFormat || h.Sequence != o.last {
		return h, fmt.Errorf("%s: %w: header has format %d and sequence %d", o.name, ErrDamaged, h.Format, h.Sequence)
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		return h, fmt.Errorf("%s: %w", o.name, err)
	}
	return h, nil
}

// prune removes what the snapshots make superfluous.
func prune(ctx context.Context, store blob.Objects, done *Snapshotted) error {
	snapshots, err := listObjects(ctx, store, snapshotDir)
	if err != nil {
		return err
	}
	for ; len(snapshots) > keptSnapshots; snapshots = snapshots[1:] {
		if err := store.DeleteObject(ctx, snapshots[0].name); err != nil {
			return fmt.Errorf("delete %s: %w", snapshots[0].name, err)
		}
		done.SnapshotsRemoved++
	}
	if len(snapshots) < keptSnapshots {
		return nil
	}
	journal, err := listObjects(ctx, store, journalDir)
	if err != nil {
		return err
	}
	for _, o := range covered(journal, snapshots[0].last) {
		if err := store.DeleteObject(ctx, o.name); err != nil {
			return fmt.Errorf("delete %s: %w", o.name, err)
		}
		done.JournalRemoved++
	}
	return nil
}

// covered returns the objects with no entry above seq. The one that reaches
// farthest is never among them: it is what shows an old database for what it is.
func covered(journal []namedObject, seq int64) []namedObject {
	if len(journal) == 0 {
		return nil
	}
	farthest := slices.MaxFunc(journal, func(a, b namedObject) int { return cmp.Compare(a.last, b.last) })
	var out []namedObject
	for _, o := range journal {
		if o.last <= seq && o != farthest {
			out = append(out, o)
		}
	}
	return out
}

// A Policy says when the journal has grown enough for a snapshot. The zero
// value is ready for use.
type Policy struct {
	// MinBytes and MinObjects are below what a journal is left alone: so much
	// is replayed in a moment. Zero means 16 MiB and 4096 objects.
	MinBytes   int64
	MinObjects int
	// Ratio of the newest snapshot's bytes is how far the journal's bytes grow
	// before there is another; it bounds what snapshots add to the writing.
	// Zero means 1.
	Ratio float64
}

// Due reports whether a journal of so many objects and bytes, all newer than a
// snapshot of snapshotBytes (zero for none), wants a snapshot.
func (p Policy) Due(objects int, journalBytes, snapshotBytes int64) bool {
	if objects >= orDefault(p.MinObjects, 4096) {
		return true
	}
	return journalBytes >= orDefault(p.MinBytes, 16<<20) &&
		float64(journalBytes) >= orDefault(p.Ratio, 1)*float64(snapshotBytes)
}

// SnapshotDue reports whether the objects in store want a snapshot.
func SnapshotDue(ctx context.Context, store blob.Objects, p Policy) (bool, error) {
	snapshots, err := listObjects(ctx, store, snapshotDir)
	if err != nil {
		return false, err
	}
	journal, err := listObjects(ctx, store, journalDir)
	if err != nil {
		return false, err
	}
	var newest namedObject
	if len(snapshots) > 0 {
		newest = snapshots[len(snapshots)-1]
	}
	var (
		count int
		total int64
	)
	for _, o := range journal {
		if o.last > newest.last {
			count++
			total += o.size
		}
	}
	return p.Due(count, total, newest.size), nil
}

// SnapshotOptions are the settings of [RunSnapshots]. The zero value is ready
// for use.
type SnapshotOptions struct {
	Policy Policy
	// Interval is how often the journal is measured. Zero means 10 minutes.
	Interval time.Duration
	// Log hears of snapshots made and failed. Nil means nobody.
	Log *slog.Logger
}

// RunSnapshots makes a snapshot whenever the policy wants one, until ctx ends.
// A failure is logged and tried again at the next interval.
func RunSnapshots(ctx context.Context, db Dumper, store blob.Objects, opts SnapshotOptions) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	for ctx.Err() == nil {
		if err := snapshotIfDue(ctx, db, store, opts); err != nil && ctx.Err() == nil {
			opts.Log.LogAttrs(ctx, slog.LevelWarn, "snapshot failed", slog.Any("err", err))
		}
		wait(ctx, orDefault(opts.Interval, 10*time.Minute))
	}
}

func snapshotIfDue(ctx context.Context, db Dumper, store blob.Objects, opts SnapshotOptions) error {
	due, err := SnapshotDue(ctx, store, opts.Policy)
	if err != nil || !due {
		return err
	}
	s, err := Snapshot(ctx, db, store)
	if err != nil {
		return err
	}
	opts.Log.LogAttrs(ctx, slog.LevelInfo, "snapshot written",
		slog.Int64("sequence", s.Sequence), slog.Int64("bytes", s.Bytes), slog.Int("journal_removed", s.JournalRemoved))
	return nil
}
