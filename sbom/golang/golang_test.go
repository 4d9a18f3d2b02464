package golang

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// A piece is an active segment of a module under test.
type piece struct {
	address int
	bytes   string
}

// build makes a module with a memory, the segments, and, if they are not "", the
// version of Go in a producers section and names of functions.
func build(version string, names []string, pieces ...piece) []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	if len(names) > 0 {
		out = append(out, section(1, "\x01\x60\x00\x00")...)
		out = append(out, section(3, uleb(len(names))+strings.Repeat("\x00", len(names)))...)
	}
	out = append(out, section(5, "\x01\x00\x10")...)
	if len(names) > 0 {
		out = append(out, section(10, uleb(len(names))+strings.Repeat("\x02\x00\x0b", len(names)))...)
	}
	data := uleb(len(pieces))
	for _, p := range pieces {
		data += "\x00\x41" + string(sleb(int64(p.address))) + "\x0b" + str(p.bytes)
	}
	out = append(out, section(11, data)...)
	if version != "" {
		out = append(out, section(0, str("producers")+"\x02"+
			str("language")+"\x01"+str("Go")+str(version)+str("processed-by")+"\x01"+str("Go cmd/compile")+str(version))...)
	}
	if len(names) > 0 {
		sub := uleb(len(names))
		for i, n := range names {
			sub += uleb(i) + str(n)
		}
		out = append(out, section(0, str("name")+"\x01"+str(sub))...)
	}
	return out
}

func section(id byte, body string) []byte { return append([]byte{id}, str(body)...) }

func str(s string) string { return uleb(len(s)) + s }

func uleb(n int) string { return string(binary.AppendUvarint(nil, uint64(n))) }

func sleb(v int64) []byte {
	var out []byte
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func marked(text string) string { return string(infoStart) + text + string(infoEnd) }

const goodInfo = "path\texample.com/app\n" +
	"mod\texample.com/app\t(devel)\t\n" +
	"dep\tgithub.com/acme/a\tv1.2.3\th1:aaa=\n" +
	"dep\tgithub.com/acme/old\tv1.0.0\n" +
	"=>\tgithub.com/fork/new\tv1.0.1\th1:bbb=\n" +
	"dep\tgithub.com/acme/local\tv0.3.0\n" +
	"=>\t../local\t(devel)\t\n" +
	"build\t-compiler=gc\n" +
	"build\tvcs.revision=c7c1144103eae481dd6292a716d88d593e199624\n" +
	"build\tvcs.modified=true\n"

// found is what Extract says of a file, without evidence.
func found(t *testing.T, file []byte) ([]evidence.Component, []evidence.Completeness) {
	t.Helper()
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatalf("wasm.Parse: %v", err)
	}
	c := &evidence.Collector{}
	Extract(b, c)
	for _, got := range c.Components() {
		for _, e := range got.Evidence {
			if e.Offset < 0 || e.Offset >= int64(len(file)) {
				t.Errorf("evidence of %s at %d, outside a file of %d bytes", got.Name, e.Offset, len(file))
			}
		}
	}
	return c.Components(), c.Stated()
}

// lines sums components up, one a line.
func lines(list []evidence.Component) []string {
	out := []string{}
	for _, c := range list {
		s := string(c.Class) + " " + c.Name + "@" + c.Version
		if c.Main {
			s += " main"
		}
		for _, extra := range []string{c.Checksum, c.Replaces, c.Source, c.Commit} {
			if extra != "" {
				s += " " + extra
			}
		}
		out = append(out, s)
	}
	return out
}

var goodLines = []string{
	"proven example.com/app@ main c7c1144103eae481dd6292a716d88d593e199624",
	"proven github.com/acme/a@v1.2.3 h1:aaa=",
	"proven github.com/acme/local@ github.com/acme/local@v0.3.0 ../local",
	"proven github.com/fork/new@v1.0.1 h1:bbb= github.com/acme/old@v1.0.0",
	"proven stdlib@1.18.5",
}

