package inspect

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func str(s string) []byte { return append([]byte{byte(len(s))}, s...) }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func binary(version string, sections ...[]byte) []byte {
	return append([]byte("\x00asm"+version), slices.Concat(sections...)...)
}

func section(id byte, parts ...[]byte) []byte {
	body := cat(parts...)
	n := len(body)
	return append([]byte{id, byte(n)&0x7f | 0x80, byte(n>>7)&0x7f | 0x80, 0}, body...)
}

const (
	modulePreamble    = "\x01\x00\x00\x00"
	componentPreamble = "\x0d\x00\x01\x00"
)

// namespaceType is a component type that exports one item, an instance or a
// component of an empty type, as the component tools encode an interface or a
// world of a WIT package.
func namespaceType(name string, sort wasm.Sort) []byte {
	inner := byte(wasm.TypeInstance)
	if sort == wasm.SortComponent {
		inner = wasm.TypeComponent
	}
	return cat([]byte{wasm.TypeComponent, 2, 0x01, inner, 0, 0x04, 0x00}, str(name), []byte{byte(sort), 0})
}

// exportType is an entry of the export section for the type at index.
func exportType(name string, index byte) []byte {
	return cat([]byte{0}, str(name), []byte{byte(wasm.SortType), index, 0})
}

func witPackage(items ...[]byte) []byte {
	var parts [][]byte
	for i, item := range items {
		// An export adds a type to the index space, so each has its sections.
		parts = append(parts, section(7, []byte{1}, item), section(11, []byte{1}, exportType("item-"+string(rune('a'+i)), byte(2*i))))
	}
	return binary(componentPreamble, parts...)
}

func inspectBytes(t *testing.T, in []byte) *Report {
	t.Helper()
	rep, err := Describe(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatalf("Describe(%x) = %v", in, err)
	}
	return rep
}

func TestWITPackages(t *testing.T) {
	run := namespaceType("wasi:cli/run@0.2.0", wasm.SortInstance)
	command := namespaceType("wasi:cli/command@0.2.0", wasm.SortComponent)
	tests := []struct {
		name string
		in   []byte
		kind Kind
		pkg  string
		want []string // exports
	}{
		{
			name: "an interface and a world", in: witPackage(run, command), kind: KindWITPackage, pkg: "wasi:cli@0.2.0",
			want: []string{"wasi:cli/command@0.2.0", "wasi:cli/run@0.2.0"},
		},
		{
			name: "a package without version", in: witPackage(namespaceType("a:b/c", wasm.SortInstance)), kind: KindWITPackage, pkg: "a:b",
			want: []string{"a:b/c"},
		},
		{
			name: "items of two packages", in: witPackage(run, namespaceType("a:b/c", wasm.SortInstance)), kind: KindComponent,
			want: []string{"item-a", "item-b"},
		},
		{
			name: "a plain name inside", in: witPackage(namespaceType("run", wasm.SortInstance)), kind: KindComponent, want: []string{"item-a"},
		},
		{name: "nothing at all", in: binary(componentPreamble), kind: KindComponent, want: []string{}},
		{
			name: "a core module beside the types", kind: KindComponent, want: []string{"item-a"},
			in: cat(witPackage(run), section(1, binary(modulePreamble))),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rep := inspectBytes(t, tt.in)
			if rep.Kind != tt.kind || rep.Component.Package != tt.pkg {
				t.Errorf("kind %q of package %q, want %q of %q", rep.Kind, rep.Component.Package, tt.kind, tt.pkg)
			}
			if diff := cmp.Diff(tt.want, rep.Component.Exports); diff != "" {
				t.Errorf("exports (-want +got):\n%s", diff)
			}
		})
	}
}

// interfaces builds a component that imports and exports instances of those
// names.
func interfaces(imports, exports []string) []byte {
	parts := [][]byte{section(7, []byte{1, wasm.TypeInstance, 0})}
	for _, name := range imports {
		parts = append(parts, section(10, []byte{1, 0}, str(name), []byte{byte(wasm.SortInstance), 0}))
	}
	parts = append(parts, section(5, []byte{1, 0x01, 0}))
	for _, name := range exports {
		parts = append(parts, section(11, []byte{1, 0}, str(name), []byte{byte(wasm.SortInstance), 0, 0}))
	}
	return binary(componentPreamble, parts...)
}

func TestTargetAndGeneration(t *testing.T) {
	tests := []struct {
		name             string
		imports, exports []string
		target           string
		wasi             WASI
	}{
		{
			name: "a command", imports: []string{"wasi:cli/stdout@0.2.3", "wasi:io/streams@0.2.3"}, exports: []string{"wasi:cli/run@0.2.3"},
			target: "wasi:cli/command@0.2.3", wasi: WASIP2,
		},
		{
			name: "a command that also needs HTTP fits no standard world", imports: []string{"wasi:http/outgoing-handler@0.2.0"},
			exports: []string{"wasi:cli/run@0.2.0"}, wasi: WASIP2,
		},
		{
			name: "an HTTP handler", imports: []string{"wasi:http/types@0.2.0", "wasi:cli/stderr@0.2.0"},
			exports: []string{"wasi:http/incoming-handler@0.2.0"}, target: "wasi:http/proxy@0.2.0", wasi: WASIP2,
		},
		{
			name: "an HTTP handler that reads files", imports: []string{"wasi:filesystem/types@0.2.0"},
			exports: []string{"wasi:http/incoming-handler@0.2.0"}, wasi: WASIP2,
		},
		{
			name: "a service of the third generation", imports: []string{"wasi:http/types@0.3.0", "wasi:cli/environment@0.2.0"},
			exports: []string{"wasi:http/handler@0.3.0"}, wasi: WASIP3,
		},
		{
			name: "a plain service of the third generation", imports: []string{"wasi:http/types@0.3.0"},
			exports: []string{"wasi:http/handler@0.3.0"}, target: "wasi:http/service@0.3.0", wasi: WASIP3,
		},
		{name: "an interface of one's own", exports: []string{"a:b/c@1.0.0"}, wasi: WASINone},
		{name: "two exports", exports: []string{"wasi:cli/run@0.2.0", "a:b/c"}, wasi: WASIP2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rep := inspectBytes(t, interfaces(tt.imports, tt.exports))
			if rep.Component.Target != tt.target || rep.WASI != tt.wasi {
				t.Fatalf("imports %q and exports %q give target %q, %q; want %q, %q",
					tt.imports, tt.exports, rep.Component.Target, rep.WASI, tt.target, tt.wasi)
			}
		})
	}
}
