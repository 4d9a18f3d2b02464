package rust

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

const (
	rust192 = "/rustc/ded5c06cf21d2b93bffd5d884aa6e96934ee4234/library/core/src/fmt/mod.rs"
	rust177 = "/rustc/25ef9e3d85d934b27d9dada2f9dd52b1dc63bb04/library/core/src/fmt/mod.rs"
	index   = "registry/src/index.crates.io-1949cf8c6b5b557f/"
)

func TestPaths(t *testing.T) {
	tests := []struct {
		name string
		data string
		want []string
	}{
		{"a registry", "/build/.cargo/" + index + "serde_json-1.0.149/src/ser.rs", []string{"proven serde_json@1.0.149 source-path 0.9"}},
		{
			"text before and after without a break", "usize::MAX/build/.cargo/" + index + "nom-8.0.0/src/lib.rscalled `Option::unwrap()`",
			[]string{"proven nom@8.0.0 source-path 0.9"},
		},
		{
			"backslashes", `C:\Users\u\.cargo\registry\src\index.crates.io-1949cf8c6b5b557f\md-5-0.10.6\src\lib.rs`,
			[]string{"proven md-5@0.10.6 source-path 0.9"},
		},
		{"an index without a name", "registry/src/-1ecc6299db9ec823/base64-0.21.7/src/lib.rs", []string{"proven base64@0.21.7 source-path 0.9"}},
		{"C of a crate", index + "zstd-sys-2.0.9+zstd.1.5.5/zstd/lib/common.c", []string{"proven zstd-sys@2.0.9+zstd.1.5.5 source-path 0.9"}},
		{"two versions", index + "rand_core-0.6.4/src/le.rs" + index + "rand_core-0.9.5/src/le.rs", []string{
			"proven rand_core@0.6.4 source-path 0.9", "proven rand_core@0.9.5 source-path 0.9",
		}},
		{"a checkout", "/build/.cargo/git/checkouts/lol-html-f516a2180b0bf1e3/f32bd14/src/base/bytes.rs", []string{
			"named lol-html@#f32bd14 source-path 0.6",
		}},
		{"a crate vendored with its version", "/src/vendor/rand_chacha-0.3.1/src/guts.rs", []string{"proven rand_chacha@0.3.1 source-path 0.7"}},
		{"a crate vendored without", "vendor/memchr/src/arch/all/twoway.rs", []string{"named memchr@ source-path 0.5"}},
		{"a name that a version makes needless", "vendor/nom/src/lib.rs\x00" + index + "nom-8.0.0/src/lib.rs", []string{
			"proven nom@8.0.0 source-path 0.9",
		}},
		{"Nix", "/build/cargo-vendor-dir/regex-1.12.3/src/lib.rs", []string{"proven regex@1.12.3 source-path 0.7"}},
		{"Debian", "/usr/share/cargo/registry/regex-1.12.3/src/lib.rs", []string{"proven regex@1.12.3 source-path 0.7"}},
		{"Bazel", "external/crates__regex-1.12.3/src/lib.rs", []string{"proven regex@1.12.3 source-path 0.7"}},
		{
			"the library's own", rust192 + "/rust/deps/hashbrown-0.15.5/src/raw/mod.rs" + index + "hashbrown-0.16.0/src/raw/mod.rs",
			[]string{"std proven hashbrown@0.15.5 source-path 0.9", "proven hashbrown@0.16.0 source-path 0.9"},
		},
		{
			"the library's own with a backslash", `/rust/deps\dlmalloc-0.2.11\src\dlmalloc.rs`,
			[]string{"std proven dlmalloc@0.2.11 source-path 0.9"},
		},
		{"the library's own as its source has it", "/lib/rustlib/src/rust/vendor/hashbrown-0.15.5/src/raw.rs", []string{
			"std proven hashbrown@0.15.5 source-path 0.7",
		}},
		{"the library's own below a commit", rust192[:48] + "vendor/gimli-0.31.1/src/read.rs", []string{
			"std proven gimli@0.31.1 source-path 0.7",
		}},
		{"an old library's in the cache of its makers", rust177 + "overflow/cargo/" + index + "hashbrown-0.14.3/src/raw/mod.rs", []string{
			"std proven hashbrown@0.14.3 source-path 0.9",
		}},
		{
			"an old compiler and a program's crate", rust177 + "/usr/local/cargo/" + index + "nom-7.1.3/src/lib.rs" +
				"/usr/local/cargo/" + index + "hashbrown-0.14.3/src/raw/mod.rs",
			[]string{"proven hashbrown@0.14.3 source-path 0.9", "proven nom@7.1.3 source-path 0.9"},
		},
		{"an allocator of an old library", rust177 + "/build/.cargo/" + index + "dlmalloc-0.2.6/src/dlmalloc.rs", []string{
			"std proven dlmalloc@0.2.6 source-path 0.9",
		}},
		{"an allocator of a program", rust192 + "/build/.cargo/" + index + "dlmalloc-0.2.6/src/dlmalloc.rs", []string{
			"proven dlmalloc@0.2.6 source-path 0.9",
		}},
		{"nothing", "", []string{}},
		{"an anchor at the end", "registry/src/", []string{}},
		{"a path cut short", index + "nom-8.0.0/src/li", []string{}},
		{"an index without a hash", "registry/src/index.crates.io/nom-8.0.0/src/lib.rs", []string{}},
		{"no version", index + "nom/src/lib.rs", []string{}},
		{"half a version", index + "nom-8.0/src/lib.rs", []string{}},
		{"what Go vendors", "vendor/golang.org/x/net/http2/hpack.go", []string{}},
		{"what Ruby vendors", "bundler/vendor/thor/lib/thor.rb", []string{}},
		{"C that others vendor", "../../vendor/quickjs/src/dtoa.c", []string{}},
		{"a checkout without a commit", "git/checkouts/lol-html-f516a2180b0bf1e3/main/src/base.rs", []string{}},
		{"markup in a name", index + "<b>x</b>-1.0.0/src/lib.rs", []string{}},
		{"a version without end", index + "nom-1.0." + strings.Repeat("1", 1<<20) + "/src/lib.rs", []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := briefs(extract(parse(t, file(data(tt.data)))))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract(data %.200q) (-want +got):\n%s", tt.data, d)
			}
		})
	}
}

