package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/vuln/reach"
)

const digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

const openExample = `{
  "@context": "https://openvex.dev/ns/v0.2.0",
  "@id": "https://example.com/vex/1",
  "author": "Example",
  "timestamp": "2026-01-02T03:04:05+01:00",
  "version": 1,
  "statements": [{
    "vulnerability": {"name": "CVE-2026-1", "aliases": ["GO-2026-1"]},
    "products": [{
      "@id": "pkg:oci/app",
      "hashes": {"sha-256": "` + digest + `"},
      "subcomponents": [{"@id": "pkg:golang/golang.org/x/text@v0.21.0"}]
    }],
    "status": "not_affected",
    "justification": "vulnerable_code_not_present",
    "impact_statement": "nothing of it is linked"
  }]
}`

const cdxExample = `{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
  "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
  "metadata": {"timestamp": "2026-01-02T02:04:05Z", "component": {"bom-ref": "app", "purl": "pkg:oci/app",
    "hashes": [{"alg": "SHA-256", "content": "` + digest + `"}]}},
  "vulnerabilities": [
    {"id": "CVE-2026-1", "references": [{"id": "GO-2026-1"}],
     "analysis": {"state": "not_affected", "justification": "code_not_present", "detail": "nothing of it is linked"},
     "affects": [{"ref": "app"}, {"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg:cargo/a@1.0.0"}]},
    {"id": "CVE-2026-2"}
  ]
}`

// cdxNested is about a file in a bill of materials: what it states of a part, at
// any depth, is stated of that part of the file.
const cdxNested = `{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
  %s
  "vulnerabilities": [
    {"id": "CVE-2026-1", "analysis": {"state": "resolved"}, "affects": [{"ref": "text"}, {"ref": "net"}]}
  ]
}`

const (
	cdxFile = `{"type": "application", "bom-ref": "app", "hashes": [{"alg": "SHA-256", "content": "` + digest + `"}]%s}`

	cdxParts = `"components": [{"type": "file", "bom-ref": "module", "components": [
    {"type": "library", "bom-ref": "text", "purl": "pkg:golang/golang.org/x/text@v0.21.0"}]},
    {"type": "library", "bom-ref": "net", "purl": "pkg:golang/golang.org/x/net@v0.1.0"}]`
)

var exampleTime = time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)

