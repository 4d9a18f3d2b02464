// Package reach says how close a vulnerability is to the code that runs: whether
// the package that has it is in a binary, whether a function that is affected
// is, and whether a way leads there from what the host can call.
//
// # What the answers rest on
//
// Of programs made by Go's own linker the runtime's table of functions is read,
// which no flag removes (package pclntab), with the functions that were inlined
// into others. It names every function of the program, so that what it does not
// name is not there: such answers are [Result.Conclusive].
//
// Of other programs the name section is read. It is often missing, and the
// answer then is [Unknown]; and a function that was inlined leaves no name, so
// that the lack of one proves nothing.
//
// # What reachable means
//
// [Reachable] is an over-approximation, never a proof that an attacker gets
// there. Indirect calls lead to every function they could: outside Go those of
// the right type in the table, as package inspect/code says.
//
// In Go's programs that would be everything, since each function is in the one
// table, all have one type, and the scheduler resumes whatever was interrupted
// through it. So their table is left out, and references to functions are
// followed instead: calls, function values that code takes (package main's
// closures, what go and defer run), and from there on. Ways that begin in
// main.main, an initialiser of a package, the runtime's start or an exported
// function by such steps alone have [Result.Dynamic] unset. Methods that may be
// called through an interface and functions that variables hold count as
// reachable, too, with Dynamic set, whoever calls them. Go's linker has made the
// same analysis and removed what cannot be reached, wherefore an affected symbol
// that is linked is reachable as a rule: the great cut is from Present over
// Linked to SymbolLinked.
package reach

import (
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// A Level says how close a vulnerability is.
type Level byte

// The levels, each implying those before it but for Unknown.
const (
	Unknown      Level = iota // the binary does not say
	Present                   // the component is there, but nothing was found of the affected package
	Linked                    // functions of the affected package are in the binary
	SymbolLinked              // and of an affected function, maybe inlined into another
	Reachable                 // and a way leads there from outside
)

var levels = [...]string{"unknown", "present", "linked", "symbol-linked", "reachable"}

func (l Level) String() string {
	if int(l) >= len(levels) {
		return fmt.Sprintf("Level(%d)", byte(l))
	}
	return levels[l]
}

// MarshalText gives the text of String.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the text of String.
func (l *Level) UnmarshalText(text []byte) error {
	i := slices.Index(levels[:], string(text))
	if i < 0 {
		return fmt.Errorf("%.40q is no level of reachability", text)
	}
	*l = Level(i)
	return nil
}

// A Query asks about one package that an advisory names.
type Query struct {
	Ecosystem evidence.Ecosystem // others than Go and Cargo are Unknown

	// Package is an import path of Go (ecosystem_specific.imports of an
	// advisory), or the name of a crate.
	Package string

	// Symbols are the affected functions: "Reader.Read" of Go, paths of Rust
	// (affects.functions), "rustls::ConnectionCommon::complete_io". Without any
	// the whole package is affected.
	Symbols []string

	// OS and Arch restrict an advisory to platforms, as Go names them (goos and
	// goarch of an advisory's imports); without any it is about all. What is not
	// about Wasm does not affect a binary, whatever is linked.
	OS, Arch []string
}

// elsewhere reports whether the query is about other platforms only.
func (q Query) elsewhere() bool {
	wasm := func(list []string, names ...string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return slices.Contains(names, s) })
	}
	return !wasm(q.Arch, "wasm", "wasm32") || !wasm(q.OS, "js", "wasip1", "wasip2", "wasi", "unknown")
}

// A Result is the answer to a query.
type Result struct {
	Level Level `json:"level"`

	// Conclusive says that a higher level can be ruled out. It is false where
	// names are missing, or may be because of inlining.
	Conclusive bool `json:"conclusive,omitempty"`

	// Dynamic says that every way found begins at a function that is only called
	// through an interface, a function value or a table, by whom is not known.
	Dynamic bool `json:"dynamic,omitempty"`

	// Symbols are those of the query that are in the binary, and Functions the
	// functions of the binary that have them or, where inlined, their code: the
	// first MaxListed of each, as the binary names them.
	Symbols   []string `json:"symbols,omitempty"`
	Functions []string `json:"functions,omitempty"`

	// Path is a shortest way to an affected function, from what is called from
	// outside on. Of more than MaxPath functions the middle is left out; Omitted
	// says how many.
	Path    []string `json:"path,omitempty"`
	Omitted int      `json:"omitted,omitempty"`

	// Reason is a sentence for people.
	Reason string `json:"reason"`
}

// What a result lists at most.
const (
	MaxListed = 16
	MaxPath   = 16
	maxText   = 256 // bytes of a name
)

// Options say what is known of a binary.
type Options struct {
	// Main is the import path of a Go program's main package, which functions
	// call "main". It stands in the build information; "" is no path.
	Main string
}

// Join makes one answer of those to all packages that an advisory names: the
// highest level counts, and it is conclusive if no part could be higher. Without
// any it is Unknown.
func Join(results ...Result) Result {
	if len(results) == 0 {
		return Result{Reason: "the advisory names no package"}
	}
	best, all := results[0], true
	for _, r := range results {
		all = all && r.Conclusive
		if r.Level > best.Level || r.Level == best.Level && best.Dynamic && !r.Dynamic {
			best = r
		}
	}
	best.Conclusive = all || best.Level == Reachable
	return best
}