func TestPathsTellTheirPlace(t *testing.T) {
	bin := file(data("MAX/home/secret/.cargo/" + index + "nom-8.0.0/src/lib.rsexplicit panic"))
	want := []evidence.Component{{
		Ecosystem: evidence.Cargo, Name: "nom", Version: "8.0.0", Class: evidence.Proven,
		Evidence: []evidence.Evidence{{
			Method: evidence.SourcePath, Section: "data", Offset: int64(bytes.Index(bin, []byte("registry/src"))),
			Text: index + "nom-8.0.0/src/lib.rs", Confidence: 0.9,
		}},
	}}
	if d := cmp.Diff(want, extract(parse(t, bin))); d != "" {
		t.Fatalf("Extract (-want +got):\n%s", d)
	}
}

func TestDebuggingInformationNamesDirectories(t *testing.T) {
	dir := "/build/.cargo/" + index + "nom-8.0.0\x00clang"
	got := briefs(extract(parse(t, file(custom(".debug_str", []byte(dir))))))
	if d := cmp.Diff([]string{"proven nom@8.0.0 source-path 0.9"}, got); d != "" {
		t.Fatalf("Extract(.debug_str %q) (-want +got):\n%s", dir, d)
	}
	if got := briefs(extract(parse(t, file(data(dir))))); len(got) > 0 {
		t.Fatalf("Extract(data %q) = %q, want nothing: a message names a file", dir, got)
	}
}

func TestManyPathsKeepFewEvidences(t *testing.T) {
	got := extract(parse(t, file(data(strings.Repeat(index+"nom-8.0.0/src/lib.rs", 5000)))))
	if len(got) != 1 || len(got[0].Evidence) != evidence.MaxEvidence {
		t.Fatalf("Extract of 5000 paths of one crate = %d components, %d evidences of the first; want 1, %d",
			len(got), len(got[0].Evidence), evidence.MaxEvidence)
	}
}

