package pclntab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A program describes a table to encode.
type program struct {
	format  format
	indices bool // entries are indices, as newer versions have them
	base    uint64
	shared  bool // functions share the tree of the first one that has one
	funcs   []testFunc
}

// A testFunc is a function, with those inlined into it.
type testFunc struct {
	index   uint64
	name    string
	inlined []string
}

const testBase = 0x1000 // address of the table

// encode gives memory with the table and a description of the program.
func (p program) encode() []byte {
	le := binary.LittleEndian
	names := []byte{}
	offsets := map[string]uint32{}
	name := func(s string) uint32 {
		off, ok := offsets[s]
		if !ok {
			off = uint32(len(names))
			offsets[s] = off
			names = append(append(names, s...), 0)
		}
		return off
	}
	pcs := []byte{0} // no table begins at 0
	var list, records, trees []byte
	size := p.format.entry
	entry := func(dst []byte, v uint64) []byte {
		if size == wordSize {
			return le.AppendUint64(dst, v)
		}
		return le.AppendUint32(dst, uint32(v))
	}
	headerSize := wordSize * (1 + p.format.header)
	start := 2*size*len(p.funcs) + size
	for start%wordSize != 0 {
		start++
	}
	type fix struct{ at, tree int }
	var fixes []fix
	var sharedTable uint32
	for _, f := range p.funcs {
		pc := f.index + p.base
		if !p.indices {
			pc <<= blockBits
		}
		list = entry(entry(list, pc), uint64(start+len(records)))
		r := entry(nil, pc)
		r = le.AppendUint32(r, name(f.name))
		for len(r) < p.format.fixed-1 {
			r = append(r, 0)
		}
		le.PutUint32(r[size+6*4:], 3) // tables by program counter
		r = append(r, 4)              // data
		table := uint32(0)
		tree := len(trees)
		own := f.inlined
		if p.shared && tree > 0 {
			tree, table, own = 0, sharedTable, nil
		}
		if len(own) > 0 {
			table = uint32(len(pcs))
			sharedTable = table
			for range own {
				pcs = append(pcs, 2, 1) // the next entry, one instruction
			}
			pcs = append(pcs, 0)
		}
		for _, in := range own {
			e := make([]byte, p.format.inline)
			le.PutUint32(e[p.format.name:], name(in))
			trees = append(trees, e...)
		}
		r = le.AppendUint32(le.AppendUint32(le.AppendUint32(r, 0), 0), table)
		if size == wordSize {
			for (len(r) % wordSize) != 0 {
				r = append(r, 0)
			}
			r = append(r, make([]byte, 3*wordSize)...)
			if len(f.inlined) > 0 {
				fixes = append(fixes, fix{start + len(records) + len(r), tree})
			}
			r = le.AppendUint64(r, 0)
		} else {
			off := noData
			if len(f.inlined) > 0 {
				off = uint32(tree)
			}
			r = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(r, noData), noData), noData), off)
		}
		for len(r)%wordSize != 0 {
			r = append(r, 0)
		}
		records = append(records, r...)
	}
	for len(names)%wordSize != 0 {
		names = append(names, 0)
	}
	for len(pcs)%wordSize != 0 {
		pcs = append(pcs, 0)
	}
	for len(list) < start {
		list = append(list, 0)
	}
	nameAt := uint64(headerSize)
	pcAt := nameAt + uint64(len(names))
	listAt := pcAt + uint64(len(pcs))
	out := p.format.begin()
	words := []uint64{uint64(len(p.funcs)), 0}
	if p.format.header == 8 {
		words = append(words, 0)
	}
	for _, w := range append(words, nameAt, pcAt, pcAt, pcAt, listAt) {
		out = le.AppendUint64(out, w)
	}
	out = slices.Concat(out, names, pcs, list, records)
	treeAt := testBase + uint64(len(out))
	for _, f := range fixes {
		le.PutUint64(out[int(listAt)+f.at:], treeAt+uint64(f.tree))
	}
	out = append(out, trees...)
	for len(out)%wordSize != 0 {
		out = append(out, 0)
	}
	// The description of the program.
	data := make([]uint64, 48)
	data[0], data[1] = testBase, testBase+nameAt
	for _, w := range dataWords[p.format.since] {
		data[w] = treeAt
		break
	}
	for _, w := range data {
		out = le.AppendUint64(out, w)
	}
	return out
}

const maxSegments = 1000

