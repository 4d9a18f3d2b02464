package script

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// Patterns are compiled when they are first needed: each has to be one.
func TestBannerPatterns(t *testing.T) {
	if len(bannerTable) < 20 {
		t.Fatalf("%d banners; the table was lost", len(bannerTable))
	}
	for _, b := range bannerTable {
		re, err := regexp.Compile(b.pattern)
		if err != nil || re.NumSubexp() > 2 || len(b.anchors) == 0 {
			t.Errorf("banner %q %q: %v, %d anchors; want a pattern of at most 2 groups", b.name, b.pattern, err, len(b.anchors))
		}
	}
}

// section writes a section with its size.
func section(id byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

// module is a module with one segment of data at address 0, and maybe a section
// of Javy's.
func module(data string, javy []byte) []byte {
	m := append([]byte("\x00asm\x01\x00\x00\x00"), section(5, []byte{1, 0, 1})...)
	body := binary.AppendUvarint([]byte{1, 0, 0x41, 0, 0x0b}, uint64(len(data)))
	m = append(m, section(11, append(body, data...))...)
	if javy != nil {
		m = append(m, section(0, append([]byte("\x0bjavy_source"), javy...))...)
	}
	return m
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
		got = append(got, fmt.Sprintf("%s %s", c.PURL(), c.Evidence[0].Method))
	}
	return got
}

