package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"
)

// report collects the rows of one run.
type report struct {
	Date    string   `json:"date"`
	Commit  string   `json:"commit"`
	CPU     string   `json:"cpu"`
	Cores   int      `json:"cores"`
	Go      string   `json:"go"`
	Workers int      `json:"workers"`
	Rows    []row    `json:"rows"`
	Syncs   []syncs  `json:"syncs"`
	Memory  []memory `json:"memory"`
	Notes   []string `json:"notes,omitempty"`

	Inspector []inspectorRow `json:"inspector"`
	Wall      []wallRow      `json:"reports"`

	Searches []searchRow `json:"searches,omitempty"`
	Indexes  []indexRow  `json:"indexes,omitempty"`
	Ingest   []ingestRow `json:"ingest,omitempty"`
	Admit    []admitRow  `json:"admission,omitempty"`

	SBOM    []sbomRow   `json:"billsOfMaterials,omitempty"`
	Rescans []rescanRow `json:"rescans,omitempty"`

	Signing []signingRow `json:"signatures,omitempty"`

	Starts []startRow `json:"starts,omitempty"`

	Native       []nativeRow    `json:"nativeCode,omitempty"`
	Compilations []compileRow   `json:"compilations,omitempty"`
	InProcess    []inProcessRow `json:"inProcess,omitempty"`
}

type row struct {
	Server    string  `json:"server"`
	Operation string  `json:"operation"`
	CPU       float64 `json:"cpuMillisecondsPerOp"`
	Rate      float64 `json:"opsPerSecond"`
	P50       float64 `json:"p50Milliseconds"`
	P99       float64 `json:"p99Milliseconds"`
	Allocs    float64 `json:"allocsPerOp"` // -1: not known
	Budget    string  `json:"budget,omitempty"`
	Met       *bool   `json:"met,omitempty"`
}

type syncs struct {
	Server    string  `json:"server"`
	Operation string  `json:"operation"`
	PerOp     float64 `json:"syncsPerOp"`
}

type memory struct {
	Server string `json:"server"`
	Peak   int64  `json:"peakResidentBytes"`
}

func newReport(o options) *report {
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output() //nolint:noctx // a result without a commit is still one
	return &report{
		Date: time.Now().UTC().Format(time.RFC3339), Commit: strings.TrimSpace(string(commit)), CPU: processor(),
		Cores: runtime.NumCPU(), Go: runtime.Version(), Workers: o.workers,
	}
}

func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(strings.TrimLeft(line, "\t :"))
}

func (r *report) add(server, operation string, l load) {
	r.Rows = append(r.Rows, row{
		Server: server, Operation: operation, CPU: ms(l.CPU) / float64(l.Ops), Rate: float64(l.Ops) / l.Elapsed.Seconds(),
		P50: ms(l.P50), P99: ms(l.P99), Allocs: l.Allocs,
	})
	fmt.Fprintf(os.Stderr, "%-14s %-28s %8.3f ms CPU %10.0f/s\n", server, operation, ms(l.CPU)/float64(l.Ops), float64(l.Ops)/l.Elapsed.Seconds())
}

func (r *report) syncs(server, operation string, perOp float64, _ time.Duration) {
	r.Syncs = append(r.Syncs, syncs{server, operation, perOp})
}

func (r *report) memory(server string, peak int64) {
	r.Memory = append(r.Memory, memory{server, peak})
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// measureFloor times what no server can avoid for a durable push: hash the bytes,
// write them, sync file and folder; by as many workers as the servers will have
// clients.
func (r *report) measureFloor(ctx context.Context, o options, dir string) error {
	self := &server{name: "floor", pid: os.Getpid()}
	for _, part := range []struct {
		name string
		size int
	}{{"100 KB", small}, {"10 MB", large}} {
		content := randomBytes(part.size)
		var files atomic.Int64
		l, err := drive(ctx, self, o.workers, o.seconds, 0, func(context.Context, int) error {
			return hashWriteSync(dir, int(files.Add(1)), content)
		})
		if err != nil {
			return err
		}
		r.add(self.name, "blob push "+part.name, l)
	}
	return nil
}

func hashWriteSync(dir string, i int, content []byte) error {
	h := sha256.New()
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("floor%d", i)))
	if err != nil {
		return err
	}
	defer f.Close()
	for len(content) > 0 {
		n := min(len(content), 128<<10)
		h.Write(content[:n])
		if _, err := f.Write(content[:n]); err != nil {
			return err
		}
		content = content[n:]
	}
	if err := syscall.Fdatasync(int(f.Fd())); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// budgets are the figures of the design for wreg: milliseconds of CPU per
