//go:build crash && linux

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wreg-project/wreg/test/crash/fault"
	"github.com/wreg-project/wreg/test/crash/load"
	"github.com/wreg-project/wreg/test/crash/server"
)

func TestMain(m *testing.M) {
	fault.Launch()
	os.Exit(m.Run())
}

// stride is how many calls lie between two that fail, on average, without -all.
const stride = 6

// Whichever call on the data folder fails, clients get the specification's
// error, nothing acknowledged is lost, and the next start is healthy.
func TestFault(t *testing.T) {
	tests := []struct {
		name string
		plan fault.Plan
	}{
		{"the disk is full from one write on", fault.Plan{Calls: fault.Growing, Error: syscall.ENOSPC, Stay: true}},
		{"one change fails", fault.Plan{Calls: fault.Changing, Error: syscall.EIO}},
		{"one read fails", fault.Plan{Calls: fault.Reading, Error: syscall.EIO}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, r := random(t)
			c := newFaulty(t, tt.plan, r)
			// Something to read, to move and to trip over.
			c.live(t, nil, 0)
			began, tried := time.Now(), 0
			for nth := 1; ; nth += c.step() {
				plan := c.plan
				plan.Nth = nth
				tried++
				if c.live(t, &plan, uint64(nth)) == 0 {
					t.Logf("%d of about %d calls failed, %d answers 5xx, %d starts refused, %d acknowledged writes; %.1f s",
						tried-1, nth, c.answers, c.refused, c.ledger.Acks(), time.Since(began).Seconds())
					return
				}
				if t.Failed() {
					t.FailNow()
				}
			}
		})
	}
}

// The first start makes some hundred folders and a database. One that fails in
// the middle has to say so, and the next has to finish the work.
func TestFaultInTheFirstStart(t *testing.T) {
	_, r := random(t)
	for _, e := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		refused, tried := 0, 0
		for nth := 1; ; nth += 1 + r.IntN(60) {
			c := newFaulty(t, fault.Plan{Calls: fault.Changing, Error: e, Nth: nth}, r)
			plan := c.plan
			if c.live(t, &plan, uint64(nth)) == 0 {
				break
			}
			refused += c.refused
			tried++
			if err := os.RemoveAll(c.options.Data); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%v: %d calls failed, %d starts refused", e, tried, refused)
		if refused == 0 {
			t.Errorf("%v: no first start was refused", e)
		}
	}
}

// A faulty is an installation whose disk fails.
type faulty struct {
	options server.Options
	ledger  *load.Ledger
	plan    fault.Plan
	rand    *rand.Rand
	answers int // of the 5xx kind
	refused int // starts that ended before they served
}

func newFaulty(t *testing.T, p fault.Plan, r *rand.Rand) *faulty {
	t.Helper()
	dir, err := os.MkdirTemp(fast, "wreg-fault-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &faulty{options: server.Options{Bin: binary(t), Data: filepath.Join(dir, "data")}, ledger: load.NewLedger(), plan: p, rand: r}
	c.plan.Under = c.options.Data
	return c
}

func (c *faulty) step() int {
	if *all {
		return 1
	}
	return 1 + c.rand.IntN(2*stride-1)
}

// live runs a server with a plan, nil for none, then one on a disk that is well,
// and returns how many calls failed.
func (c *faulty) live(t *testing.T, p *fault.Plan, round uint64) int {
	t.Helper()
	fired := 0
	what := "without faults"
	if p != nil {
		calls := c.suffer(t, *p, round)
		fired = len(calls)
		what = fmt.Sprintf("call %d of its kind, %q", p.Nth, calls[:min(fired, 3)])
		if t.Failed() {
			t.Fatal(what)
		}
	}
	c.ledger.Stop()
	s, err := server.Start(t.Context(), c.options)
	if err != nil {
		t.Fatalf("%s: the next start: %v", what, err)
	}
	defer s.Kill()
	wrong := examine(t.Context(), s, c.ledger, c.ledger.Touched())
	if len(wrong) == 0 && p == nil {
		wrong = c.fill(t.Context(), s)
	}
	if err := s.Stop(); err != nil {
		wrong = append(wrong, err.Error())
	}
	if err := server.Fsck(t.Context(), c.options); err != nil {
		wrong = append(wrong, err.Error())
	}
	for _, w := range wrong {
		t.Errorf("%s: %s", what, w)
	}
	if len(wrong) > 0 {
		t.Fatalf("log of the next start:\n%s", s.Text())
	}
	return fired
}

// fill writes while nothing fails.
func (c *faulty) fill(ctx context.Context, s *server.Server) []string {
	client := load.NewClient(s.Base, c.ledger)
	defer client.Close()
	w := &load.Worker{Client: client, Name: "calm", Repo: "calm", Other: "fault/other", Rand: rand.New(rand.NewPCG(3, 0)), Large: 300 << 10}
	for range 6 {
		if err := w.Step(ctx); err != nil {
			return append(client.Problems(), err.Error())
		}
	}
	return client.Problems()
}

// suffer runs a server whose calls fail and returns those that did.
func (c *faulty) suffer(t *testing.T, p fault.Plan, round uint64) []string {
	t.Helper()
	in, err := fault.New(p)
	if err != nil {
		t.Fatal(err)
	}
	o := c.options
	if o.Become, err = in.Command(); err != nil {
		t.Fatal(err)
	}
	o.Files = []*os.File{in.File()}
	s, err := server.Start(t.Context(), o)
	if cerr := in.Started(); cerr != nil {
		t.Fatal(cerr)
	}
	switch {
	case errors.Is(err, server.ErrEnded):
		c.refused++
		if text := err.Error(); strings.Contains(text, "goroutine ") || !strings.Contains(text, "wreg: ") {
			t.Errorf("a start that fails has to say why in a line: %v", err)
		}
	case err != nil:
		t.Fatal(err)
	default:
		defer s.Kill()
		c.work(t, s, round)
	}
	calls, _, err := in.Wait()
	if err != nil {
		t.Fatalf("injector: %v", err)
	}
	return calls
}

// work writes to and reads from a server whose disk fails, and ends it, half of
// the time by force.
func (c *faulty) work(t *testing.T, s *server.Server, round uint64) {
	t.Helper()
	client := load.NewClient(s.Base, c.ledger)
	client.Faulty = true
	defer client.Close()
	w := &load.Worker{
		Client: client, Name: fmt.Sprintf("n%d", round), Repo: fmt.Sprintf("fault/n%d", round/20), Other: "fault/other",
		Rand: rand.New(rand.NewPCG(4, round)), Large: 300 << 10,
	}
	var wrong []string
	for range 8 {
		_ = w.Step(t.Context()) // what is wrong about it is a problem of the client
	}
	keys := c.ledger.Keys()
	for range min(10, len(keys)) {
		wrong = append(wrong, load.Read(t.Context(), client, []load.Key{keys[c.rand.IntN(len(keys))]})...)
	}
	select {
	case <-s.Ended():
		wrong = append(wrong, "wreg ended: it has to go on and answer with errors")
	default:
	}
	wrong = append(wrong, client.Problems()...)
	c.answers += client.Faults()
	if round%2 == 0 {
		s.Kill()
	} else if err := s.Stop(); err != nil {
		t.Logf("round %d: %.200s", round, err) // it could not write all it wanted; no acknowledged write may be among that
	}
	if s.Panicked() {
		wrong = append(wrong, "wreg panicked")
	}
	for _, one := range wrong {
		t.Errorf("round %d: %s", round, one)
	}
	if len(wrong) > 0 {
		t.Logf("log of wreg:\n%s", s.Text())
	}
}
