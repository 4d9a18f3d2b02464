package verify_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
)

// The seeds are signatures of each kind by a Sigstore that was made for them, whose
// trusted root lies beside. UPDATE=1 makes them anew.
const seeds = "testdata/seeds"

// seed is what a seed file holds.
type seed struct {
	Type        string            `json:"type,omitempty"`
	Content     []byte            `json:"content"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// believer trusts the seeds.
func believer(t testing.TB) (*verify.Verifier, map[string]seed) {
	t.Helper()
	r, err := root.NewTrustedRootFromPath(filepath.Join(seeds, "trusted_root.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(seeds, "release.pub"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := key.ParsePublic(text)
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(seeds, "*.seed.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]seed{}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var s seed
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = s
	}
	if len(all) != 6 {
		t.Fatalf("%d seeds in %s, want 6", len(all), seeds)
	}
	return newVerifier(t, r, verify.Key{Name: "release", Public: k}), all
}

func (s seed) found() signing.Found {
	f := signing.Found{Form: signing.FormCosign, Type: s.Type, Content: s.Content, Annotations: s.Annotations}
	if s.Type == signing.MediaTypeBundle {
		f.Form = signing.FormBundle
	}
	return f
}

func TestSeeds(t *testing.T) {
	if os.Getenv("UPDATE") != "" {
		makeSeeds(t)
	}
	v, all := believer(t)
	for name, s := range all {
		if _, err := v.Verify(t.Context(), app, s.found()); err != nil {
			t.Errorf("Verify of %s = %v", name, err)
		}
	}
}

// Whatever is read proves what one of the seeds does, or nothing.
func FuzzBundle(f *testing.F) {
	v, all := believer(f)
	var want []*verify.Proof
	for _, s := range all {
		if s.Type != signing.MediaTypeBundle {
			continue
		}
		p, err := v.Verify(f.Context(), app, s.found())
		if err != nil {
			f.Fatal(err)
		}
		want = append(want, p)
		f.Add(s.Content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		check(t, v, signing.Found{Form: signing.FormBundle, Content: content}, want)
	})
}

// Likewise of cosign's older form, whose parts are in annotations.
func FuzzCosign(f *testing.F) {
	names := []string{
		"dev.cosignproject.cosign/signature", "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/chain", "dev.sigstore.cosign/bundle",
		"dev.sigstore.cosign/rfc3161timestamp",
	}
	v, all := believer(f)
	var want []*verify.Proof
	for _, s := range all {
		if s.Type == signing.MediaTypeBundle {
			continue
		}
		p, err := v.Verify(f.Context(), app, s.found())
		if err != nil {
			f.Fatal(err)
		}
		want = append(want, p)
		a := s.Annotations
		f.Add(s.Type == signing.MediaTypeDSSE, s.Content, a[names[0]], a[names[1]], a[names[2]], a[names[3]], a[names[4]])
	}
	f.Fuzz(func(t *testing.T, dsse bool, content []byte, sig, cert, chain, entry, stamp string) {
		found := signing.Found{Form: signing.FormCosign, Type: signing.MediaTypeSimpleSigning, Content: content, Annotations: map[string]string{}}
		if dsse {
			found.Type = signing.MediaTypeDSSE
		}
		for i, value := range []string{sig, cert, chain, entry, stamp} {
			if value != "" {
				found.Annotations[names[i]] = value
			}
		}
		check(t, v, found, want)
	})
}

func check(t *testing.T, v *verify.Verifier, f signing.Found, want []*verify.Proof) {
	t.Helper()
	p, err := v.Verify(t.Context(), app, f)
	if err != nil {
		if p != nil || !errors.Is(err, verify.ErrRefused) {
			t.Fatalf("Verify = %+v, %v; want ErrRefused", p, err)
		}
		return
	}
	for _, w := range want {
		if cmp.Equal(without(w, p), p) {
			return
		}
	}
	t.Fatalf("Verify = %+v, which nobody signed", p)
}