// module gives a module with one import, n functions of nothing, and memory
// filled by segments, torn apart at runs of eight zeros as Go's linker does.
func module(n int, memory []byte) []byte {
	uleb := func(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }
	sleb := func(v int) []byte {
		var b []byte
		for {
			c := byte(v & 0x7f)
			v >>= 7
			if v == 0 && c&0x40 == 0 {
				return append(b, c)
			}
			b = append(b, c|0x80)
		}
	}
	section := func(id byte, parts ...[]byte) []byte {
		body := slices.Concat(parts...)
		return slices.Concat([]byte{id}, uleb(len(body)), body)
	}
	var data []byte
	count := 0
	for at := 0; at < len(memory); {
		end := at
		for end < len(memory) && (end+8 > len(memory) || binary.LittleEndian.Uint64(memory[end:]) != 0) {
			end++
		}
		if end > at {
			if count == maxSegments {
				end = len(memory)
			}
			data = append(data, slices.Concat([]byte{0, 0x41}, sleb(testBase+at), []byte{0x0b}, uleb(end-at), memory[at:end])...)
			count++
		}
		for end < len(memory) && memory[end] == 0 {
			end++
		}
		at = end
	}
	var code []byte
	for range n {
		code = append(code, 2, 0, 0x0b)
	}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{1, 0x60, 0, 0}),
		section(2, []byte{1, 1, 'e', 1, 'f', 0, 0}),
		section(3, uleb(n), make([]byte, n)),
		section(5, []byte{1, 0, 2}),
		section(10, uleb(n), code),
		section(11, uleb(count), data))
}

func parse(t testing.TB, file []byte) *wasm.Binary {
	t.Helper()
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var testFuncs = []testFunc{
	{index: 0, name: "internal/abi.Escape"},
	{index: 1, name: "gopkg.in/yaml%2ev3.(*parser).parse", inlined: []string{"bytes.IndexByte", "gopkg.in/yaml%2ev3.peek"}},
	{index: 3, name: "main.main", inlined: []string{"bytes.IndexByte"}},
}

func testPrograms() map[string]program {
	return map[string]program{
		"Go 1.16, with addresses":               {format: formats[2], base: funcBase, funcs: testFuncs},
		"Go 1.18, with program counters":        {format: formats[1], base: funcBase, funcs: testFuncs},
		"Go 1.20, with program counters":        {format: formats[0], base: funcBase, funcs: testFuncs},
		"Go 1.20, with counters from the first": {format: formats[0], funcs: testFuncs},
		"Go 1.26, with indices":                 {format: formats[0], base: funcBase, indices: true, funcs: testFuncs},
		"indices from the first":                {format: formats[0], indices: true, funcs: testFuncs},
	}
}

func TestRead(t *testing.T) {
	for name, p := range testPrograms() {
		t.Run(name, func(t *testing.T) {
			table, err := Read(parse(t, module(4, p.encode())))
			if err != nil {
				t.Fatalf("Read() = %v", err)
			}
			var got []testFunc
			for f := range table.Funcs() {
				got = append(got, testFunc{index: uint64(f.Index) - 1, name: f.Name})
			}
			err = table.Inlined(func(host uint32, name string) {
				for i := range got {
					if got[i].index+1 == uint64(host) {
						got[i].inlined = append(got[i].inlined, name)
					}
				}
			})
			if err != nil {
				t.Errorf("Inlined() = %v", err)
			}
			if diff := cmp.Diff(testFuncs, got, cmp.AllowUnexported(testFunc{})); diff != "" {
				t.Errorf("functions (-want +got):\n%s", diff)
			}
			if got := table.Name(4); got != "main.main" {
				t.Errorf("Name(4) = %q, want main.main", got)
			}
			if got := table.Name(3); got != "" {
				t.Errorf("Name(3) = %q, want none", got)
			}
			want := []string{"gopkg.in/yaml.v3", "internal/abi", "main"}
			if got := table.Packages(); !slices.Equal(got, want) {
				t.Errorf("Packages() = %q, want %q", got, want)
			}
		})
	}
}

// From function 61,440 on, program counters of 32 bits begin again at 0.
func TestReadManyFunctions(t *testing.T) {
	p := program{format: formats[0], base: funcBase}
	const n = 70_000
	for i := range n {
		p.funcs = append(p.funcs, testFunc{index: uint64(i), name: "p.f"})
	}
	table, err := Read(parse(t, module(n, p.encode())))
	if err != nil {
		t.Fatalf("Read() = %v", err)
	}
	if got := table.funcs[n-1].Index; got != n {
		t.Errorf("the last function has index %d, want %d", got, n)
	}
}

func TestReadRefuses(t *testing.T) {
	good := testPrograms()["Go 1.20, with program counters"]
	memory := good.encode()
	change := func(f func(m []byte)) []byte {
		m := slices.Clone(memory)
		f(m)
		return m
	}
	listAt := int(binary.LittleEndian.Uint64(memory[64:]))
	tests := []struct {
		name   string
		n      int
		memory []byte
		want   error
	}{
		{name: "no data", n: 4, want: ErrNone},
		{name: "no table in the data", n: 4, memory: []byte("some text"), want: ErrNone},
		{name: "more functions than the module has", n: 2, memory: memory, want: ErrDamaged},
		{name: "an index beyond the last function", n: 3, memory: memory, want: ErrDamaged},
		{name: "a part behind the end", n: 4, memory: change(func(m []byte) { m[8*8+5] = 1 }), want: ErrDamaged},
		{name: "parts out of order", n: 4, memory: change(func(m []byte) { m[8*4+1] = 1 }), want: ErrDamaged},
		{name: "functions out of order", n: 4, memory: change(func(m []byte) { m[listAt+8+2] = 9 }), want: ErrDamaged},
		{
			name: "a record behind the end", n: 4,
			memory: change(func(m []byte) { m[listAt+4+3] = 1 }), want: ErrDamaged,
		},
		{name: "the header alone", n: 4, memory: memory[:60], want: ErrDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(parse(t, module(tt.n, tt.memory))); !errors.Is(err, tt.want) {
				t.Errorf("Read() = %v, want %v", err, tt.want)
			}
		})
	}
}

