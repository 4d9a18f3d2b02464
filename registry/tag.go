package registry

import "strings"

// SettingImmutableTags names the setting behind Options.MutableVersions, for
// messages that tell why a tag did not move.
const SettingImmutableTags = "registry.immutable_tags"

// Immutable reports whether tag is one that keeps its digest: a full semantic
// version, with or without a leading v and with _ for the + that no tag may
// have, or such a version behind the name of a view, as in oci-image-1.2.3.
// Partial versions (1, 1.2) and names (latest, sha256-…) may move.
func Immutable(tag string) bool {
	if isVersion(tag) {
		return true
	}
	for i := 0; i < len(tag); i++ {
		switch c := tag[i]; {
		case c == '-':
			if i == 0 || tag[i-1] == '-' {
				return false
			}
			if isVersion(tag[i+1:]) {
				return true
			}
		case 'a' <= c && c <= 'z':
		case '0' <= c && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return false
}

// isVersion reports whether s is [v]X.Y.Z[-pre][_build] of semver 2.0.0.
func isVersion(s string) bool {
	s = strings.TrimPrefix(s, "v")
	s, build, hasBuild := strings.Cut(s, "_")
	core, pre, hasPre := strings.Cut(s, "-")
	if hasBuild && !identifiers(build, false) || hasPre && !identifiers(pre, true) {
		return false
	}
	numbers := 0
	for part := range strings.SplitSeq(core, ".") {
		if !number(part) {
			return false
		}
		numbers++
	}
	return numbers == 3
}

// identifiers reports whether s is a dotted list of semver identifiers, with
// strict forbidding leading zeros in those that are numbers.
func identifiers(s string, strict bool) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return false
		}
		digits := true
		for i := 0; i < len(part); i++ {
			c := part[i]
			digit := '0' <= c && c <= '9'
			if !digit && c != '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
			digits = digits && digit
		}
		if strict && digits && !number(part) {
			return false
		}
	}
	return true
}

// number reports whether s is a decimal without leading zeros.
func number(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && (s == "0" || s[0] != '0')
}
