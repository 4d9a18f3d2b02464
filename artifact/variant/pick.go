package variant

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Candidate is native code that somebody offers, by what it is said to be. None
// of it is proven.
type Candidate struct {
	Digest   string // of the manifest that has the code
	Runtime  string // that loads it
	Version  string // of the compiler, in full
	Target   Target // that it was made for
	Profile  string // of settings that it was made with
	CompatID string // of what the runtime compares before it loads
	Source   string // digest of the WebAssembly that it was made of
	Fast     bool   // made by the tier that makes slower code
}

// Wanted is what code has to be. An empty Profile or Source, and no CompatIDs,
// match none.
type Wanted struct {
	Host      Target              // of the machine; see package host
	Runtime   string              // that will load it
	Profile   string              // that it loads
	Source    string              // digest of the WebAssembly to run
	CompatIDs map[Target][]string // of the runtime that is here, for each target that it loads: one for each tier
	Portable  bool                // portable bytecode will do where there is no native code
	Deny      []string            // versions of compilers, as "39.0.1" or as "39.0", which is all of 39.0.x
}

// A Choice is what became of candidates.
type Choice struct {
	Best     *Candidate // nil if the WebAssembly is to be compiled here
	Rejected []Rejected // all others, in the order that they were given in
}

// Rejected is a candidate and why it is not the one.
type Rejected struct {
	Candidate
	Why string // "it was made for linux/arm64, and this machine is linux/amd64/v3"
}

// Pick chooses the best of those that match what is wanted: native code before
// portable bytecode, then code that was optimised, which is worth more than a
// level of the CPU, the highest level that the machine has, the newest compiler,
// and at last the digest, so that the order of the candidates is of no importance.
//
// It believes what candidates say of themselves. Whether the code may be loaded
// is for a signature of its compiler to tell.
func Pick(w Wanted, candidates []Candidate) Choice {
	why := make([]string, len(candidates))
	best := -1
	for i, c := range candidates {
		if why[i] = w.refuses(c); why[i] == "" && (best < 0 || compare(c, candidates[best]) > 0) {
			best = i
		}
	}
	var out Choice
	for i, c := range candidates {
		switch {
		case i == best:
			out.Best = &c
		case why[i] == "":
			out.Rejected = append(out.Rejected, Rejected{c, lesser(c, candidates[best])})
		default:
			out.Rejected = append(out.Rejected, Rejected{c, why[i]})
		}
	}
	return out
}

// refuses says why a candidate does not do, the first reason that a person can do
// something about; "" if it does.
func (w Wanted) refuses(c Candidate) string {
	ids, loads := w.CompatIDs[c.Target]
	switch {
	case c.Runtime != w.Runtime:
		return fmt.Sprintf("it is for %s, and %s runs here", c.Runtime, w.Runtime)
	case c.Source != w.Source || c.Source == "":
		return fmt.Sprintf("it was made of %s, and this package is %s", orNothing(c.Source), orNothing(w.Source))
	case !c.Target.RunsOn(w.Host):
		return fmt.Sprintf("it was made for %s, and this machine is %s", c.Target, w.Host)
	case c.Target == Portable && !w.Portable:
		return "it is portable bytecode, which is not allowed here"
	case w.denies(c.Version):
		return fmt.Sprintf("it was compiled by %s %s, which is denied", c.Runtime, orNothing(c.Version))
	case c.Profile != w.Profile || c.Profile == "":
		return fmt.Sprintf("it was compiled with the profile %s, and %s is loaded here", orNothing(c.Profile), orNothing(w.Profile))
	case !loads:
		return fmt.Sprintf("the %s that is here loads no code for %s", w.Runtime, c.Target)
	case !slices.Contains(ids, c.CompatID) || c.CompatID == "":
		return fmt.Sprintf("the %s that is here does not load code of %s %s with these settings", w.Runtime, c.Runtime, orNothing(c.Version))
	}
	return ""
}

func orNothing(s string) string { return cmp.Or(s, "nothing") }

// denies reports whether a version is one that is denied, or a later part of one.
func (w Wanted) denies(version string) bool {
	return slices.ContainsFunc(w.Deny, func(d string) bool {
		rest, ok := strings.CutPrefix(version, d)
		return ok && d != "" && (rest == "" || !isDigit(rest[0]))
	})
}

// compare is above 0 if a is better than b.
func compare(a, b Candidate) int {
	return cmp.Or(
		-order(a.Target == Portable, b.Target == Portable),
		-order(a.Fast, b.Fast),
		cmp.Compare(slices.Index(levels, a.Target.Level), slices.Index(levels, b.Target.Level)),
		compareVersions(a.Version, b.Version),
		-cmp.Compare(a.Digest, b.Digest),
	)
}

// lesser says why b was taken and not a, which would do.
func lesser(a, b Candidate) string {
	switch sameKind := (a.Target == Portable) == (b.Target == Portable); {
	case sameKind && a.Fast != b.Fast:
		return "it was not optimised, and another was"
	case a.Target != b.Target:
		return fmt.Sprintf("it was made for %s, and %s is better here", a.Target, b.Target)
	case a.Version != b.Version:
		return fmt.Sprintf("it was compiled by %s %s, and another by %s", a.Runtime, a.Version, b.Version)
	}
	return fmt.Sprintf("it is the same as %s", b.Digest)
}

// order has false before true.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// compareVersions compares part by part, numbers by their value and before all
// else, which is text: "39.0.10" is after "39.0.9". What is no version has some
// order all the same.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		var p, q string
		p, a, _ = strings.Cut(a, ".")
		q, b, _ = strings.Cut(b, ".")
		if c := comparePart(p, q); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func comparePart(p, q string) int {
	m, errP := strconv.ParseUint(p, 10, 32)
	n, errQ := strconv.ParseUint(q, 10, 32)
	if errP != nil && errQ != nil {
		return cmp.Compare(p, q)
	}
	return cmp.Or(order(errP != nil, errQ != nil), cmp.Compare(m, n))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
