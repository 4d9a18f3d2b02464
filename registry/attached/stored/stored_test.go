package stored_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/attached/stored"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// env is a registry with one repository.
type env struct {
	*testing.T
	db   meta.DB
	reg  *registry.Registry
	repo stored.Repository
}

func open(t *testing.T) *env {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	blobs := mem.New()
	e := &env{
		T: t, db: db, reg: registry.New(registry.Options{Meta: db, Blobs: blobs}),
		repo: stored.Repository{Meta: db, Blobs: blobs, Name: "team/app"},
	}
	t.Cleanup(func() {
		if err := errors.Join(e.reg.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// push stores a manifest with one layer, which refers to subject unless that is
// "".
func (e *env) push(subject digest.Digest, artifactType, text string) digest.Digest {
	e.Helper()
	for _, blob := range []string{"{}", text} {
		d := digest.FromString(blob)
		if err := e.reg.PushBlob(e.Context(), e.repo.Name, d, strings.NewReader(blob), int64(len(blob)), policy.Principal{}); err != nil {
			e.Fatal(err)
		}
	}
	about := ""
	if subject != "" {
		about = fmt.Sprintf(`,"subject":{"mediaType":%q,"digest":%q,"size":1}`, ocispec.MediaTypeImageManifest, subject)
	}
	content := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},`+
		`"layers":[{"mediaType":%q,"digest":%q,"size":%d}]%s}`,
		ocispec.MediaTypeImageManifest, artifactType, ocispec.MediaTypeEmptyJSON, digest.FromString("{}"),
		artifactType, digest.FromString(text), len(text), about)
	p, err := e.reg.PushManifest(e.Context(), registry.ManifestPush{
		Repo: e.repo.Name, Content: content, ContentType: ocispec.MediaTypeImageManifest,
	})
	if err != nil {
		e.Fatal(err)
	}
	return p.Digest
}

func (e *env) read(subject digest.Digest) *attached.Attachments {
	e.Helper()
	a, err := attached.Read(e.Context(), e.repo, ocispec.Descriptor{Digest: subject}, attached.Limits{})
	if err != nil {
		e.Fatalf("Read() = %v", err)
	}
	return a
}

func bom(n int) string {
	return fmt.Sprintf(`{"bomFormat":"CycloneDX","components":[{"name":"a","purl":"pkg:cargo/a@1.0.%d"}]}`, n)
}

// More referrers than a page of the listing has are all read, in order.
func TestRead(t *testing.T) {
	e := open(t)
	subject := e.push("", "application/vnd.example", "package")
	e.push(subject, "application/vnd.example.signature", "signed")
	for i := range 40 {
		e.push(subject, "application/vnd.cyclonedx+json", bom(i))
	}
	a := e.read(subject)
	if n := len(a.Declared().Root.Components); n != 40 || len(a.Problems()) != 0 || a.Omitted != "" {
		t.Errorf("Read() declares %d components, problems %v, omitted %q; want 40", n, a.Problems(), a.Omitted)
	}
	for i := 1; i < len(a.SBOMs); i++ {
		if a.SBOMs[i-1].Referrer >= a.SBOMs[i].Referrer {
			t.Errorf("Read() gives %s before %s", a.SBOMs[i-1].Referrer, a.SBOMs[i].Referrer)
		}
	}
}

func TestReadOfNothing(t *testing.T) {
	e := open(t)
	if a := e.read(digest.FromString("of no repository")); len(a.SBOMs)+len(a.VEX) != 0 {
		t.Errorf("Read() in a repository that is not there = %+v", a)
	}
	subject := e.push("", "application/vnd.example", "package")
	if a := e.read(subject); len(a.SBOMs)+len(a.VEX) != 0 || a.Omitted != "" {
		t.Errorf("Read() without referrers = %+v", a)
	}
}

// What policy does not let be read is not believed.
func TestReadLeavesOutWhatIsDenied(t *testing.T) {
	e := open(t)
	subject := e.push("", "application/vnd.example", "package")
	denied := e.push(subject, "application/vnd.cyclonedx+json", bom(1))
	if !e.read(subject).Published() {
		t.Fatal("Read() finds no bill of materials before the verdict")
	}
	deny(t, e, denied)
	a := e.read(subject)
	if a.Published() || len(a.Problems()) != 1 {
		t.Errorf("Read() of a denied referrer is published %t, problems %v; want one problem", a.Published(), a.Problems())
	}
	_, err := e.repo.Fetch(t.Context(), ocispec.Descriptor{Digest: denied, Size: 1})
	if !errors.Is(err, errdef.ErrNotFound) {
		t.Errorf("Fetch() = %v, want %v", err, errdef.ErrNotFound)
	}
}

func deny(t *testing.T, e *env, d digest.Digest) {
	t.Helper()
	err := e.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		return tx.SetVerdict(ctx, e.repo.Name, d, meta.Verdict{State: meta.VerdictDeny})
	})
	if err != nil {
		t.Fatal(err)
	}
}
