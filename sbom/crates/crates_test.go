package crates

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
	"github.com/wreg-project/wreg/sbom/evidence"
)

func proven(name, version string) evidence.Component {
	return evidence.Component{Ecosystem: evidence.Cargo, Name: name, Version: version, Class: evidence.Proven}
}

// on makes a crate of versions, each a number and what it needs. A dependency is
// "name requirement", then "?" if it is optional, "default", "feature=x",
// "as=x" or a platform.
func on(name string, versions ...[]string) db.Crate {
	c := db.Crate{Name: name}
	for i, v := range versions {
		var r db.Record
		for _, text := range v[1:] {
			if f, enables, ok := strings.Cut(text, ": "); ok {
				r.Features = append(r.Features, db.Feature{Name: f, Enables: strings.Fields(enables)})
				continue
			}
			words := strings.Fields(text)
			e := db.Edge{Name: words[0], Requirement: words[1], Platforms: db.AllPlatforms}
			for _, w := range words[2:] {
				key, value, _ := strings.Cut(w, "=")
				switch key {
				case "?":
					e.Optional = true
				case "default":
					e.Default = true
				case "feature":
					e.Features = append(e.Features, value)
				case "as":
					e.As = value
				case "unknown":
					e.Platforms = db.Unknown
				case "wasi":
					e.Platforms = db.WASIp1 | db.WASIp2
				}
			}
			r.Edges = append(r.Edges, e)
		}
		c.Versions = append(c.Versions, db.Version{Number: v[0], Record: i})
		c.Records = append(c.Records, r)
	}
	return c
}

// world is a registry of a few crates with every case of the rules.
var world = []db.Crate{
	on("app", []string{"1.0.0", "old-lib ^1"}, []string{"1.2.0", "my-lib ^1.0.3", "leaf ^2"}),
	on("my_lib",
		[]string{"1.0.2", "leaf ^3"}, // the requirement leaves it out
		[]string{"1.0.3", "always ^0.4", "drifts ^1", "dropped ^1"},
		[]string{"1.1.0", "always ^0.4", "drifts ^2"}),
	on("drifts", []string{"1.0.0", "both ^1", "too-far ^1"}, []string{"2.0.0", "both ^1"}),
	on("narrows", []string{"1.0.0", "my-lib ^1", "my-lib-user ^1"}),
	on("my_lib_user", []string{"1.0.0", "my-lib ^1.1"}),
	on("loop_a", []string{"1.0.0", "loop-b ^1"}),
	on("loop_b", []string{"1.0.0", "loop-c ^1"}),
	on("loop_c", []string{"1.0.0", "loop-b ^1"}),
	on("web", []string{"1.0.0", "js ^1 unknown", "system ^1 wasi"}),
	on("asks", []string{"1.0.0", "gives ^1 default feature=more"}),
	on("plain", []string{"1.0.0", "gives ^1"}),
	on("gives", []string{
		"1.0.0", "basic ^1 ?", "extra ^1 ? as=other", "idle ^1 ?", "tuned ^1 ?", "weak ^1 ?", "strong ^1 ?",
		"default: basic", "more: dep:other tuned? basic/speed idle?/on strong/on",
	}),
	on("basic", []string{"1.0.0", "quick ^1 ?", "speed: dep:quick"}),
	on("unsure", []string{"1.0.0", "moves ^1 feature=x"}),
	on("moves", []string{"1.0.0", "never ^1 ?", "x: dep:never"}, []string{"1.1.0", "never ^1 ?"}),
}

func database(t testing.TB, crates []db.Crate) *db.DB {
	t.Helper()
	var buf bytes.Buffer
	if err := db.Encode(&buf, crates); err != nil {
		t.Fatalf("Encode(%v) = %v", crates, err)
	}
	d, err := db.Open(buf.Bytes())
	if err != nil {
		t.Fatalf("Open(% x) = %v", buf.Bytes(), err)
	}
	return d
}

