package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// What is measured of native code, and the budgets: milliseconds on the clock
// from the start of a process to its end, the least of all runs, and how much
// longer than the least possible program on the same engine it may take.
const (
	aotSources = "test/bench/testdata"
	aotRuns    = 30  // as far as -seconds allows; one there is always
	startTurns = 100 // likewise, of what has a budget beside the bare program
	coldRuns   = 3
	bareRatio  = 1.5
	runBudget  = 10.0
	bare       = "bare program on wasmtime"
	installed  = "installed command"
)

// A nativeRow is a program from start to end.
type nativeRow struct {
	Program string  `json:"program"`
	By      string  `json:"by"`
	Runs    int     `json:"runs"`
	Wall    float64 `json:"leastMilliseconds"`
	Median  float64 `json:"medianMilliseconds"`
	CPU     float64 `json:"leastCPUMilliseconds"`
	Memory  int64   `json:"peakResidentBytes"`
	Budget  float64 `json:"budgetMilliseconds,omitempty"`
	Ratio   float64 `json:"ratioToBare,omitempty"` // of Wall
}

// A compileRow is one compilation, its process included.
type compileRow struct {
	Program string  `json:"program"`
	Target  string  `json:"target"`
	Tier    string  `json:"tier"`
	Wasm    int64   `json:"wasmBytes"`
	Code    int64   `json:"codeBytes"`
	CPU     float64 `json:"cpuMilliseconds"`
	Memory  int64   `json:"peakResidentBytes"`
}

// An inProcessRow is what a call of package engine takes.
type inProcessRow struct {
	Call   string  `json:"call"`
	Time   float64 `json:"microseconds"`
	Allocs int64   `json:"allocs"` // of Go
}

// A guest is a program that is run in several ways.
type guest struct {
	name   string
	wasm   string // its file
	kind   string
	args   []string
	want   string // what it prints
	budget float64
}

// aotBench is one run of this part.
type aotBench struct {
	o    options
	r    *report
	work string
	env  []string // of wpkg: folders of its own

	prefix []string // starts what is timed, and is not timed itself
}

// measureNative measures programs of native code: their start beside other ways of
// running them, their compilation, and what the level of the CPU is worth.
func measureNative(ctx context.Context, o options, r *report) error {
	work, err := os.MkdirTemp("", "wreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &aotBench{o: o, r: r, work: work}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	b.o = o
	b.env = append(os.Environ(), "HOME="+b.path("home"), "XDG_CACHE_HOME="+b.path("home", "cache"), "XDG_DATA_HOME="+b.path("home", "data"),
		"XDG_CONFIG_HOME="+b.path("home", "config"), "WPKG_ENGINE="+b.engine())
	if err := os.MkdirAll(b.path("home"), 0o700); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.build, b.floor, b.starts, b.peers, b.pulls, b.compilations, b.kernels, b.inProcess} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *aotBench) path(elem ...string) string {
	return filepath.Join(append([]string{b.work}, elem...)...)
}

func (b *aotBench) engine() string { return filepath.Join(b.o.bin, "wpkg-engine") }

func (b *aotBench) wpkg() string { return filepath.Join(b.o.bin, "wpkg") }

