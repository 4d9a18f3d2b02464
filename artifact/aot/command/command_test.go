//go:build unix

package command

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/artifact/variant/host"
)

// In the place of the tools stand scripts that write down what they are told, copy
// what they shall have made, and misbehave. Package test/aot has a real one, by
// make compilers; docs/spec/aot.md says of the others where their options are from.

const emptyModule = "\x00asm\x01\x00\x00\x00"

// fake installs a script as the only program of that name, and gives its folder.
func fake(t *testing.T, program, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

// compiles is the script of a tool that says its version, writes down its
// arguments and makes what lies beside it.
func compiles(version string) string {
	return `here=$(dirname "$0")
if [ "$1" = --version ]; then echo '` + version + `'; exit; fi
echo "$*" > "$here/args"; env | sort > "$here/env"; pwd > "$here/dir"; cp module.wasm "$here/input"
cp "$here/code" module.out
`
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// job is to compile a module for a target.
func job(t *testing.T, wasm, platform string) aot.Job {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "in.wasm", []byte(wasm))
	f, err := os.Open(filepath.Join(dir, "in.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	target, err := variant.Parse(platform)
	if err != nil {
		t.Fatal(err)
	}
	return aot.Job{Wasm: f, Size: int64(len(wasm)), Digest: digest.FromString(wasm), Target: target}
}

// cwasm is a file as wasmtime writes it, with settings that name a version, a
// triple and flags of the processor.
func cwasm(machine uint16, flags uint32, version, triple string, features ...string) []byte {
	text := func(s string) string { return string(rune(len(s))) + s }
	settings := "\x00" + text(version) + text(triple) + "\x00" + string(rune(len(features)))
	for _, f := range features {
		settings += text(f) + "\x02\x01"
	}
	const header, names = 64, "\x00.wasmtime.engine\x00.shstrtab\x00"
	le := binary.LittleEndian
	b := make([]byte, header)
	copy(b, "\x7fELF\x02\x01\x01\xc8")
	le.PutUint16(b[18:], machine)
	le.PutUint32(b[48:], flags)
	le.PutUint16(b[52:], header)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	b = append(b, settings+names...)
	le.PutUint64(b[40:], uint64(len(b)))
	for _, s := range [][3]uint64{{}, {1, header, uint64(len(settings))}, {18, header + uint64(len(settings)), uint64(len(names))}} {
		h := make([]byte, 64)
		le.PutUint32(h, uint32(s[0]))
		le.PutUint64(h[24:], s[1])
		le.PutUint64(h[32:], s[2])
		b = append(b, h...)
	}
	return b
}

func wamr(arch string) []byte {
	b := make([]byte, 16+48)
	copy(b, "\x00aot\x06\x00\x00\x00\x00\x00\x00\x00\x30\x00\x00\x00")
	copy(b[48:], arch)
	return b
}

const wasmerCode = "wasmer-universalWASMER\x00\x00\x17\x00\x00\x00\x00\x01\x00\x00"

// wasmEdge is a module with native code for a machine beside it.
func wasmEdge(system, machine byte) []byte {
	return append([]byte(emptyModule), 0, 15, 8, 'w', 'a', 's', 'm', 'e', 'd', 'g', 'e', 3, system, machine, 'x', 'y', 'z')
}

// here is code of WasmEdge for this machine.
func here(t *testing.T) ([]byte, string) {
	t.Helper()
	machine := host.Target()
	systems, machines := []string{"", "linux", "darwin", "windows"}, []string{"", "amd64", "arm64"}
	platform := machine.OS + "/" + machine.Arch
	if machine.Arch == "amd64" {
		platform += "/v1"
	}
	return wasmEdge(byte(slices.Index(systems, machine.OS)), byte(slices.Index(machines, machine.Arch))), platform
}

func TestCompile(t *testing.T) {
	edge, platform := here(t)
	const v3 = "has_cmpxchg16b has_sse3 has_ssse3 has_sse41 has_sse42 has_popcnt has_avx has_avx2 has_bmi1 has_bmi2 has_fma has_lzcnt"
	flag := func(list string) string {
		var b strings.Builder
		for f := range strings.FieldsSeq(list) {
			b.WriteString(" -C cranelift-" + f)
		}
		return b.String()
	}
	tests := []struct {
		runtime, program, says, platform string
		code                             []byte
		args                             string
		want                             aot.Config
	}{
		{
			runtime: "wasmtime", program: "wasmtime", says: "wasmtime 36.0.2 (1a2b3c4 2026-01-01)", platform: "linux/amd64/v3",
			code: cwasm(62, 1, "36.0.2", "x86_64-unknown-linux-gnu", "has_sse3", "has_avx"),
			args: "compile --target x86_64-unknown-linux-gnu -W epoch-interruption=y" + flag(v3) + " -o module.out module.wasm",
			want: aot.Config{
				Compiler: aot.By{Runtime: "wasmtime", Version: "36.0.2", Engine: "cranelift", Tier: aot.Optimising, Profile: aot.Profile},
				Target:   aot.Made{Platform: "linux/amd64/v3", Triple: "x86_64-unknown-linux-gnu", ISAFlags: strings.Fields(v3)},
			},
		},
		{
			runtime: "wasmtime", program: "wasmtime", says: "wasmtime-cli 14.0.0", platform: "linux/arm64",
			code: cwasm(183, 1, "14", "aarch64-unknown-linux-gnu"),
			args: "compile --target aarch64-unknown-linux-gnu -W epoch-interruption=y -o module.out module.wasm",
			want: aot.Config{
				Compiler: aot.By{Runtime: "wasmtime", Version: "14.0.0", Engine: "cranelift", Tier: aot.Optimising, Profile: aot.Profile},
				Target:   aot.Made{Platform: "linux/arm64", Triple: "aarch64-unknown-linux-gnu"},
			},
		},
		{
			runtime: "wamr", program: "wamrc", says: "wamrc 2.4.1", platform: "linux/amd64/v2", code: wamr("x86_64"),
			args: "--target=x86_64 --target-abi=gnu --cpu=x86-64-v2 --opt-level=3 --size-level=3 -o module.out module.wasm",
			want: aot.Config{
				Compiler: aot.By{Runtime: "wamr", Version: "2.4.1", Engine: "llvm", Tier: aot.Optimising},
				Target:   aot.Made{Platform: "linux/amd64/v2", Triple: "x86_64", ISAFlags: []string{"x86-64-v2"}},
			},
		},
		{
			runtime: "wasmedge", program: "wasmedge", says: "wasmedge version 0.14.1", platform: platform, code: edge,
			args: "compile --optimize=2 --generic-binary module.wasm module.out",
			want: aot.Config{
				Compiler: aot.By{Runtime: "wasmedge", Version: "0.14.1", Engine: "llvm", Tier: aot.Optimising},
				Target:   aot.Made{Platform: platform},
			},
		},
		{
			runtime: "wasmer", program: "wasmer", says: "wasmer 7.1.0-rc.2", platform: "darwin/arm64", code: []byte(wasmerCode),
			args: "compile --target aarch64-apple-darwin --cranelift -o module.out module.wasm",
			want: aot.Config{
				Compiler: aot.By{Runtime: "wasmer", Version: "7.1.0-rc.2", Engine: "cranelift", Tier: aot.Optimising},
				Target:   aot.Made{Platform: "darwin/arm64", Triple: "aarch64-apple-darwin"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.runtime+" for "+tt.platform, func(t *testing.T) {
			dir := fake(t, tt.program, compiles(tt.says))
			write(t, dir, "code", tt.code)
			c, err := Find(tt.runtime)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			got, err := c.Compile(t.Context(), job(t, emptyModule, tt.platform), &out)
			if err != nil || !bytes.Equal(out.Bytes(), tt.code) {
				t.Fatalf("Compile = %q, %v; want %q", out.Bytes(), err, tt.code)
			}
			if args := read(t, dir, "args"); args != tt.args {
				t.Errorf("it was told\n%s\nwant\n%s", args, tt.args)
			}
			if in := read(t, dir, "input"); in != strings.TrimSpace(emptyModule) {
				t.Errorf("it was given %q; want %q", in, emptyModule)
			}
			work := read(t, dir, "dir")
			if env := read(t, dir, "env"); !strings.Contains(env, "HOME="+work) || strings.Contains(env, "PATH="+dir) {
				t.Errorf("its environment is\n%s\nwant HOME=%s and nothing of ours", env, work)
			}
			if _, err := os.Stat(work); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Stat(%s) = %v; want its folder gone", work, err)
			}
			want := tt.want
			want.Source = aot.Source{Digest: digest.FromString(emptyModule), Size: 8}
			want.Output = aot.Source{Digest: digest.FromBytes(tt.code), Size: int64(len(tt.code))}
			want.Compiler.Flags, want.CompatID = got.Compiler.Flags, got.CompatID
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("Compile gave (-want +got):\n%s", diff)
			}
			if err := got.Check(); err != nil {
				t.Errorf("Check of the config = %v", err)
			}
			if !strings.HasPrefix(tt.args, strings.Join(got.Compiler.Flags, " ")+" ") {
				t.Errorf("flags recorded are %q; want those of %q", got.Compiler.Flags, tt.args)
			}
		})
	}
}

func TestFaultyTools(t *testing.T) {
	good := cwasm(62, 1, "39", "x86_64-unknown-linux-gnu")
	version := "if [ \"$1\" = --version ]; then echo wasmtime 39.0.1; exit; fi\n"
	tests := []struct {
		name   string
		script string
		code   []byte // in the place of the script
		want   error
		text   string // in the error
	}{
		{name: "says no version", script: "echo help", want: aot.ErrCrashed, text: "no version in help"},
		{name: "says a version without end", script: "while :; do echo 1.; done", want: aot.ErrLimit, text: "too much output"},
		{name: "fails to say a version", script: "echo broken >&2; exit 3", want: aot.ErrUnsupported, text: "broken"},
		{name: "hangs when it is asked", script: "sleep 1000", want: aot.ErrLimit, text: "out of time"},
		{name: "refuses the module", script: version + "printf 'no \\033[2J module\\n' >&2; exit 1", want: aot.ErrInput, text: "no "},
		{name: "hangs", script: version + "sleep 1000", want: aot.ErrLimit, text: "out of time"},
		{name: "crashes", script: version + "echo 'panic: oh' >&2; echo 'goroutine 1 [running]' >&2; exit 2", want: aot.ErrCrashed, text: "it crashed"},
		{name: "makes nothing", script: version, want: aot.ErrCrashed, text: "it made no file"},
		{name: "makes a folder", script: version + "mkdir module.out", want: aot.ErrCrashed, text: "it made no file but"},
		{name: "makes a link", script: version + "ln -s /etc/passwd module.out", want: aot.ErrCrashed, text: "it made no file but"},
		{name: "makes garbage", code: []byte("garbage"), want: aot.ErrCrashed, text: "no native code that is known"},
		{name: "makes an empty file", code: []byte{}, want: aot.ErrCrashed, text: "no native code that is known"},
		{name: "gives the module back", code: []byte(emptyModule), want: aot.ErrCrashed, text: "no native code that is known"},
		{name: "makes code of another runtime", code: wamr("x86_64"), want: aot.ErrCrashed, text: "another runtime than wasmtime"},
		{name: "makes code of another version", code: cwasm(62, 1, "38", "x86_64-unknown-linux-gnu"), want: aot.ErrCrashed, text: "version 39.0.1"},
		{
			name: "makes code of another patch", code: cwasm(62, 1, "39.0.2", "x86_64-unknown-linux-gnu"), want: aot.ErrCrashed,
			text: "version 39.0.1",
		},
		{name: "makes code for another machine", code: cwasm(183, 1, "39", "aarch64-unknown-linux-gnu"), want: aot.ErrCrashed, text: "linux/amd64/v1"},
		{name: "makes code for another system", code: cwasm(62, 1, "39", "x86_64-apple-darwin"), want: aot.ErrCrashed, text: "linux/amd64/v1"},
		{name: "makes bytecode", code: cwasm(243, 1|8, "39", "pulley64-unknown-unknown-elf"), want: aot.ErrCrashed, text: "linux/amd64/v1"},
		{name: "makes a component", code: cwasm(62, 2, "39", "x86_64-unknown-linux-gnu"), want: aot.ErrCrashed, text: "given a module"},
		{
			name: "uses what the processor may not have", code: cwasm(62, 1, "39", "x86_64-unknown-linux-gnu", "has_avx"), want: aot.ErrCrashed,
			text: "it uses has_avx",
		},
		{name: "makes code without settings", code: good[:64], want: aot.ErrCrashed, text: "settings are missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := tt.script
			if tt.code != nil {
				script = compiles("wasmtime 39.0.1")
			}
			dir := fake(t, "wasmtime", script)
			write(t, dir, "code", tt.code)
			c, err := Find("wasmtime")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(tt.text, "out of time") {
				c.wall = 300 * time.Millisecond
			}
			var out bytes.Buffer
			got, err := c.Compile(t.Context(), job(t, emptyModule, "linux/amd64/v1"), &out)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || out.Len() != 0 {
				t.Errorf("Compile = %+v, %v, %d bytes; want %v with %q and nothing written", got, err, out.Len(), tt.want, tt.text)
			}
			if err != nil && strings.Contains(err.Error(), "\x1b") {
				t.Errorf("Compile = %q; it would clear the screen", err)
			}
		})
	}
}

func TestRefusedBeforeTheToolIsStarted(t *testing.T) {
	component := "\x00asm\x0d\x00\x01\x00"
	other := "linux/arm64"
	if host.Target().Arch == "arm64" {
		other = "linux/amd64/v1"
	}
	tests := []struct {
		name, runtime, wasm, platform string
		tier                          aot.Tier
		want                          error
	}{
		{"a target that the tool has not", "wamr", emptyModule, "windows/amd64", "", aot.ErrUnsupported},
		{"a level that the table knows no flags for", "wasmer", emptyModule, "linux/amd64/v3", "", aot.ErrUnsupported},
		{"a machine that is not this one", "wasmedge", emptyModule, other, "", aot.ErrUnsupported},
		{"a component", "wamr", component, "linux/arm64", aot.Optimising, aot.ErrUnsupported},
		{"what is not valid", "wamr", emptyModule + "\x01\xff", "linux/arm64", "", aot.ErrInput},
		{"a tier that the tool has not", "wamr", emptyModule, "linux/arm64", aot.Fast, aot.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var dir string
			for _, tool := range tools {
				if tool.runtime == tt.runtime {
					dir = fake(t, tool.program, `touch "$(dirname "$0")/started"`)
				}
			}
			c, err := Find(tt.runtime)
			if err != nil {
				t.Fatal(err)
			}
			j := job(t, tt.wasm, tt.platform)
			j.Tier = tt.tier
			if got, err := c.Compile(t.Context(), j, &bytes.Buffer{}); !errors.Is(err, tt.want) {
				t.Errorf("Compile = %+v, %v; want %v", got, err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
				t.Errorf("the tool was started")
			}
		})
	}
}

func TestFindWithoutTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, runtime := range Runtimes() {
		if c, err := Find(runtime); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("Find(%s) = %v, %v; want %v", runtime, c, err, ErrNotInstalled)
		}
	}
	if c, err := Find("jvm"); !errors.Is(err, aot.ErrUnsupported) {
		t.Errorf("Find(jvm) = %v, %v; want %v", c, err, aot.ErrUnsupported)
	}
}

func TestSupport(t *testing.T) {
	for _, tool := range tools {
		t.Run(tool.program, func(t *testing.T) {
			dir := fake(t, tool.program, compiles(tool.program+" 1.2.3"))
			c, err := Find(tool.runtime)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Support(t.Context())
			if err != nil || got.Version != "1.2.3" || got.Path != filepath.Join(dir, tool.program) || len(got.Targets) == 0 {
				t.Fatalf("Support = %+v, %v; want version 1.2.3 of %s and targets", got, err, dir)
			}
			can := 0
			for _, s := range got.Targets {
				if back, err := variant.Parse(s.Target.String()); err != nil || back != s.Target {
					t.Errorf("Parse(%s) = %v, %v; want a target that is known", s.Target, back, err)
				}
				_, err := c.target(s.Target)
				if (err == nil) != (s.Why == "") || err != nil && !strings.Contains(fmt.Sprint(err), s.Why) {
					t.Errorf("it says of %s %q, and compiling for it gives %v", s.Target, s.Why, err)
				}
				if s.Why == "" {
					can++
				}
			}
			if can == 0 && host.Target().OS == "linux" {
				t.Errorf("Support = %+v; want a target that it can compile for", got)
			}
		})
	}
}
