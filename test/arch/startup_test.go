package arch

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// What the initialisers of all packages in wpkg may allocate, and of those that are
// ours. They are most of the start of every command. What is on the heap is nearly
// the same in each run, which times are not. Half of it is what sigstore-go verifies
// with, see docs/adr/0013-start-of-the-client.md.
const (
	initBytes    = 2_960_000
	initAllocs   = 20_000
	ourInitBytes = 110_000
)

// What is initialised before package early, which starts packages that are known: a
// tenth of it all. And before package soon, which sees to the collector and answers
// wpkg version: less than half. It is nothing that speaks to a network.
const (
	earlyPath     = module + "/cmd/wpkg/internal/early"
	earlyBytes    = 300_000
	earlyPackages = 110

	soonPath     = module + "/cmd/wpkg/internal/soon"
	soonBytes    = 1_400_000
	soonPackages = 220
)

// TestOrderOfInitialisation watches the order in which Go initialises packages: an
// import of what is initialised late, as path/filepath is, makes early late.
func TestOrderOfInitialisation(t *testing.T) {
	load(t)
	list := initialisers(t)
	for _, want := range []struct {
		path            string
		bytes, packages int
	}{{earlyPath, earlyBytes, earlyPackages}, {soonPath, soonBytes, soonPackages}} {
		i := slices.IndexFunc(list, func(p initialiser) bool { return p.path == want.path })
		if i < 0 {
			t.Fatalf("the runtime told of %d initialisers, none of them of %s", len(list), want.path)
		}
		var before cost
		for _, p := range list[:i] {
			before.add(p.cost)
			if p.path == "net" || p.path == "net/http" {
				t.Errorf("%s is initialised before %s", p.path, want.path)
			}
		}
		if i > want.packages || before.bytes > want.bytes {
			t.Errorf("before %s, %d packages are initialised and allocate %d bytes; want at most %d and %d.\nThe last before it:\n%s\nmost for:\n%s",
				want.path, i, before.bytes, want.packages, want.bytes, list[i-1].path, worst(list[:i], ""))
		}
	}
}

// TestStartOfClient asks the Go runtime which package allocates how much before
// main, so that an import that costs much at every start is seen at once.
func TestStartOfClient(t *testing.T) {
	load(t)
	var all, ours cost
	list := initialisers(t)
	for _, p := range list {
		all.add(p.cost)
		if p.path == "main" || strings.HasPrefix(p.path, module) {
			ours.add(p.cost)
		}
	}
	if all.bytes > initBytes || all.allocs > initAllocs || ours.bytes > ourInitBytes {
		t.Errorf("before main, wpkg allocates %d bytes in %d pieces, %d bytes of them for packages of ours; "+
			"want at most %d in %d, and %d.\nMost for:\n%s\n%s",
			all.bytes, all.allocs, ours.bytes, initBytes, initAllocs, ourInitBytes, worst(list, ""), worst(list, module))
	}
}

// A cost is what an initialiser allocates.
type cost struct{ bytes, allocs int }

func (c *cost) add(d cost) {
	c.bytes += d.bytes
	c.allocs += d.allocs
}

type initialiser struct {
	path string
	cost
}

// initialisers builds wpkg as the Makefile does, once for all tests, and asks for its
// help, which takes all of them.
func initialisers(t *testing.T) []initialiser {
	t.Helper()
	list, err := traced()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var traced = sync.OnceValues(func() ([]initialiser, error) {
	dir, err := os.MkdirTemp("", "wreg-arch")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "wpkg")
	build := exec.Command("go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w", "-o", binary, "./cmd/wpkg")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	cmd := exec.Command(binary, "--help")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, trace.String())
	}
	var list []initialiser
	for line := range strings.Lines(trace.String()) {
		var p initialiser
		var at, took float64
		if _, err := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &p.path, &at, &took, &p.bytes, &p.allocs); err == nil {
			list = append(list, p)
		}
	}
	if len(list) < 100 {
		return nil, fmt.Errorf("the runtime told of %d initialisers; want hundreds:\n%.2000s", len(list), trace.String())
	}
	return list, nil
})

// worst lists the packages below prefix that allocate most.
func worst(list []initialiser, prefix string) string {
	list = slices.DeleteFunc(slices.Clone(list), func(p initialiser) bool { return !strings.HasPrefix(p.path, prefix) })
	slices.SortFunc(list, func(a, b initialiser) int { return cmp.Compare(b.bytes, a.bytes) })
	var text strings.Builder
	for _, p := range list[:min(len(list), 12)] {
		fmt.Fprintf(&text, "%9d bytes in %5d pieces  %s\n", p.bytes, p.allocs, p.path)
	}
	return text.String()
}
