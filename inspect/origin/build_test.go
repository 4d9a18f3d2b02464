package origin

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// build makes the smallest binary that shows some things, each written as in
// rules, but with names instead of patterns: "import env abort", "export run",
// "section dylink.0", "symbol main", "data text", "producer language|Rust|".
// "shape …" makes what has that shape. A thing of kind "component-import" or
// "component-export" makes a component.
func build(t *testing.T, things ...string) []byte {
	t.Helper()
	m := moduleBuilder{}
	for _, th := range things {
		kind, text, ok := strings.Cut(th, " ")
		if !ok {
			t.Fatalf("build: %q has no name", th)
		}
		m.add(t, kind, text)
	}
	if m.component != nil || m.isComponent {
		return m.encodeComponent()
	}
	return m.encode()
}

type moduleBuilder struct {
	imports, exports, symbols, data [][]byte
	custom                          []byte
	producers                       [][3]string
	types, code                     []byte
	isComponent                     bool
	nested                          bool
	component                       [][2]string // sort of extern, name
}

func (m *moduleBuilder) add(t *testing.T, kind, text string) {
	t.Helper()
	switch kind {
	case "import":
		module, name, ok := strings.Cut(text, " ")
		if !ok {
			t.Fatalf("build: import %q has no name", text)
		}
		m.imports = append(m.imports, cat(str(module), str(name), []byte{0, 0}))
	case "export":
		m.exports = append(m.exports, cat(str(text), []byte{0, 0}))
	case "symbol":
		m.symbols = append(m.symbols, cat(uleb(len(m.symbols)), str(text)))
	case "data":
		m.data = append(m.data, cat([]byte{1}, str(text)))
	case "section":
		m.custom = append(m.custom, section(0, str(text))...)
	case "producer":
		f := strings.SplitN(text, "|", 3)
		m.producers = append(m.producers, [3]string(f))
	case "component-import", "component-export":
		m.component = append(m.component, [2]string{kind, text})
	case "shape":
		m.shape(t, text)
	default:
		t.Fatalf("build: no kind %q", kind)
	}
}

func (m *moduleBuilder) shape(t *testing.T, name string) {
	t.Helper()
	switch name {
	case "minified imports":
		m.add(t, "import", "a a")
		m.add(t, "import", "a b")
	case "padded call indices":
		m.code = []byte{0}
		for range minPadded {
			m.code = append(m.code, 0x10, 0x80, 0x80, 0x80, 0x80, 0)
		}
		m.code = append(m.code, 0x0b)
	case "garbage-collected":
		m.types = []byte{0x5f, 0} // an empty structure
	case "webcil payload":
		m.add(t, "data", "WbIL\x00\x00\x00\x00")
	case "component":
		m.isComponent = true
	case "component without code":
		m.add(t, "component-export", "a:b/c@1.0.0")
	case "nested":
		m.nested = true
	default:
		t.Fatalf("build: no shape %q", name)
	}
}

const header = "\x00asm\x01\x00\x00\x00"

func (m *moduleBuilder) encode() []byte {
	out := []byte(header)
	types := [][]byte{{0x60, 0, 0}}
	if m.types != nil {
		types = append(types, m.types)
	}
	out = append(out, section(1, vec(types))...)
	out = append(out, section(2, vec(m.imports))...)
	if m.code != nil {
		out = append(out, section(3, []byte{1, 0})...)
	}
	out = append(out, section(7, vec(m.exports))...)
	if m.code != nil {
		out = append(out, section(10, cat([]byte{1}, uleb(len(m.code)), m.code))...)
	}
	out = append(out, section(11, vec(m.data))...)
	out = append(out, m.custom...)
	if len(m.symbols) > 0 {
		funcs := vec(m.symbols)
		out = append(out, section(0, cat(str("name"), []byte{1}, uleb(len(funcs)), funcs))...)
	}
	for _, p := range m.producers {
		out = append(out, section(0, cat(str("producers"), []byte{1}, str(p[0]), []byte{1}, str(p[1]), str(p[2])))...)
	}
	if m.nested {
		return cat([]byte(componentHeader), section(1, out))
	}
	return out
}

const componentHeader = "\x00asm\x0d\x00\x01\x00"

// encodeComponent imports, and exports again, instances without contents.
func (m *moduleBuilder) encodeComponent() []byte {
	out := cat([]byte(componentHeader), section(7, []byte{1, 0x42, 0}))
	n := 0
	for _, c := range m.component {
		name := c[1]
		if c[0] == "component-export" {
			name = "own:" + "x/i"
			if strings.HasPrefix(c[1], "a:b/") {
				// A WIT package exports types only.
				out = append(out, section(11, cat([]byte{1, 0}, str(c[1]), []byte{3, 0, 0}))...)
				continue
			}
		}
		out = append(out, section(10, cat([]byte{1, 0}, str(name), []byte{5, 0}))...)
		if c[0] == "component-export" {
			out = append(out, section(11, cat([]byte{1, 0}, str(c[1]), []byte{5}, uleb(n), []byte{0}))...)
			n++ // an export is an index of its own
		}
		n++
	}
	if m.isComponent {
		out = append(out, section(1, []byte(header))...)
	}
	return append(out, m.custom...)
}

func section(id byte, body []byte) []byte {
	if id != 0 && len(body) == 1 && body[0] == 0 {
		return nil // an empty vector
	}
	return cat([]byte{id}, uleb(len(body)), body)
}

func vec(items [][]byte) []byte { return cat(uleb(len(items)), cat(items...)) }

func str(s string) []byte { return cat(uleb(len(s)), []byte(s)) }

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func cat(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// detect builds a binary and looks at it.
func detect(t *testing.T, things ...string) *Origin {
	t.Helper()
	return detectBytes(t, build(t, things...))
}

func detectBytes(t *testing.T, bin []byte) *Origin {
	t.Helper()
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatalf("Parse(% x): %v", bin[:min(len(bin), 64)], err)
	}
	return Detect(b)
}
