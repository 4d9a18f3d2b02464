// Package provenance says in an attestation how native code was made, and holds
// such an attestation against the code: the one thing that lets a client load code
// that it did not make itself. docs/spec/aot.md has the rules.
package provenance

import (
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
)

// BuildType says what the parameters mean: it is the URI of the rules.
const BuildType = attest.ProgramURI + "/aot/v1"

// Names of what a provenance refers to.
const (
	nameWasm = "wasm" // a resolved dependency
	nameCode = "code" // a byproduct
)

// ErrMismatch is of a provenance of something else than the code at hand.
var ErrMismatch = errors.New("the provenance is of other native code")

// A Run tells when code was compiled. The zero value says nothing of it.
type Run struct {
	ID                    string // whatever tells it from others
	StartedOn, FinishedOn time.Time
}

// Statement is the provenance of the native code in a manifest, for the builder to
// sign: its subject is the manifest, its dependency the WebAssembly. The config is
// that of the manifest, and has to name a builder; else the error is aot.ErrForm.
func Statement(manifest digest.Digest, c *aot.Config, r Run) (signing.Statement, error) {
	if err := c.Check(); err != nil {
		return signing.Statement{}, err
	}
	if c.Builder == nil {
		return signing.Statement{}, fmt.Errorf("provenance of %s: %w: the config names no builder", manifest, aot.ErrForm)
	}
	if err := manifest.Validate(); err != nil {
		return signing.Statement{}, fmt.Errorf("provenance of %.80q: %w", string(manifest), err)
	}
	p := attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType: BuildType, ExternalParameters: external(c), InternalParameters: internal(c),
			ResolvedDependencies: []attest.Resource{{Name: nameWasm, Digest: set(c.Source.Digest), MediaType: "application/wasm"}},
		},
		RunDetails: attest.RunDetails{
			Builder:    attest.Builder{ID: c.Builder.ID, Version: map[string]string{c.Compiler.Runtime: c.Compiler.Version}},
			Metadata:   attest.BuildMetadata{InvocationID: r.ID, StartedOn: r.StartedOn, FinishedOn: r.FinishedOn},
			Byproducts: []attest.Resource{{Name: nameCode, Digest: set(c.Output.Digest), MediaType: aot.CodeType(c.Compiler.Runtime)}},
		},
	}
	return p.Statement(signing.Subject{Digest: set(manifest)})
}

// external is what a client could have asked for.
func external(c *aot.Config) map[string]any {
	return filled(map[string]any{
		"runtime": c.Compiler.Runtime, "platform": c.Target.Platform, "profile": c.Compiler.Profile, "source": c.Source.Digest.String(),
	})
}

// internal is what the builder added.
func internal(c *aot.Config) map[string]any {
	return filled(map[string]any{
		"version": c.Compiler.Version, "tier": string(c.Compiler.Tier), "compatId": c.CompatID,
	})
}

func filled(m map[string]any) map[string]any {
	for k, v := range m {
		if v == "" {
			delete(m, k)
		}
	}
	return m
}

func set(d digest.Digest) map[string]string {
	return map[string]string{d.Algorithm().String(): d.Encoded()}
}

// Check holds the predicate of an attestation against native code that was read
// with its config. The attestation has to be verified, with the digest of the
// code's manifest as its subject: a predicate by itself proves nothing, and Check
// looks at no signature. Builder is the ID that the signer may speak for, "" for
// any.
//
// The error is ErrMismatch of what is about other code, and attest.ErrFormat or
// signing.ErrLimit of what is no provenance.
func Check(predicateType string, predicate []byte, v *aot.Variant, builder string) error {
	if attest.Name(predicateType) != attest.Name(attest.TypeProvenance) {
		return fmt.Errorf("%w: it is of the type %.100q, and %s is wanted", ErrMismatch, predicateType, attest.TypeProvenance)
	}
	view, err := attest.Read(predicateType, predicate)
	if err != nil {
		return err
	}
	p, c := view.Provenance, &v.Config
	if p.BuildDefinition.BuildType != BuildType {
		return fmt.Errorf("%w: its buildType is %.100q, and %s is wanted", ErrMismatch, p.BuildDefinition.BuildType, BuildType)
	}
	for _, parameters := range []struct {
		got, want map[string]any
	}{
		{p.BuildDefinition.ExternalParameters, external(c)},
		{p.BuildDefinition.InternalParameters, internal(c)},
	} {
		for name, want := range parameters.want {
			if got := parameters.got[name]; got != want {
				return fmt.Errorf("%w: its %s is %s, and the code has %v", ErrMismatch, name, word(got), want)
			}
		}
	}
	if err := one("resolvedDependencies", nameWasm, p.BuildDefinition.ResolvedDependencies, c.Source.Digest); err != nil {
		return err
	}
	if err := one("byproducts", nameCode, p.RunDetails.Byproducts, c.Output.Digest); err != nil {
		return err
	}
	return checkBuilder(p.RunDetails.Builder.ID, c.Builder, builder)
}

// one demands that of the resources with a name there is one, with that digest.
func one(field, name string, list []attest.Resource, want digest.Digest) error {
	var found []attest.Resource
	for _, r := range list {
		if r.Name == name {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%w: %s has %d entries named %s, and one is wanted", ErrMismatch, field, len(found), name)
	}
	if got := found[0].Digest[want.Algorithm().String()]; got != want.Encoded() {
		return fmt.Errorf("%w: %s has %s %.140q, and the code %s", ErrMismatch, field, name, got, want)
	}
	return nil
}

func checkBuilder(got string, recorded *aot.Builder, wanted string) error {
	switch {
	case recorded == nil || recorded.ID != got:
		return fmt.Errorf("%w: its builder is %.200q, and the config has another", ErrMismatch, got)
	case wanted != "" && got != wanted:
		return fmt.Errorf("%w: its builder is %.200q, and its signer may speak for %s", ErrMismatch, got, wanted)
	}
	return nil
}

// word is a value in a message.
func word(v any) string {
	if v == nil {
		return "missing"
	}
	return fmt.Sprintf("%.100q", fmt.Sprint(v))
}
