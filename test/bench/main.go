// Command bench measures wreg beside its peers, in one run on one machine.
//
// It starts each server on loopback with an empty folder, drives the same
// operations against it and reads the server's own CPU time from the kernel, so
// that what the load generator costs does not count. Absolute rates depend on
// the machine; CPU per operation, the numbers of syncs and the ratios between
// the rows of one run do not, or much less. It never fails on a number: it
// prints the budget beside it.
//
// Searches are measured on made-up packages, a million unless told otherwise:
//
//	go run ./test/bench -parts search -documents 100000
//
// The inspector is measured over the binaries of test/corpus, beside the tools
// that read the same files; ingest by what a package costs until it is found,
// beyond its push and its analysis. Bills of materials are made and scanned over
// the same binaries, and an advisory comes to a hundred thousand stored versions:
//
//	go run ./test/bench -parts sbom,rescan
//
// Signatures are made and verified beside sigstore-go and both cosign commands, on
// the same bytes and without a network:
//
//	go run ./test/bench -parts signing
//
// The client's start is measured beside that of a program that does nothing:
//
//	go run ./test/bench -parts startup
//
// Programs of native code are measured from start to end, beside a bare program on
// the same engine, wazero, a container and node, with their compilation:
//
//	go run ./test/bench -parts aot
//
//	go run ./test/bench -bin bin -out docs/bench
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// options say what to measure.
type options struct {
	parts   []string
	bin     string // folder of wreg and wpkg
	peer    string // distribution's registry binary, "" for none
	out     string // folder for the results, "" for none
	sizes   []int  // tags in the repository
	servers []string
	seconds float64 // of load, for each operation
	workers int

	wasmtime string // the command of test/bench/wasmtime
	runtimes string // folder of what native code is measured with, of make runtimes
	rounds   int    // for each file of the corpus; the cheapest counts

	documents  int      // that are searched
	queries    int      // of each kind
	databases  []string // that hold the documents
	searchData string   // folder that keeps them for another run, "" for none

	advisories string // folder of what scans match with
	versions   int    // that are stored when an advisory comes
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		if err := inspectorChild(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	var parts, sizes, servers, databases string
	flag.StringVar(&parts, "parts", "servers,inspector,ingest,search,sbom,rescan,signing,startup,aot", "what to measure")
	flag.StringVar(&o.bin, "bin", "bin", "folder of the wreg and wpkg binaries")
	flag.StringVar(&o.peer, "peer", ".cache/clients/registry", "distribution's registry binary; left out if absent")
	flag.StringVar(&o.out, "out", "", "folder to keep the results in")
	flag.StringVar(&sizes, "tags", "10,3000,100000", "numbers of tags to measure at")
	flag.StringVar(&servers, "servers", "wreg-sqlite,wreg-postgres,distribution,nginx", "the servers to measure")
	flag.StringVar(&o.wasmtime, "wasmtime", ".cache/clients/wasmtime", "the command of test/bench/wasmtime")
	flag.StringVar(&o.runtimes, "runtimes", ".cache/runtimes", "folder of what make runtimes made")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each file goes through the inspector; the cheapest counts")
	flag.IntVar(&o.documents, "documents", 1_000_000, "how many made-up packages are searched")
	flag.IntVar(&o.queries, "queries", 300, "searches of each kind")
	flag.StringVar(&databases, "databases", "sqlite,postgres", "the databases that are searched")
	flag.StringVar(&o.searchData, "search-data", "", "folder that keeps the filled databases, which takes an hour to fill")
	flag.StringVar(&o.advisories, "advisories", "test/data/osv", "folder of the advisories that scans match with")
	flag.IntVar(&o.versions, "versions", 100_000, "how many versions are stored when an advisory comes")
	flag.Float64Var(&o.seconds, "seconds", 3, "seconds of load for each operation")
	flag.IntVar(&o.workers, "workers", 8, "concurrent clients")
	flag.Parse()
	for s := range strings.SplitSeq(sizes, ",") {
		var n int
		if _, err := fmt.Sscan(s, &n); err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "bench: -tags: %q is not a number of tags\n", s)
			os.Exit(2)
		}
		o.sizes = append(o.sizes, n)
	}
	slices.Sort(o.sizes)
	o.servers, o.parts, o.databases = strings.Split(servers, ","), strings.Split(parts, ","), strings.Split(databases, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	report := newReport(o)
	for _, part := range o.parts {
		var err error
		switch part {
		case "servers":
			err = measureServers(ctx, o, report)
		case "inspector":
			err = measureInspector(ctx, o, report)
		case "search":
			err = measureSearch(ctx, o, report)
		case "ingest":
			err = measureIngest(ctx, o, report)
		case "sbom":
			err = measureSBOM(ctx, o, report)
		case "rescan":
			err = measureRescan(ctx, o, report)
		case "signing":
			err = measureSigning(ctx, o, report)
		case "startup":
			err = measureStartup(ctx, o, report)
		case "aot":
			err = measureNative(ctx, o, report)
		default:
			err = fmt.Errorf("-parts: no part %q", part)
		}
		if err != nil {
			return err
		}
	}
	report.print(os.Stdout)
	return report.keep(o.out)
}

func measureServers(ctx context.Context, o options, report *report) error {
	work, err := os.MkdirTemp("", "wreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	if err := report.measureFloor(ctx, o, work); err != nil {
		return err
	}
	for _, name := range o.servers {
		dir := filepath.Join(work, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := measureServer(ctx, o, name, dir, report); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// What one server wrote must not be flushed while the next is measured.
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// measureServer runs every operation that the named server can do.
func measureServer(ctx context.Context, o options, name, dir string, r *report) error {
	if name == "distribution" {
		if _, err := os.Stat(o.peer); err != nil {
			r.note("distribution was left out: %v", err)
			return nil
		}
	}
	s, err := start(ctx, o, name, dir, false)
	if err != nil {
		return err
	}
	defer s.stop()
	if name == "nginx" {
		return measureFiles(ctx, o, s, r)
	}
	if err := measureRegistry(ctx, o, s, r); err != nil {
		return err
	}
	r.memory(name, s.peakMemory())
	s.stop()

	traced, err := start(ctx, o, name, filepath.Join(dir, "traced"), true)
	if err != nil {
		return err
	}
	defer traced.stop()
	return countSyncs(ctx, traced, r)
}
