package reach

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// again writes a table and reads it.
func again(t testing.TB, table *Table) *Table {
	t.Helper()
	text, err := table.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadTable(text)
	if err != nil {
		t.Fatalf("ReadTable of %d bytes = %v", len(text), err)
	}
	second, err := back.AppendBinary(nil)
	if err != nil || !bytes.Equal(text, second) {
		t.Fatalf("a table of %d bytes is written as others, of %d, once read; %v", len(text), len(second), err)
	}
	return back
}

// everything asks for each package of a table, and for functions of each by name.
func everything(t *Table) []Query {
	queries := []Query{
		{Ecosystem: evidence.Go, Package: "example.com/not/there"},
		{Ecosystem: evidence.Cargo, Package: "not-there"},
		{Ecosystem: evidence.Go},
		{Ecosystem: evidence.NPM, Package: "lodash"},
		{Ecosystem: evidence.Go, Package: "fmt", OS: []string{"windows"}},
	}
	for _, eco := range []evidence.Ecosystem{evidence.Go, evidence.Cargo} {
		for _, p := range t.names.packages {
			queries = append(queries, Query{Ecosystem: eco, Package: p.name})
			for name := p.first; name < p.end; name += 1 + (p.end-p.first)/16 {
				_, symbol, _ := strings.Cut(strings.TrimPrefix(t.names.text(name), p.name), ".")
				queries = append(queries,
					Query{Ecosystem: eco, Package: p.name, Symbols: []string{symbol, "not.there"}},
					Query{Ecosystem: eco, Package: p.name, Symbols: []string{t.names.text(name)}})
			}
		}
	}
	return queries
}

// same asks a and the table made of it the same.
func same(t *testing.T, a *Analysis) *Table {
	t.Helper()
	table := again(t, a.Table())
	queries := everything(&a.table)
	want, got := a.Query(queries), table.Query(queries)
	for i, q := range queries {
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Fatalf("Query(%+v) of the table (-analysis +table):\n%s", q, diff)
		}
	}
	return table
}

func TestTableOfStrippedGo(t *testing.T) {
	table := same(t, New(build(t), Options{Main: "example.com/p"}))
	got := table.Query([]Query{{Ecosystem: evidence.Go, Package: "example.com/p", Symbols: []string{"step"}}})[0]
	if diff := cmp.Diff([]string{"main.main", "main.step"}, got.Path); diff != "" || !table.golang {
		t.Errorf("the way to step (-want +got):\n%s", diff)
	}
}

// section is a section of a module.
func section(id byte, body []byte) []byte {
	return append(number([]byte{id}, len(body)), body...)
}

func number(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// named is a module of functions with names, of which each calls those listed.
// The first one is exported.
func named(t testing.TB, names []string, calls func(f int) []int) *wasm.Binary {
	t.Helper()
	funcs, codes := number(nil, len(names)), number(nil, len(names))
	section2 := number(nil, len(names))
	for i, name := range names {
		funcs = append(funcs, 0)
		body := []byte{0}
		for _, to := range calls(i) {
			body = number(append(body, 0x10), to)
		}
		body = append(append(body, padding...), 0x0b)
		codes = append(number(codes, len(body)), body...)
		section2 = append(number(number(section2, i), len(name)), name...)
	}
	file := slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{1, 0x60, 0, 0}), section(3, funcs), section(7, []byte{1, 1, 'f', 0, 0}), section(10, codes),
		section(0, append([]byte("\x04name"), section(1, section2)...)))
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// padding is of nops. Of a module of nothing but calls the graph is truncated.
var padding = bytes.Repeat([]byte{1}, 64)

// legacy mangles the path of a Rust function.
func legacy(hash int, path ...string) string {
	s := "_ZN"
	for _, p := range path {
		s += fmt.Sprint(len(p)) + p
	}
	return s + fmt.Sprintf("17h0123456789%06xE", hash) // of few different digits none is a hash
}

