package ref

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Errors of versions, always wrapped; test with [errors.Is].
var (
	ErrVersion   = errors.New("invalid version")
	ErrNoVersion = errors.New("no version matches")
)

// maxRange bounds a constraint in bytes. Two versions of tag length with
// operators fit.
const maxRange = 2*MaxTag + 16

// TagOf is the tag under which a full semantic version is published. A tag has
// no "+", so build metadata is set off by "_", which no version contains:
// 1.2.3+build is 1.2.3_build.
func TagOf(version string) (string, error) {
	if len(version) > MaxTag {
		return "", fmt.Errorf("%w: %d bytes, more than %d", ErrVersion, len(version), MaxTag)
	}
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v")); err != nil {
		return "", fmt.Errorf("%w %q: it is not of the form 1.2.3[-pre][+build]", ErrVersion, version)
	}
	return strings.Replace(version, "+", "_", 1), nil
}

// VersionOf is the version that tag stands for, [v]X.Y.Z[-pre][_build], and
// whether it stands for any. Tags of views ("oci-image-1.2.3") and of referrers
// ("sha256-…") do not.
func VersionOf(tag string) (*semver.Version, bool) {
	if len(tag) > MaxTag || strings.Contains(tag, "+") {
		return nil, false
	}
	v, err := semver.StrictNewVersion(strings.Replace(strings.TrimPrefix(tag, "v"), "_", "+", 1))
	return v, err == nil
}

// Pick is the tag of the highest version that matches the range, which is a
// constraint such as "^1.2", "~1.2.3", ">=1 <3", "1.x" or "*". Prereleases
// count only if prereleases is set or the constraint names one. ErrVersion is a
// constraint that is none, and ErrNoVersion that no tag matches.
func Pick(tags []string, versions string, prereleases bool) (string, error) {
	c, err := constraint(versions, prereleases)
	if err != nil {
		return "", err
	}
	best := ""
	var highest *semver.Version
	for _, tag := range tags {
		v, ok := VersionOf(tag)
		if ok && c.Check(v) && (highest == nil || compare(v, highest, tag, best) > 0) {
			best, highest = tag, v
		}
	}
	if highest == nil {
		return "", fmt.Errorf("%w %q among %d tags", ErrNoVersion, versions, len(tags))
	}
	return best, nil
}

func constraint(s string, prereleases bool) (*semver.Constraints, error) {
	if s == "" || len(s) > maxRange {
		return nil, fmt.Errorf("%w: a range has 1 to %d bytes, got %d", ErrVersion, maxRange, len(s))
	}
	c, err := semver.NewConstraint(s)
	if err != nil {
		return nil, fmt.Errorf("%w %q: neither a version (1.2.3) nor a range (^1.2, ~1.2, >=1 <2)", ErrVersion, clip(s))
	}
	c.IncludePrerelease = prereleases
	return c, nil
}

// compare orders by precedence, and versions that differ only in build metadata
// by their tags, so that the choice does not depend on the order of a listing.
func compare(a, b *semver.Version, tagA, tagB string) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	return strings.Compare(tagA, tagB)
}

// SortTags puts tags in order: the versions, newest first, then everything else
// by name.
func SortTags(tags []string) {
	versions := make(map[string]*semver.Version, len(tags))
	for _, t := range tags {
		if v, ok := VersionOf(t); ok {
			versions[t] = v
		}
	}
	slices.SortFunc(tags, func(a, b string) int {
		va, vb := versions[a], versions[b]
		switch {
		case va != nil && vb != nil:
			return compare(vb, va, b, a)
		case va != nil:
			return -1
		case vb != nil:
			return 1
		}
		return strings.Compare(a, b)
	})
}
