package signal

import (
	"strings"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func mutableI32(init int32) []byte { return cat([]byte{0x7f, 1}, i32Const(init), end) }

func export(title string, kind byte, index uint64) []byte {
	return cat(name(title), []byte{kind}, uleb(index))
}

func TestStructure(t *testing.T) {
	named := func(g string) []byte {
		global := cat([]byte{1, 0}, name(g))
		return custom("name", string(cat([]byte{7}, uleb(uint64(len(global))), global)))
	}
	sized := func(size int) []byte { // an empty type section whose size is written in size bytes
		return cat([]byte{1}, padded(1, size), []byte{0})
	}
	const debug = ".debug_info"
	tests := []struct {
		name string
		b    builder
		id   string
		want int
	}{
		{"memory without a maximum", builder{memories: [][]byte{{0, 1}}}, "memory-unbounded", 5},
		{"memory with a maximum", builder{memories: [][]byte{{1, 1, 2}}}, "memory-unbounded", -1},
		{"shared memory", builder{memories: [][]byte{{3, 1, 2}}}, "memory-shared", 5},
		{"memory of one's own", builder{memories: [][]byte{{1, 1, 2}}}, "memory-shared", -1},
		{"two memories", builder{memories: [][]byte{{1, 1, 2}, {1, 1, 2}}}, "memory-multiple", 10},
		{"one memory", builder{memories: [][]byte{{1, 1, 2}}}, "memory-multiple", -1},
		{"imported memory", builder{imports: [][]byte{cat(name("env"), name("memory"), []byte{2, 0, 1})}}, "memory-imported", 5},
		{"imported variable", builder{imports: [][]byte{cat(name("env"), name("g"), []byte{3, 0x7f, 0})}}, "memory-imported", -1},
		{
			"exported table",
			builder{tables: [][]byte{{0x70, 0, 1}}, exports: [][]byte{export("__indirect_function_table", 1, 0)}},
			"table-exposed", 10,
		},
		{"imported table", builder{imports: [][]byte{cat(name("env"), name("t"), []byte{1, 0x70, 0, 1})}}, "table-exposed", 10},
		{"table of one's own", builder{tables: [][]byte{{0x70, 0, 1}}}, "table-exposed", -1},
		{"exported variable", builder{globals: [][]byte{mutableI32(0)}, exports: [][]byte{export("g", 3, 0)}}, "global-exposed", 10},
		{
			"exported constant",
			builder{globals: [][]byte{cat([]byte{0x7f, 0}, i32Const(0), end)}, exports: [][]byte{export("g", 3, 0)}},
			"global-exposed", -1,
		},
		{
			"stack pointer by its export",
			builder{globals: [][]byte{mutableI32(0)}, exports: [][]byte{export("__stack_pointer", 3, 0)}},
			"stack-pointer-exposed", 15,
		},
		{
			"stack pointer by its name",
			builder{globals: [][]byte{mutableI32(0)}, exports: [][]byte{export("s", 3, 0)}, last: named("__stack_pointer")},
			"stack-pointer-exposed", 15,
		},
		{"another variable", builder{globals: [][]byte{mutableI32(0)}, exports: [][]byte{export("s", 3, 0)}}, "stack-pointer-exposed", -1},
		{
			"stack above the data", *(&builder{globals: [][]byte{mutableI32(66560)}}).segment(1024, "data"), "stack-unguarded", 20,
		},
		{
			"stack below the data", *(&builder{globals: [][]byte{mutableI32(65536)}}).segment(65536, "data"), "stack-unguarded", -1,
		},
		{
			"first variable of another name", *(&builder{globals: [][]byte{mutableI32(66560)}, last: named("counter")}).segment(1024, "data"),
			"stack-unguarded", -1,
		},
		{"first variable that is small", *(&builder{globals: [][]byte{mutableI32(16)}}).segment(0, "data"), "stack-unguarded", -1},
		{"start function", *(&builder{start: []byte{0}}).function(nop), "start-function", 5},
		{"function that nobody starts", *new(builder).function(nop), "start-function", -1},
		{"debug information", builder{last: custom(debug, "\x01\x02")}, "debug-info", 10},
		{"debug information elsewhere", builder{last: custom("external_debug_info", "\x05a.dwp")}, "debug-info", 10},
		{"no debug information", builder{last: custom("debug_info", "\x01\x02")}, "debug-info", -1},
		{"names", builder{last: named("x")}, "names", 0},
		{"source map beside the file", builder{last: custom("sourceMappingURL", "\x05a.map")}, "source-map", 5},
		{"source map elsewhere", builder{last: custom("sourceMappingURL", "\x0fhttps://a.io/m/")}, "source-map", 10},
		{"size in three bytes", builder{first: sized(3)}, "padded-size", 20},
		{"size that a linker filled in", builder{first: sized(5)}, "padded-size", -1},
		{"size", builder{first: sized(1)}, "padded-size", -1},
		{"producers twice", builder{first: custom("producers", "\x00"), last: custom("producers", "\x00")}, "duplicate-section", 25},
		{"producers once", builder{last: custom("producers", "\x00")}, "duplicate-section", -1},
		{"two sections of one's own", builder{first: custom("x", "1"), last: custom("x", "2")}, "duplicate-section", -1},
		{"names before the data", *(&builder{first: named("x")}).segment(0, "data"), "misplaced-section", 20},
		{"names at the end", *(&builder{last: named("x")}).segment(0, "data"), "misplaced-section", -1},
		{"dylink.0 at the end", *(&builder{last: custom("dylink.0", "")}).segment(0, "data"), "misplaced-section", 20},
		{"dylink.0 at the beginning", *(&builder{first: custom("dylink.0", "")}).segment(0, "data"), "misplaced-section", -1},
		{"producers cut short", builder{last: custom("producers", "\x05")}, "malformed-section", 20},
		{"unknown section", builder{last: custom("secret sauce", "salt")}, "unknown-section", 5},
		{"large unknown section", builder{last: custom("secret sauce", strings.Repeat("salt", 20_000))}, "unknown-section", 25},
		{"section of wasm-bindgen", builder{last: custom("__wasm_bindgen_unstable", "x")}, "unknown-section", -1},
		{"section of an interface", builder{last: custom("component-type:app", "x")}, "unknown-section", -1},
		{"much data and no code", *new(builder).segment(0, strings.Repeat("a", 1<<20)), "mostly-data", 10},
		{"little data and no code", *new(builder).segment(0, strings.Repeat("a", 1<<19)), "mostly-data", -1},
		{"module in a custom section", builder{last: custom("inner", string(in("text")))}, "embedded-wasm", 50},
		{"types of a component in a custom section", builder{last: custom("component-type:app", string(in("text")))}, "embedded-wasm", -1},
		{"home in debug information", builder{last: custom(".debug_str", "\x00/home/alice/src\x00")}, "home-path", 30},
		{"home in numbers of debug information", builder{last: custom(debug, "\x00/home/alice/src\x00")}, "home-path", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := analyse(t, tt.b.bytes())
			if got := res.score(tt.id); got != tt.want {
				t.Fatalf("score of %s = %d, want %d; signals are %+v", tt.id, got, tt.want, res.Signals)
			}
		})
	}
}

