package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// env is a registry on SQLite and memory.
type env struct {
	*testing.T
	reg   *registry.Registry
	db    meta.DB
	blobs *mem.Store
}

func open(t *testing.T, o registry.Options) *env {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	e := &env{T: t, db: db, blobs: mem.New()}
	o.Meta, o.Blobs = db, e.blobs
	e.reg = registry.New(o)
	t.Cleanup(func() {
		if err := errors.Join(e.reg.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *env) pushBlob(repo, content string) digest.Digest {
	e.Helper()
	d := digest.FromString(content)
	if err := e.reg.PushBlob(e.Context(), repo, d, strings.NewReader(content), int64(len(content)), policy.Principal{}); err != nil {
		e.Fatalf("PushBlob(%s, %q) = %v", repo, content, err)
	}
	return d
}

// image pushes what a manifest needs and returns the manifest.
func (e *env) image(repo, name string) []byte {
	e.Helper()
	config := e.pushBlob(repo, "config of "+name)
	return fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.example","digest":%q,"size":%d}}`,
		config, len("config of "+name))
}

func (e *env) push(repo string, content []byte, c registry.Condition, tags ...string) (registry.Pushed, error) {
	return e.reg.PushManifest(e.Context(), registry.ManifestPush{
		Repo: repo, Tags: tags, Content: content, Condition: c,
		ContentType: "application/vnd.oci.image.manifest.v1+json",
	})
}

// code is the code of a refusal, "" for none.
func code(err error) registry.Code {
	var e *registry.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestImmutable(t *testing.T) {
	tests := []struct {
		tag  string
		want bool
	}{
		{"1.2.3", true},
		{"v1.2.3", true},
		{"0.0.0", true},
		{"1.2.3-rc.1", true},
		{"1.2.3-rc.1_build.5", true},
		{"1.2.3_build", true},
		{"v1.2.3-0.a-b", true},
		{"oci-image-1.2.3", true},
		{"oci-image-v1.2.3-rc.1", true},
		{"compat-1.2.3_5", true},
		{"a-1.2.3-b-4", true},
		{"1", false},
		{"1.2", false},
		{"v1", false},
		{"latest", false},
		{"1.2.3.4", false},
		{"01.2.3", false},
		{"1.2.3-01", false},
		{"1.2.3-", false},
		{"1.2.3_", false},
		{"1.2.3-a..b", false},
		{"1.2.3_a_b", false},
		{"V1.2.3", false},
		{"x1.2.3", false},
		{"-1.2.3", false},
		{"--1.2.3", false},
		{"Oci-1.2.3", false},
		{"a_b-1.2.3", false},
		{"sha256-" + strings.Repeat("0", 64), false},
		{"sha256-" + strings.Repeat("0", 64) + ".sig", false},
		{"", false},
	}
	for _, tt := range tests {
		if got := registry.Immutable(tt.tag); got != tt.want {
			t.Errorf("Immutable(%q) = %v, want %v", tt.tag, got, tt.want)
		}
	}
}

func TestFullVersionsKeepTheirDigest(t *testing.T) {
	e := open(t, registry.Options{})
	one, two := e.image("r", "one"), e.image("r", "two")
	for _, tag := range []string{"1.0.0", "oci-image-1.0.0", "latest", "1.0"} {
		if _, err := e.push("r", one, registry.Condition{}, tag); err != nil {
			t.Fatalf("first push of %s = %v", tag, err)
		}
		if _, err := e.push("r", one, registry.Condition{}, tag); err != nil {
			t.Errorf("same content again to %s = %v, want success", tag, err)
		}
		_, err := e.push("r", two, registry.Condition{}, tag)
		if want := map[bool]registry.Code{true: registry.Denied, false: ""}[registry.Immutable(tag)]; code(err) != want {
			t.Errorf("other content to %s = %v, want code %q", tag, err, want)
		}
		if registry.Immutable(tag) && !strings.Contains(fmt.Sprint(err), registry.SettingImmutableTags) {
			t.Errorf("the refusal %v does not name the setting %s", err, registry.SettingImmutableTags)
		}
	}
}

func TestDeletedVersionComesBackOnlyAsItWas(t *testing.T) {
	for _, by := range []string{"tag", "digest"} {
		t.Run("deleted by "+by, func(t *testing.T) {
			e := open(t, registry.Options{})
			one, two := e.image("r", "one"), e.image("r", "two")
			pushed, err := e.push("r", one, registry.Condition{}, "1.0.0", "latest")
			if err != nil {
				t.Fatal(err)
			}
			if by == "tag" {
				err = errors.Join(e.reg.DeleteTag(t.Context(), "r", "1.0.0", registry.Condition{}, policy.Principal{}),
					e.reg.DeleteTag(t.Context(), "r", "latest", registry.Condition{}, policy.Principal{}))
			} else {
				err = e.reg.DeleteManifest(t.Context(), "r", pushed.Digest, policy.Principal{})
			}
			if err != nil {
				t.Fatalf("delete by %s = %v", by, err)
			}
			if _, err := e.push("r", two, registry.Condition{}, "1.0.0"); code(err) != registry.Denied {
				t.Errorf("other content to the deleted 1.0.0 = %v, want DENIED", err)
			}
			if _, err := e.push("r", two, registry.Condition{}, "latest"); err != nil {
				t.Errorf("other content to the deleted latest = %v, want success", err)
			}
			if _, err := e.push("r", one, registry.Condition{}, "1.0.0"); err != nil {
				t.Errorf("the same content to the deleted 1.0.0 = %v, want success", err)
			}
		})
	}
}

func TestMutableVersionsMove(t *testing.T) {
	e := open(t, registry.Options{MutableVersions: true})
	for _, name := range []string{"one", "two"} {
		if _, err := e.push("r", e.image("r", name), registry.Condition{}, "1.0.0"); err != nil {
			t.Errorf("push of %s to 1.0.0 = %v, want success", name, err)
		}
	}
}

func TestConditions(t *testing.T) {
	e := open(t, registry.Options{})
	one, two := e.image("r", "one"), e.image("r", "two")
	d1, d2 := digest.FromBytes(one), digest.FromBytes(two)
	tests := []struct {
		name    string
		current []byte // what the tag is before, nil for nothing
		c       registry.Condition
		ok      bool
	}{
		{"it is what was read", one, registry.Condition{Match: []digest.Digest{d1}}, true},
		{"it is one of several", one, registry.Condition{Match: []digest.Digest{d2, d1}}, true},
		{"it is something else", one, registry.Condition{Match: []digest.Digest{d2}}, false},
		{"it matches nothing", one, registry.Condition{Match: []digest.Digest{}}, false},
		{"it is gone", nil, registry.Condition{Match: []digest.Digest{d1}}, false},
		{"something is there", one, registry.Condition{Exists: true}, true},
		{"nothing is there", nil, registry.Condition{Exists: true}, false},
		{"it has to be new and is", nil, registry.Condition{Absent: true}, true},
		{"it has to be new and is not", one, registry.Condition{Absent: true}, false},
		{"it is not what it must not be", one, registry.Condition{NoneMatch: []digest.Digest{d2}}, true},
		{"it is what it must not be", one, registry.Condition{NoneMatch: []digest.Digest{d1}}, false},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tag := fmt.Sprintf("tag-%d", i)
			if tt.current != nil {
				if _, err := e.push("r", tt.current, registry.Condition{}, tag); err != nil {
					t.Fatal(err)
				}
			}
			_, err := e.push("r", two, tt.c, tag)
			if (err == nil) != tt.ok || !tt.ok && !errors.Is(err, registry.ErrPrecondition) {
				t.Errorf("push with %+v = %v, want success %v", tt.c, err, tt.ok)
			}
		})
	}
}

// Of many writers that all read the same state, one wins.
func TestCompareAndSwapHasOneWinner(t *testing.T) {
	e := open(t, registry.Options{})
	first, err := e.push("r", e.image("r", "first"), registry.Condition{}, "latest")
	if err != nil {
		t.Fatal(err)
	}
	var manifests [][]byte
	for i := range 8 {
		manifests = append(manifests, e.image("r", fmt.Sprint(i)))
	}
	var wg sync.WaitGroup
	var won atomic.Int32
	for _, m := range manifests {
		wg.Go(func() {
			_, err := e.push("r", m, registry.Condition{Match: []digest.Digest{first.Digest}}, "latest")
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, registry.ErrPrecondition):
				t.Errorf("push = %v, want success or a failed precondition", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of %d writers won, want one", won.Load(), len(manifests))
	}
}

func TestIdleUploadExpires(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	synctest.Test(t, func(t *testing.T) {
		reg := registry.New(registry.Options{Meta: db, Blobs: mem.New(), UploadExpiry: time.Hour})
		defer reg.Close()
		idle, err := reg.StartUpload("r", policy.Principal{}, "")
		if err != nil {
			t.Fatal(err)
		}
		used, err := reg.StartUpload("r", policy.Principal{}, "")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute) // of the bubble: no time passes
		if _, err := reg.AppendUpload(t.Context(), used, registry.Chunk{Body: strings.NewReader("x"), Length: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if _, err := reg.UploadSize(idle); code(err) != registry.BlobUploadUnknown {
			t.Errorf("UploadSize of an upload idle for 80 minutes = %v, want BLOB_UPLOAD_UNKNOWN", err)
		}
		if n, err := reg.UploadSize(used); n != 1 || err != nil {
			t.Errorf("UploadSize of an upload used 30 minutes ago = %d, %v, want 1", n, err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := reg.OpenUploads(); n != 0 {
			t.Errorf("%d uploads are open after two hours, want none", n)
		}
	})
}

func TestMountSeesOnlyWhatTheCallerSees(t *testing.T) {
	e := open(t, registry.Options{})
	d := e.pushBlob("secret/x", "content")
	mounted, err := e.reg.MountBlob(t.Context(), "mine", d, "", meta.Visibility{Namespaces: []string{"public", "secre"}}, registry.Caller{})
	if mounted || err != nil {
		t.Errorf("MountBlob of what the caller cannot see = %v, %v, want false", mounted, err)
	}
	if _, err := e.reg.Blob(t.Context(), "mine", d, registry.Caller{}); code(err) != registry.NameUnknown {
		t.Errorf("Blob after that = %v, want NAME_UNKNOWN", err)
	}
	mounted, err = e.reg.MountBlob(t.Context(), "mine", d, "", meta.Visibility{Namespaces: []string{"secret"}}, registry.Caller{})
	if !mounted || err != nil {
		t.Errorf("MountBlob of what the caller sees = %v, %v, want true", mounted, err)
	}
}

// A blob that is condemned is stored anew, so that its deletion cannot take the
// new copy along.
func TestCondemnedBlobGetsANewGeneration(t *testing.T) {
	e := open(t, registry.Options{})
	d := e.pushBlob("r", "content")
	if err := e.reg.DeleteBlob(t.Context(), "r", d); err != nil {
		t.Fatal(err)
	}
	err := e.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		return tx.SetBlobState(ctx, d, 0, meta.BlobLive, meta.BlobCondemned, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	mounted, err := e.reg.MountBlob(t.Context(), "other", d, "", meta.Visibility{Everything: true}, registry.Caller{})
	if mounted || err != nil {
		t.Errorf("MountBlob of a condemned blob = %v, %v, want false", mounted, err)
	}
	e.pushBlob("r", "content")
	b, err := e.reg.Blob(t.Context(), "r", d, registry.Caller{})
	if err != nil || b.Generation != 1 {
		t.Fatalf("Blob after another push = %+v, %v, want generation 1", b, err)
	}
	if err := e.blobs.Delete(t.Context(), blob.Key{Digest: d}); err != nil {
		t.Fatal(err)
	}
	e.reads(b, "content")
}

func (e *env) reads(b meta.Blob, want string) {
	e.Helper()
	body, err := e.reg.OpenBlob(e.Context(), b, 0, -1)
	if err != nil {
		e.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); string(got) != want || err != nil {
		e.Errorf("blob %s reads %q, %v, want %q", b.Digest, got, err, want)
	}
}

// A push of bytes that the store has lost brings them back.
func TestPushHealsLostBytes(t *testing.T) {
	e := open(t, registry.Options{})
	d := e.pushBlob("r", "content")
	if err := e.blobs.Delete(t.Context(), blob.Key{Digest: d}); err != nil {
		t.Fatal(err)
	}
	e.pushBlob("r", "content")
	b, err := e.reg.Blob(t.Context(), "r", d, registry.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	e.reads(b, "content")
}

// What is stored already is compared and not stored twice.
func TestSecondPushStoresNothing(t *testing.T) {
	e := open(t, registry.Options{})
	d := e.pushBlob("a", "content")
	e.pushBlob("b", "content")
	copies := 0
	if err := e.blobs.List(t.Context(), func(blob.Info) error { copies++; return nil }); err != nil || copies != 1 {
		t.Errorf("%d copies are stored, %v, want one", copies, err)
	}
	err := e.reg.PushBlob(t.Context(), "c", d, strings.NewReader("CONTENT"), 7, policy.Principal{})
	if code(err) != registry.DigestInvalid {
		t.Errorf("PushBlob of other bytes under a known digest = %v, want DIGEST_INVALID", err)
	}
	if _, err := e.reg.Blob(t.Context(), "c", d, registry.Caller{}); code(err) != registry.NameUnknown {
		t.Errorf("Blob after that = %v, want NAME_UNKNOWN", err)
	}
}

// Concurrent pushes of the same blobs and manifests all succeed.
func TestConcurrentPushesOfTheSame(t *testing.T) {
	e := open(t, registry.Options{})
	content := strings.Repeat("x", 300_000)
	d := digest.FromString(content)
	m := e.image("r", "same")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if err := e.reg.PushBlob(t.Context(), fmt.Sprint("r", i%3), d, strings.NewReader(content), -1, policy.Principal{}); err != nil {
				t.Errorf("PushBlob = %v", err)
			}
			if _, err := e.push("r", m, registry.Condition{}, "1.0.0", fmt.Sprint("tag", i)); err != nil {
				t.Errorf("PushManifest = %v", err)
			}
		})
	}
	wg.Wait()
	tags, more, err := e.reg.Tags(t.Context(), "r", "", registry.All)
	if len(tags) != 17 || more || err != nil {
		t.Errorf("Tags = %d tags, %v, %v, want 17", len(tags), more, err)
	}
}

// A foreign layer that was pushed here nevertheless is pinned like any other.
func TestForeignLayerThatIsHereIsPinned(t *testing.T) {
	e := open(t, registry.Options{})
	config, layer := e.pushBlob("r", "{}"), e.pushBlob("r", "layer")
	const kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	m := fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":%q,"size":2},"layers":[{"mediaType":%q,"digest":%q,"size":5},
		{"mediaType":%q,"digest":%q,"size":5}]}`, config, kind, layer, kind, digest.FromString("elsewhere"))
	if _, err := e.push("r", m, registry.Condition{}, "a"); err != nil {
		t.Fatal(err)
	}
	if err := e.reg.DeleteBlob(t.Context(), "r", layer); !errors.Is(err, registry.ErrInUse) {
		t.Errorf("DeleteBlob of the foreign layer = %v, want ErrInUse", err)
	}
}

func TestBlobLargerThanTheLimit(t *testing.T) {
	e := open(t, registry.Options{MaxBlob: 10})
	content := []byte("01234567890")
	for _, length := range []int64{-1, int64(len(content))} {
		err := e.reg.PushBlob(t.Context(), "r", digest.FromBytes(content), bytes.NewReader(content), length, policy.Principal{})
		if !errors.Is(err, registry.ErrTooLarge) {
			t.Errorf("PushBlob of 11 bytes, announced as %d = %v, want ErrTooLarge", length, err)
		}
	}
	e.pushBlob("r", "0123456789")
}

// The details of every refusal are JSON.
func TestDetailsAreJSON(t *testing.T) {
	e := open(t, registry.Options{})
	_, err := e.push("r", []byte("{"), registry.Condition{}, "a")
	var told *registry.Error
	if !errors.As(err, &told) {
		t.Fatalf("push of garbage = %v, want a refusal", err)
	}
	if _, err := json.Marshal(told.Detail); err != nil {
		t.Errorf("detail %v: %v", told.Detail, err)
	}
}
