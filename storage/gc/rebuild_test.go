package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// rebuilt rebuilds w's database beside it.
func (w *world) rebuilt(opts RebuildOptions) (*world, Rebuilt, []Finding, error) {
	w.t.Helper()
	db := w.empty(w.t)
	var findings []Finding
	opts.Report = func(f Finding) { findings = append(findings, f) }
	got, err := Rebuild(w.t.Context(), w.store, db, opts)
	return &world{t: w.t, db: db, store: w.store, now: w.now, empty: w.empty}, got, findings, err
}

func TestRebuildGivesBackTheSameDatabase(t *testing.T) {
	tests := []struct {
		name    string
		history func(w *world)
	}{
		{"from the journal alone", func(w *world) {
			w.populate()
			w.flush()
		}},
		{"from a snapshot alone, taken before anything was journaled", func(w *world) {
			w.populate()
			w.snapshot()
		}},
		{"from a snapshot and the journal after it", func(w *world) {
			w.populate()
			w.flush()
			w.snapshot()
			w.push("team/app", "2.0.0", "app three")
			w.flush()
		}},
		{"from a snapshot in the middle of a journal object", func(w *world) {
			w.populate()
			w.snapshot()
			w.push("team/app", "2.0.0", "app three")
			w.flush()
		}},
		{"from two snapshots with the journal between removed", func(w *world) {
			w.populate()
			w.flush()
			w.snapshot()
			w.push("team/app", "2.0.0", "app three")
			w.flush()
			w.snapshot()
			w.push("team/app", "3.0.0", "app four")
			w.flush()
			w.snapshot()
			w.push("team/app", "4.0.0", "app five")
			w.flush()
		}},
		{"after garbage was collected", func(w *world) {
			w.populate()
			w.now = w.now.Add(48 * referrerLife)
			w.collect(CollectOptions{})
			w.now = w.now.Add(2 * condemnedLife)
			w.collect(CollectOptions{})
			w.flush()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				tt.history(w)
				again, got, findings, err := w.rebuilt(RebuildOptions{CheckBlobs: true})
				if err != nil || len(findings) > 0 || got.MissingBlobs > 0 {
					t.Fatalf("Rebuild() = %+v, %v with %v, want all of it", got, err, findings)
				}
				wantSameDump(t, dump(t, again.db), dump(t, w.db))
				written, _, err := w.db.JournalSequence(t.Context())
				if err != nil || got.Sequence != written {
					t.Errorf("Rebuild() ends at entry %d, want %d (%v)", got.Sequence, written, err)
				}
				again.wantSound()
			})
		})
	}
}

// What people said comes back as they said it, and new revisions go on from the
// last, which is that of a withdrawn approval and of no row.
func TestRebuildGivesBackPoliciesApprovalsAndNotices(t *testing.T) {
	type said struct {
		Revision  int64
		Policies  []meta.Policy
		Versions  []meta.Policy
		Approvals []meta.Approval
		Tags      []string
		Notices   map[string]meta.Notice
	}
	collect := func(t *testing.T, db meta.DB) said {
		t.Helper()
		s := said{Notices: map[string]meta.Notice{}}
		ctx, everything := t.Context(), meta.Visibility{Everything: true}
		versions, err := db.Versions(ctx, "team/app", meta.Page{})
		for _, v := range versions {
			s.Notices[v.Name] = v.Notice
		}
		errs := []error{err}
		s.Revision, err = db.PolicyRevision(ctx)
		errs = append(errs, err)
		s.Policies, err = db.Policies(ctx)
		errs = append(errs, err)
		s.Versions, err = db.PolicyVersions(ctx, "size")
		errs = append(errs, err)
		s.Approvals, err = db.Approvals(ctx, everything, "", "")
		errs = append(errs, err)
		s.Tags, err = db.Tags(ctx, "team/app", meta.Page{})
		if err := errors.Join(append(errs, err)...); err != nil {
			t.Fatalf("read what was said: %v", err)
		}
		return s
	}
	for _, how := range []string{"from the journal", "from a snapshot"} {
		t.Run(how, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.populate()
				if how == "from a snapshot" {
					w.snapshot()
				} else {
					w.flush()
				}
				again, _, _, err := w.rebuilt(RebuildOptions{})
				if err != nil {
					t.Fatalf("Rebuild() = %v", err)
				}
				before, after := collect(t, w.db), collect(t, again.db)
				if before.Revision != 7 || len(before.Policies) != 1 || len(before.Versions) != 2 || len(before.Approvals) != 1 {
					t.Fatalf("before the rebuild there is %+v, want 7 revisions with one policy, one approval and a deleted policy", before)
				}
				if slices.Contains(before.Tags, "1.0.0") || before.Notices["1.0.0"].State != meta.NoticeYanked {
					t.Fatalf("before the rebuild tags are %v with notices %v, want 1.0.0 yanked", before.Tags, before.Notices)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("what was said differs after the rebuild (-before +after):\n%s", diff)
				}
				var p meta.Policy
				again.update(func(ctx context.Context, tx meta.Tx) (err error) {
					p, err = tx.PutPolicy(ctx, meta.Policy{Name: "size", Source: "deny: huge", Created: w.now})
					return err
				})
				if p.Version != 3 || p.Revision != 8 {
					t.Errorf("PutPolicy() after the rebuild = version %d, revision %d; want 3 and 8", p.Version, p.Revision)
				}
			})
		})
	}
}

