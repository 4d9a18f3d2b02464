package advisories

import (
	"context"
	"time"

	"github.com/wreg-project/wreg/storage/meta"
)

// A Status is the state of the advisories of a database.
type Status struct {
	// Revision counts changes of advisories; the findings of files have been made
	// with those up to Matched.
	Revision int64 `json:"revision"`
	Matched  int64 `json:"matched"`

	Feeds []FeedStatus `json:"feeds"`
}

// A FeedStatus is the state of a feed. Times are zero for never.
type FeedStatus struct {
	Source     string    `json:"source"`
	Advisories int64     `json:"advisories"`
	Refused    int64     `json:"refused"`
	Attempted  time.Time `json:"attempted,omitzero"`
	Imported   time.Time `json:"imported,omitzero"`
	Newest     time.Time `json:"newest,omitzero"` // when its newest record was modified
	ETag       string    `json:"etag,omitempty"`
	Digest     string    `json:"digest,omitempty"`
	Error      string    `json:"error,omitempty"` // of the last attempt
}

// ReadStatus reads the state.
func ReadStatus(ctx context.Context, db meta.Advisories) (Status, error) {
	s := Status{Feeds: []FeedStatus{}}
	var err error
	if s.Revision, err = db.AdvisoryRevision(ctx); err != nil {
		return Status{}, err
	}
	if s.Matched, err = db.MatchedRevision(ctx); err != nil {
		return Status{}, err
	}
	feeds, err := db.Feeds(ctx)
	if err != nil {
		return Status{}, err
	}
	for _, f := range feeds {
		s.Feeds = append(s.Feeds, FeedStatus{
			Source: f.Source, Advisories: f.Advisories, Refused: f.Refused, Attempted: f.Attempted, Imported: f.Imported,
			Newest: f.Newest, ETag: f.ETag, Digest: string(f.Digest), Error: f.Error,
		})
	}
	return s, nil
}

// Stale reports whether a feed is in a state that somebody should look at: its last
// attempt failed, or no import succeeded for longer than the given time.
func (f FeedStatus) Stale(now time.Time, most time.Duration) bool {
	return f.Error != "" || now.Sub(f.Imported) > most
}
