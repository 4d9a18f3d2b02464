package aot

import (
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/artifact/variant"
)

// MaxListed bounds the descriptors that List looks at.
const MaxListed = 1000

// A Listed is native code as a list of referrers describes it: by the annotations
// of its manifest. They are the word of whoever pushed it. [Read] holds them
// against the config.
type Listed struct {
	Descriptor ocispec.Descriptor
	variant.Candidate
}

// Ignored is a referrer that says it is native code, and why it is not listed.
type Ignored struct {
	Descriptor ocispec.Descriptor
	Err        error
}

// List takes the native code out of a list of referrers, in its order. What is
// something else is left out. Of more than MaxListed referrers the rest is left
// out, and the second result says so with a descriptor that is empty.
func List(referrers []ocispec.Descriptor) ([]Listed, []Ignored) {
	var list []Listed
	var ignored []Ignored
	seen := map[digest.Digest]bool{}
	for i, d := range referrers {
		if i == MaxListed {
			err := fmt.Errorf("%d referrers, and no more than %d are looked at", len(referrers), MaxListed)
			return list, append(ignored, Ignored{Err: err})
		}
		if _, ok := RuntimeOf(d.ArtifactType); !ok || seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		if l, err := Describe(d); err != nil {
			ignored = append(ignored, Ignored{Descriptor: d, Err: err})
		} else {
			list = append(list, l)
		}
	}
	return list, ignored
}

// Candidates are what [variant.Pick] chooses among.
func Candidates(list []Listed) []variant.Candidate {
	out := make([]variant.Candidate, len(list))
	for i, l := range list {
		out[i] = l.Candidate
	}
	return out
}

// Describe reads one descriptor of a list of referrers, or of a stored manifest,
// with its artifact type and its annotations. It costs no request. The error is
// ErrForm.
func Describe(d ocispec.Descriptor) (Listed, error) {
	if _, err := ref.ParseDigest(d.Digest.String()); err != nil {
		return Listed{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	c, err := fromAnnotations(d.Digest, d.Annotations)
	if err == nil && d.ArtifactType != ArtifactType(c.Runtime) {
		err = fmt.Errorf("%w: the artifact type is %.100q, and the annotations are about %s", ErrForm, d.ArtifactType, c.Runtime)
	}
	if err != nil {
		return Listed{}, fmt.Errorf("%s: %w", d.Digest, err)
	}
	return Listed{Descriptor: d, Candidate: c}, nil
}

// RuntimeOf is the runtime that an artifact type is of, if it is one of native
// code.
func RuntimeOf(artifactType string) (runtime string, ok bool) {
	name, ok := strings.CutPrefix(artifactType, "application/vnd.wreg.aot.")
	name, ok2 := strings.CutSuffix(name, ".v1")
	return name, ok && ok2 && checkRuntime(name) == nil
}

func checkRuntime(name string) error {
	if name == "" || len(name) > 32 {
		return fmt.Errorf("%w: %.40q is no name of a runtime", ErrForm, name)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return fmt.Errorf("%w: %.40q is no name of a runtime", ErrForm, name)
		}
	}
	return nil
}

// fromAnnotations reads annotations, which a config has as well.
func fromAnnotations(d digest.Digest, a map[string]string) (variant.Candidate, error) {
	target, err := variant.Parse(a[AnnotationPlatform])
	if err == nil && target.String() != a[AnnotationPlatform] {
		err = fmt.Errorf("the platform %.40q is written %s", a[AnnotationPlatform], target)
	}
	source, sourceErr := ref.ParseDigest(a[AnnotationSource])
	c := variant.Candidate{
		Digest: d.String(), Runtime: a[AnnotationRuntime], Version: a[AnnotationRuntimeVersion], Target: target,
		Profile: a[AnnotationProfile], CompatID: a[AnnotationCompatID], Source: source.String(), Fast: Tier(a[AnnotationTier]) == Fast,
	}
	for _, err := range []error{
		err, sourceErr, checkRuntime(c.Runtime), checkTier(Tier(a[AnnotationTier])), checkSettings(c),
		text("version", c.Version, maxWord), text("profile", c.Profile, maxWord), text("compat id", c.CompatID, 2*maxWord),
	} {
		if err != nil {
			return variant.Candidate{}, fmt.Errorf("%w: %w", ErrForm, err)
		}
	}
	return c, nil
}

func checkTier(t Tier) error {
	if t != Optimising && t != Fast {
		return fmt.Errorf("%.40q is no tier: %s, %s", string(t), Optimising, Fast)
	}
	return nil
}

// checkSettings demands what wpkg compares before it loads code.
func checkSettings(c variant.Candidate) error {
	if c.Version == "" {
		return errors.New("the version of the compiler is missing")
	}
	if c.Runtime != Runtime {
		return nil
	}
	if c.Profile == "" {
		return errors.New("the profile is missing")
	}
	_, err := ref.ParseDigest(c.CompatID)
	if err != nil {
		return fmt.Errorf("compat id: %w", err)
	}
	return nil
}
