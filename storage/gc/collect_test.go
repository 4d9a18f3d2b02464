package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// wantCollected runs Collect dry and for real, and wants the same of both.
func (w *world) wantCollected(opts CollectOptions, want Collected) {
	w.t.Helper()
	before := dump(w.t, w.db)
	opts.DryRun = true
	want.DryRun = true
	if got := w.collect(opts); got != want {
		w.t.Errorf("Collect(dry run) = %+v, want %+v", got, want)
	}
	wantSameDump(w.t, dump(w.t, w.db), before)
	opts.DryRun = false
	want.DryRun = false
	if got := w.collect(opts); got != want {
		w.t.Errorf("Collect() = %+v, want %+v", got, want)
	}
}

func (w *world) state(d digest.Digest) meta.Blob {
	w.t.Helper()
	b, err := w.db.FindBlob(w.t.Context(), d)
	if err != nil {
		w.t.Fatalf("FindBlob(%s) = %v", d, err)
	}
	return b
}

func TestABlobLivesAsLongAsItIsNeeded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		m := w.push("repo", "tag", "needed")
		needed := digest.FromString("needed")
		unused := w.pushBlob("repo", "unused")

		w.now = w.now.Add(59 * time.Minute)
		w.wantCollected(CollectOptions{}, Collected{})

		w.now = w.now.Add(2 * time.Minute)
		w.wantCollected(CollectOptions{}, Collected{Unlinked: 1, Condemned: Amount{1, 6}})
		if b := w.state(unused); b.State != meta.BlobCondemned {
			t.Errorf("unused blob is %+v, want condemned", b)
		}
		if _, err := w.db.Blob(t.Context(), "repo", unused); !errors.Is(err, meta.ErrNotFound) {
			t.Errorf("Blob(condemned) = %v, want %v", err, meta.ErrNotFound)
		}

		w.now = w.now.Add(59 * time.Minute)
		w.wantCollected(CollectOptions{}, Collected{})
		if !w.holds(blob.Key{Digest: unused}) {
			t.Error("the bytes are gone within the hour")
		}

		w.now = w.now.Add(time.Minute)
		w.wantCollected(CollectOptions{}, Collected{Deleted: Amount{1, 6}})
		if w.holds(blob.Key{Digest: unused}) {
			t.Error("the bytes are still there")
		}
		if b, err := w.db.FindBlob(t.Context(), unused); !errors.Is(err, meta.ErrNotFound) {
			t.Errorf("FindBlob(deleted) = %+v, %v; want %v", b, err, meta.ErrNotFound)
		}

		// The needed one goes the same way once its manifest is gone.
		w.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "repo", m)
			return err
		})
		w.wantCollected(CollectOptions{}, Collected{Unlinked: 1, Condemned: Amount{1, 6}})
		w.now = w.now.Add(time.Hour)
		w.wantCollected(CollectOptions{}, Collected{Deleted: Amount{1, 6}})
		if w.holds(blob.Key{Digest: needed}) {
			t.Error("the bytes of the deleted manifest's blob are still there")
		}
		w.wantSound()
	})
}

func TestABlobOfTwoRepositoriesOutlivesOne(t *testing.T) {
	w := newWorld(t)
	w.push("kept", "tag", "shared")
	w.push("gone", "tag", "shared")
	w.update(func(ctx context.Context, tx meta.Tx) error { return tx.DeleteRepository(ctx, "gone") })
	w.now = w.now.Add(1000 * time.Hour)
	w.wantCollected(CollectOptions{}, Collected{})
	w.wantSound()
}

