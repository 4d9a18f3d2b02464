package version

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// An Interval holds the keys from Lo on and below Hi. Without a Lo it starts with
// the first version, without a Hi it has no end.
type Interval struct {
	Lo []byte
	Hi []byte
}

// Contains reports whether the key is in the interval.
func (i Interval) Contains(key []byte) bool {
	return bytes.Compare(key, i.Lo) >= 0 && (i.Hi == nil || bytes.Compare(key, i.Hi) < 0)
}

// Overlaps reports whether a key can be in both intervals.
func (i Interval) Overlaps(o Interval) bool { return !i.intersect(o).empty() }

func (i Interval) empty() bool { return i.Hi != nil && bytes.Compare(i.Lo, i.Hi) >= 0 }

func (i Interval) intersect(o Interval) Interval {
	if bytes.Compare(o.Lo, i.Lo) > 0 {
		i.Lo = o.Lo
	}
	if i.Hi == nil || o.Hi != nil && bytes.Compare(o.Hi, i.Hi) < 0 {
		i.Hi = o.Hi
	}
	return i
}

// After is the least key above a key: with it as Lo an interval leaves the key
// out, with it as Hi it takes it in.
func After(key []byte) []byte { return append(bytes.Clone(key), 0) }

// A Range is a set of versions of one ecosystem.
type Range struct {
	eco       evidence.Ecosystem
	intervals []Interval
}

// Intervals are the stretches of keys that make the range, for an indexed query.
// Some may overlap.
func (r Range) Intervals() []Interval { return r.intervals }

// Contains reports whether a version is in the range. What is no version is not.
func (r Range) Contains(v string) bool {
	key, ok := Key(r.eco, v)
	if !ok {
		return false
	}
	for _, i := range r.intervals {
		if i.Contains(key) {
			return true
		}
	}
	return false
}

// Overlaps reports whether a key can be in the range and in one of the intervals.
func (r Range) Overlaps(intervals []Interval) bool {
	for _, a := range r.intervals {
		for _, b := range intervals {
			if a.Overlaps(b) {
				return true
			}
		}
	}
	return false
}

// What a range may have.
const (
	maxRange       = 1024 // bytes
	maxComparators = 64
)

// ParseRange reads a range as a query writes it: comparators with commas or
// spaces between, all of which have to hold, and "||" between alternatives.
//
//	<2   <=2   >1   >=1,<2   =1.2.3   1.2.3   !=1.5
//	^1.2   up to the next change of the leftmost number that is not 0 (cargo, npm)
//	~1.2   up to the next minor version (cargo, npm)
//	~=1.2, ~>1.2   up to the next change of the last number but one (pypi, gem)
//	1.*, *         any of a series, any at all
//
// A version alone is itself. Only the order of versions counts: pre-releases get
// no rule of their own, except that "up to the next" leaves out pre-releases of
// that next one. The error is ErrRange or ErrVersion.
func ParseRange(eco evidence.Ecosystem, s string) (Range, error) { return parse(eco, s, "=") }

// ParseRequirement reads what a package demands of a dependency. It is like
// ParseRange, but a version alone is what the ecosystem takes it for: in cargo and
// for WIT "1.2" is "^1.2".
func ParseRequirement(eco evidence.Ecosystem, s string) (Range, error) {
	if eco == evidence.Cargo || eco == evidence.WIT {
		return parse(eco, s, "^")
	}
	return parse(eco, s, "=")
}

func parse(eco evidence.Ecosystem, s, plain string) (Range, error) {
	r := Range{eco: eco}
	if len(s) > maxRange {
		return r, fmt.Errorf("%d bytes: %w", len(s), ErrRange)
	}
	count := 0
	for alternative := range strings.SplitSeq(s, "||") {
		set := []Interval{{}}
		comparators := fields(alternative)
		if count += len(comparators); len(comparators) == 0 || count > maxComparators {
			return r, fmt.Errorf("%q: %w", evidence.Clean(s, MaxLen), ErrRange)
		}
		for _, c := range comparators {
			some, err := comparator(eco, c, plain)
			if err != nil {
				return r, err
			}
			set = intersect(set, some)
		}
		r.intervals = append(r.intervals, set...)
	}
	return r, nil
}

// fields cuts comparators apart. White space between an operator and its version
// belongs to neither.
func fields(s string) []string {
	var list []string
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if n := len(list); n > 0 && operator(list[n-1]) == list[n-1] {
			list[n-1] += f
		} else {
			list = append(list, f)
		}
	}
	return list
}

