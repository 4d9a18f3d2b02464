package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Advisories are records of vulnerabilities as feeds tell them, with an index of
// the packages that they are about. What a record means is not looked into here.
// They are neither journaled nor dumped: a rebuilt database imports them again.
type Advisories interface {
	// AdvisoryRevision grows with every change of an advisory. Findings that were
	// made from those of one revision miss what came later: whoever writes them
	// compares it in the same transaction with what it was when they were read.
	AdvisoryRevision(ctx context.Context) (int64, error)
	// MatchedRevision is what SetMatchedRevision was told last, 0 for never.
	MatchedRevision(ctx context.Context) (int64, error)
	// AdvisoriesSince lists advisories in order of their revision, above the given
	// one, at most limit unless that is below one; removed ones, too.
	AdvisoriesSince(ctx context.Context, revision int64, limit int) ([]Advisory, error)
	// AdvisoryRefs lists which advisories are about any of the packages, in order of
	// package and id.
	AdvisoryRefs(ctx context.Context, packages []EcosystemPackage) ([]AdvisoryRef, error)
	// AdvisoriesByID reads records, in order of id; those there are not are left out,
	// those removed are not.
	AdvisoriesByID(ctx context.Context, ids []string) ([]Advisory, error)
	// AdvisoriesNamed lists advisories that have the given id or alias, in order of
	// id, at most limit unless that is below one.
	AdvisoriesNamed(ctx context.Context, name string, limit int) ([]Advisory, error)
	// Feeds lists all feeds, by source.
	Feeds(ctx context.Context) ([]Feed, error)
	// FeedAdvisories lists what a feed held when it was imported, by id, so that an
	// import can tell what changed. An unknown feed has none.
	FeedAdvisories(ctx context.Context, source string, p Page) ([]FeedAdvisory, error)
}

// AdvisoryWriter writes them. An import is as many updates as it takes, each of
// at most MaxAdvisoryBatch records: what a crash leaves undone shows in
// FeedAdvisories, and is found by the next.
type AdvisoryWriter interface {
	// PutAdvisories stores what a feed says, and notes it as the feed's. Of two
	// feeds with a record of the same id the one modified last counts, and of equal
	// ones the one written last. It returns how many records changed by it: one that
	// says the same as before keeps its revision.
	PutAdvisories(ctx context.Context, source string, as []NewAdvisory) (changed int, err error)
	// RemoveAdvisories notes that a feed has these no longer. An advisory that no
	// feed has is removed: it gets a new revision and is about no package, but stays
	// with its findings for those who compare, until ForgetAdvisories. It returns how
	// many were.
	RemoveAdvisories(ctx context.Context, source string, ids []string) (removed int, err error)
	// SetMatchedRevision notes that all files were compared with all advisories up
	// to that revision. It never goes back.
	SetMatchedRevision(ctx context.Context, revision int64) error
	// ForgetAdvisories deletes removed advisories that all files were compared with,
	// with their findings if there still are some, and returns how many. It deletes
	// MaxForgotten at most: until it returns none there are more.
	ForgetAdvisories(ctx context.Context) (int64, error)
	// PutFeed writes the state of a feed.
	PutFeed(ctx context.Context, f Feed) error
	// DeleteFeed removes a feed that has no advisories left: ErrConflict if it has
	// some. There may be none.
	DeleteFeed(ctx context.Context, source string) error
}

// Bounds of advisories. What is beyond them is refused.
const (
	MaxAdvisoryBatch    = 500     // records of one PutAdvisories or ids of one RemoveAdvisories
	MaxAdvisory         = 4 << 20 // bytes of a body
	MaxAdvisoryID       = 256     // bytes of an id or alias
	MaxAdvisoryAliases  = 1024
	MaxAdvisoryPackages = 1 << 16
	MaxFeedText         = 4096 // bytes of a source, ETag or error
)

// Advisory is a stored record.
type Advisory struct {
	ID        string
	Modified  time.Time
	Withdrawn time.Time // zero if it is not
	Removed   bool      // no feed has it any more; ignored of a NewAdvisory
	Aliases   []string  // sorted
	Packages  []EcosystemPackage
	Revision  int64           // of its last change
	Body      json.RawMessage // for package vuln
}

// NewAdvisory is a record with what identifies the feed's version of it. Its
// Revision is ignored.
type NewAdvisory struct {
	Advisory
	Digest digest.Digest // of the record as the feed has it
}

// AdvisoryRef says that an advisory is about a package.
type AdvisoryRef struct {
	EcosystemPackage
	ID       string
	Revision int64 // a body read at this revision is the current one
}

// Feed is a source of advisories.
type Feed struct {
	Source     string // URL or path
	ETag       string
	Digest     digest.Digest // of what was imported last, "" for nothing yet
	Attempted  time.Time     // when an import last began
	Imported   time.Time     // when one last succeeded; zero for never
	Advisories int64         // how many it held then
	Refused    int64         // how many of its records then were none
	Newest     time.Time     // when the newest of them was modified; zero for none
	Error      string        // why the last attempt failed, "" if it did not
}

// FeedAdvisory is a record of a feed.
type FeedAdvisory struct {
	ID     string
	Digest digest.Digest
}