func TestQuarantineHoldsBlobsUntilItIsOver(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		shared, own := w.pushBlob("repo", "shared"), w.pushBlob("repo", "own")
		w.pushBlob("other", "own too")
		for i, blobs := range [][]digest.Digest{{shared, own}, {shared}} {
			q := meta.Quarantine{
				Repo: "repo", Digest: digest.FromString(fmt.Sprint(i)), Content: []byte("refused"), Blobs: blobs,
				Created: w.now, Until: w.now.Add(time.Duration(7+i) * 24 * time.Hour),
			}
			w.update(func(ctx context.Context, tx meta.Tx) error { return tx.PutQuarantine(ctx, q) })
		}
		w.now = w.now.Add(7*24*time.Hour - time.Hour)
		w.wantCollected(CollectOptions{}, Collected{Unlinked: 1, Condemned: Amount{1, 7}})
		w.now = w.now.Add(time.Hour)
		w.wantCollected(CollectOptions{}, Collected{Expired: 1, Unlinked: 1, Condemned: Amount{1, 3}, Deleted: Amount{1, 7}})
		if _, err := w.db.Blob(t.Context(), "repo", shared); err != nil {
			t.Errorf("Blob() that another refused manifest pins = %v", err)
		}
		w.now = w.now.Add(24 * time.Hour)
		w.wantCollected(CollectOptions{}, Collected{Expired: 1, Unlinked: 1, Condemned: Amount{1, 6}, Deleted: Amount{1, 3}})
		w.wantSound()
	})
}

func TestGraceIsAnOption(t *testing.T) {
	w := newWorld(t)
	w.pushBlob("repo", "unused")
	w.now = w.now.Add(2 * time.Hour)
	w.wantCollected(CollectOptions{Grace: 3 * time.Hour}, Collected{})
	w.wantCollected(CollectOptions{Grace: time.Minute}, Collected{Unlinked: 1, Condemned: Amount{1, 6}})
}

func TestReferrersFollowTheirSubject(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		subject := w.push("repo", "tag", "layer")
		signature := w.put("repo", manifestJSON{Name: "signature", Subject: &descriptor{Digest: subject}})
		w.put("repo", manifestJSON{Name: "of the signature", Subject: &descriptor{Digest: signature}})
		early := w.put("repo", manifestJSON{Name: "early", Subject: &descriptor{Digest: digest.FromString("to come")}})

		w.now = w.now.Add(referrerLife)
		w.wantCollected(CollectOptions{}, Collected{})
		w.now = w.now.Add(time.Second)
		w.wantCollected(CollectOptions{}, Collected{Referrers: 1})
		if missing, err := w.db.MissingManifests(t.Context(), "repo", []digest.Digest{early}); err != nil || len(missing) != 1 {
			t.Errorf("MissingManifests(referrer without a subject) = %v, %v; want it missing", missing, err)
		}

		w.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.DeleteManifest(ctx, "repo", subject)
			return err
		})
		w.wantCollected(CollectOptions{}, Collected{Referrers: 2, Unlinked: 1, Condemned: Amount{1, 5}})
	})
}

func TestUntaggedManifestsGoOnlyWhenAsked(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tagged := w.push("repo", "tag", "one")
		child := w.push("repo", "", "two")
		inner := w.put("repo", manifestJSON{Name: "inner", Manifests: []descriptor{{Digest: child}}})
		w.put("repo", manifestJSON{Name: "outer", Manifests: []descriptor{{Digest: inner}, {Digest: tagged}}})
		kept := w.push("repo", "", "three")
		w.put("repo", manifestJSON{Name: "index", tag: "index", Manifests: []descriptor{{Digest: kept}}})
		w.put("repo", manifestJSON{Name: "referrer", Subject: &descriptor{Digest: tagged}})

		w.now = w.now.Add(100 * 24 * time.Hour)
		w.wantCollected(CollectOptions{}, Collected{})
		w.wantCollected(CollectOptions{UntaggedOlderThan: 101 * 24 * time.Hour}, Collected{})
		w.wantCollected(CollectOptions{UntaggedOlderThan: 99 * 24 * time.Hour},
			Collected{Untagged: 3, Unlinked: 1, Condemned: Amount{1, 3}})
		got, err := w.db.Manifests(t.Context(), "repo", meta.Page{})
		if err != nil || len(got) != 4 || !slices.Contains(got, kept) || !slices.Contains(got, tagged) {
			t.Errorf("Manifests() = %v, %v; want the tagged one, the index, its child and the referrer", got, err)
		}
		w.wantSound()
	})
}