// build makes the programs that are measured.
func (b *aotBench) build(ctx context.Context) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/bytecodealliance/wasmtime-go/v39")
	module, err := list.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	wasmtime := filepath.Join(string(bytes.TrimSpace(module)), "build")
	source := func(name string) string { return filepath.Join(aotSources, name) }
	for _, c := range [][]string{
		{"CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.path("start"), "./test/bench/start"},
		{"CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.path("nothing-go"), source("nothing.go")},
		{"GOOS=wasip1", "env", "GOARCH=wasm", "go", "build", "-trimpath", "-o", b.path("nothing.wasm"), source("nothing.go")},
		{"GOOS=wasip1", "env", "GOARCH=wasm", "go", "build", "-trimpath", "-o", b.path("hello.wasm"), source("hello.go")},
		{"LC_ALL=C", "gcc", "-O2", "-static", "-s", "-o", b.path("hello-c"), source("hello.c")},
		{"LC_ALL=C", "gcc", "-O2", "-o", b.path("kernel"), source("kernel.c")},
		{"LC_ALL=C", "clang", "--target=wasm32-wasi", "-O2", "-o", b.path("kernel.wasm"), source("kernel.c")},
		{
			"LC_ALL=C", "gcc", "-O2", "-static", "-s", "-I", filepath.Join(wasmtime, "include"), "-o", b.path("bare"), source("bare.c"),
			"-L" + filepath.Join(wasmtime, "linux-"+machine()), "-lwasmtime", "-lm", "-ldl", "-pthread",
		},
	} {
		cmd := exec.CommandContext(ctx, c[1], c[2:]...)
		cmd.Env = append(os.Environ(), c[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", cmd, err, out)
		}
	}
	return nil
}

// guests are the programs whose start is measured. The large ones are made by
// `make runtimes`, and left out where they are not.
func (b *aotBench) guests() []guest {
	all := []guest{
		{name: "hello in Go", wasm: b.path("hello.wasm"), kind: wire.Module, want: "hello, world\n", budget: 5},
		{name: "esbuild", wasm: filepath.Join(b.o.runtimes, "esbuild.wasm"), kind: wire.Module, args: []string{"--version"}, want: "0.28.2\n", budget: 7},
		{name: "hello in JavaScript", wasm: filepath.Join(b.o.runtimes, "js.wasm"), kind: wire.Component, want: "hello, world\n", budget: 6},
	}
	return slices.DeleteFunc(all, func(g guest) bool {
		_, err := os.Stat(g.wasm)
		if err != nil {
			b.r.note("%s was left out: %v", g.name, err)
		}
		return err != nil
	})
}

// output runs a command with wpkg's folders and returns what it prints.
func (b *aotBench) output(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = b.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", cmd, err, stderr.Bytes())
	}
	return string(out), nil
}

// runs times a program many times, each from before its process is there until it
// is gone.
func (b *aotBench) runs(ctx context.Context, n int, stdin string, env []string, args ...string) (nativeRow, error) {
	rows, err := b.turns(ctx, n, stdin, env, args)
	if err != nil {
		return nativeRow{}, err
	}
	return rows[0], nil
}

// turns is runs for several programs, one after the other, again and again.
func (b *aotBench) turns(ctx context.Context, n int, stdin string, env []string, programs ...[]string) ([]nativeRow, error) {
	limit := time.Duration(b.o.seconds * float64(time.Second) * float64(len(programs))).String()
	args := slices.Concat(b.prefix, []string{b.path("start"), "-runs", strconv.Itoa(n), "-for", limit, "-stdin", stdin})
	for _, p := range programs {
		args = append(append(args, "--"), p...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(b.env[:len(b.env):len(b.env)], env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd, err, stderr.Bytes())
	}
	rows := make([]nativeRow, len(programs))
	wall, cpu := make([][]time.Duration, len(rows)), make([][]time.Duration, len(rows))
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var one struct {
			Program int           `json:"program"`
			Wall    time.Duration `json:"wallNanoseconds"`
			CPU     time.Duration `json:"cpuNanoseconds"`
			Memory  int64         `json:"residentBytes"`
		}
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		k := one.Program
		wall[k], cpu[k], rows[k].Memory = append(wall[k], one.Wall), append(cpu[k], one.CPU), max(rows[k].Memory, one.Memory)
	}
	for k := range rows {
		rows[k].Runs, rows[k].Wall, rows[k].Median, rows[k].CPU = len(wall[k]), ms(slices.Min(wall[k])), median(wall[k]), ms(slices.Min(cpu[k]))
	}
	return rows, nil
}

// add measures a program after a run that shows that it prints what it should, and
// keeps the row.
func (b *aotBench) add(ctx context.Context, g guest, by string, budget float64, args ...string) error {
	if err := b.works(ctx, g, by, args...); err != nil {
		return err
	}
	return b.time(ctx, g, by, budget, args...)
}

// works runs a program once, to see that it prints what it should.
func (b *aotBench) works(ctx context.Context, g guest, by string, args ...string) error {
	out, err := b.output(ctx, args...)
	if err != nil {
		return fmt.Errorf("%s by %s: %w", g.name, by, err)
	}
	if out != g.want {
		return fmt.Errorf("%s by %s prints %q, not %q", g.name, by, out, g.want)
	}
	return nil
}

// time is add without the run before, of a program that is known to work.
func (b *aotBench) time(ctx context.Context, g guest, by string, budget float64, args ...string) error {
	row, err := b.runs(ctx, aotRuns, os.DevNull, nil, args...)
	if err != nil {
		return fmt.Errorf("%s by %s: %w", g.name, by, err)
	}
	row.Program, row.By, row.Budget = g.name, by, budget
	b.keep(row)
	return nil
}

// keep adds a row, with its ratio to the bare program if that was measured.
func (b *aotBench) keep(row nativeRow) {
	if i := slices.IndexFunc(b.r.Native, func(x nativeRow) bool { return x.Program == row.Program && x.By == bare }); i >= 0 {
		row.Ratio = row.Wall / b.r.Native[i].Wall
	}
	b.r.Native = append(b.r.Native, row)
	fmt.Fprintf(os.Stderr, "%-22s %-34s %9.2f ms %9.2f ms CPU\n", row.Program, row.By, row.Wall, row.CPU)
}

// floor is what every process costs.
func (b *aotBench) floor(ctx context.Context) error {
	if err := b.add(ctx, guest{name: "nothing", want: ""}, "native Go", 0, b.path("nothing-go")); err != nil {
		return err
	}
	return b.add(ctx, guest{name: "hello in C", want: "hello, world\n"}, "native, static", 0, b.path("hello-c"))
}

// starts measures each guest as a command, and by other ways of running it.
func (b *aotBench) starts(ctx context.Context) error {
	for i, g := range b.guests() {
		name := fmt.Sprintf("guest%d", i)
		if _, err := b.output(ctx, b.wpkg(), "install", "--yes", "--bin", b.path("bin"), "--as", name, g.wasm); err != nil {
			return err
		}
		code, err := b.compile(ctx, g.wasm, "", "optimising")
		if err != nil {
			return err
		}
		with := func(args ...string) []string { return append(args, g.args...) }
		// In turns, for what counts is how much more the command takes.
		ways := [][]string{with(b.path("bare"), g.kind, "load", code), with(b.path("bin", name))}
		for k, by := range []string{bare, installed} {
			if err := b.works(ctx, g, by, ways[k]...); err != nil {
				return err
			}
		}
		rows, err := b.turns(ctx, startTurns, os.DevNull, nil, ways...)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		rows[0].Program, rows[0].By = g.name, bare
		rows[1].Program, rows[1].By, rows[1].Budget = g.name, installed, g.budget
		b.keep(rows[0])
		b.keep(rows[1])
		if err := b.time(ctx, g, "compiled at each start", 0, with(b.path("bare"), g.kind, "jit", g.wasm)...); err != nil {
			return err
		}
		if err := b.wazero(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// wazero measures a module by the command of wazero, which knows no components.
func (b *aotBench) wazero(ctx context.Context, g guest) error {
	program := filepath.Join(b.o.runtimes, "wazero")
	if _, err := os.Stat(program); g.kind != wire.Module || err != nil {
		if err != nil {
			b.r.note("wazero was left out: %v", err)
		}
		return nil
	}
	if err := b.add(ctx, g, "wazero with its cache", 0, append([]string{program, "run", "-cachedir", b.path("wazero"), g.wasm}, g.args...)...); err != nil {
		return err
	}
	return b.time(ctx, g, "wazero", 0, append([]string{program, "run", g.wasm}, g.args...)...)
}

// peers measures the hello of other worlds.
func (b *aotBench) peers(ctx context.Context) error {
	hello := guest{name: "hello in Go", wasm: b.path("hello.wasm"), kind: wire.Module, want: "hello, world\n"}
	code, err := b.compile(ctx, hello.wasm, "pulley64", "optimising")
	if err != nil {
		return err
	}
	spec, err := b.spec(code, "pulley64")
	if err != nil {
		return err
	}
	if err := b.add(ctx, hello, "portable bytecode, pulley64", 0, b.engine(), "run", "--spec", spec); err != nil {
		return err
	}
	if node, err := exec.LookPath("node"); err != nil {
		b.r.note("node was left out: %v", err)
	} else if err := b.add(ctx, guest{name: "nothing"}, "node -e 0", 0, node, "-e", "0"); err != nil {
		return err
	}
	return b.container(ctx)
}

// spec describes a run for the engine, and returns the file.
func (b *aotBench) spec(code, target string, args ...string) (string, error) {
	text, err := json.Marshal(wire.Spec{Protocol: wire.Protocol, Code: code, Kind: wire.Module, Target: target, Args: append([]string{"guest"}, args...)})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(b.work, "spec-")
	if err != nil {
		return "", err
	}
	if _, err := f.Write(text); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// container measures a container of one static program, without image, network and
// control groups: what is left of it is the least.
func (b *aotBench) container(ctx context.Context) error {
	crun, err := exec.LookPath("crun")
	if err != nil {
		b.r.note("containers were left out: %v", err)
		return nil
	}
	bundle := b.path("bundle")
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		return err
	}
	if err := os.Link(b.path("hello-c"), filepath.Join(bundle, "rootfs", "hello")); err != nil {
		return err
	}
	spec := exec.CommandContext(ctx, crun, "spec")
	spec.Dir = bundle
	if out, err := spec.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", spec, err, out)
	}
	file := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	process, isProcess := config["process"].(map[string]any)
	linux, isLinux := config["linux"].(map[string]any)
	if !isProcess || !isLinux {
		return fmt.Errorf("%s describes no process for Linux", file)
	}
	process["args"], process["terminal"] = []string{"/hello"}, false
	delete(linux, "resources")
	linux["namespaces"], config["mounts"] = without(linux["namespaces"], "cgroup"), without(config["mounts"], "cgroup")
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	g := guest{name: "hello in C", want: "hello, world\n"}
	args := []string{crun, "--root", b.path("crun"), "--cgroup-manager=disabled", "run", "--bundle", bundle, "bench"}
	if _, err := b.output(ctx, args...); err == nil {
		return b.add(ctx, g, "crun run", 0, args...)
	}
	// It refuses machines that have control groups of both versions. It sees none in
	// a namespace whose folder of them is empty, which costs it nothing.
	hidden := []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /sys/fs/cgroup && exec "$0" "$@"`}
	if _, err := b.output(ctx, append(hidden, args...)...); err != nil {
		b.r.note("containers were left out: %v", err) // as where namespaces are forbidden
		return nil
	}
	b.prefix = hidden
	defer func() { b.prefix = nil }()
	return b.time(ctx, g, "crun run", 0, args...)
}

// without is a list of a container's description less the entries of a type.
func without(list any, kind string) []any {
	entries, _ := list.([]any)
	return slices.DeleteFunc(entries, func(e any) bool {
		entry, ok := e.(map[string]any)
		return ok && entry["type"] == kind
	})
}

// pulls measures a package of a registry on this machine: nothing known, known and
// asked for again, and known.
func (b *aotBench) pulls(ctx context.Context) error {
	s, err := start(ctx, b.o, "wreg-sqlite", b.path("registry"), false)
	if err != nil {
		return err
	}
	defer s.stop()
	reference := s.addr + "/bench/hello:1.0.0"
	if _, err := b.output(ctx, b.wpkg(), "push", reference, b.path("hello.wasm")); err != nil {
		return err
	}
	if err := b.cold(ctx, "wpkg run, nothing known", reference); err != nil {
		return err
	}
	if err := b.attested(ctx, reference); err != nil {
		return err
	}
	if err := b.cold(ctx, "wpkg run, nothing known, code of a trusted compiler", "--trust-policy", b.path("trust.yaml"), reference); err != nil {
		return err
	}
	g := guest{name: coldProgram, want: "hello, world\n"}
	if err := b.add(ctx, g, "wpkg run --pull always", 0, b.wpkg(), "run", "--pull", "always", reference); err != nil {
		return err
	}
	return b.add(ctx, g, "wpkg run", runBudget, b.wpkg(), "run", reference)
}

// coldProgram is what pulls runs.
const coldProgram = "hello in Go"

// cold measures a run from an empty cache.
func (b *aotBench) cold(ctx context.Context, by string, args ...string) error {
	var best nativeRow
	for i := range coldRuns {
		cache := b.path(fmt.Sprintf("cold%d", i))
		if err := os.RemoveAll(cache); err != nil {
			return err
		}
		row, err := b.runs(ctx, 1, os.DevNull, []string{"XDG_CACHE_HOME=" + cache}, append([]string{b.wpkg(), "run"}, args...)...)
		if err != nil {
			return err
		}
		if i == 0 || row.Wall < best.Wall {
			best = row
		}
	}
	best.Program, best.By, best.Runs = coldProgram, by, coldRuns
	b.keep(best)
	return nil
}

// attested hangs native code for this machine on a package, and writes a trust
// policy, trust.yaml, by which its compiler is trusted.
func (b *aotBench) attested(ctx context.Context, reference string) error {
	host, err := b.host(ctx)
	if err != nil {
		return err
	}
	key := b.path("compiler")
	for _, args := range [][]string{
		{"key", "generate", "-o", key, "--no-password"},
		{"compile", reference, "--target", host, "--push", "--sign", "--key", key + ".key"},
	} {
		if _, err := b.output(ctx, append([]string{b.wpkg()}, args...)...); err != nil {
			return err
		}
	}
	const policy = "version: 1\nsigners: {compiler: {key: compiler.pub}}\npackages: [{match: '**', accept: unsigned}]\ncompilers: [compiler]\n"
	return os.WriteFile(b.path("trust.yaml"), []byte(policy), 0o600)
}

// compile makes native code of a module or component, for the best target of this
// machine if none is named, and returns its file.
func (b *aotBench) compile(ctx context.Context, wasm, target, tier string) (string, error) {
	if target == "" {
		var err error
		if target, err = b.host(ctx); err != nil {
			return "", err
		}
	}
	in, err := os.Open(wasm)
	if err != nil {
		return "", err
	}
	defer in.Close()
	cmd := exec.CommandContext(ctx, b.engine(), "compile", "--target", target, "--tier", tier)
	var code, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &code, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", cmd, err, stderr.Bytes())
	}
	f, err := os.CreateTemp(b.work, "code-")
	if err != nil {
		return "", err
	}
	if _, err := f.Write(code.Bytes()); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// ids is what the engine can do here.
func (b *aotBench) ids(ctx context.Context) (*wire.IDs, error) {
	out, err := b.output(ctx, b.engine(), "ids")
	if err != nil {
		return nil, err
	}
	var ids wire.IDs
	return &ids, json.Unmarshal([]byte(out), &ids)
}

func (b *aotBench) host(ctx context.Context) (string, error) {
	ids, err := b.ids(ctx)
	if err != nil {
		return "", err
	}
	return ids.Host, nil
}

// compilations measures the compiler, its process included.
func (b *aotBench) compilations(ctx context.Context) error {
	host, err := b.host(ctx)
	if err != nil {
		return err
	}
	for _, g := range b.guests() {
		for _, c := range []compileRow{{Target: host, Tier: "optimising"}, {Target: host, Tier: "fast"}, {Target: "pulley64", Tier: "optimising"}} {
			code, err := b.compile(ctx, g.wasm, c.Target, c.Tier)
			if err != nil {
				return err
			}
			row, err := b.runs(ctx, coldRuns, g.wasm, nil, b.engine(), "compile", "--target", c.Target, "--tier", c.Tier)
			if err != nil {
				return err
			}
			c.Program, c.CPU, c.Memory = g.name, row.CPU, row.Memory
			if c.Wasm, err = sizeOf(g.wasm); err != nil {
				return err
			}
			if c.Code, err = sizeOf(code); err != nil {
				return err
			}
			b.r.Compilations = append(b.r.Compilations, c)
			fmt.Fprintf(os.Stderr, "compile %-22s %-16s %-10s %9.0f ms CPU\n", c.Program, c.Target, c.Tier, c.CPU)
		}
	}
	return nil
}

func sizeOf(file string) (int64, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// kernels measures two computations natively and on each level of the CPU.
func (b *aotBench) kernels(ctx context.Context) error {
	ids, err := b.ids(ctx)
	if err != nil {
		return err
	}
	targets := make([]string, 0, len(ids.Targets))
	for _, t := range ids.Targets {
		targets = append(targets, t.Target)
	}
	wasm := b.path("kernel.wasm")
	for _, kernel := range []string{"sha", "bits"} {
		want, err := b.output(ctx, b.path("kernel"), kernel)
		if err != nil {
			return err
		}
		g := guest{name: "kernel " + kernel, want: want}
		if err := b.add(ctx, g, "native, gcc -O2", 0, b.path("kernel"), kernel); err != nil {
			return err
		}
		for _, way := range append([][2]string{{ids.Host, "fast"}}, optimising(targets)...) {
			code, err := b.compile(ctx, wasm, way[0], way[1])
			if err != nil {
				return err
			}
			spec, err := b.spec(code, way[0], kernel)
			if err != nil {
				return err
			}
			if err := b.add(ctx, g, way[0]+", "+way[1], 0, b.engine(), "run", "--spec", spec); err != nil {
				return err
			}
		}
	}
	return nil
}

func optimising(targets []string) [][2]string {
	var list [][2]string
	for _, t := range targets {
		list = append(list, [2]string{t, "optimising"})
	}
	return list
}

// inProcess runs the benchmarks of package engine on a program in Go that does
// nothing.
func (b *aotBench) inProcess(ctx context.Context) error {
	host, err := b.host(ctx)
	if err != nil {
		return err
	}
	code, err := b.compile(ctx, b.path("nothing.wasm"), host, "optimising")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=.", "-benchmem", "-benchtime=300x", "-count=3", "./artifact/aot/wasmtime/engine")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "BENCH_CODE="+code, "BENCH_TARGET="+host)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	rows, err := benchmarks(bytes.NewReader(out))
	b.r.InProcess = rows
	return err
}

// benchmarks reads what go test prints of benchmarks: of each the quickest.
func benchmarks(r io.Reader) ([]inProcessRow, error) {
	var rows []inProcessRow
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 8 || !strings.HasPrefix(f[0], "Benchmark") || f[7] != "allocs/op" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(f[0], "Benchmark"), "-")
		ns, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f[0], err)
		}
		allocs, err := strconv.ParseInt(f[6], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f[0], err)
		}
		row := inProcessRow{Call: name, Time: ns / 1000, Allocs: allocs}
		if i := slices.IndexFunc(rows, func(x inProcessRow) bool { return x.Call == name }); i < 0 {
			rows = append(rows, row)
		} else if row.Time < rows[i].Time {
			rows[i] = row
		}
	}
	if len(rows) == 0 {
		return nil, errors.New("package engine has no benchmarks")
	}
	return rows, nil
}

func (r *report) printNative(out io.Writer) {
	if len(r.Native) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "start to end of\tby\truns\tleast ms\tmedian ms\tleast CPU ms\tpeak MB\tof bare\tbudget\t")
	for _, w := range r.Native {
		ratio, verdict := "", ""
		if w.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f×", w.Ratio)
		}
		if w.Budget > 0 {
			verdict = fmt.Sprintf("%.0f ms %s", w.Budget, metOr(w.Wall <= w.Budget))
		}
		if w.By == installed {
			verdict += fmt.Sprintf(", %.1f× %s", bareRatio, metOr(w.Ratio <= bareRatio))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t%s\t%s\t\n", w.Program, w.By, w.Runs, w.Wall, w.Median, w.CPU, float64(w.Memory)/1e6, ratio, verdict)
	}
	t.Flush()
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "compile\ttarget\ttier\tMB in\tMB out\tCPU ms\tMB in/CPU s\tpeak MB\t")
	for _, w := range r.Compilations {
		in := float64(w.Wasm) / 1e6
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%.1f\t%.0f\t%.2f\t%.0f\t\n",
			w.Program, w.Target, w.Tier, in, float64(w.Code)/1e6, w.CPU, in/w.CPU*1000, float64(w.Memory)/1e6)
	}
	t.Flush()
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "in one process\tleast µs\tallocs\t")
	for _, w := range r.InProcess {
		fmt.Fprintf(t, "%s\t%.1f\t%d\t\n", w.Call, w.Time, w.Allocs)
	}
	t.Flush()
	fmt.Fprintln(out)
}

// machine is what wasmtime calls this architecture.
func machine() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64"
	}
	return "x86_64"
}
