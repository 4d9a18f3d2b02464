package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/test/bench/measure"
	"github.com/wreg-project/wreg/test/corpus"
)

// What is measured of ingest, and the budgets.
const (
	ingestPackages = 1000
	ingestBudget   = 2.0   // ms CPU of the server for each package, beyond push and analysis
	admitPushes    = 20    // of one module, with and without a policy
	admitBudget    = 100.0 // ms by the clock that a verdict adds to a push
	admitSize      = 3_000_000
)

// An ingestRow is what a package costs from the push until it is found.
type ingestRow struct {
	Server   string  `json:"server"`
	Packages int     `json:"packages"`
	Push     float64 `json:"pushMillisecondsCPU"`     // each, of the same bytes that are no Wasm
	Ingested float64 `json:"ingestedMillisecondsCPU"` // each, pushed and ingested
	Analysis float64 `json:"analysisMillisecondsCPU"` // each, by a process that does nothing else
	Beyond   float64 `json:"beyondMillisecondsCPU"`   // what is left for ingest itself
	Rate     float64 `json:"packagesPerSecond"`
}

// An admitRow compares pushes of one large module by the clock.
type admitRow struct {
	Server  string  `json:"server"`
	Size    int     `json:"bytes"`
	Opaque  float64 `json:"opaqueMilliseconds"`  // blob and manifest of the same bytes that are no Wasm
	Checked float64 `json:"checkedMilliseconds"` // of Wasm, without a policy
	Judged  float64 `json:"judgedMilliseconds"`  // under a policy that reads the report
}

