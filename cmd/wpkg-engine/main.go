//go:build cgo && (linux || darwin)

// Command wpkg-engine has the WebAssembly engine that wpkg does without: it
// compiles packages to native code and runs them. wpkg starts it; under another
// name it is an installed command. It is a program of its own so that wpkg needs
// no C library, that every start of a package is cheap, and that an engine that
// crashes has no credentials in its memory (docs/adr).
//
//	wpkg-engine ids
//	wpkg-engine compile --target linux/amd64/v3 --tier optimising|fast <in.wasm >out.cwasm
//	wpkg-engine run --spec FILE | --spec-fd N [-- ARGUMENT…]
//
// What goes in and comes out is in package wire, exit statuses too. The compiler
// is confined (package sandbox), and wpkg lets it write to no file: started by
// wpkg, its output and its errors have to go to pipes. Started by a person, its
// output may be a file. What it could not write is an error, never a shorter file
// and status 0.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/engine"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/internal/sandbox"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/internal/version"
)

const usage = `wpkg-engine compiles and runs WebAssembly for wpkg, which starts it; it is not for people.

usage: wpkg-engine ids
       wpkg-engine compile --target TARGET [--tier optimising|fast] <WASM >CODE
       wpkg-engine run (--spec FILE | --spec-fd N) [-- ARGUMENT…]
`

// self is the name of this program. A file of a name that begins with it is this
// program for another machine; any other is an installed command.
const self = "wpkg-engine"

// blocked is how much longer than its time limit a guest may wait for input or a
// timer, where the engine cannot stop it.
const blocked = 100 * time.Millisecond

// init keeps what follows on the first thread of the process. On another the C
// library would take memory in small pieces, and each would cost an interrupt of
// the other processors.
func init() { runtime.LockOSThread() }

func main() {
	name := filepath.Base(os.Args[0])
	if !strings.HasPrefix(name, self) {
		os.Exit(installed(name, os.Args[1:]))
	}
	os.Exit(command(os.Args[1:]))
}

// command runs one of our own commands.
func command(args []string) int {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "ids":
		return ids(args)
	case "compile":
		return compile(args)
	case "run":
		return run(args)
	case "version", "--version":
		fmt.Printf("%s %s, wasmtime %s\n", self, version.Get().Version, engine.Version)
		return 0
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return 2
}