// A client saw HEAD 200, then blobs were collected, then it puts the manifest.
func TestPutAfterCollectionFailsCleanlyOrSucceedsWhole(t *testing.T) {
	tests := []struct {
		name    string
		after   []time.Duration // collections, before the manifest comes
		missing bool
	}{
		{"before anything is collected", []time.Duration{30 * time.Minute}, false},
		{"when the blob is condemned", []time.Duration{61 * time.Minute}, true},
		{"when the blob is deleted", []time.Duration{61 * time.Minute, 60 * time.Minute}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			d := w.pushBlob("repo", "layer")
			if _, err := w.db.Blob(t.Context(), "repo", d); err != nil {
				t.Fatalf("Blob() = %v, want it live", err)
			}
			for _, later := range tt.after {
				w.now = w.now.Add(later)
				w.collect(CollectOptions{})
			}
			m := manifestJSON{Name: "m", Layers: []descriptor{{Digest: d}}}.make("repo", w.now)
			errMissing := errors.New("blob unknown")
			err := w.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
				held, err := tx.BlobSizes(ctx, "repo", m.Blobs)
				if err != nil {
					return err
				}
				if len(held) < len(m.Blobs) {
					return errMissing
				}
				_, err = tx.PutManifest(ctx, m)
				return err
			})
			if tt.missing != errors.Is(err, errMissing) || !tt.missing && err != nil {
				t.Fatalf("PUT = %v, want missing %t", err, tt.missing)
			}
			if tt.missing { // the client pushes again
				w.pushBlob("repo", "layer")
				w.put("repo", manifestJSON{Name: "m", Layers: []descriptor{{Digest: d}}})
			}
			for range 3 {
				w.now = w.now.Add(2 * time.Hour)
				w.collect(CollectOptions{})
			}
			w.wantSound()
		})
	}
}

func TestAReuploadOfACondemnedBlobHasItsOwnBytes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		d := w.pushBlob("repo", "layer")
		w.now = w.now.Add(2 * time.Hour)
		w.wantCollected(CollectOptions{}, Collected{Unlinked: 1, Condemned: Amount{1, 5}})

		w.push("repo", "tag", "layer")
		if b := w.state(d); b.State != meta.BlobLive || b.Generation != 1 {
			t.Errorf("after the second upload the blob is %+v, want live in generation 1", b)
		}
		// The first bytes are nobody's now, and old; mem's clock is the real one.
		later := time.Now().Add(2 * time.Hour)
		got, err := Collect(t.Context(), w.db, w.store, CollectOptions{Now: later})
		if err != nil || got != (Collected{Orphans: Amount{1, 5}}) {
			t.Errorf("Collect() = %+v, %v; want the first bytes removed", got, err)
		}
		if w.holds(blob.Key{Digest: d}) || !w.holds(blob.Key{Digest: d, Generation: 1}) {
			t.Error("the store does not hold the second generation alone")
		}
		w.wantSound()
	})
}

func TestDeletionMeetsAReuploadInBetween(t *testing.T) {
	w := newWorld(t)
	d := w.pushBlob("repo", "layer")
	for _, step := range []struct{ from, to meta.BlobState }{
		{meta.BlobLive, meta.BlobCondemned}, {meta.BlobCondemned, meta.BlobDeleted},
	} {
		w.update(func(ctx context.Context, tx meta.Tx) error {
			if step.from == meta.BlobLive {
				if err := tx.UnlinkBlob(ctx, "repo", d); err != nil {
					return err
				}
			}
			return tx.SetBlobState(ctx, d, 0, step.from, step.to, w.now)
		})
	}
	// The upload arrives when the bytes of the first are gone and its row is not.
	w.store = onDelete{w.store, func() { w.push("repo", "tag", "layer") }}
	n, size, err := finishDeletions(t.Context(), w.db, w.store)
	if err != nil || n != 0 || size != 0 {
		t.Errorf("finishDeletions() = %d, %d, %v; want the row left to the upload", n, size, err)
	}
	if b := w.state(d); b.State != meta.BlobLive || b.Generation != 1 {
		t.Errorf("the blob is %+v, want live in generation 1", b)
	}
	w.wantSound()
}

// onDelete does something when a blob is deleted.
type onDelete struct {
	blob.Store
	do func()
}