// measureIngest drives what follows a push on the servers of ours that were
// asked for.
func measureIngest(ctx context.Context, o options, r *report) error {
	work, err := os.MkdirTemp("", "wreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, name := range o.servers {
		if !strings.HasPrefix(name, "wreg-") {
			continue
		}
		dir := filepath.Join(work, name)
		if err := r.ingest(ctx, o, name, dir); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) ingest(ctx context.Context, o options, name, dir string) error {
	s, err := start(ctx, o, name, dir, false)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := r.ingestMany(ctx, o, s); err != nil {
		return err
	}
	return r.admitLarge(ctx, s)
}

// ingestMany pushes many small packages twice, once as bytes of no meaning. The
// difference, without what the analysis itself takes, is the cost of ingest.
func (r *report) ingestMany(ctx context.Context, o options, s *server) error {
	template := smallModule()
	push := func(ctx context.Context, repo, mediaType string, content []byte) error {
		base, config := "http://"+s.addr, []byte("{}")
		d := digestOf(content)
		for _, b := range [][]byte{config, content} {
			if err := pushBlob(ctx, base, repo, digestOf(b), b); err != nil {
				return err
			}
		}
		m := artifactManifest(digestOf(config), d, mediaType, len(config), len(content))
		_, err := request(ctx, http.StatusCreated, http.MethodPut, base+"/v2/"+repo+"/manifests/"+digestOf(m), m, "Content-Type", manifestType)
		return err
	}
	settled := func(mediaType string, spoil bool) (time.Duration, time.Duration, error) {
		before, err := s.cpu()
		if err != nil {
			return 0, 0, err
		}
		begin := time.Now()
		if _, err := drive(ctx, s, o.workers, 0, ingestPackages, func(ctx context.Context, i int) error {
			content := numbered(template)
			if spoil {
				content[0] = 'x'
			}
			return push(ctx, fmt.Sprintf("bench/ingest%d", i%50), mediaType, content)
		}); err != nil {
			return 0, 0, err
		}
		if err := s.settle(ctx); err != nil {
			return 0, 0, err
		}
		elapsed := time.Since(begin)
		after, err := s.cpu()
		return after - before, elapsed, err
	}
	if _, _, err := settled("application/wasm", false); err != nil { // warms caches and statements
		return err
	}
	plain, _, err := settled("application/octet-stream", true)
	if err != nil {
		return err
	}
	ingested, elapsed, err := settled("application/wasm", false)
	if err != nil {
		return err
	}
	analysis, err := measure.Do(func() error {
		for range ingestPackages {
			rep, err := inspect.Inspect(numbered(template), inspect.Options{Functions: true})
			if err != nil {
				return err
			}
			if err := rep.WriteJSON(io.Discard); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if analysis.Refused != "" {
		return fmt.Errorf("the module of the benchmark: %s", analysis.Refused)
	}
	row := ingestRow{
		Server: s.name, Packages: ingestPackages, Push: ms(plain) / ingestPackages, Ingested: ms(ingested) / ingestPackages,
		Analysis: ms(analysis.CPU) / ingestPackages, Rate: ingestPackages / elapsed.Seconds(),
	}
	row.Beyond = row.Ingested - row.Push - row.Analysis
	r.Ingest = append(r.Ingest, row)
	return nil
}

// admitLarge pushes a real module of about admitSize bytes in many versions,
// with and without a policy that has to be asked before it is stored.
func (r *report) admitLarge(ctx context.Context, s *server) error {
	template, err := corpusModule(admitSize)
	if err != nil {
		return err
	}
	base, config := "http://"+s.addr, []byte("{}")
	row := admitRow{Server: s.name, Size: len(template)}
	series := func(repo, mediaType string, spoil bool) (float64, error) {
		var all []float64
		if err := pushBlob(ctx, base, repo, digestOf(config), config); err != nil {
			return 0, err
		}
		for range admitPushes {
			content := numbered(template)
			if spoil {
				content[0] = 'x'
			}
			d := digestOf(content)
			m := artifactManifest(digestOf(config), d, mediaType, len(config), len(content))
			begin := time.Now()
			if err := pushBlob(ctx, base, repo, d, content); err != nil {
				return 0, err
			}
			if _, err := request(ctx, http.StatusCreated, http.MethodPut, base+"/v2/"+repo+"/manifests/"+digestOf(m), m,
				"Content-Type", manifestType); err != nil {
				return 0, err
			}
			all = append(all, ms(time.Since(begin)))
			if err := s.settle(ctx); err != nil { // the jobs of one push must not slow down the next
				return 0, err
			}
		}
		slices.Sort(all)
		return all[len(all)/2], nil
	}
	if row.Opaque, err = series("free/opaque", "application/octet-stream", true); err != nil {
		return err
	}
	if row.Checked, err = series("free/large", "application/wasm", false); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"source": admitPolicy})
	if err != nil {
		return err
	}
	if _, err := request(ctx, http.StatusOK, http.MethodPut, base+"/api/v1/policies/bench", body, "Content-Type", "application/json"); err != nil {
		return err
	}
	if row.Judged, err = series("judged/large", "application/wasm", false); err != nil {
		return err
	}
	r.Admit = append(r.Admit, row)
	return nil
}

// admitPolicy has rules that read the report and the capabilities, in a scope of
// its own.
const admitPolicy = `name: bench
scope:
  repositories: [judged/**]
  actions: [push]
rules:
  - name: valid
    require: report.valid
    message: the module has to be valid
  - name: no-process
    deny: '"process-spawn" in capabilities.reachable'
    message: no package starts processes
  - name: small
    require: report.size < 100000000
    message: at most 100 MB
`

// smallModule is a module of a few functions with one import, as small packages
// have it, and room for a number.
func smallModule() []byte {
	module := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x08\x02\x60\x01\x7f\x00\x60\x00\x00" +
		"\x02\x24\x01\x16wasi_snapshot_preview1\x09proc_exit\x00\x00" +
		"\x03\x02\x01\x01" + "\x05\x03\x01\x00\x01" +
		"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x01" +
		"\x0a\x04\x01\x02\x00\x0b")
	return withNumber(module)
}

// withNumber adds a custom section that numbered can change.
func withNumber(module []byte) []byte {
	return append(module[:len(module):len(module)], "\x00\x0e\x05bench12345678"...)
}

// numbered is a copy of what withNumber made with bytes that no other copy has.
func numbered(template []byte) []byte {
	content := append([]byte(nil), template...)
	binary.LittleEndian.PutUint64(content[len(content)-8:], fresh.Add(1))
	return content
}

// corpusModule is the binary of the corpus whose size is nearest to n bytes.
func corpusModule(n int64) ([]byte, error) {
	dir, entries, err := corpus.Fetched()
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, errors.New("the corpus is empty: run `make corpus`")
	}
	nearest := slices.MinFunc(entries, func(a, b corpus.Entry) int {
		return cmp.Compare(max(a.Size-n, n-a.Size), max(b.Size-n, n-b.Size))
	})
	module, err := os.ReadFile(filepath.Join(dir, nearest.File))
	if err != nil {
		return nil, err
	}
	return withNumber(module), nil
}

// settle waits until no job is left.
func (s *server) settle(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var jobs wire.JobList
		if err := getJSON(ctx, "http://"+s.addr+"/api/v1/jobs?limit=1", &jobs); err != nil {
			return err
		}
		left := 0
		for _, c := range jobs.Counts {
			if c.Dead > 0 {
				return fmt.Errorf("%d jobs of kind %s failed for good", c.Dead, c.Kind)
			}
			left += c.Waiting + c.Leased
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(into)
}

func (r *report) printIngest(out io.Writer) {
	if len(r.Ingest) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ingest, CPU ms a package\tpackages\tpush alone\twith ingest\tanalysis alone\tingest beyond both\tpackages/s\tbudget\t")
	for _, w := range r.Ingest {
		fmt.Fprintf(t, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.1f ms %s\t\n",
			w.Server, w.Packages, w.Push, w.Ingested, w.Analysis, w.Beyond, w.Rate, ingestBudget, metOr(w.Beyond <= ingestBudget))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "push of one module, ms by the wall clock\tMB\tas opaque bytes\tas Wasm\tas Wasm under a policy\tinspection adds\tbudget\t")
	for _, w := range r.Admit {
		adds := max(w.Checked, w.Judged) - w.Opaque
		fmt.Fprintf(t, "%s\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f ms %s\t\n",
			w.Server, float64(w.Size)/1e6, w.Opaque, w.Checked, w.Judged, adds, admitBudget, metOr(adds <= admitBudget))
	}
	t.Flush()
	fmt.Fprintln(out)
}
