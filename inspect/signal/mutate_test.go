package signal

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A mutation rewrites a module without changing what it does, as tools do that
// hide modules from detectors.
type mutation struct {
	body    func(r *rand.Rand, instr *wasm.Instr, raw []byte) []byte // of one instruction
	wrap    bool                                                     // puts each body into a block
	reverse bool                                                     // numbers the locals backwards
	split   bool                                                     // cuts each data segment in two
}

// mutate rewrites a module of which all locals are of the same type and no
// function has parameters, as the builder makes them.
func mutate(t *testing.T, bin []byte, m mutation) []byte {
	t.Helper()
	b, err := wasm.Parse(bin)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var bodies [][]byte
	var c wasm.Code
	var instr wasm.Instr
	for _, body := range b.Module.Code {
		c.Reset(b, body)
		locals := uint32(0)
		for _, l := range c.Locals() {
			locals += l.Count
		}
		var out []byte
		first := true
		for c.Next(&instr) {
			if first {
				out = append(out, b.Bytes(body.Offset, instr.Offset-body.Offset)...)
				if m.wrap {
					out = append(out, block...)
				}
				first = false
			}
			raw := b.Bytes(instr.Offset, instr.End-instr.Offset)
			if m.reverse && instr.Imm == wasm.ImmLocal {
				raw = cat(raw[:1], uleb(uint64(locals-1-instr.X)))
			}
			if m.body != nil {
				raw = m.body(r, &instr, raw)
			}
			out = append(out, raw...)
		}
		if m.wrap {
			out = append(out, end...)
		}
		bodies = append(bodies, cat(uleb(uint64(len(out))), out))
	}
	var data [][]byte
	for _, d := range b.Module.Data {
		contents := b.Bytes(d.Offset, d.Size)
		at := int64(d.Init.Value)
		for m.split && len(contents) > 10 {
			n := len(contents) / 2
			data = append(data, cat([]byte{0}, i32Const(int32(at)), end, name(string(contents[:n]))))
			contents, at = contents[n:], at+int64(n)
		}
		data = append(data, cat([]byte{0}, i32Const(int32(at)), end, name(string(contents))))
	}
	out := []byte(header)
	for _, s := range b.Sections {
		switch s.ID {
		case wasm.SectionCode:
			out = append(out, vector(10, bodies)...)
		case wasm.SectionData:
			out = append(out, vector(11, data)...)
		default:
			out = append(out, b.Bytes(s.Offset, s.End()-s.Offset)...)
		}
	}
	return out
}

// suspicious is a module with something of everything that mutations of code and
// data could hide.
func suspicious() []byte {
	k256, _ := sha2()
	sbox, _ := aes()
	rc := keccak()
	threeLocals := []byte{1, 3, 0x7f}
	b := new(builder).memory()
	var constants [][]byte
	for _, k := range k256 {
		constants = append(constants, i32Const(int32(k)), drop)
	}
	b.functionOf(threeLocals, constants...)
	b.functionOf(threeLocals, flattened(40))
	b.functionOf(threeLocals, machine(80))
	b.functionOf(threeLocals, rounds(100))
	b.functionOf(threeLocals, loop, repeat(4, localGet(0), i32Const(0x1ffff0), i32And, localSet(0)), end)
	b.functionOf(threeLocals, block, repeat(20, localGet(0), localGet(0), i32Mul, i32Const(1), i32And, branchIf(0)), end)
	for range 60 {
		b.functionOf(threeLocals, localGet(0), drop)
	}
	b.segment(1024, strings.Join([]string{
		"gh" + "p_" + withChecksum(random(30, 30, base62)), "stratum+tcp://pool.minexmr.com:4444", "/home/alice/miner/main.c", wasmtimeELF(1),
	}, "\x00"))
	b.segment(8192, string(sbox[:])+string(longs(rc[:])))
	return b.bytes()
}

