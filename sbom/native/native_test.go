package native

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// section writes a section with its size.
func section(id byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

func vec(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

// module is a module with one segment of data at address 0, and maybe a section
// of the dynamic linker.
func module(data string, dylink []byte) []byte {
	m := []byte("\x00asm\x01\x00\x00\x00")
	if dylink != nil {
		m = append(m, section(0, append(vec("dylink.0"), dylink...))...)
	}
	m = append(m, section(5, []byte{1, 0, 1})...)
	return append(m, section(11, slices.Concat([]byte{1, 0, 0x41, 0, 0x0b}, vec(data)))...)
}

func extract(t testing.TB, file []byte) []evidence.Component {
	t.Helper()
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var c evidence.Collector
	Extract(b, &c)
	return c.Components()
}

func summaries(list []evidence.Component) []string {
	got := []string{}
	for _, c := range list {
		got = append(got, fmt.Sprintf("%s %s %s", c.Class, c.PURL(), c.Evidence[0].Method))
	}
	return got
}

const sourceOf351 = "2025-11-04 19:38:17 fb2c931ae597f8d00a37574ff67aeed3eced4e5547f9120744ae4bfa8e74527b"

func TestExtract(t *testing.T) {
	const (
		sqlite = "SQLite format 3\x00unable to use function %s in the requested context\x00"
		zlib   = "incorrect header check\x00invalid distance too far back\x00"
		png    = "libpng error: %s\x00libpng warning: %s\x00"
	)
	tests := []struct {
		name, data string
		want       []string
	}{
		{"nothing", "", []string{}},
		{"a banner between zeros", "a\x00OpenSSL 3.2.0 23 Nov 2023\x00b", []string{"proven pkg:generic/openssl@3.2.0 banner"}},
		{"a banner that fills the segment", "OpenSSL 1.1.1t  7 Feb 2023", []string{"proven pkg:generic/openssl@1.1.1t banner"}},
		{"the same banner in a sentence", "built with OpenSSL 3.2.0 23 Nov 2023\x00", []string{}},
		{"a version that a message asks for", "H(ost) mode is deprecated. Since libtiff 4.5.1, it is an alias of 'B'\x00", []string{}},
		{"a version that a message forbids", "AOM v3.6.0 has a bug when encoding large images.\x00", []string{}},
		{"a version of a compiler that help tells of", "This was previously allowed, but is disallowed in GHC 6.10.2 and later.\x00", []string{}},
		{"a bare version with no library", "\x003.1.40\x001.2.13\x001.6.39\x00", []string{}},
		{"a BoringSSL that says it is OpenSSL", "OpenSSL 1.1.1 (compatible; BoringSSL)\x00", []string{"proven pkg:generic/boringssl banner"}},
		{"a library with its bare version", png + "1.6.39\x00", []string{"proven pkg:generic/libpng@1.6.39 banner"}},
		{"a library with two bare versions", png + "1.6.39\x001.6.40\x00", []string{"named pkg:generic/libpng literal"}},
		{"a library with the same bare version twice", png + "1.6.39\x00\x001.6.39\x00", []string{"proven pkg:generic/libpng@1.6.39 banner"}},
		{"a version that is anybody's", zlib + "1.2.0\x00", []string{"named pkg:generic/zlib literal"}},
		{"a version of zlib beside one that is anybody's", zlib + "1.2.5\x001.2.13\x00", []string{"named pkg:generic/zlib literal"}},
		{"a port of zlib to Rust", zlib + "1.3.1\x00/zlib-rs-0.5.2/src/inflate.rs", []string{}},
		{"a fork of zlib that says so", zlib + "1.3.1.zlib-ng\x00", []string{"named pkg:generic/zlib-ng literal"}},
		{"half of the texts of a library", "libpng error: %s\x001.6.39\x00", []string{}},
		{"a release of SQLite by its source", sqlite + sourceOf351 + "\x00", []string{"proven pkg:generic/sqlite@3.51.0 source-id"}},
		{
			"a release of SQLite by its full-text search", sqlite + "fts5: " + sourceOf351 + "\x00",
			[]string{"proven pkg:generic/sqlite@3.51.0 source-id"},
		},
		{
			"an unknown source of SQLite with its version", sqlite + "3.99.1\x00" + strings.Replace(sourceOf351, "2025", "2035", 1) + "\x00",
			[]string{"proven pkg:generic/sqlite@3.99.1 source-id"},
		},
		{
			"an unknown source of SQLite", sqlite + strings.Replace(sourceOf351, "2025", "2035", 1) + "\x00",
			[]string{"proven pkg:generic/sqlite source-id"},
		},
		{"a reader of SQLite's files", "SQLite format 3\x00" + "3.41.2\x00", []string{}},
		{"a namespace in a name of a type", "N4absl12lts_2023080213AnyInvocableE\x00", []string{"proven pkg:generic/abseil-cpp@20230802 banner"}},
		{"a folder of sources", "/src/boost_1_82_0/boost/asio/detail.hpp\x00", []string{"proven pkg:generic/boost@1.82.0 banner"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := summaries(extract(t, module(tt.data, nil)))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract of data %q (-want +got):\n%s", tt.data, d)
			}
		})
	}
}

// The offset of an evidence is where its text begins in the file.
func TestExtractOffset(t *testing.T) {
	file := module("x\x00libjpeg-turbo version 3.0.3 (build 20250321)\x00", nil)
	got := extract(t, file)
	if len(got) != 1 {
		t.Fatalf("Extract = %v, want one component", summaries(got))
	}
	e := got[0].Evidence[0]
	if !strings.HasPrefix(string(file[e.Offset:]), e.Text) {
		t.Fatalf("evidence %q at %d, want where %q stands", e.Text, e.Offset, file[e.Offset:])
	}
}

func TestNeeded(t *testing.T) {
	needed := func(body ...byte) []byte { return append([]byte{dylinkNeeded, byte(len(body))}, body...) }
	tests := []struct {
		name   string
		dylink []byte
		want   []string
	}{
		{"no libraries", needed(0), []string{}},
		{"two libraries", needed(slices.Concat([]byte{2}, vec("libc.so"), vec("libgdal.wasm"))...), []string{
			"named pkg:generic/libc link", "named pkg:generic/libgdal link",
		}},
		{
			"a subsection before", append([]byte{1, 2, 0, 0}, needed(append([]byte{1}, vec("libc.so")...)...)...),
			[]string{"named pkg:generic/libc link"},
		},
		{"a list cut short", needed(append([]byte{9}, vec("libc.so")...)...), []string{"named pkg:generic/libc link"}},
		{"a subsection longer than the section", []byte{dylinkNeeded, 99, 1}, []string{}},
		{"a number without an end", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := summaries(extract(t, module("", tt.dylink)))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract of dylink.0 % x (-want +got):\n%s", tt.dylink, d)
			}
		})
	}
}

