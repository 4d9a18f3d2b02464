// Package arch holds the house to its plan: which package may import which.
//
// The rules are data below. The test parses our files in-process, so that a
// changed import is always seen: a test that asks the go command instead stays
// "(cached)".
package arch

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/wreg-project/wreg"

// layers lists the lines of the house, lowest first. A package imports from its
// own line or from one above in this list. A trailing /... covers subpackages;
// the longest match counts.
var layers = [][]string{
	{"internal/...", "artifact/ref", "inspect/wasm", "signing/tlog"},
	{
		"inspect/...", "artifact", "artifact/variant/...", "sbom/...", "signing/...", "storage/blob", "storage/meta",
		"registry/catalog/wire",
	},
	{
		"storage/blob/...", "storage/meta/...", "storage/gc", "sbom/vuln/...", "signing/attest", "signing/trust",
		"artifact/aot/...", "artifact/build/...", "artifact/run/...",
		"registry/advisories", "registry/attached/...", "registry/auth", "registry/instance", "registry/auditlog", "registry/jobs", "registry/policy",
		"registry/search", "registry/trust", "registry/client/...",
	},
	{"registry"},
	{"registry/ingest", "registry/ociapi", "registry/catalog", "web/..."},
	{"cmd/..."},
	{"test/...", "tools/..."},
}

// A rule forbids imports. Test files are free of it unless tests is set.
type rule struct {
	why      string
	from     []string // packages the rule is for
	except   []string
	deny     []string // imports it forbids: ours without the module path, others whole
	allowing []string // exceptions among deny
	tests    bool
}

var rules = []rule{
	{
		why:    "drivers are chosen by the commands alone",
		from:   []string{"..."},
		except: []string{"cmd/...", "test/...", "storage/blob/...", "storage/meta/..."},
		deny: []string{
			"storage/blob/mem", "storage/blob/fs", "storage/blob/distdriver", "storage/blob/s3",
			"storage/meta/sqlite", "storage/meta/postgres",
		},
	},
	{
		why:  "storage knows no Wasm and no registry",
		from: []string{"storage/..."},
		deny: []string{"inspect/...", "sbom/...", "signing/...", "registry/..."},
	},
	{
		why:  "inspect is a pure function of bytes",
		from: []string{"inspect/..."},
		deny: []string{"os", "os/...", "net", "net/...", "syscall", "storage/..."},
	},
	{
		why:  "registry holds rules, without HTTP, SQL or Wasm",
		from: []string{"registry"},
		deny: []string{"net/http", "database/sql", "inspect/..."},
	},
	{
		why:  "web speaks to its Source",
		from: []string{"web/..."},
		deny: []string{"registry", "registry/ociapi", "registry/ingest", "storage/..."},
	},
	{
		why:  "the client is free of the server",
		from: []string{"cmd/wpkg/...", "registry/client/...", "artifact/..."},
		deny: []string{"registry", "registry/ociapi", "registry/auth", "storage/...", "database/sql"},
	},
	{
		why:    "programs are started in two places",
		from:   []string{"..."},
		except: []string{"internal/sandbox", "internal/testenv", "artifact/build/...", "test/...", "tools/..."},
		deny:   []string{"os/exec"},
	},
	{
		why:    "an engine that crashes takes its process along, so one program alone has it",
		from:   []string{"..."},
		except: []string{"cmd/wpkg-engine", "artifact/aot/wasmtime/engine", "test/..."},
		deny:   []string{"artifact/aot/wasmtime/engine", "github.com/bytecodealliance/wasmtime-go/..."},
	},
	{
		why:    "test support stays out of the product",
		from:   []string{"..."},
		except: []string{"test/...", "storage/blob/blobtest", "storage/meta/metatest", "internal/testenv", "signing/signingtest"},
		deny: []string{
			"testing", "internal/testenv", "storage/blob/blobtest", "storage/meta/metatest", "signing/signingtest", "test/corpus/...", "test/schema",
			"test/testenv",
		},
	},
	{
		why:      "test/* is seen by none, but for the real and the hostile binaries, the official schemas and the issuer by tests",
		from:     []string{"..."},
		except:   []string{"test/..."},
		deny:     []string{"test/..."},
		allowing: []string{"test/corpus", "test/corpus/found", "test/corpus/hostile", "test/schema", "test/testenv"},
		tests:    true,
	},
}

