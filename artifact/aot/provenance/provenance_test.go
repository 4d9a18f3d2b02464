package provenance_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
)

const builder = "https://example.com/compiler"

var manifest = digest.FromString("manifest")

func config() *aot.Config {
	return &aot.Config{
		Source:   aot.Source{Digest: digest.FromString("wasm"), Size: 4},
		Compiler: aot.By{Runtime: aot.Runtime, Version: "39.0.1", Tier: aot.Optimising, Profile: aot.Profile},
		Target:   aot.Made{Platform: "linux/amd64/v3"},
		CompatID: digest.FromString("engine").String(),
		Output:   aot.Source{Digest: digest.FromString("code"), Size: 4},
		Builder:  &aot.Builder{ID: builder, Platform: "linux/amd64/v3"},
	}
}

// predicate is that of the provenance of a config, as a verifier has it.
func predicate(t *testing.T, c *aot.Config) string {
	t.Helper()
	s, err := provenance.Statement(manifest, c, provenance.Run{ID: "1", StartedOn: time.Unix(1, 0).UTC()})
	if err != nil {
		t.Fatalf("Statement = %v", err)
	}
	raw, err := json.Marshal(s.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestStatement(t *testing.T) {
	s, err := provenance.Statement(manifest, config(), provenance.Run{})
	if err != nil {
		t.Fatal(err)
	}
	want := []signing.Subject{{Digest: map[string]string{"sha256": manifest.Encoded()}}}
	if diff := cmp.Diff(want, s.Subject); diff != "" || s.PredicateType != attest.TypeProvenance {
		t.Errorf("Statement is of the type %s, its subject differs (-want +got):\n%s", s.PredicateType, diff)
	}
	again, err := provenance.Statement(manifest, config(), provenance.Run{})
	if diff := cmp.Diff(s, again); err != nil || diff != "" {
		t.Errorf("the same again = %v:\n%s", err, diff)
	}
	anonymous := config()
	anonymous.Builder = nil
	if _, err := provenance.Statement(manifest, anonymous, provenance.Run{}); !errors.Is(err, aot.ErrForm) {
		t.Errorf("Statement without a builder = %v; want %v", err, aot.ErrForm)
	}
	if _, err := provenance.Statement("x", config(), provenance.Run{}); err == nil {
		t.Error("Statement of no manifest = nil; want an error")
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name    string
		signed  func(*aot.Config)   // what the provenance is of
		text    func(string) string // or what became of it
		kind    string
		builder string
		want    error
		says    string
	}{
		{name: "of the code, by anybody"},
		{name: "of the code, by its builder", builder: builder},
		{name: "by another builder than the signer may speak for", builder: "https://other.example", want: provenance.ErrMismatch, says: "may speak for"},
		{name: "by another builder than the config has", signed: func(c *aot.Config) { c.Builder.ID = "x" }, want: provenance.ErrMismatch, says: "builder"},
		{name: "of another source", signed: func(c *aot.Config) { c.Source.Digest = digest.FromString("x") }, want: provenance.ErrMismatch, says: "source"},
		{name: "of other code", signed: func(c *aot.Config) { c.Output.Digest = digest.FromString("x") }, want: provenance.ErrMismatch, says: "byproducts"},
		{name: "of another version", signed: func(c *aot.Config) { c.Compiler.Version = "39.0.0" }, want: provenance.ErrMismatch, says: "version"},
		{name: "of another runtime", signed: func(c *aot.Config) { c.Compiler.Runtime = "wamr" }, want: provenance.ErrMismatch, says: "runtime"},
		{name: "for another platform", signed: func(c *aot.Config) { c.Target.Platform = "linux/arm64" }, want: provenance.ErrMismatch, says: "platform"},
		{name: "with another profile", signed: func(c *aot.Config) { c.Compiler.Profile = "fuel" }, want: provenance.ErrMismatch, says: "profile"},
		{name: "of another tier", signed: func(c *aot.Config) { c.Compiler.Tier = aot.Fast }, want: provenance.ErrMismatch, says: "tier"},
		{name: "with other settings", signed: func(c *aot.Config) { c.CompatID = digest.FromString("x").String() }, want: provenance.ErrMismatch, says: "compatId"},
		{
			name: "whose parameters and dependencies disagree", want: provenance.ErrMismatch, says: "resolvedDependencies",
			text: func(s string) string {
				// The first is in the parameters, behind its algorithm.
				return strings.Replace(s, `"sha256":"`+digest.FromString("wasm").Encoded(), `"sha256":"`+digest.FromString("x").Encoded(), 1)
			},
		},
		{
			name: "with two sources", want: provenance.ErrMismatch, says: "2 entries named wasm",
			text: func(s string) string {
				return strings.Replace(s, `"resolvedDependencies":[`, `"resolvedDependencies":[{"name":"wasm","uri":"x"},`, 1)
			},
		},
		{
			name: "with a version that is a number", want: provenance.ErrMismatch, says: "version",
			text: func(s string) string { return strings.Replace(s, `"version":"39.0.1"`, `"version":39`, 1) },
		},
		{
			name: "of a package, by whoever built that", want: provenance.ErrMismatch, says: "buildType",
			text: func(s string) string { return strings.Replace(s, provenance.BuildType, "https://wreg.dev/build/v1", 1) },
		},
		{name: "no predicate", text: func(string) string { return "{}" }, want: attest.ErrFormat},
		{name: "no JSON", text: func(string) string { return "" }, want: attest.ErrFormat},
		{name: "a predicate of another type", kind: attest.TypeSPDX, want: provenance.ErrMismatch, says: "of the type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			signed := config()
			if tt.signed != nil {
				tt.signed(signed)
			}
			text := predicate(t, signed)
			if tt.text != nil {
				changed := tt.text(text)
				if changed == text {
					t.Fatalf("the test changes nothing of %s", text)
				}
				text = changed
			}
			kind := attest.TypeProvenance
			if tt.kind != "" {
				kind = tt.kind
			}
			err := provenance.Check(kind, []byte(text), &aot.Variant{Config: *config()}, tt.builder)
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Check(%s) = %v; want %v with %q", text, err, tt.want, tt.says)
			}
		})
	}
}