func TestSymbols(t *testing.T) {
	tests := []struct {
		name  string
		funcs []string
		want  []string
	}{
		{"legacy", []string{"_ZN10serde_json2de10from_slice17h0123456789abcdefE"}, []string{"named serde_json@ symbol 0.3"}},
		{"v0", []string{"_RNvNtCs4fqI2P2rA04_3nom5bytes3tag"}, []string{"named nom@ symbol 0.3"}},
		{"demangled", []string{"nom::bytes::tag::h0123456789abcdef"}, []string{"named nom@ symbol 0.3"}},
		{"a trait of a crate for a built-in type", []string{"<u32 as bytes::Buf>::get::h0123456789abcdef"}, []string{"named bytes@ symbol 0.3"}},
		{"the standard library's", []string{
			"_RNvNtCs4fqI2P2rA04_4core3fmt5write", "_ZN9hashbrown3raw5inner17h0123456789abcdefE", "std::io::stdio::h0123456789abcdef",
		}, []string{}},
		{"C++", []string{"_ZN5boost4asio3runEv", "fmt::write(int)"}, []string{}},
		{"Go", []string{"runtime.mallocgc", "github.com_foo_bar.Do"}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := briefs(extract(parse(t, file(funcs(tt.funcs...)))))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract(names %q) (-want +got):\n%s", tt.funcs, d)
			}
		})
	}
}

func TestSymbolsDoNotRepeatWhatIsProven(t *testing.T) {
	names := funcs("_ZN18tracing_subscriber3fmt17h0123456789abcdefE",
		"_ZN6webpki3end17h0123456789abcdefE", "_ZN3nom3end17h0123456789abcdefE")
	paths := index + "tracing-subscriber-0.3.19/src/fmt.rs\x00" + index + "rustls-webpki-0.103.15/src/lib.rs\x00"
	bin := file(names, custom(".debug_str", []byte(paths)))
	want := []string{
		"named nom@ symbol 0.3", "proven rustls-webpki@0.103.15 source-path 0.9", "proven tracing-subscriber@0.3.19 source-path 0.9",
	}
	if d := cmp.Diff(want, briefs(extract(parse(t, bin)))); d != "" {
		t.Fatalf("Extract (-want +got):\n%s", d)
	}
}

func TestSymbolsTellTheirPlace(t *testing.T) {
	bin := file(funcs("core::fmt::write::h0123456789abcdef", "nom::a::h0123456789abcdef", "bytes::b::h0123456789abcdef"))
	for _, c := range extract(parse(t, bin)) {
		if e := c.Evidence[0]; !bytes.HasPrefix(bin[e.Offset:], []byte(c.Name+"::")) {
			t.Errorf("Extract: evidence of %s at byte %d, where there is %.8q", c.Name, e.Offset, bin[e.Offset:])
		}
	}
}

// The glue of wasm-bindgen has imports that only the crate of that name declares.
func TestGlue(t *testing.T) {
	imports := func(module, name string) []byte {
		entry := append(append(lebString(module), lebString(name)...), 0, 0)
		return append(section(1, "", []byte{1, 0x60, 0, 0}), section(2, "", append([]byte{1}, entry...))...)
	}
	bin := file(imports("./app_bg.js", "__wbindgen_throw"))
	got := extract(parse(t, bin))
	if len(got) != 1 || got[0].Name != "wasm-bindgen" || got[0].Class != evidence.Inferred || got[0].Requirement != "^0.2" {
		t.Fatalf("Extract(import of the glue) = %+v; want wasm-bindgen ^0.2, inferred", got)
	}
	if e := got[0].Evidence[0]; !bytes.HasPrefix(bin[e.Offset:], []byte("__wbindgen_throw")) {
		t.Errorf("Extract: evidence at byte %d, where there is %.8q", e.Offset, bin[e.Offset:])
	}
	if got := extract(parse(t, file(imports("env", "abort")))); len(got) != 0 {
		t.Errorf("Extract(import of something else) = %+v, want nothing", got)
	}
	debug := custom(".debug_str", []byte(index+"wasm-bindgen-0.2.100/src/lib.rs"))
	want := []string{"proven wasm-bindgen@0.2.100 source-path 0.9"}
	if d := cmp.Diff(want, briefs(extract(parse(t, file(imports("wbg", "__wbg_new_1"), debug))))); d != "" {
		t.Errorf("Extract(import of the glue, crate proven) (-want +got):\n%s", d)
	}
}

