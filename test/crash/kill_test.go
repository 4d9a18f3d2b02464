//go:build crash

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wreg-project/wreg/internal/testenv"
	"github.com/wreg-project/wreg/test/crash/load"
	"github.com/wreg-project/wreg/test/crash/server"
)

// How much a round does. The server is killed after so many acknowledged
// writes, and up to so much later, while all pushers have requests in flight.
const (
	pushers   = 4
	maxAcks   = 60
	maxDelay  = 3 * time.Millisecond
	resample  = 30 // older keys that are looked at again in each round
	inspected = 10 // rounds between two inspections of everything, with fsck
	lease     = 5 * time.Second
)

// Killed with SIGKILL at any moment under load, wreg has everything that it
// acknowledged after the next start, whole, and nothing else; and in the end each
// package is inspected and can be found, once.
func TestKill(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { killing(t, *kills, "") })
	t.Run("PostgreSQL", func(t *testing.T) { killing(t, max(1, *kills/5), testenv.Postgres(t)) })
}

// A crasher kills one installation again and again.
type crasher struct {
	options server.Options
	ledger  *load.Ledger
	seed    uint64
	rand    *rand.Rand

	removed  int // leftovers of uploads that a start removed, as its log says
	packages int // that were found ingested the last time
}

func killing(t *testing.T, rounds int, database string) {
	c := &crasher{ledger: load.NewLedger(), options: server.Options{
		Bin: binary(t), Data: t.TempDir() + "/data", Database: database,
		Args: []string{"--ingest-lease", lease.String()}, // what a killed server was at has to wait for so long
	}}
	c.seed, c.rand = random(t)
	began := time.Now()
	s := start(t, c.options)
	for round := range rounds {
		c.strain(t, s, round)
		c.ledger.Stop()
		s = c.restart(t, round)
		keys := c.ledger.Touched()
		full := (round+1)%inspected == 0 && (round < 100 || (round+1)%100 == 0) || round == rounds-1
		if full {
			keys = c.ledger.Keys()
		} else {
			keys = append(keys, c.sample()...)
		}
		verify(t, s, c.ledger, keys, fmt.Sprintf("round %d", round))
		if full {
			s = c.inspect(t, s, round)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if c.removed == 0 && rounds >= 20 {
		t.Errorf("in %d rounds no start had to remove an interrupted upload: the kills come at the wrong moments", rounds)
	}
	t.Logf("%d kills, %d acknowledged writes, %d keys, %d packages ingested, %d interrupted uploads removed, %.2f s a round",
		rounds, c.ledger.Acks(), len(c.ledger.Keys()), c.packages, c.removed, time.Since(began).Seconds()/float64(rounds))
}

// strain writes with all pushers until the server is killed.
func (c *crasher) strain(t *testing.T, s *server.Server, round int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := load.NewClient(s.Base, c.ledger)
	defer client.Close()
	enough := make(chan struct{})
	var once sync.Once
	until := c.ledger.Acks() + 1 + c.rand.IntN(maxAcks)
	client.OnAck = func(acks int) {
		if acks >= until {
			once.Do(func() { close(enough) })
		}
	}
	var pushing sync.WaitGroup
	for i := range pushers {
		// Repositories grow over twenty rounds, and pairs of pushers share one.
		w := &load.Worker{
			Client: client, Name: fmt.Sprintf("r%dp%d", round, i), Large: 300 << 10,
			Repo: fmt.Sprintf("kill/r%d/app%d", round/20, i/2), Other: fmt.Sprintf("kill/r%d/other", round/20),
			Rand: rand.New(rand.NewPCG(c.seed, uint64(round)<<8|uint64(i))),
		}
		pushing.Go(func() { w.Run(ctx) })
	}
	select {
	case <-enough:
	case <-time.After(30 * time.Second):
		t.Errorf("round %d: the pushers do not get on", round)
	}
	<-time.After(time.Duration(c.rand.Int64N(int64(maxDelay))))
	s.Kill()
	pushing.Wait()
	for _, p := range client.Problems() {
		t.Errorf("round %d: before the kill: %s", round, p)
	}
	if t.Failed() {
		t.Fatalf("log of wreg:\n%s", s.Text())
	}
}

// restart starts the server and holds it to say what it found.
func (c *crasher) restart(t *testing.T, round int) *server.Server {
	t.Helper()
	left, err := server.Uploads(c.options.Data)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, c.options)
	now, err := server.Uploads(c.options.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range now { // there may be new ones: the journal is written by then
		if slices.Contains(left, name) {
			t.Errorf("round %d: after the start there still is the upload %s", round, name)
		}
	}
	said := 0
	for _, l := range s.Log() {
		if r, ok := l["repaired"].(map[string]any); ok {
			n, _ := r["uploads"].(float64)
			said += int(n)
		}
	}
	if said != len(left) {
		t.Errorf("round %d: the log speaks of %d interrupted uploads, there were %d\n%s", round, said, len(left), s.Text())
	}
	c.removed += said
	return s
}

// sample picks keys of earlier rounds.
func (c *crasher) sample() []load.Key {
	keys := c.ledger.Keys()
	var some []load.Key
	for range min(resample, len(keys)) {
		some = append(some, keys[c.rand.IntN(len(keys))])
	}
	return some
}

// inspect waits until the server has ingested what there is and stops it, checks
// its storage, and starts it again.
func (c *crasher) inspect(t *testing.T, s *server.Server, round int) *server.Server {
	t.Helper()
	if err := idle(t.Context(), s); err != nil {
		t.Fatalf("round %d: %v\n%s", round, err, s.Text())
	}
	if err := s.Stop(); err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	if err := server.Fsck(t.Context(), c.options); err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	c.wantIngested(t, round)
	return start(t, c.options)
}