// operator is the operator that a comparator starts with, "" if it has none.
func operator(s string) string {
	for _, op := range [...]string{"<=", ">=", "==", "!=", "~=", "~>", "<", ">", "=", "^", "~"} {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

// comparator gives the one or two intervals of an operator with its version.
func comparator(eco evidence.Ecosystem, s, plain string) ([]Interval, error) {
	op := operator(s)
	v := s[len(op):]
	if op == "" || op == "=" || op == "==" {
		if base, ok := wildcard(v); ok {
			return series(eco, base, len(base))
		}
	}
	if op == "" {
		op = plain
	}
	key, ok := Key(eco, v)
	if !ok {
		return nil, fmt.Errorf("%s %q: %w", eco, evidence.Clean(v, MaxLen), ErrVersion)
	}
	switch op {
	case "<":
		return []Interval{{Hi: key}}, nil
	case "<=":
		return []Interval{{Hi: After(key)}}, nil
	case ">":
		return []Interval{{Lo: After(key)}}, nil
	case ">=":
		return []Interval{{Lo: key}}, nil
	case "!=":
		return []Interval{{Hi: key}, {Lo: After(key)}}, nil
	case "^", "~", "~=", "~>":
		return upToNext(eco, op, v, key)
	}
	return []Interval{{Lo: key, Hi: After(key)}}, nil
}

// wildcard reports whether v is "*", "1.*" or "1.x", and gives the numbers before.
func wildcard(v string) ([]string, bool) {
	if v == "*" {
		return nil, true
	}
	nums, rest := numbers(trimV(v), MaxLen)
	if len(nums) == 0 || rest == "" {
		return nil, false
	}
	for rest != "" {
		if len(rest) < 2 || rest[0] != '.' || !strings.ContainsRune("*xX", rune(rest[1])) {
			return nil, false
		}
		rest = rest[2:]
	}
	return nums, true
}

// upToNext gives the interval of ^, ~, ~= and ~>.
func upToNext(eco evidence.Ecosystem, op, v string, key []byte) ([]Interval, error) {
	nums, _ := numbers(trimV(v), MaxLen)
	keep := max(1, len(nums)-1)
	switch {
	case op == "~":
		keep = min(2, len(nums))
	case op == "^":
		keep = 1
		for keep < min(len(nums), 3) && strings.Trim(nums[keep-1], "0") == "" {
			keep++
		}
	case op == "~=" && len(nums) < 2:
		return nil, fmt.Errorf("%q needs two numbers: %w", op+evidence.Clean(v, MaxLen), ErrRange)
	}
	set, err := series(eco, nums, keep)
	if err != nil {
		return nil, err
	}
	set[0].Lo = key
	return set, nil
}

// series gives the interval of what starts with the first keep numbers of nums.
func series(eco evidence.Ecosystem, nums []string, keep int) ([]Interval, error) {
	if keep == 0 || len(nums) == 0 {
		return []Interval{{}}, nil
	}
	lo, err := first(eco, nums[:keep])
	if err != nil {
		return nil, err
	}
	next := append(append([]string{}, nums[:keep-1]...), increment(nums[keep-1]))
	hi, err := first(eco, next)
	if err != nil {
		return nil, err
	}
	return []Interval{{Lo: lo, Hi: hi}}, nil
}

// first is the key of the first pre-release that there can be of a version.
func first(eco evidence.Ecosystem, nums []string) ([]byte, error) {
	v := strings.Join(nums, ".")
	switch eco {
	case evidence.Cargo, evidence.NPM, evidence.WIT, evidence.Go, evidence.NuGet:
		v += "-0"
	case evidence.PyPI:
		v += ".dev0"
	case evidence.Gem:
		v += ".A"
	case evidence.Composer:
		v += "-dev"
	case evidence.Generic:
		v += "dev"
	default: // of Hackage a version is before all that start with it
	}
	key, ok := Key(eco, v)
	if !ok {
		return nil, fmt.Errorf("%s %q: %w", eco, v, ErrVersion)
	}
	return key, nil
}

// increment adds one to a decimal number of any length.
func increment(num string) string {
	b := []byte(num)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] <= '9' {
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

func intersect(a, b []Interval) []Interval {
	var both []Interval
	for _, x := range a {
		for _, y := range b {
			if i := x.intersect(y); !i.empty() {
				both = append(both, i)
			}
		}
	}
	return both
}
