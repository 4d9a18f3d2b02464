package gc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A journal object is a frame: a journalHeader, then one [meta.Entry] a line.

// journalHeader links a journal object to the one before it. Sequences may
// have gaps, so a missing object shows only in After.
type journalHeader struct {
	Format int `json:"format"` // 1
	// After is the last sequence that was journaled when the object was made.
	After int64 `json:"after"`
}

const journalFormat = 1

// journalObject is one being made, in memory: a batch is bounded.
type journalObject struct {
	buf     bytes.Buffer
	frame   *frameWriter
	first   int64
	last    int64
	entries int
}

func newJournalObject(after int64) (*journalObject, error) {
	o := &journalObject{last: after}
	o.frame = newFrameWriter(&o.buf)
	return o, o.line(journalHeader{Format: journalFormat, After: after})
}

func (o *journalObject) line(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(line) >= maxLine {
		return fmt.Errorf("%d bytes in one line, more than %d", len(line), maxLine)
	}
	_, err = o.frame.Write(append(line, '\n'))
	return err
}

func (o *journalObject) add(e meta.Entry) error {
	if e.Sequence <= o.last {
		return fmt.Errorf("journal entry %d follows %d", e.Sequence, o.last)
	}
	if err := o.line(e); err != nil {
		return fmt.Errorf("journal entry %d: %w", e.Sequence, err)
	}
	if o.entries == 0 {
		o.first = e.Sequence
	}
	o.last = e.Sequence
	o.entries++
	return nil
}

// A journalSummary is what a journal object holds.
type journalSummary struct {
	after   int64
	last    int64
	entries int
}

// readJournal reads a journal object to its end and calls yield, when it is
// not nil, for each entry in order. Only a return without error says that the
// object is intact; call it with a nil yield first where that matters.
func readJournal(
	ctx context.Context, store blob.Objects, o namedObject, yield func(meta.Entry) error,
) (journalSummary, error) {
	s, err := readJournalLines(ctx, store, o, yield)
	if err != nil {
		return s, fmt.Errorf("%s: %w", o.name, err)
	}
	return s, nil
}

func readJournalLines(
	ctx context.Context, store blob.Objects, o namedObject, yield func(meta.Entry) error,
) (journalSummary, error) {
	r, err := store.OpenObject(ctx, o.name)
	if err != nil {
		return journalSummary{}, err
	}
	defer r.Close()
	lines := bufio.NewReaderSize(newFrameReader(r), 64<<10)

	var h journalHeader
	if err := unmarshalLine(lines, &h); err != nil {
		return journalSummary{}, damagedEnd(err)
	}
	if h.Format != journalFormat || h.After < 0 {
		return journalSummary{}, fmt.Errorf("%w: format %d after %d, want format %d", ErrDamaged, h.Format, h.After, journalFormat)
	}
	s := journalSummary{after: h.After, last: h.After}
	for {
		var e meta.Entry
		err := unmarshalLine(lines, &e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s, err
		}
		if s.entries == 0 && e.Sequence != o.first || e.Sequence <= s.last {
			return s, fmt.Errorf("%w: entry %d follows %d", ErrDamaged, e.Sequence, s.last)
		}
		if yield != nil {
			if err := yield(e); err != nil {
				return s, err
			}
		}
		s.last = e.Sequence
		s.entries++
	}
	if s.entries == 0 || s.last != o.last {
		return s, fmt.Errorf("%w: it ends at entry %d", ErrDamaged, s.last)
	}
	return s, nil
}

// unmarshalLine decodes the next line; io.EOF is the end of an intact frame.
func unmarshalLine(lines *bufio.Reader, v any) error {
	line, err := readLine(lines, maxLine)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, errLineTooLong), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return err
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

func damagedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	return err
}
