package rust

import (
	"bytes"
	"os"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// A list that is read stays within the bounds, and every dependency is one of its
// packages.
func FuzzList(f *testing.F) {
	seeds := []string{
		list, `{}`, `{"packages":[]}`, `{"packages":[{"name":"a","dependencies":[0]}]}`, `{"format":1,"packages":[{}]}`,
	}
	for _, s := range seeds {
		f.Add(packed(f, s))
	}
	bin, err := os.ReadFile("testdata/listed/listed.wasm")
	if err != nil {
		f.Fatal(err)
	}
	b := parse(f, bin)
	for _, s := range b.Sections {
		if s.Name == sectionList {
			f.Add(b.Bytes(s.Body, s.Size))
		}
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := readList(in)
		if err != nil {
			return
		}
		if len(got) > maxPackages || len(got) > len(in)*maxRatio {
			t.Fatalf("readList of %d bytes = %d packages", len(in), len(got))
		}
		for i, p := range got {
			for _, to := range p.Dependencies {
				if to < 0 || to >= len(got) || to == i {
					t.Fatalf("package %d of %d depends on %d", i, len(got), to)
				}
			}
		}
	})
}

// What paths give is a crate that the registry could have, at a place of the data
// where its name stands, with a version that cargo can read.
func FuzzPaths(f *testing.F) {
	seeds := []string{
		"", "registry/src/", rust192, index + "serde_json-1.0.149/src/ser.rs", index + "zstd-sys-2.0.9+zstd.1.5.5/zstd/lib/common.c",
		`registry\src\github.com-1ecc6299db9ec823\md-5-0.10.6\src\lib.rs`, "vendor/memchr/src/lib.rs", "vendor/rand-0.8.5/src/lib.rs",
		"/rust/deps/hashbrown-0.15.5/src/raw/mod.rs", "git/checkouts/lol-html-f516a2180b0bf1e3/f32bd14/src/base/bytes.rs",
		"crates__regex-1.12.3/src/lib.rs",
	}
	for _, s := range seeds {
		f.Add([]byte(s), false)
		f.Add([]byte(s+"\x00"), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, debug bool) {
		const from = 100
		section := "data"
		if debug {
			section = ".debug_str"
		}
		var s scan
		s.span(text.At(from, in), section)
		for k, found := range s.finds {
			if !isCrateName(k.name) {
				t.Fatalf("span(%q) gives the name %q", in, k.name)
			}
			if _, err := semver.StrictNewVersion(k.version); k.version != "" && err != nil {
				t.Fatalf("span(%q) gives the version %q: %v", in, k.version, err)
			}
			checkEvidence(t, in, from, k, found.evidence)
		}
	})
}

func checkEvidence(t *testing.T, in []byte, from int64, k crate, list []evidence.Evidence) {
	t.Helper()
	if len(list) == 0 || len(list) > evidence.MaxEvidence {
		t.Fatalf("span(%q) gives %d evidences of %s", in, len(list), k.name)
	}
	for _, e := range list {
		at := e.Offset - from
		if at < 0 || at >= int64(len(in)) || !bytes.HasPrefix(in[at:], []byte(e.Text)) || !bytes.Contains([]byte(e.Text), []byte(k.name)) {
			t.Fatalf("span(%q) gives %s with evidence %q at byte %d", in, k.name, e.Text, at)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	m := parse(b, gunzip(b, "testdata/crates/crates.wasm.gz"))
	b.SetBytes(m.Size)
	b.ReportAllocs()
	for b.Loop() {
		var c evidence.Collector
		Extract(m, &c)
	}
}
