package aot

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/artifact/variant"
)

// ErrForm is of a manifest, config or descriptor that is not as this package
// writes it.
var ErrForm = errors.New("not native code as wreg keeps it")

// MaxOutput bounds the native code of one module, in bytes.
const MaxOutput = 512 << 20

// Bounds of a config. They keep what is copied into annotations small.
const (
	maxWord  = 64  // bytes of a version, a flag of an architecture and the like
	maxText  = 512 // bytes of the name of a builder, a flag of a command
	maxFlags = 128
)

// CodeType is the media type of a runtime's code, not compressed; a layer that is
// has "+gzip" behind it.
func CodeType(runtime string) string {
	if runtime == Runtime {
		return MediaTypeCode
	}
	return "application/vnd.wreg.aot." + runtime + ".code.v1"
}

// Annotations are those of the manifest of c, which say what it says.
func (c *Config) Annotations() map[string]string {
	a := map[string]string{
		AnnotationRuntime:        c.Compiler.Runtime,
		AnnotationRuntimeVersion: c.Compiler.Version,
		AnnotationPlatform:       c.Target.Platform,
		AnnotationProfile:        c.Compiler.Profile,
		AnnotationCompatID:       c.CompatID,
		AnnotationSource:         c.Source.Digest.String(),
		AnnotationTier:           string(c.Compiler.Tier),
	}
	for k, v := range a {
		if v == "" {
			delete(a, k)
		}
	}
	return a
}

// Candidate is c for a choice, as the manifest has it whose digest is d. The
// error is ErrForm.
func (c *Config) Candidate(d digest.Digest) (variant.Candidate, error) {
	return fromAnnotations(d, c.Annotations())
}

// Check holds a config against the rules of docs/spec/aot.md. Its error is
// ErrForm.
func (c *Config) Check() error {
	for _, err := range []error{
		c.Source.check("source", 0),
		c.Output.check("output", MaxOutput),
		text("compiler.engine", c.Compiler.Engine, maxWord),
		texts("compiler.flags", c.Compiler.Flags, maxText),
		text("target.triple", c.Target.Triple, maxWord),
		texts("target.isaFlags", c.Target.ISAFlags, maxWord),
		c.Builder.check(),
	} {
		if err != nil {
			return fmt.Errorf("config: %w: %w", ErrForm, err)
		}
	}
	if _, err := c.Candidate(""); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

func (s Source) check(field string, limit int64) error {
	if _, err := ref.ParseDigest(s.Digest.String()); err != nil {
		return fmt.Errorf("%s.digest: %w", field, err)
	}
	if s.Size <= 0 || limit > 0 && s.Size > limit {
		return fmt.Errorf("%s.size is %d; it is more than 0, and of code at most %d", field, s.Size, int64(MaxOutput))
	}
	return nil
}

func (b *Builder) check() error {
	if b == nil {
		return nil
	}
	if b.ID == "" {
		return errors.New("builder.id is missing")
	}
	return errors.Join(text("builder.id", b.ID, maxText), text("builder.platform", b.Platform, maxWord))
}

func texts(field string, list []string, limit int) error {
	if len(list) > maxFlags {
		return fmt.Errorf("%s has %d entries, and at most %d are taken", field, len(list), maxFlags)
	}
	for _, s := range list {
		if err := text(field, s, limit); err != nil {
			return err
		}
	}
	return nil
}

// text checks what people will see and terminals will print.
func text(field, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s has %d bytes, and at most %d are taken", field, len(s), limit)
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return fmt.Errorf("%s %q has what is not printable ASCII", field, s)
		}
	}
	return nil
}
