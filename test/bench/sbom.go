package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/test/bench/measure"
	"github.com/wreg-project/wreg/test/corpus"
)

// scanBudget is what a full scan of a package may take once it was inspected, in
// milliseconds of CPU.
const scanBudget = 20.0

// A file of the corpus with what later steps start from.
type sbomSubject struct {
	data    []byte
	bin     *wasm.Binary
	doc     *sbom.Document
	symbols []byte
}

// A sbomStep is something that is done to one file after those before it.
type sbomStep struct {
	name   string
	budget bool // scanBudget holds for each file
	run    func(ctx context.Context, s *sbomSubject, db vuln.Source) error
}

// steps are what is measured, in an order in which each has what it needs. The
// first two are what a push costs without any of this.
var steps = []sbomStep{
	{name: "parse", run: func(_ context.Context, s *sbomSubject, _ vuln.Source) (err error) {
		s.bin, err = wasm.Parse(s.data)
		return err
	}},
	{name: "inspection", run: func(_ context.Context, s *sbomSubject, _ vuln.Source) error {
		_, err := inspect.Inspect(s.data, inspect.Options{Functions: true})
		return err
	}},
	{name: "bill of materials", run: func(_ context.Context, s *sbomSubject, _ vuln.Source) (err error) {
		s.doc, err = sbom.Extract(s.bin, sbom.Options{})
		return err
	}},
	{name: "symbols that are kept", run: func(_ context.Context, s *sbomSubject, _ vuln.Source) (err error) {
		s.symbols, err = scan.CodeOf(s.bin).Symbols(s.doc)
		return err
	}},
	{name: "CycloneDX 1.6 JSON", run: func(_ context.Context, s *sbomSubject, _ vuln.Source) error {
		return cyclonedx.Write(io.Discard, s.doc, cyclonedx.Options{})
	}},
	{name: "SPDX 2.3 JSON", run: func(_ context.Context, s *sbomSubject, _ vuln.Source) error {
		return spdx.Write(io.Discard, s.doc, spdx.Options{})
	}},
	{name: "scan of the binary", budget: true, run: func(ctx context.Context, s *sbomSubject, db vuln.Source) error {
		_, err := scan.Scan(ctx, s.doc, scan.CodeOf(s.bin), db)
		return err
	}},
	{name: "scan of what is kept", budget: true, run: func(ctx context.Context, s *sbomSubject, db vuln.Source) error {
		code, err := scan.ReadSymbols(s.symbols)
		if err != nil {
			return err
		}
		_, err = scan.Scan(ctx, s.doc, code, db)
		return err
	}},
}

// A sbomRow is one step over all files of the corpus.
type sbomRow struct {
	Step      string  `json:"step"`
	Files     int     `json:"files"`
	Bytes     int64   `json:"bytes"`
	CPU       float64 `json:"cpuMillisecondsPerFile"` // mean
	Worst     float64 `json:"worstCPUMilliseconds"`
	WorstFile string  `json:"worstFile"`
	Rate      float64 `json:"megabytesPerCPUSecond"`
	Share     float64 `json:"ofInspection"` // CPU as a part of that of the inspection
	Allocs    float64 `json:"allocsPerFile"`
	Allocated float64 `json:"allocatedBytesPerByte"`
	Budget    float64 `json:"budgetMilliseconds,omitempty"`
	Within    int     `json:"filesWithinBudget,omitempty"`
}

// measureSBOM takes every file of the corpus through all steps, within this
// process and one after the other. Of several rounds the cheapest counts. The
// advisories are those of test/data/osv: Go and RustSec whole, a sample of npm.
func measureSBOM(ctx context.Context, o options, r *report) error {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		return err
	}
	db, stats, err := vuln.Load(ctx, o.advisories)
	if err != nil {
		return fmt.Errorf("advisories: %w", err)
	}
	r.note("Scans are against %d advisories of %d records in %s.", db.Len(), stats.Records, o.advisories)
	rows := make([]sbomRow, len(steps))
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.File))
		if err != nil {
			return err
		}
		if _, err := wasm.Parse(data); err != nil {
			r.note("%s is left out of the bills of materials: %v", e.File, err)
			continue
		}
		s := &sbomSubject{data: data}
		for i, step := range steps {
			best, err := cheapest(max(o.rounds, 1), func() error { return step.run(ctx, s, db) })
			if err != nil {
				return fmt.Errorf("%s, %s: %w", e.File, step.name, err)
			}
			rows[i].take(e, best, step.budget)
		}
		fmt.Fprintf(os.Stderr, "%-36s %4d MB\n", e.File, e.Size/1e6)
	}
	inspection := rows[1].CPU
	for i, step := range steps {
		w := &rows[i]
		w.Step = step.name
		w.Rate = float64(w.Bytes) / 1e3 / max(w.CPU, 1e-6)
		w.Share = w.CPU / inspection
		n := float64(w.Files)
		w.Allocated /= float64(w.Bytes)
		w.CPU, w.Allocs = w.CPU/n, w.Allocs/n
	}
	r.SBOM = rows
	return nil
}

// cheapest runs f several times and gives the run that took the least CPU.
func cheapest(rounds int, f func() error) (best measure.Result, err error) {
	for i := range rounds {
		got, err := measure.Do(f)
		if err != nil {
			return best, err
		}
		if got.Refused != "" {
			return best, errors.New(got.Refused)
		}
		if i == 0 || got.CPU < best.CPU {
			best = got
		}
	}
	return best, nil
}

// take adds up what a step took for a file.
func (w *sbomRow) take(e corpus.Entry, got measure.Result, budget bool) {
	w.Files++
	w.Bytes += e.Size
	w.CPU += ms(got.CPU)
	w.Allocs += float64(got.Allocs)
	w.Allocated += float64(got.Allocated)
	if ms(got.CPU) > w.Worst {
		w.Worst, w.WorstFile = ms(got.CPU), e.File
	}
	if budget {
		w.Budget = scanBudget
		if ms(got.CPU) < scanBudget {
			w.Within++
		}
	}
}

func (r *report) printSBOM(out io.Writer) {
	if len(r.SBOM) == 0 {
		return
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "bills of materials\tfiles\tMB\tCPU ms each\tMB/s\tof inspection\tallocs each\tallocated\tworst ms\tof\tbudget\t")
	for _, w := range r.SBOM {
		verdict := ""
		if w.Budget > 0 {
			verdict = fmt.Sprintf("%.0f ms each: %d of %d", w.Budget, w.Within, w.Files)
		}
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.2f\t%.0f\t%.1f%%\t%.0f\t%.2f×\t%.1f\t%s\t%s\t\n", w.Step, w.Files, float64(w.Bytes)/1e6, w.CPU, w.Rate,
			100*w.Share, w.Allocs, w.Allocated, w.Worst, w.WorstFile, verdict)
	}
	t.Flush()
	fmt.Fprintf(out, "%s\n", b.Bytes())
}
