package precompiled_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/precompiled"
)

// cwasm is an ELF file as wasmtime writes it: with settings, if there are any, and
// the names of its sections.
func cwasm(machine uint16, flags uint32, settings []byte) []byte {
	const header, names = 64, "\x00.wasmtime.engine\x00.shstrtab\x00"
	b := make([]byte, header)
	copy(b, "\x7fELF\x02\x01\x01\xc8")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 1)
	le.PutUint16(b[18:], machine)
	le.PutUint32(b[20:], 1)
	le.PutUint32(b[48:], flags)
	le.PutUint16(b[52:], header)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	section := func(name uint32, off, size int) []byte {
		s := make([]byte, 64)
		le.PutUint32(s, name)
		le.PutUint64(s[24:], uint64(off))
		le.PutUint64(s[32:], uint64(size))
		return s
	}
	b = append(append(b, settings...), names...)
	le.PutUint64(b[40:], uint64(len(b)))
	b = append(b, section(0, 0, 0)...)
	b = append(b, section(1, header, len(settings))...)
	return append(b, section(18, header+len(settings), len(names))...)
}

func settings(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".engine"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wamr is the beginning of a file of WAMR.
func wamr(arch string) string {
	b := make([]byte, 16+48)
	copy(b, "\x00aot\x06\x00\x00\x00\x00\x00\x00\x00\x30\x00\x00\x00")
	copy(b[48:], arch)
	return string(b)
}

func TestRead(t *testing.T) {
	x86, pulley := settings(t, "x86_64"), settings(t, "pulley64")
	tests := []struct {
		name string
		in   string
		want *precompiled.Code
		text string
	}{
		{
			name: "a module of wasmtime", in: string(cwasm(62, 1, x86)), text: "module compiled by wasmtime 39 for x86_64-unknown-linux-gnu",
			want: &precompiled.Code{
				Runtime: "wasmtime", Form: "module", Version: "39", OS: "linux", Arch: "amd64", Triple: "x86_64-unknown-linux-gnu",
				Flags: []string{"has_sse3", "has_avx2"}, Settings: x86,
			},
		},
		{
			name: "a component for Pulley", in: string(cwasm(243, 2|8, pulley)),
			text: "component compiled by wasmtime 39 for pulley64-unknown-unknown-elf",
			want: &precompiled.Code{
				Runtime: "wasmtime", Form: "component", Version: "39", Arch: "pulley64", Triple: "pulley64-unknown-unknown-elf",
				Settings: pulley,
			},
		},
		{
			name: "settings of a later version", in: string(cwasm(183, 1, []byte("\x01\x0299more"))), text: "module compiled by wasmtime for arm64",
			want: &precompiled.Code{Runtime: "wasmtime", Form: "module", Arch: "arm64", Settings: []byte("\x01\x0299more")},
		},
		{
			name: "settings that are cut", in: string(cwasm(62, 1, x86[:100])), text: "module compiled by wasmtime 39 for x86_64-unknown-linux-gnu",
			want: &precompiled.Code{
				Runtime: "wasmtime", Form: "module", Version: "39", OS: "linux", Arch: "amd64", Triple: "x86_64-unknown-linux-gnu", Settings: x86[:100],
			},
		},
		{
			name: "the head of a file of wasmtime alone", in: string(cwasm(62, 1, x86)[:64]), text: "module compiled by wasmtime for amd64",
			want: &precompiled.Code{Runtime: "wasmtime", Form: "module", Arch: "amd64"},
		},
		{
			name: "WAMR", in: wamr("aarch64v8"), text: "module compiled by wamr 6 for arm64",
			want: &precompiled.Code{Runtime: "wamr", Form: "module", Version: "6", Arch: "arm64"},
		},
		{
			name: "WAMR for a machine whose name is none", in: wamr("x\x1b[2J"), text: "module compiled by wamr 6",
			want: &precompiled.Code{Runtime: "wamr", Form: "module", Version: "6"},
		},
		{
			name: "wasmer", in: "wasmer-universalWASMER\x00\x00\x17\x00\x00\x00\x00\x01\x00\x00", text: "program compiled by wasmer 23",
			want: &precompiled.Code{Runtime: "wasmer", Form: "universal", Version: "23"},
		},
		{
			name: "metadata of wasmer", in: "WASMER\x00\x00\x11\x00\x00\x00\x00\x01\x00\x00", text: "program compiled by wasmer 17",
			want: &precompiled.Code{Runtime: "wasmer", Form: "universal", Version: "17"},
		},
		{
			name: "a library of wasmer", in: "\x7fELF\x02\x01\x01\x00" + strings.Repeat("x", 1<<20-20) + "\x00WASMER_METADATA\x00",
			text: "library compiled by wasmer", want: &precompiled.Code{Runtime: "wasmer", Form: "library"},
		},
		{
			name: "a library of WasmEdge for macOS", in: "\xcf\xfa\xed\xfe" + strings.Repeat("x", 2<<20) + "\x00wasm.code\x00\x00wasm.size\x00",
			text: "library compiled by wasmedge", want: &precompiled.Code{Runtime: "wasmedge", Form: "library"},
		},
		{name: "another library", in: "\x7fELF\x02\x01\x01\x00" + strings.Repeat("x", 3<<20)},
		{name: "a file of wasmtime of 32 bits", in: strings.Replace(string(cwasm(62, 1, nil)), "ELF\x02", "ELF\x01", 1)},
		{name: "WebAssembly", in: "\x00asm\x01\x00\x00\x00"},
		{name: "text that begins like WAMR", in: "\x00aotearoa, the name of a country and no program"},
		{name: "wasmer without metadata", in: "wasmer-universal and more than that, which is text"},
		{name: "nothing", in: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := precompiled.Read(strings.NewReader(tt.in), int64(len(tt.in)))
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != (tt.want != nil) {
				t.Fatalf("Read = %v (-want +got):\n%s", ok, diff)
			}
			if ok && got.String() != tt.text {
				t.Errorf("String() = %q; want %q", got.String(), tt.text)
			}
		})
	}
}

