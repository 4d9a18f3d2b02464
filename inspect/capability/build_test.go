package capability_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
	"github.com/wreg-project/wreg/inspect/wasm"
)

// analyse reads a binary and says what it may do.
func analyse(t testing.TB, file []byte) *capability.Result {
	t.Helper()
	b, err := wasm.Parse(file)
	if err != nil {
		t.Fatalf("wasm.Parse of %d bytes = %v", len(file), err)
	}
	return capability.Analyse(b, graph)
}

// graph gives a module's call graph, none for a module that does not decode.
func graph(b *wasm.Binary) *code.Graph {
	m, err := code.Analyse(b)
	if err != nil {
		return nil
	}
	return m.Graph
}

// summary writes capabilities down in lines such as
// "files-read reachable program: contents".
func summary(list []capability.Capability) []string {
	lines := []string{}
	for _, c := range list {
		s := fmt.Sprintf("%s %v %v", c.ID, c.Level, c.Origin)
		if c.Possible {
			s += " possible"
		}
		if len(c.Access) > 0 {
			s += ": " + strings.Join(c.Access, " ")
		}
		lines = append(lines, s)
	}
	return lines
}

// program gives the lines of summary that are the program's, in short:
// "files-read: contents".
func program(list []capability.Capability) []string {
	lines := []string{}
	for _, s := range summary(slices.DeleteFunc(slices.Clone(list), func(c capability.Capability) bool {
		return c.Level != capability.Reachable || c.Origin != capability.Program
	})) {
		lines = append(lines, strings.Replace(s, " reachable program", "", 1))
	}
	return lines
}