func (s onDelete) Delete(ctx context.Context, k blob.Key) error {
	err := s.Store.Delete(ctx, k)
	s.do()
	return err
}

func TestOrphansAreLeftToADatabaseThatKnowsThem(t *testing.T) {
	w := newWorld(t)
	k := w.storeBytes("somebody's", 0)
	later := time.Now().Add(48 * time.Hour)
	got, err := Collect(t.Context(), w.db, w.store, CollectOptions{Now: later})
	if err != nil || got != (Collected{}) || !w.holds(k) {
		t.Errorf("Collect() with a new database = %+v, %v; want nothing touched", got, err)
	}
	w.push("repo", "tag", "layer")
	got, err = Collect(t.Context(), w.db, w.store, CollectOptions{Now: time.Now()})
	if err != nil || got != (Collected{}) {
		t.Errorf("Collect() of bytes just stored = %+v, %v; want nothing", got, err)
	}
	got, err = Collect(t.Context(), w.db, w.store, CollectOptions{Now: later})
	if err != nil || got != (Collected{Orphans: Amount{1, 10}}) || w.holds(k) {
		t.Errorf("Collect() = %+v, %v; want the bytes gone", got, err)
	}
}

// journalOf is what storage alone knows: after bytes are deleted, a database
// rebuilt at that moment must not rely on them.
func TestTheJournalIsFlushedBeforeBytesAreDeleted(t *testing.T) {
	w := newWorld(t)
	d := w.pushBlob("repo", "layer")
	w.flush()
	w.now = w.now.Add(2 * time.Hour)
	w.collect(CollectOptions{})
	w.now = w.now.Add(2 * time.Hour)
	checked := false
	store := w.store
	w.store = onDelete{store, func() {
		checked = true
		rebuilt, _, _, err := (&world{t: t, db: w.db, store: store, now: w.now, empty: w.empty}).rebuilt(RebuildOptions{})
		if err != nil {
			t.Fatalf("Rebuild() = %v", err)
		}
		if b := rebuilt.state(d); b.State != meta.BlobDeleted {
			t.Errorf("a database rebuilt when the bytes are gone has %+v, want deleted", b)
		}
	}}
	w.collect(CollectOptions{Journal: NewJournaler(w.db, store, JournalOptions{})})
	if !checked {
		t.Error("Collect() deleted nothing")
	}
}

// At whichever call a collection is killed, nothing needed is lost and the
// next one completes it.
func TestCollectSurvivesAKillAtEveryCall(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld(t)
			w.populate()
			w.storeBytes("orphan", 0)
			f := &fault{at: at, late: late}
			now := time.Now().Add(3 * time.Hour)
			err := w.collectTwice(t, faultyDB{w.db, f}, faultyStore{w.store, f}, now)
			if !f.fired() {
				if err != nil || at < 10 {
					t.Fatalf("Collect() without a fault = %v after %d calls", err, at)
				}
				break
			}
			if !errors.Is(err, errFault) {
				t.Fatalf("killed at call %d (late %t), Collect() = %v, want %v", at, late, err, errFault)
			}
			if got, findings := w.check(CheckOptions{Now: now}); !got.OK {
				t.Fatalf("killed at call %d (late %t), Check() = %+v with %v", at, late, got, findings)
			}
			if _, err := Repair(t.Context(), w.db, w.store); err != nil {
				t.Fatalf("Repair() = %v", err)
			}
			if err := w.collectTwice(t, w.db, w.store, now); err != nil {
				t.Fatalf("killed at call %d (late %t), the next Collect() = %v", at, late, err)
			}
			w.wantSound()
			if n := w.count(); n != 4 {
				t.Fatalf("killed at call %d (late %t), the store ends with %d blobs, want the 4 in use", at, late, n)
			}
		}
	}
}

// collectTwice condemns and then deletes.
func (w *world) collectTwice(t *testing.T, db meta.DB, store blob.Store, now time.Time) error {
	t.Helper()
	journal := NewJournaler(db, store, JournalOptions{})
	_, err := Collect(t.Context(), db, store, CollectOptions{Now: now, Journal: journal})
	if err == nil {
		_, err = Collect(t.Context(), db, store, CollectOptions{Now: now.Add(condemnedLife), Journal: journal})
	}
	return err
}