func TestTableOfRust(t *testing.T) {
	names := []string{
		legacy(1, "app", "main"), legacy(2, "time", "now"), legacy(3, "time", "now"), legacy(4, "time", "never"),
		"memcpy", legacy(5, "time", "inner"), legacy(6, "other", "unused"),
	}
	calls := map[int][]int{0: {2, 4}, 3: {1}, 4: {5}}
	table := same(t, New(named(t, names, func(f int) []int { return calls[f] }), Options{}))
	tests := []struct {
		symbol string
		want   Result
	}{
		{"time::now", Result{
			Level: Reachable, Conclusive: true, Symbols: []string{"time::now"}, Functions: []string{"time::now", "time::now"},
			Path: []string{"app::main", "time::now"},
		}},
		{"time::inner", Result{
			Level: Reachable, Conclusive: true, Symbols: []string{"time::inner"}, Functions: []string{"time::inner"},
			Path: []string{"app::main", "memcpy", "time::inner"},
		}},
		{"time::never", Result{Level: SymbolLinked, Symbols: []string{"time::never"}, Functions: []string{"time::never"}}},
	}
	for _, tt := range tests {
		got := table.Query([]Query{{Ecosystem: evidence.Cargo, Package: "time", Symbols: []string{tt.symbol}}})[0]
		got.Reason = ""
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Query(%s) (-want +got):\n%s", tt.symbol, diff)
		}
	}
}