// build writes source into a new folder, runs a command there, and reads what it
// made.
func build(t *testing.T, source map[string]string, out string, env []string, command ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range source {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, text)
	}
	file, err := os.ReadFile(filepath.Join(dir, out))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func buildGo(t *testing.T, source string, flags ...string) []byte {
	t.Helper()
	args := append([]string{"go", "build", "-trimpath", "-o", "out.wasm"}, flags...)
	return build(t, map[string]string{"main.go": source, "go.mod": "module app\n\ngo 1.25\n"}, "out.wasm",
		[]string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-mod=mod", "GOWORK=off"}, append(args, ".")...)
}

func buildRust(t *testing.T, source string) []byte {
	t.Helper()
	return build(t, map[string]string{"main.rs": source}, "out.wasm", nil,
		"rustc", "--target", "wasm32-wasip1", "--edition", "2021", "-O", "-o", "out.wasm", "main.rs")
}

// buildC compiles and links in two steps: in one, clang runs wasm-opt if there is
// one, which drops the names of functions.
func buildC(t *testing.T, source string) []byte {
	t.Helper()
	return build(t, map[string]string{"main.c": source}, "out.wasm", nil, "sh", "-ec",
		"clang --target=wasm32-wasi -O2 -c -o main.o main.c && clang --target=wasm32-wasi -o out.wasm main.o")
}

// goStart is what Go's runtime does in every program.
var goStart = []string{
	"arguments reachable runtime", "environment reachable runtime", "exit reachable runtime", "clock reachable runtime",
	"poll reachable runtime", "random reachable runtime",
}

// check compares what a program does, and if runtime is not nil everything.
func check(t *testing.T, r *capability.Result, want []string, all []string) {
	t.Helper()
	if diff := cmp.Diff(want, program(r.Capabilities)); diff != "" {
		t.Errorf("Analyse: what the program does (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(all, summary(r.Capabilities)); all != nil && diff != "" {
		t.Errorf("Analyse: what the module may do (-want +got)\n%s", diff)
	}
}

// A Go program that imports package os asks for the standard streams, whether it
// uses them or not.
func TestGoPrograms(t *testing.T) {
	tests := []struct {
		name, source string
		program      []string
		all          []string // nil is not looked at
	}{
		{
			name: "only computes",
			source: `package main

var sink int

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func main() { sink = fib(20) }
`,
			program: []string{},
			all:     append([]string{"stdio reachable runtime: stderr stdout"}, goStart...),
		},
		{
			name:    "prints",
			source:  "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n",
			program: []string{"stdio: state stderr stdout"},
			all: slices.Concat([]string{"stdio reachable program: state stderr stdout"}, goStart,
				[]string{"preopens reachable runtime"}),
		},
		{
			name: "reads a file and prints",
			source: `package main

import (
	"fmt"
	"os"
)

func main() {
	b, err := os.ReadFile("in.txt")
	fmt.Println(len(b), err)
}
`,
			program: []string{"stdio possible: state stderr stdin stdout", "files-read: contents metadata"},
			all: slices.Concat([]string{"stdio reachable program possible: state stderr stdin stdout"}, goStart, []string{
				"preopens reachable runtime", "files-read reachable program: contents metadata",
				"files-write reachable runtime possible: contents names",
			}),
		},
		{
			name: "writes a file",
			source: `package main

import "os"

func main() {
	if err := os.WriteFile("out.txt", []byte("x"), 0o644); err != nil {
		panic(err)
	}
}
`,
			program: []string{
				"stdio possible: state stderr stdout", "files-read: metadata", "files-write: contents names",
			},
		},
		{
			name:    "removes a file",
			source:  "package main\n\nimport \"os\"\n\nfunc main() { _ = os.Remove(\"out.txt\") }\n",
			program: []string{"stdio: state stderr stdout", "files-write: names"},
		},
		{
			// Package net reads the host's lists of protocols and services.
			name: "accepts a connection",
			source: `package main

import (
	"net"
	"os"
)

func main() {
	l, err := net.FileListener(os.NewFile(3, ""))
	if err != nil {
		panic(err)
	}
	if _, err := l.Accept(); err != nil {
		panic(err)
	}
}
`,
			program: []string{
				"stdio possible: state stderr stdin stdout", "clock", "poll", "files-read: contents metadata",
				"net-inbound: accept",
			},
		},
		{
			name: "asks for the time, a variable and a random number",
			source: `package main

import (
	"math/rand/v2"
	"os"
	"time"
)

func main() { println(os.Getenv("X"), time.Now().Unix(), rand.Int()) }
`,
			program: []string{"stdio: state stderr stdout", "environment", "clock", "random"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, analyse(t, buildGo(t, tt.source)), tt.program, tt.all)
		})
	}
}

// Without names, nothing tells the runtime's calls from the program's: all are
// the program's then, and no capability is lost.
func TestAStrippedProgramOwnsAllItsCapabilities(t *testing.T) {
	source := "package main\n\nimport \"os\"\n\nfunc main() { _, _ = os.ReadFile(\"in.txt\") }\n"
	r := analyse(t, buildGo(t, source, "-ldflags=-s -w"))
	for _, c := range r.Capabilities {
		if c.Origin != capability.Program || c.Level != capability.Reachable {
			t.Errorf("Analyse: %s is %v, %v; want reachable, program", c.ID, c.Level, c.Origin)
		}
	}
	if _, ok := r.Find(capability.FilesWrite); !ok {
		t.Errorf("Analyse: no files-write; want it, as the rights are not known")
	}
}

func TestRustPrograms(t *testing.T) {
	tests := []struct {
		name, source string
		program      []string
		all          []string
	}{
		{
			name: "only computes",
			source: `fn fib(n: u32) -> u32 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
fn main() { std::hint::black_box(fib(std::hint::black_box(10))); }
`,
			program: []string{},
			all:     []string{"stdio reachable runtime: stderr stdout", "environment reachable runtime", "exit reachable runtime"},
		},
		{
			name:    "prints",
			source:  "fn main() { println!(\"hello\"); }\n",
			program: []string{"stdio: stderr stdout"},
		},
		{
			name: "reads a file",
			source: `use std::io::Read;
fn main() {
    let mut b = Vec::new();
    if std::fs::File::open("in.txt").and_then(|mut f| f.read_to_end(&mut b)).is_err() { std::process::exit(1); }
    std::hint::black_box(b);
}
`,
			program: []string{"stdio: state stderr stdin stdout", "exit", "files-read: contents"},
		},
		{
			name: "writes a file",
			source: `fn main() { if std::fs::write("out.txt", b"x").is_err() { std::process::exit(1); } }
`,
			program: []string{"stdio: state stderr stdout", "exit", "files-write: contents names"},
		},
		{
			// wasi-libc ends a program whose environment it cannot read.
			name: "asks for a variable and its arguments",
			source: `fn main() {
    std::hint::black_box((std::env::var_os("X"), std::env::args_os().count()));
}
`,
			program: []string{"arguments", "environment", "exit"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, analyse(t, buildRust(t, tt.source)), tt.program, tt.all)
		})
	}
}

