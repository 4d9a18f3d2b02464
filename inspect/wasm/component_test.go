package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// componentCases is how many binaries component-spec.zip holds.
const componentCases = 592

func TestComponentsAgreeWithTheSpecification(t *testing.T) {
	for _, s := range suite(t, "component-spec.zip", componentCases) {
		_, err := validate(s.data)
		checkError(t, err, len(s.data))
		if (err == nil) != s.accepted() {
			t.Errorf("Validate(%s) of %s:%d = %v; the specification says %s: %s", s.Path, s.Source, s.Line, err, s.Kind, s.Message)
		}
	}
}

// gates are features as the bundle of the suite names them. Those of the core
// are measured by the tests of modules.
var gates = map[string]string{
	"cm-async": "cm-async", "cm-threading": "cm-threading", "cm-error-context": "cm-error-context",
	"cm-fixed-length-lists": "cm-fixed-length-lists", "cm-map": "cm-map", "cm-implements": "cm-name-attributes",
}

func TestComponentsNeedTheFeaturesOfTheSpecification(t *testing.T) {
	for _, s := range suite(t, "component-spec.zip", componentCases) {
		if s.Kind != "valid" {
			continue
		}
		used, err := validate(s.data)
		if err != nil {
			continue // told by the test above
		}
		for ours, theirs := range gates {
			if got, want := slices.Contains(used.List(), ours), slices.Contains(s.Features, theirs); got != want {
				t.Errorf("Validate(%s) finds %s: %v, want %v", s.Path, ours, got, want)
			}
		}
	}
}

// componentMeanings are our errors in the words of the component suite's
// messages. A message means the first error whose words it contains.
var componentMeanings = []struct {
	words string
	errs  []error
}{
	{"malformed UTF-8", []error{ErrUTF8}},
	{"malformed section id", []error{ErrCode}},
	{"unexpected end-of-file", []error{ErrTruncated}},
	{"integer too large", []error{ErrTooLarge}},
	{"section out of order", []error{ErrOrder}},
	{"version header for a module", []error{ErrVersion}},
	{"unknown binary version", []error{ErrVersion}},
	{"invalid leading byte", []error{ErrCode}},
	{"invalid boolean value", []error{ErrCode}},
	{"outer alias count", []error{ErrOuter}},
	{"may only refer to types or instances", []error{ErrOuter}},
	{"has no export named", []error{ErrUnknownExport}},
	{"no export named", []error{ErrUnknownExport}},
	{"module index out of bounds", []error{ErrUnknownModule}},
	{"unknown module", []error{ErrUnknownModule}},
	{"unknown component", []error{ErrUnknownComponent}},
	{"instance index out of bounds", []error{ErrUnknownInstance}},
	{"tag index out of bounds", []error{ErrUnknownTag}},
	{"memory index out of bounds", []error{ErrUnknownMemory}},
	{"function index out of bounds", []error{ErrUnknownFunc}},
	{"type index out of bounds", []error{ErrUnknownType}},
	{"index out of bounds", []error{
		ErrUnknownType, ErrUnknownFunc, ErrUnknownInstance, ErrUnknownComponent, ErrUnknownModule, ErrUnknownTable,
		ErrUnknownMemory, ErrUnknownGlobal,
	}},
	{"must have at least one", []error{ErrDefinition}},
	{"more than 32 flags", []error{ErrDefinition}},
	{"maximum byte size", []error{ErrDefinition}},
	{"`stream<char>`", []error{ErrDefinition}},
	{"cannot contain a `borrow`", []error{ErrDefinition}},
	{"within a concrete component", []error{ErrDefinition}},
	{"wrong signature for a destructor", []error{ErrType}},
	{"not a resource type", []error{ErrType}},
	{"not a local resource", []error{ErrResource}},
	{"refers to resources", []error{ErrResource}},
	{"resource types are not the same", []error{ErrResource}},
	{"valid extern name", []error{ErrName}},
	{"cannot be empty", []error{ErrName}},
	{"kebab case", []error{ErrName}},
	{"should return", []error{ErrName}},
	{"resource name", []error{ErrName}},
	{"does not have a name in this context", []error{ErrName}},
	{"failed to find `.`", []error{ErrName}},
	{"not a function type", []error{ErrType}},
	{"is not a func", []error{ErrName}},
	{"first argument", []error{ErrName}},
	{"must be an interface", []error{ErrName}},
	{"`implements`", []error{ErrName}},
	{"not a valid name", []error{ErrName}},
	{"empty string", []error{ErrName}},
	{"unexpected character", []error{ErrName}},
	{"unexpected end of input", []error{ErrName}},
	{"empty identifier", []error{ErrName}},
	{"duplicate 'implements'", []error{ErrConflict}},
	{"conflicts with previous", []error{ErrConflict}},
	{"duplicate module instantiation argument", []error{ErrConflict}},
	{"duplicate import name", []error{ErrConflict}},
	{"already defined", []error{ErrDuplicateExport, ErrConflict}},
	{"not valid to be used as", []error{ErrVisible}},
	{"canonical", []error{ErrOption}},
	{"lowered", []error{ErrType}},
	{"missing", []error{ErrMissing}},
	{"does not export an item", []error{ErrMissing}},
	{"memory size", []error{ErrMemorySize}},
	{"is not a module", []error{ErrType}},
	{"is not a defined type", []error{ErrType}},
	{"is not an instance type", []error{ErrType}},
	{"mismatch", []error{ErrType}},
	{"ascribed type", []error{ErrType, ErrResource, ErrMissing}},
	{"expected", []error{ErrType, ErrMissing}},
}