// options reads flags that all take a value, and what follows "--".
func options(args []string, into map[string]*string) (rest []string, err error) {
	for len(args) > 0 && args[0] != "--" {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		target := into[name]
		if target == nil {
			return nil, fmt.Errorf("unknown argument %q", name)
		}
		if !joined {
			if len(args) == 0 {
				return nil, fmt.Errorf("%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		*target = value
	}
	if len(args) > 0 {
		return args[1:], nil
	}
	return nil, nil
}

func misused(err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n%s", self, err, usage)
	return 2
}

// ids says what this program can do here.
func ids(args []string) int {
	if len(args) > 0 {
		return misused(fmt.Errorf("unknown argument %q", args[0]))
	}
	targets, err := engine.Targets()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", self, err)
		return 1
	}
	answer := wire.IDs{
		Protocol: wire.Protocol, Version: version.Get().Version, Wasmtime: engine.Version, Host: targets[0].Target, Targets: targets,
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", self, err)
		return 1
	}
	return 0
}

// compile reads WebAssembly and writes native code.
func compile(args []string) int {
	var target, tier string
	rest, err := options(args, map[string]*string{"--target": &target, "--tier": &tier})
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unknown argument %q", rest[0])
	}
	if err == nil && tier != "" && tier != "optimising" && tier != "fast" {
		err = fmt.Errorf("--tier %q is neither optimising nor fast", tier)
	}
	if err != nil {
		return misused(err)
	}
	// Before a byte is read that others made.
	if _, err = sandbox.Enter(sandbox.Rules{}); err == nil {
		err = compileStdin(target, tier == "fast")
	}
	if err != nil {
		b, _ := json.Marshal(wire.Failure{Kind: kindOf(err), Text: err.Error()}) // two strings always marshal
		fmt.Fprintf(os.Stderr, "%s\n", b)
		return 1
	}
	return 0
}

func compileStdin(target string, fast bool) error {
	t, err := variant.Parse(target)
	if err != nil {
		return fmt.Errorf("%w: %w", engine.ErrUnsupported, err)
	}
	wasm, err := io.ReadAll(io.LimitReader(os.Stdin, wire.MaxWasm+1))
	if err != nil {
		return err
	}
	if len(wasm) > wire.MaxWasm {
		return fmt.Errorf("%w: more than %d bytes", engine.ErrLimit, wire.MaxWasm)
	}
	e, err := engine.New(engine.Options{Target: t, Fast: fast})
	if err != nil {
		return err
	}
	defer e.Close()
	return e.Compile(wasm, os.Stdout)
}

// kindOf is what the other side is told of an error.
func kindOf(err error) string {
	switch {
	case errors.Is(err, engine.ErrInput):
		return wire.Input
	case errors.Is(err, engine.ErrLimit):
		return wire.Limit
	case errors.Is(err, engine.ErrUnsupported):
		return wire.Unsupported
	}
	return wire.Crash
}

// run runs what a description says, which lies in a file or in an open one.
func run(args []string) int {
	var file, fd string
	rest, err := options(args, map[string]*string{"--spec": &file, "--spec-fd": &fd})
	if err == nil && (file == "") == (fd == "") {
		err = errors.New("run needs either --spec or --spec-fd")
	}
	if err != nil {
		return misused(err)
	}
	if fd != "" {
		if n, err := strconv.ParseUint(fd, 10, 16); err != nil || n < 3 {
			return misused(fmt.Errorf("--spec-fd %q is not a number above 2", fd))
		}
		file = "/dev/fd/" + fd
	}
	spec, err := readSpec(file, wire.ReadSpec)
	if err != nil {
		return failed(self, err)
	}
	status := start("wpkg", spec, rest)
	if spec.Hint != "" && !slices.Contains([]int{0, wire.ExitTimeout, wire.ExitFailed, wire.ExitTrap}, status) {
		fmt.Fprintln(os.Stderr, "hint:", spec.Hint)
	}
	return status
}

// installed runs the command of that name.
func installed(name string, args []string) int {
	file, err := recordOf(name)
	if err != nil {
		return failed(name, err)
	}
	var spec *wire.Spec
	// Who can write to the folder decides what is run.
	if err = folder.Check(filepath.Dir(file)); err == nil {
		spec, err = readSpec(file, wire.ReadCommand)
	}
	if errors.Is(err, folder.ErrOpen) {
		return failed(name, err)
	}
	if errors.Is(err, os.ErrNotExist) {
		return failed(name, fmt.Errorf("not an installed package, there is no %s; `wpkg install` makes commands", file))
	}
	if err != nil {
		return failed(name, fmt.Errorf("%w; `wpkg install` writes it anew", err))
	}
	return start(name, spec, args)
}

// recordOf is the path of the record of an installed command.
func recordOf(name string) (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) { // which the XDG base directory specification has ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "wpkg", "commands", name+".json"), nil
}

func readSpec(file string, read func(io.Reader) (*wire.Spec, error)) (*wire.Spec, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spec, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return spec, nil
}

// start runs the guest and returns the exit status of this program.
func start(name string, spec *wire.Spec, args []string) int {
	if len(spec.Args) == 0 {
		spec.Args = []string{name}
	}
	name = spec.Args[0]
	spec.Args = append(spec.Args, args...)
	t, err := variant.Parse(spec.Target)
	if err != nil {
		return failed(name, err)
	}
	e, err := engine.New(engine.Options{Target: t, Leave: true})
	if err != nil {
		return failed(name, err)
	}
	code, err := e.Load(spec.Code, spec.Kind)
	if err != nil {
		return failed(name, err)
	}
	engine.NativeSignals()
	if spec.TimeoutMS > 0 {
		limit := time.Duration(spec.TimeoutMS) * time.Millisecond
		time.AfterFunc(limit+blocked, func() { os.Exit(ended(name, spec, engine.ErrTimeout)) })
	}
	var status int
	if spec.Invoke != "" {
		err = invoke(code, spec)
	} else {
		status, err = code.Run(spec)
	}
	if err != nil {
		return ended(name, spec, err)
	}
	return status
}

// invoke calls a function and prints what it returns, a line for each value.
func invoke(code *engine.Code, spec *wire.Spec) error {
	results, err := code.Invoke(spec)
	for _, r := range results {
		fmt.Println(r)
	}
	return err
}

// ended says how the guest ended, if not by itself.
func ended(name string, spec *wire.Spec, err error) int {
	var trap *engine.Trap
	switch {
	case errors.Is(err, engine.ErrTimeout):
		complain(name, fmt.Sprintf("stopped: the time limit of %s is over", time.Duration(spec.TimeoutMS)*time.Millisecond))
		return wire.ExitTimeout
	case errors.Is(err, engine.ErrStatus):
		complain(name, fmt.Sprintf("%v; this is %d", err, wire.ExitOther))
		return wire.ExitOther
	case errors.As(err, &trap):
		complain(name, trap.Text)
		return wire.ExitTrap
	}
	if status, exited := engine.Exit(err); exited {
		return status
	}
	return failed(name, err)
}

// failed is for a guest that was not started.
func failed(name string, err error) int {
	complain(name, err.Error())
	return wire.ExitFailed
}

// complain tells a person of the guest, in whose names a terminal may find something
// to obey.
func complain(name, text string) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", term.Clean(name), term.CleanLines(text))
}