func TestSection(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"for Linux", "\x03\x01\x02native", "program compiled by wasmedge 3 for linux/arm64"},
		{"for Windows", "\x03\x03\x01", "program compiled by wasmedge 3 for windows/amd64"},
		{"for what nobody knows", "\x03\x09\x09", "program compiled by wasmedge 3"},
		{"a cut one", "\x03\x01", ""},
		{"no version", "\x00\x01\x01", ""},
		{"a version without end", "\xff\xff\xff\xff\xff\xff\x01", ""},
		{"an empty one", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := precompiled.Section([]byte(tt.in))
			if ok != (tt.want != "") || ok && got.String() != tt.want {
				t.Errorf("Section(%q) = %v, %v; want %q", tt.in, got, ok, tt.want)
			}
		})
	}
}

func TestInside(t *testing.T) {
	const header = "\x00asm\x01\x00\x00\x00"
	custom := func(name, content string) string {
		return "\x00" + string(rune(1+len(name)+len(content))) + string(rune(len(name))) + name + content
	}
	native := custom("wasmedge", "\x03\x01\x01native")
	tests := []struct {
		name, in string
		want     bool
	}{
		{"behind the header", header + native, true},
		{"behind other sections", header + "\x01\x01\x00" + custom("name", "") + native, true},
		{"in a component", "\x00asm\x0d\x00\x01\x00" + native, true},
		{"no section of that name", header + custom("wasmedge2", "\x03\x01\x01"), false},
		{"a section of another kind", header + strings.Replace(native, "\x00", "\x0b", 1), false},
		{"a section that is too short", header + custom("wasmedge", "\x03"), false},
		{"a section beyond the end", header + "\x00\xff\xff\x03" + native[2:], false},
		{"a size without end", header + "\x00\xff\xff\xff\xff\xff\xff" + native, false},
		{"more sections than are looked at", header + strings.Repeat("\x01\x00", 10_000) + native, false},
		{"the header alone", header, false},
		{"text", "wasmedge", false},
		{"nothing", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := precompiled.Inside(strings.NewReader(tt.in), int64(len(tt.in)))
			if ok != tt.want || ok && got.String() != "program compiled by wasmedge 3 for linux/amd64" {
				t.Errorf("Inside(%.40q) = %v, %v; want %v", tt.in, got, ok, tt.want)
			}
		})
	}
}

// A file that breaks while it is read is no code of anybody.
func TestReadOfABrokenFile(t *testing.T) {
	b := cwasm(62, 1, nil)
	if c, ok := precompiled.Read(broken{bytes.NewReader(b)}, int64(len(b))); ok {
		t.Errorf("Read = %v; want none", c)
	}
}

type broken struct{ io.ReaderAt }

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("broken") }

// Read reads within the file, and what it gives can be printed. The cheap reader
// never contradicts it.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"x86_64", "pulley64"} {
		f.Add(cwasm(62, 1, settings(f, name)))
	}
	for _, s := range []string{
		wamr("x86_64"), "wasmer-universalWASMER\x00\x00\x17\x00\x00\x00\x00\x01\x00\x00", "\x7fELF\x02\x01\x01\x00\x00wasm.code\x00", "\x03\x01\x02",
		"\x00asm\x01\x00\x00\x00\x00\x0c\x08wasmedge\x03\x01\x01",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := precompiled.Section(b); ok && !printable(c) {
			t.Fatalf("Section = %q", c)
		}
		if c, ok := precompiled.Inside(bytes.NewReader(b), int64(len(b))); ok && !printable(c) {
			t.Fatalf("Inside = %q", c)
		}
		c, ok := precompiled.Read(bytes.NewReader(b), int64(len(b)))
		if !ok {
			return
		}
		if !printable(c) || len(c.Settings) > precompiled.MaxSettings || len(c.Flags) > 256 {
			t.Fatalf("Read = %q, %d bytes of settings, %d flags", c, len(c.Settings), len(c.Flags))
		}
		if short, ok := precompiled.Header(b); ok && (short.Runtime != c.Runtime || short.Form != c.Form || short.Arch != c.Arch) {
			t.Fatalf("Header = %v, Read = %v", short, c)
		}
	})
}

func printable(c *precompiled.Code) bool {
	return len(c.String()) < 300 && !strings.ContainsFunc(c.String()+strings.Join(c.Flags, ""), func(r rune) bool { return r < ' ' || r > '~' })
}
