package rust

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// section is a section of a module; a name makes it a custom one.
func section(id byte, name string, body []byte) []byte {
	if name != "" {
		body = append(lebString(name), body...)
	}
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

func lebString(s string) []byte { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }

func custom(name string, body []byte) []byte { return section(0, name, body) }

// data is a data section with one segment at address 1024.
func data(text string) []byte {
	body := append([]byte{1, 0, 0x41, 0x80, 0x08, 0x0b}, lebString(text)...)
	return append(section(5, "", []byte{1, 0, 1}), section(11, "", body)...)
}

// funcs is a module's functions with names and nothing to do.
func funcs(names ...string) []byte {
	n := binary.AppendUvarint(nil, uint64(len(names)))
	types, code, list := bytes.Clone(n), bytes.Clone(n), bytes.Clone(n)
	for i, name := range names {
		types = append(types, 0)
		code = append(code, 2, 0, 0x0b)
		list = append(binary.AppendUvarint(list, uint64(i)), lebString(name)...)
	}
	out := append(section(1, "", []byte{1, 0x60, 0, 0}), section(3, "", types)...)
	out = append(out, section(10, "", code)...)
	return append(out, custom("name", append(append([]byte{1}, binary.AppendUvarint(nil, uint64(len(list)))...), list...))...)
}

func file(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

func parse(t testing.TB, bin []byte) *wasm.Binary {
	t.Helper()
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return b
}

func extract(b *wasm.Binary) []evidence.Component {
	var c evidence.Collector
	Extract(b, &c)
	return c.Components()
}

// brief is a component in one line: class, part, name, version or commit, surest
// evidence.
func brief(c evidence.Component) string {
	s := fmt.Sprintf("%s %s@%s", c.Class, c.Name, c.Version)
	if c.Part != "" {
		s = c.Part + " " + s
	}
	if c.Commit != "" {
		s += "#" + c.Commit
	}
	if c.Source != "" {
		s += " from " + c.Source
	}
	if c.Main {
		s += " main"
	}
	return fmt.Sprintf("%s %s %.1f", s, c.Evidence[0].Method, c.Confidence())
}

func briefs(list []evidence.Component) []string {
	out := []string{}
	for _, c := range list {
		out = append(out, brief(c))
	}
	return out
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gunzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
