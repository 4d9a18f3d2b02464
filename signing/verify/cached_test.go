package verify_test

import (
	"context"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
)

func TestCached(t *testing.T) {
	v, all := samples(t)
	c := verify.NewCached(v, 1<<20)
	for name, f := range all {
		p, err := c.Verify(t.Context(), app, f)
		if err != nil {
			t.Fatalf("Verify of %s = %v", name, err)
		}
		if again, err := c.Verify(t.Context(), app, f); err != nil || again != p {
			t.Errorf("Verify of %s again = %p, %v; want the proof %p that is known", name, again, err, p)
		}
		// Whatever a result depends on makes it another one.
		for what, change := range map[string]func(f *signing.Found){
			"content":  func(f *signing.Found) { f.Content = append([]byte(" "), f.Content...) },
			"carrier":  func(f *signing.Found) { f.Manifest = app },
			"problem":  func(f *signing.Found) { f.Problem = "lost" },
			"metadata": func(f *signing.Found) { f.Annotations = map[string]string{"a": "b"} },
		} {
			g := f
			change(&g)
			if other, _ := c.Verify(t.Context(), app, g); other == p {
				t.Errorf("Verify of %s with another %s = the proof that is known", name, what)
			}
		}
		if _, err := c.Verify(t.Context(), "sha256:00", f); !errors.Is(err, verify.ErrRefused) {
			t.Errorf("Verify of %s for another manifest = %v, want ErrRefused", name, err)
		}
	}
}

func TestCachedIsBounded(t *testing.T) {
	k := generate(t, key.P256)
	c := verify.NewCached(newVerifier(t, nil, verify.Key{Name: "release", Public: k.Public}), 5<<10) // two proofs
	one, two, three := signed(t, k, app), signed(t, k, app), signed(t, k, app)
	one.Manifest, two.Manifest, three.Manifest = digest.FromString("1"), digest.FromString("2"), digest.FromString("3")
	get := func(f signing.Found) *verify.Proof {
		t.Helper()
		p, err := c.Verify(t.Context(), app, f)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second := get(one), get(two)
	if get(one) != first { // so that two is the older one
		t.Error("Verify of the first = another proof, want the known one")
	}
	get(three)
	if get(one) != first {
		t.Error("Verify of the first after the third = another proof, want the known one")
	}
	if get(two) == second {
		t.Error("Verify of the second after the third = the known proof, want it to be forgotten")
	}
}

func TestCachedDoesNotKeepInterruptions(t *testing.T) {
	k := generate(t, key.P256)
	c := verify.NewCached(newVerifier(t, nil, verify.Key{Name: "release", Public: k.Public}), 1<<20)
	f := signed(t, k, app)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Verify(ctx, app, f); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify with an ended context = %v, want its error", err)
	}
	if _, err := c.Verify(t.Context(), app, f); err != nil {
		t.Errorf("Verify after it = %v", err)
	}
}
