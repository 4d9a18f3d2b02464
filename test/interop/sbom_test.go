//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/test/corpus"
)

// advisories are the databases in test/data/osv by their names in OSV; the other
// scanner wants a file for each ecosystem, and of the rest there are none.
var advisories = map[string]string{
	"Go": "go.zip", "crates.io": "crates.io.zip", "npm": "npm.zip",
	"GIT": "", "PyPI": "", "RubyGems": "", "Packagist": "", "NuGet": "", "Hackage": "",
}

// noAdvisories is a zip without a file in it.
var noAdvisories = append([]byte("PK\x05\x06"), make([]byte, 18)...)

// bills are the forms in which bills of materials are written, by the ends of the
// names by which the other scanner knows them.
var bills = map[string]func(io.Writer, *sbom.Document) error{
	".1-6.cdx.json": cdxBill(cyclonedx.V1_6, cyclonedx.JSON),
	".1-6.cdx.xml":  cdxBill(cyclonedx.V1_6, cyclonedx.XML),
	".1-7.cdx.json": cdxBill(cyclonedx.V1_7, cyclonedx.JSON),
	".1-7.cdx.xml":  cdxBill(cyclonedx.V1_7, cyclonedx.XML),
	".spdx.json":    spdxBill(spdx.JSON),
	".spdx":         spdxBill(spdx.TagValue),
}

func cdxBill(v cyclonedx.Version, f cyclonedx.Format) func(io.Writer, *sbom.Document) error {
	return func(w io.Writer, d *sbom.Document) error {
		return cyclonedx.Write(w, d, cyclonedx.Options{Version: v, Format: f})
	}
}

func spdxBill(f spdx.Format) func(io.Writer, *sbom.Document) error {
	return func(w io.Writer, d *sbom.Document) error { return spdx.Write(w, d, spdx.Options{Format: f}) }
}

// A billed file is what we say of a file of the corpus, and what others ought to
// read of it.
type billed struct {
	proven []string // package URLs, sorted; of each unit once

	// findings are the names of each, by package URL.
	findings map[string][][]string
}

// bill writes the bills of materials of a file to dir.
func bill(t *testing.T, dir, file string, db vuln.Source) billed {
	t.Helper()
	bin, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatal(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: filepath.Base(file)})
	if err != nil {
		t.Fatal(err)
	}
	for end, write := range bills {
		var out bytes.Buffer
		if err := write(&out, d); err != nil {
			t.Fatalf("%s: %s: %v", file, end, err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)+end), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := billed{proven: []string{}, findings: map[string][][]string{}}
	for _, c := range d.All() {
		if c.Class == evidence.Proven && c.Version != "" && c.Part == "" {
			out.proven = append(out.proven, c.PURL())
		}
	}
	slices.Sort(out.proven)
	report, err := scan.Scan(t.Context(), d, scan.CodeOf(b), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Concat(report.Findings, report.Possible) {
		if f.Version == "" { // inferred: only we know that it may be there
			continue
		}
		out.findings[f.PURL] = append(out.findings[f.PURL], f.Names())
	}
	return out
}

// OSV-SCALIBR, which osv-scanner is made of, reads our bills of materials of all
// real files in all forms. It lists what is proven, each with its package URL,
// and nothing that is inferred or known by name alone; and matches that with the
// same advisories as we do.
func TestScannerReadsBillsOfMaterials(t *testing.T) {
	db, _, err := vuln.Load(t.Context(), filepath.Join(top, "test", "data", "osv"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, zip := range advisories {
		data := noAdvisories
		if zip != "" {
			if data, err = os.ReadFile(filepath.Join(top, "test", "data", "osv", zip)); err != nil {
				t.Fatal(err)
			}
		}
		folder := filepath.Join(dir, "osv-scalibr", name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "all.zip"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fetched, entries, err := corpus.Fetched()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]billed{}
	args := []string{"-db", dir}
	for _, e := range entries {
		want[e.File] = bill(t, dir, filepath.Join(fetched, e.File), db)
		for end := range bills {
			args = append(args, filepath.Join(dir, e.File+end))
		}
	}
	cmd := exec.CommandContext(t.Context(), client(t, "scanner"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scanner: %v: %.2000s", err, stderr.String())
	}
	read := 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; read++ {
		var got struct {
			File                        string
			Components, Vulnerabilities []string
		}
		if err := d.Decode(&got); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(got.File)
		name := base[:strings.Index(base, ".wasm")+len(".wasm")]
		if diff := cmp.Diff(want[name].proven, got.Components); diff != "" {
			t.Errorf("%s: components (-proven +read):\n%.3000s", base, diff)
		}
		for _, problem := range disagreements(want[name].findings, got.Vulnerabilities) {
			t.Errorf("%s: %s", base, problem)
		}
	}
	if read != len(entries)*len(bills) || len(entries) == 0 {
		t.Errorf("%d bills were read of %d files in %d forms", read, len(entries), len(bills))
	}
}

// disagreements are vulnerabilities that one of two scanners found. Ours has one
// finding for all advisories about the same vulnerability.
func disagreements(ours map[string][][]string, theirs []string) (problems []string) {
	seen := map[string]bool{}
	for _, v := range theirs {
		id, purl, _ := strings.Cut(v, " ")
		i := slices.IndexFunc(ours[purl], func(names []string) bool { return slices.Contains(names, id) })
		if i < 0 {
			problems = append(problems, "only the other scanner finds "+v)
			continue
		}
		seen[purl+" "+ours[purl][i][0]] = true
	}
	for purl, findings := range ours {
		for _, names := range findings {
			if !seen[purl+" "+names[0]] {
				problems = append(problems, "only we find "+names[0]+" "+purl)
			}
		}
	}
	slices.Sort(problems)
	return problems
}