// Every rule has what it needs to be met, and each release of SQLite a whole key.
func TestTable(t *testing.T) {
	for _, b := range bannerTable {
		if len(b.anchors) == 0 || b.pattern == "" {
			t.Errorf("banner of %s has %d anchors and pattern %q, want some", b.name, len(b.anchors), b.pattern)
		}
	}
	for _, l := range libraryTable {
		if len(l.needs) == 0 {
			t.Errorf("library %s needs nothing, want a text", l.name)
		}
	}
	if len(sqliteReleases) < 50 {
		t.Errorf("%d releases of SQLite, want 50 or more", len(sqliteReleases))
	}
	for id, version := range sqliteReleases {
		if len(id) != sqliteKey || !strings.HasPrefix(version, "3.") {
			t.Errorf("release %q = %q, want a key of %d bytes and a version 3", id, version, sqliteKey)
		}
	}
}

// Hostile data ends, in components that fit the bounds and point into the file.
func FuzzExtract(f *testing.F) {
	f.Add("libpng error: %s\x00libpng warning: %s\x001.6.39\x00", []byte(nil))
	f.Add("SQLite format 3\x00unable to use function %s in the requested context\x00fts5: "+sourceOf351+"\x00", []byte{2, 3, 1, 1, 'c'})
	f.Add("ruby 3.4.1 (2024-12-25 revision 48d4efcb85) [wasm32-wasi]\x00", []byte{2, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(strings.Repeat("X-Powered-By: PHP/8.4.25\x00", 300), []byte{})
	f.Fuzz(func(t *testing.T, data string, dylink []byte) {
		file := module(data, dylink)
		b, err := wasm.Parse(file)
		if err != nil {
			t.Fatal(err)
		}
		var c evidence.Collector
		Extract(b, &c)
		for _, found := range c.Components() {
			for _, e := range found.Evidence {
				if e.Offset < 0 || e.Offset >= int64(len(file)) {
					t.Fatalf("%s at %d of a file of %d bytes", found.PURL(), e.Offset, len(file))
				}
			}
		}
	})
}

// A module of 16 MB of texts that no rule is about, and the texts of one that
// has a bare version.
func BenchmarkExtract(b *testing.B) {
	line := "Cannot open file %s: the server said OpenSSL would not; version 1.2.13 or later\x00\x00\x00\x12\x34"
	file := module(strings.Repeat(line, (16<<20)/len(line))+"libpng error: %s\x00libpng warning: %s\x001.6.39\x00", nil)
	parsed, err := wasm.Parse(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		var c evidence.Collector
		Extract(parsed, &c)
	}
}