// signs lists ids of signals and names of algorithms.
func signs(r Result) []string {
	var list []string
	for _, s := range r.Signals {
		list = append(list, s.ID)
	}
	for _, a := range r.Algorithms {
		list = append(list, a.Name)
	}
	slices.Sort(list)
	return list
}

// What is lost and gained by each mutation is written down here: a detector that
// nobody tries to fool says nothing about how easily it is fooled.
func TestSignalsSurviveMutation(t *testing.T) {
	before := func(code []byte, share float64) func(*rand.Rand, *wasm.Instr, []byte) []byte {
		return func(r *rand.Rand, _ *wasm.Instr, raw []byte) []byte {
			if r.Float64() < share {
				return cat(code, raw)
			}
			return raw
		}
	}
	constants := func(rewrite func(r *rand.Rand, n uint32) []byte) func(*rand.Rand, *wasm.Instr, []byte) []byte {
		return func(r *rand.Rand, instr *wasm.Instr, raw []byte) []byte {
			if instr.Op == wasm.OpI32Const {
				return rewrite(r, uint32(instr.Value))
			}
			return raw
		}
	}
	tests := []struct {
		name         string
		mutation     mutation
		lost, gained []string
	}{
		{name: "nothing", mutation: mutation{}},
		{name: "nops everywhere", mutation: mutation{body: before(nop, 1)}},
		{name: "values made and dropped", mutation: mutation{body: before(cat(i32Const(5), drop), 0.1)}},
		{name: "locals numbered backwards", mutation: mutation{reverse: true}},
		{name: "bodies wrapped in blocks", mutation: mutation{wrap: true}},
		{name: "data cut into pieces", mutation: mutation{split: true}},
		{
			name: "constants in five bytes",
			mutation: mutation{body: constants(func(_ *rand.Rand, n uint32) []byte {
				b := padded(uint64(int64(int32(n))), 5)
				return cat([]byte{0x41}, b)
			})},
		},
		{
			name: "locals in three bytes",
			mutation: mutation{body: func(_ *rand.Rand, instr *wasm.Instr, raw []byte) []byte {
				if instr.Imm == wasm.ImmLocal {
					return cat(raw[:1], padded(uint64(instr.X), 3))
				}
				return raw
			}},
			gained: []string{"padded-number"},
		},
		{
			name: "constants split by xor",
			mutation: mutation{body: constants(func(r *rand.Rand, n uint32) []byte {
				key := r.Uint32()
				return cat(i32Const(int32(n^key)), i32Const(int32(key)), i32Xor)
			})},
		},
		{
			name: "constants split through a local",
			mutation: mutation{body: constants(func(r *rand.Rand, n uint32) []byte {
				key := r.Uint32()
				return cat(i32Const(int32(n^key)), localSet(2), i32Const(int32(key)), localGet(2), i32Xor)
			})},
			// Following values through locals is more than one pass can do.
			lost: []string{"CryptoNight", "SHA-256", "constant-condition", "flattened-control-flow"},
		},
	}
	original := suspicious()
	want := signs(analyseValid(t, original))
	for _, id := range []string{
		"secret-github-token", "miner", "home-path", "flattened-control-flow", "dispatcher", "bit-loop", "constant-condition",
		"embedded-executable", "AES", "CryptoNight", "Keccak (SHA-3)", "SHA-256",
	} {
		if !slices.Contains(want, id) {
			t.Fatalf("signs of the module are %q, want %s among them", want, id)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := signs(analyseValid(t, mutate(t, original, tt.mutation)))
			var lost, gained []string
			for _, id := range want {
				if !slices.Contains(got, id) {
					lost = append(lost, id)
				}
			}
			for _, id := range got {
				if !slices.Contains(want, id) {
					gained = append(gained, id)
				}
			}
			if diff := cmp.Diff([2][]string{tt.lost, tt.gained}, [2][]string{lost, gained}); diff != "" {
				t.Fatalf("signs that were lost, and gained, want -, got +:\n%s", diff)
			}
		})
	}
}
