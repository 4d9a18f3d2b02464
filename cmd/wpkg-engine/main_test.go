//go:build cgo && (linux || darwin)

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// Where TestMain puts this program, and what it makes of the guests: the path of
// the code by the name of the guest.
var (
	program string
	target  string
	codes   = map[string]string{}
)

// TestMain is the program itself where it is started under another name than a
// test is, so that the tests see every change of it.
func TestMain(m *testing.M) {
	if !strings.HasSuffix(os.Args[0], ".test") {
		main()
	}
	dir, err := os.MkdirTemp("", "wpkg-engine")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// build makes a link to the program, and the guests.
func build(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program = filepath.Join(dir, "wpkg-engine")
	if err := os.Symlink(self, program); err != nil {
		return err
	}
	out, err := exec.Command(program, "ids").Output()
	if err != nil {
		return fmt.Errorf("wpkg-engine ids: %w", err)
	}
	var ids wire.IDs
	if err := json.Unmarshal(out, &ids); err != nil {
		return fmt.Errorf("wpkg-engine ids: %w", err)
	}
	target = ids.Host
	for name, build := range map[string]*exec.Cmd{
		"c":    exec.Command("clang", "--target=wasm32-wasi", "-O1", "-o", filepath.Join(dir, "c.wasm"), "testdata/guest.c"),
		"go":   exec.Command("go", "build", "-o", filepath.Join(dir, "go.wasm"), "testdata/guest.go"),
		"rust": exec.Command("rustc", "--target=wasm32-wasip2", "-O", "-o", filepath.Join(dir, "rust.wasm"), "testdata/guest.rs"),
	} {
		if name == "go" {
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		}
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the guest in %s: %w\n%s", name, err, out)
		}
		wasm, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
		if err != nil {
			return err
		}
		cwasm, stderr, status := execute(wasm, nil, program, "compile", "--target", target, "--tier", "fast")
		if status != 0 {
			return fmt.Errorf("compile the guest in %s: status %d, %s", name, status, stderr)
		}
		codes[name] = filepath.Join(dir, name+".cwasm")
		if err := os.WriteFile(codes[name], []byte(cwasm), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// execute runs a program to its end; -1 is the status of one that a signal ended.
func execute(stdin []byte, env []string, args ...string) (stdout, stderr string, status int) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		if exited, ok := errors.AsType[*exec.ExitError](err); ok {
			return out.String(), errOut.String(), exited.ExitCode()
		}
		return out.String(), err.Error(), -2
	}
	return out.String(), errOut.String(), 0
}

// of is the description of a run of a guest.
func of(guest string) wire.Spec {
	s := wire.Spec{Protocol: wire.Protocol, Code: codes[guest], Kind: wire.Module, Target: target, Args: []string{guest}}
	if guest == "rust" {
		s.Kind = wire.Component
	}
	return s
}

// write puts a value into a file as JSON.
func write(t *testing.T, v any, elem ...string) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRun(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	readable := func(s *wire.Spec) { s.Dirs = []wire.Dir{{Host: data, Guest: "/data", ReadOnly: true}} }
	writable := func(s *wire.Spec) { s.Dirs = []wire.Dir{{Host: data, Guest: "/data"}} }
	tests := []struct {
		name   string
		guest  string
		grant  func(*wire.Spec)
		args   string
		stdin  string
		stdout string
		stderr string // what it contains
		status int
	}{
		{name: "arguments", guest: "c", args: "args x", stdout: "[c][args][x]"},
		{name: "standard input", guest: "c", args: "echo", stdin: "one\ntwo\n", stdout: "one\ntwo\n"},
		{name: "standard error", guest: "c", args: "complain", stderr: "complaint"},
		{name: "the status of a module", guest: "c", args: "exit 42", status: 42},
		{
			name: "a status that wasmtime does not pass on", guest: "c", args: "exit 200", status: wire.ExitOther,
			stderr: "c: it ended with a status above 125, which wasmtime does not pass on; this is 1\n",
		},
		{name: "no variable of the environment", guest: "c", args: "env"},
		{
			name: "given and inherited variables", guest: "c", args: "env", stdout: "A=b=c\nINHERITED=yes\n",
			grant: func(s *wire.Spec) {
				s.Env = [][2]string{{"A", "b=c"}}
				s.InheritEnv = []string{"INHERITED", "NOT_SET"}
			},
		},
		{
			name: "a variable with a name that is none", guest: "c", args: "env", status: wire.ExitFailed, stderr: `environment variable "A=": cannot be granted`,
			grant: func(s *wire.Spec) { s.Env = [][2]string{{"A=", "x"}} },
		},
		{name: "no file", guest: "c", args: "read /data/file", stdout: "/data/file: Capabilities insufficient\n"},
		{name: "a file of a folder", guest: "c", grant: readable, args: "read /data/file", stdout: "content"},
		{name: "a file outside of it", guest: "c", grant: readable, args: "read /data/../etc/passwd", stdout: "/data/../etc/passwd: Operation not permitted\n"},
		{name: "a folder that is not to be written", guest: "c", grant: readable, args: "write /data/new", stdout: "/data/new: Operation not permitted\n"},
		{name: "a file that is not to be written", guest: "c", grant: readable, args: "write /data/file", stdout: "/data/file: Operation not permitted\n"},
		{name: "a folder that may be written", guest: "c", grant: writable, args: "write /data/new read /data/new", stdout: "/data/new: written\nwritten"},
		{
			name: "a folder that is not there", guest: "c", args: "args", status: wire.ExitFailed, stderr: "folder cannot be granted: open /nonexistent: no such file",
			grant: func(s *wire.Spec) { s.Dirs = []wire.Dir{{Host: "/nonexistent", Guest: "/"}} },
		},
		{
			name: "a file as a folder", guest: "c", args: "args", status: wire.ExitFailed, stderr: "it is a file; grant the folder that it lies in",
			grant: func(s *wire.Spec) { s.Dirs = []wire.Dir{{Host: filepath.Join(data, "file"), Guest: "/"}} },
		},
		{
			name: "the network", guest: "rust", args: "connect", status: wire.ExitFailed, stderr: "network: cannot be granted",
			grant: func(s *wire.Spec) { s.Net = true },
		},
		{name: "a module that aborts", guest: "c", args: "abort", status: wire.ExitTrap, stderr: "wasm trap: wasm `unreachable` instruction executed"},
		{name: "a stack that overflows", guest: "c", args: "deep", status: wire.ExitTrap, stderr: "wasm trap: "},
		{
			name: "a loop with a limit of time", guest: "c", args: "loop", stdout: "ready\n", status: wire.ExitTimeout,
			stderr: "c: stopped: the time limit of 50ms is over", grant: func(s *wire.Spec) { s.TimeoutMS = 50 },
		},
		{
			name: "sleep with a limit of time", guest: "c", args: "sleep", stdout: "ready\n", status: wire.ExitTimeout,
			stderr: "c: stopped: the time limit of 50ms is over", grant: func(s *wire.Spec) { s.TimeoutMS = 50 },
		},
		{name: "as much memory as it likes", guest: "c", args: "allocate 33554432", stdout: "allocated\n"},
		{
			name: "memory with a limit", guest: "c", args: "allocate 33554432", stdout: "no memory\n",
			grant: func(s *wire.Spec) { s.MaxMemory = 16 << 20 },
		},
		{
			name: "less memory than it starts with", guest: "c", args: "args", status: wire.ExitFailed, stderr: "more memory than it may have",
			grant: func(s *wire.Spec) { s.MaxMemory = 1 << 16 },
		},
		{
			name: "a function of a program", guest: "c", status: wire.ExitFailed, stderr: `it exports no function "nope"; --invoke calls one of its functions: _start`,
			grant: func(s *wire.Spec) { s.Invoke = "nope" },
		},
		{
			name: "a program by its function", guest: "c", status: 0,
			grant: func(s *wire.Spec) { s.Invoke = "_start" },
		},
		{name: "a Go program", guest: "go", grant: readable, args: "x", stdout: "[\"go\" \"x\"] content <nil>\n", status: 4},
		{name: "a component", guest: "rust", args: "x", stdout: `["rust", "x"] Err(NotFound)`},
		{name: "a file for a component", guest: "rust", grant: readable, args: "/data/file", stdout: `["rust", "/data/file"] Ok("content")`},
		{
			name: "a variable for a component", guest: "rust", args: "variable", stdout: `["rust", "variable"] Ok("v")`,
			grant: func(s *wire.Spec) { s.Env = [][2]string{{"VARIABLE", "v"}} },
		},
		{name: "a component without a network", guest: "rust", args: "connect", stdout: `["rust", "connect"] Err(PermissionDenied)`},
		{name: "the status of a component", guest: "rust", args: "exit", stdout: `["rust", "exit"]`, status: 1},
		{name: "a component that traps", guest: "rust", args: "panic", status: wire.ExitTrap, stderr: "wasm trap: wasm `unreachable`"},
		{name: "where it traps", guest: "rust", args: "panic", status: wire.ExitTrap, stderr: "rust.wasm!guest::main"},
		{
			name: "a component in a loop", guest: "rust", args: "loop", status: wire.ExitTimeout, stderr: "the time limit of 50ms is over",
			grant: func(s *wire.Spec) { s.TimeoutMS = 50 },
		},
		{
			name: "a component as a module", guest: "rust", status: wire.ExitFailed, stderr: "the code is of the other kind",
			grant: func(s *wire.Spec) { s.Kind = wire.Module },
		},
		{
			name: "code for another machine", guest: "c", status: wire.ExitFailed, stderr: "use one built for that machine",
			grant: func(s *wire.Spec) { s.Target = "windows/amd64/v1" },
		},
		{
			name: "another protocol", guest: "c", status: wire.ExitFailed, stderr: "of different releases",
			grant: func(s *wire.Spec) { s.Protocol++ },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := of(tt.guest)
			if tt.grant != nil {
				tt.grant(&spec)
			}
			args := append([]string{program, "run", "--spec", write(t, spec, t.TempDir(), "spec"), "--"}, strings.Fields(tt.args)...)
			stdout, stderr, status := execute([]byte(tt.stdin), []string{"INHERITED=yes", "RUST_BACKTRACE=1"}, args...)
			if stdout != tt.stdout || status != tt.status || !strings.Contains(stderr, tt.stderr) || (tt.stderr == "" && stderr != "") {
				t.Errorf("run %s %s: status %d, stdout %q, stderr %q; want %d, %q, %q", tt.guest, tt.args, status, stdout, stderr, tt.status, tt.stdout, tt.stderr)
			}
			if len(stderr) > 10_000 {
				t.Errorf("run %s %s says %d bytes; want no more than a person would read", tt.guest, tt.args, len(stderr))
			}
			if strings.Contains(stderr, "Stack backtrace") {
				t.Errorf("run %s %s shows the stack of the engine: %s", tt.guest, tt.args, stderr)
			}
		})
	}
}

