package gc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// start is when the tests' history begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A world is a registry's storage with the writing that a registry does.
type world struct {
	t     testing.TB
	db    meta.DB
	store blob.Store
	now   time.Time
	empty func(testing.TB) meta.DB // opens another database of the kind
}

func newWorld(t testing.TB) *world { return newWorldOn(t, newSQLite) }

func newWorldOn(t testing.TB, empty func(testing.TB) meta.DB) *world {
	return &world{t: t, db: empty(t), store: mem.New(), now: start, empty: empty}
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorldOn(t, newSQLite)) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorldOn(t, newPostgres)) })
}

func newSQLite(t testing.TB) meta.DB {
	t.Helper()
	return openSQLite(t, filepath.Join(t.TempDir(), "meta.db"))
}

func newPostgres(t testing.TB) meta.DB {
	t.Helper()
	return openPostgres(t, testenv.Postgres(t))
}

func openPostgres(t testing.TB, dsn string) meta.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), dsn, postgres.Options{Migrate: true})
	if err != nil {
		t.Fatalf("open PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close PostgreSQL: %v", err)
		}
	})
	return db
}

func openSQLite(t testing.TB, path string) meta.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close %s: %v", path, err)
		}
	})
	return db
}

func (w *world) update(fn func(ctx context.Context, tx meta.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(w.t.Context(), fn); err != nil {
		w.t.Fatalf("update: %v", err)
	}
}

// storeBytes commits content as generation of its digest, without a row.
func (w *world) storeBytes(content string, generation int64) blob.Key {
	w.t.Helper()
	k := blob.Key{Digest: digest.FromString(content), Generation: generation}
	u, err := w.store.Create(w.t.Context(), digest.SHA256)
	if err != nil {
		w.t.Fatalf("create upload: %v", err)
	}
	if _, err := io.WriteString(u, content); err != nil {
		w.t.Fatalf("write upload: %v", err)
	}
	if err := u.Commit(w.t.Context(), k); err != nil {
		w.t.Fatalf("commit %s: %v", k, err)
	}
	return k
}

// pushBlob stores content and links it to repo, as a registry does.
func (w *world) pushBlob(repo, content string) digest.Digest {
	w.t.Helper()
	d := digest.FromString(content)
	var generation int64
	if known, err := w.db.FindBlob(w.t.Context(), d); err == nil {
		generation = meta.NextGeneration(known)
	}
	w.storeBytes(content, generation)
	w.update(func(ctx context.Context, tx meta.Tx) error {
		return tx.LinkBlob(ctx, repo, meta.Blob{Digest: d, Generation: generation, Size: int64(len(content)), Since: w.now})
	})
	return d
}

type manifestJSON struct {
	Layers    []descriptor `json:"layers,omitempty"`
	Manifests []descriptor `json:"manifests,omitempty"`
	Subject   *descriptor  `json:"subject,omitempty"`
	Name      string       `json:"name"`
	tag       string       // not part of it
}

// manifest makes one; the name keeps equal manifests apart.
func (m manifestJSON) make(repo string, at time.Time) meta.NewManifest {
	content, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	n := meta.NewManifest{Manifest: meta.Manifest{
		Repo: repo, Digest: digest.FromBytes(content), Content: content, Created: at,
		MediaType: "application/vnd.oci.image.manifest.v1+json",
	}}
	for _, l := range m.Layers {
		n.Blobs = append(n.Blobs, l.Digest)
	}
	for _, c := range m.Manifests {
		n.Manifests = append(n.Manifests, c.Digest)
	}
	if m.Subject != nil {
		n.Subject = m.Subject.Digest
	}
	return n
}

// put stores a manifest and, if it has one, its tag.
func (w *world) put(repo string, m manifestJSON) digest.Digest {
	w.t.Helper()
	n := m.make(repo, w.now)
	w.update(func(ctx context.Context, tx meta.Tx) error {
		if _, err := tx.PutManifest(ctx, n); err != nil {
			return err
		}
		if m.tag == "" {
			return nil
		}
		return tx.PutTag(ctx, repo, m.tag, n.Digest, w.now)
	})
	return n.Digest
}

// push stores a manifest over blobs of the given contents.
func (w *world) push(repo, tag string, contents ...string) digest.Digest {
	w.t.Helper()
	m := manifestJSON{Name: repo + ":" + tag, tag: tag}
	for _, c := range contents {
		m.Layers = append(m.Layers, descriptor{Digest: w.pushBlob(repo, c)})
	}
	return w.put(repo, m)
}

// populate writes something of every kind, with deletions.
func (w *world) populate() {
	w.t.Helper()
	app := w.push("team/app", "1.0.0", "base", "app one")
	w.push("team/app", "1.1.0", "base", "app two")
	w.push("team/app", "old", "app zero")
	w.push("other", "latest", "base")
	w.put("team/app", manifestJSON{Name: "signature", Subject: &descriptor{Digest: app}})
	w.put("team/app", manifestJSON{Name: "index", tag: "index", Manifests: []descriptor{{Digest: app}}})
	w.push("short", "lived", "of no use")
	w.update(func(ctx context.Context, tx meta.Tx) error {
		if err := tx.DeleteTag(ctx, "team/app", "1.1.0", true, w.now); err != nil {
			return err
		}
		if err := tx.DeleteRepository(ctx, "short"); err != nil {
			return err
		}
		return w.rule(ctx, tx)
	})
}

// rule writes what people say: policies, approvals and notices, each kind once
// to stay and once to end.
func (w *world) rule(ctx context.Context, tx meta.Tx) error {
	for _, p := range []meta.Policy{
		{Name: "network", Source: "deny: sockets", Author: "ann", Created: w.now},
		{Name: "network", Source: "deny: all", Author: "bob", Created: w.now},
		{Name: "size", Source: "deny: large", Author: "ann", Created: w.now},
	} {
		if _, err := tx.PutPolicy(ctx, p); err != nil {
			return err
		}
	}
	if err := tx.DeletePolicy(ctx, "size", "bob", w.now); err != nil {
		return err
	}
	for _, rule := range []string{"network/all", "size/cap"} {
		a := meta.Approval{Repo: "not/yet", Digest: digest.FromString("refused"), Rule: rule, By: "eve", Reason: "looked at", Time: w.now}
		if err := tx.PutApproval(ctx, a); err != nil {
			return err
		}
	}
	if err := tx.DeleteApproval(ctx, "not/yet", digest.FromString("refused"), "size/cap"); err != nil {
		return err
	}
	yanked := meta.Notice{State: meta.NoticeYanked, Reason: "leaks keys", By: "ann", Time: w.now}
	for _, tag := range []string{"1.0.0", "old"} {
		if err := tx.SetNotice(ctx, "team/app", tag, yanked); err != nil {
			return err
		}
	}
	return tx.SetNotice(ctx, "team/app", "old", meta.Notice{})
}

func (w *world) journaler(opts JournalOptions) *Journaler {
	return NewJournaler(w.db, w.store, opts)
}

func (w *world) flush() {
	w.t.Helper()
	if err := w.journaler(JournalOptions{}).Flush(w.t.Context()); err != nil {
		w.t.Fatalf("Flush() = %v", err)
	}
}

func (w *world) snapshot() Snapshotted {
	w.t.Helper()
	s, err := Snapshot(w.t.Context(), w.db, w.store)
	if err != nil {
		w.t.Fatalf("Snapshot() = %v", err)
	}
	return s
}

func (w *world) collect(opts CollectOptions) Collected {
	w.t.Helper()
	opts.Now = w.now
	got, err := Collect(w.t.Context(), w.db, w.store, opts)
	if err != nil {
		w.t.Fatalf("Collect(%+v) = %v", opts, err)
	}
	return got
}

// check runs fsck and returns its findings as "kind: message" without what
// differs between runs.
func (w *world) check(opts CheckOptions) (Checked, []Finding) {
	w.t.Helper()
	var findings []Finding
	opts.Report = func(f Finding) { findings = append(findings, f) }
	got, err := Check(w.t.Context(), w.db, w.store, opts)
	if err != nil {
		w.t.Fatalf("Check() = %v", err)
	}
	return got, findings
}

// wantSound fails the test unless fsck finds nothing at all.
func (w *world) wantSound() {
	w.t.Helper()
	got, findings := w.check(CheckOptions{Now: w.now.Add(1000 * time.Hour)})
	if !got.OK || len(findings) > 0 {
		w.t.Fatalf("Check() = %+v with %+v, want a sound storage", got, findings)
	}
}

func dump(t testing.TB, db Dumper) string {
	t.Helper()
	var b bytes.Buffer
	if err := db.Dump(t.Context(), &b); err != nil {
		t.Fatalf("dump: %v", err)
	}
	return b.String()
}

func wantSameDump(t testing.TB, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("dumps differ (-want +got):\n%s", diff)
	}
}