// operation, or a ratio to another server's row.
var budgets = []struct {
	server, operation string // operation by prefix
	limit             float64
	ratioTo           string
}{
	{"wreg-sqlite", "manifest GET", 0.08, ""},
	{"wreg-postgres", "manifest GET", 0.20, ""},
	{"wreg-sqlite", "manifest PUT", 0.4, ""},
	{"wreg-postgres", "manifest PUT", 0.4, ""},
	{"wreg", "blob GET 100 KB", 0.12, ""},
	{"wreg", "blob GET 10 MB", 1.1, "nginx"},
	{"wreg", "blob push 100 KB", 1.0, ""},
	{"wreg", "blob push 10 MB", 1.3, "floor"},
	{"wreg", "tags?n=100 of 100000", 0.15, ""},
}

// judge puts the budget beside each row that has one.
func (r *report) judge() {
	for i := range r.Rows {
		w := &r.Rows[i]
		for _, b := range budgets {
			if !strings.HasPrefix(w.Server, b.server) || !strings.HasPrefix(w.Operation, b.operation) {
				continue
			}
			value, text := w.CPU, fmt.Sprintf("%.2f ms", b.limit)
			if b.ratioTo != "" {
				j := slices.IndexFunc(r.Rows, func(x row) bool { return x.Server == b.ratioTo && x.Operation == w.Operation })
				if j < 0 {
					continue
				}
				value = w.CPU / r.Rows[j].CPU
				text = fmt.Sprintf("%.2f× of %.1f× %s", value, b.limit, b.ratioTo)
			}
			met := value <= b.limit
			w.Budget, w.Met = text, &met
		}
	}
}

func (r *report) print(out io.Writer) {
	r.judge()
	fmt.Fprintf(out, "\n%s, %s, %d cores, %s, commit %s\n\n", r.Date, r.CPU, r.Cores, r.Go, r.Commit)
	r.printServers(out)
	r.printInspector(out)
	r.printSearches(out)
	r.printIngest(out)
	r.printSBOM(out)
	r.printRescans(out)
	r.printSigning(out)
	r.printStarts(out)
	r.printNative(out)
	for _, n := range r.Notes {
		fmt.Fprintln(out, n)
	}
}

func (r *report) printServers(out io.Writer) {
	if len(r.Rows) == 0 {
		return
	}
	fmt.Fprintf(out, "servers with %d clients\n", r.Workers)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "operation\tserver\tCPU ms/op\tops/s\tp50 ms\tp99 ms\tallocs/op\tbudget\t")
	rows := slices.Clone(r.Rows)
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.Operation, b.Operation) })
	for _, w := range rows {
		allocs, verdict := "-", ""
		if w.Allocs >= 0 {
			allocs = fmt.Sprintf("%.0f", w.Allocs)
		}
		if w.Met != nil {
			verdict = w.Budget + " " + map[bool]string{true: "met", false: "MISSED"}[*w.Met]
		}
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.0f\t%.2f\t%.2f\t%s\t%s\t\n", w.Operation, w.Server, w.CPU, w.Rate, w.P50, w.P99, allocs, verdict)
	}
	t.Flush()
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "syncs per operation, one client\tserver\tsyncs\t")
	for _, s := range r.Syncs {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t\n", s.Operation, s.Server, s.PerOp)
	}
	fmt.Fprintln(t, "peak resident memory\tserver\tMB\t")
	for _, m := range r.Memory {
		fmt.Fprintf(t, "after the whole load\t%s\t%.0f\t\n", m.Server, float64(m.Peak)/1e6)
	}
	t.Flush()
	fmt.Fprintln(out)
}

// keep stores the report as <date>-<commit>.json and .txt.
func (r *report) keep(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, strings.ReplaceAll(r.Date[:16], ":", "")+"-"+r.Commit)
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", append(b, '\n'), 0o644); err != nil {
		return err
	}
	var text strings.Builder
	r.print(&text)
	return os.WriteFile(name+".txt", []byte(text.String()), 0o644)
}