func TestRead(t *testing.T) {
	tests := []struct {
		name, in string
		want     *Document
	}{
		{
			name: "OpenVEX", in: openExample,
			want: &Document{
				ID: "https://example.com/vex/1", Author: "Example", Version: 1, Time: exampleTime,
				Statements: []Statement{{
					Vulnerability: "CVE-2026-1", Aliases: []string{"GO-2026-1"}, Status: NotAffected, Justification: CodeNotPresent,
					Text: "nothing of it is linked", Time: exampleTime,
					Products: []Product{{ID: "pkg:oci/app", SHA256: digest, Parts: []Product{{ID: "pkg:golang/golang.org/x/text@v0.21.0"}}}},
				}},
			},
		},
		{
			name: "CycloneDX", in: cdxExample,
			want: &Document{
				ID: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", Version: 1, Time: exampleTime,
				Statements: []Statement{{
					Vulnerability: "CVE-2026-1", Aliases: []string{"GO-2026-1"}, Status: NotAffected, Justification: CodeNotPresent,
					Text: "nothing of it is linked", Time: exampleTime,
					Products: []Product{{ID: "app", PURL: "pkg:oci/app", SHA256: digest}, {ID: "pkg:cargo/a@1.0.0"}},
				}},
			},
		},
	}
	parts := []Product{
		{ID: "app", SHA256: digest, Parts: []Product{{ID: "text", PURL: "pkg:golang/golang.org/x/text@v0.21.0"}}},
		{ID: "app", SHA256: digest, Parts: []Product{{ID: "net", PURL: "pkg:golang/golang.org/x/net@v0.1.0"}}},
	}
	alone := []Product{parts[0].Parts[0], parts[1].Parts[0]}
	for _, nested := range []struct {
		name, in string
		products []Product
	}{
		{"CycloneDX about parts of its subject", `"metadata": {"component": ` + fmt.Sprintf(cdxFile, "") + `},` + cdxParts + `,`, parts},
		{"CycloneDX about parts inside its subject", `"metadata": {"component": ` + fmt.Sprintf(cdxFile, ", "+cdxParts) + `},`, parts},
		{"CycloneDX about parts of several", `"components": [` + fmt.Sprintf(cdxFile, ", "+cdxParts) + `],`, parts},
		{"CycloneDX about components of nothing", cdxParts + `,`, alone},
		{
			"CycloneDX about components of what has but a name",
			`"metadata": {"component": {"type": "application", "bom-ref": "a", "name": "a"}},` + cdxParts + `,`, alone,
		},
	} {
		tests = append(tests, struct {
			name, in string
			want     *Document
		}{nested.name, fmt.Sprintf(cdxNested, nested.in), &Document{
			Version: 1, Statements: []Statement{{Vulnerability: "CVE-2026-1", Status: Fixed, Products: nested.products}},
		}})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read([]byte(tt.in))
			if err != nil {
				t.Fatalf("Read() = %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Read() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{name: "no JSON", in: "vex", want: ErrFormat},
		{name: "another document", in: `{"@context": "https://spdx.org"}`, want: ErrFormat},
		{name: "an unknown status", in: strings.Replace(openExample, `"not_affected"`, `"fine"`, 1), want: ErrFormat},
		{name: "an unknown justification", in: strings.Replace(openExample, "vulnerable_code_not_present", "luck", 1), want: ErrFormat},
		{name: "no vulnerability", in: strings.Replace(openExample, `"name": "CVE-2026-1"`, `"name": ""`, 1), want: ErrFormat},
		{name: "an unknown state", in: strings.Replace(cdxExample, `"not_affected"`, `"fine"`, 1), want: ErrFormat},
		{name: "a key twice", in: strings.Replace(openExample, `"version": 1`, `"version": 1, "version": 2`, 1), want: ErrFormat},
		{name: "a statement that is null", in: strings.Replace(openExample, `"statements": [`, `"statements": [null,`, 1), want: ErrFormat},
		{name: "a context that is a list", in: `{"@context": ["https://openvex.dev/ns"]}`, want: ErrFormat},
		{name: "lists in lists", in: `{"statements": ` + strings.Repeat("[", MaxDepth), want: ErrLimit},
		{name: "too many objects", in: `{"statements": [` + strings.Repeat("{},", MaxObjects) + "{}]}", want: ErrLimit},
		{name: "too many bytes", in: strings.Repeat(" ", MaxBytes+1), want: ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read([]byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("Read() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	const text, net = "pkg:golang/golang.org/x/text@v0.21.0", "pkg:golang/golang.org/x/net@v0.1.0"
	day := func(n int) time.Time { return exampleTime.AddDate(0, 0, n) }
	statement := func(id string, s Status, at time.Time, p ...Product) *Document {
		return &Document{Statements: []Statement{{Vulnerability: id, Aliases: []string{"alias-of-" + id}, Status: s, Time: at, Products: p}}}
	}
	finding := Finding{
		IDs: []string{"GO-1", "CVE-1"}, Products: []string{"pkg:oci/app@sha256:1?arch=wasm"}, SHA256: []string{"", digest}, Component: text,
	}
	app := Product{ID: "pkg:oci/app"}
	tests := []struct {
		name string
		docs []*Document
		want Status // "" for none
	}{
		{name: "no document"},
		{name: "by a package URL without a version", docs: []*Document{statement("CVE-1", Fixed, day(0), app)}, want: Fixed},
		{
			name: "by the digest of the file",
			docs: []*Document{statement("CVE-1", Fixed, day(0), Product{SHA256: strings.ToUpper(digest)})}, want: Fixed,
		},
		{name: "by the component", docs: []*Document{statement("GO-1", Fixed, day(0), Product{PURL: text})}, want: Fixed},
		{
			name: "by the digest in an image reference",
			docs: []*Document{statement("CVE-1", Fixed, day(0), Product{ID: "a.example/b/c@sha256:" + digest})}, want: Fixed,
		},
		{
			name: "by the digest in a package URL of another repository",
			docs: []*Document{statement("CVE-1", Fixed, day(0), Product{PURL: "pkg:oci/x@sha256%3A" + digest + "?repository_url=a.example/x"})},
			want: Fixed,
		},
		{
			name: "another digest in an image reference",
			docs: []*Document{statement("CVE-1", Fixed, day(0), Product{ID: "a.example/b@sha256:" + digest[1:] + "0"})},
		},
		{name: "another digest", docs: []*Document{statement("CVE-1", Fixed, day(0), Product{SHA256: digest[1:] + "0"})}},
		{name: "another version", docs: []*Document{statement("CVE-1", Fixed, day(0), Product{ID: "pkg:oci/app@sha256:2"})}},
		{name: "another qualifier", docs: []*Document{statement("CVE-1", Fixed, day(0), Product{ID: "pkg:oci/app?arch=386"})}},
		{name: "another vulnerability", docs: []*Document{statement("CVE-2", Fixed, day(0), app)}},
		{name: "without a product", docs: []*Document{statement("CVE-1", Fixed, day(0), Product{})}},
		{
			name: "an alias",
			docs: []*Document{{Statements: []Statement{{Vulnerability: "X", Aliases: []string{"GO-1"}, Status: Fixed, Products: []Product{app}}}}},
			want: Fixed,
		},
		{
			name: "a part that is the component",
			docs: []*Document{statement("CVE-1", Fixed, day(0), Product{ID: "pkg:oci/app", Parts: []Product{{ID: net}, {ID: text}}})}, want: Fixed,
		},
		{
			name: "a part that is not",
			docs: []*Document{statement("CVE-1", Fixed, day(0), Product{ID: "pkg:oci/app", Parts: []Product{{ID: net}}})},
		},
		{
			name: "the latest statement",
			docs: []*Document{statement("GO-1", Affected, day(2), app), statement("CVE-1", Fixed, day(1), app)}, want: Affected,
		},
		{
			name: "the last of one time",
			docs: []*Document{statement("GO-1", Affected, day(1), app), statement("GO-1", Fixed, day(1), app)}, want: Fixed,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Status
			if s := Apply([]Finding{finding}, tt.docs...)[0]; s != nil {
				got = s.Status
			}
			if got != tt.want {
				t.Errorf("Apply() = %q, want %q", got, tt.want)
			}
		})
	}
}

// A document of a hundred thousand products is read once for all findings: what it
// costs does not grow with their number times that of the statements.
func TestApplyTakesCrowds(t *testing.T) {
	const statements, most = 20_000, 64 << 20
	d := &Document{}
	for i := range statements {
		d.Statements = append(d.Statements, Statement{
			Vulnerability: "CVE-1", Status: Fixed, Products: []Product{{PURL: fmt.Sprintf("pkg:oci/app@%d?arch=wasm", i)}},
		})
	}
	f := Finding{IDs: []string{"CVE-1"}, Component: "pkg:cargo/a@1.0.0"}
	for i := range 32 {
		f.Products = append(f.Products, fmt.Sprintf("pkg:oci/app@none?tag=%d", i))
	}
	last := f
	last.Products = []string{fmt.Sprintf("pkg:oci/app@%d?arch=wasm", statements-1)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := Apply([]Finding{f, f, f, f, last}, d)
	runtime.ReadMemStats(&after)
	if got[0] != nil || got[4] != &d.Statements[statements-1] {
		t.Errorf("Apply() = %v, …, %v; want none and the last statement", got[0], got[4])
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("Apply() of %d statements to 5 findings allocates %d bytes; want at most %d", statements, took, most)
	}
}

// What is written reads the same and does not depend on the order of statements.
func TestWrite(t *testing.T) {
	d, err := Read([]byte(openExample))
	if err != nil {
		t.Fatal(err)
	}
	d.ID = ""
	d.Statements = append(d.Statements, Statement{
		Vulnerability: "CVE-2026-0", Status: Affected, Text: "update", Time: exampleTime.Add(time.Hour),
		Products: []Product{{PURL: "pkg:oci/b"}, {PURL: "pkg:oci/a"}},
	})
	var one, two bytes.Buffer
	if err := Write(&one, d); err != nil {
		t.Fatalf("Write() = %v", err)
	}
	slices.Reverse(d.Statements)
	if err := Write(&two, d); err != nil {
		t.Fatalf("Write() = %v", err)
	}
	if one.String() != two.String() {
		t.Errorf("Write() of statements in another order:\n%s\n%s", one.String(), two.String())
	}
	back, err := Read(one.Bytes())
	if err != nil {
		t.Fatalf("Read(%s) = %v", one.String(), err)
	}
	want := slices.Clone(d.Statements)
	slices.SortFunc(want, func(a, b Statement) int { return strings.Compare(a.Vulnerability, b.Vulnerability) })
	slices.Reverse(want[0].Products)
	if diff := cmp.Diff(want, back.Statements); diff != "" {
		t.Errorf("statements (-written +read):\n%s", diff)
	}
	if !strings.HasPrefix(back.ID, "https://openvex.dev/docs/public/vex-") {
		t.Errorf("the document has ID %q", back.ID)
	}
	if err := Write(&one, &Document{Statements: []Statement{{Vulnerability: "X"}}}); err == nil {
		t.Error("Write() writes a statement without a status")
	}
}

func TestRuledOut(t *testing.T) {
	tests := []struct {
		in   reach.Result
		want Justification // "" for none
	}{
		{in: reach.Result{Level: reach.Present, Conclusive: true}, want: CodeNotPresent},
		{in: reach.Result{Level: reach.Linked, Conclusive: true}, want: CodeNotPresent},
		{in: reach.Result{Level: reach.SymbolLinked, Conclusive: true}, want: CodeNotInPath},
		{in: reach.Result{Level: reach.Reachable, Conclusive: true}},
		{in: reach.Result{Level: reach.Linked}},
		{in: reach.Result{Conclusive: true}},
	}
	for _, tt := range tests {
		if got, ok := RuledOut(tt.in); got != tt.want || ok != (tt.want != "") {
			t.Errorf("RuledOut(%v, conclusive %t) = %q, %t; want %q", tt.in.Level, tt.in.Conclusive, got, ok, tt.want)
		}
	}
}

// What is read can be written, and is then read with as many statements.
func FuzzRead(f *testing.F) {
	for _, s := range []string{openExample, cdxExample} {
		// The fuzzer minimises in runs that grow with the square of the length.
		var short bytes.Buffer
		if err := json.Compact(&short, []byte(s)); err != nil {
			f.Fatal(err)
		}
		f.Add(short.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Read(in)
		if err != nil {
			return
		}
		for _, s := range d.Statements {
			if len(s.Text) > maxText || len(s.Vulnerability) > maxText {
				t.Fatalf("%d bytes of text", len(s.Text))
			}
		}
		Apply([]Finding{{IDs: []string{"CVE-2026-1"}, Products: []string{"pkg:oci/app"}, Component: "pkg:cargo/a@1.0.0"}}, d)
		var out bytes.Buffer
		if err := Write(&out, d); err != nil {
			if d.Time.Year() < 0 || d.Time.Year() > 9999 {
				return
			}
			t.Fatalf("Write() = %v", err)
		}
		back, err := Read(out.Bytes())
		if err != nil || len(back.Statements) != len(d.Statements) {
			if errors.Is(err, ErrLimit) {
				return
			}
			t.Fatalf("Read(%s) = %v", out.String(), err)
		}
	})
}