func TestComponentErrorsMeanWhatTheSpecificationSays(t *testing.T) {
	for _, s := range suite(t, "component-spec.zip", componentCases) {
		if s.accepted() || s.Message == "" {
			continue
		}
		i := slices.IndexFunc(componentMeanings, func(m struct {
			words string
			errs  []error
		},
		) bool {
			return strings.Contains(s.Message, m.words)
		})
		if i < 0 {
			t.Errorf("%s: no error means %q", s.Path, s.Message)
			continue
		}
		_, err := validate(s.data)
		if !slices.ContainsFunc(componentMeanings[i].errs, func(want error) bool { return errors.Is(err, want) }) {
			t.Errorf("Validate(%s) of %s:%d = %v; want the meaning of %q", s.Path, s.Source, s.Line, err, s.Message)
		}
	}
}

func TestParseName(t *testing.T) {
	const hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	tests := []struct {
		in      string
		key     string
		invalid bool
	}{
		{in: "a", key: "a"},
		{in: "read-XML2-file", key: "readxml2file"},
		{in: "a-1", key: "a1"},
		{in: "", invalid: true},
		{in: "1a", invalid: true},
		{in: "aB", invalid: true},
		{in: "a--b", invalid: true},
		{in: "a-", invalid: true},
		{in: "ä", invalid: true},
		{in: "[constructor]a-b", key: "c ab"},
		{in: "[constructor]", invalid: true},
		{in: "[method]a.b-c", key: "m a.bc"},
		{in: "[method]a.A", key: "a"},
		{in: "[static]a.b", key: "m a.b"},
		{in: "[static]ab", invalid: true},
		{in: "[dtor]a", invalid: true},
		{in: "wasi:http/types", key: "i wasi:http/types@"},
		{in: "wasi:http/types@0.2.0-rc.1", key: "i wasi:http/types@0.2.0-rc.1"},
		{in: "a:b:c/d/e", key: "i a:b:c/d/e@"},
		{in: "a:b", invalid: true},
		{in: "A:b/c", invalid: true},
		{in: "a:b/c@", invalid: true},
		{in: "a:b/c d", invalid: true},
		{in: "unlocked-dep=<a:b>", key: "d unlocked-dep=<a:b>"},
		{in: "unlocked-dep=<a:b@*>", key: "d unlocked-dep=<a:b@*>"},
		{in: "unlocked-dep=<a:b@{>=1.0.0 <2.0.0}>", key: "d unlocked-dep=<a:b@{>=1.0.0 <2.0.0}>"},
		{in: "unlocked-dep=<a:b@{<1.0.0}>", key: "d unlocked-dep=<a:b@{<1.0.0}>"},
		{in: "unlocked-dep=<a:b@{=1.0.0}>", invalid: true},
		{in: "unlocked-dep=<a:b@{>=1.0}>", invalid: true},
		{in: "unlocked-dep=<a:b", invalid: true},
		{in: "locked-dep=<a:b@1.2.3>", key: "d locked-dep=<a:b@1.2.3>"},
		{in: "locked-dep=<a:b@1.2.3>,integrity=<" + hash + ">", key: "d locked-dep=<a:b@1.2.3>,integrity=<" + hash + ">"},
		{in: "locked-dep=<a:b@1.2>", invalid: true},
		{in: "url=<https://x.test/a>", key: "d url=<https://x.test/a>"},
		{in: "url=<a<b>", invalid: true},
		{in: "url=<a>x", invalid: true},
		{in: "integrity=<" + hash + ">", key: "d integrity=<" + hash + ">"},
		{in: "integrity=<>", invalid: true},
		{in: "integrity=<md5-abc>", invalid: true},
		{in: "integrity=<sha256-a$b>", invalid: true},
		{in: "integrity=<sha256-a===>", invalid: true},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			n, err := parseName(tt.in)
			if tt.invalid != errors.Is(err, ErrName) || err == nil && n.key != tt.key {
				t.Fatalf("parseName(%q) = %q, %v; want %q, invalid %v", tt.in, n.key, err, tt.key, tt.invalid)
			}
		})
	}
}

