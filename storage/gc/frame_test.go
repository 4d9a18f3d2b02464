package gc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

func frameOf(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := newFrameWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err != nil {
		t.Fatalf("finish after %q = %v", text, err)
	}
	return b.Bytes()
}

func TestFrameGivesBackItsLines(t *testing.T) {
	long := strings.Repeat("x", 200<<10) + "\n"
	for _, text := range []string{"", "one\n", "one\ntwo\n", "\n\n", long, "short\n" + long + "short\n"} {
		got, err := io.ReadAll(newFrameReader(bytes.NewReader(frameOf(t, text))))
		if err != nil || string(got) != text {
			t.Errorf("frame of %d bytes reads as %d bytes, %v; want the same", len(text), len(got), err)
		}
	}
}

func TestFrameNeedsWholeLines(t *testing.T) {
	w := newFrameWriter(io.Discard)
	if _, err := io.WriteString(w, "no end"); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err == nil {
		t.Error("finish in the middle of a line = nil, want an error")
	}
}

func TestFrameCutOrAlteredAnywhereIsDamaged(t *testing.T) {
	whole := frameOf(t, "{\"one\":1}\n{\"two\":2}\n")
	read := func(b []byte) error {
		_, err := io.Copy(io.Discard, newFrameReader(bytes.NewReader(b)))
		return err
	}
	for n := range len(whole) {
		if err := read(whole[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("frame cut after %d of %d bytes: %v, want %v", n, len(whole), err, ErrDamaged)
		}
		flipped := slices.Clone(whole)
		flipped[n] ^= 1
		if err := read(flipped); !errors.Is(err, ErrDamaged) {
			t.Errorf("frame with byte %d flipped: %v, want %v", n, err, ErrDamaged)
		}
	}
	if err := read(append(slices.Clone(whole), 'x')); !errors.Is(err, ErrDamaged) {
		t.Errorf("frame with a byte behind it: %v, want %v", err, ErrDamaged)
	}
}

func TestParseObject(t *testing.T) {
	const one, two = "00000000000000000001", "00000000000000000002"
	tests := []struct {
		dir, name   string
		first, last int64
		ok          bool
	}{
		{journalDir, "journal/" + one + "-" + two, 1, 2, true},
		{journalDir, "journal/" + one + "-09223372036854775806", 1, 9223372036854775806, true},
		{journalDir, "journal/" + one + "-09223372036854775807", 0, 0, false},
		{journalDir, "journal/" + one + "-99999999999999999999", 0, 0, false},
		{journalDir, "journal/" + two + "-" + one, 0, 0, false},
		{journalDir, "journal/" + one, 0, 0, false},
		{journalDir, "journal/" + one + "-" + two[1:], 0, 0, false},
		{journalDir, "journal/" + one + "-" + two + "-" + two, 0, 0, false},
		{journalDir, "journal/" + one + "-+" + two[1:], 0, 0, false},
		{journalDir, "journal/-" + one[1:] + "-" + two, 0, 0, false},
		{journalDir, "journal/" + one + "-x" + two[1:], 0, 0, false},
		{journalDir, "snapshot/" + one, 0, 0, false},
		{journalDir, "journal/", 0, 0, false},
		{snapshotDir, "snapshot/" + two, 2, 2, true},
		{snapshotDir, "snapshot/" + one + "-" + two, 0, 0, false},
		{snapshotDir, "journal/" + one + "-" + two, 0, 0, false},
	}
	for _, tt := range tests {
		got, ok := parseObject(tt.dir, tt.name, 0)
		if ok != tt.ok || ok && (got.first != tt.first || got.last != tt.last) {
			t.Errorf("parseObject(%q, %q) = %d to %d, %t; want %d to %d, %t",
				tt.dir, tt.name, got.first, got.last, ok, tt.first, tt.last, tt.ok)
		}
	}
}

// Whatever lines a frame holds, readJournal either says that it is damaged or
// gives entries that, written again, read the same.
func FuzzReadJournal(f *testing.F) {
	const corpus = "testdata/fuzz/FuzzReadJournal"
	if seeds, err := os.ReadDir(corpus); err != nil || len(seeds) < 4 {
		f.Fatalf("ReadDir(%s) = %d seeds, %v; want at least 4", filepath.ToSlash(corpus), len(seeds), err)
	}
	f.Fuzz(func(t *testing.T, first, last int64, lines []byte) {
		if len(lines) > 0 && lines[len(lines)-1] != '\n' {
			lines = append(lines, '\n')
		}
		o := namedObject{name: journalName(1, 1), first: first, last: last}
		s, entries, err := readBack(t, frameOf(t, string(lines)), o)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("readJournal(%q) = %v, want %v", lines, err, ErrDamaged)
			}
			return
		}
		again, err := newJournalObject(s.after)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := again.add(e); err != nil {
				t.Fatalf("add(%+v) = %v", e, err)
			}
		}
		if err := again.frame.finish(); err != nil {
			t.Fatal(err)
		}
		s2, entries2, err := readBack(t, again.buf.Bytes(), o)
		if err != nil || s2 != s || !cmp.Equal(canonical(entries), canonical(entries2)) {
			t.Fatalf("%q reads as %+v %v, written again as %+v %v, %v", lines, s, entries, s2, entries2, err)
		}
	})
}

// canonical has raw JSON without its white space.
func canonical(entries []meta.Entry) []meta.Entry {
	out := slices.Clone(entries)
	for i, e := range out {
		b, err := json.Marshal(e.Records)
		if err != nil {
			panic(err)
		}
		out[i].Records = b
		out[i].Time = e.Time.Round(0).In(time.UTC)
	}
	return out
}

func readBack(t *testing.T, object []byte, o namedObject) (journalSummary, []meta.Entry, error) {
	store := mem.New()
	if err := store.PutObject(t.Context(), o.name, bytes.NewReader(object)); err != nil {
		t.Fatal(err)
	}
	var entries []meta.Entry
	s, err := readJournal(t.Context(), store, o, func(e meta.Entry) error {
		entries = append(entries, e)
		return nil
	})
	return s, entries, err
}