// cut makes pieces of at most n bytes, last ones first.
func cut(address int, s string, n int) []piece {
	var out []piece
	for at := 0; at < len(s); at += n {
		out = append([]piece{{address + at, s[at:min(at+n, len(s))]}}, out...)
	}
	return out
}

func TestExtract(t *testing.T) {
	whole := piece{4096, marked(goodInfo)}
	header := func(address, length int) string {
		return string(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(address)), uint64(length)))
	}
	embedded := marked("path\texample.com/inner\nmod\texample.com/inner\tv9.9.9\t\n")
	tests := []struct {
		name string
		in   []byte
		want []string
		all  bool
	}{
		{name: "a list in one segment", in: build("go1.18.5", nil, whole), want: goodLines, all: true},
		{
			name: "a list cut into segments of seven bytes, last ones first",
			in:   build("go1.18.5", nil, cut(4096, marked(goodInfo), 7)...),
			want: goodLines, all: true,
		},
		{
			name: "a list cut into single bytes",
			in:   build("go1.18.5", nil, cut(4096, marked(goodInfo), 1)...),
			want: goodLines, all: true,
		},
		{
			name: "a list without producers takes the version that a variable points to",
			in:   build("", nil, whole, piece{16, "go1.21go1.18.5go1.99"}, piece{64, header(22, 8)[:9]}),
			want: goodLines, all: true,
		},
		{
			name: "versions that variables disagree on are none",
			in:   build("", nil, whole, piece{16, "go1.21go1.18.5go1.99"}, piece{64, header(22, 8)[:9]}, piece{96, header(16, 6)}),
			want: append(goodLines[:4:4], "proven stdlib@"), all: true,
		},
		{
			name: "a compiler that is no release has no version",
			in:   build("devel go1.27-4f0e11", nil, whole),
			want: append(goodLines[:4:4], "proven stdlib@"), all: true,
		},
		{
			name: "experiments are no part of a version",
			in:   build("go1.18.5 X:nocoverageredesign", nil, whole),
			want: goodLines, all: true,
		},
		{
			name: "of two lists the one that a variable points to",
			in:   build("go1.18.5", nil, piece{1024, embedded}, whole, piece{9008, header(4096, len(marked(goodInfo)))}),
			want: goodLines, all: true,
		},
		{
			name: "a line without version is said", in: build("go1.18.5", nil, piece{0, marked("path\tx\ndep\tgithub.com/acme/a\n")}),
			want: []string{"proven stdlib@1.18.5"},
		},
		{
			name: "a replacement of nothing is said", in: build("go1.18.5", nil, piece{0, marked("=>\tgithub.com/acme/a\tv1.0.0\th1:x=\n")}),
			want: []string{"proven stdlib@1.18.5"},
		},
		{
			name: "a list without end is none",
			in:   build("go1.18.5", nil, piece{0, string(infoStart) + goodInfo}),
			want: []string{"proven stdlib@1.18.5"},
		},
		{
			name: "a list with control characters is none",
			in:   build("go1.18.5", nil, piece{0, marked("path\tx\x00y\n")}),
			want: []string{"proven stdlib@1.18.5"},
		},
		{
			name: "names with markup and spaces are left out",
			in:   build("go1.18.5", nil, piece{0, marked("dep\ta b\tv1.0.0\th1:x=\ndep\tgithub.com/acme/a\tv1.2.3\th1:aaa=\n")}),
			want: []string{"proven github.com/acme/a@v1.2.3 h1:aaa=", "proven stdlib@1.18.5"},
		},
		{name: "no Go", in: build("", nil, piece{0, "hello, go1.18.5"}), want: []string{}},
		{
			name: "packages of TinyGo by their functions",
			in: build("", []string{
				"tinygo_longjmp", "runtime.alloc", "(*sync.Mutex).Lock", "main.main", "mvdan.cc/sh/v3/syntax.Walk",
				"(*github.com/mailru/easyjson/jlexer.Lexer).Null",
			}, piece{0, "x"}),
			want: []string{"named github.com/mailru/easyjson@", "named mvdan.cc/sh/v3@", "named stdlib@"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, stated := found(t, tt.in)
			if d := cmp.Diff(tt.want, lines(got)); d != "" {
				t.Errorf("Extract (-want +got):\n%s", d)
			}
			all := len(stated) == 1 && stated[0].Complete
			if all != tt.all {
				t.Errorf("Extract states %+v, want complete %t", stated, tt.all)
			}
		})
	}
}