// imported is one import of one file.
type imported struct {
	pkg, file, path string
	test            bool
}

func TestImportsFollowTheLayers(t *testing.T) {
	for _, im := range load(t) {
		if im.test || !strings.HasPrefix(im.path, module+"/") {
			continue
		}
		to := strings.TrimPrefix(im.path, module+"/")
		from, target := layer(im.pkg), layer(to)
		switch {
		case from < 0:
			t.Errorf("%s: package %s stands on no layer; add it to the list", im.file, im.pkg)
		case target < 0:
			t.Errorf("%s imports %s, which stands on no layer", im.file, to)
		case target > from:
			t.Errorf("%s: %s (layer %d) imports %s (layer %d), which points up", im.file, im.pkg, from, to, target)
		}
	}
}

func TestInternalImportsOnlyInternal(t *testing.T) {
	for _, im := range load(t) {
		if im.test || !matches("internal/...", im.pkg) || !strings.HasPrefix(im.path, module+"/") {
			continue
		}
		if to := strings.TrimPrefix(im.path, module+"/"); !matches("internal/...", to) {
			t.Errorf("%s imports %s: internal/* imports only internal/*", im.file, to)
		}
	}
}

func TestImportsFollowTheSideRules(t *testing.T) {
	for _, im := range load(t) {
		to := strings.TrimPrefix(im.path, module+"/")
		for _, r := range rules {
			if im.test && !r.tests || to == im.pkg {
				continue
			}
			if matchesAny(r.from, im.pkg) && !matchesAny(r.except, im.pkg) && matchesAny(r.deny, to) && !matchesAny(r.allowing, to) {
				t.Errorf("%s imports %s: %s", im.file, to, r.why)
			}
		}
	}
}

// The rules are worth nothing if they match nothing: each has to see at least
// one package of ours, once its folder exists.
func TestEveryRuleIsRefusedSomething(t *testing.T) {
	for _, r := range rules {
		from := strings.TrimSuffix(strings.TrimSuffix(r.from[0], "..."), "/")
		deny := strings.TrimSuffix(r.deny[0], "/...")
		im := imported{pkg: path.Join(from, "planted"), path: deny}
		if matchesAny(r.from, r.from[0]) && r.from[0] == from {
			im.pkg = from
		}
		if !matchesAny(r.from, im.pkg) || matchesAny(r.except, im.pkg) || !matchesAny(r.deny, im.path) {
			t.Errorf("the rule %q does not refuse %s in %s", r.why, im.path, im.pkg)
		}
	}
}

// replace and exclude break go install …@latest for everyone.
func TestGoModHasNoReplaceAndNoExclude(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(b), "\n") {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "replace" || word == "exclude" {
			t.Errorf("go.mod:%d has %q", i+1, word)
		}
	}
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatalf("no go.mod two folders up: %v", err)
	}
	return dir
}

// load parses the imports of every Go file of the module.
func load(t *testing.T) []imported {
	t.Helper()
	top := root(t)
	var all []imported
	err := filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != top && (name == "testdata" || name == "tools" || name == "bin" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		for _, spec := range parsed.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
			all = append(all, imported{pkg: path.Dir(rel), file: rel, path: p, test: strings.HasSuffix(name, "_test.go")})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no imports found: the test looks in the wrong place")
	}
	return all
}

// layer is the line that pkg stands on, by its longest match; -1 for none.
func layer(pkg string) int {
	best, length := -1, -1
	for i, line := range layers {
		for _, pattern := range line {
			if n := len(strings.TrimSuffix(pattern, "/...")); matches(pattern, pkg) && n > length {
				best, length = i, n
			}
		}
	}
	return best
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}

// matches reports whether pkg is named by pattern: itself, or with a trailing
// "..." itself and everything below.
func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pkg == pattern
}