// named is a module whose _start traps, under a name for people that a terminal
// would obey.
const named = "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x07\x0a\x01\x06_start\x00\x00" +
	"\x0a\x05\x01\x03\x00\x00\x0b" + "\x00\x10\x04name\x01\x09\x01\x00\x06\x1b[31m\r"

func TestNamesOfAGuestAreNoOrdersToATerminal(t *testing.T) {
	cwasm, stderr, status := execute([]byte(named), nil, program, "compile", "--target", target)
	if status != 0 {
		t.Fatalf("compile: status %d, %s", status, stderr)
	}
	dir := t.TempDir()
	spec := wire.Spec{Protocol: wire.Protocol, Code: filepath.Join(dir, "cwasm"), Kind: wire.Module, Target: target, Args: []string{"a\x1b[2Jb"}}
	if err := os.WriteFile(spec.Code, []byte(cwasm), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, status = execute(nil, nil, program, "run", "--spec", write(t, spec, dir, "spec"))
	if status != wire.ExitTrap || strings.ContainsAny(stderr, "\x1b\r") || !strings.Contains(stderr, "[31m") {
		t.Errorf("run: status %d, stderr %q; want %d, and the names without control characters", status, stderr, wire.ExitTrap)
	}
}

func TestRunReadsTheDescriptionFromAnOpenFile(t *testing.T) {
	file, err := os.Open(write(t, of("c"), t.TempDir(), "spec"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.CommandContext(t.Context(), program, "run", "--spec-fd", "3", "--", "args", "--", "-x")
	cmd.ExtraFiles = []*os.File{file}
	out, err := cmd.CombinedOutput()
	if want := "[c][args][--][-x]"; err != nil || string(out) != want {
		t.Fatalf("%v: %s, %v; want %s", cmd.Args, out, err, want)
	}
}

func TestInstalledCommand(t *testing.T) {
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	spec := of("c")
	spec.Args = []string{"tool", "args"}
	write(t, wire.Command{Run: spec}, home, "data", "wpkg", "commands", "tool.json")
	write(t, wire.Command{Run: spec}, home, ".local", "share", "wpkg", "commands", "home.json")
	write(t, map[string]any{"run": map[string]any{"protocol": 99, "code": "x"}}, home, "data", "wpkg", "commands", "older.json")
	open := filepath.Dir(write(t, wire.Command{Run: spec}, home, "open", "wpkg", "commands", "tool.json"))
	if err := errors.Join(os.Chmod(open, 0o777), os.MkdirAll(bin, 0o700)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, command, data string
		stdout, stderr      string
		status              int
	}{
		{"in the folder of the environment", "tool", filepath.Join(home, "data"), "[tool][args][more]", "", 0},
		{"in the home folder", "home", "", "[tool][args][more]", "", 0},
		{"a relative folder is ignored", "home", "data", "[tool][args][more]", "", 0},
		{"of another release", "older", filepath.Join(home, "data"), "", "older: ", wire.ExitFailed},
		{"in a folder of others", "tool", filepath.Join(home, "open"), "", "tool: " + open + ": others can write to it", wire.ExitFailed},
		{"not installed", "absent", filepath.Join(home, "data"), "", "absent: not an installed package, there is no", wire.ExitFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			link := filepath.Join(bin, tt.command)
			os.Remove(link)
			if err := os.Symlink(program, link); err != nil {
				t.Fatal(err)
			}
			stdout, stderr, status := execute(nil, []string{"HOME=" + home, "XDG_DATA_HOME=" + tt.data}, link, "more")
			if stdout != tt.stdout || !strings.HasPrefix(stderr, tt.stderr) || status != tt.status {
				t.Fatalf("%s: status %d, %q, %q; want %d, %q, %q", tt.command, status, stdout, stderr, tt.status, tt.stdout, tt.stderr)
			}
		})
	}
}

// A guest that waits or computes ends by a signal as a native program does.
func TestSignalsEndAGuest(t *testing.T) {
	// What this process ignores, hangups when it is started by nohup, its children
	// would ignore too, as they should; what it handles ends them.
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
	handled := make(chan os.Signal, len(signals))
	signal.Notify(handled, signals...)
	defer signal.Stop(handled)
	for _, verb := range []string{"sleep", "loop"} {
		for _, sent := range signals {
			t.Run(verb+", "+sent.String(), func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), program, "run", "--spec", write(t, of("c"), t.TempDir(), "spec"), "--", verb)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
					t.Fatal(err)
				}
				if err := cmd.Process.Signal(sent); err != nil {
					t.Fatal(err)
				}
				endsBy(t, cmd, sent.(syscall.Signal))
				if stderr.Len() > 0 {
					t.Errorf("it says %q", stderr.String())
				}
			})
		}
	}
}

