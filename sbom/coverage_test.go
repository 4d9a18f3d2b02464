//go:build corpus

package sbom

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/test/corpus"
)

// coverageFile is the document that TestGeneratedCoverage makes.
const coverageFile = "../docs/spec/coverage.md"

const coverageHead = `# What bills of materials reach

What [wpkg sbom](sbom.md) finds in each real binary of ` + "`test/corpus`" + `, by ecosystem, and why there is not more. This file is made by
` + "`make golden`" + `, and a test fails when it is no longer true.

Components are counted once in a file, without copies inside something else (Rust's standard library, an interpreter's own packages)
and without interfaces. Where the contents are known from the source (` + "`sbom/testdata/truth`" + `), *precision* is the share of proven
components with a version that are right, and of inferred ones whose name is; *recall* is the share of what is part of the program
that is proven, and that is proven or inferred. Named components count for neither.

| file | ecosystem | proven | inferred | named | precision | recall | complete |
|---|---|---|---|---|---|---|---|
`

// A coverage is what was found of one ecosystem in a file.
type coverage struct {
	classes  map[evidence.Class]int
	complete bool
	reasons  []string
}

// coverageOf counts what a document has, by ecosystem.
func coverageOf(d *Document) map[evidence.Ecosystem]*coverage {
	out := map[evidence.Ecosystem]*coverage{}
	of := func(e evidence.Ecosystem) *coverage {
		if out[e] == nil {
			out[e] = &coverage{classes: map[evidence.Class]int{}, complete: true}
		}
		return out[e]
	}
	seen := map[string]bool{}
	for _, c := range d.All() {
		key := string(c.Class) + " " + c.PURL()
		if c.Part != "" || c.Ecosystem == evidence.WIT || seen[key] {
			continue
		}
		seen[key] = true
		of(c.Ecosystem).classes[c.Class]++
	}
	for u := range d.Units() {
		for _, s := range u.Completeness {
			if out[s.Ecosystem] == nil { // of what nothing was found there is nothing to say
				continue
			}
			c := of(s.Ecosystem)
			c.complete = c.complete && s.Complete
			if !s.Complete && !slices.Contains(c.reasons, s.Reason) {
				c.reasons = append(c.reasons, s.Reason)
			}
		}
	}
	return out
}

// coverageRows are the lines of a file in the table; why collects the reasons.
func coverageRows(t *testing.T, name string, d *Document, why map[string][]string) (rows []string) {
	all := coverageOf(d)
	if len(all) == 0 {
		return []string{"| " + name + " | – | 0 | 0 | 0 | – | – | – |\n"}
	}
	for _, e := range slices.Sorted(maps.Keys(all)) {
		c := all[e]
		precision, recall := "–", "–"
		if s, ok := scoreOf(t, name, d, e); ok {
			precision = fmt.Sprintf("%.2f", ratio(s.right, s.proven))
			recall = fmt.Sprintf("%.2f", ratio(s.byProof, s.runtime))
			if s.inferred > 0 {
				precision += fmt.Sprintf(", %.2f", ratio(s.rightName, s.inferred))
				recall += fmt.Sprintf(", %.2f", ratio(s.byAll, s.runtime))
			}
		}
		complete := "yes"
		if !c.complete {
			complete = "no"
			for _, r := range c.reasons {
				if key := string(e) + ": " + r; !slices.Contains(why[key], name) {
					why[key] = append(why[key], name)
				}
			}
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %d | %d | %d | %s | %s | %s |\n", name, e,
			c.classes[evidence.Proven], c.classes[evidence.Inferred], c.classes[evidence.Named], precision, recall, complete))
	}
	return rows
}

// scoreOf compares with the truth about a file, false if there is none of that
// ecosystem, or one that does not have all of it.
func scoreOf(t *testing.T, name string, d *Document, e evidence.Ecosystem) (score, bool) {
	path := filepath.Join("testdata", "truth", name+".tsv")
	if _, err := os.Stat(path); err != nil || name == "php-8.4" {
		return score{}, false
	}
	truth := readTruth(t, path)
	for id := range truth.all {
		if id.ecosystem == e {
			return truth.score(d, e), true
		}
	}
	return score{}, false
}

// missingOf lists what is part of a known program and was not found.
func missingOf(t *testing.T, name string, d *Document) (lines []string) {
	for _, e := range []evidence.Ecosystem{evidence.Go, evidence.Cargo, evidence.Generic} {
		if s, ok := scoreOf(t, name, d, e); ok && len(s.missing) > 0 {
			lines = append(lines, item(fmt.Sprintf("**%s**, %d of %d: %s", name, len(s.missing), s.runtime, strings.Join(s.missing, ", "))))
		}
	}
	return lines
}

// item is an entry of a list in Markdown, in lines of a width to read.
func item(text string) string {
	const width = 130 // characters
	var b strings.Builder
	line := "-"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

const coverageTail = `
Of the programs whose contents are known these are neither proven nor inferred; some are known by name alone. A crate leaves a trace if
it can panic, by the path of its source, or if function names were kept. What proven crates require in every build is inferred from the
crates index, as far as ` + "`sbom/crates`" + ` knows it. A C library needs a text with a version of its own in the binary.

`

// The document in docs/spec says what is true of the real files.
func TestGeneratedCoverage(t *testing.T) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b corpus.Entry) int { return cmp.Compare(a.File, b.File) })
	var b strings.Builder
	b.WriteString(coverageHead)
	why := map[string][]string{}
	var missing []string
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil {
			t.Fatal(err)
		}
		name, d := strings.TrimSuffix(e.File, ".wasm"), extract(t, file)
		for _, row := range coverageRows(t, name, d, why) {
			b.WriteString(row)
		}
		missing = append(missing, missingOf(t, name, d)...)
	}
	b.WriteString("\n## What is missing, and why\n\nAs the documents say it of themselves:\n\n")
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		b.WriteString(item(fmt.Sprintf("**%s** (%s)", reason, strings.Join(why[reason], ", "))))
	}
	b.WriteString(coverageTail + strings.Join(missing, ""))
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(coverageFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(b.String())) {
		t.Errorf("%s is not what the real files give; make golden renews it", coverageFile)
	}
}
