//go:build cgo && (linux || darwin)

package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"
	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
)

// host is the lowest target of this machine.
func host(t testing.TB) variant.Target {
	t.Helper()
	all, err := Targets()
	if err != nil {
		t.Fatal(err)
	}
	target, err := variant.Parse(all[len(all)-2].Target)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func open(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatalf("New(%+v): %v", o, err)
	}
	t.Cleanup(e.Close)
	return e
}

// assemble makes a binary of text.
func assemble(t testing.TB, wat string) []byte {
	t.Helper()
	b, err := wasmtime.Wat2Wasm(wat)
	if err != nil {
		t.Fatalf("%s\n%v", wat, err)
	}
	return b
}

// compiled writes the code of a text to a file.
func compiled(t testing.TB, e *Engine, wat string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "code.cwasm")
	var code bytes.Buffer
	if err := e.Compile(assemble(t, wat), &code); err != nil {
		t.Fatalf("Compile(%s): %v", wat, err)
	}
	if err := os.WriteFile(file, code.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t testing.TB, e *Engine, file, kind string) *Code {
	t.Helper()
	c, err := e.Load(file, kind)
	if err != nil {
		t.Fatalf("Load(%s): %v", kind, err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCompileIsDeterministicForEveryTarget(t *testing.T) {
	wasm := assemble(t, `(module (func (export "f") (param i64) (result i64) local.get 0 i64.popcnt))`)
	all, err := Targets()
	if err != nil || len(all) < 2 {
		t.Fatalf("Targets() = %v, %v", all, err)
	}
	codes, ids := map[string]string{}, map[string]string{}
	for _, s := range all {
		target, err := variant.Parse(s.Target)
		if err != nil {
			t.Fatal(err)
		}
		var twice [2]bytes.Buffer
		for i := range twice {
			if err := open(t, Options{Target: target}).Compile(wasm, &twice[i]); err != nil {
				t.Fatalf("Compile for %s: %v", s.Target, err)
			}
		}
		if !bytes.Equal(twice[0].Bytes(), twice[1].Bytes()) {
			t.Errorf("Compile for %s makes two different files", s.Target)
		}
		if other := codes[twice[0].String()]; other != "" {
			t.Errorf("Compile makes the same for %s and %s", s.Target, other)
		}
		codes[twice[0].String()] = s.Target
		if other := ids[s.CompatID]; other != "" || !strings.HasPrefix(s.CompatID, "sha256:") {
			t.Errorf("compat id of %s is %q, of %q too", s.Target, s.CompatID, other)
		}
		ids[s.CompatID] = s.Target
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name string
		wasm string
		want error
		says string
	}{
		{"nothing", "", ErrInput, "neither a WebAssembly module nor a component"},
		{"text, which wasmtime would read", "(module)", ErrInput, "neither"},
		{"another version of the format", "\x00asm\x02\x00\x00\x00", ErrInput, "neither"},
		{"a module cut short", preambleModule + "\x01\x05\x01", ErrInput, "unexpected end"},
		{"a component cut short", preambleComponent + "\x01\x05\x01", ErrInput, "out of bounds"},
		{"a body that leaves a value", string(preambleModule) + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x06\x01\x04\x00\x41\x00\x0b", ErrInput, "type mismatch"},
	}
	e := open(t, Options{Target: host(t)})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := e.Compile([]byte(tt.wasm), &out)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || out.Len() > 0 {
				t.Fatalf("Compile(%q) = %v, with %d bytes written; want %v saying %q", tt.wasm, err, out.Len(), tt.want, tt.says)
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "backtrace") {
				t.Errorf("Compile(%q) = %q, which is not one line", tt.wasm, err)
			}
		})
	}
}

func TestNewRefusesTargetsOfOtherMachines(t *testing.T) {
	for _, target := range []variant.Target{
		{},
		{OS: "windows", Arch: "amd64", Level: "v1"},
		{OS: "plan9", Arch: "amd64", Level: "v1"},
		{OS: "linux", Arch: "riscv64"},
		{OS: "linux", Arch: "amd64", Level: "v9"},
		{OS: "linux", Arch: "arm64", Level: "v1"},
	} {
		if e, err := New(Options{Target: target}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("New(%+v) = %v, %v; want ErrUnsupported", target, e, err)
		}
	}
}

const arithmetic = `(module
	(global $ready (mut i32) (i32.const 0))
	(func (export "_initialize") (global.set $ready (i32.const 1)))
	(func (export "ready") (result i32) (global.get $ready))
	(func (export "swap") (param i32 i64) (result i64 i32) local.get 1 local.get 0)
	(func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
	(func (export "half") (param f32) (result f32) (f32.div (local.get 0) (f32.const 2)))
	(func (export "third") (param f64) (result f64) (f64.div (local.get 0) (f64.const 3)))
	(func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
	(func (export "forever") (loop (br 0)))
	(func $deep (export "deep") (call $deep))
	(func (export "refer") (param externref))
	(memory (export "memory") 2)
	(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
	(func (export "far") (result i32) (i32.load (i32.const 0x7fffffff)))
	(table 1 funcref)
	(func (export "widen") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))`

func TestInvoke(t *testing.T) {
	tests := []struct {
		name, function string
		args           []string
		want           []string
		err            error
		says           string
		timeout        int64
		memory         int64
	}{
		{name: "an initialised module", function: "ready", want: []string{"1"}},
		{name: "several results", function: "swap", args: []string{"-1", "0x10"}, want: []string{"16", "-1"}},
		{name: "an integer without sign", function: "swap", args: []string{"4294967295", "0"}, want: []string{"0", "-1"}},
		{name: "64 bits", function: "add", args: []string{"9223372036854775807", "1"}, want: []string{"-9223372036854775808"}},
		{name: "single precision", function: "half", args: []string{"0.2"}, want: []string{"0.1"}},
		{name: "double precision", function: "third", args: []string{"1"}, want: []string{"0.3333333333333333"}},
		{name: "infinity", function: "half", args: []string{"-inf"}, want: []string{"-Inf"}},
		{name: "too few arguments", function: "add", args: []string{"1"}, err: ErrArgument, says: "add(i64, i64) takes 2, not 1"},
		{name: "no number", function: "half", args: []string{"x"}, err: ErrArgument, says: `"x": argument does not fit: it is no f32`},
		{name: "a number that is too large", function: "swap", args: []string{"4294967296", "0"}, err: ErrArgument, says: "no i32"},
		{name: "a reference", function: "refer", args: []string{"0"}, err: ErrArgument, says: "not a number"},
		{name: "no such function", function: "nope", err: ErrEntry, says: `no function "nope"; --invoke calls one of its functions: _initialize, ready`},
		{name: "not a function", function: "memory", err: ErrEntry, says: `no function "memory"`},
		{name: "division by zero", function: "divide", args: []string{"1", "0"}, says: "integer divide by zero"},
		{name: "out of bounds", function: "far", says: "out of bounds memory access"},
		{name: "endless recursion", function: "deep", says: "call stack exhausted"},
		{name: "an endless loop", function: "forever", timeout: 30, err: ErrTimeout, says: "time limit"},
		{name: "memory as far as it may grow", function: "grow", args: []string{"14"}, memory: 16 << 16, want: []string{"2"}},
		{name: "memory beyond its limit", function: "grow", args: []string{"15"}, memory: 16 << 16, want: []string{"-1"}},
		{name: "more memory than it may have from the start", function: "ready", memory: 1 << 16, err: ErrMemory, says: "memory minimum size of 2 pages"},
		{name: "a table beyond the limit of memory", function: "widen", args: []string{"1000000"}, memory: 1 << 20, want: []string{"-1"}},
		{name: "a table within", function: "widen", args: []string{"1000"}, memory: 1 << 20, want: []string{"1"}},
	}
	for _, o := range []Options{{Target: host(t)}, {Target: host(t), Fast: true}, {Target: variant.Portable}} {
		e := open(t, o)
		c := load(t, e, compiled(t, e, arithmetic), wire.Module)
		for _, tt := range tests {
			t.Run(o.Target.String()+", "+tt.name, func(t *testing.T) {
				got, err := c.Invoke(&wire.Spec{
					Invoke: tt.function, Args: append([]string{"name"}, tt.args...), TimeoutMS: tt.timeout, MaxMemory: tt.memory,
				})
				switch {
				case tt.says == "" && (err != nil || !cmp.Equal(got, tt.want)):
					t.Fatalf("%s(%v) = %v, %v; want %v", tt.function, tt.args, got, err, tt.want)
				case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
					t.Fatalf("%s(%v) = %v, %v; want an error saying %q", tt.function, tt.args, got, err, tt.says)
				case tt.err != nil && !errors.Is(err, tt.err):
					t.Fatalf("%s(%v) fails with %v, not %v", tt.function, tt.args, err, tt.err)
				}
				if trap, ok := errors.AsType[*Trap](err); ok != (tt.says != "" && tt.err == nil) {
					t.Fatalf("%s(%v) fails with %#v, a trap %v: %v", tt.function, tt.args, err, ok, trap)
				}
			})
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	native, portable := open(t, Options{Target: host(t)}), open(t, Options{Target: variant.Portable})
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	module := compiled(t, native, "(module)")
	good, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	// The version stands in the section .wasmtime.engine as a byte of its length
	// and its text; the name of the architecture is in what follows.
	older := bytes.Replace(good, []byte("\x00\x0239"), []byte("\x00\x0238"), 1)
	arch := strings.SplitN(mustSettings(t, host(t)).triple, "-", 2)[0]
	foreign := bytes.Replace(good, []byte(arch), []byte(map[string]string{"x86_64": "mips64", "aarch64": "riscv64"}[arch]), 1)
	if bytes.Equal(older, good) || bytes.Equal(foreign, good) {
		t.Fatal("the section .wasmtime.engine is not as it was; look at it anew")
	}
	cfg := wasmtime.NewConfig()
	m, err := wasmtime.NewModule(wasmtime.NewEngineWithConfig(cfg), assemble(t, "(module)"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file, kind string
		want             error
	}{
		{"a file that is not there", filepath.Join(dir, "absent"), wire.Module, os.ErrNotExist},
		{"an empty file", put("empty", nil), wire.Module, ErrDamaged},
		{"WebAssembly", put("wasm", assemble(t, "(module)")), wire.Module, ErrDamaged},
		{"half of a file", put("half", good[:len(good)/2]), wire.Module, ErrDamaged},
		{"code for the portable interpreter", compiled(t, portable, "(module)"), wire.Module, ErrArch},
		{"code for another architecture", put("arch", foreign), wire.Module, ErrArch},
		{"code of an older wasmtime", put("older", older), wire.Module, ErrVersion},
		{"code without interruption by epochs", put("settings", other), wire.Module, ErrSettings},
		{"a module as a component", module, wire.Component, ErrKind},
		{"a component as a module", compiled(t, native, "(component)"), wire.Module, ErrKind},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := native.Load(tt.file, tt.kind)
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("Load(%s) = %v, %v; want %v on one line", tt.file, c, err, tt.want)
			}
			t.Log(err)
		})
	}
}

func mustSettings(t *testing.T, target variant.Target) settings {
	t.Helper()
	s, err := settingsOf(target)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