func TestAGuestEndsWithItsReader(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program, "run", "--spec", write(t, of("c"), t.TempDir(), "spec"), "--", "flood")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("flood\n"))); err != nil {
		t.Fatal(err)
	}
	out.Close()
	endsBy(t, cmd, syscall.SIGPIPE)
}

func endsBy(t *testing.T, cmd *exec.Cmd, want syscall.Signal) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }) // which is not what is wanted
	defer timer.Stop()
	err := cmd.Wait()
	exited, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatalf("it ends with %v, not by %v", err, want)
	}
	if status, ok := exited.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != want {
		t.Fatalf("it ends with %v, not by %v", err, want)
	}
}

func TestCompileTellsWhatIsWrong(t *testing.T) {
	tests := []struct {
		name   string
		stdin  string
		args   []string
		status int
		kind   string
		says   string
	}{
		{"no target", "", nil, 1, wire.Unsupported, `target ""`},
		{"an unknown target", "", []string{"--target", "linux/amd64/v9"}, 1, wire.Unsupported, "none that is known"},
		{"another machine", "", []string{"--target=windows/amd64"}, 1, wire.Unsupported, "use one built for that machine"},
		{"nothing on standard input", "", []string{"--target", "pulley64"}, 1, wire.Input, "neither a WebAssembly module nor a component"},
		{"a broken module", "\x00asm\x01\x00\x00\x00\x01", []string{"--target", "pulley64"}, 1, wire.Input, "wasmtime refuses it"},
		{"an unknown tier", "", []string{"--target", "pulley64", "--tier", "best"}, 2, "", `--tier "best"`},
		{"an unknown flag", "", []string{"--fuel", "1"}, 2, "", `unknown argument "--fuel"`},
		{"a flag without a value", "", []string{"--target"}, 2, "", "--target needs a value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := execute([]byte(tt.stdin), nil, append([]string{program, "compile"}, tt.args...)...)
			var f wire.Failure
			if tt.kind != "" {
				if err := json.Unmarshal([]byte(stderr), &f); err != nil || strings.Count(stderr, "\n") != 1 {
					t.Fatalf("compile %v says %q, which is not a line of JSON: %v", tt.args, stderr, err)
				}
			}
			if status != tt.status || f.Kind != tt.kind || !strings.Contains(stderr, tt.says) && !strings.Contains(f.Text, tt.says) || stdout != "" {
				t.Fatalf("compile %v: status %d, %q, %q; want %d, kind %s, %q", tt.args, status, stdout, stderr, tt.status, tt.kind, tt.says)
			}
		})
	}
}

