package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Versions lists tags with everything a catalog shows of them.
type Versions interface {
	// Version is one tag, yanked or not.
	Version(ctx context.Context, repo, tag string) (Version, error)
	// Versions lists tags in byte order, yanked ones too.
	Versions(ctx context.Context, repo string, p Page) ([]Version, error)
	// TagNotices lists the names of all tags in byte order, yanked ones too, with
	// what is said about each.
	TagNotices(ctx context.Context, repo string, p Page) ([]TagNotice, error)
	// Downloads counts how often manifests of repo were pulled, those of one
	// digest if d is not "", by day, oldest first, from the day on in which the
	// given time lies. Days without a pull are left out. Within a day digests are
	// in byte order.
	Downloads(ctx context.Context, repo string, d digest.Digest, from time.Time) ([]Download, error)
}

// VersionWriter writes what people say about tags.
type VersionWriter interface {
	// SetNotice says that a tag is yanked or deprecated, or with NoticeNone
	// neither, and then nothing else of n is kept. Yanked tags are left out of
	// Tags and are no package's latest; whoever asks for one finds it. It is
	// journaled, ends when the tag is deleted, and stays when the tag moves.
	// ErrNotFound if there is no such tag.
	SetNotice(ctx context.Context, repo, tag string, n Notice) error
	// AddDownloads adds to the counts of the days in which the given times lie;
	// manifests that are gone are left out. Counts go with their manifest. They
	// are neither journaled nor dumped: a rebuilt database counts from zero.
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

// TagNotice is a tag's name with the state of its notice.
type TagNotice struct {
	Tag    string
	Notice NoticeState
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

// Events is what happened, in order, for those who follow along. Events are
// neither journaled nor dumped, and a rebuilt database counts them from one:
// whoever follows with an id above LastEvent begins anew.
type Events interface {
	// EventsAfter lists events with an id above after that v may see, in order, at
	// most limit unless that is below one. Events without a repository are seen
	// by those who see everything. It reads all events after that one until the
	// limit is reached: who sees few of them goes on from what LastEvent was
	// before the call.
	EventsAfter(ctx context.Context, v Visibility, after int64, limit int) ([]Event, error)
	// LastEvent is the id of the last event ever put, 0 for none.
	LastEvent(ctx context.Context) (int64, error)
}

// EventWriter writes events, in the transaction that they tell of.
type EventWriter interface {
	// PutEvent adds an event. Ids rise in the order in which transactions commit
	// and are never used twice; e.ID is ignored.
	PutEvent(ctx context.Context, e Event) error
	// ForgetEvents removes events from the oldest to the first that is not older
	// than the given time, and the oldest above the number of keep, but at most
	// MaxForgotten. It returns how many went.
	ForgetEvents(ctx context.Context, before time.Time, keep int64) (int64, error)
}

// MaxForgotten is how many rows one call forgets, as other writers wait for it.
// Whoever wants all of them gone calls again until none are.
const MaxForgotten = 1000

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
