package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/test/bench/measure"
	"github.com/wreg-project/wreg/test/corpus"
)

// childArgument makes this program the process that is measured.
const childArgument = "measure-inspector"

// A task is something that one process does to one file.
type task struct {
	tool, operation string
	command         func(o options, file string) []string

	// inner is set if the process measures the call itself and prints the
	// result, so that its start does not count. For the others everything
	// counts.
	inner bool

	// like names the task of ours that is measured on the same files beside it.
	like string

	// budget is the least MB/s of one core, 0 for none.
	budget float64
}

const (
	decodeTask   = "decode of all code"
	validateTask = "full validation"
	reportTask   = "full report as JSON, the whole process"
	verdictTask  = "validation, the whole process"
)

// tasks lists what is measured; ours first, since the others are compared with
// them.
var tasks = []task{
	{
		tool: "wreg", operation: decodeTask, inner: true, budget: 150,
		command: func(_ options, file string) []string {
			return []string{"/proc/self/exe", childArgument, "decode", file}
		},
	},
	{
		tool: "wreg", operation: validateTask, inner: true, budget: 60,
		command: func(_ options, file string) []string {
			return []string{"/proc/self/exe", childArgument, "validate", file}
		},
	},
	{
		tool: "wreg", operation: verdictTask,
		command: func(o options, file string) []string { return []string{filepath.Join(o.bin, "wpkg"), "validate", file} },
	},
	{
		tool: "wreg", operation: reportTask, budget: 50,
		command: func(o options, file string) []string {
			return []string{filepath.Join(o.bin, "wpkg"), "inspect", "--output", "json", file}
		},
	},
	{
		tool: "wasmtime", operation: validateTask, inner: true, like: validateTask,
		command: func(o options, file string) []string { return []string{o.wasmtime, file} },
	},
	{
		tool: "wabt", operation: "wasm-validate --enable-all", like: verdictTask,
		command: func(_ options, file string) []string { return []string{"wasm-validate", "--enable-all", file} },
	},
	{
		tool: "wabt", operation: "wasm-objdump -x", like: reportTask,
		command: func(_ options, file string) []string { return []string{"wasm-objdump", "-x", file} },
	},
}

// A taken is what one process took for one file.
type taken struct {
	measure.Result
	Peak int64 `json:"peakResidentBytes"`
}

// inspectorRow is one line of the table: a task over all files that the tool
// takes.
type inspectorRow struct {
	Tool      string   `json:"tool"`
	Operation string   `json:"operation"`
	Files     int      `json:"files"`
	Bytes     int64    `json:"bytes"`
	Rate      float64  `json:"megabytesPerCPUSecond"`
	Elapsed   float64  `json:"elapsedSeconds"`
	Allocs    float64  `json:"allocsPerMegabyte"` // -1: not known
	Peak      float64  `json:"peakResidentPerByte"`
	PeakOf    string   `json:"peakResidentFile"`
	Least     int64    `json:"leastPeakResidentBytes"`         // of the smallest file: what the process takes by itself
	Same      float64  `json:"ofOursOnTheSameFiles,omitempty"` // CPU time as a multiple of ours
	Budget    float64  `json:"budget,omitempty"`
	Refused   []string `json:"refused,omitempty"` // files with what the tool says
}

// wallRow is the time a person waits for one report.
type wallRow struct {
	File    string  `json:"file"`
	Bytes   int64   `json:"bytes"`
	Elapsed float64 `json:"elapsedMilliseconds"` // median
	Peak    float64 `json:"peakResidentPerByte"`
	Budget  float64 `json:"budgetMilliseconds"`
}

// The files whose report has a budget in time, and the bound of memory that
// those have whose size outweighs the program's own.
const (
	smallFile, smallBudget = "spidermonkey-splicer.core.wasm", 100
	largeFile, largeBudget = "pandoc-ghc.wasm", 1000
	peakBudget             = 4
	peakCountsFrom         = 5_000_000 // bytes of a file
)