// objects lists the names in a folder.
func (w *world) objects(dir string) []string {
	w.t.Helper()
	var names []string
	err := w.store.ListObjects(w.t.Context(), dir, func(name string, _ int64) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		w.t.Fatalf("list %s: %v", dir, err)
	}
	return names
}

func (w *world) readObject(name string) []byte {
	w.t.Helper()
	r, err := w.store.OpenObject(w.t.Context(), name)
	if err != nil {
		w.t.Fatalf("open %s: %v", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatalf("read %s: %v", name, err)
	}
	return b
}

func (w *world) writeObject(name string, content []byte) {
	w.t.Helper()
	if err := w.store.PutObject(w.t.Context(), name, bytes.NewReader(content)); err != nil {
		w.t.Fatalf("write %s: %v", name, err)
	}
}

func (w *world) deleteObject(name string) {
	w.t.Helper()
	if err := w.store.DeleteObject(w.t.Context(), name); err != nil {
		w.t.Fatalf("delete %s: %v", name, err)
	}
}

// entries reads the whole journal.
func (w *world) entries() []int64 {
	w.t.Helper()
	objects, err := listObjects(w.t.Context(), w.store, journalDir)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []int64
	for _, o := range objects {
		_, err := readJournal(w.t.Context(), w.store, o, func(e meta.Entry) error {
			all = append(all, e.Sequence)
			return nil
		})
		if err != nil {
			w.t.Fatalf("readJournal(%s) = %v", o.name, err)
		}
	}
	return all
}

func (w *world) holds(k blob.Key) bool {
	w.t.Helper()
	_, err := w.store.Stat(w.t.Context(), k)
	if err != nil && !strings.Contains(err.Error(), blob.ErrNotFound.Error()) {
		w.t.Fatalf("stat %s: %v", k, err)
	}
	return err == nil
}

func sequences(from, to int64) []int64 {
	var s []int64
	for ; from <= to; from++ {
		s = append(s, from)
	}
	return s
}

func (f Finding) String() string {
	return fmt.Sprintf("%s %s %s%s%s: %s", f.Severity, f.Kind, f.Repo, f.Digest, f.Object, f.Message)
}
