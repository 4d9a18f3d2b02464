//go:build aot

// Package aot takes real programs through native code with the real programs: what
// bin/wpkg-engine makes on this machine and, emulated, on others, loads and runs
// where it should and nowhere else, and workers make it for a registry. It needs
// what "make aot" builds and installs.
package aot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
)

// bin is where make puts the programs.
var bin = func() string {
	dir, err := filepath.Abs("../../bin")
	if err != nil {
		panic(err)
	}
	return dir
}()

// programs are what the tests run, and which target of the Makefile builds or installs
// each.
var programs = []struct{ path, target string }{
	{filepath.Join(bin, "wreg"), "build"},
	{filepath.Join(bin, "wpkg"), "build"},
	{filepath.Join(bin, "wpkg-engine"), "build"},
	{filepath.Join(bin, "wpkg-engine-arm64"), "engine-arm64"},
	{"qemu-x86_64-static", "engine-arm64"},
	{"qemu-aarch64-static", "engine-arm64"},
}

// TestMain says at once what is missing.
func TestMain(m *testing.M) {
	missing := false
	for _, p := range programs {
		if _, err := exec.LookPath(p.path); err != nil {
			fmt.Fprintf(os.Stderr, "%v (make %s brings it)\n", err, p.target)
			missing = true
		}
	}
	if missing {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A machine runs wpkg-engine, in this computer or emulated.
type machine struct {
	name    string
	command []string // of wpkg-engine
}

func emulated(cpu string) machine {
	return machine{cpu, []string{"qemu-x86_64-static", "-cpu", cpu, filepath.Join(bin, "wpkg-engine")}}
}

var (
	here  = machine{"this machine", []string{filepath.Join(bin, "wpkg-engine")}}
	arm64 = machine{"arm64", []string{"qemu-aarch64-static", filepath.Join(bin, "wpkg-engine-arm64")}}
)

// start runs a command of wpkg-engine to its end.
func (m machine) start(ctx context.Context, stdin []byte, args ...string) (stdout []byte, stderr string, status int) {
	command := slices.Concat(m.command, args)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		exited, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			return nil, err.Error(), -1
		}
		status = exited.ExitCode()
	}
	var said []string // but for what qemu says of CPUs
	for line := range strings.Lines(errOut.String()) {
		if !strings.HasPrefix(line, "qemu-x86_64-static: warning: ") {
			said = append(said, line)
		}
	}
	return out.Bytes(), strings.Join(said, ""), status
}

func (m machine) ids(t *testing.T) *wire.IDs {
	t.Helper()
	out, stderr, status := m.start(t.Context(), nil, "ids")
	var ids wire.IDs
	if err := json.Unmarshal(out, &ids); status != 0 || err != nil {
		t.Fatalf("wpkg-engine ids on %s: status %d, %v: %s", m.name, status, err, stderr)
	}
	return &ids
}

// compile compiles on m without a driver.
func (m machine) compile(t *testing.T, wasm []byte, target string) []byte {
	t.Helper()
	code, stderr, status := m.start(t.Context(), wasm, "compile", "--target", target, "--tier", "optimising")
	if status != 0 {
		t.Fatalf("wpkg-engine compile --target %s on %s: status %d: %s", target, m.name, status, stderr)
	}
	return code
}

// run runs code that was made for a target.
func (m machine) run(t *testing.T, g guest, code []byte, target string) (stdout, stderr string, status int) {
	t.Helper()
	dir := t.TempDir()
	spec := wire.Spec{Protocol: wire.Protocol, Code: filepath.Join(dir, "code"), Kind: g.kind, Target: target, Args: []string{g.name}}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"code": code, "spec": text} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, stderr, status := m.start(t.Context(), nil, slices.Concat([]string{"run", "--spec", filepath.Join(dir, "spec"), "--"}, g.args)...)
	return string(out), stderr, status
}