func (w *world) count() int {
	w.t.Helper()
	n := 0
	if err := w.store.List(w.t.Context(), func(blob.Info) error { n++; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// conflicting lists blobs that are no longer as they were.
type conflicting struct {
	meta.DB
	stale []meta.Blob
}

func (d conflicting) UnheldBlobs(ctx context.Context, yield func(meta.Blob) error) error {
	for _, b := range d.stale {
		if err := yield(b); err != nil {
			return err
		}
	}
	return d.DB.UnheldBlobs(ctx, yield)
}

func TestWhatChangedSinceItWasListedIsSkipped(t *testing.T) {
	w := newWorld(t)
	w.push("repo", "tag", "in use")
	w.pushBlob("repo", "unused")
	w.now = w.now.Add(2 * time.Hour)
	stale := []meta.Blob{{Digest: "sha256:0"}, {Digest: "sha256:00"}}
	got, err := Collect(t.Context(), conflicting{w.db, stale}, w.store, CollectOptions{Now: w.now})
	want := Collected{Unlinked: 1, Condemned: Amount{1, 6}, Skipped: 2}
	if err != nil || got != want {
		t.Errorf("Collect() = %+v, %v; want %+v", got, err, want)
	}
}

func TestBatchesGoThroughEverythingOnce(t *testing.T) {
	const n = 2*scanBatch + 1
	var got []int
	last, listed := -1, 0
	err := inBatches(
		func(yield func(int) error) error {
			listed++
			for i := range n {
				if err := yield(i); err != nil {
					return err
				}
			}
			return nil
		},
		func(i int) bool { return i > last },
		func(batch []int) error {
			if len(batch) > scanBatch {
				t.Errorf("a batch of %d, want at most %d", len(batch), scanBatch)
			}
			got = append(got, batch...)
			last = batch[len(batch)-1]
			return nil
		})
	if err != nil || listed != 3 || len(got) != n || !slices.IsSorted(got) {
		t.Errorf("inBatches = %d items in %d listings, %v; want %d in 3", len(got), listed, err, n)
	}
}

func TestCollectedIsJSON(t *testing.T) {
	got, err := json.Marshal(Collected{Referrers: 1, Deleted: Amount{2, 3}})
	want := `{"dryRun":false,"expired":0,"untagged":0,"referrers":1,"unlinked":0,"condemned":{"count":0,"bytes":0},` +
		`"deleted":{"count":2,"bytes":3},"orphans":{"count":0,"bytes":0},"skipped":0}`
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("Marshal = %v (-want +got):\n%s", err, diff)
	}
}

func TestManifestReferences(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		app := w.push("repo", "tag", "b", "a")
		index := w.put("repo", manifestJSON{Name: "index", Manifests: []descriptor{{Digest: app}, {Digest: digest.FromString("absent")}}})
		tests := []struct {
			name         string
			repo         string
			digest       digest.Digest
			blobs, below []digest.Digest
		}{
			{"a manifest pins its blobs", "repo", app, []digest.Digest{digest.FromString("b"), digest.FromString("a")}, nil},
			{"an index names its children", "repo", index, nil, []digest.Digest{app, digest.FromString("absent")}},
			{"a manifest of another repository", "other", app, nil, nil},
			{"no manifest", "repo", digest.FromString("absent"), nil, nil},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				slices.SortFunc(tt.blobs, func(a, b digest.Digest) int { return strings.Compare(string(a), string(b)) })
				slices.SortFunc(tt.below, func(a, b digest.Digest) int { return strings.Compare(string(a), string(b)) })
				blobs, below, err := w.db.ManifestReferences(t.Context(), tt.repo, tt.digest)
				if err != nil || !slices.Equal(blobs, tt.blobs) || !slices.Equal(below, tt.below) {
					t.Errorf("ManifestReferences(%s, %s) = %v, %v, %v; want %v, %v",
						tt.repo, tt.digest, blobs, below, err, tt.blobs, tt.below)
				}
			})
		}
	})
}
