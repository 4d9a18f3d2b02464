package load

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAllowed(t *testing.T) {
	k := Key{Tag, "r", "t"}
	begin := func(l *Ledger, value string) *Op { return l.Begin(Effect{k, value}) }
	tests := []struct {
		name string
		do   func(l *Ledger)
		want []string
	}{
		{"nothing happened", func(*Ledger) {}, []string{Absent}},
		{"a write in flight", func(l *Ledger) { begin(l, "1") }, []string{Absent, "1"}},
		{"a write acknowledged", func(l *Ledger) { begin(l, "1").Ack() }, []string{"1"}},
		{"a write refused", func(l *Ledger) { begin(l, "1").Refuse() }, []string{Absent}},
		{"one after the other", func(l *Ledger) { begin(l, "1").Ack(); begin(l, "2").Ack() }, []string{"2"}},
		{"the second in flight", func(l *Ledger) { begin(l, "1").Ack(); begin(l, "2") }, []string{"1", "2"}},
		{"both at once", func(l *Ledger) { a, b := begin(l, "1"), begin(l, "2"); a.Ack(); b.Ack() }, []string{"1", "2"}},
		{"deleted", func(l *Ledger) { begin(l, "1").Ack(); begin(l, Absent).Ack() }, []string{Absent}},
		{"a write cut off may still win while the server runs", func(l *Ledger) { begin(l, "1"); begin(l, "2").Ack() }, []string{"1", "2"}},
		{"a write cut off by a stop loses to a later one", func(l *Ledger) { begin(l, "1"); l.Stop(); begin(l, "2").Ack() }, []string{"2"}},
		{"a write cut off by a stop may be there", func(l *Ledger) { begin(l, "1"); l.Stop() }, []string{Absent, "1"}},
		{"what was seen stays", func(l *Ledger) { begin(l, "1"); l.Stop(); l.Settle(k, "1") }, []string{"1"}},
		{"what was seen is replaced", func(l *Ledger) { l.Settle(k, "1"); begin(l, "2").Ack() }, []string{"2"}},
		{"another key", func(l *Ledger) { l.Begin(Effect{Key{Tag, "r", "u"}, "1"}).Ack() }, []string{Absent}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLedger()
			tt.do(l)
			if diff := cmp.Diff(tt.want, l.Allowed(k)); diff != "" {
				t.Errorf("Allowed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAtKnowsOnlyWhatHadHappened(t *testing.T) {
	k := Key{Tag, "r", "t"}
	l := NewLedger()
	l.Begin(Effect{k, "1"}).Ack()
	l.Begin(Effect{k, "2"}).Ack()
	times := map[int]Times{1: {Began: 10, Answered: 20, Status: 201}, 2: {Began: 30, Answered: 40, Status: 201}}
	tests := []struct {
		moment int
		want   []string
		acks   int
	}{
		{5, []string{Absent}, 0},
		{10, []string{Absent, "1"}, 0},
		{20, []string{"1"}, 1},
		{35, []string{"1", "2"}, 1},
		{40, []string{"2"}, 2},
	}
	for _, tt := range tests {
		past, err := l.At(times, tt.moment)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, past.Allowed(k)); diff != "" || past.Acks() != tt.acks {
			t.Errorf("at %d: %d acknowledged, want %d; Allowed (-want +got):\n%s", tt.moment, past.Acks(), tt.acks, diff)
		}
	}
	if _, err := l.At(map[int]Times{1: times[1]}, 50); err == nil {
		t.Error("At with a request that the recording lacks = nil error, want one")
	}
}
