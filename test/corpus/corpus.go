// Package corpus is a list of real WebAssembly binaries and the way to get them:
// the tests and benchmarks of the inspector read what toolchains really write.
//
// corpus.tsv names each binary by the npm package that ships it, its path
// inside, its size in bytes and its SHA-256, and says by what evidence its
// toolchain is known. It was gathered from public packages in November 2026.
// The licences of the binaries vary (MIT, Apache, GPL, LGPL, BUSL), so none is
// committed: Fetch gets them with npm into a folder that git ignores, and only
// what has the listed hash is kept. Rows whose package begins with "git:" are
// fixtures of a repository and of no package; they are left out.
package corpus

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed corpus.tsv
var list string

// An Entry is one binary of the list.
type Entry struct {
	File     string // its name in the folder, unique
	Package  string // "name@version", or "git:…" of what no package has
	Path     string // inside the package; what ends in ".gz" is listed unpacked
	Size     int64  // bytes
	SHA256   string // hexadecimal
	Evidence string // of the toolchain, in words
	Kind     string // "core module" or "component"
	Licence  string // as the package declares it
}

// Packaged reports whether a package has the binary, so that Fetch can get it.
func (e Entry) Packaged() bool { return !strings.HasPrefix(e.Package, "git:") }

// List returns the whole list, in its order.
func List() ([]Entry, error) { return parse(list) }

// maxSize bounds an entry, and with it what is unpacked of a package.
const maxSize = 256 << 20

func parse(text string) ([]Entry, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	entries := make([]Entry, 0, len(lines))
	seen := map[string]bool{}
	for i, line := range lines[1:] { // the first has the names of the columns
		e, err := parseLine(line)
		if err == nil && seen[e.File] {
			err = fmt.Errorf("%s is listed twice", e.File)
		}
		if err != nil {
			return nil, fmt.Errorf("corpus.tsv:%d: %w", i+2, err)
		}
		seen[e.File] = true
		entries = append(entries, e)
	}
	return entries, nil
}

func parseLine(line string) (Entry, error) {
	f := strings.Split(line, "\t")
	if len(f) != 8 {
		return Entry{}, fmt.Errorf("%d columns, want 8", len(f))
	}
	e := Entry{File: f[0], Package: f[1], Path: f[2], SHA256: f[4], Evidence: f[5], Kind: f[6], Licence: f[7]}
	var err error
	if e.Size, err = strconv.ParseInt(f[3], 10, 64); err != nil || e.Size < 1 || e.Size > maxSize {
		return Entry{}, fmt.Errorf("%s: size %q is not between 1 and %d bytes", e.File, f[3], maxSize)
	}
	if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != 32 {
		return Entry{}, fmt.Errorf("%s: %q is no SHA-256", e.File, e.SHA256)
	}
	if !filepath.IsLocal(e.File) || filepath.Base(e.File) != e.File {
		return Entry{}, fmt.Errorf("%q is no file name", e.File)
	}
	return e, nil
}

// Dir is the folder of the fetched binaries, .cache/corpus in the module that
// the current folder belongs to.
func Dir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache", "corpus"), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod in this folder or above")
		}
		dir = up
	}
}

// Fetched returns the packaged entries and the folder that has them. It fails,
// saying which and what to do, when one is absent.
func Fetched() (dir string, entries []Entry, err error) {
	if dir, err = Dir(); err != nil {
		return "", nil, err
	}
	all, err := List()
	if err != nil {
		return "", nil, err
	}
	for _, e := range all {
		if !e.Packaged() {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, e.File)); err != nil || info.Size() != e.Size {
			return "", nil, fmt.Errorf("%s is not in %s; `make corpus` fetches it", e.File, dir)
		}
		entries = append(entries, e)
	}
	return dir, entries, nil
}
