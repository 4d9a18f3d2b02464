package rust

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Compiler is a rustc whose standard library is in a module, or that says of
// itself in the producers section that it made the module.
type Compiler struct {
	// Version is that of the release, "1.92.0", or what producers say of a build
	// that is no release, "1.73.0-nightly". It is "" of a commit that is not known.
	Version string

	Commit string // of rustc, hexadecimal; all 40 digits where the data names it, "" if not known

	// Section and Offset, in bytes from the start of the file, are where the
	// first trace of it is: "data", the name of a section of debugging
	// information, or "producers" with the offset of that section.
	Section string
	Offset  int64
}

// maxCompilers bounds the compilers of one module. Libraries of several releases
// are linked together now and then.
const maxCompilers = 8

// Toolchain gives the compilers of the parts of b, first those that the data
// names, in the order of the file. It scans the data; a caller who also wants the
// crates pays for both.
func Toolchain(b *wasm.Binary) []Compiler {
	var s scan
	if b.Module != nil {
		s.module(b)
	}
	return compilers(b, s.commits)
}

// compilers adds what the producers section says to the commits of a scan.
func compilers(b *wasm.Binary, found []Compiler) []Compiler {
	list := slices.Clone(found)
	for _, p := range b.Metadata.Producers {
		if p.Name != "rustc" || p.Field != "processed-by" || len(list) >= maxCompilers {
			continue
		}
		c := producer(p.Version)
		if c.Version == "" || slices.ContainsFunc(list, c.same) {
			continue
		}
		c.Section, c.Offset = "producers", sectionOffset(b, "producers")
		list = append(list, c)
	}
	return list
}

// producer reads "1.98.1 (48a229cea 2026-09-01)".
func producer(v string) Compiler {
	version, rest, _ := strings.Cut(v, " (")
	if _, _, ok := release(version); !ok || len(version) > 32 {
		return Compiler{}
	}
	commit, _, _ := strings.Cut(rest, " ")
	if !isHex(commit) {
		commit = ""
	}
	return Compiler{Version: version, Commit: commit}
}

// same reports whether two are one compiler: the data has whole commits, the
// producers section nine digits of one.
func (c Compiler) same(o Compiler) bool {
	if c.Commit != "" && o.Commit != "" {
		return strings.HasPrefix(c.Commit, o.Commit) || strings.HasPrefix(o.Commit, c.Commit)
	}
	return c.Version == o.Version
}

func sectionOffset(b *wasm.Binary, name string) int64 {
	for _, s := range b.Sections {
		if s.ID == wasm.SectionCustom && s.Name == name {
			return s.Offset
		}
	}
	return b.Offset
}

// addCommit notes the compiler of a path of the standard library.
func (s *scan) addCommit(commit, section string, offset int64) {
	c := Compiler{Version: origin.RustRelease(commit), Commit: commit, Section: section, Offset: offset}
	if len(s.commits) < maxCompilers && !slices.ContainsFunc(s.commits, c.same) {
		s.commits = append(s.commits, c)
	}
}

// remapped is the minor version of the release from which on the standard
// library's dependencies have paths of their own, below /rust/deps. Before, their
// paths are those of a registry's cache, as the program's are.
const remapped = 80

// old reports whether the paths of the standard library's dependencies may look
// like the program's: a compiler is from before remapped, or none is known.
func old(list []Compiler) bool {
	known := false
	for _, c := range list {
		major, minor, ok := release(c.Version)
		if ok && (major < 1 || major == 1 && minor < remapped) {
			return true
		}
		known = known || ok
	}
	return !known
}

// release reads the first two numbers of a version.
func release(v string) (major, minor int, ok bool) {
	a, rest, _ := strings.Cut(v, ".")
	b, _, _ := strings.Cut(rest, ".")
	major, errA := strconv.Atoi(a)
	minor, errB := strconv.Atoi(b)
	return major, minor, cmp.Or(errA, errB) == nil
}