// measureInspector takes every file of the corpus through every task, each in a
// process of its own and the tasks in turn, so that what the machine does
// besides hits all alike. Of several rounds the cheapest counts.
func measureInspector(ctx context.Context, o options, r *report) error {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		return err
	}
	results := make([]map[string]taken, len(tasks))
	for i := range results {
		results[i] = map[string]taken{}
	}
	for _, e := range entries {
		file := filepath.Join(dir, e.File)
		if err := warm(file); err != nil {
			return err
		}
		for round := range o.rounds {
			for i, t := range tasks {
				got, err := runTask(ctx, o, t, file)
				if err != nil {
					return fmt.Errorf("%s, %s, %s: %w", t.tool, t.operation, e.File, err)
				}
				if best, ok := results[i][e.File]; round == 0 || !ok || got.CPU < best.CPU {
					results[i][e.File] = got
				}
			}
		}
		fmt.Fprintf(os.Stderr, "%-36s %4d MB\n", e.File, e.Size/1e6)
	}
	for i, t := range tasks {
		like := slices.IndexFunc(tasks, func(other task) bool { return other.tool == "wreg" && other.operation == t.like })
		var ours map[string]taken
		if like >= 0 {
			ours = results[like]
		}
		r.Inspector = append(r.Inspector, summarise(t, entries, results[i], ours))
	}
	for _, w := range []struct {
		file   string
		budget float64
	}{{smallFile, smallBudget}, {largeFile, largeBudget}} {
		row, err := measureWall(ctx, o, filepath.Join(dir, w.file), w.budget)
		if err != nil {
			return err
		}
		r.Wall = append(r.Wall, row)
	}
	return nil
}

// warm brings the file into the page cache, where all find it.
func warm(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// summarise adds up what a task took for the files that its tool did not refuse.
func summarise(t task, entries []corpus.Entry, results, ours map[string]taken) inspectorRow {
	row := inspectorRow{Tool: t.tool, Operation: t.operation, Allocs: -1, Budget: t.budget}
	var cpu, oursCPU, elapsed time.Duration
	var allocs uint64
	for _, e := range entries {
		got := results[e.File]
		if got.Refused != "" {
			row.Refused = append(row.Refused, e.File+": "+got.Refused)
			continue
		}
		row.Files++
		row.Bytes += e.Size
		if row.Least == 0 || got.Peak < row.Least {
			row.Least = got.Peak
		}
		cpu += got.CPU
		elapsed += got.Elapsed
		allocs += got.Allocs
		oursCPU += ours[e.File].CPU
		if peak := float64(got.Peak) / float64(e.Size); e.Size >= peakCountsFrom && peak > row.Peak {
			row.Peak, row.PeakOf = peak, e.File
		}
	}
	if row.Files == 0 {
		return row
	}
	megabytes := float64(row.Bytes) / 1e6
	row.Rate = megabytes / cpu.Seconds()
	row.Elapsed = elapsed.Seconds()
	if t.inner && t.tool == "wreg" {
		row.Allocs = float64(allocs) / megabytes
	}
	if oursCPU > 0 {
		row.Same = float64(cpu) / float64(oursCPU)
	}
	return row
}

// runTask runs one process over one file and gives what it took.
//
// It does so in a small process between: what the kernel counts as a process's
// peak begins with the memory of the one that started it, and this one's is
// large after the servers.
func runTask(ctx context.Context, o options, t task, file string) (taken, error) {
	how := "process"
	if t.inner {
		how = "call"
	}
	args := append([]string{childArgument, how}, t.command(o, file)...)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return taken{}, err
	}
	var got taken
	err = json.Unmarshal(out, &got)
	got.Refused = strings.ReplaceAll(got.Refused, file, filepath.Base(file))
	return got, err
}

