// Package load writes to a registry, keeps a ledger of what the registry
// acknowledged, and checks a registry against it.
//
// A Worker pushes, tags, mounts and deletes; what it sends and what it is told
// goes into a Ledger shared by all workers; Check asks a registry, usually after
// a crash, for everything the ledger promises. Writes that were not answered may
// or may not have happened, and the ledger allows both.
package load

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// Kind is what a Key names.
type Kind int

// The kinds. A blob and a manifest are there or not; a tag has a digest.
const (
	Blob Kind = iota
	Manifest
	Tag
)

// A Key is a thing that can be read back: a blob or manifest by its digest, or
// a tag.
type Key struct {
	Kind Kind
	Repo string
	Name string // digest or tag
}

func (k Key) String() string {
	return [...]string{"blob ", "manifest ", "tag "}[k.Kind] + k.Repo + map[bool]string{true: ":", false: "@"}[k.Kind == Tag] + k.Name
}

// An Effect is what a write does to one key. The value is a digest, or Absent.
type Effect struct {
	Key   Key
	Value string
}

// Absent is the value of what is not there.
const Absent = ""

// An Op is one request that writes.
type Op struct {
	Number  int // from 1, also sent as disk.OpHeader
	Effects []Effect

	ledger     *Ledger
	begun, end int64
	acked      bool // otherwise it may have had its effects or not
	refused    bool // it had none
}

// forever is the end of a request that has no answer yet.
const forever = math.MaxInt64

// Ledger is the history of all writes. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	clock   int64
	ops     []*Op
	history map[Key][]*Op
	touched map[Key]bool
	settled map[Key]string
	acks    int
}

// NewLedger is the ledger of an empty registry.
func NewLedger() *Ledger {
	return &Ledger{history: map[Key][]*Op{}, touched: map[Key]bool{}, settled: map[Key]string{}}
}

// Begin notes a request that is about to be sent.
func (l *Ledger) Begin(effects ...Effect) *Op {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	op := &Op{Number: len(l.ops) + 1, Effects: effects, ledger: l, begun: l.clock, end: forever}
	l.ops = append(l.ops, op)
	l.add(op)
	return op
}

func (l *Ledger) add(op *Op) {
	for _, e := range op.Effects {
		l.history[e.Key] = append(l.history[e.Key], op)
		l.touched[e.Key] = true
	}
}

// Ack notes that the registry said the effects are there.
func (o *Op) Ack() {
	o.ledger.mu.Lock()
	defer o.ledger.mu.Unlock()
	o.ledger.clock++
	o.end, o.acked = o.ledger.clock, true
	o.ledger.acks++
}

// Refuse notes that the registry said no.
func (o *Op) Refuse() {
	o.ledger.mu.Lock()
	defer o.ledger.mu.Unlock()
	o.ledger.clock++
	o.end, o.refused = o.ledger.clock, true
}

// Stop notes that the registry was stopped: what has no answer by now gets none,
// and has no effects later than now.
func (l *Ledger) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	for i := len(l.ops) - 1; i >= 0; i-- {
		if l.ops[i].end == forever {
			l.ops[i].end = l.clock
		}
	}
	l.clock++
}

// Acks counts acknowledged writes.
func (l *Ledger) Acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks
}

// Ops counts the writes that were sent.
func (l *Ledger) Ops() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ops)
}

// Allowed is what k may be now, sorted: the value of every write that no later
// acknowledged one has surely replaced. Later means sent after the answer.
func (l *Ledger) Allowed(k Key) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := map[string]bool{}
	history := l.history[k]
	replaced := func(end int64) bool {
		return slices.ContainsFunc(history, func(p *Op) bool { return p.acked && p.begun > end })
	}
	if !replaced(0) {
		values[l.settled[k]] = true // absent, if nothing was ever seen
	}
	for _, op := range history {
		if op.refused || replaced(op.end) {
			continue
		}
		for _, e := range op.Effects {
			if e.Key == k {
				values[e.Value] = true
			}
		}
	}
	all := make([]string, 0, len(values))
	for v := range values {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}

// Settle notes what k was seen to be while nothing was writing: that it stays.
func (l *Ledger) Settle(k Key, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled[k] = value
	delete(l.history, k)
	delete(l.touched, k)
}

// Touched lists the keys written since they were last settled.
func (l *Ledger) Touched() []Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sorted(l.touched)
}

// Keys lists everything that was ever written.
func (l *Ledger) Keys() []Key {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[Key]bool{}
	for k := range l.history {
		all[k] = true
	}
	for k := range l.settled {
		all[k] = true
	}
	return sorted(all)
}

func sorted(set map[Key]bool) []Key {
	all := make([]Key, 0, len(set))
	for k := range set {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Key) int {
		if c := strings.Compare(a.Repo, b.Repo); c != 0 {
			return c
		}
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// Times is when a recorded server saw a request and answered it; zero for never.
type Times struct {
	Began, Answered int
	Status          int
}

// At is the ledger as it stood at a moment of a recording: with the requests
// that had begun by then, and the answers that had been sent.
func (l *Ledger) At(times map[int]Times, moment int) (*Ledger, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	past := NewLedger()
	past.clock = forever - 1
	for _, op := range l.ops {
		t := times[op.Number]
		if t.Began == 0 && !op.acked && !op.refused {
			continue // it was sent to a server that was dead already
		}
		if t.Began == 0 || op.acked != (t.Status >= 200 && t.Status < 300) {
			return nil, fmt.Errorf("request %d (%v): the recording has %+v, the client has acknowledged: %v", op.Number, op.Effects, t, op.acked)
		}
		if t.Began > moment {
			continue
		}
		o := &Op{Number: op.Number, Effects: op.Effects, ledger: past, begun: int64(t.Began), end: forever}
		if t.Answered != 0 && t.Answered <= moment {
			o.end, o.acked, o.refused = int64(t.Answered), op.acked, op.refused
		}
		if o.acked {
			past.acks++
		}
		past.add(o)
	}
	return past, nil
}
