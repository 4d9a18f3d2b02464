package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Versions lists tags with everything a catalog shows of them.
type Versions interface {
	// Version is one tag.
	Version(ctx context.Context, repo, tag string) (Version, error)
	// Versions lists tags in byte order, yanked ones too.
	Versions(ctx context.Context, repo string, p Page) ([]Version, error)
	// Downloads counts how often manifests of repo were pulled, those of one
	// digest if d is not "", by day, oldest first, from the given day on.
	Downloads(ctx context.Context, repo string, d digest.Digest, from time.Time) ([]Download, error)
}

// VersionWriter writes what people say about tags.
type VersionWriter interface {
	// SetNotice says that a tag is yanked or deprecated, or with NoticeNone
	// neither. Yanked tags are left out of Tags. It is journaled, ends when the
	// tag is deleted, and stays when the tag moves. ErrNotFound if there is no
	// such tag.
	SetNotice(ctx context.Context, repo, tag string, n Notice) error
	// AddDownloads adds to the counts; manifests that are gone are left out. It is
	// not journaled.
	AddDownloads(ctx context.Context, ds []Download) error
}

// A NoticeState is what people say about a tag.
type NoticeState int

// The states.
const (
	NoticeNone NoticeState = iota
	NoticeDeprecated
	NoticeYanked
)

// Notice is what somebody said about a tag.
type Notice struct {
	State  NoticeState `json:"state"`
	Reason string      `json:"reason,omitempty"`
	By     string      `json:"by,omitempty"`
	Time   time.Time   `json:"time,omitzero"`
}

// Version is a tag with its manifest's row and notice.
type Version struct {
	Tag
	MediaType    string
	ArtifactType string
	Subject      digest.Digest
	Annotations  map[string]string
	Size         int64 // bytes of the manifest
	Created      time.Time
	Verdict      VerdictState
	Ingested     int // version of the pipeline, 0 for not yet
	Notice       Notice
	Downloads    int64 // of the manifest, under any name
}

// Download counts pulls of a manifest on one day.
type Download struct {
	Repo   string
	Digest digest.Digest
	Day    time.Time // midnight UTC
	Count  int64
}

// Events is what happened, in order, for those who follow along.
type Events interface {
	// EventsAfter lists events with an id above after that v may see, in order.
	EventsAfter(ctx context.Context, v Visibility, after int64, limit int) ([]Event, error)
	// LastEvent is the greatest id, 0 for none.
	LastEvent(ctx context.Context) (int64, error)
}

// EventWriter writes events, in the transaction that they tell of.
type EventWriter interface {
	PutEvent(ctx context.Context, e Event) error
	// ForgetEvents removes events older than the given time and all but the last
	// keep, and returns how many.
	ForgetEvents(ctx context.Context, before time.Time, keep int64) (int64, error)
}

// Event is one thing that happened.
type Event struct {
	ID     int64
	Time   time.Time
	Kind   string // "push", "tag", "delete", "ingested", "verdict", "yank", …
	Repo   string
	Digest digest.Digest
	Tag    string
	Actor  string
	Detail json.RawMessage // nil for none
}
