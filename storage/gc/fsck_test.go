package gc

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/fs"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

func openFS(t testing.TB, dir string) blob.Store {
	t.Helper()
	store, err := fs.Open(dir, fs.Options{})
	if err != nil {
		t.Fatalf("open %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close %s: %v", dir, err)
		}
	})
	return store
}

// A disk is a world on files that a test can reach into.
type disk struct {
	*world
	dir string
}

// newDisk keeps blobs in memory unless the test wants their files, which takes
// making and syncing hundreds of folders.
func newDisk(t *testing.T, files bool) *disk {
	d := &disk{dir: t.TempDir()}
	d.world = &world{t: t, store: mem.New(), now: start, empty: newSQLite}
	if files {
		d.store = openFS(t, d.dir)
	}
	d.open()
	t.Cleanup(func() {
		if err := d.db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return d
}

func (d *disk) open() {
	d.t.Helper()
	db, err := sqlite.Open(d.t.Context(), d.database(), sqlite.Options{Migrate: true})
	if err != nil {
		d.t.Fatalf("open database: %v", err)
	}
	d.db = db
}

func (d *disk) database() string { return filepath.Join(d.dir, "meta.db") }

func (d *disk) file(content string) string {
	hex := digest.FromString(content).Encoded()
	return filepath.Join(d.dir, "blobs", "sha256", hex[:2], hex)
}

// alter runs a statement behind wreg's back.
func (d *disk) alter(statement string, args ...any) {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Fatalf("close database: %v", err)
	}
	raw, err := sql.Open("sqlite", d.database())
	if err != nil {
		d.t.Fatal(err)
	}
	defer raw.Close()
	res, err := raw.ExecContext(d.t.Context(), statement, args...)
	if err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		d.t.Fatalf("%s changed %d rows, %v", statement, n, err)
	}
	d.open()
}

