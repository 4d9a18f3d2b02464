package managed

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

// module is a module with one segment of data at address 0.
func module(data []byte) []byte {
	m := append([]byte("\x00asm\x01\x00\x00\x00"), section(5, []byte{1, 0, 1})...)
	body := binary.AppendUvarint([]byte{1, 0, 0x41, 0, 0x0b}, uint64(len(data)))
	return append(m, section(11, append(body, data...))...)
}

func extract(t testing.TB, data []byte) []evidence.Component {
	t.Helper()
	b, err := wasm.Parse(module(data))
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
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Class, c.PURL(), c.Requirement)))
	}
	return got
}

// webcilFile writes an assembly of a name and informational version that refers
// to another, as a webcil file with one section.
func webcilFile(name, informational, refers string) []byte {
	heap := []byte{0}
	text := func(s string) []byte {
		at := len(heap)
		heap = append(append(heap, s...), 0)
		return binary.LittleEndian.AppendUint16(nil, uint16(at))
	}
	zero := func(n int) []byte { return make([]byte, n) }
	version := []byte{10, 0, 0, 0, 12, 0, 0, 0}
	rows := slices.Concat(
		zero(2), text("AssemblyInformationalVersionAttribute"), zero(2), // TypeRef
		[]byte{1<<3 | 1, 0}, zero(2), zero(2), // MemberRef
		[]byte{1<<5 | 14, 0}, []byte{1<<3 | 3, 0}, []byte{1, 0}, // CustomAttribute
		zero(4), version, zero(4), zero(2), text(name), zero(2), // Assembly
		version, zero(4), zero(2), text(refers), zero(2), zero(2), // AssemblyRef
	)
	value := append([]byte{1, 0, byte(len(informational))}, informational...)
	blobs := append([]byte{0, byte(len(value))}, value...)

	valid := uint64(1)<<tableTypeRef | 1<<tableMemberRef | 1<<tableCustomAttribute | 1<<tableAssembly | 1<<tableAssemblyRef
	table := slices.Concat(zero(4), []byte{2, 0, 0, 1}, binary.LittleEndian.AppendUint64(nil, valid), zero(8))
	for range 5 {
		table = binary.LittleEndian.AppendUint32(table, 1)
	}
	table = append(table, rows...)

	u32 := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
	streams := []struct {
		name string
		body []byte
	}{{"#~\x00\x00", table}, {"#Strings\x00\x00\x00\x00", heap}, {"#Blob\x00\x00\x00", blobs}}
	root := slices.Concat([]byte("BSJB"), zero(8), u32(4), []byte("v4\x00\x00"), []byte{0, 0, 3, 0})
	at := len(root) + 3*8 + 4 + 12 + 8
	for _, s := range streams {
		root = slices.Concat(root, u32(at), u32(len(s.body)), []byte(s.name))
		at += len(s.body)
	}
	for _, s := range streams {
		root = append(root, s.body...)
	}

	const header, address, cli = 28 + 16, 0x2000, 72
	file := slices.Concat([]byte("WbIL"), zero(4), []byte{1, 0, 0, 0}, u32(address), u32(cli), zero(8))
	file = slices.Concat(file, u32(cli+len(root)), u32(address), u32(cli+len(root)), u32(header))
	return slices.Concat(file, u32(cli), zero(4), u32(address+cli), u32(len(root)), zero(cli-16), root)
}

func TestWebcil(t *testing.T) {
	const commit = "95017c711e6afc1085133d440e42b4bd78155701"
	good := webcilFile("MudBlazor", "9.1.0+"+commit, "System.Text.Json")
	tests := []struct {
		name string
		data []byte
		want []string
	}{
		{"an assembly", good, []string{
			"inferred pkg:nuget/System.Text.Json 10.0.12.0", "proven pkg:nuget/MudBlazor@9.1.0",
		}},
		{"a version that is a sentence", webcilFile("App", "built on Monday", "mscorlib"), []string{"proven pkg:nuget/App"}},
		{"no version", webcilFile("App", "", "netstandard"), []string{"proven pkg:nuget/App"}},
		{"a file cut short", good[:len(good)-40], []string{}},
		{"a header alone", good[:28], []string{}},
		{"an address in no section", slices.Concat(good[:12], []byte{0xff, 0xff, 0xff, 0xff}, good[16:]), []string{}},
		{"another magic", append([]byte("MZ"), good...), []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := summaries(extract(t, tt.data))
			slices.Sort(got)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract (-want +got):\n%s", d)
			}
		})
	}
	for _, c := range extract(t, good) {
		if c.Main && c.Commit != commit || !c.Main && !slices.Equal(c.RequiredBy, []string{"pkg:nuget/MudBlazor@9.1.0"}) {
			t.Fatalf("%s has commit %q and is required by %q, want %s and MudBlazor", c.PURL(), c.Commit, c.RequiredBy, commit)
		}
	}
}