func TestTableWithoutNames(t *testing.T) {
	b, err := wasm.Parse([]byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := same(t, New(b, Options{})).AppendBinary(nil)
	if err != nil || len(text) > 64 {
		t.Errorf("a table without names takes %d bytes, %v; want 64 at most", len(text), err)
	}
}

func TestReadTableRefuses(t *testing.T) {
	whole, err := New(named(t, []string{legacy(1, "app", "main"), legacy(2, "time", "now")}, func(f int) []int {
		return []int{1}[f:]
	}), Options{}).Table().AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   []byte
	}{
		{"nothing", nil},
		{"unknown marks", []byte{0x80}},
		{"no names and no reason", []byte{0, 0, 0, 0}},
		{"a text longer than the table", []byte{markNames, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
		{"more packages than bytes", append([]byte{markNames, 0, 0, 0, 1, 'x'}, 0xff, 0xff, 0x3f)},
		{"something after the end", append(slices.Clone(whole), 0)},
		{"a way in a circle", circle()},
	}
	for i := range whole {
		tests = append(tests, struct {
			name string
			in   []byte
		}{fmt.Sprintf("cut after %d bytes", i), whole[:i]})
	}
	for _, tt := range tests {
		if got, err := ReadTable(tt.in); !errors.Is(err, ErrTable) {
			t.Errorf("%s: ReadTable(% x) = %v, %v; want %v", tt.name, tt.in, got, err, ErrTable)
		}
	}
}

// circle is a table in which two functions are each reached from the other.
func circle() []byte {
	t := &Table{ways: &ways{up: []uint32{1, 0}, dynamic: []bool{false, false}}}
	g := newGatherer(2)
	g.of[0], g.of[1] = g.add("a", "p"), g.add("b", "p")
	t.names = g.names()
	t.names.index = []uint32{0, 1}
	text, _ := t.AppendBinary(nil)
	return text
}

// A module may have as many functions as it likes, in a row, in a circle and with
// names that say little for their length. What is asked of it takes no longer than
// there are functions, whichever of them are affected.
func TestHostileModules(t *testing.T) {
	const n = 50_000
	same := legacy(1, "time", "now")
	tests := []struct {
		name  string
		names func(f int) string
		calls func(f int) []int
		level Level
	}{
		{"a row", func(int) string { return same }, func(f int) []int { return []int{min(f+1, n-1)} }, Reachable},
		{
			"a row to one", func(f int) string { return legacy(f, "time", fmt.Sprint("f", f)) },
			func(f int) []int { return []int{min(f+1, n-1)} }, Reachable,
		},
		{"a circle", func(int) string { return same }, func(f int) []int { return []int{(f + 1) % n} }, Reachable},
		{
			"a circle that nothing leads to", func(f int) string { return []string{"main", same}[min(f, 1)] },
			func(f int) []int { return []int{max(f, (f+1)%n)}[:min(f, 1)] }, SymbolLinked,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names := make([]string, n)
			for i := range names {
				names[i] = tt.names(i)
			}
			a := New(named(t, names, tt.calls), Options{})
			table := again(t, a.Table())
			all := Query{Ecosystem: evidence.Cargo, Package: "time"}
			last := Query{Ecosystem: evidence.Cargo, Package: "time", Symbols: []string{fmt.Sprint("time::f", n-1)}}
			got := table.Query([]Query{all, last})
			if diff := cmp.Diff(a.Query([]Query{all, last}), got); diff != "" {
				t.Errorf("Query of the table (-analysis +table):\n%s", diff)
			}
			if got[0].Level != tt.level || len(got[0].Functions) != MaxListed {
				t.Errorf("Query(%+v) = %+v; want %v with %d functions", all, got[0], tt.level, MaxListed)
			}
			if got[1].Level == Reachable && (len(got[1].Path) != MaxPath || got[1].Omitted != n-MaxPath) {
				t.Errorf("the way to the last function has %d of %d; want %d and %d left out", len(got[1].Path), got[1].Omitted, MaxPath, n-MaxPath)
			}
		})
	}
}

// A table that would be too large is one that says so.
func TestTableHasALimit(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	names := make([]string, 16384)
	for i := range names {
		names[i] = fmt.Sprintf("time::f%d::%s", i, long[:maxKept])
	}
	names[0] = legacy(0, "time", "now")
	text, err := New(named(t, names, func(int) []int { return nil }), Options{}).Table().AppendBinary(nil)
	if err != nil || len(text) > 256 {
		t.Fatalf("a table of %d names of %d bytes takes %d bytes, %v; want no names", len(names), maxKept, len(text), err)
	}
	back, err := ReadTable(text)
	if err != nil {
		t.Fatal(err)
	}
	got := back.Query([]Query{{Ecosystem: evidence.Cargo, Package: "time"}})[0]
	if got.Level != Unknown || got.Conclusive || got.Reason == "" {
		t.Errorf("Query = %+v; want Unknown, and why", got)
	}
}

func TestLongNamesKeepTheirEnds(t *testing.T) {
	name := "time::" + strings.Repeat("a::", maxKept) + "now"
	a := New(named(t, []string{legacy(0, "time", "x"), name}, func(int) []int { return nil }), Options{})
	same(t, a)
	got := a.Query([]Query{{Ecosystem: evidence.Cargo, Package: "time", Symbols: []string{"time::now"}}})[0]
	if got.Level != SymbolLinked {
		t.Errorf("Query(time::now) = %+v; want %v", got, SymbolLinked)
	}
}

// Whatever the bytes, reading them ends, and a table that was read answers and
// is written as one that says the same.
func FuzzReadTable(f *testing.F) {
	f.Add([]byte{})
	f.Add(circle())
	for _, a := range []*Analysis{
		New(named(f, []string{legacy(1, "app", "main"), legacy(2, "time", "now")}, func(i int) []int { return []int{1}[i:] }), Options{}),
		New(build(f), Options{Main: "example.com/p"}),
		New(realRust(f, "named.wasm.gz"), Options{}),
	} {
		text, err := a.Table().AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		table, err := ReadTable(in)
		if err != nil {
			if !errors.Is(err, ErrTable) {
				t.Fatalf("ReadTable = %v; want %v", err, ErrTable)
			}
			return
		}
		queries := everything(table)
		queries = queries[:min(len(queries), 64)]
		if diff := cmp.Diff(table.Query(queries), again(t, table).Query(queries)); diff != "" {
			t.Fatalf("answers of a table written and read (-before +after):\n%s", diff)
		}
	})
}