func TestCheckVersion(t *testing.T) {
	for _, s := range []string{"0.0.0", "1.2.3", "1.2.3-a.1.0-b", "1.2.3+001.b", "1.2.3-0a+x", "10.20.30"} {
		if err := checkVersion(s); err != nil {
			t.Errorf("checkVersion(%q) = %v, want none", s, err)
		}
	}
	for _, s := range []string{"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "1.2.3-a..b", "1.2.x", "v1.2.3", "1.2.-3"} {
		if err := checkVersion(s); !errors.Is(err, ErrName) {
			t.Errorf("checkVersion(%q) = %v, want %v", s, err, ErrName)
		}
	}
}

// prim refers to a primitive by its name.
func prim(name string) TypeRef {
	for op, s := range primitives {
		if s == name {
			return TypeRef{Prim: op, Set: true}
		}
	}
	panic(name)
}

// built is a type with those parts, measured.
func built(op byte, labels []string, length uint32, args ...TypeRef) TypeRef {
	t := &TypeDef{Op: op, Labels: labels, Args: args, Len: length}
	d := &componentDecoder{shared: newComponentShare(0, newBudget(0))}
	d.measure(&reader{budget: newBudget(0)}, 0, t)
	return TypeRef{Def: t, Set: true}
}

func TestFlatten(t *testing.T) {
	u32, u64, f32, f64, str := prim("u32"), prim("u64"), prim("f32"), prim("f64"), prim("string")
	none := TypeRef{}
	cases := []string{"a", "b"}
	many := slices.Repeat([]TypeRef{u32}, 17)
	memory := func(o *CanonOptions) { o.Memory = 0 }
	realloc := func(o *CanonOptions) { o.Memory, o.Realloc = 0, 0 }
	async := func(o *CanonOptions) { o.Memory, o.Realloc, o.Async = 0, 0, true }
	callback := func(o *CanonOptions) { o.Memory, o.Async, o.Callback = 0, true, 0 }
	tests := []struct {
		name   string
		params []TypeRef
		result TypeRef
		set    func(*CanonOptions)
		lift   string
		lower  string
	}{
		{
			name: "numbers", params: []TypeRef{u32, u64, f32, f64}, result: prim("bool"), lift: "[i32 i64 f32 f64] [i32]",
			lower: "[i32 i64 f32 f64] [i32]",
		},
		{name: "a string needs memory", params: []TypeRef{str}, lift: "memory", lower: "memory"},
		{name: "a string passed in needs realloc", params: []TypeRef{str}, set: memory, lift: "realloc", lower: "[i32 i32] []"},
		{name: "a string result", result: str, set: memory, lift: "[] [i32]", lower: "realloc"},
		{name: "a string result with realloc", result: str, set: realloc, lift: "[] [i32]", lower: "[i32] []"},
		{
			name: "cases are joined", params: []TypeRef{built(TypeVariant, cases, 0, f32, u64)}, result: built(TypeResult, nil, 0, u32, none),
			set: memory, lift: "[i32 i64] [i32]", lower: "[i32 i64 i32] []",
		},
		{
			name: "i32 and f32 join to i32", params: []TypeRef{built(TypeVariant, cases, 0, u32, f32)}, lift: "[i32 i32] []",
			lower: "[i32 i32] []",
		},
		{name: "17 parameters", params: many, set: memory, lift: "realloc", lower: "[i32] []"},
		{
			name: "a list of 16 elements", params: []TypeRef{built(TypeFixedList, nil, 16, u32)},
			lift: "[" + strings.TrimSpace(strings.Repeat("i32 ", 16)) + "] []", lower: "[" + strings.TrimSpace(strings.Repeat("i32 ", 16)) + "] []",
		},
		{
			name: "an async call passes four", params: many[:5], result: u32, set: async,
			lift: "[i32 i32 i32 i32 i32] []", lower: "[i32 i32] [i32]",
		},
		{
			name: "a callback gives an event", params: many[:4], result: u32, set: callback, lift: "[i32 i32 i32 i32] [i32]",
			lower: "[i32 i32 i32 i32 i32] [i32]",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := &canonOptions{pointer: I32}
			o.Memory, o.Realloc, o.PostReturn, o.Callback, o.CoreType = -1, -1, -1, -1, -1
			if tt.set != nil {
				tt.set(&o.CanonOptions)
			}
			f := &TypeDef{Op: TypeFunc, Args: tt.params, Result: tt.result}
			for _, side := range []struct {
				lift bool
				want string
			}{{true, tt.lift}, {false, tt.lower}} {
				sig, err := flatten(f, o, side.lift)
				got := fmt.Sprint(sig.params, " ", sig.results)
				if err != nil {
					got = err.Error()
				}
				if !strings.Contains(got, side.want) {
					t.Errorf("flatten(lift %v) = %s, want %s", side.lift, got, side.want)
				}
			}
		})
	}
}

