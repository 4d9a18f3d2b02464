package signal

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Instructions, as bytes.
func i32Const(n int32) []byte   { return cat([]byte{0x41}, sleb(int64(n))) }
func i64Const(n int64) []byte   { return cat([]byte{0x42}, sleb(n)) }
func localGet(i uint64) []byte  { return cat([]byte{0x20}, uleb(i)) }
func localSet(i uint64) []byte  { return cat([]byte{0x21}, uleb(i)) }
func branch(depth int) []byte   { return cat([]byte{0x0c}, uleb(uint64(depth))) }
func branchIf(depth int) []byte { return cat([]byte{0x0d}, uleb(uint64(depth))) }
func call(f uint64) []byte      { return cat([]byte{0x10}, uleb(f)) }

var (
	nop         = []byte{0x01}
	drop        = []byte{0x1a}
	end         = []byte{0x0b}
	block       = []byte{0x02, 0x40}
	loop        = []byte{0x03, 0x40}
	i32Xor      = []byte{0x73}
	i32And      = []byte{0x71}
	i32Mul      = []byte{0x6c}
	i32Rotl     = []byte{0x77}
	i32Add      = []byte{0x6a}
	i32Eqz      = []byte{0x45}
	i32Load     = []byte{0x28, 2, 0}
	i32Store    = []byte{0x36, 2, 0}
	oneI32Local = []byte{1, 1, 0x7f}
)

func repeat(n int, code ...[]byte) []byte { return slices.Repeat(cat(code...), n) }

// brTable branches to labels 0 to n-1 and to n by default.
func brTable(n int) []byte {
	b := cat([]byte{0x0e}, uleb(uint64(n)))
	for i := range n {
		b = append(b, uleb(uint64(i))...)
	}
	return append(b, uleb(uint64(n))...)
}

// flattened is what an obfuscator makes of n blocks: a loop around a dispatcher
// on local 0, which each of them sets.
func flattened(n int) []byte {
	code := cat(loop, repeat(n+1, block), localGet(0), brTable(n), end)
	for i := range n {
		code = cat(code, i32Const(int32((i+7)%n)), localSet(0), branch(n-i), end)
	}
	return cat(code, end)
}

// machine is the heart of an interpreter: a dispatcher on what memory holds.
func machine(n int) []byte {
	code := cat(loop, repeat(n+1, block), i32Const(64), i32Load, brTable(n), end)
	for i := range n {
		code = cat(code, i32Const(0), i32Const(int32(i)), i32Store, branch(n-i), end)
	}
	return cat(code, end)
}

// rounds is a loop of n rounds of a hash.
func rounds(n int) []byte {
	return cat(loop, repeat(n, localGet(0), localGet(0), i32Xor, i32Const(7), i32Rotl, localGet(0), i32Add, localSet(0)), end)
}