func TestForgery(t *testing.T) {
	b, err := wasm.Parse([]byte(header))
	if err != nil {
		t.Fatal(err)
	}
	for _, sure := range []bool{true, false} {
		want := 30
		if sure {
			want = 50
		}
		s := Merge(Structure(b, []Forgery{{Offset: 8, Claim: "Rust", Trace: "Go", Sure: sure}})).find("forged-producers")
		if s == nil || s.Score != want || s.Finds[0].Evidence != "claims Rust, shows Go" || s.Finds[0].Offset != 8 {
			t.Errorf("signal of a forgery, sure %v, is %+v, want a score of %d", sure, s, want)
		}
	}
	if got := Merge(Structure(b, nil)).score("forged-producers"); got != -1 {
		t.Errorf("score without a forgery = %d, want none", got)
	}
}

func TestExcerpt(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", "plain"},
		{"two\nlines\x00and\x1b[31mred", "two.lines.and.[31mred"},
		{"turned \u202eround", "turned .round"},
		{"broken \xff", "broken ."},
		{strings.Repeat("ö", 100), strings.Repeat("ö", 80) + "…"},
	} {
		if got := excerpt(tt.in); got != tt.want {
			t.Errorf("excerpt(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestStructureFindsNothingInAnEmptyModule(t *testing.T) {
	if got := analyse(t, []byte(header)).Signals; len(got) != 0 {
		t.Fatalf("signals of an empty module are %+v, want none", got)
	}
}