var cPrograms = []struct {
	name, source string
	program      []string
	all          []string
	component    []string // of the same program behind the adapter to WASI 0.2
}{
	{
		name: "only computes",
		source: `static unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
volatile unsigned in = 10;
int main(void) { return (int)(fib(in) & 1); }
`,
		program:   []string{},
		all:       []string{"exit reachable runtime"},
		component: []string{"stdio adapter runtime: stderr", "exit reachable runtime"},
	},
	{
		name:    "prints",
		source:  "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n",
		program: []string{"stdio: state stderr stdout"},
		all:     []string{"stdio reachable program: state stderr stdout", "exit reachable runtime"},
		component: []string{
			"stdio reachable program: state stderr stdout", "terminal adapter runtime", "exit reachable runtime",
			"preopens adapter runtime", "files-write adapter runtime: contents",
		},
	},
	{
		name: "reads a file",
		source: `#include <fcntl.h>
#include <unistd.h>
int main(void) {
  char b[64];
  int fd = open("in.txt", O_RDONLY);
  return fd < 0 || read(fd, b, sizeof b) < 1 || b[0] == 'x';
}
`,
		program: []string{"stdio possible: state stdin", "files-read: contents"},
		all: []string{
			"stdio reachable program possible: state stdin", "exit reachable runtime", "preopens reachable runtime",
			"files-read reachable program: contents",
		},
		component: []string{
			"stdio reachable program possible: state stdin", "terminal adapter runtime", "exit reachable runtime",
			"preopens reachable runtime", "files-read reachable program: contents",
		},
	},
	{
		name: "writes a file",
		source: `#include <fcntl.h>
#include <unistd.h>
int main(void) {
  int fd = open("out.txt", O_WRONLY | O_CREAT, 0644);
  return fd < 0 || write(fd, "x", 1) != 1;
}
`,
		program: []string{"stdio possible: state stderr stdout", "files-write: contents names"},
	},
	{
		// The mode of fopen is a string that is read at run time.
		name: "reads a file as a stream and prints",
		source: `#include <stdio.h>
int main(void) {
  char b[64];
  FILE *f = fopen("in.txt", "r");
  if (!f) return 1;
  printf("%zu\n", fread(b, 1, sizeof b, f));
  return 0;
}
`,
		program: []string{
			"stdio possible: state stderr stdin stdout", "files-read possible: contents", "files-write possible: contents names",
		},
	},
	{
		name: "answers on a socket",
		source: `#include <sys/socket.h>
int main(void) {
  char b[64];
  int c = accept(3, 0, 0);
  return c < 0 || send(c, b, (size_t)recv(c, b, sizeof b, 0), 0) < 0;
}
`,
		program: []string{"net-inbound: accept receive send"},
	},
	{
		name:    "reads its arguments",
		source:  "int main(int argc, char **argv) { return argc > 1 && argv[1][0] == 'x'; }\n",
		program: []string{"arguments", "exit"},
	},
}

func TestCPrograms(t *testing.T) {
	for _, tt := range cPrograms {
		t.Run(tt.name, func(t *testing.T) {
			check(t, analyse(t, buildC(t, tt.source)), tt.program, tt.all)
		})
	}
}

// The linker of Rust's component targets puts the adapter of WASI 0.1 to 0.2
// around a module. What that imports for other programs is told apart.
func TestAComponentsAdapterDoesNotCountForTheProgram(t *testing.T) {
	for _, tt := range cPrograms {
		if tt.component == nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			file := build(t, map[string]string{"main.c": tt.source}, "out.wasm", nil, "sh", "-ec", linkComponent)
			r := analyse(t, file)
			if diff := cmp.Diff(tt.component, summary(r.Capabilities)); diff != "" {
				t.Errorf("Analyse (-want +got)\n%s", diff)
			}
			var roles []string
			for _, m := range r.Modules {
				roles = append(roles, m.Role)
			}
			if want := []string{"main", "adapter", "shim", "shim"}; !slices.Equal(roles, want) {
				t.Errorf("Analyse: roles of modules %q; want %q", roles, want)
			}
			if len(r.Modules) > 0 && tt.all != nil {
				if diff := cmp.Diff(tt.all, summary(r.Modules[0].Capabilities)); diff != "" {
					t.Errorf("Analyse: what the main module asks for (-want +got)\n%s", diff)
				}
			}
		})
	}
}

const linkComponent = `
bin=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
clang --target=wasm32-wasi -O2 -c -o main.o main.c
"$bin/wasm-component-ld" --wasm-ld-path "$(command -v wasm-ld)" --wasi-adapter command -m wasm32 \
  -L/usr/lib/wasm32-wasi /usr/lib/wasm32-wasi/crt1-command.o main.o -lc -o out.wasm
`

func TestRustComponents(t *testing.T) {
	source := "fn main() { println!(\"{}\", std::env::args().count()); }\n"
	file := build(t, map[string]string{"main.rs": source}, "out.wasm", nil,
		"rustc", "--target", "wasm32-wasip2", "--edition", "2021", "-O", "-o", "out.wasm", "main.rs")
	r := analyse(t, file)
	c, ok := r.Find(capability.Arguments)
	if !ok || c.Origin != capability.Program || c.Level != capability.Reachable {
		t.Fatalf("Analyse: arguments = %+v, %t; want it reachable, of the program", c, ok)
	}
	e := c.Evidence[0]
	if e.Name != "get-arguments" || e.Root == "" || len(e.Path) == 0 || e.In != "module 0" {
		t.Errorf("Analyse: evidence %+v; want get-arguments with a root and a path in module 0", e)
	}
	if c, ok := r.Find(capability.Environment); !ok || c.Origin != capability.Runtime {
		t.Errorf("Analyse: environment = %+v, %t; want it of the runtime", c, ok)
	}
	if len(r.Unresolved) > 0 {
		t.Errorf("Analyse: unresolved %q; want none", r.Unresolved)
	}
}