func TestValueSizes(t *testing.T) {
	u8, u64 := prim("u8"), prim("u64")
	tests := []struct {
		name  string
		t     TypeRef
		size  uint32
		align uint8
	}{
		{"a record is padded", built(TypeRecord, []string{"a", "b", "c"}, 0, u8, u64, u8), 24, 3},
		{"a variant has its discriminant first", built(TypeVariant, []string{"a", "b"}, 0, u64, TypeRef{}), 16, 3},
		{"nine flags take two bytes", built(TypeFlags, make([]string, 9), 0), 2, 1},
		{"17 flags take four bytes", built(TypeFlags, make([]string, 17), 0), 4, 2},
		{"257 cases take two bytes", built(TypeEnum, make([]string, 257), 0), 2, 1},
		{"a list repeats", built(TypeFixedList, nil, 3, u64), 24, 3},
		{"an option of a byte", built(TypeOption, nil, 0, u8), 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a := tt.t.abi(); a.size != tt.size || a.align != tt.align {
				t.Errorf("size %d, align %d; want %d, %d", a.size, a.align, tt.size, tt.align)
			}
		})
	}
}

// name encodes a string.
func name(s string) []byte { return append(padded(len(s)), s...) }

// long is a section of any length.
func long(id byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat([]byte{id}, padded(len(body)), body)
}

