package version

import "strings"

// semver writes the key of a semantic version. Of its three numbers the last two
// may be absent and are 0 then, since advisories write so; build metadata counts
// for nothing (clause 10).
func (k *key) semver(s string) bool {
	nums, rest := numbers(trimV(s), 3)
	if len(nums) == 0 {
		return false
	}
	k.fixed(nums, 3)
	return k.prerelease(rest, false)
}

// prerelease writes what follows the numbers of a semantic version: "", "-rc.1",
// "+build", "-rc.1+build".
func (k *key) prerelease(s string, fold bool) bool {
	s, build, hasBuild := strings.Cut(s, "+")
	if hasBuild && !identifiers(build) {
		return false
	}
	if s == "" {
		k.mark(markNever)
		return true
	}
	pre, ok := strings.CutPrefix(s, "-")
	if !ok || !identifiers(pre) {
		return false
	}
	if fold {
		pre = strings.ToLower(pre)
	}
	for id := range strings.SplitSeq(pre, ".") {
		if digits(id) == len(id) {
			k.mark(markLess)
			k.number(id)
		} else {
			k.mark(markMore)
			k.word(id)
		}
	}
	k.mark(markEnd)
	return true
}

// identifiers reports whether s is dot-separated identifiers of letters, digits
// and hyphens, none of them empty.
func identifiers(s string) bool {
	last := byte('.')
	for i := range len(s) {
		c := s[i]
		if c == '.' && last == '.' || c != '.' && c != '-' && !digit(c) && !letter(c) {
			return false
		}
		last = c
	}
	return last != '.'
}

func trimV(s string) string {
	if len(s) > 1 && (s[0] == 'v' || s[0] == 'V') {
		return s[1:]
	}
	return s
}

// golang writes the key of a module's version, pseudo-versions included, or of a
// release of Go itself: "go1.21rc2" is 1.21.0-rc.2, as in the Go vulnerability
// database. What a distributor adds to the name of a release, "go1.22.5-corp" or
// "go1.22.5 X:boringcrypto", does not count.
func (k *key) golang(s string) bool {
	name, release := strings.CutPrefix(s, "go")
	if !release {
		name = s
	} else if i := strings.IndexAny(name, " -+"); i >= 0 {
		name = name[:i]
	}
	nums, rest := numbers(trimV(name), 3)
	n := letters(rest)
	if n == 0 || len(nums) < 2 || name[0] == 'v' {
		return (!release || rest == "") && k.semver(name)
	}
	word, num := rest[:n], rest[n:]
	if word != "rc" && word != "beta" && word != "alpha" || num == "" || digits(num) != len(num) {
		return false
	}
	k.fixed(nums, 3)
	return k.prerelease("-"+word+"."+num, false)
}

// nuget writes the key of a NuGet or .NET assembly version: up to four numbers,
// and words that are the same in either case.
func (k *key) nuget(s string) bool {
	nums, rest := numbers(trimV(s), 4)
	if len(nums) == 0 {
		return false
	}
	k.fixed(nums, 4)
	return k.prerelease(rest, true)
}

// hackage writes the key of a Haskell version: numbers, of which a list that goes
// on is later, even by a zero. Tags ("1.0-foo") are deprecated and do not count.
func (k *key) hackage(s string) bool {
	nums, rest := numbers(s, MaxLen)
	if len(nums) == 0 || rest != "" && (rest[0] != '-' || !identifiers(rest[1:])) {
		return false
	}
	for _, num := range nums {
		k.mark(markMore)
		k.number(num)
	}
	k.mark(markEnd)
	return true
}