// Two bytes a gigabyte apart are no reason to allocate one.
func TestReadRefusesSparseMemory(t *testing.T) {
	m := module(1, program{format: formats[0], funcs: testFuncs[:1]}.encode())
	b := parse(t, m)
	b.Module.Data[len(b.Module.Data)-1].Init.Value = 1 << 30
	if _, err := Read(b); !errors.Is(err, ErrLimit) {
		t.Errorf("Read() = %v, want %v", err, ErrLimit)
	}
}

// What the linker of the Go at hand writes is read with names and indices, also
// of a stripped program, and agrees with the name section of the other.
// Of a hostile table no more is read than memory has bytes, however often
// functions share what they have.
func TestInlinedHasALimit(t *testing.T) {
	sites := func(funcs, each int) (list []testFunc) {
		for i := range funcs {
			f := testFunc{index: uint64(i), name: fmt.Sprintf("main.f%d", i)}
			for k := range each {
				f.inlined = append(f.inlined, fmt.Sprintf("main.g%d", (i*each+k)%5000))
			}
			list = append(list, f)
		}
		return list
	}
	tests := []struct {
		name         string
		funcs, each  int
		shared       bool
		atLeast, max int
		err          error
	}{
		{name: "100,000 places", funcs: 1000, each: 100, atLeast: 100_000, max: 100_000},
		{name: "4,000,000 places in one tree", funcs: 20_000, each: 200, shared: true, atLeast: 200, max: 200_000, err: ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := program{format: formats[0], base: funcBase, indices: true, shared: tt.shared, funcs: sites(tt.funcs, tt.each)}
			table, err := Read(parse(t, module(tt.funcs, p.encode())))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = table.Inlined(func(uint32, string) { n++ })
			if !errors.Is(err, tt.err) || n < tt.atLeast || n > tt.max {
				t.Errorf("Inlined() visits %d places, %v; want %d to %d, %v", n, err, tt.atLeast, tt.max, tt.err)
			}
		})
	}
}