// The chain that a report follows: what the import of a nested module is, through
// the arguments, an instance put together, a lowered function and an alias, down
// to an import of the component.
func TestOriginsLeadToTheImports(t *testing.T) {
	in := component(
		long(7, []byte{1, TypeInstance, 2, 0x01, TypeFunc, 0, 1, 0, 0x04, 0}, name("f"), []byte{byte(SortFunc), 0}),
		long(10, []byte{1, 0}, name("wasi:x/y@1.0.0"), []byte{byte(SortInstance), 0}),
		long(6, []byte{1, byte(SortFunc), 0, 0}, name("f")),
		long(8, []byte{1, 0x01, 0, 0, 0}),
		long(1, module(section(1, 1, 0x60, 0, 0), section(2, 1, 1, 'm', 1, 'n', 0, 0))),
		long(2, []byte{1, 0x01, 1, 1, 'n', 0, 0}),
		long(2, []byte{1, 0x00, 0, 1, 1, 'm', 0x12, 0}),
	)
	b, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Validate(b); err != nil {
		t.Fatalf("Validate = %v", err)
	}
	c := b.Component
	im := c.Modules[0].Module.Imports[0]
	user := c.CoreInstances[1]
	arg := user.Args[0]
	ex := c.CoreInstances[arg.Instance].Exports[0]
	canon := c.Canons[c.CoreFuncs[ex.Index].Index]
	f := c.Functions[canon.Index]
	from := c.Imports[c.InstanceDefs[f.Index].Index]
	got := []any{
		im.Module == arg.Name, im.Name == ex.Name, c.CoreModules[user.Module].Kind, c.CoreFuncs[ex.Index].Kind, canon.Op.String(),
		f.Kind, f.Name, c.InstanceDefs[f.Index].Kind, from.Name,
	}
	want := []any{true, true, OriginNested, OriginCanon, "lower", OriginAlias, "f", OriginImport, "wasi:x/y@1.0.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
}

func TestTypesPrint(t *testing.T) {
	in := component(
		long(3, []byte{1, TypeModule, 3, 0x01, 0x60, 1, 0x7f, 0, 0x00, 1, 'm', 1, 'n', 0, 0, 0x03, 3, 'm', 'e', 'm', 2, 0, 1}),
		long(10, []byte{1, 0}, name("a"), []byte{0, 0x11, 0}),
		long(7, []byte{3, TypeRecord, 1, 1, 'x', primString, TypeOption, 0, TypeAsyncFunc, 1, 1, 'p', 1, 0, 0}),
	)
	b, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	c := b.Component
	got := []string{c.Imports[0].Type.String(), c.Types[0].String(), c.Types[2].String()}
	want := []string{
		`(core module (import "m" "n" (func (param i32))) (export "mem" (memory 1)))`, `(record (field "x" string))`,
		`(func async (param "p" (option (record (field "x" string)))) (result (record (field "x" string))))`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

// A component that is invalid is decoded to its end all the same.
func TestDecodeReadsInvalidComponents(t *testing.T) {
	in := component(
		long(6, []byte{1, byte(SortFunc), 0, 7}, name("f")),
		long(7, []byte{1, TypeFunc, 0, 1, 0}),
		long(10, []byte{1, 0}, name("g"), []byte{byte(SortFunc), 0}),
	)
	b, err := Parse(in)
	if err != nil || len(b.Component.Imports) != 1 || b.Component.Imports[0].Type == nil {
		t.Fatalf("Parse = %+v, %v", b, err)
	}
	_, err = Validate(b)
	var at *Error
	if !errors.Is(err, ErrUnknownInstance) || !errors.As(err, &at) || at.Offset != 15 || at.Doing != "alias section, entry 0" {
		t.Fatalf("Validate = %v; want %v by entry 0 of the alias section at byte 15", err, ErrUnknownInstance)
	}
}

// The first fault in the file is the one that is told, whether it is one of a
// module or of the component.
func TestValidateTellsTheFirstFault(t *testing.T) {
	bad := module(section(1, 1, 0x60, 0, 1, 0x7f), section(3, 1, 0), section(10, 1, 2, 0, 0x0b))
	alias := long(6, []byte{1, byte(SortFunc), 0, 7}, name("f"))
	for _, tt := range []struct {
		name string
		in   []byte
		want error
	}{
		{"module first", component(long(1, bad), alias), ErrType},
		{"component first", component(alias, long(1, bad)), ErrUnknownInstance},
		{"module in a component", component(long(4, component(long(1, bad))), alias), ErrType},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := validate(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("Validate = %v, want %v", err, tt.want)
			}
		})
	}
}

// componentBombs are small components that describe large things.
func componentBombs() map[string][]byte {
	// Each type uses the one before twice.
	doubling := func(n int, use func(i int) []byte) []byte {
		body := append(padded(n+1), primBool)
		for i := range n {
			body = append(body, use(i)...)
		}
		return component(long(7, body))
	}
	result := func(i int) []byte { return slices.Concat([]byte{TypeResult, 1}, padded(i), []byte{1}, padded(i)) }
	tuple := func(i int) []byte { return slices.Concat([]byte{TypeTuple, 2}, padded(i), padded(i)) }
	pairs := func(i int) []byte { return slices.Concat([]byte{TypeMap}, padded(i), padded(i)) }
	chain := append(padded(20_000), TypeFunc, 0, 1, 0)
	for i := range 19_999 {
		chain = add(chain, []byte{TypeInstance, 2, 0x02, byte(SortType), 2, 1}, padded(i), []byte{0x04, 0}, name("a"), []byte{kindOf(i), 0})
	}
	names := append(padded(50_000), bytes.Repeat([]byte{0, 1, 'a', 1, 0}, 50_000)...)
	aliases := append(padded(100_000), bytes.Repeat([]byte{byte(SortType), 2, 0, 0}, 100_000)...)
	prims := append(padded(900_000), bytes.Repeat([]byte{primBool}, 900_000)...)
	canons := append(padded(500_000), bytes.Repeat([]byte{byte(CanonBackpressureInc)}, 500_000)...)
	return map[string][]byte{
		"a result of results, doubled 19 times":       doubling(19, result),
		"a result of results, doubled 90 times":       doubling(90, result),
		"a tuple of tuples, doubled 60 times":         doubling(60, tuple),
		"a map of maps, doubled 60 times":             doubling(60, pairs),
		"20,000 instance types inside each other":     component(long(7, chain)),
		"3,000 imports of 2,000 functions each":       fresh(2000, 3000),
		"50,000 imports of one name":                  component(long(7, []byte{1, TypeFunc, 0, 1, 0}), long(10, names)),
		"100,000 aliases":                             component(long(7, []byte{1, primBool}), long(6, aliases)),
		"6,000 primitive types":                       component(long(7, slices.Concat(padded(6000), prims[5:6005]))),
		"900,000 primitive types":                     component(long(7, prims)),
		"500,000 canonical functions":                 component(long(8, canons)),
		"components of 64 levels, each twice":         nestedComponents(64),
		"names of names of a type":                    component(long(7, []byte{1, primBool}), long(11, renames(30_000))),
		"types of 18 doublings, compared 2,000 times": compared(2000),
		"modules of eight bytes":                      component(bytes.Repeat(long(1, module()), 60_000)),
		"a resource compared along 1,000 instances":   instances(1000),
	}
}

// add appends all parts.
func add(to []byte, parts ...[]byte) []byte {
	for _, p := range parts {
		to = append(to, p...)
	}
	return to
}

func kindOf(i int) byte {
	if i == 0 {
		return byte(SortFunc)
	}
	return byte(SortInstance)
}

// compared instantiates a component n times, with a function of a type that has
// 2^18 parts, and is declared in both.
func compared(n int) []byte {
	types := add(padded(21), []byte{primBool})
	for i := range 18 {
		types = add(types, []byte{TypeTuple, 2}, padded(i), padded(i))
	}
	types = add(types, []byte{TypeFunc, 1}, name("x"), []byte{18, 1, 0}, []byte{primBool})
	f := add([]byte{1, 0}, name("f"), []byte{byte(SortFunc), 19})
	body := padded(n)
	for range n {
		body = add(body, []byte{0, 0, 1}, name("f"), []byte{byte(SortFunc), 0})
	}
	return component(long(7, types), long(10, f), long(4, component(long(7, types), long(10, f))), long(5, body))
}

// renames are exports of a type, each of the one before.
func renames(n int) []byte {
	body := padded(n)
	for i := range n {
		body = add(body, []byte{0}, name(fmt.Sprintf("t%d", i)), []byte{byte(SortType)}, padded(i), []byte{0})
	}
	return body
}

// fresh is an instance type with a resource and funcs functions that take it,
// imported n times.
func fresh(funcs, n int) []byte {
	resource := add([]byte{0x04, 0}, name("r"), []byte{byte(SortType), 1, 0x01, TypeBorrow, 0})
	decls := add(resource, []byte{0x01, TypeFunc, 1}, name("x"), []byte{1, 1, 0})
	for i := range funcs {
		decls = add(decls, []byte{0x04, 0}, name(fmt.Sprintf("f%d", i)), []byte{byte(SortFunc), 2})
	}
	imports := padded(n)
	for i := range n {
		imports = add(imports, []byte{0}, name(fmt.Sprintf("i%d", i)), []byte{byte(SortInstance), 0})
	}
	return component(long(7, []byte{1, TypeInstance}, padded(funcs+3), decls), long(10, imports))
}

// instances instantiates a component that imports and exports many things n
// times.
func instances(n int) []byte {
	const width = 400
	imports, exports, args := padded(width), padded(width), padded(width)
	for i := range width {
		s := fmt.Sprintf("t%d", i)
		imports = add(imports, []byte{0}, name(s), []byte{byte(SortType), 1})
		exports = add(exports, []byte{0}, name(s), []byte{byte(SortType)}, padded(i), []byte{0})
		args = add(args, name(s), []byte{byte(SortType), 0})
	}
	body := padded(n)
	for range n {
		body = add(body, []byte{0, 0}, args)
	}
	return component(
		long(10, []byte{1, 0}, name("r"), []byte{byte(SortType), 1}),
		long(4, component(long(10, imports), long(11, exports))),
		long(5, body),
	)
}

// nestedComponents are components in each other, each of which is instantiated
// twice.
func nestedComponents(depth int) []byte {
	c := component(long(7, []byte{1, TypeResource, 0x7f, 0}), long(11, []byte{1, 0}, name("r"), []byte{byte(SortType), 0, 0}))
	for range depth - 1 {
		c = component(
			long(4, c), long(5, []byte{2, 0, 0, 0, 0, 0, 0}),
			long(11, []byte{2, 0}, name("a"), []byte{byte(SortInstance), 0, 0, 0}, name("b"), []byte{byte(SortInstance), 1, 0}),
		)
	}
	return c
}

// Whatever a small file describes, it takes no more memory and time than its
// size allows.
func TestComponentBombsAreBounded(t *testing.T) {
	for name, in := range componentBombs() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			b, err := Parse(in)
			if err == nil {
				_, err = Validate(b)
			}
			took := time.Since(start)
			checkError(t, err, len(in))
			runtime.GC()
			runtime.ReadMemStats(&after)
			if spent, limit := after.TotalAlloc-before.TotalAlloc, uint64(KeptPerByte*len(in)+KeptAnyway+64<<10); spent > limit {
				t.Errorf("%d bytes allocate %d, more than %d", len(in), spent, limit)
			}
			kept := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			if limit := int64(KeptPerByte*len(in) + KeptAnyway + 64<<10); kept > limit {
				t.Errorf("%d bytes keep %d in memory, more than %d", len(in), kept, limit)
			}
			if limit := time.Second + time.Duration(len(in))*2*time.Microsecond; took > limit {
				t.Errorf("%d bytes take %v, more than %v", len(in), took, limit)
			}
			t.Logf("%d bytes: %v, %d kept, %d in all, %v", len(in), took, kept, after.TotalAlloc-before.TotalAlloc, err)
			runtime.KeepAlive(b)
		})
	}
}