// What is of the moment is not in the journal, and a rebuilt database begins
// without it.
func TestRebuildBeginsWithoutWhatIsOfTheMoment(t *testing.T) {
	for _, how := range []string{"from the journal", "from a snapshot"} {
		t.Run(how, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				w.populate()
				d := w.push("team/app", "2.0.0", "app three")
				without := dump(t, w.db)
				w.update(func(ctx context.Context, tx meta.Tx) error {
					id, err := tx.PutDecision(ctx, meta.Decision{Time: w.now, Repo: "team/app", Digest: d, Outcome: meta.VerdictDeny})
					if err != nil {
						return err
					}
					q := meta.Quarantine{Repo: "team/app", Digest: d, Decision: id, Created: w.now, Until: w.now.Add(time.Hour)}
					if err := tx.PutQuarantine(ctx, q); err != nil {
						return err
					}
					if err := tx.PutEvent(ctx, meta.Event{Time: w.now, Kind: "push", Repo: "team/app", Digest: d}); err != nil {
						return err
					}
					return tx.AddDownloads(ctx, []meta.Download{{Repo: "team/app", Digest: d, Day: w.now, Count: 3}})
				})
				wantSameDump(t, dump(t, w.db), without)
				if how == "from a snapshot" {
					w.snapshot()
				} else {
					w.flush()
				}
				again, _, _, err := w.rebuilt(RebuildOptions{})
				if err != nil {
					t.Fatalf("Rebuild() = %v", err)
				}
				wantSameDump(t, dump(t, again.db), without)
				if last, err := again.db.LastEvent(t.Context()); err != nil || last != 0 {
					t.Errorf("LastEvent() after the rebuild = %d, %v; want 0", last, err)
				}
				if v, err := again.db.Version(t.Context(), "team/app", "2.0.0"); err != nil || v.Downloads != 0 {
					t.Errorf("Version() after the rebuild has %d downloads, %v; want 0", v.Downloads, err)
				}
			})
		})
	}
}

// What one database journaled, the other can be rebuilt from.
func TestRebuildMovesBetweenDatabases(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.populate()
		w.flush()
		w.snapshot()
		w.push("team/app", "2.0.0", "app three")
		w.flush()
		for name, empty := range map[string]func(testing.TB) meta.DB{"sqlite": newSQLite, "postgres": newPostgres} {
			w.empty = empty
			again, _, _, err := w.rebuilt(RebuildOptions{})
			if err != nil {
				t.Fatalf("Rebuild() into %s = %v", name, err)
			}
			wantSameDump(t, dump(t, again.db), dump(t, w.db))
		}
	})
}