// runs wants a guest to do on m what it does.
func (m machine) runs(t *testing.T, g guest, code []byte, target string) {
	t.Helper()
	stdout, stderr, status := m.run(t, g, code, target)
	if stdout != g.stdout || stderr != "" || status != g.status {
		t.Errorf("run %s, made for %s, on %s: status %d, %q, %q; want %d, %q", g.name, target, m.name, status, stdout, stderr, g.status, g.stdout)
	}
}

// picks chooses among code as a client on m does. All is that of g, by target.
func (m machine) picks(t *testing.T, g guest, all map[string][]byte, compat map[string]string) string {
	t.Helper()
	ids := m.ids(t)
	host, err := variant.Parse(ids.Host)
	if err != nil {
		t.Fatal(err)
	}
	want := variant.Wanted{
		Host: host, Runtime: aot.Runtime, Profile: aot.Profile, Source: digest.FromBytes(g.wasm).String(), Portable: true,
		CompatIDs: map[variant.Target][]string{},
	}
	for _, s := range ids.Targets {
		target, err := variant.Parse(s.Target)
		if err != nil {
			t.Fatal(err)
		}
		want.CompatIDs[target] = []string{s.CompatID}
	}
	var list []variant.Candidate
	for name, code := range all {
		target, err := variant.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, variant.Candidate{
			Digest: digest.FromBytes(code).String(), Runtime: aot.Runtime, Version: ids.Wasmtime, Target: target, Profile: aot.Profile,
			CompatID: compat[name], Source: want.Source,
		})
	}
	got := variant.Pick(want, list)
	if got.Best == nil {
		t.Fatalf("Pick on %s, %s: nothing, %+v", m.name, ids.Host, got.Rejected)
	}
	return got.Best.Target.String()
}

// A guest is a program with what it prints.
type guest struct {
	name   string
	kind   string
	wasm   []byte
	args   []string
	stdout string
	status int
}

// guests builds the programs once: in C and Go for WASI 0.1, and a component in
// Rust for WASI 0.2.
var guests = sync.OnceValues(func() (map[string]guest, error) {
	dir, err := os.MkdirTemp("", "wreg-guests")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	const source = "../../cmd/wpkg-engine/testdata/guest"
	all := map[string]guest{
		"c":    {kind: wire.Module, args: []string{"args", "exit", "42"}, stdout: "[c][args][exit][42]", status: 42},
		"go":   {kind: wire.Module, args: []string{"x"}, stdout: "[\"go\" \"x\"]  open /data/file: Bad file number\n", status: 4},
		"rust": {kind: wire.Component, args: []string{"/x"}, stdout: `["rust", "/x"] Err(NotFound)`},
	}
	for name, build := range map[string]*exec.Cmd{
		"c":    exec.Command("clang", "--target=wasm32-wasi", "-O1", "-o", filepath.Join(dir, "c"), source+".c"),
		"go":   exec.Command("go", "build", "-o", filepath.Join(dir, "go"), source+".go"),
		"rust": exec.Command("rustc", "--target=wasm32-wasip2", "-O", "-o", filepath.Join(dir, "rust"), source+".rs"),
	} {
		if name == "go" {
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		}
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the guest in %s: %w\n%s", name, err, out)
		}
		g := all[name]
		g.name = name
		if g.wasm, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		all[name] = g
	}
	return all, nil
})

func allGuests(t *testing.T) map[string]guest {
	t.Helper()
	all, err := guests()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What each target's compiler makes is the same each time, and runs there.
func TestCodeRunsWhereItIsMadeFor(t *testing.T) {
	t.Parallel()
	for name, g := range allGuests(t) {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				target string
				by     machine
				on     []machine
			}{
				{"linux/amd64/v1", here, []machine{here}},
				{variant.Pulley64, here, []machine{here, arm64}},
				{"linux/arm64", arm64, []machine{arm64}},
			} {
				code := tt.by.compile(t, g.wasm, tt.target)
				// An emulated compiler takes 12 s for what Go links, so that is made once.
				if tt.by.name == here.name || len(g.wasm) < 1<<20 {
					if again := tt.by.compile(t, g.wasm, tt.target); !bytes.Equal(code, again) {
						t.Errorf("%s for %s: %d and %d bytes, which differ", name, tt.target, len(code), len(again))
					}
				}
				for _, m := range tt.on {
					m.runs(t, g, code, tt.target)
				}
			}
		})
	}
}