func TestInfer(t *testing.T) {
	std := proven("app", "1.2.0")
	std.Part = "std"
	fork := proven("app", "1.2.0")
	fork.Commit = "0123abc"
	named := proven("app", "1.2.0")
	named.Class = evidence.Named
	other := proven("app", "1.2.0")
	other.Ecosystem = evidence.NPM
	stdLib := proven("my-lib", "1.0.3")
	stdLib.Part = "std"
	tests := []struct {
		name string
		in   []evidence.Component
		on   Platforms // all if 0
		want []string  // "name requirement by"
	}{
		{
			name: "what every allowed version of an inferred crate needs is inferred too",
			in:   []evidence.Component{proven("app", "1.2.0")},
			want: []string{
				"always ^0.4 [pkg:cargo/my-lib]", "both ^1 [pkg:cargo/drifts]", "drifts * [pkg:cargo/my-lib]",
				"leaf ^2 [pkg:cargo/app@1.2.0]", "my-lib ^1.0.3 [pkg:cargo/app@1.2.0]",
			},
		},
		{
			name: "two requirements of compatible versions are about one version",
			in:   []evidence.Component{proven("narrows", "1.0.0")},
			want: []string{
				"always ^0.4 [pkg:cargo/my-lib]", "both ^1 [pkg:cargo/drifts]", "drifts ^2 [pkg:cargo/my-lib]",
				"my-lib ^1 [pkg:cargo/my-lib-user pkg:cargo/narrows@1.0.0]", "my-lib-user ^1 [pkg:cargo/narrows@1.0.0]",
			},
		},
		{
			name: "a feature that a dependency asks for turns on what is optional",
			in:   []evidence.Component{proven("asks", "1.0.0"), proven("plain", "1.0.0")},
			want: []string{
				"basic ^1 [pkg:cargo/gives]", "extra ^1 [pkg:cargo/gives]",
				"gives ^1 [pkg:cargo/asks@1.0.0 pkg:cargo/plain@1.0.0]", "quick ^1 [pkg:cargo/basic]", "strong ^1 [pkg:cargo/gives]",
			},
		},
		{
			name: "without default features nothing that is optional is certain",
			in:   []evidence.Component{proven("plain", "1.0.0")},
			want: []string{"gives ^1 [pkg:cargo/plain@1.0.0]"},
		},
		{
			name: "the program's own choice of features is not known",
			in:   []evidence.Component{proven("gives", "1.0.0")},
		},
		{
			name: "a feature counts that every allowed version has",
			in:   []evidence.Component{proven("unsure", "1.0.0")},
			want: []string{"moves ^1 [pkg:cargo/unsure@1.0.0]"},
		},
		{
			name: "a dependency is for the platform of the build",
			in:   []evidence.Component{proven("web", "1.0.0")}, on: db.Unknown,
			want: []string{"js ^1 [pkg:cargo/web@1.0.0]"},
		},
		{
			name: "a dependency is for every platform that is possible",
			in:   []evidence.Component{proven("web", "1.0.0")}, on: db.WASIp1 | db.WASIp2,
			want: []string{"system ^1 [pkg:cargo/web@1.0.0]"},
		},
		{
			name: "on an unknown platform one for some of them is not certain",
			in:   []evidence.Component{proven("web", "1.0.0")},
		},
		{
			name: "an inferred crate is gone on from, and not inferred again",
			in:   []evidence.Component{{Ecosystem: evidence.Cargo, Name: "app", Class: evidence.Inferred, Requirement: "^1, <1.1"}},
			want: []string{"old-lib ^1 [pkg:cargo/app]"},
		},
		{
			name: "a proven crate is not inferred, whatever its hyphens",
			in:   []evidence.Component{proven("app", "1.2.0"), proven("my_lib", "1.0.3"), proven("leaf", "2.1.0")},
			want: []string{
				"always ^0.4 [pkg:cargo/my_lib@1.0.3]", "both ^1 [pkg:cargo/drifts]", "drifts ^1 [pkg:cargo/my_lib@1.0.3]",
				"dropped ^1 [pkg:cargo/my_lib@1.0.3]",
				"too-far ^1 [pkg:cargo/drifts]",
			},
		},
		{
			name: "a cycle ends",
			in:   []evidence.Component{proven("loop-a", "1.0.0")},
			want: []string{"loop-b ^1 [pkg:cargo/loop-a@1.0.0 pkg:cargo/loop-c]", "loop-c ^1 [pkg:cargo/loop-b]"},
		},
		{
			name: "another version has its own edges",
			in:   []evidence.Component{proven("app", "1.0.0")},
			want: []string{"old-lib ^1 [pkg:cargo/app@1.0.0]"},
		},
		{name: "an unknown version says nothing", in: []evidence.Component{proven("app", "1.1.0")}},
		{name: "no version says nothing", in: []evidence.Component{proven("app", "")}},
		{name: "an unknown crate says nothing", in: []evidence.Component{proven("unheard-of", "1.0.0")}},
		{name: "a copy in the standard library says nothing", in: []evidence.Component{std}},
		{name: "a checkout of a repository says nothing", in: []evidence.Component{fork}},
		{name: "a crate known by name alone says nothing", in: []evidence.Component{named}},
		{name: "a package of another ecosystem says nothing", in: []evidence.Component{other}},
		{
			name: "a copy in the standard library does not stand for the crate",
			in:   []evidence.Component{proven("app", "1.2.0"), stdLib, proven("leaf", "2.0.0")},
			want: []string{
				"always ^0.4 [pkg:cargo/my-lib]", "both ^1 [pkg:cargo/drifts]", "drifts * [pkg:cargo/my-lib]", "my-lib ^1.0.3 [pkg:cargo/app@1.2.0]",
			},
		},
	}
	d := database(t, world)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range infer(d, tt.in, cmp.Or(tt.on, AllPlatforms)) {
				got = append(got, fmt.Sprint(c.Name, " ", c.Requirement, " ", c.RequiredBy))
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("infer(%v, %04b) (-want +got):\n%s", tt.in, tt.on, diff)
			}
		})
	}
}

