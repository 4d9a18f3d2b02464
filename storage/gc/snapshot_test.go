package gc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wreg-project/wreg/storage/blob/mem"
)

func TestSnapshotKeepsTwoAndTheJournalAfterTheOlder(t *testing.T) {
	w := newWorld(t)
	var taken []string
	for i := range 4 {
		w.push("repo", fmt.Sprint(i), "layer")
		w.push("repo", fmt.Sprint(i, "x"), "layer")
		w.journalOneByOne()
		got := w.snapshot()
		taken = append(taken, got.Name)
		if want := min(len(taken), keptSnapshots); len(w.objects(snapshotDir)) != want {
			t.Errorf("after %d snapshots there are %v, want %d", len(taken), w.objects(snapshotDir), want)
		}
	}
	if got, want := w.objects(snapshotDir), taken[2:]; !slices.Equal(got, want) {
		t.Errorf("snapshots are %v, want the newest, %v", got, want)
	}
	older, _ := parseObject(snapshotDir, taken[2], 0)
	journal := w.entries()
	if want := sequences(older.last+1, journal[len(journal)-1]); !slices.Equal(journal, want) {
		t.Errorf("journal has entries %v, want %v", journal, want)
	}
}

func TestFirstSnapshotLeavesTheJournalAlone(t *testing.T) {
	w := newWorld(t)
	w.populate()
	w.journalOneByOne()
	before := w.objects(journalDir)
	if got := w.snapshot(); got.JournalRemoved != 0 {
		t.Errorf("Snapshot() = %+v, want no journal removed while there is no other", got)
	}
	if after := w.objects(journalDir); !slices.Equal(after, before) {
		t.Errorf("journal is %v, want %v", after, before)
	}
}

func TestCoveredNeverHasTheLastObject(t *testing.T) {
	journal := []namedObject{{first: 1, last: 4}, {first: 5, last: 8}, {first: 9, last: 12}}
	tests := []struct {
		seq  int64
		want int
	}{{0, 0}, {3, 0}, {4, 1}, {7, 1}, {8, 2}, {100, 2}}
	for _, tt := range tests {
		if got := covered(journal, tt.seq); len(got) != tt.want {
			t.Errorf("covered(1-4, 5-8, 9-12; %d) = %v, want %d objects", tt.seq, got, tt.want)
		}
	}
	twice := []namedObject{{name: "long", first: 1, last: 9}, {name: "short", first: 1, last: 4}, {first: 10, last: 11}}
	if got := covered(twice, 5); len(got) != 1 || got[0].name != "short" {
		t.Errorf("covered(%v; 5) = %v, want the short one", twice, got)
	}
	if got := covered(nil, 7); len(got) != 0 {
		t.Errorf("covered(none) = %v", got)
	}
}

// brokenDump writes some lines of a dump, then fails.
type brokenDump struct {
	lines string
	err   error
}

func (d brokenDump) Dump(_ context.Context, w io.Writer) error {
	if _, err := io.WriteString(w, d.lines); err != nil {
		return err
	}
	return d.err
}

func TestSnapshotOfABrokenDumpLeavesNothing(t *testing.T) {
	tests := []struct {
		name string
		dump brokenDump
	}{
		{"that fails at once", brokenDump{"", errFault}},
		{"that fails after its header", brokenDump{"{\"format\":1,\"sequence\":7}\n", errFault}},
		{"that is empty", brokenDump{"", nil}},
		{"without a header", brokenDump{"hello\n", nil}},
		{"that ends in a line", brokenDump{"{\"format\":1,\"sequence\":7}\n{", nil}},
		{"of another format", brokenDump{"{\"format\":2,\"sequence\":7}\n", nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.populate()
			w.flush()
			kept := []string{w.snapshot().Name}
			w.push("repo", "more", "layer")
			kept = append(kept, w.snapshot().Name)
			before := w.objects(journalDir)
			if got, err := Snapshot(t.Context(), tt.dump, w.store); err == nil {
				t.Errorf("Snapshot() = %+v, want an error", got)
			}
			for _, name := range kept {
				if !slices.Contains(w.objects(snapshotDir), name) {
					t.Errorf("Snapshot() removed %s", name)
				}
			}
			if after := w.objects(journalDir); !slices.Equal(after, before) {
				t.Errorf("Snapshot() left journal %v, want %v", after, before)
			}
		})
	}
}

