package crates

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// A build is a program of which is known what it was built from; see
// testdata/README.md.
type build struct {
	on      Platforms
	proven  []evidence.Component
	glue    []evidence.Component // inferred of imports
	runtime map[string]bool      // keys of crates that are part of the program
	all     map[string]bool      // and of those that tests, macros and other targets need
}

func readBuild(t *testing.T, path string) build {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	targets := map[string]Platforms{"wasm32-unknown-unknown": db.Unknown, "wasm32-wasip1": db.WASIp1 | db.WASIp2}
	b := build{on: targets[strings.TrimPrefix(first, "# target: ")], runtime: map[string]bool{}, all: map[string]bool{}}
	for line := range strings.Lines(rest) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if b.on == 0 || len(f) != 3 {
			t.Fatalf("%s: %q, line %q", path, first, line)
		}
		b.all[db.Key(f[0])] = true
		if f[2] != "other" {
			b.runtime[db.Key(f[0])] = true
		}
		switch f[2] {
		case "proven":
			b.proven = append(b.proven, proven(f[0], f[1]))
		case "glue":
			b.glue = append(b.glue, evidence.Component{Ecosystem: evidence.Cargo, Name: f[0], Class: evidence.Inferred, Requirement: "^0.2"})
		}
	}
	return b
}

// A tally counts names.
type tally struct{ runtime, proven, inferred, right, found int }

func (b *build) tally(d *db.DB) (n tally, wrong []string) {
	inferred := slices.Concat(b.glue, infer(d, slices.Concat(b.proven, b.glue), b.on))
	found := map[string]bool{}
	for _, c := range b.proven {
		found[db.Key(c.Name)] = true
	}
	n.proven = len(found)
	for _, c := range inferred {
		n.inferred++
		found[db.Key(c.Name)] = true
		if b.all[db.Key(c.Name)] {
			n.right++
		} else {
			wrong = append(wrong, c.Name)
		}
	}
	n.runtime = len(b.runtime)
	for name := range b.runtime {
		if found[name] {
			n.found++
		}
	}
	return n, wrong
}

func (n *tally) add(o tally) {
	n.runtime, n.proven, n.inferred = n.runtime+o.runtime, n.proven+o.proven, n.inferred+o.inferred
	n.right, n.found = n.right+o.right, n.found+o.found
}

func (n *tally) recall() float64    { return float64(n.found) / float64(n.runtime) }
func (n *tally) precision() float64 { return float64(n.right) / float64(n.inferred) }

// roots are the crates that the database was made for.
func roots(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("cratesdb/roots/*/Cargo.toml")
	if err != nil || len(paths) != 2 {
		t.Fatalf("Glob = %q, %v; want two manifests", paths, err)
	}
	var names []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(string(text), "[dependencies]\n")
		for line := range strings.Lines(list) {
			name, _, _ := strings.Cut(line, " ")
			names = append(names, db.Key(name))
		}
	}
	return names
}

// without gives the database as it would be if nobody had thought of a family:
// crates whose names begin with one of the texts are gone, and those that no
// other root leads to, in whatever version and with whatever feature.
func without(t *testing.T, all []db.Crate, family ...string) []db.Crate {
	t.Helper()
	gone := func(name string) bool {
		return slices.ContainsFunc(family, func(prefix string) bool { return strings.HasPrefix(db.Key(name), prefix) })
	}
	byName := map[string]*db.Crate{}
	for i := range all {
		byName[all[i].Name] = &all[i]
	}
	kept := map[string]bool{}
	queue := roots(t)
	for len(queue) > 0 {
		name := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		c := byName[name]
		if c == nil || kept[name] || gone(name) {
			continue
		}
		kept[name] = true
		for _, r := range c.Records {
			for _, e := range r.Edges {
				queue = append(queue, db.Key(e.Name))
			}
		}
	}
	var rest []db.Crate
	for _, c := range all {
		if !kept[c.Name] {
			continue
		}
		c.Records = slices.Clone(c.Records)
		for i := range c.Records {
			r := &c.Records[i]
			r.Edges = slices.DeleteFunc(slices.Clone(r.Edges), func(e db.Edge) bool { return !kept[db.Key(e.Name)] })
		}
		rest = append(rest, c)
	}
	return rest
}

// What is inferred of builds whose crates are known is right, and is enough even
// where nobody thought of the family of the program when the database was made.
// Run with -v for the table.
func TestRecall(t *testing.T) {
	builds := []struct {
		name   string
		family []string // beginnings of names
	}{
		{name: "html-rewriter", family: []string{
			"scraper", "lightningcss", "parcel_", "html5ever", "markup5ever", "cssparser", "selectors", "servo_arc",
		}},
		{name: "parquet-0.7.2", family: []string{"arrow", "parquet", "datafusion", "polars", "object_store", "geozero"}},
		{name: "wasm-tools-1.232", family: []string{
			"wasm_encoder", "wasmparser", "wasmprinter", "wasm_metadata", "wasmtime", "wasmi", "wit_", "wast", "wat", "walrus",
			"spin_sdk", "cranelift",
		}},
		{name: "hexyl-0.17.0"}, // of no root's family
		{name: "sd-1.0.0"},
	}
	d, err := open()
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.Crates()
	if err != nil {
		t.Fatal(err)
	}
	var full, held tally
	t.Logf("%-18s %7s %7s %8s %6s %6s   %8s %6s %6s", "build", "runtime", "proven", "inferred", "right", "recall", "held out", "right", "recall")
	for _, tt := range builds {
		b := readBuild(t, filepath.Join("testdata", "builds", tt.name+".tsv"))
		with, wrong := b.tally(d)
		rest := database(t, without(t, all, tt.family...))
		left, wrongLeft := b.tally(rest)
		full.add(with)
		held.add(left)
		t.Logf("%-18s %7d %7d %8d %6d   %.3f   %8d %6d   %.3f", tt.name, with.runtime, with.proven, with.inferred, with.right,
			with.recall(), left.inferred, left.right, left.recall())
		if with.precision() < 0.97 || left.precision() < 0.97 {
			t.Errorf("%s: names that its build does not have: %q, with the family held out %q", tt.name, wrong, wrongLeft)
		}
	}
	t.Logf("%-18s %7d %7d %8d %6d   %.3f   %8d %6d   %.3f", "together", full.runtime, full.proven, full.inferred, full.right,
		full.recall(), held.inferred, held.right, held.recall())
	if full.recall() < 0.6 || held.recall() < 0.52 {
		t.Errorf("recall = %.3f, %.3f with families held out; want .60, .52", full.recall(), held.recall())
	}
}
