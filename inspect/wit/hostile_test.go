package wit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/inspect/wasm"
)

const componentHeader = "\x00asm\x0d\x00\x01\x00"

func leb(n int) string { return string(binary.AppendUvarint(nil, uint64(n))) }

func sized(s string) string { return leb(len(s)) + s }

// vec is a section of a component: entries after their number.
func vec(id byte, entries ...string) string {
	return string(id) + sized(leb(len(entries))+strings.Join(entries, ""))
}

func custom(name, content string) string { return "\x00" + sized(sized(name)+content) }

func parseBinary(t *testing.T, bin string) *wasm.Binary {
	t.Helper()
	b, err := wasm.Parse([]byte(bin))
	if err != nil {
		t.Fatalf("wasm.Parse: %v", err)
	}
	return b
}

// A tuple of two tuples of two and so on is 2¹⁵ types if it is taken apart, and
// may be the parameter of many functions.
func doubling() string {
	types := []string{"\x6f\x02\x7d\x7d"}
	for i := range 14 {
		types = append(types, "\x6f\x02"+string(rune(i))+string(rune(i)))
	}
	types = append(types, "\x40\x01\x01a\x0e\x01\x00")
	var imports []string
	for i := range 100 {
		imports = append(imports, "\x00"+sized(fmt.Sprintf("f%d", i))+"\x01\x0f")
	}
	return componentHeader + vec(7, types...) + vec(10, imports...)
}

func TestTypesThatDouble(t *testing.T) {
	b := parseBinary(t, doubling())
	d, _, err := FromBinary(b)
	if err != nil {
		t.Fatalf("FromBinary: %v", err)
	}
	if _, err := Print(d); !errors.Is(err, ErrLimit) {
		t.Errorf("Print = %v, want ErrLimit", err)
	}
	s := d.Summary()
	if !s.Truncated || len(s.Text) > MaxSummaryText || len(s.Worlds[0].Imports[0].Type) > maxTypeText+len("…") {
		t.Errorf("Summary has %d bytes of text, truncated %v, a type of %d bytes", len(s.Text), s.Truncated, len(s.Worlds[0].Imports[0].Type))
	}
	if c, err := Compare(d, d); err == nil && len(c.Changes) > 0 {
		t.Errorf("Compare with itself = %v", table(c))
	}
}

// One instance type of many entries that is imported under many names costs a
// few bytes each time.
func TestInstanceTypeImportedOftenIsRefused(t *testing.T) {
	decls := []string{"\x01\x40\x00\x01\x00"} // func()
	for i := range 1000 {
		decls = append(decls, "\x04\x00"+sized(fmt.Sprintf("f%d", i))+"\x01\x00")
	}
	var imports []string
	for i := range 1000 {
		imports = append(imports, "\x00"+sized(fmt.Sprintf("i%d", i))+"\x05\x00")
	}
	bin := componentHeader + vec(7, "\x42"+leb(len(decls))+strings.Join(decls, "")) + vec(10, imports...)
	b := parseBinary(t, bin)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	d, _, err := FromBinary(b)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrLimit) {
		t.Errorf("FromBinary of %d bytes = %v, %v; want ErrLimit", len(bin), d, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 || took > time.Second {
		t.Errorf("FromBinary of %d bytes allocated %d bytes in %v", len(bin), grown, took)
	}
}

func TestPackageDocsThatAreWrong(t *testing.T) {
	plain := string(parseFile(t, "wasi-random@0.3.0.wasm").Bytes(0, parseFile(t, "wasi-random@0.3.0.wasm").Size))
	i := strings.Index(plain, "package-docs")
	if i < 0 {
		t.Fatal("wasi-random has no package-docs")
	}
	plain = strings.Replace(plain, "package-docs", "PACKAGE-DOCS", 1)
	tests := []struct {
		name    string
		section string
		want    string // problem
		docs    string // of the package
	}{
		{"version 0", "\x00" + `{"docs":"A."}`, "", "A."},
		{"version 1", "\x01" + `{"docs":"A.","interfaces":{"nobody":{"docs":[1,{"a":2}]}},"new":[[]]}`, "", "A."},
		{"a later version", "\x02" + `{"docs":"A."}`, "package-docs of version 2 is ignored", ""},
		{"nothing", "", "package-docs is empty", ""},
		{"no JSON", "\x01" + `{"docs":"A.",`, "package-docs: EOF", "A."},
		{"an array", "\x01" + `[]`, "package-docs: not in the shape of a package", ""},
		{"a number for a comment", "\x01" + `{"docs":1}`, "package-docs: not in the shape of a package", ""},
		{"a string for an interface", "\x01" + `{"interfaces":{"random":"x"}}`, "package-docs: not in the shape of a package", ""},
		{
			"a gate that is no version", "\x01" + `{"interfaces":{"random":{"stability":{"stable":{"since":"1) x"}}}}}`,
			`package-docs: gate since = "1) x"`, "",
		},
		{"a comment that is more than that", "\x01" + `{"docs":"a\u0007\r\n\t*/ \u202e b \n\n"}`, "", "a\ufffd\n    */ \ufffd b"},
		{
			"too large", "\x01" + `{"docs":"` + strings.Repeat("a", MaxDocs) + `"}`,
			"package-docs of 4194316 bytes is ignored, more than 4194304", "",
		},
		{"deep", "\x01" + strings.Repeat(`{"new":`, 100_000), "package-docs: ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, problems, err := FromBinary(parseBinary(t, plain+custom("package-docs", tt.section)))
			if err != nil {
				t.Fatalf("FromBinary: %v", err)
			}
			got := strings.Join(problems, "; ")
			if (tt.want == "") != (got == "") || !strings.HasPrefix(got, tt.want) || d.Package.Docs != tt.docs {
				t.Errorf("FromBinary has problems %q and docs %q, want %q and %q", got, d.Package.Docs, tt.want, tt.docs)
			}
			text, err := Print(d)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Parse(text); err != nil || back.Package.Docs != d.Package.Docs {
				t.Errorf("Parse of what was printed: %v, docs %q", err, back.Package.Docs)
			}
		})
	}
}

func TestNamesOfInterfaces(t *testing.T) {
	tests := []struct {
		in, suffix string
		want       string
	}{
		{"a:b/c", "", "a:b/c"},
		{"a:b/c@1.2.3", "", "a:b/c@1.2.3"},
		{"a:b/c@1", ".2.3", "a:b/c@1.2.3"},
		{"a:b/c@0.2", ".12", "a:b/c@0.2.12"},
		{"a:b/c@0.2", "", "a:b/c@0.2.0"},
		{"a:b/c@1", "", "a:b/c@1.0.0"},
		{"a:b/c@", "", ""},
		{"a:b/c@x", "", ""},
		{"a:b", "", ""},
		{"c", "", ""},
		{"a:b/c/d", "", ""},
		{"a:b:c/d", "", ""},
		{"a:b/%c", "", ""},
	}
	for _, tt := range tests {
		p, err := splitName(tt.in, tt.suffix)
		if got := p.String(); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("splitName(%q, %q) = %q, %v; want %q", tt.in, tt.suffix, got, err, tt.want)
		}
	}
}
