package db

import (
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Matches reports whether Cargo would take a version for a requirement of its
// own syntax ("^1.2", "~0.3.1", ">=1, <3", "=2.0.0-rc.1", "1.*"; The Cargo Book,
// "Specifying Dependencies"). What it does not understand matches nothing.
func Matches(requirement string, v *semver.Version) bool {
	pre := v.Prerelease() == ""
	for part := range strings.SplitSeq(requirement, ",") {
		c, ok := parseComparator(strings.TrimSpace(part))
		if !ok || !c.matches(v) {
			return false
		}
		// A pre-release is taken only where the requirement names one of the same
		// release.
		if c.pre != "" && c.num == [3]uint64{v.Major(), v.Minor(), v.Patch()} {
			pre = true
		}
	}
	return pre
}

// A comparator is one operator with a version that may lack its last numbers.
type comparator struct {
	op    string // "^", "~", "=", ">=", ">", "<=" or "<"
	num   [3]uint64
	given int // how many numbers there are
	pre   string
}

func parseComparator(s string) (c comparator, ok bool) {
	rest := strings.TrimLeft(s, "^~=<>")
	c.op, rest = s[:len(s)-len(rest)], strings.TrimSpace(rest)
	switch c.op {
	case "":
		c.op = "^"
	case "^", "~", "=", ">=", ">", "<=", "<":
	default:
		return c, false
	}
	rest, _, _ = strings.Cut(rest, "+")
	rest, c.pre, _ = strings.Cut(rest, "-")
	parts := strings.Split(rest, ".")
	if len(parts) > 3 {
		return c, false
	}
	for _, p := range parts {
		if p == "*" || p == "x" || p == "X" {
			if c.op == "^" {
				c.op = "=" // 1.* is 1, whatever follows
			}
			return c, c.pre == ""
		}
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil {
			return c, false
		}
		c.num[c.given] = n
		c.given++
	}
	return c, c.pre == "" || c.given == 3
}

func (c comparator) matches(v *semver.Version) bool {
	num := [3]uint64{v.Major(), v.Minor(), v.Patch()}
	switch c.op {
	case "^":
		return c.shares(num, c.caret()) && c.compare(v) >= 0
	case "~":
		return c.shares(num, min(c.given, 2)) && c.compare(v) >= 0
	case "=":
		return c.shares(num, c.given) && (c.given < 3 || c.compare(v) == 0)
	case ">=":
		return c.compare(v) >= 0
	case "<":
		return c.compare(v) < 0
	case ">":
		return !c.shares(num, c.given) && c.compare(v) > 0 || c.given == 3 && c.compare(v) > 0
	default: // "<="
		return c.compare(v) <= 0 || c.given < 3 && c.shares(num, c.given)
	}
}

// caret is how many numbers of a version are those of the requirement: all up to
// the first that is not zero.
func (c comparator) caret() int {
	for i := range c.given {
		if c.num[i] != 0 {
			return i + 1
		}
	}
	return c.given
}

func (c comparator) shares(num [3]uint64, n int) bool {
	for i := range n {
		if num[i] != c.num[i] {
			return false
		}
	}
	return true
}

// compare orders v against the comparator's version, its missing numbers zero.
func (c comparator) compare(v *semver.Version) int {
	return v.Compare(semver.New(c.num[0], c.num[1], c.num[2], c.pre, ""))
}