func TestHaskell(t *testing.T) {
	const (
		long  = "4220f12cc60f18623de9162c857bfc1dcb74122219e7eae48662210f2cbe12ee"
		short = "KhXQAyzkOrV1yHlUPRCuHY"
	)
	tests := []struct {
		name, data string
		want       []string
	}{
		{"a hash of 64 digits", "zlib-0.7.1.1-" + long + ":Codec.Zlib", []string{"proven pkg:hackage/zlib@0.7.1.1"}},
		{"a hash of 22 letters", "aeson-2.2.3.0-" + short + ":Data.Aeson", []string{"proven pkg:hackage/aeson@2.2.3.0"}},
		{"a package of GHC alone", "text-2.1.3-5dd0:Data.Text", []string{}},
		{"a package of GHC beside base", "text-2.1.3-5dd0:Data.Text\x00base-4.22.0.0-699e:Prelude", []string{
			"proven pkg:hackage/base@4.22.0.0", "proven pkg:hackage/text@2.1.3",
		}},
		{"what was built here, beside another", "pandoc-3.9-inplace:Main\x00xml-1.3.14-" + long + ":Text.XML", []string{
			"proven pkg:hackage/pandoc@3.9", "proven pkg:hackage/xml@1.3.14",
		}},
		{
			"a library of a package", "z-attoparsec-z-attoparsec-internal-0.14.4-" + long + ":Data",
			[]string{"proven pkg:hackage/attoparsec@0.14.4"},
		},
		{"a name that stands alone, in Haskell", "\x00safe-0.3.21-" + long + "\x00xml-1.3.14-" + long + ":Text.XML", []string{
			"proven pkg:hackage/safe@0.3.21", "proven pkg:hackage/xml@1.3.14",
		}},
		{"a hash of 63 digits", "zlib-0.7.1.1-" + long[1:] + ":Codec.Zlib", []string{}},
		{"no module", "zlib-0.7.1.1-" + long + ": a", []string{}},
		{"a time", "2026-01-01T12:Z", []string{}},
		{"a version of GHC in a message", "is disallowed in GHC 6.10.2 and later:This", []string{}},
		{"a name without an end", strings.Repeat("a-1.0-", 100) + long + ":A", []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := summaries(extract(t, []byte(tt.data)))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Fatalf("Extract of data %q (-want +got):\n%s", tt.data, d)
			}
		})
	}
}

// Hostile data ends, in components that fit the bounds and point into the file.
func FuzzExtract(f *testing.F) {
	f.Add(webcilFile("MudBlazor", "9.1.0+95017c711e6afc1085133d440e42b4bd78155701", "System.Text.Json"))
	f.Add([]byte("\x00base-4.22.0.0-699e:Prelude\x00text-2.1.3-5dd0\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(module(data)))
		for _, c := range extract(t, data) {
			for _, e := range c.Evidence {
				if e.Offset < 0 || e.Offset >= size {
					t.Fatalf("%s at %d of a file of %d bytes", c.PURL(), e.Offset, size)
				}
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	line := "Cannot open: 12:30 at module:Main of text-2.1.3 (see https://host:80/A)\x00\x00\x12\x34"
	parsed, err := wasm.Parse(module([]byte(strings.Repeat(line, (16<<20)/len(line)))))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(16 << 20)
	for b.Loop() {
		var c evidence.Collector
		Extract(parsed, &c)
	}
}