func TestRebuildKeepsDeletedTagsDeleted(t *testing.T) {
	w := newWorld(t)
	w.populate()
	w.flush()
	want, err := w.db.Tombstone(t.Context(), "team/app", "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	again, _, _, err := w.rebuilt(RebuildOptions{})
	if err != nil {
		t.Fatalf("Rebuild() = %v", err)
	}
	if tag, err := again.db.Tag(t.Context(), "team/app", "1.1.0"); !errors.Is(err, meta.ErrNotFound) {
		t.Errorf("Tag(1.1.0) after Rebuild = %v, %v; want %v", tag, err, meta.ErrNotFound)
	}
	if got, err := again.db.Tombstone(t.Context(), "team/app", "1.1.0"); err != nil || got != want {
		t.Errorf("Tombstone(1.1.0) after Rebuild = %v, %v; want %v", got, err, want)
	}
}

// A journal of one entry an object is easy to damage.
func (w *world) journalOneByOne() []string {
	w.t.Helper()
	if err := w.journaler(JournalOptions{MaxEntries: 1}).Flush(w.t.Context()); err != nil {
		w.t.Fatalf("Flush() = %v", err)
	}
	return w.objects(journalDir)
}

func TestRebuildSaysWhatIsMissing(t *testing.T) {
	tests := []struct {
		name     string
		damage   func(w *world, names []string)
		opts     RebuildOptions
		sequence int64 // counted from the last entry
		gaps     func(last int64) []Gap
		err      error
		says     string
	}{
		{
			name:     "the last object cut short ends the replay before it",
			damage:   func(w *world, names []string) { w.truncate(names[len(names)-1]) },
			sequence: -1,
			gaps:     func(last int64) []Gap { return []Gap{{From: last}} },
		},
		{
			name: "the last two objects cut short end it before both",
			damage: func(w *world, names []string) {
				w.truncate(names[len(names)-1])
				w.truncate(names[len(names)-2])
			},
			sequence: -2,
			gaps:     func(last int64) []Gap { return []Gap{{From: last - 1}} },
		},
		{
			name:     "an empty last object",
			damage:   func(w *world, names []string) { w.writeObject(names[len(names)-1], nil) },
			sequence: -1,
			gaps:     func(last int64) []Gap { return []Gap{{From: last}} },
		},
		{
			name: "an object that is gone is a gap",
			damage: func(w *world, names []string) {
				w.deleteObject(names[len(names)-3])
				w.deleteObject(names[len(names)-4])
			},
			sequence: -4,
			gaps:     func(last int64) []Gap { return []Gap{{From: last - 3, To: last - 2}} },
			err:      ErrGap,
			says:     "entries 12 to 13",
		},
		{
			name:     "a damaged object with others after it is a gap",
			damage:   func(w *world, names []string) { w.truncate(names[len(names)-3]) },
			sequence: -3,
			gaps:     func(last int64) []Gap { return []Gap{{From: last - 2, To: last - 2}} },
			err:      ErrGap,
			says:     "entry 13",
		},
		{
			name:     "a gap that is allowed leaves out only what needs it",
			damage:   func(w *world, names []string) { w.truncate(names[len(names)-3]) },
			opts:     RebuildOptions{AllowGap: true},
			sequence: 0,
			gaps:     func(last int64) []Gap { return []Gap{{From: last - 2, To: last - 2}} },
		},
		{
			name:     "a missing beginning is a gap",
			damage:   func(w *world, names []string) { w.deleteObject(names[0]) },
			sequence: -1 << 32,
			gaps:     func(int64) []Gap { return []Gap{{From: 1, To: 1}} },
			err:      ErrGap,
			says:     "entry 1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.populate()
			names := w.journalOneByOne()
			last := int64(len(names))
			tt.damage(w, names)
			_, got, findings, err := w.rebuilt(tt.opts)
			if !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Rebuild() = %+v, %v; want error %v saying %q", got, err, tt.err, tt.says)
			}
			if want := max(last+tt.sequence, 0); got.Sequence != want {
				t.Errorf("Rebuild() ends at entry %d of %d, want %d", got.Sequence, last, want)
			}
			if want := tt.gaps(last); !slices.Equal(got.Gaps, want) {
				t.Errorf("Rebuild() has gaps %v, want %v", got.Gaps, want)
			}
			if len(findings) == 0 {
				t.Error("Rebuild() reported nothing")
			}
		})
	}
}

// truncate cuts the last bytes off an object.
func (w *world) truncate(name string) {
	w.t.Helper()
	b := w.readObject(name)
	w.writeObject(name, b[:len(b)-10])
}