func TestExtract(t *testing.T) {
	tests := []struct {
		name, data string
		want       []string
	}{
		// Paths of npm.
		{"the name of a source file in C", "\x00../../node_modules/emnapi/src/uv/threadpool.c\x00", []string{"pkg:npm/emnapi source-path"}},
		{"a comment of esbuild", "var a;\n// node_modules/@scope/name/dist/index.mjs\nvar b;", []string{"pkg:npm/%40scope/name source-path"}},
		{"a module in webpack", `{"./node_modules/he/he.js":function(e){}}`, []string{"pkg:npm/he source-path"}},
		{
			"a package in pnpm's store", "\n// ../node_modules/.pnpm/@a+b@1.2.3_react@18.0.0/node_modules/@a/b/x.js\n",
			[]string{"pkg:npm/%40a/b@1.2.3 source-path"},
		},
		{
			"two packages, one in the other", "'node_modules/a1/node_modules/b1/x.js'",
			[]string{"pkg:npm/a1 source-path", "pkg:npm/b1 source-path"},
		},
		{"a path in a sentence", "see node_modules/left-pad/index.js for more", []string{}},
		{"a path in an example", `"node_modules/foo/index.js"`, []string{}},
		{"a folder", `"node_modules/left-pad/"`, []string{}},
		{"a folder of tools", `"node_modules/.bin/tsc.js"`, []string{}},

		// Banners of npm.
		{"jQuery", "/*! jQuery v3.6.0 | (c) OpenJS Foundation", []string{"pkg:npm/jquery@3.6.0 banner"}},
		{"jQuery, not minified", "/*!\n * jQuery JavaScript Library v3.7.1\n * https://jquery.com/", []string{"pkg:npm/jquery@3.7.1 banner"}},
		{"what a plugin requires", "/*!\n * Carousel\n * needs jQuery v3.6.0 or later\n */", []string{}},
		{
			"lodash", "var VERSION = '4.17.21';\n\n  var HASH_UNDEFINED = '__lodash_hash_undefined__';",
			[]string{"pkg:npm/lodash@4.17.21 banner"},
		},
		{"React", "/** @license React v16.13.1\n * react.production.min.js\n *", []string{"pkg:npm/react@16.13.1 banner"}},
		{"React's renderer", "/** @license React v16.13.1\n * react-dom.production.min.js\n *", []string{"pkg:npm/react-dom@16.13.1 banner"}},
		{"Vue 3", "/**\n* @vue/shared v3.4.21\n* (c) 2018-present", []string{"pkg:npm/%40vue/shared@3.4.21 banner"}},
		{"core-js", `license:"https://github.com/zloirock/core-js/blob/v3.22.5/LICENSE"`, []string{"pkg:npm/core-js@3.22.5 banner"}},
		{"Moment", "//! moment.js\n//! version : 2.29.4\n//! authors", []string{"pkg:npm/moment@2.29.4 banner"}},
		{"Axios", "// Axios v1.6.0 Copyright (c) 2023", []string{"pkg:npm/axios@1.6.0 banner"}},
		{"a family", "/*! js-yaml 4.1.0 https://github.com/nodeca/js-yaml @license MIT */", []string{"pkg:npm/js-yaml@4.1.0 banner"}},
		{"a name alone", "/*! safe-buffer. MIT License. Feross Aboukhadijeh <https://feross.org> */", []string{"pkg:npm/safe-buffer banner"}},

		// Python.
		{
			"what pip leaves", "\x00/lib/python3.12/site-packages/typing_extensions-4.9.0.dist-info/METADATA\x00",
			[]string{"pkg:pypi/typing-extensions@4.9.0 file-system"},
		},
		{"an entry of a zip file", "\x1c\x00Jinja2-3.1.2.dist-info/RECORDx", []string{"pkg:pypi/jinja2@3.1.2 file-system"}},
		{"such a path in a sentence", "as in foo-1.0.dist-info/METADATA and others", []string{}},
		{"metadata", "\x00Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nSummary: x", []string{"pkg:pypi/requests@2.31.0 manifest"}},
		{"metadata in a template", "print('Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n')", []string{}},

		// Ruby.
		{"a line of Bundler", `$:.unshift File.expand_path("/bundle/gems/js-2.10.1/lib")`, []string{"pkg:gem/js@2.10.1 file-system"}},
		{
			"a gem for a platform", `$:.unshift File.expand_path("#{__dir__}/../gems/nokogiri-1.16.0-x86_64-linux/lib")`,
			[]string{"pkg:gem/nokogiri@1.16.0 file-system"},
		},
		{
			"the output of a test in a document", "/path/to/ruby/lib/ruby/gems/2.3.0/gems/rake-12.0.0/lib/rake/rake_test_loader\nStarted",
			[]string{},
		},
		{"a specification", "\x00/bundle/specifications/rack-3.0.8.gemspec\x00", []string{"pkg:gem/rack@3.0.8 file-system"}},
		{"a specification that Ruby brings", "\x00/lib/specifications/default/json-2.9.1.gemspec\x00", []string{}},
		{"a specification in a program", `"/specifications/mygem-1.0.gemspec"`, []string{}},

		// PHP.
		{
			"Composer's list", "{\n \"name\": \"monolog/monolog\",\n \"version\": \"2.9.1\",\n \"version_normalized\": \"2.9.1.0\",",
			[]string{"pkg:composer/monolog/monolog@2.9.1 manifest"},
		},
		{
			"Composer's list in PHP", "'symfony/console' => array(\n            'pretty_version' => 'v5.4.0',",
			[]string{"pkg:composer/symfony/console@5.4.0 manifest"},
		},
		{"a branch", "'acme/app' => array(\n            'pretty_version' => 'dev-main',", []string{}},
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

func compress(t testing.TB, source string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := brotli.NewWriter(&b)
	if _, err := w.Write([]byte(source)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJavy(t *testing.T) {
	const source = "/*! jQuery v3.6.0 | (c) OpenJS Foundation"
	packed := compress(t, source)
	bomb := compress(t, strings.Repeat(" ", maxSource)+source)
	tests := []struct {
		name string
		javy []byte
		want []string
	}{
		{"compressed", packed, []string{"pkg:npm/jquery@3.6.0 banner"}},
		{"not compressed", []byte("  " + source), []string{"pkg:npm/jquery@3.6.0 banner"}},
		{"beyond the bound", bomb, []string{}},
		{"nothing", []byte{}, []string{}},
		{"no Brotli and no text", []byte{0xff, 0xfe, 0xff, 0xfe}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := module("", tt.javy)
			list := extract(t, file)
			if d := cmp.Diff(tt.want, summaries(list)); d != "" {
				t.Fatalf("Extract of javy_source (-want +got):\n%s", d)
			}
			for _, c := range list {
				if e := c.Evidence[0]; e.Section != "javy_source" || e.Offset != int64(len(file)-len(tt.javy)) {
					t.Fatalf("evidence in %s at %d, want javy_source at %d", e.Section, e.Offset, len(file)-len(tt.javy))
				}
			}
		})
	}
}

// Hostile data ends, in components that fit the bounds and point into the file.
func FuzzExtract(f *testing.F) {
	f.Add("\n// ../node_modules/.pnpm/@a+b@1.2.3_react@18.0.0/node_modules/@a/b/x.js\n", []byte(nil))
	f.Add("\x00/site-packages/typing_extensions-4.9.0.dist-info/METADATA\x00\x00Metadata-Version: 2.1\nName: a\nVersion: 1\n", []byte("x"))
	f.Add("{\n \"name\": \"a/b\",\n \"version\": \"2.9.1\",\n \"version_normalized\": \"2.9.1.0\",", compress(f, "/*! jQuery v3.6.0 | (c)"))
	f.Add("VERSION = '4.17.21';\n\n  var HASH_UNDEFINED = '__lodash_hash_undefined__';'pretty_version' => '", []byte{0x1b, 0xff})
	f.Fuzz(func(t *testing.T, data string, javy []byte) {
		file := module(data, javy)
		for _, c := range extract(t, file) {
			for _, e := range c.Evidence {
				if e.Offset < 0 || e.Offset > int64(len(file)) {
					t.Fatalf("%s at %d of a file of %d bytes", c.PURL(), e.Offset, len(file))
				}
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	line := "function(e,t){return e.node_modules||\"./node_modules/he/he.js\"}\n// see https://github.com/a/b for License\n" +
		strings.Repeat("var a=e.exports,b=t(12);", 40)
	parsed, err := wasm.Parse(module(strings.Repeat(line, (16<<20)/len(line)), nil))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(16 << 20)
	for b.Loop() {
		var c evidence.Collector
		Extract(parsed, &c)
	}
}