// runProcess runs the command of a task. If inner is set, the process measures
// itself, but for its memory.
func runProcess(args []string, inner bool) (taken, error) {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // whoever ends this process means this
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	cmd.Stderr = &stderr
	if inner {
		cmd.Stdout = &stdout
	} // otherwise what it prints goes to the null device
	begin := time.Now()
	err := cmd.Run()
	got := taken{Result: measure.Result{Elapsed: time.Since(begin)}}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return taken{}, err
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return taken{}, errors.New("this system does not say what a process took")
	}
	got.Peak = usage.Maxrss << 10 // Linux counts in KiB
	if inner {
		if err != nil {
			return taken{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
		}
		err := json.Unmarshal(stdout.Bytes(), &got.Result)
		got.Refused = firstLine(got.Refused)
		return got, err
	}
	got.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if err != nil {
		got.Refused = fmt.Sprintf("%v: %s", err, firstLine(stderr.String()))
	}
	return got, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// measureWall times the report of one file as a person waits for it.
func measureWall(ctx context.Context, o options, file string, budget float64) (wallRow, error) {
	info, err := os.Stat(file)
	if err != nil {
		return wallRow{}, err
	}
	t := tasks[slices.IndexFunc(tasks, func(t task) bool { return t.operation == reportTask })]
	var times []time.Duration
	row := wallRow{File: filepath.Base(file), Bytes: info.Size(), Budget: budget}
	for range max(5, o.rounds) {
		got, err := runTask(ctx, o, t, file)
		if err == nil && got.Refused != "" {
			err = errors.New(got.Refused)
		}
		if err != nil {
			return row, fmt.Errorf("%s: %w", row.File, err)
		}
		times = append(times, got.Elapsed)
		row.Peak = max(row.Peak, float64(got.Peak)/float64(row.Bytes))
	}
	slices.Sort(times)
	row.Elapsed = ms(times[len(times)/2])
	return row, nil
}

// inspectorChild is a process that is measured, or that measures one.
func inspectorChild(args []string) error {
	if len(args) < 2 {
		return errors.New("a task and a file are needed")
	}
	var result any
	var err error
	switch args[0] {
	case "process", "call":
		result, err = runProcess(args[1:], args[0] == "call")
	case "decode":
		result, err = measureCall(args[1], decodeAll)
	case "validate":
		result, err = measureCall(args[1], validateAll)
	default:
		err = fmt.Errorf("no task %q", args[0])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func measureCall(file string, call func([]byte) error) (measure.Result, error) {
	bin, err := os.ReadFile(file)
	if err != nil {
		return measure.Result{}, err
	}
	return measure.Do(func() error { return call(bin) })
}

// decodeAll reads every instruction of a binary, one after the other.
func decodeAll(bin []byte) error {
	b, err := wasm.Parse(bin)
	if err != nil {
		return err
	}
	var code wasm.Code
	return decodeCode(b, &code)
}

func decodeCode(b *wasm.Binary, code *wasm.Code) error {
	if b.Component != nil {
		for _, inner := range slices.Concat(b.Component.Modules, b.Component.Components) {
			if err := decodeCode(inner, code); err != nil {
				return err
			}
		}
		return nil
	}
	var in wasm.Instr
	for _, body := range b.Module.Code {
		code.Reset(b, body)
		for code.Next(&in) {
		}
		if err := code.Err(); err != nil {
			return err
		}
	}
	return nil
}

func validateAll(bin []byte) error {
	b, err := wasm.Parse(bin)
	if err != nil {
		return err
	}
	_, err = wasm.Validate(b)
	return err
}

func (r *report) printInspector(out io.Writer) {
	if len(r.Inspector) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "inspector\ttool\tfiles\tMB\tMB/s per core\tseconds\tallocs/MB\tpeak memory\tat least\tCPU of wreg's\tbudget\t")
	for _, w := range r.Inspector {
		allocs, same, verdict := "-", "", ""
		if w.Allocs >= 0 {
			allocs = fmt.Sprintf("%.0f", w.Allocs)
		}
		if w.Same > 0 {
			same = fmt.Sprintf("%.1f×", w.Same)
		}
		if w.Budget > 0 {
			verdict = fmt.Sprintf("%.0f MB/s %s", w.Budget, metOr(w.Rate >= w.Budget))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%.0f\t%.2f\t%s\t%.1f×\t%.0f MB\t%s\t%s\t\n", w.Operation, w.Tool, w.Files, float64(w.Bytes)/1e6, w.Rate,
			w.Elapsed, allocs, w.Peak, float64(w.Least)/1e6, same, verdict)
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "one report, by the wall clock\tMB\tms\tpeak memory\tbudget\t")
	for _, w := range r.Wall {
		fmt.Fprintf(t, "%s\t%.1f\t%.0f\t%.1f×\t%.0f ms %s, %d× %s\t\n", w.File, float64(w.Bytes)/1e6, w.Elapsed, w.Peak, w.Budget,
			metOr(w.Elapsed <= w.Budget), peakBudget, metOr(w.Peak <= peakBudget))
	}
	t.Flush()
	fmt.Fprintln(out)
	fmt.Fprintf(out, "Peak memory is of the process, as a multiple of the file, the worst of the files above %d MB;\n"+
		"at least is what it takes for the smallest file.\n", peakCountsFrom/1_000_000)
	fmt.Fprintln(out, "CPU of wreg's: the tool's CPU time over the same files as a multiple of that of wreg's own row.")
	for _, w := range r.Inspector {
		if w.Files == 0 && len(w.Refused) > 0 {
			fmt.Fprintf(out, "%s, %s, refuses all, first %s\n", w.Tool, w.Operation, w.Refused[0])
			continue
		}
		for _, why := range w.Refused {
			fmt.Fprintf(out, "%s, %s, refuses %s\n", w.Tool, w.Operation, why)
		}
	}
}

func metOr(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}
