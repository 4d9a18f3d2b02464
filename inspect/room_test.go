package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

func TestSizesOfEntries(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int64
		of   reflect.Type
	}{
		{"import", sizeImport, reflect.TypeFor[Import]()},
		{"export", sizeExport, reflect.TypeFor[Export]()},
		{"section", sizeSection, reflect.TypeFor[Section]()},
		{"producer", sizeProducer, reflect.TypeFor[Producer]()},
		{"problem", sizeProblem, reflect.TypeFor[Problem]()},
		{"memory", sizeMemory, reflect.TypeFor[Memory]()},
		{"table", sizeTable, reflect.TypeFor[Table]()},
		{"package", sizePackage, reflect.TypeFor[code.PackageSize]()},
		{"name", header, reflect.TypeFor[string]()},
	} {
		if n := int64(tt.of.Size()); tt.size < n || tt.size > n+8 {
			t.Errorf("an entry of a list of %ss counts as %d bytes, and has %d", tt.name, tt.size, n)
		}
	}
}

// many is a module that exports its one function under n names.
func many(n int) []byte {
	exports := uleb(n)
	for i := range n {
		exports = append(append(exports, str(fmt.Sprintf("n%x", i))...), 0, 0)
	}
	return binary(modulePreamble, section(1, []byte{1, 0x60, 0, 0}), section(3, []byte{1, 0}), long(7, exports), section(10, []byte{1, 2, 0, 0x0b}))
}

func uleb(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// long is a section of more bytes than section can have.
func long(id byte, contents []byte) []byte {
	return append(append([]byte{id}, uleb(len(contents))...), contents...)
}

// A module of nothing but exports loses some of them, and the report says how
// many; a fifth as many beside as much of something else are all there.
func TestListsAreCut(t *testing.T) {
	const n = 100_000
	rep := full(t, many(n), Options{})
	if len(rep.Truncated) != 1 || rep.Truncated[0] != (Cut{"exports", len(rep.Exports), n}) {
		t.Fatalf("%d exports are listed of %d, and truncated is %+v", len(rep.Exports), n, rep.Truncated)
	}
	if got := rep.Missing("exports"); got != n-len(rep.Exports) || rep.Missing("imports") != 0 || len(rep.Exports) < 1000 {
		t.Errorf("%d exports are missing, %d are there", got, len(rep.Exports))
	}
	asJSON(t, rep)
	padding := long(0, append(str("padding"), make([]byte, 800<<10)...))
	if rep = full(t, append(many(n/5), padding...), Options{}); rep.Truncated != nil || len(rep.Exports) != n/5 {
		t.Errorf("%d exports are listed of %d, and truncated is %+v", len(rep.Exports), n/5, rep.Truncated)
	}
}

func TestRoomOfLists(t *testing.T) {
	r := &room{left: 1000}
	numbers := make([]int, 100)
	list := listOf(r, "a", 10, numbers, func(int) string { return "" })
	if len(list) != 50 || r.left != 500 {
		t.Errorf("%d entries of ten bytes are in half of 1,000, which leave %d; want 50 and 500", len(list), r.left)
	}
	list = listOf(r, "b", 10, numbers, func(int) string {
		s := strings.Repeat("x", 100-header)
		r.text(s)
		return s
	})
	// 25 fit without their texts, then half of the rest is for those.
	if len(list) != 2 || r.left != 50 {
		t.Errorf("%d entries with a text of 100 bytes are listed, which leave %d; want 2 and 50", len(list), r.left)
	}
	r.note("c", 7, 7)
	r.note("a", 1, 3)
	if got := fmt.Sprint(r.cuts); got != "[{a 51 103} {b 2 100}]" {
		t.Errorf("the cuts are %s", got)
	}
	if r.text(strings.Repeat("x", 30)) || !r.text("x") || r.left != 50-header-1 {
		t.Errorf("texts are not taken as long as they fit: %d bytes are left", r.left)
	}
}

// Types that are the same are printed to one text, and to none if there is no
// room.
func TestPrinterKeepsATypeOnce(t *testing.T) {
	p := printer{room: &room{left: 10_000}}
	text := func(s string) func() string { return func() string { return strings.Clone(s) } }
	p.print(text("(func)"))
	left := p.room.left
	if got := p.print(text("(func)")); got != "(func)" || p.room.left != left {
		t.Errorf("a type known before is %q and takes %d bytes", got, left-p.room.left)
	}
	p.room.left = 20
	if got := p.print(text("(func (param i32))")); got != "…" {
		t.Errorf("a type without room is %q", got)
	}
}

// The report leaves a binary's WASI what it is when the list of imports is cut.
func TestGenerationLooksAtAllImports(t *testing.T) {
	const n = 60_000
	imports := uleb(n + 1)
	for i := range n {
		imports = append(append(append(imports, str("e")...), str(fmt.Sprintf("n%x", i))...), 0, 0)
	}
	imports = append(append(append(imports, str("wasi_snapshot_preview1")...), str("proc_exit")...), 0, 0)
	in := binary(modulePreamble, section(1, []byte{1, 0x60, 0, 0}), long(2, imports), long(0, append(str("padding"), make([]byte, 900<<10)...)))
	rep, err := Describe(bytes.NewReader(in), int64(len(in)))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Missing("imports") == 0 || rep.WASI != WASIP1 {
		t.Errorf("WASI is %q with %d imports missing, want %q and some", rep.WASI, rep.Missing("imports"), WASIP1)
	}
	var back Report
	if data, err := json.Marshal(rep); err != nil || json.Unmarshal(data, &back) != nil || back.Missing("imports") != rep.Missing("imports") {
		t.Errorf("the report does not come back: %v", err)
	}
}

// Whatever decoding takes, some room is left for lists.
func TestRoomOfADenseFile(t *testing.T) {
	b := &wasm.Binary{Kind: wasm.KindModule, Size: 1 << 20, Kept: 5 << 20, Module: &wasm.Module{}}
	if r := newRoom(b); r.left != leastRoom {
		t.Errorf("%d bytes are left, want %d", r.left, leastRoom)
	}
	b.Kept = 1 << 20
	if r := newRoom(b); r.left != 4<<20-besides-withModules-perModule {
		t.Errorf("%d bytes are left, want %d", r.left, 4<<20-besides-withModules-perModule)
	}
}
