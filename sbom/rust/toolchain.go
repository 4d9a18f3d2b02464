package rust

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// A rustc is a compiler whose standard library is in a module, or that says of
// itself in the producers section that it made the module.
type rustc struct {
	// version is that of the release, "1.92.0", or what producers say of a build
	// that is no release, "1.73.0-nightly". It is "" of a commit that is not known.
	version string

	commit string // hexadecimal; all 40 digits where the data names it, "" if not known
}

// maxCompilers bounds the compilers of one module. Libraries of several releases
// are linked together now and then.
const maxCompilers = 8

// compilers adds what the producers section says to the commits of a scan.
func compilers(b *wasm.Binary, found []rustc) []rustc {
	list := slices.Clone(found)
	for _, p := range b.Metadata.Producers {
		if p.Name != "rustc" || p.Field != "processed-by" || len(list) >= maxCompilers {
			continue
		}
		c := producer(p.Version)
		if c.version == "" || slices.ContainsFunc(list, c.same) {
			continue
		}
		list = append(list, c)
	}
	return list
}

// producer reads "1.98.1 (48a229cea 2026-09-01)".
func producer(v string) rustc {
	version, rest, _ := strings.Cut(v, " (")
	if _, _, ok := release(version); !ok || len(version) > 32 {
		return rustc{}
	}
	commit, _, _ := strings.Cut(rest, " ")
	if !isHex(commit) {
		commit = ""
	}
	return rustc{version, commit}
}

// same reports whether two are one compiler: the data has whole commits, the
// producers section nine digits of one.
func (c rustc) same(o rustc) bool {
	if c.commit != "" && o.commit != "" {
		return strings.HasPrefix(c.commit, o.commit) || strings.HasPrefix(o.commit, c.commit)
	}
	return c.version == o.version
}

// addCommit notes the compiler of a path of the standard library.
func (s *scan) addCommit(commit string) {
	c := rustc{version: origin.RustRelease(commit), commit: commit}
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
func old(list []rustc) bool {
	known := false
	for _, c := range list {
		major, minor, ok := release(c.version)
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