// A list longer than its bound is refused without being kept, also in many pieces.
func TestExtractRefusesALongList(t *testing.T) {
	long := marked(strings.Repeat("dep\tgithub.com/acme/a\tv1.2.3\th1:aaa=\n", maxInfo/32))
	got, stated := found(t, build("go1.18.5", nil, cut(0, long, 1<<16)...))
	if d := cmp.Diff([]string{"proven stdlib@1.18.5"}, lines(got)); d != "" || len(stated) != 1 || stated[0].Complete {
		t.Fatalf("Extract of a list of %d bytes states %+v, want incomplete; (-want +got):\n%s", len(long), stated, d)
	}
}

func TestEvidenceIsThePlaceOfTheLine(t *testing.T) {
	file := build("go1.18.5", nil, cut(4096, marked(goodInfo), 1<<10)...)
	got, _ := found(t, file)
	e := got[1].Evidence[0]
	want := evidence.Evidence{
		Method: evidence.BuildInfo, Section: "data", Confidence: 1, Text: "dep github.com/acme/a v1.2.3 h1:aaa=",
		Offset: int64(bytes.Index(file, []byte("dep\tgithub.com/acme/a"))),
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Fatalf("evidence of %s (-want +got):\n%s", got[1].Name, d)
	}
}

func TestRelease(t *testing.T) {
	for in, want := range map[string]string{
		"go1.26.8": "1.26.8", "go1.21rc2": "1.21rc2", "go1.20.1-pre3 cl/474093167 +a813be86df": "1.20.1-pre3", "go2": "2",
		"devel go1.27-4f0e11 Mon": "", "": "", "go": "", "gopher": "", "go1.\x00": "", "go1" + strings.Repeat("1", 99): "",
	} {
		if got := release(in); got != want {
			t.Errorf("release(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestModuleOf(t *testing.T) {
	for in, want := range map[string]string{
		"github.com/mailru/easyjson/jlexer": "github.com/mailru/easyjson",
		"github.com/acme/a/v3/b":            "github.com/acme/a/v3",
		"mvdan.cc/sh/v3/syntax":             "mvdan.cc/sh/v3",
		"golang.org/x/text/unicode/norm":    "golang.org/x/text",
		"gopkg.in/yaml.v3":                  "gopkg.in/yaml.v3",
		"gopkg.in/owner/name.v1/sub":        "gopkg.in/owner/name.v1",
		"example.com/deep/package":          "example.com/deep/package",
		"runtime":                           Stdlib,
		"net/http":                          "", "main": "", "vendor/golang.org/x/net": "", "a.b": "", "a.b//c": "", "a.b/<c>": "",
	} {
		if got := moduleOf(in); got != want {
			t.Errorf("moduleOf(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzExtract holds Extract to a place in the file for all it says, whatever the
// text and the cuts are.
func FuzzExtract(f *testing.F) {
	f.Add(goodInfo, uint16(7), "go1.18.5")
	f.Add("path\tx\ndep\ta.b/c\t(devel)\n=>\t./x\t\nbuild\tvcs.revision=\"a b\"\n", uint16(1), "")
	f.Add(marked(goodInfo), uint16(999), "devel")
	f.Fuzz(func(t *testing.T, text string, n uint16, version string) {
		if !strings.Contains(text, "\x00") && len(text) > 1<<12 {
			return
		}
		file := build(strings.ToValidUTF8(version, ""), nil, cut(0, marked(text), int(n)+1)...)
		if _, err := wasm.Parse(file); err != nil {
			return
		}
		list, _ := found(t, file)
		if len(list) > strings.Count(text, "\n")+2 {
			t.Fatalf("Extract finds %d components in %d lines", len(list), strings.Count(text, "\n")+1)
		}
	})
}