func TestCompileWritesToAFileOrSaysWhyNot(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name  string
		shell string // starts compile
		says  string // what is wrong, if anything is
	}{
		{name: "a file", shell: `exec "$@" >` + filepath.Join(dir, "file")},
		{name: "a file, where none may be written, as below a sandbox", shell: `ulimit -f 0; exec "$@" >` + filepath.Join(dir, "limited"), says: "file too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr, status := execute([]byte("\x00asm\x01\x00\x00\x00"), nil, "/bin/sh", "-c", tt.shell, "sh", program, "compile", "--target", "pulley64")
			want := 1
			if tt.says == "" {
				want = 0
			}
			if status != want || !strings.Contains(stderr, tt.says) {
				t.Fatalf("compile, %s: status %d, %q; want %d, %q", tt.shell, status, stderr, want, tt.says)
			}
		})
	}
	b, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil || !bytes.HasPrefix(b, []byte("\x7fELF")) {
		t.Errorf("compile wrote a file of %d bytes that begins with %q, %v; want code", len(b), b[:min(4, len(b))], err)
	}
}

// Components of WebAssembly text, which are libraries or want what is not there.
func TestRunOfComponentsThatAreNoPrograms(t *testing.T) {
	const add = `(component
		(core module $m (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
			(func (export "not") (param i32) (result i32) (i32.eqz (local.get 0))))
		(core instance $i (instantiate $m))
		(func $add (param "a" u8) (param "b" s32) (result s32) (canon lift (core func $i "add")))
		(func $not (param "a" bool) (result bool) (canon lift (core func $i "not")))
		(export "add" (func $add))
		(instance $logic (export "not" (func $not)))
		(export "example:maths/logic@1.0.0" (instance $logic)))`
	importing := func(instance string) string {
		return `(component (import "` + instance + `" (instance $i (export "f" (func))))
			(core func $f (canon lower (func $i "f")))
			(core module $m (import "" "f" (func)) (export "f" (func 0)))
			(core instance $c (instantiate $m (with "" (instance (export "f" (func $f))))))
			(func $g (canon lift (core func $c "f"))) (export "g" (func $g)))`
	}
	tests := []struct {
		name, wat, invoke string
		args              []string
		stdout, stderr    string
	}{
		{name: "a library", wat: add, stderr: "exports no wasi:cli/run@0.2.x, so it is a library"},
		{name: "a function", wat: add, invoke: "add", args: []string{"200", "-201"}, stdout: "-1\n"},
		{name: "a number that does not fit", wat: add, invoke: "add", args: []string{"256", "0"}, stderr: `"256": argument does not fit: it is no u8`},
		{name: "a function of an instance", wat: add, invoke: "example:maths/logic@1.0.0#not", args: []string{"false"}, stdout: "true\n"},
		{name: "no such function", wat: add, invoke: "subtract", stderr: `exports no function "subtract"`},
		{name: "an import that is not there", wat: importing("example:missing/thing"), invoke: "g", stderr: "it needs what is not there: "},
		{
			name: "a server", stderr: "run the package with wasmtime serve, Spin or wasmCloud",
			wat: `(component (core module $m (func (export "h"))) (core instance $i (instantiate $m))
				(func $h (canon lift (core func $i "h"))) (instance $s (export "handle" (func $h)))
				(export "wasi:http/incoming-handler@0.2.3" (instance $s)))`,
		},
		{
			name: "a client of HTTP", wat: importing("wasi:http/types@0.2.0"), invoke: "g",
			stderr: "run the package with wasmtime serve, Spin or wasmCloud",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wasm, err := wasmtime.Wat2Wasm(tt.wat)
			if err != nil {
				t.Fatal(err)
			}
			code, stderr, status := execute(wasm, nil, program, "compile", "--target", target)
			if status != 0 {
				t.Fatalf("compile: status %d, %s", status, stderr)
			}
			spec := wire.Spec{Protocol: wire.Protocol, Kind: wire.Component, Target: target, Invoke: tt.invoke}
			spec.Code = filepath.Join(t.TempDir(), "code")
			if err := os.WriteFile(spec.Code, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			want := 0
			if tt.stderr != "" {
				want = wire.ExitFailed
			}
			stdout, stderr, status := execute(nil, nil, append([]string{program, "run", "--spec", write(t, spec, t.TempDir(), "spec"), "--"}, tt.args...)...)
			if stdout != tt.stdout || status != want || !strings.Contains(stderr, tt.stderr) {
				t.Fatalf("run: status %d, %q, %q; want %d, %q, %q", status, stdout, stderr, want, tt.stdout, tt.stderr)
			}
		})
	}
}