func TestRebuildLeavesOutWhatAGapMakesImpossible(t *testing.T) {
	w := newWorld(t)
	d := w.pushBlob("repo", "layer")                                               // entry 1
	m := w.put("repo", manifestJSON{Name: "m", Layers: []descriptor{{Digest: d}}}) // entry 2
	w.update(func(ctx context.Context, tx meta.Tx) error {                         // entry 3
		return tx.PutTag(ctx, "repo", "tag", m, w.now)
	})
	w.push("repo", "later", "more") // entries 4 and 5
	names := w.journalOneByOne()
	w.deleteObject(names[1])
	again, got, _, err := w.rebuilt(RebuildOptions{AllowGap: true})
	if err != nil || got.Skipped != 1 || got.Sequence != 5 {
		t.Fatalf("Rebuild() = %+v, %v; want one entry left out and the last one replayed", got, err)
	}
	if tags, err := again.db.Tags(t.Context(), "repo", meta.Page{}); err != nil || !slices.Equal(tags, []string{"later"}) {
		t.Errorf("Tags() = %v, %v; want only what could be replayed", tags, err)
	}
}

func TestRebuildFallsBackToTheOlderSnapshot(t *testing.T) {
	w := newWorld(t)
	w.populate()
	w.flush()
	older := w.snapshot()
	w.push("team/app", "2.0.0", "app three")
	w.flush()
	newer := w.snapshot()
	for _, cut := range []string{"truncated", "flipped", "not gzip", "empty"} {
		t.Run(cut, func(t *testing.T) {
			w.t = t
			intact := w.readObject(newer.Name)
			defer w.writeObject(newer.Name, intact)
			bad := slices.Clone(intact)
			switch cut {
			case "truncated":
				bad = bad[:len(bad)/2]
			case "flipped":
				bad[len(bad)/2] ^= 4
			case "not gzip":
				bad = []byte("hello\n")
			case "empty":
				bad = nil
			}
			w.writeObject(newer.Name, bad)
			again, got, findings, err := w.rebuilt(RebuildOptions{})
			if err != nil || got.Snapshot != older.Name {
				t.Fatalf("Rebuild() = %+v, %v; want it from %s", got, err, older.Name)
			}
			if len(findings) != 1 || findings[0].Kind != KindSnapshot || findings[0].Object != newer.Name {
				t.Errorf("Rebuild() reported %v, want %s", findings, newer.Name)
			}
			wantSameDump(t, dump(t, again.db), dump(t, w.db))
		})
	}
}

func TestRebuildRefuses(t *testing.T) {
	t.Run("a store without a journal", func(t *testing.T) {
		_, _, _, err := newWorld(t).rebuilt(RebuildOptions{})
		if !errors.Is(err, ErrNothing) {
			t.Errorf("Rebuild() = %v, want %v", err, ErrNothing)
		}
	})
	t.Run("a database with rows", func(t *testing.T) {
		w := newWorld(t)
		w.populate()
		w.flush()
		_, err := Rebuild(t.Context(), w.store, w.db, RebuildOptions{})
		if !errors.Is(err, meta.ErrNotEmpty) {
			t.Errorf("Rebuild() = %v, want %v", err, meta.ErrNotEmpty)
		}
	})
}

func TestRebuildReportsMissingBlobs(t *testing.T) {
	w := newWorld(t)
	w.populate()
	w.flush()
	k := blob.Key{Digest: w.pushBlob("team/app", "app one")}
	if err := w.store.Delete(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	w.flush()
	_, got, findings, err := w.rebuilt(RebuildOptions{CheckBlobs: true})
	if err != nil || got.MissingBlobs != 1 || len(findings) != 1 || findings[0].Digest != k.Digest {
		t.Errorf("Rebuild() = %+v, %v with %v; want one missing blob, %s", got, err, findings, k)
	}
}

// What is written after a rebuild from a torn journal takes the place of what
// was torn, and a second rebuild finds all of it.
func TestJournalGoesOnAfterRebuildFromTornJournal(t *testing.T) {
	w := newWorld(t)
	w.populate()
	names := w.journalOneByOne()
	w.truncate(names[len(names)-1])
	again, _, _, err := w.rebuilt(RebuildOptions{})
	if err != nil {
		t.Fatalf("Rebuild() = %v", err)
	}
	for i := range 3 {
		again.push("new", fmt.Sprint(i), "new layer")
	}
	again.flush()
	third, got, findings, err := again.rebuilt(RebuildOptions{})
	if err != nil || len(findings) > 0 || len(got.Gaps) > 0 {
		t.Fatalf("second Rebuild() = %+v, %v with %v", got, err, findings)
	}
	wantSameDump(t, dump(t, third.db), dump(t, again.db))
}
