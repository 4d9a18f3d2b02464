package rust

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// A kind is a place where cargo, or what packages Rust programs for others, puts
// the source of crates.
type kind byte

const (
	registry kind = iota // registry/src/<index>-<hash>/<name>-<version>/
	checkout             // git/checkouts/<repository>-<hash>/<commit>/
	stdDeps              // /rust/deps/<name>-<version>/
	vendored             // <name>-<version>/, or <name>/ below a directory of that name
	labelled             // <name>-<version>/ after a prefix of its own
	compiler             // /rustc/<commit>/
)

// anchors are what a path is found by. On Windows they have backslashes, and what
// a compiler has remapped has a slash all the same.
var anchors = []struct {
	text string
	kind kind
}{
	{"registry/src/", registry},
	{`registry\src\`, registry},
	{"git/checkouts/", checkout},
	{`git\checkouts\`, checkout},
	{"/rust/deps/", stdDeps},
	{`/rust/deps\`, stdDeps},
	{"vendor/", vendored}, // cargo vendor, and the sources of rustc itself
	{`vendor\`, vendored},
	{"cargo-vendor-dir/", labelled},  // Nix
	{"source-registry-0/", labelled}, // Nix since 24.11
	{"cargo/registry/", labelled},    // Debian
	{"crates__", labelled},           // Bazel's rules_rust
	{"crate_index__", labelled},      // Bazel's rules_rust
	{"/rustc/", compiler},
}

var scanner = sync.OnceValue(func() *origin.Scanner {
	patterns := make([]string, len(anchors))
	for i, a := range anchors {
		patterns[i] = a.text
	}
	s, err := origin.NewScanner(patterns...)
	if err != nil {
		panic(err) // an anchor is too short: a test would have said so
	}
	return s
})

// A scan collects the paths of a module.
type scan struct {
	finds   map[crate]*find
	commits []rustc

	// homes are the ends of what stands before paths of registries in which crates
	// lie that the standard library has no copy of: the program's own.
	homes map[string]bool

	last last
}

// last is what was read last, since paths of one crate follow each other.
type last struct {
	dir           string // of a crate
	name, version string // "" if dir has none
	crate         crate
	find          *find
}

// A crate is what a path names.
type crate struct {
	kind                  kind
	name, version, commit string
	std                   bool   // the path is one of the standard library's
	home                  string // of a crate that may be the standard library's
}

// A find is where the paths of a crate are.
type find struct{ evidence []evidence.Evidence }

// addPaths adds the crates whose source files are named in data and debugging
// information, and gives their names. Next to a list, which is complete, only
// those with a version are worth adding.
func addPaths(b *wasm.Binary, c *evidence.Collector, listed bool) names {
	known := names{}
	var s scan
	s.module(b)
	old := old(compilers(b, s.commits))
	// A version that is proven leaves nothing to a name alone, so these come first.
	crates := slices.SortedFunc(maps.Keys(s.finds), func(a, b crate) int {
		return cmp.Or(cmp.Compare(a.class(), b.class())*-1, cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name),
			strings.Compare(a.version, b.version), strings.Compare(a.home, b.home))
	})
	for _, k := range crates {
		if k.class() == evidence.Named && (listed || known.has(k.name)) {
			continue
		}
		found := evidence.Component{
			Ecosystem: evidence.Cargo, Name: k.name, Version: k.version, Class: k.class(),
			Commit: k.commit, Evidence: s.finds[k].evidence,
		}
		if k.std || old && s.inLibrary(k) {
			found.Part = PartStd
		} else {
			known.add(k.name)
		}
		c.Add(found)
	}
	return known
}

func (k crate) class() evidence.Class {
	if k.version == "" {
		return evidence.Named
	}
	return evidence.Proven
}

// inLibrary reports whether a crate in a registry's cache came with the standard
// library of an old compiler. The makers of Rust have their cache in /cargo, and
// some crates hardly anyone else uses.
func (s *scan) inLibrary(k crate) bool {
	if k.kind != registry || !stdFamily[canonical(k.name)] {
		return false
	}
	if stdOnly[canonical(k.name)] {
		return true
	}
	return strings.HasSuffix(k.home, "/cargo/") && !s.homes[k.home]
}

// module scans the data and the debugging information of b.
func (s *scan) module(b *wasm.Binary) {
	for span := range text.Spans(text.Segments(b)) {
		s.span(span, "data")
	}
	for _, sec := range b.Sections {
		if sec.ID == wasm.SectionCustom && isDebug(sec.Name) {
			s.span(text.At(sec.Body, b.Bytes(sec.Body, sec.Size)), sec.Name)
		}
	}
}

func isDebug(section string) bool {
	return section == ".debug_str" || section == ".debug_line_str" || section == ".debug_line"
}

func (s *scan) span(span *text.Span, section string) {
	next := &ahead{}
	scanner().Scan(span.Bytes, func(n, at int) bool {
		a := &anchors[n]
		p := path{
			data: span.Bytes, start: at, at: at + len(a.text), directory: section != "data", ahead: next, last: &s.last,
		}
		if a.kind == compiler {
			if commit, ok := p.element(isHexByte); ok && len(commit) == commitDigits {
				s.addCommit(string(commit))
			}
			return true
		}
		if k, sure, ok := p.crate(a.kind); ok {
			s.add(k, func() evidence.Evidence {
				_, off := span.Place(at)
				return evidence.Evidence{
					Method: evidence.SourcePath, Section: section, Offset: off, Text: p.text(), Confidence: sure,
				}
			})
		}
		return true
	})
}

// homeLength is how many bytes before a path of a registry are looked at: enough
// to tell "/cargo/" after any text from "/usr/local/cargo/".
const homeLength = 12

func (s *scan) add(k crate, seen func() evidence.Evidence) {
	if k.home != "" && !stdFamily[canonical(k.name)] {
		if s.homes == nil {
			s.homes = map[string]bool{}
		}
		if len(s.homes) < evidence.MaxComponents {
			s.homes[k.home] = true
		}
		k.home = ""
	}
	f := s.last.find
	if f == nil || s.last.crate != k {
		f = s.finds[k]
	}
	if f == nil {
		if len(s.finds) >= evidence.MaxComponents {
			return
		}
		if s.finds == nil {
			s.finds = map[crate]*find{}
		}
		f = &find{}
		s.finds[k] = f
	}
	s.last.crate, s.last.find = k, f
	if len(f.evidence) < evidence.MaxEvidence {
		f.evidence = append(f.evidence, seen())
	}
}

// A path reads a path from an anchor on.
type path struct {
	data      []byte
	start, at int // of the anchor, and of what is to be read
	// directory is true where the path of a directory may end without a file:
	// debugging information has both apart.
	directory bool

	ahead *ahead
	last  *last
}

const (
	maxElement   = 160 // bytes of a directory's name
	maxPath      = 160 // bytes of a path from its anchor on
	commitDigits = 40
)

// element reads the name of a directory and the separator after it, or the end
// of the string where a directory may be last.
func (p *path) element(ok func(byte) bool) ([]byte, bool) {
	end := p.at
	for end < len(p.data) && end-p.at < maxElement && ok(p.data[end]) {
		end++
	}
	if end == p.at || end == len(p.data) {
		return nil, false
	}
	name := p.data[p.at:end]
	switch {
	case p.data[end] == '/' || p.data[end] == '\\':
		p.at = end + 1
	case p.directory && p.data[end] == 0:
		p.at = end
	default:
		return nil, false
	}
	return name, true
}

// crate reads what an anchor of a kind leads to, and how sure that is.
func (p *path) crate(k kind) (crate, float64, bool) {
	switch k {
	case registry:
		return p.registry()
	case checkout:
		return p.checkout()
	case vendored:
		return p.vendored()
	case stdDeps, labelled:
		name, version, ok := p.versioned()
		c := crate{kind: k, name: name, version: version, std: k == stdDeps}
		if k == stdDeps {
			return c, sureRegistry, ok
		}
		return c, sureVersioned, ok
	case compiler:
	}
	return crate{}, 0, false
}

func (p *path) registry() (crate, float64, bool) {
	home := string(p.data[max(0, p.start-homeLength):p.start])
	index, ok := p.element(isNameByte)
	if _, ok2 := cutHash(string(index)); !ok || !ok2 {
		return crate{}, 0, false
	}
	name, version, ok := p.versioned()
	return crate{kind: registry, name: name, version: version, home: home}, sureRegistry, ok
}

func (p *path) checkout() (crate, float64, bool) {
	dir, ok := p.element(isNameByte)
	if !ok {
		return crate{}, 0, false
	}
	repository, ok := cutHash(string(dir))
	if !ok || !isCrateName(repository) {
		return crate{}, 0, false
	}
	commit, ok := p.element(isHexByte)
	if !ok || len(commit) < 7 || len(commit) > commitDigits || !p.source(false) {
		return crate{}, 0, false
	}
	return crate{kind: checkout, name: repository, commit: string(commit)}, sureCheckout, true
}

// vendored reads a directory below one that is called vendor: cargo leaves the
// version away, unless it is asked for it or there are several.
func (p *path) vendored() (crate, float64, bool) {
	std := inLibrarySource(p.data[max(0, p.start-64):p.start])
	from := p.at
	if name, version, ok := p.versioned(); ok {
		return crate{kind: vendored, name: name, version: version, std: std}, sureVersioned, true
	}
	p.at = from
	name, ok := p.element(isNameByte)
	if !ok || std || !isCrateName(string(name)) {
		return crate{}, 0, false
	}
	// Without a version only the shape of a package tells it from what others
	// keep in directories of that name.
	if src, ok := p.element(isNameByte); !ok || string(src) != "src" || !p.source(false) {
		return crate{}, 0, false
	}
	return crate{kind: vendored, name: string(name)}, sureVendored, true
}

// inLibrarySource reports whether a path lies in the source of the standard
// library: as rustup installs it, or below the commit or release of rustc.
func inLibrarySource(before []byte) bool {
	if !bytes.Contains(before, []byte("rust")) {
		return false
	}
	dir := strings.TrimSuffix(strings.ReplaceAll(string(before), `\\`, "/"), "library/")
	if strings.HasSuffix(dir, "rustlib/src/rust/") || strings.HasSuffix(dir, "-src/") && strings.Contains(dir, "/rustc-") {
		return true
	}
	_, commit, ok := strings.Cut(dir, "/rustc/")
	commit, slash := strings.CutSuffix(commit, "/")
	return ok && slash && len(commit) == commitDigits && isHex(commit)
}

// versioned reads the directory of a crate with its version, and makes sure that
// the path leads to a source file.
func (p *path) versioned() (name, version string, ok bool) {
	dir, ok := p.element(isNameByte)
	if !ok {
		return "", "", false
	}
	if string(dir) != p.last.dir {
		p.last.dir = string(dir)
		p.last.name, p.last.version, _ = SplitDirectory(p.last.dir)
	}
	return p.last.name, p.last.version, p.last.name != "" && p.source(true)
}

// source reports whether what is left of the path leads to a source file: of Rust,
// or, where any will do, of the C that crates bring along, which names its files in
// messages of assertions. Text may follow it at once, since Rust ends its strings
// by their length alone. Debugging information may name the directory alone.
func (p *path) source(anyLanguage bool) bool {
	if p.directory {
		return true
	}
	end := p.end()
	return p.ahead.rust.after(p.data, p.at, findRust)+len(".rs") <= end ||
		anyLanguage && p.ahead.c.after(p.data, p.at, findC)+len(".c") <= end
}

// end is the first byte after p.at that cannot belong to the path.
func (p *path) end() int {
	return min(p.ahead.path.after(p.data, p.at, findEnd), max(p.at, p.start+maxPath))
}

// ahead is what comes next in a span. Many paths may begin close together, and
// all of them together read it once.
type ahead struct{ path, rust, c next }

// A next is the first place of something at or after a byte.
type next struct{ from, at int }

// after gives the offset in data of the first place at or after from, or the
// length of data. find does so in a part of it. What was found last is the answer
// for all bytes between; a step back looks at the bytes before those alone.
func (n *next) after(data []byte, from int, find func([]byte) int) int {
	const overlap = 3 // a place may begin before n.from and end behind it
	switch {
	case n.from <= from && from <= n.at && n.at > 0:
	case from < n.from:
		if i := find(data[from:min(n.from+overlap, len(data))]); from+i < n.from {
			return from + i
		}
		n.from = from
	default:
		n.from, n.at = from, from+find(data[from:])
	}
	return n.at
}

func findRust(data []byte) int {
	if i := bytes.Index(data, []byte(".rs")); i >= 0 {
		return i
	}
	return len(data)
}

func findC(data []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(data[at:], '.')
		if i < 0 {
			return len(data)
		}
		if at += i; isC(data[at+1:]) {
			return at
		}
	}
}

func findEnd(data []byte) int {
	for i, b := range data {
		if !isPathByte(b) {
			return i
		}
	}
	return len(data)
}

// isC reports whether what follows the dot of a file's name begins like that of C,
// C++ or one of their headers.
func isC(ending []byte) bool {
	if len(ending) == 0 {
		return false
	}
	return ending[0] == 'c' || ending[0] == 'h' || bytes.HasPrefix(ending, []byte("inc"))
}

// text is the path from its anchor to the end of the file's name, as far as it can
// be told from what follows. What stands before says only who built the program,
// and where.
func (p *path) text() string {
	rest := p.data[p.at:p.end()]
	if i := bytes.Index(rest, []byte(".rs")); i >= 0 {
		rest = rest[:i+len(".rs")]
	}
	return string(p.data[p.start:p.at]) + string(rest)
}