// Bytecode is the same wherever it is made.
func TestPortableCodeIsTheSameFromEveryMachine(t *testing.T) {
	t.Parallel()
	g := allGuests(t)["c"]
	made, other := here.compile(t, g.wasm, variant.Pulley64), arm64.compile(t, g.wasm, variant.Pulley64)
	if !bytes.Equal(made, other) {
		t.Errorf("made here it has %d bytes, on arm64 %d; they differ", len(made), len(other))
	}
}

// A client takes the best code that its CPU has the instructions for, and the
// engine refuses what is better than that.
func TestCodeSuitsTheLevelOfTheCPU(t *testing.T) {
	t.Parallel()
	best := emulated("Haswell")
	compat := map[string]string{}
	for _, m := range []machine{best, arm64} {
		for _, s := range m.ids(t).Targets {
			compat[s.Target] = s.CompatID
		}
	}
	for _, name := range []string{"c", "rust"} {
		g := allGuests(t)[name]
		all := map[string][]byte{"linux/arm64": arm64.compile(t, g.wasm, "linux/arm64")}
		for _, target := range []string{"linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3", variant.Pulley64} {
			all[target] = best.compile(t, g.wasm, target)
		}
		if bytes.Equal(all["linux/amd64/v1"], all["linux/amd64/v3"]) {
			t.Errorf("%s: code for v1 and v3 is the same", name)
		}
		for _, tt := range []struct {
			on      machine
			want    string
			refused map[string]string // target → what the CPU lacks
		}{
			{on: arm64, want: "linux/arm64"},
			{on: best, want: "linux/amd64/v3"},
			{on: emulated("Nehalem"), want: "linux/amd64/v2", refused: map[string]string{"linux/amd64/v3": "has_avx"}},
			{
				on: emulated("qemu64"), want: "linux/amd64/v1",
				refused: map[string]string{"linux/amd64/v2": "has_ssse3", "linux/amd64/v3": "has_ssse3"},
			},
		} {
			t.Run(name+" on "+tt.on.name, func(t *testing.T) {
				if got := tt.on.ids(t).Host; got != tt.want {
					t.Errorf("ids on %s: host %s; want %s", tt.on.name, got, tt.want)
				}
				picked := tt.on.picks(t, g, all, compat)
				if picked != tt.want {
					t.Errorf("Pick on %s = %s; want %s", tt.on.name, picked, tt.want)
				}
				tt.on.runs(t, g, all[picked], picked)
				for target, lacks := range tt.refused {
					stdout, stderr, status := tt.on.run(t, g, all[target], target)
					if stdout != "" || status != wire.ExitFailed || !strings.Contains(stderr, `"`+lacks) || !strings.Contains(stderr, "linux/amd64/v1 runs everywhere") {
						t.Errorf("run code for %s on %s: status %d, %q, %q; want %d and an error that names %s", target, tt.on.name, status, stdout, stderr, wire.ExitFailed, lacks)
					}
				}
			})
		}
	}
}

// What was made for another machine does not run, whatever is said of it.
func TestCodeForAnotherMachineIsRefused(t *testing.T) {
	t.Parallel()
	g := allGuests(t)["c"]
	for _, tt := range []struct {
		made   machine
		target string
		on     machine
	}{
		{here, "linux/amd64/v1", arm64},
		{arm64, "linux/arm64", here},
	} {
		code := tt.made.compile(t, g.wasm, tt.target)
		for _, said := range []string{"linux/amd64/v1", "linux/arm64", variant.Pulley64} {
			stdout, stderr, status := tt.on.run(t, g, code, said)
			if stdout != "" || status != wire.ExitFailed || stderr == "" {
				t.Errorf("run code for %s as %s on %s: status %d, %q, %q; want %d and an error", tt.target, said, tt.on.name, status, stdout, stderr, wire.ExitFailed)
			}
		}
	}
}
