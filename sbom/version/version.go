// Package version orders the versions of packages as their ecosystems do, and
// reads requirements on them.
//
// Each version has a key, a byte string, and versions are in the order of their
// keys: a database that compares bytes can answer "every serde below 1.0.200"
// from an index. A key is made from the version alone, by the rules of its
// ecosystem:
//
//   - cargo, npm and wit: Semantic Versioning 2.0.0, clause 11
//   - golang: the same, and the names of Go's own releases (go1.21rc2)
//   - pypi: PyPA "Version specifiers", once PEP 440
//   - gem: Gem::Version of RubyGems
//   - hackage: the Package Versioning Policy, numbers alone
//   - nuget: Semantic Versioning with a fourth number, letters of either case
//   - composer: Composer's normalised form, then PHP's version_compare
//   - generic: numbers, letters after a release (1.1.1t), words before it (2.0rc1)
//
// Everything is pure, and bounded by [MaxLen] and [MaxKey].
package version

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// MaxLen and MaxKey are the most bytes that a version and its key may have, so that
// what After makes of a key has at most 512. Only a version made for it, of a
// hundred parts or more, has a longer key.
const (
	MaxLen = 256
	MaxKey = 511
)

// Errors to test for.
var (
	// ErrVersion is of a text that is no version in its ecosystem.
	ErrVersion = errors.New("not a version")

	// ErrRange is of a text that is no requirement on versions.
	ErrRange = errors.New("not a range of versions")
)

// A Version is a place in the order of an ecosystem's versions. The zero value is
// before all of them.
type Version struct {
	key string
}

// Parse reads a version as its ecosystem writes it, with or without a v before
// it. The error is ErrVersion.
func Parse(eco evidence.Ecosystem, s string) (Version, error) {
	key, ok := Key(eco, s)
	if !ok {
		return Version{}, fmt.Errorf("%s %q: %w", eco, evidence.Clean(s, MaxLen), ErrVersion)
	}
	return Version{string(key)}, nil
}

// Compare is below 0 if v comes before w, 0 if the ecosystem makes no difference
// between them (1.0 and 1.0.0 of PyPI, 1.0.0+a and 1.0.0+b of cargo), and above 0
// if v comes after w. Both have to be of the same ecosystem.
func (v Version) Compare(w Version) int { return strings.Compare(v.key, w.key) }

// Compare compares two versions of an ecosystem; see [Version.Compare]. The error
// is ErrVersion and names the one that cannot be read.
func Compare(eco evidence.Ecosystem, a, b string) (int, error) {
	v, err := Parse(eco, a)
	if err != nil {
		return 0, err
	}
	w, err := Parse(eco, b)
	if err != nil {
		return 0, err
	}
	return v.Compare(w), nil
}

// Key gives the sort key of a version: of two versions of an ecosystem the
// earlier has the lesser key by bytes, and those that are equal to the ecosystem
// have the same key. It reports false if s is no version, or has a key of
// more than MaxKey bytes.
func Key(eco evidence.Ecosystem, s string) ([]byte, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > MaxLen {
		return nil, false
	}
	k := make(key, 0, 2*len(s)+16)
	var ok bool
	switch eco {
	case evidence.Cargo, evidence.NPM, evidence.WIT:
		ok = k.semver(s)
	case evidence.Go:
		ok = k.golang(s)
	case evidence.PyPI:
		ok = k.pypi(s)
	case evidence.Gem:
		ok = k.gem(s)
	case evidence.Hackage:
		ok = k.hackage(s)
	case evidence.NuGet:
		ok = k.nuget(s)
	case evidence.Composer:
		ok = k.composer(s)
	case evidence.Generic:
		ok = k.generic(s)
	}
	if !ok || len(k) > MaxKey {
		return nil, false
	}
	return k, true
}
