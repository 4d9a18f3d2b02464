package ingest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// One call to the database forgets a bounded number of rows. A server that was
// away for long, or is busy, still gets rid of all that is over.
func TestForgetLeavesNothingThatIsOver(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "wreg.db"), sqlite.Options{Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s, err := New(t.Context(), Options{
		Meta: db, Blobs: mem.New(), Producer: "test", Clock: func() time.Time { return now },
		KeepEvents: time.Hour, KeepDecisions: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	const old, young = 2*meta.MaxForgotten + 1, 3
	err = db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		for i := range old + young {
			at := now.Add(-2 * time.Hour)
			if i >= old {
				at = now
			}
			if err := tx.PutEvent(ctx, meta.Event{Time: at, Kind: "push"}); err != nil {
				return err
			}
			if _, err := tx.PutDecision(ctx, meta.Decision{Time: at, Digest: digest.FromString("m")}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.forget(t.Context())
	everything := meta.Visibility{Everything: true}
	events, err := db.EventsAfter(t.Context(), everything, 0, 0)
	if err != nil || len(events) != young {
		t.Errorf("EventsAfter(0) after forget() = %d events, %v; want the %d that are not over", len(events), err, young)
	}
	decisions, err := db.Decisions(t.Context(), everything, meta.DecisionFilter{}, 0, 0)
	if err != nil || len(decisions) != young {
		t.Errorf("Decisions() after forget() = %d, %v; want the %d that are not over", len(decisions), err, young)
	}
}