// Lengths in more bytes than they need hide the places of names, and cost no time.
func TestSymbolsOfPaddedLengths(t *testing.T) {
	name := "nom::a::h0123456789abcdef"
	entry := append([]byte{0, byte(len(name)) | 0x80, 0x00}, name...)
	body := append([]byte{1, byte(len(entry) + 1), 1}, entry...)
	bin := file(section(1, "", []byte{1, 0x60, 0, 0}), section(3, "", []byte{1, 0}),
		section(10, "", []byte{1, 2, 0, 0x0b}), custom("name", body))
	got := extract(parse(t, bin))
	if len(got) != 1 || got[0].Name != "nom" || got[0].Evidence[0].Offset != -1 {
		t.Fatalf("Extract = %+v, want nom without a place", got)
	}
}

// A real program, see testdata/README.md: everything proven is in its lock file.
func TestRealProgram(t *testing.T) {
	lock, err := os.ReadFile("testdata/crates/Cargo.lock")
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string]bool{}
	for _, m := range regexp.MustCompile(`name = "(.+)"\nversion = "(.+)"\nsource`).FindAllStringSubmatch(string(lock), -1) {
		truth[m[1]+" "+m[2]] = true
	}
	b := parse(t, gunzip(t, "testdata/crates/crates.wasm.gz"))
	proven, std := 0, []string{}
	for _, c := range extract(b) {
		switch {
		case c.Part == PartStd:
			std = append(std, c.Name+" "+c.Version)
		case c.Class == evidence.Proven:
			proven++
			if !truth[c.Name+" "+c.Version] {
				t.Errorf("proven %s %s is not in the lock file; evidence %+v", c.Name, c.Version, c.Evidence)
			}
		}
	}
	if proven < 11 {
		t.Errorf("%d of %d crates proven, want at least 11", proven, len(truth))
	}
	if d := cmp.Diff([]string{"dlmalloc 0.2.11"}, std); d != "" {
		t.Errorf("crates of the standard library (-want +got):\n%s", d)
	}
	list := toolchain(b)
	if len(list) != 1 || list[0].version != "1.95.0" || !strings.HasPrefix(list[0].commit, "59807616e") {
		t.Errorf("compilers = %+v, want rustc 1.95.0 of commit 59807616e…", list)
	}
}

// toolchain gives the compilers that Extract judges paths by.
func toolchain(b *wasm.Binary) []rustc {
	var s scan
	s.module(b)
	return compilers(b, s.commits)
}

func TestCompilers(t *testing.T) {
	producers := func(v string) []byte {
		return custom("producers", bytes.Join([][]byte{{1}, lebString("processed-by"), {1}, lebString("rustc"), lebString(v)}, nil))
	}
	tests := []struct {
		name string
		bin  []byte
		want []string
	}{
		{"a path", file(data(rust192)), []string{"1.92.0 ded5c06cf21d2b93bffd5d884aa6e96934ee4234"}},
		{"two libraries", file(data(rust192 + rust177)), []string{
			"1.92.0 ded5c06cf21d2b93bffd5d884aa6e96934ee4234", "1.77.2 25ef9e3d85d934b27d9dada2f9dd52b1dc63bb04",
		}},
		{"a commit of no release", file(data("/rustc/" + strings.Repeat("0", 40) + "/library")), []string{
			" " + strings.Repeat("0", 40),
		}},
		{"producers alone", file(producers("1.73.0-nightly (1065d876c 2023-07-09)")), []string{"1.73.0-nightly 1065d876c"}},
		{"producers that say the same", file(data(rust192), producers("1.92.0 (ded5c06cf 2025-12-08)")), []string{
			"1.92.0 ded5c06cf21d2b93bffd5d884aa6e96934ee4234",
		}},
		{"no version", file(producers("<script>")), nil},
		{"a commit cut short", file(data("/rustc/ded5c06cf21d/library")), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range toolchain(parse(t, tt.bin)) {
				got = append(got, c.version+" "+c.commit)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("compilers (-want +got):\n%s", d)
			}
		})
	}
}