func TestCode(t *testing.T) {
	tests := []struct {
		name string
		code []byte
		id   string
		want int
	}{
		{"flattened control flow", flattened(40), "flattened-control-flow", 35},
		{"dispatcher of few targets", flattened(6), "flattened-control-flow", -1},
		{"interpreter", machine(70), "dispatcher", 10},
		{"interpreter is not flattened", machine(70), "flattened-control-flow", -1},
		{"small interpreter", machine(60), "dispatcher", -1},
		{"br_table outside of a loop", cat(repeat(81, block), localGet(0), brTable(80), repeat(81, end)), "dispatcher", -1},
		{"eight constant conditions", cat(block, repeat(8, i32Const(1), branchIf(0)), end), "constant-condition", 14},
		{"eight negated constants", cat(block, repeat(8, i32Const(0), i32Eqz, branchIf(0)), end), "constant-condition", 14},
		{
			"eight opaque predicates",
			cat(block, repeat(8, localGet(0), localGet(0), i32Mul, i32Const(1), i32And, branchIf(0)), end), "constant-condition", 14,
		},
		{"seven constant conditions", cat(block, repeat(7, i32Const(1), branchIf(0)), end), "constant-condition", -1},
		{"conditions", cat(block, repeat(20, localGet(0), i32Const(1), i32And, branchIf(0)), end), "constant-condition", -1},
		{"dead instructions", cat(block, branch(0), repeat(150, i32Const(1), drop), end), "dead-instructions", 13},
		{"few dead instructions", cat(block, branch(0), repeat(100, i32Const(1), drop), end), "dead-instructions", -1},
		{"dead blocks", cat(block, branch(0), repeat(150, block, end), end), "dead-instructions", 13},
		{"live instructions behind a block", cat(block, branch(0), end, repeat(300, i32Const(1), drop)), "dead-instructions", -1},
		{"loop of bit operations", rounds(100), "bit-loop", 10},
		{"short loop of bit operations", rounds(50), "bit-loop", -1},
		{"bit operations in a row", rounds(100)[2 : len(rounds(100))-1], "bit-loop", -1},
		{
			"loop of loads and stores",
			cat(loop, repeat(200, i32Const(0), i32Const(4), i32Load, i32Store), end), "bit-loop", -1,
		},
		{"local in two bytes", cat([]byte{0x20}, padded(0, 2), drop), "padded-number", 11},
		{"local in five bytes, which no linker fills in", cat([]byte{0x20}, padded(0, 5), drop), "padded-number", 11},
		{"constant in three bytes too many", cat([]byte{0x41}, padded(1, 4), drop), "padded-number", 11},
		{"constant that a linker filled in", cat([]byte{0x41}, padded(1024, 5), drop), "padded-number", -1},
		{"call that a linker filled in", cat([]byte{0x10}, padded(0, 5)), "padded-number", -1},
		{"call in three bytes", cat([]byte{0x10}, padded(0, 3)), "padded-number", 11},
		{"offset that a linker filled in", cat(i32Const(0), []byte{0x28, 2}, padded(8, 5), drop), "padded-number", -1},
		{"offset in two bytes", cat(i32Const(0), []byte{0x28, 2}, padded(8, 2), drop), "padded-number", 11},
		{"negative constants", cat(i32Const(-1), drop, i32Const(-64), drop, i32Const(-65), drop, i64Const(-1<<63), drop), "padded-number", -1},
		{"function of half the code", repeat(huge, nop), "huge-function", 20},
		{"function of a little less", repeat(huge-200, nop), "huge-function", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := new(builder).memory().functionOf(oneI32Local, tt.code)
			if got := analyseValid(t, b.bytes()).score(tt.id); got != tt.want {
				t.Fatalf("score of %s = %d, want %d", tt.id, got, tt.want)
			}
		})
	}
}

const huge = 128 << 10

// analyseValid is analyse for code that must be valid.
func analyseValid(t *testing.T, bin []byte) Result {
	t.Helper()
	b, err := wasm.Parse(bin)
	if err == nil {
		_, err = wasm.Validate(b)
	}
	if err != nil {
		t.Fatalf("the module of the test is not valid: %v", err)
	}
	return analyse(t, bin)
}

// Go's compiler, which has no other way to jump, makes every function such a
// loop.
func TestFlattenedByTheCompiler(t *testing.T) {
	b := new(builder)
	for range 10 {
		b.functionOf(oneI32Local, flattened(40))
	}
	if got := analyseValid(t, b.bytes()).score("flattened-control-flow"); got != -1 {
		t.Errorf("score where all functions are flattened = %d, want none", got)
	}
	for range 200 {
		b.function(nop)
	}
	s := analyseValid(t, b.bytes()).find("flattened-control-flow")
	if s == nil || s.Count != 10 {
		t.Errorf("signal where few functions are flattened is %+v, want a count of 10", s)
	}
}

