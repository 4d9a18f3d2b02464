package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/sbom/vuln"
)

// auditable is a module with a list of crates as cargo-auditable embeds it.
func auditable(t *testing.T, list []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(list); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	body := append([]byte("\x07.dep-v0"), packed.Bytes()...)
	return append(binary.AppendUvarint([]byte("\x00asm\x01\x00\x00\x00\x00"), uint64(len(body))), body...)
}

// crateList is a list of n crates, each of which requires the next, and the last
// the first.
func crateList(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"packages":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"c%d","version":"1.0.0","source":"crates.io","dependencies":[%d]}`, i, (i+1)%n)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// What hostile binaries say of themselves ends, in every form, in bounded output
// without a character that a terminal or a parser would obey.
func TestHostileBinaries(t *testing.T) {
	one := func(name, version string) []byte {
		n, _ := json.Marshal(name) // strings have no error
		v, _ := json.Marshal(version)
		return fmt.Appendf(nil, `{"packages":[{"name":%s,"version":%s,"source":"crates.io","root":true}]}`, n, v)
	}
	db := &vuln.DB{}
	a, err := vuln.Parse([]byte(`{"id":"RUSTSEC-0000-0001","modified":"2026-01-01T00:00:00Z","summary":"\u001b[2J<script>","affected":[` +
		`{"package":{"ecosystem":"crates.io","name":"c1"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	db.Put(a)
	for name, list := range map[string][]byte{
		"control characters": one("bad\x1b[2J\x00", "1.0.0\x1b]0;x\x07"),
		"markup":             one(`</name><script>alert(1)</script>]]>`, `1.0.0"><b>`),
		"tag-value":          one("a\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-evil", "</text>\nPackageName: evil"),
		"a version of 1 MB":  one("big", "1.0.0-"+strings.Repeat("x", 1<<20)),
		"a name of 1 MB":     one(strings.Repeat("x", 1<<20), "1.0.0"),
		"a cycle of crates":  crateList(2000),
		"a bomb":             bytes.Repeat([]byte(" "), 64<<20),
		"nested without end": bytes.Repeat([]byte("["), 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.wasm")
			if err := os.WriteFile(file, auditable(t, list), 0o644); err != nil {
				t.Fatal(err)
			}
			for form, out := range everyForm(t, file, db) {
				if len(out) > 32<<20 {
					t.Errorf("%s: %d bytes", form, len(out))
				}
				if i := bytes.IndexFunc(out, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }); i >= 0 {
					t.Errorf("%s: a control character at %d: %q", form, i, out[max(0, i-20):min(len(out), i+20)])
				}
				for _, bad := range []string{"<script", "\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-evil", "\nPackageName: evil"} {
					markup := strings.HasPrefix(bad, "<") && !strings.HasSuffix(form, "xml")
					if !markup && bytes.Contains(out, []byte(bad)) {
						t.Errorf("%s: it has %q", form, bad)
					}
				}
			}
		})
	}
}

// everyForm is all that sbom and scan write about a file.
func everyForm(t *testing.T, file string, db vuln.Source) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, format := range []string{formatTable, formatJSON, formatYAML, formatSARIF, formatCycloneDX, formatOpenVEX} {
		var b, said bytes.Buffer
		tool := &tool{out: &b, err: &said, format: format}
		s := &scanner{matcher: &matcher{tool: tool, advisories: db, stated: &statements{}}, flags: &scanFlags{}, created: scanTime}
		one, err := s.one(t.Context(), target{name: file, file: true, load: func(ctx context.Context) (*wasmFile, error) { return tool.load(ctx, file) }})
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		if err := s.write([]scanned{one}); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		out["scan "+format] = append(b.Bytes(), said.Bytes()...)
	}
	tool := &tool{format: formatTable}
	f, err := tool.load(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.sbom()
	if err != nil {
		t.Fatal(err)
	}
	for form, write := range sbomForms {
		var b bytes.Buffer
		if err := write(&b, d); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		out["sbom "+form] = b.Bytes()
	}
	var b bytes.Buffer
	tool.out = &b
	if err := tool.printSBOM(d); err != nil {
		t.Fatal(err)
	}
	out["sbom table"] = b.Bytes()
	return out
}

func TestWhatRegistriesSayOfAVersionIsBoundedAndClean(t *testing.T) {
	for name, notice := range map[string]string{
		"a state":           `{"state":"\u001b[31myanked"}`,
		"a reason":          `{"state":"yanked","reason":"\u001b]0;title\u0007\r\nwpkg: done"}`,
		"a reason of 1 MB":  `{"state":"yanked","reason":"` + strings.Repeat("x", 1<<20) + `"}`,
		"a state of 100 KB": `{"state":"` + strings.Repeat("x", 100<<10) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"notice":`+notice+`}`)
			}))
			defer srv.Close()
			var said bytes.Buffer
			from := &selection{ref: ref.Reference{Host: strings.TrimPrefix(srv.URL, "http://"), Repository: "demo/app", Tag: "1.0.0"}, tag: "1.0.0"}
			p := &program{name: "demo:app@1.0.0", tool: &tool{err: &said}, from: from}
			p.warnNotice(t.Context())
			got := strings.TrimSuffix(said.String(), "\n")
			if !strings.HasPrefix(got, "warning: demo:app@1.0.0 is ") || strings.ContainsFunc(got, unicode.IsControl) || len(got) > 10<<10 {
				t.Errorf("warnNotice of %.60s: %d bytes, %.200q; want a short warning without control characters", notice, len(got), got)
			}
		})
	}
}