func TestInferSaysWhy(t *testing.T) {
	got := infer(database(t, world[:1]), []evidence.Component{proven("app", "1.0.0")}, AllPlatforms)
	want := []evidence.Component{{
		Ecosystem: evidence.Cargo, Name: "old-lib", Class: evidence.Inferred, Requirement: "^1",
		RequiredBy: []string{"pkg:cargo/app@1.0.0"},
		Evidence: []evidence.Evidence{{
			Method: evidence.Dependency, Offset: -1, Text: "app 1.0.0 requires old-lib ^1", Confidence: direct,
		}},
	}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("infer(app 1.0.0) (-want +got):\n%s", diff)
	}
}

// The facts are those of the manifests that the crates were published with.
func TestEmbeddedKnowsWellKnownCrates(t *testing.T) {
	tests := []struct {
		crate, version string
		has, hasNot    []string
	}{
		{
			crate: "regex", version: "1.10.0",
			has: []string{"regex-automata", "regex-syntax"}, hasNot: []string{"memchr", "aho-corasick"}, // optional
		},
		{crate: "serde_json", version: "1.0.140", has: []string{"itoa", "ryu"}, hasNot: []string{"indexmap", "serde_derive"}},
		{crate: "thiserror", version: "1.0.60", hasNot: []string{"thiserror-impl", "syn", "quote"}}, // a procedural macro
		{crate: "tokio", version: "1.40.0", has: []string{"pin-project-lite"}, hasNot: []string{"libc", "windows-sys", "mio", "backtrace"}},
		{crate: "flate2", version: "1.0.30", has: []string{"crc32fast"}},
		{crate: "chrono", version: "0.4.38", has: []string{"num-traits"}, hasNot: []string{"windows-targets", "iana-time-zone", "js-sys"}},
	}
	for _, tt := range tests {
		t.Run(tt.crate, func(t *testing.T) {
			var names []string
			for _, c := range Infer([]evidence.Component{proven(tt.crate, tt.version)}, AllPlatforms) {
				names = append(names, c.Name)
			}
			for _, n := range tt.has {
				if !slices.Contains(names, n) {
					t.Errorf("Infer(%s %s) = %q, without %s", tt.crate, tt.version, names, n)
				}
			}
			for _, n := range tt.hasNot {
				if slices.Contains(names, n) {
					t.Errorf("Infer(%s %s) = %q, with %s", tt.crate, tt.version, names, n)
				}
			}
		})
	}
}