func (d *disk) rewrite(path string, change func([]byte) []byte) {
	d.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // it may be read-only
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func flip(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

func TestCheckFindsNothingInAHealthyStorage(t *testing.T) {
	d := newDisk(t, true)
	d.populate()
	d.wantSound()
	d.flush()
	d.wantSound()
	d.snapshot()
	d.push("team/app", "2.0.0", "app three")
	d.flush()
	d.snapshot()
	d.push("team/app", "3.0.0", "app four")
	d.flush()
	d.snapshot()
	got, findings := d.check(CheckOptions{})
	if len(findings) > 0 {
		t.Errorf("Check() found %v", findings)
	}
	want := Checked{
		OK: true, Repositories: 2, Manifests: 8, Tags: 6, Blobs: 7, Journal: 1, Snapshots: 2,
		BytesRead: int64(len("base" + "app one" + "app two" + "app zero" + "of no use" + "app three" + "app four")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Check() differs (-want +got):\n%s", diff)
	}
}

func TestCheckFindsWhatWasPlanted(t *testing.T) {
	base, app := digest.FromString("base"), digest.FromString("app one")
	tests := []struct {
		name    string
		plant   func(d *disk)
		want    []string // "severity kind", of each finding
		about   string   // in each finding
		files   bool     // the plant is in a blob's file
		quickOK bool     // not seen without reading bytes
	}{
		{
			name: "a flipped bit in a blob", files: true,
			plant: func(d *disk) { d.rewrite(d.file("app one"), flip) },
			want:  []string{"error blob-content"}, about: string(app), quickOK: true,
		},
		{
			name: "a blob cut short", files: true,
			plant: func(d *disk) {
				d.rewrite(d.file("app one"), func(b []byte) []byte { return b[:3] })
			},
			want: []string{"error blob-size"}, about: string(app),
		},
		{
			name: "a blob's file that is gone", files: true,
			plant: func(d *disk) {
				if err := os.Remove(d.file("app one")); err != nil {
					d.t.Fatal(err)
				}
			},
			want: []string{"error blob-missing"}, about: string(app),
		},
		{
			name:  "bytes without a row",
			plant: func(d *disk) { d.storeBytes("nobody's", 0) },
			want:  []string{"warning orphan"}, about: string(digest.FromString("nobody's")),
		},
		{
			name:  "bytes of another generation",
			plant: func(d *disk) { d.storeBytes("app one", 3) },
			want:  []string{"warning orphan"}, about: string(app),
		},
		{
			name: "a manifest whose content was altered",
			plant: func(d *disk) {
				d.alter(`UPDATE manifests SET content = CAST(replace(CAST(content AS TEXT), 'signature', 'signaturE') AS BLOB)
					WHERE CAST(content AS TEXT) LIKE '%signature%'`)
			},
			want: []string{"error manifest"}, about: "has digest",
		},
		{
			name: "a manifest under another digest",
			plant: func(d *disk) {
				d.alter(`UPDATE manifests SET digest = ? WHERE CAST(content AS TEXT) LIKE '%signature%'`, digest.FromString("x"))
			},
			want: []string{"error manifest"}, about: string(digest.FromString("x")),
		},
		{
			name: "a manifest under what is no digest",
			plant: func(d *disk) {
				d.alter(`UPDATE manifests SET digest = 'md5:00' WHERE CAST(content AS TEXT) LIKE '%signature%'`)
			},
			want: []string{"error manifest"}, about: "md5:00",
		},
		{
			name:  "a pinned blob that is not linked",
			plant: func(d *disk) { d.alter(`DELETE FROM repository_blobs WHERE digest = ?`, app) },
			want:  []string{"error reference"}, about: string(app),
		},
		{
			name:  "a pinned blob that is condemned",
			plant: func(d *disk) { d.alter(`UPDATE blobs SET state = 1 WHERE digest = ?`, app) },
			want:  []string{"error reference"}, about: string(app),
		},
		{
			name: "a pin that is gone",
			plant: func(d *disk) {
				d.alter(`DELETE FROM manifest_blobs WHERE digest = ?`, app)
			},
			want: []string{"warning unpinned"}, about: string(app),
		},
		{
			name: "a tag that points to nothing",
			plant: func(d *disk) {
				d.alter(`UPDATE tags SET manifest = 999 WHERE name = 'index'`)
			},
			want: []string{"error database", "error tag"},
		},
		{
			name: "a yanked tag that points to nothing",
			plant: func(d *disk) {
				d.alter(`UPDATE tags SET manifest = 999 WHERE name = '1.0.0' AND notice = 2`)
			},
			want: []string{"error database", "error tag"},
		},
		{
			name: "an index without a child",
			plant: func(d *disk) {
				d.put("team/app", manifestJSON{Name: "sparse", Manifests: []descriptor{{Digest: base}}})
			},
			want: []string{"warning sparse"}, about: string(base),
		},
		{
			name: "a journal object that is gone",
			plant: func(d *disk) {
				names := d.journalOneByOne()
				d.deleteObject(names[3])
			},
			want: []string{"error journal"}, about: "entry 4",
		},
		{
			name: "a journal object that is damaged",
			plant: func(d *disk) {
				names := d.journalOneByOne()
				d.writeObject(names[3], flip(d.readObject(names[3])))
			},
			want: []string{"error journal"}, about: "00000000000000000004-",
		},
		{
			name: "a journal without its end",
			plant: func(d *disk) {
				names := d.journalOneByOne()
				d.deleteObject(names[len(names)-1])
				d.deleteObject(names[len(names)-2])
			},
			want: []string{"error journal"}, about: "entries 14 to 15",
		},
		{
			name: "a snapshot that is damaged",
			plant: func(d *disk) {
				d.flush()
				name := d.snapshot().Name
				d.writeObject(name, flip(d.readObject(name)))
			},
			want: []string{"error snapshot"}, about: "snapshot/",
		},
		{
			name:  "an object that is not ours",
			plant: func(d *disk) { d.writeObject("journal/notes.txt", []byte("hello")) },
			want:  []string{"warning stray"}, about: "notes.txt",
		},
		{
			name: "a database older than its journal",
			plant: func(d *disk) {
				d.flush()
				d.alter(`UPDATE state SET value = 3`)
			},
			want: []string{"error behind"}, about: "entry 3",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDisk(t, tt.files)
			d.populate()
			d.wantSound()
			tt.plant(d)
			later := time.Now().Add(2 * DefaultGrace)
			got, findings := d.check(CheckOptions{Now: later})
			var kinds []string
			for _, f := range findings {
				kinds = append(kinds, string(f.Severity)+" "+string(f.Kind))
				if b, err := json.Marshal(f); err != nil || !strings.Contains(string(b), tt.about) {
					t.Errorf("finding %s, %v does not say %q", b, err, tt.about)
				}
			}
			if diff := cmp.Diff(tt.want, kinds); diff != "" {
				t.Errorf("Check() found %v (-want +got):\n%s", findings, diff)
			}
			if want := strings.HasPrefix(tt.want[0], "warning"); got.OK != want {
				t.Errorf("Check() = %+v, want OK %t", got, want)
			}
			if quick, findings := d.check(CheckOptions{Now: later, Quick: true}); (len(findings) == 0) != tt.quickOK || quick.BytesRead > 0 {
				t.Errorf("Check(quick) = %+v with %v, want findings %t", quick, findings, !tt.quickOK)
			}
		})
	}
}

func TestCheckRepairsOrphansOnly(t *testing.T) {
	d := newDisk(t, true)
	d.populate()
	orphan := d.storeBytes("nobody's", 0)
	d.rewrite(d.file("app one"), flip)
	later := time.Now().Add(2 * DefaultGrace)
	got, findings := d.check(CheckOptions{Now: later, Repair: true})
	if got.OK || got.Errors != 1 || got.Repaired != 1 || len(findings) != 2 {
		t.Errorf("Check(repair) = %+v with %v, want one repaired and one error", got, findings)
	}
	if d.holds(orphan) {
		t.Error("the orphan is still there")
	}
	if !d.holds(blob.Key{Digest: digest.FromString("app one")}) {
		t.Error("the damaged blob was removed")
	}
}

func TestCheckRepairsNothingForADatabaseThatIsBehind(t *testing.T) {
	d := newDisk(t, false)
	d.populate()
	d.flush()
	other := newWorld(t)
	other.store = d.store
	other.push("repo", "tag", "layer")
	got, _ := other.check(CheckOptions{Now: time.Now().Add(2 * DefaultGrace), Repair: true})
	if got.OK || got.Repaired != 0 || got.Orphans == 0 {
		t.Errorf("Check(repair) with another database = %+v, want orphans found and none removed", got)
	}
	if !d.holds(blob.Key{Digest: digest.FromString("base")}) {
		t.Error("bytes that the other database does not know are gone")
	}
}

func TestCheckLeavesYoungBytesAlone(t *testing.T) {
	d := newDisk(t, false)
	d.populate()
	d.storeBytes("an upload's", 0)
	got, findings := d.check(CheckOptions{Now: time.Now().Add(DefaultGrace - time.Minute)})
	if len(findings) > 0 || !got.OK {
		t.Errorf("Check() = %+v with %v, want nothing", got, findings)
	}
}

// unreadable fails to read blobs.
type unreadable struct{ blob.Store }

func (unreadable) Open(context.Context, blob.Key, int64, int64) (io.ReadCloser, error) {
	return nil, errFault
}

func TestCheckGoesOnAfterBlobsItCannotRead(t *testing.T) {
	w := newWorld(t)
	w.populate()
	w.store = unreadable{w.store}
	got, findings := w.check(CheckOptions{})
	if got.OK || got.Errors != 5 || findings[0].Kind != KindUnreadable {
		t.Errorf("Check() = %+v with %v, want all 5 blobs unreadable", got, findings)
	}
}

func TestCheckIgnoresWhatIsCollectedMeanwhile(t *testing.T) {
	w := newWorld(t)
	d := w.pushBlob("repo", "layer")
	store := w.store
	w.store = onStat{store, func() { // not in the test's goroutine
		err := w.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
			if err := tx.UnlinkBlob(ctx, "repo", d); err != nil {
				return err
			}
			return tx.SetBlobState(ctx, d, 0, meta.BlobLive, meta.BlobCondemned, w.now)
		})
		if err == nil {
			err = store.Delete(t.Context(), blob.Key{Digest: d})
		}
		if err != nil {
			t.Error(err)
		}
	}}
	if got, findings := w.check(CheckOptions{}); !got.OK || len(findings) > 0 {
		t.Errorf("Check() = %+v with %v, want nothing", got, findings)
	}
}