func TestWrappers(t *testing.T) {
	for _, tt := range []struct {
		name            string
		wrappers, other int
		want            int
	}{
		{"mostly wrappers", 150, 60, 15},
		{"few functions", 100, 0, -1},
		{"a third are wrappers", 100, 200, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := new(builder).function(nop)
			for range tt.wrappers {
				b.function(call(0))
			}
			for range tt.other {
				b.function(call(0), call(0))
			}
			if got := analyseValid(t, b.bytes()).score("tiny-wrappers"); got != tt.want {
				t.Fatalf("score = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAlgorithmsInCode(t *testing.T) {
	k256, k512 := sha2()
	rc := keccak()
	constants := func(n int) (list [][]byte) {
		for _, k := range k256[:n] {
			list = append(list, i32Const(int32(k)), drop)
		}
		return list
	}
	var wide, vector, keccakCode, likeGo [][]byte
	for _, k := range k512[:16] {
		wide = append(wide, i64Const(int64(k)), drop)
	}
	for i := 0; i < 16; i += 4 {
		vector = append(vector, []byte{0xfd, 0x0c}, words(k256[i:i+4]), drop)
	}
	for _, k := range rc {
		keccakCode = append(keccakCode, i64Const(int64(k)), drop)
	}
	for _, k := range k256[:16] {
		likeGo = append(likeGo, i64Const(int64(k)), drop)
	}
	split := func(op byte, other func(k uint32) (a, b uint32)) (list [][]byte) {
		for _, k := range k256[:16] {
			a, b := other(k)
			list = append(list, i32Const(int32(a)), nop, i32Const(int32(b)), []byte{op}, drop)
		}
		return list
	}
	tests := []struct {
		name string
		code [][]byte
		want string
	}{
		{"constants of SHA-256", constants(64), "SHA-256"},
		{"eight of them", constants(8), "SHA-256"},
		{"seven of them", constants(7), ""},
		{"eight times the same one", [][]byte{repeat(8, i32Const(int32(k256[3])), drop)}, ""},
		{"constants of SHA-512", wide, "SHA-512"},
		{"constants of SHA-256 in vectors", vector, "SHA-256"},
		{"constants of SHA-256 as Go writes them", likeGo, "SHA-256"},
		{"constants of SHA-3", keccakCode, "Keccak (SHA-3)"},
		{"constants split by xor", split(0x73, func(k uint32) (uint32, uint32) { return k ^ 0x12345678, 0x12345678 }), "SHA-256"},
		{"constants split by add", split(0x6a, func(k uint32) (uint32, uint32) { return k - 0x12345678, 0x12345678 }), "SHA-256"},
		{"polynomial of CRC-32", [][]byte{i32Const(-306674912), drop}, "CRC-32"},
		{"small numbers", [][]byte{repeat(100, i32Const(1), drop, i32Const(-1), drop, i32Const(1000), drop)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The functions around it must not lend it their constants.
			b := new(builder).function(cat(constants(4)...)).function(tt.code...).function(cat(constants(4)...))
			got := analyseValid(t, b.bytes()).Algorithms
			if tt.want == "" {
				if len(got) != 0 {
					t.Fatalf("Algorithms = %+v, want none", got)
				}
				return
			}
			if len(got) != 1 || got[0].Name != tt.want || got[0].Functions != 1 || *got[0].Places[0].Function != 1 {
				t.Fatalf("Algorithms = %+v, want %s in function 1", got, tt.want)
			}
		})
	}
}

// cryptoNight is the loop of a miner: the S-box and Keccak's constants in data, and
// addresses of a scratchpad of 2 MiB.
func cryptoNight(masks int) *builder {
	sbox, _ := aes()
	rc := keccak()
	return new(builder).segment(64, string(sbox[:])).segment(1024, string(longs(rc[:]))).
		functionOf(oneI32Local, loop, repeat(masks, localGet(0), i32Const(0x1ffff0), i32And, localSet(0)), end)
}

func TestMiner(t *testing.T) {
	var keys []byte
	for _, k := range randomXKeys[:4] {
		keys = cat(keys, i32Const(int32(k)), drop)
	}
	tests := []struct {
		name string
		b    *builder
		want int
	}{
		{"loop of CryptoNight", cryptoNight(4), 40},
		{"one mask of 2 MiB", cryptoNight(1), -1},
		{"masks of 2 MiB and no cipher", new(builder).functionOf(oneI32Local, loop,
			repeat(4, localGet(0), i32Const(0x1ffff0), i32And, localSet(0)), end), -1},
		{"keys of RandomX in code", new(builder).function(keys), 40},
		{"keys of RandomX in data", new(builder).segment(0, string(unhex("53a5ac6d096671622b55b5db1749f4b4"))), 40},
		{"loop of CryptoNight and the URL of a pool", cryptoNight(4).segment(2048, "stratum+tcp://xmr.pool.minexmr.com:4444"), 95},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := analyseValid(t, tt.b.bytes()).score("miner"); got != tt.want {
				t.Fatalf("score = %d, want %d", got, tt.want)
			}
		})
	}
}

// Results do not depend on which visitor sees which function.
func TestVisitorsCanBeMany(t *testing.T) {
	b := new(builder).memory()
	for i := range 60 {
		b.functionOf(oneI32Local, rounds(60+i), repeat(8+i, block, i32Const(1), branchIf(0), end), repeat(i, nop))
	}
	m, err := wasm.Parse(b.bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := analyse(t, b.bytes())
	for _, workers := range []int{2, 3, 7} {
		passes := []*Findings{Structure(m, nil)}
		for w := range workers {
			v := NewVisitor(m, nil)
			var c wasm.Code
			var instr wasm.Instr
			for i := len(m.Module.Code) - 1; i >= 0; i-- {
				if i%workers != w {
					continue
				}
				c.Reset(m, m.Module.Code[i])
				v.Begin(i)
				for c.Next(&instr) {
					v.Visit(&instr)
				}
				v.End()
			}
			passes = append(passes, v.Findings())
		}
		slices.Reverse(passes)
		if diff := cmp.Diff(want, Merge(passes...)); diff != "" {
			t.Fatalf("with %d visitors, want -, got +:\n%s", workers, diff)
		}
	}
}

func TestVisitAllocatesNothing(t *testing.T) {
	k256, _ := sha2()
	code := cat(rounds(20), flattened(7))
	for _, k := range k256[:6] {
		code = cat(code, i32Const(int32(k)), drop)
	}
	m, err := wasm.Parse(new(builder).memory().functionOf(oneI32Local, code).bytes())
	if err != nil {
		t.Fatal(err)
	}
	v := NewVisitor(m, nil)
	visit(t, m, v)
	var c wasm.Code
	var instr wasm.Instr
	got := testing.AllocsPerRun(100, func() {
		c.Reset(m, m.Module.Code[0])
		v.Begin(0)
		for c.Next(&instr) {
			v.Visit(&instr)
		}
		v.End()
	})
	if got != 0 {
		t.Fatalf("a function costs %v allocations, want none", got)
	}
}

// Any bytes that decode can be visited.
func FuzzVisitor(f *testing.F) {
	for _, seed := range [][]byte{
		flattened(9), machine(9), rounds(3), cat(block, branch(0), repeat(3, nop), end), padded(5, 5), end, repeat(9, end),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		b, err := wasm.Parse(new(builder).memory().functionOf(oneI32Local, code).bytes())
		if err != nil {
			return
		}
		v := NewVisitor(b, nil)
		var c wasm.Code
		var instr wasm.Instr
		for i, body := range b.Module.Code {
			c.Reset(b, body)
			v.Begin(i)
			for c.Next(&instr) {
				v.Visit(&instr)
			}
			v.End()
		}
		for _, s := range Merge(v.Findings()).Signals {
			for _, find := range s.Finds {
				if find.Offset < 0 || find.Offset >= b.Size && b.Size > 0 {
					t.Fatalf("%s is at %d of %d bytes", s.ID, find.Offset, b.Size)
				}
			}
		}
	})
}

func BenchmarkVisitor(b *testing.B) {
	r := rounds(2000)
	mod := new(builder).memory()
	for range 20 {
		mod.functionOf(oneI32Local, r, flattened(50), machine(50))
	}
	m, err := wasm.Parse(mod.bytes())
	if err != nil {
		b.Fatal(err)
	}
	run := func(visit func(*wasm.Instr)) int {
		var c wasm.Code
		var instr wasm.Instr
		n := 0
		for _, body := range m.Module.Code {
			c.Reset(m, body)
			for c.Next(&instr) {
				visit(&instr)
				n++
			}
		}
		return n
	}
	for _, bench := range []struct {
		name  string
		visit func(*wasm.Instr)
	}{{"decode", func(*wasm.Instr) {}}, {"decode and visit", nil}} {
		b.Run(bench.name, func(b *testing.B) {
			v := NewVisitor(m, nil)
			v.Begin(0)
			if bench.visit == nil {
				bench.visit = v.Visit
			}
			n := 0
			for b.Loop() {
				n = run(bench.visit)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/instr")
		})
	}
}
