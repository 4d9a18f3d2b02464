package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

func TestPlatformsOf(t *testing.T) {
	const all, none = db.AllPlatforms, db.Platforms(0)
	tests := []struct {
		target string
		want   db.Platforms
	}{
		{"", all},
		{`cfg(target_arch = "wasm32")`, all},
		{`cfg(target_family = "wasm")`, all},
		{`cfg(not(windows))`, all},
		{`cfg(all(target_arch = "wasm32", not(target_os = "windows")))`, all},
		{`cfg(any(unix, target_arch = "wasm32"))`, all},
		{`cfg(not(any(windows, target_os = "macos",)))`, all},
		{`cfg(any(tokio_unstable, target_pointer_width = "32"))`, all}, // whatever the flag is
		{`cfg(all())`, all},
		{`cfg(any())`, none},
		{`cfg(unix)`, db.Emscripten},
		{`cfg(not(unix))`, all &^ db.Emscripten},
		{`cfg(windows)`, none},
		{`cfg(target_os = "wasi")`, db.WASIp1 | db.WASIp2},
		{`cfg(all(target_arch = "wasm32", target_os = "unknown"))`, db.Unknown},
		{`cfg(target_env = "p1")`, none}, // wasm32-wasi had no env
		{`cfg(all(target_os = "wasi", not(target_env = "p1")))`, db.WASIp2},
		{`wasm32-wasip1`, none}, // nor that name,
		{`cfg(not(target_arch = "wasm32"))`, none},
		{`cfg(tokio_unstable)`, none},
		{`cfg(not(loom))`, none},
		{`cfg(target_feature = "atomics")`, none},
		{`cfg(not(target_feature = "crt-static"))`, none},
		{`cfg(not(windows, unix))`, none},
		{`wasm32-unknown-unknown`, db.Unknown},
		{`x86_64-pc-windows-msvc`, none},
		{`cfg(target_arch = "wasm32"`, none},
		{`cfg(not(windows)) or so)`, none},
		{`cfg(target_arch = wasm32)`, none},
		{`cfg(all(not(windows) not(windows)))`, none},
		{"cfg(" + strings.Repeat("all(", 100_000) + strings.Repeat(")", 100_001), none},
	}
	for _, tt := range tests {
		if got := platformsOf(tt.target); got != tt.want {
			t.Errorf("platformsOf(%.60q) = %04b, want %04b", tt.target, got, tt.want)
		}
	}
}

// entry is a file of Cargo's cache of the index.
func entry(releases ...string) []byte {
	b := []byte("\x03\x02\x00\x00\x00etag: \"1\"\x00")
	for _, r := range releases {
		b = append(b, "0.0.0\x00"+r+"\x00"...)
	}
	return b
}

func releaseJSON(name, version, deps string) string {
	return `{"name":"` + name + `","vers":"` + version + `","deps":[` + deps + `]}`
}