func TestCheckHonoursItsContext(t *testing.T) {
	w := newWorld(t)
	w.populate()
	ctx, cancel := context.WithCancel(t.Context())
	w.store = onStat{w.store, cancel}
	got, err := Check(ctx, w.db, w.store, CheckOptions{})
	if !errors.Is(err, context.Canceled) || got.OK {
		t.Errorf("Check() = %+v, %v; want %v", got, err, context.Canceled)
	}
}

// onStat does something when a blob is first looked at.
type onStat struct {
	blob.Store
	do func()
}

func (s onStat) Stat(ctx context.Context, k blob.Key) (blob.Info, error) {
	s.do()
	return s.Store.Stat(ctx, k)
}

func TestManifestsNameOnlyWhatRegistriesHold(t *testing.T) {
	w := newWorld(t)
	d := w.pushBlob("repo", "layer")
	w.put("repo", manifestJSON{Name: "m", Layers: []descriptor{{Digest: d}}})
	foreign := manifestJSON{Name: "foreign", Layers: []descriptor{{
		Digest: digest.FromString("elsewhere"), MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	}, {
		Digest: digest.FromString("there"), MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	}}}.make("repo", w.now)
	foreign.Blobs = nil
	w.update(func(ctx context.Context, tx meta.Tx) error {
		_, err := tx.PutManifest(ctx, foreign)
		return err
	})
	w.wantSound()
}
