package version

import (
	"strings"

	"github.com/wreg-project/wreg/internal/lazy"
)

// pep440 is the pattern in appendix B of PEP 440, without its named groups.
var pep440 = lazy.Regexp(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` +
	`(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]*))?` +
	`(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]*))?` +
	`(?:[-_.]?(dev)[-_.]?([0-9]*))?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// pypi writes the key of a Python version, in the order that the reference
// implementation, packaging.version, gives: a development release is before the
// pre-releases of what it leads to, a post-release after the release.
func (k *key) pypi(s string) bool {
	m := pep440().FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return false
	}
	epoch, release, pre, preNum, post, local := m[1], m[2], m[3], m[4], m[6], m[10]
	isPost, isDev := m[5] != "" || post != "", m[8] != ""
	k.number(epoch)
	var parts []part
	for num := range strings.SplitSeq(release, ".") {
		parts = append(parts, numberPart(num))
	}
	k.padded(parts)

	switch {
	case pre != "":
		k.mark(markMore)
		k.mark(preRank(pre))
		k.number(preNum)
	case isDev && !isPost:
		k.mark(markEnd)
	default:
		k.mark(markNever)
	}
	if isPost {
		k.mark(markMore)
		k.number(m[5] + m[7])
	} else {
		k.mark(markEnd)
	}
	if isDev {
		k.mark(markMore)
		k.number(m[9])
	} else {
		k.mark(markNever)
	}
	k.local(local)
	return true
}

// preRank is a for alpha, b for beta, r for a release candidate.
func preRank(word string) byte {
	switch word {
	case "a", "alpha":
		return 'a'
	case "b", "beta":
		return 'b'
	}
	return 'r'
}

// local writes a local version label: segments, of which numbers are after words.
func (k *key) local(s string) {
	for seg := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		if digits(seg) == len(seg) {
			k.mark(markMore)
			k.number(seg)
		} else {
			k.mark(markLess)
			k.word(seg)
		}
	}
	k.mark(markEnd)
}