// put writes a published crate as Cargo keeps it.
func put(t *testing.T, home, name, version, manifest string) {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	h := &tar.Header{Name: name + "-" + version + "/Cargo.toml", Mode: 0o644, Size: int64(len(manifest))}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	_, err := w.Write([]byte(manifest))
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "registry", "cache", "registry-1", name+"-"+version+".crate"), buf.Bytes())
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRunKeepsWhatEveryBuildNeeds(t *testing.T) {
	home := t.TempDir()
	put(t, home, "plain-lib", "1.0.0", "[package]\nname = \"plain-lib\"\nversion = \"1.0.0\"\n\n[lib]\nname = \"plain_lib\"\n")
	put(t, home, "makro", "1.0.0", "[package]\nname = \"makro\"\nversion = \"1.0.0\"\n[lib]\nproc-macro = true\n")
	put(t, home, "turned", "2.0.0", "[package]\nname = \"turned\"\nversion = \"2.0.0\"\n")
	index := map[string][]byte{
		"plain-lib": entry(`{"name":"plain-lib","vers":"1.0.0","deps":[` + strings.Join([]string{
			`{"name":"turned","req":"^2","kind":"normal","optional":true}`,
			`{"name":"plain-lib","req":"^1","kind":"normal","optional":true}`,
		}, ",") + `],"features":{"default":["std","more"],"std":[],"unasked":["plain-lib"],"idle":["std"]},` +
			`"features2":{"extra":["dep:turned","turned?/idle"],"more":["turned/x"]},"v":2}`),
		"makro": entry(releaseJSON("makro", "1.0.0", "")),
		"turned": entry(
			releaseJSON("turned", "1.0.0", `{"name":"syn","req":"^1","kind":"normal"}`), releaseJSON("turned", "2.0.0", ""),
		),
		"unseen": entry(releaseJSON("unseen", "1.0.0", "")), // resolved for another platform, never downloaded
		"app": entry(
			releaseJSON("app", "1.0.0", strings.Join([]string{
				`{"name":"renamed","package":"plain-lib","req":"^1","kind":"normal","target":null,"default_features":true,"features":["extra","idle"]}`,
				`{"name":"turned","req":"^2","kind":"normal"}`,
			}, ",")),
			releaseJSON("app", "2.0.0", strings.Join([]string{
				`{"name":"plain-lib","req":"^1","kind":"dev"}`,
				`{"name":"plain-lib","req":"^1","kind":"build"}`,
				`{"name":"plain-lib","req":"^1","kind":"normal","optional":true}`,
				`{"name":"plain-lib","req":"^1","kind":"normal","target":"cfg(unix)"}`,
				`{"name":"plain-lib","req":"^1","kind":"normal","registry":"elsewhere"}`,
				`{"name":"plain-lib","req":"^9","kind":"normal"}`,
				`{"name":"makro","req":"^1","kind":"normal"}`,
				`{"name":"turned","req":"^1","kind":"normal"}`,
				`{"name":"turned","req":">=1","kind":"normal"}`,
				`{"name":"unseen","req":"^1","kind":"normal"}`,
				`{"name":"nowhere","req":"^1","kind":"normal"}`,
			}, ",")),
			releaseJSON("app", "2.1.0", `{"name":"plain-lib","req":"^1","kind":"normal","target":"cfg(unix)"}`),
		),
	}
	for name, data := range index {
		write(t, filepath.Join(home, "registry", "index", "registry-1", ".cache", "xx", name), data)
	}
	out := filepath.Join(t.TempDir(), "crates.db")
	if err := run(home, out); err != nil {
		t.Fatalf("run(%s, %s) = %v", home, out, err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Find("app")
	everywhere := func(e db.Edge) db.Edge { e.Platforms = db.AllPlatforms; return e }
	want := db.Crate{
		Name:     "app",
		Versions: []db.Version{{Number: "1.0.0"}, {Number: "2.0.0", Record: 1}, {Number: "2.1.0", Record: 1}},
		Records: []db.Record{{Edges: []db.Edge{
			everywhere(db.Edge{Name: "plain-lib", As: "renamed", Requirement: "^1", Default: true, Features: []string{"extra"}}),
			everywhere(db.Edge{Name: "turned", Requirement: "^2"}),
		}, Features: []db.Feature{}}, {Edges: []db.Edge{
			{Name: "plain-lib", Requirement: "^1", Platforms: db.Emscripten},
		}, Features: []db.Feature{}}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Find(app) = %v (-want +got):\n%s", err, diff)
	}
	// What nobody turns on is not kept, nor what turns nothing on.
	got, err = d.Find("plain-lib")
	want = db.Crate{
		Name:     "plain_lib",
		Versions: []db.Version{{Number: "1.0.0"}},
		Records: []db.Record{{
			Edges: []db.Edge{everywhere(db.Edge{Name: "turned", Requirement: "^2", Optional: true})},
			Features: []db.Feature{
				{Name: "default", Enables: []string{"more"}},
				{Name: "extra", Enables: []string{"dep:turned"}},
				{Name: "more", Enables: []string{"turned/x"}},
			},
		}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Find(plain-lib) = %v (-want +got):\n%s", err, diff)
	}
}

func TestParseEntryRefuses(t *testing.T) {
	for _, in := range [][]byte{nil, []byte("\x03\x02"), []byte("\x01\x02\x00\x00\x00tag\x00"), entry("{")} {
		if got, err := parseEntry(in); err == nil {
			t.Errorf("parseEntry(%q) = %v, nil; want an error", in, got)
		}
	}
}

// Every release of an entry that is read has a version.
func FuzzParseEntry(f *testing.F) {
	f.Add(entry(releaseJSON("app", "1.0.0", `{"name":"b","req":"^1","target":"cfg(unix)"}`), releaseJSON("app", "1.0", "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		releases, err := parseEntry(data)
		if err != nil {
			return
		}
		for _, r := range releases {
			if r.version == nil {
				t.Errorf("parseEntry(%q) has %+v, without a version", data, r)
			}
			for _, d := range r.Deps {
				platformsOf(d.Target)
			}
		}
	})
}