// The costs that the budget counts are at least the sizes of what is kept.
func TestComponentCosts(t *testing.T) {
	const space = unsafe.Sizeof(&TypeDef{})
	for _, tt := range []struct {
		name string
		cost int
		size uintptr
	}{
		{"TypeDef", costTypeDef, unsafe.Sizeof(TypeDef{})},
		{"TypeRef", costTypeRef, unsafe.Sizeof(TypeRef{})},
		{"label", costLabel, unsafe.Sizeof("")},
		{"ComponentExtern", costExtern, unsafe.Sizeof(ComponentExtern{})*5/4 + space*5/4},
		{"Scope", costScope, unsafe.Sizeof(Scope{}) + unsafe.Sizeof(nameIndex{}) + 200},
		{"Origin", costOrigin, unsafe.Sizeof(Origin{})*5/4 + space*5/4},
		{"Argument", costArgument, max(unsafe.Sizeof(Argument{}), unsafe.Sizeof(CoreArgument{}), unsafe.Sizeof(Export{}))},
		{"Instance", costInstance, unsafe.Sizeof(Instance{})*5/4 + space*5/4},
		{"CoreInstance", costCoreInstance, unsafe.Sizeof(CoreInstance{}) * 5 / 4},
		{"Canon", costCanon, (unsafe.Sizeof(Canon{})+unsafe.Sizeof(Origin{}))*5/4 + unsafe.Sizeof(CanonOptions{})},
		{"coreType", costCoreType, unsafe.Sizeof(coreType{}) * 5 / 4},
		{"subtype", costSubType, unsafe.Sizeof(SubType{}) + unsafe.Sizeof(coreType{})*9/4},
		{"named", costNamed, unsafe.Sizeof(Instance{})*9/4 - unsafe.Sizeof(Origin{})},
		{"coreItem", costCoreItem, unsafe.Sizeof(coreItem{}) * 5 / 4},
		{"module type", costModuleType, unsafe.Sizeof(Module{}) + unsafe.Sizeof(TypeDef{})},
		{
			"nested binary", costNested,
			unsafe.Sizeof(Binary{}) + max(unsafe.Sizeof(Module{}), unsafe.Sizeof(Component{})) + unsafe.Sizeof(TypeDef{}) +
				unsafe.Sizeof(Validator{}) + unsafe.Sizeof(validModule{}),
		},
	} {
		if uintptr(tt.cost) < tt.size || uintptr(tt.cost) > 2*tt.size+40 {
			t.Errorf("the cost of a %s is %d; its size is %d", tt.name, tt.cost, tt.size)
		}
	}
}

