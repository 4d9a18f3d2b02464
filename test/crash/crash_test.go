//go:build crash

// Package crash tests that what wreg acknowledged is never lost: not when it is
// killed, not when the power fails, not when the disk is full or cannot be read.
//
// The tests run the binary (make build) and are behind the tag crash; see `make
// crash` and `make powerloss`. How a power loss is modelled is in package disk,
// what is written and checked in package load.
package crash

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/wreg-project/wreg/test/crash/load"
	"github.com/wreg-project/wreg/test/crash/server"
)

var (
	bin   = flag.String("bin", filepath.Join("..", "..", "bin", "wreg"), "wreg `binary` to test")
	seed  = flag.Uint64("seed", 0, "seed of all that is random; 0 takes the time, and the test prints it")
	kills = flag.Int("kills", 100, "how often to kill the server")
	all   = flag.Bool("all", false, "test every point, instead of a random sample")
)

// binary is the absolute path of the binary under test.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(*bin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

// chosen is the seed of this run.
var chosen = sync.OnceValue(func() uint64 {
	if *seed != 0 {
		return *seed
	}
	return uint64(time.Now().UnixNano())
})

// random gives the test's source of chance and prints how to repeat it.
func random(t *testing.T) (uint64, *rand.Rand) {
	t.Helper()
	t.Logf("repeat with -seed %d", chosen())
	return chosen(), rand.New(rand.NewPCG(chosen(), 0))
}

func start(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill) // no harm once it has ended
	return s
}

// verify checks keys against the server and fails the test on what is wrong.
func verify(t *testing.T, s *server.Server, l *load.Ledger, keys []load.Key, when string) {
	t.Helper()
	if wrong := examine(t.Context(), s, l, keys); len(wrong) > 0 {
		for _, w := range wrong {
			t.Errorf("%s: %s", when, w)
		}
		t.Fatalf("log of wreg:\n%s", s.Text())
	}
}

// examine returns what is wrong with keys on the server.
func examine(ctx context.Context, s *server.Server, l *load.Ledger, keys []load.Key) []string {
	c := load.NewClient(s.Base, l)
	defer c.Close()
	return append(load.Check(ctx, c, keys), c.Problems()...)
}