func TestReadWhatGoLinks(t *testing.T) {
	dir := t.TempDir()
	source := `package main

import "strings"

type shape[T any] struct{ v []T }

//go:noinline
func (s *shape[T]) add(v T) { s.v = append(s.v, v) }

func small(s string) bool { return strings.HasPrefix(s, "x") }

func main() {
	s := new(shape[string])
	s.add("a")
	if small(s.v[0]) {
		func() { defer println("end") }()
	}
}
`
	write(t, dir, "go.mod", "module example.com/p\n\ngo 1.24\n")
	write(t, dir, "main.go", source)
	full, stripped := link(t, dir, ""), link(t, dir, "-s -w")
	if n := stripped.Module.Names.CountFuncs(); n != 0 {
		t.Fatalf("the stripped program has %d names", n)
	}
	ft, err := Read(full)
	if err != nil {
		t.Fatalf("Read(full) = %v", err)
	}
	st, err := Read(stripped)
	if err != nil {
		t.Fatalf("Read(stripped) = %v", err)
	}
	if diff := cmp.Diff(slices.Collect(ft.Funcs()), slices.Collect(st.Funcs())); diff != "" {
		t.Errorf("functions of the full and the stripped program differ:\n%s", diff)
	}
	// The name section has an underscore for every byte but these.
	other := regexp.MustCompile(`[^\w.]`)
	n := 0
	for i, name := range full.Module.Names.Funcs() {
		got := ft.Name(i)
		if got == "" {
			continue
		}
		if n++; other.ReplaceAllString(got, "_") != name {
			t.Errorf("Name(%d) = %q, while the name section has %q", i, got, name)
		}
	}
	if n < ft.Len()-1 || n == 0 {
		t.Errorf("%d of %d functions are in the name section", n, ft.Len())
	}
	inlined := map[string]string{}
	if err := st.Inlined(func(host uint32, name string) { inlined[name] = st.Name(host) }); err != nil {
		t.Errorf("Inlined() = %v", err)
	}
	if got := inlined["main.small"]; got != "main.main" {
		t.Errorf("main.small was inlined into %q, want main.main", got)
	}
	for f := range st.Funcs() {
		if strings.HasPrefix(f.Name, "main.(*shape[") {
			want := Symbol{Package: "main", Name: "shape.add", Method: true}
			if got := Parse(f.Name); got != want {
				t.Errorf("Parse(%q) = %+v, want %+v", f.Name, got, want)
			}
			return
		}
	}
	t.Error("the generic method is not in the table")
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, dir, flags string) *wasm.Binary {
	t.Helper()
	out := filepath.Join(dir, "out"+strings.ReplaceAll(flags, " ", ""))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags="+flags, "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, msg)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, file)
}

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		want Symbol
	}{
		{"main.main", Symbol{Package: "main", Name: "main"}},
		{"net/http.(*Client).Do", Symbol{Package: "net/http", Name: "Client.Do", Method: true}},
		{"net/http.Header.Get", Symbol{Package: "net/http", Name: "Header.Get", Method: true}},
		{"net/http.(*Client).Do.func1", Symbol{Package: "net/http", Name: "Client.Do.func1", Method: true}},
		{"gopkg.in/yaml%2ev3.Unmarshal", Symbol{Package: "gopkg.in/yaml.v3", Name: "Unmarshal"}},
		{"a.b/%22%2e.F", Symbol{Package: "a.b/\".", Name: "F"}},
		{"a.b/%2.F", Symbol{Package: "a.b/%2", Name: "F"}},
		{"a.b/c.F[go.shape.[]d.e/f.T].func1", Symbol{Package: "a.b/c", Name: "F.func1"}},
		{"a.b/c.(*T[go.shape.int]).M-fm", Symbol{Package: "a.b/c", Name: "T.M-fm", Method: true}},
		{"a.b/c.F.gowrap1", Symbol{Package: "a.b/c", Name: "F.gowrap1"}},
		{"a.b/c.glob..func1", Symbol{Package: "a.b/c", Name: "glob..func1"}},
		{"a.b/c.init.0", Symbol{Package: "a.b/c", Name: "init.0"}},
		{"type:.eq.a.b/c.T", Symbol{Name: "type:.eq.a.b/c.T"}},
		{"memeqbody", Symbol{Name: "memeqbody"}},
		{"", Symbol{}},
		{"](.", Symbol{Name: "](."}},
		{"p.(", Symbol{Package: "p", Name: "("}},
	}
	for _, tt := range tests {
		if got := Parse(tt.name); got != tt.want {
			t.Errorf("Parse(%q) = %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// Whatever memory holds, there are no more functions than the module has, and
// their names lie in the table.
func FuzzRead(f *testing.F) {
	seeds := 0
	for _, p := range testPrograms() {
		f.Add(p.encode())
		seeds++
	}
	if seeds != 6 {
		f.Fatalf("%d seeds, want 6", seeds)
	}
	const n = 4
	f.Fuzz(func(t *testing.T, memory []byte) {
		b, err := wasm.Parse(module(n, memory))
		if err != nil {
			t.Fatalf("module(%d, % x) does not parse: %v", n, memory, err)
		}
		table, err := Read(b)
		if err != nil {
			return
		}
		last := 0
		for fn := range table.Funcs() {
			if int(fn.Index) <= last || fn.Index > n || len(fn.Name) > len(memory)+8 {
				t.Fatalf("function %+v comes after %d", fn, last)
			}
			last = int(fn.Index)
			Parse(fn.Name)
		}
		visits := 0
		_ = table.Inlined(func(host uint32, name string) { // damage is an answer
			if visits++; table.Name(host) == "" && visits > 9*len(memory)+1<<17 {
				t.Fatalf("%q inlined into function %d, which has no name", name, host)
			}
		})
		for held := range table.Held() {
			if held < 1 || held > n {
				t.Fatalf("function %d is held", held)
			}
		}
	})
}