// Whatever the bytes, a component is read and judged in bounds, and what is said
// of it does not depend on how it was read.
func FuzzComponent(f *testing.F) {
	list, err := os.ReadDir("testdata/fuzz/FuzzComponent")
	if err != nil || len(list) < 100 {
		f.Fatalf("%d seeds, %v; want at least 100", len(list), err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b *Binary
		var err error
		used := allocated(func() { b, err = Parse(in) })
		if limit := uint64(KeptPerByte*len(in) + KeptAnyway + 64<<10); used > limit {
			t.Fatalf("Parse of %d bytes allocated %d, more than %d", len(in), used, limit)
		}
		checkError(t, err, len(in))
		decoded, decodeErr := Decode(bytes.NewReader(in), int64(len(in)))
		if err == nil && decodeErr != nil {
			t.Fatalf("Decode = %v, but Parse takes it", decodeErr)
		}
		if err != nil || b.Component == nil {
			return
		}
		if got, want := decoded.Component.verdict.fault, b.Component.verdict.fault; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("Decode finds the fault %v, Parse %v", got, want)
		}
		_, err = Validate(b)
		checkError(t, err, len(in))
		checkComponent(t, b.Component, err == nil)
	})
}

// checkComponent holds a component to what its documentation promises: index
// spaces that go together, and types for everything that is valid.
func checkComponent(t *testing.T, c *Component, valid bool) {
	t.Helper()
	for _, l := range [][2]int{
		{len(c.Functions), len(c.Funcs)}, {len(c.InstanceDefs), len(c.Instances)}, {len(c.ComponentDefs), len(c.ComponentTypes)},
	} {
		if l[0] != l[1] {
			t.Fatalf("%d origins of %d entries", l[0], l[1])
		}
	}
	for _, list := range [][]ComponentExtern{c.Imports, c.Exports} {
		for _, e := range list {
			checkText(t, e.Type.String())
			if valid && e.Type == nil {
				t.Fatalf("%v %q of a valid component has no type", e.Sort, e.Name)
			}
		}
	}
	for _, nested := range c.Components {
		checkComponent(t, nested.Component, valid)
	}
}