// All of the embedded file can be read, so that Infer neither panics nor passes
// over a part of it.
func TestEmbeddedIsWhole(t *testing.T) {
	d, err := open()
	if err != nil {
		t.Fatal(err)
	}
	crates, err := d.Crates()
	if err != nil || len(crates) != d.Len() || len(crates) < 500 {
		t.Fatalf("Crates() = %d crates, %v; want at least 500, and %d", len(crates), err, d.Len())
	}
	for _, c := range crates {
		if len(c.Versions) == 0 {
			t.Errorf("crate %s has no versions", c.Name)
		}
		for _, v := range c.Versions {
			if _, err := semver.StrictNewVersion(v.Number); err != nil {
				t.Errorf("crate %s: version %q: %v", c.Name, v.Number, err)
			}
			for _, e := range c.Records[v.Record].Edges {
				if k, err := d.Find(e.Name); err != nil || len(k.Versions) == 0 {
					t.Errorf("crate %s %s needs %s, which is not known: %v", c.Name, v.Number, e.Name, err)
				}
			}
		}
	}
	const most = 3 << 19
	if len(embedded) > most {
		t.Errorf("crates.db has %d bytes, want at most %d", len(embedded), most)
	}
}

// Infer ends with clean, unique and new names on whatever a binary claims.
func FuzzInfer(f *testing.F) {
	f.Add("regex", "1.10.0", "tokio", "1.40.0")
	f.Add("loop-a", "1.0.0", "\x1b[31m", "<b>")
	f.Add("", "v1", "serde", "99999999999999999999.0.0")
	f.Fuzz(func(t *testing.T, nameA, versionA, nameB, versionB string) {
		in := []evidence.Component{proven(nameA, versionA), proven(nameB, versionB)}
		seen := map[string]bool{db.Key(nameA): true, db.Key(nameB): true}
		for _, c := range Infer(in, AllPlatforms) {
			if seen[db.Key(c.Name)] || c.Class != evidence.Inferred || c.Requirement == "" || len(c.RequiredBy) == 0 {
				t.Errorf("Infer(%+v) has %+v", in, c)
			}
			seen[db.Key(c.Name)] = true
		}
	})
}

// The first inference of a process reads the table of the file.
func BenchmarkFirst(b *testing.B) {
	b.SetBytes(int64(len(embedded)))
	for b.Loop() {
		d, err := db.Open(embedded)
		if err != nil || len(infer(d, []evidence.Component{proven("regex", "1.10.0")}, AllPlatforms)) == 0 {
			b.Fatalf("infer(regex) found nothing: %v", err)
		}
	}
}

// The most that a binary can claim is every crate there is.
func BenchmarkEverything(b *testing.B) {
	d, err := open()
	if err != nil {
		b.Fatal(err)
	}
	all, err := d.Crates()
	if err != nil {
		b.Fatal(err)
	}
	var in []evidence.Component
	for _, c := range all {
		for i := range c.Versions {
			if i%6 == 0 && len(in) < evidence.MaxComponents {
				in = append(in, proven(c.Name, c.Versions[i].Number))
			}
		}
	}
	for b.Loop() {
		infer(d, in, AllPlatforms)
	}
}

func BenchmarkInfer(b *testing.B) {
	in := []evidence.Component{proven("tokio", "1.40.0"), proven("hyper", "1.4.0"), proven("regex", "1.10.0"), proven("image", "0.25.0")}
	for b.Loop() {
		if len(Infer(in, AllPlatforms)) == 0 {
			b.Fatal("Infer found nothing")
		}
	}
}
