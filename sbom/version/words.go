package version

import "strings"

// gem writes the key of a RubyGems version: segments of digits or letters, where
// a word makes it a pre-release and a hyphen says "pre". Zeros at the end, and
// those before the first word, count for nothing.
func (k *key) gem(s string) bool {
	if !digit(s[0]) {
		return false
	}
	var parts []part
	for segment := range strings.SplitSeq(strings.ReplaceAll(s, "-", ".pre."), ".") {
		if segment == "" {
			return false
		}
		for segment != "" {
			if num, rest := number(segment); num != "" {
				parts, segment = append(parts, numberPart(num)), rest
				continue
			}
			n := letters(segment)
			if n == 0 {
				return false
			}
			parts, segment = append(trimZeros(parts), part{rankBefore, segment[:n]}), segment[n:]
		}
	}
	k.padded(parts)
	return true
}

// trimZeros drops the zeros before the first word of a pre-release, so that 1.0rc1
// is 1.0.0rc1.
func trimZeros(parts []part) []part {
	for _, p := range parts {
		if p.rank == rankBefore {
			return parts
		}
	}
	for len(parts) > 0 && parts[len(parts)-1].rank == rankZero {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// composerWords are the stabilities of Composer in their order.
var composerWords = map[string]byte{
	"dev": 1, "alpha": 2, "a": 2, "beta": 3, "b": 3, "rc": 4, "": 5, "stable": 5, "patch": 6, "pl": 6, "p": 6,
}

// composer writes the key of a PHP package's version: up to four numbers, a
// stability with numbers of its own, and "-dev". Branches ("dev-main") have no
// order.
func (k *key) composer(s string) bool {
	s, _, _ = strings.Cut(s, "+")
	nums, rest := numbers(trimV(s), 4)
	if len(nums) == 0 {
		return false
	}
	k.fixed(nums, 4)
	rest = strings.ToLower(rest)
	rest, isDev := strings.CutSuffix(rest, "dev")
	rest = strings.TrimLeft(rest, ".-_")
	if isDev {
		rest = strings.TrimRight(rest, ".-_")
	}
	n := letters(rest)
	rank, ok := composerWords[rest[:n]]
	if !ok {
		return false
	}
	if isDev && n == 0 {
		rank, isDev = composerWords["dev"], false
	}
	own, tail := numbers(strings.TrimLeft(rest[n:], ".-"), MaxLen)
	if tail != "" || n == 0 && len(own) > 0 {
		return false
	}
	k.mark(rank)
	for _, num := range own {
		k.mark(markMore)
		k.number(num)
	}
	k.mark(markEnd)
	if isDev {
		k.mark(markLess)
	} else {
		k.mark(markNever)
	}
	return true
}

// beforeRelease are the words that name what comes before a release of software
// whose versions follow no common rule, by what sorts them.
var beforeRelease = map[string]string{
	"dev": "-dev", "snapshot": "-dev", "alpha": "alpha", "beta": "beta", "pre": "pre", "preview": "pre", "rc": "rc",
}

// generic writes the key of a version of C and C++ software: numbers and words
// with any punctuation between. A word is later than nothing, as in OpenSSL's
// 1.1.1t, unless it is one of beforeRelease. What follows a plus does not count.
func (k *key) generic(s string) bool {
	s, _, _ = strings.Cut(strings.ToLower(trimV(s)), "+")
	if s == "" || !digit(s[0]) {
		return false
	}
	var parts []part
	for s != "" {
		if num, rest := number(s); num != "" {
			parts, s = append(parts, numberPart(num)), rest
			continue
		}
		n := letters(s)
		if n == 0 {
			if !strings.ContainsRune(".-_~:", rune(s[0])) {
				return false
			}
			s = s[1:]
			continue
		}
		word := part{rankLetter, s[:n]}
		if before := beforeRelease[word.text]; before != "" {
			parts, word = trimZeros(parts), part{rankBefore, before}
		}
		parts, s = append(parts, word), s[n:]
	}
	k.padded(parts)
	return true
}
