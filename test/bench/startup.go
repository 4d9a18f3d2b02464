package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

const (
	startRuns   = 300
	startBudget = 10.0 // ms of CPU
)

// A startRow is what a program takes from its start to its end, of user and system
// CPU time. The least of many runs is what it needs; the median has what else
// happens on the machine.
type startRow struct {
	Program string  `json:"program"`
	Least   float64 `json:"leastMilliseconds"`
	Median  float64 `json:"medianMilliseconds"`
	Faults  int64   `json:"pageFaults"`
	Budget  float64 `json:"budgetMilliseconds,omitempty"`
}

// emptyProgram is what every program in Go starts with.
const emptyProgram = "package main\n\nfunc main() {}\n"

// measureStartup runs a program that does nothing, wpkg version, and what every other
// command of wpkg starts with, in turns.
func measureStartup(ctx context.Context, o options, r *report) error {
	work, err := os.MkdirTemp("", "wreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	source, empty := filepath.Join(work, "main.go"), filepath.Join(work, "empty")
	if err := os.WriteFile(source, []byte(emptyProgram), 0o600); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", empty, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", build, err, out)
	}
	wpkg := filepath.Join(o.bin, "wpkg")
	rows := []startRow{{Program: "nothing"}, {Program: "wpkg version", Budget: startBudget}, {Program: "wpkg --version"}}
	programs := [][]string{{empty}, {wpkg, "version"}, {wpkg, "--version"}}
	took := make([][]time.Duration, len(rows))
	for range startRuns {
		for i, p := range programs {
			cmd := exec.CommandContext(ctx, p[0], p[1:]...)
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w", cmd, err)
			}
			took[i] = append(took[i], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
				rows[i].Faults = u.Minflt
			}
		}
	}
	for i := range rows {
		rows[i].Least, rows[i].Median = ms(slices.Min(took[i])), median(took[i])
		fmt.Fprintf(os.Stderr, "%-14s %7.2f ms CPU\n", rows[i].Program, rows[i].Median)
	}
	r.Starts = append(r.Starts, rows...)
	return nil
}

func (r *report) printStarts(out io.Writer) {
	if len(r.Starts) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "start to end of (%d runs)\tleast CPU ms\tmedian CPU ms\tpage faults\tbudget\t\n", startRuns)
	for _, w := range r.Starts {
		verdict := ""
		if w.Budget > 0 {
			verdict = fmt.Sprintf("%.0f ms %s", w.Budget, metOr(w.Median < w.Budget))
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%d\t%s\t\n", w.Program, w.Least, w.Median, w.Faults, verdict)
	}
	t.Flush()
	fmt.Fprintln(out)
}
