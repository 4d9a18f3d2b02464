//go:build soak

// Package soak runs wreg for long and looks for what grows: memory, open files,
// leftovers of uploads. All it acknowledged is checked on the way.
package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wreg-project/wreg/test/crash/load"
	"github.com/wreg-project/wreg/test/crash/server"
)

var (
	bin        = flag.String("bin", filepath.Join("..", "..", "bin", "wreg"), "wreg `binary` to test")
	seed       = flag.Uint64("seed", 0, "seed of all that is random; 0 takes the time, and the test prints it")
	operations = flag.Int("operations", 100_000, "how many writes to send")
)

const (
	workers = 8
	expiry  = "5s" // of uploads, of which one in a hundred steps leaves one behind
	stages  = 20   // after each, everything that was written in it is read back

	// The server's budget of memory after the whole load, and what we grant on
	// top before the test fails: the collector of Go may run late.
	maxResident = 100 << 20
	slack       = 25 << 20
)

func TestSoak(t *testing.T) {
	path, err := filepath.Abs(*bin)
	if err != nil {
		t.Fatal(err)
	}
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed %d", s)
	o := server.Options{Bin: path, Data: filepath.Join(t.TempDir(), "data"), Args: []string{"--limits-upload-expiry", expiry}}
	srv, err := server.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Kill)
	ledger := load.NewLedger()
	began := time.Now()
	var files int // open after the first stage, which has warmed everything up
	for stage := range stages {
		writing := work(t, srv, ledger, s, stage)
		reading := verify(t, srv, ledger, ledger.Touched(), fmt.Sprintf("stage %d", stage))
		if stage == 0 {
			files = besideUploads(open(t, srv))
		}
		resident, peak := memory(t, srv)
		t.Logf("stage %d: %d writes, %.0f/s; checked in %.1f s; resident %d MB, peak %d MB, %d files open",
			stage, ledger.Ops(), float64(*operations/stages)/writing.Seconds(), reading.Seconds(), resident>>20, peak>>20, len(open(t, srv)))
	}
	verify(t, srv, ledger, ledger.Keys(), "at the end")
	settle(t, srv, o.Data, files)
	resident, peak := memory(t, srv)
	t.Logf("%d writes, %d acknowledged, %d keys in %s: resident %d MB, peak %d MB, budget %d MB",
		ledger.Ops(), ledger.Acks(), len(ledger.Keys()), time.Since(began).Round(time.Second), resident>>20, peak>>20, maxResident>>20)
	if resident > maxResident+slack {
		t.Errorf("resident memory is %d MB, want at most %d MB and %d MB of slack", resident>>20, maxResident>>20, slack>>20)
	}
	if srv.Panicked() {
		t.Errorf("wreg panicked:\n%s", srv.Text())
	}
	end(t, srv, o)
}

// work sends one stage's share of the writes.
func work(t *testing.T, srv *server.Server, ledger *load.Ledger, seed uint64, stage int) time.Duration {
	t.Helper()
	began := time.Now()
	client := load.NewClient(srv.Base, ledger)
	defer client.Close()
	until := *operations * (stage + 1) / stages
	var working sync.WaitGroup
	for i := range workers {
		w := &load.Worker{
			Client: client, Name: fmt.Sprintf("s%dw%d", stage, i), Large: 1 << 20,
			Repo: fmt.Sprintf("soak/s%d/app%d", stage, i/2), Other: fmt.Sprintf("soak/s%d/other", stage),
			Rand: rand.New(rand.NewPCG(seed, uint64(stage)<<8|uint64(i))),
		}
		working.Go(func() {
			for ledger.Ops() < until && t.Context().Err() == nil {
				if err := w.Step(t.Context()); err != nil {
					return // known to the client
				}
			}
		})
	}
	working.Wait()
	for _, p := range client.Problems() {
		t.Errorf("stage %d: %s", stage, p)
	}
	if ledger.Ops() < until {
		t.Fatalf("stage %d ended after %d writes, want %d; log of wreg:\n%s", stage, ledger.Ops(), until, srv.Text())
	}
	return time.Since(began)
}

func verify(t *testing.T, srv *server.Server, ledger *load.Ledger, keys []load.Key, when string) time.Duration {
	t.Helper()
	began := time.Now()
	client := load.NewClient(srv.Base, ledger)
	defer client.Close()
	for _, wrong := range append(load.Check(t.Context(), client, keys), client.Problems()...) {
		t.Errorf("%s: %s", when, wrong)
	}
	if t.Failed() {
		t.FailNow()
	}
	return time.Since(began)
}

// memory is what the server has resident now, and had at most, in bytes.
func memory(t *testing.T, srv *server.Server) (now, peak int64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", srv.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	value := func(key string) int64 {
		_, rest, _ := strings.Cut(string(b), "\n"+key+":")
		rest, _, _ = strings.Cut(strings.TrimSpace(rest), " ")
		kilobytes, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			t.Fatalf("%s of the server: %v", key, err)
		}
		return kilobytes << 10
	}
	return value("VmRSS"), value("VmHWM")
}

// open lists the server's open files.
func open(t *testing.T, srv *server.Server) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", srv.Pid())
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			all = append(all, to)
		}
	}
	return all
}

// besideUploads counts the files that are no uploads.
func besideUploads(files []string) int {
	n := 0
	for _, f := range files {
		if !strings.Contains(f, "/uploads/") {
			n++
		}
	}
	return n
}

// settle waits until the server has closed what it opened and forgotten the
// uploads that clients left. Four files more than before are granted: readers of
// the database are opened as they are needed, and kept.
func settle(t *testing.T, srv *server.Server, data string, before int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		files := open(t, srv)
		left, err := server.Uploads(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) <= before+4 && len(left) == 0 {
			t.Logf("%d files open, %d after the first stage; no uploads left", len(files), before)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d files are open, %d were after the first stage; uploads %q; files:\n%s", len(files), before, left, strings.Join(files, "\n"))
		}
	}
}

// end stops the server, checks its storage, and starts it once more.
func end(t *testing.T, srv *server.Server, o server.Options) {
	t.Helper()
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := server.Fsck(t.Context(), o); err != nil {
		t.Error(err)
	}
	again, err := server.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Kill)
	left, err := server.Uploads(o.Data)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 1 { // one may be the journal's, being written
		t.Errorf("after a stop and a start there are the uploads %q", left)
	}
	if err := again.Stop(); err != nil {
		t.Error(err)
	}
}