func TestSnapshotSurvivesAKillAtEveryCall(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld(t)
			w.populate()
			w.journalOneByOne()
			w.snapshot()
			w.push("repo", "a", "layer a")
			w.snapshot()
			w.push("repo", "b", "layer b")
			w.flush()
			f := &fault{at: at, late: late}
			_, err := Snapshot(t.Context(), w.db, faultyStore{w.store, f})
			if !f.fired() {
				if err != nil || at < 5 {
					t.Fatalf("Snapshot() without a fault = %v after %d calls", err, at)
				}
				break
			}
			again, got, findings, err := w.rebuilt(RebuildOptions{})
			if err != nil || len(findings) > 0 {
				t.Fatalf("killed at call %d (late %t), Rebuild() = %+v, %v with %v", at, late, got, err, findings)
			}
			wantSameDump(t, dump(t, again.db), dump(t, w.db))
			w.snapshot()
			w.wantSound()
		}
	}
}

func TestPolicyDue(t *testing.T) {
	tests := []struct {
		name                   string
		policy                 Policy
		objects                int
		journalBytes, snapshot int64
		want                   bool
	}{
		{"an empty journal", Policy{}, 0, 0, 0, false},
		{"a small one without a snapshot", Policy{}, 10, 1 << 20, 0, false},
		{"a large one without a snapshot", Policy{}, 10, 16 << 20, 0, true},
		{"a large one beside a larger snapshot", Policy{}, 10, 16 << 20, 17 << 20, false},
		{"one as large as the snapshot", Policy{}, 10, 17 << 20, 17 << 20, true},
		{"many objects beside any snapshot", Policy{}, 4096, 1 << 20, 1 << 40, true},
		{"its own bounds", Policy{MinBytes: 10, MinObjects: 3, Ratio: 0.5}, 2, 10, 20, true},
		{"its own bounds, not reached", Policy{MinBytes: 10, MinObjects: 3, Ratio: 0.5}, 2, 10, 21, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.policy.Due(tt.objects, tt.journalBytes, tt.snapshot); got != tt.want {
				t.Errorf("%+v.Due(%d, %d, %d) = %t, want %t", tt.policy, tt.objects, tt.journalBytes, tt.snapshot, got, tt.want)
			}
		})
	}
}

func TestSnapshotDueCountsWhatTheNewestSnapshotLacks(t *testing.T) {
	w := newWorld(t)
	w.populate()
	n := len(w.journalOneByOne())
	due := func() bool {
		t.Helper()
		due, err := SnapshotDue(t.Context(), w.store, Policy{MinObjects: n})
		if err != nil {
			t.Fatalf("SnapshotDue() = %v", err)
		}
		return due
	}
	if !due() {
		t.Errorf("SnapshotDue() = false with %d objects, want true", n)
	}
	w.snapshot()
	if due() {
		t.Error("SnapshotDue() = true after a snapshot, want false")
	}
}

func TestRunSnapshotsTakesThemWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: mem.New()}
		db := &outbox{}
		for range 5 {
			db.write()
		}
		j := NewJournaler(db, w.store, JournalOptions{MaxEntries: 1})
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			RunSnapshots(ctx, brokenDump{"{\"format\":1,\"sequence\":5}\n", nil}, w.store, SnapshotOptions{Policy: Policy{MinObjects: 6}})
		}()
		wait(t.Context(), time.Hour)
		if got := w.objects(snapshotDir); len(got) != 0 {
			t.Errorf("snapshots of a small journal: %v, want none", got)
		}
		db.write()
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait(t.Context(), time.Hour)
		if got := w.objects(snapshotDir); len(got) != 1 {
			t.Errorf("snapshots of a journal that is due: %v, want one", got)
		}
		cancel()
		<-ended
	})
}

func TestSnapshotHonoursItsContext(t *testing.T) {
	w := newWorld(t)
	w.populate()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Snapshot(ctx, w.db, w.store); !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot() = %v, want %v", err, context.Canceled)
	}
}
