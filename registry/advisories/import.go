package advisories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// ErrShrunk is of a feed that has so much less than before that it is more likely
// to be broken than right: its records are imported, and none is removed.
var ErrShrunk = errors.New("the feed has lost most of its advisories")

// What a feed may lose in one import: everything if it had few, else half.
const fewAdvisories = 100

// An Importer writes feeds into a database. Its methods are safe for concurrent
// use; two imports of one feed at a time are both right, but do the work twice.
type Importer struct {
	DB    meta.DB
	Clock func() time.Time // nil is time.Now
}

// A Load is one import.
type Load struct {
	// Source is the address or path by which the feed is known.
	Source string

	// Path is the local file or folder with its records; see vuln.Importer.Path.
	Path string

	// ETag and Digest are those of the file, for who shows feeds. Both may be "".
	ETag   string
	Digest digest.Digest

	// Shrink lets the feed lose more than half of its advisories.
	Shrink bool

	// Progress, if it is set, is told from time to time how many records have been
	// read.
	Progress func(records int)
}

// Loaded says what an import did.
type Loaded struct {
	Source     string `json:"source"`
	Advisories int    `json:"advisories"` // that the feed has now
	Changed    int    `json:"changed"`    // in the database
	Removed    int    `json:"removed"`    // from the database
	vuln.Stats `json:"read"`
}

// Import makes what the database has of a feed what its file has. Records that are
// the same as before cost a look-up. It writes in many small transactions: an
// import that ends in between leaves what it wrote, and the next one does the rest.
// What became of it is written to meta.Feed in any case, and a change enqueues the
// job [RescanJob].
//
// A file that cannot be read to its end, or that would be ErrShrunk, removes
// nothing.
func (im *Importer) Import(ctx context.Context, l Load) (Loaded, error) {
	began := im.now()
	out := Loaded{Source: l.Source}
	s := &feedStore{db: im.DB, source: l.Source, now: began, progress: l.Progress, seen: map[string]digest.Digest{}}
	err := im.load(ctx, l, s, &out)
	out.Changed, out.Removed = s.changed, s.removed
	if noted := im.note(ctx, l, s, out, began, err); noted != nil {
		return out, errors.Join(err, noted)
	}
	if err != nil {
		return out, fmt.Errorf("import %s: %w", l.Source, err)
	}
	return out, nil
}

func (im *Importer) now() time.Time {
	if im.Clock == nil {
		return time.Now()
	}
	return im.Clock()
}

func (im *Importer) load(ctx context.Context, l Load, s *feedStore, out *Loaded) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	reader := vuln.Importer{Store: s, Refused: s.refused}
	err := reader.Path(ctx, l.Path)
	if flushed := s.flush(ctx); err == nil {
		err = flushed
	}
	out.Stats, out.Advisories = reader.Stats, s.held()
	if err != nil {
		return err
	}
	return s.removeRest(ctx, l.Shrink)
}

// failed notes that a feed could not be brought.
func (im *Importer) failed(ctx context.Context, source string, began time.Time, failure error) error {
	return im.note(ctx, Load{Source: source}, nil, Loaded{Source: source}, began, failure)
}

// noteGrace is what is left to write how an import ended that was cut off.
const noteGrace = 10 * time.Second

// note writes the state of a feed after an attempt, and enqueues what follows from
// changes.
func (im *Importer) note(ctx context.Context, l Load, s *feedStore, out Loaded, began time.Time, failure error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteGrace)
	defer cancel()
	return im.DB.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		f, err := feedOf(ctx, tx, l.Source)
		if err != nil {
			return err
		}
		f.Attempted, f.Error = began, cut(failure)
		if failure == nil {
			f.Imported, f.ETag, f.Digest = im.now(), l.ETag, l.Digest
			f.Advisories, f.Refused = int64(out.Advisories), int64(out.Refused)
		}
		if out.Newest.After(f.Newest) {
			f.Newest = s.clamp(out.Newest)
		}
		if err := tx.PutFeed(ctx, f); err != nil {
			return err
		}
		return enqueueRescan(ctx, tx, im.now())
	})
}

// feedOf is the state of a feed, an empty one if nothing is known of it.
func feedOf(ctx context.Context, db meta.Advisories, source string) (meta.Feed, error) {
	feeds, err := db.Feeds(ctx)
	if err != nil {
		return meta.Feed{}, err
	}
	for _, f := range feeds {
		if f.Source == source {
			return f, nil
		}
	}
	return meta.Feed{Source: source}, nil
}

// cut is the text of an error as a feed keeps it.
func cut(err error) string {
	if err == nil {
		return ""
	}
	text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "\uFFFD")
	if len(text) > meta.MaxFeedText {
		text = strings.ToValidUTF8(text[:meta.MaxFeedText], "")
	}
	return text
}

// enqueueRescan adds the job that compares files with what changed, if anything
// did.
func enqueueRescan(ctx context.Context, tx meta.Tx, now time.Time) error {
	revision, err := tx.AdvisoryRevision(ctx)
	if err != nil {
		return err
	}
	matched, err := tx.MatchedRevision(ctx)
	if err != nil || revision <= matched {
		return err
	}
	_, err = tx.Enqueue(ctx, meta.NewJob{Kind: RescanJob, Key: RescanKey, Due: now})
	return err
}

// A feedStore is a vuln.Store that writes to a database in batches.
type feedStore struct {
	db       meta.DB
	source   string
	now      time.Time
	progress func(int)

	known map[string]digest.Digest // what the feed had, by id
	seen  map[string]digest.Digest // what it has
	lost  map[string]bool          // names of records that could not be read

	batch            []meta.NewAdvisory
	bytes            int // of their bodies
	records          int
	changed, removed int
}

// form is part of the digests of records, so that a version of wreg that keeps
// more of a record reads all of them again.
const form = "1 "

// digestOf identifies a record by its SHA-256, in hexadecimal.
func digestOf(sum string) digest.Digest { return digest.FromString(form + sum) }

// pageSize is how many ids of a feed are read at a time.
const pageSize = 10_000

func (s *feedStore) open(ctx context.Context) error {
	s.known, s.lost = map[string]digest.Digest{}, map[string]bool{}
	for after := ""; ; {
		page, err := s.db.FeedAdvisories(ctx, s.source, meta.Page{After: after, Limit: pageSize})
		if err != nil {
			return err
		}
		for _, a := range page {
			s.known[a.ID] = a.Digest
			after = a.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// progressEvery is how many records pass between two reports.
const progressEvery = 256

// Known implements vuln.Store.
func (s *feedStore) Known(ctx context.Context, id, sum string) (bool, error) {
	if s.records++; s.progress != nil && s.records%progressEvery == 0 {
		s.progress(s.records)
	}
	if d := digestOf(sum); s.known[id] == d {
		s.seen[id] = d
		return true, nil
	}
	return false, ctx.Err()
}

// Bounds of a transaction, as other writers wait for it.
const (
	batchRecords = 200
	batchBytes   = 4 << 20
)

// Save implements vuln.Store. What it reports is whether the feed says something
// else than before; what that changes is counted when it is written.
func (s *feedStore) Save(ctx context.Context, a *vuln.Advisory) (bool, error) {
	if s.seen[a.ID] == digestOf(a.SHA256) {
		return false, nil // twice in the feed
	}
	body, err := encode(a)
	if err != nil {
		return false, err
	}
	if len(body) > meta.MaxAdvisory {
		return false, fmt.Errorf("a record of %d bytes: %w", len(body), vuln.ErrLimit)
	}
	row := meta.NewAdvisory{Digest: digestOf(a.SHA256), Advisory: meta.Advisory{
		ID: a.ID, Modified: s.clamp(a.Modified), Withdrawn: a.Withdrawn, Aliases: a.Aliases, Body: body,
	}}
	row.Aliases = row.Aliases[:min(len(row.Aliases), meta.MaxAdvisoryAliases)]
	for _, p := range a.Packages() {
		if len(p.Name) <= meta.MaxPackageName && len(row.Packages) < meta.MaxAdvisoryPackages {
			row.Packages = append(row.Packages, meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name})
		}
	}
	s.seen[a.ID] = row.Digest
	s.batch, s.bytes = append(s.batch, row), s.bytes+len(body)
	if len(s.batch) >= batchRecords || s.bytes >= batchBytes {
		return true, s.flush(ctx)
	}
	return true, nil
}

// clamp is a time that is not in the future: a record dated there would keep its
// place whatever another feed says later.
func (s *feedStore) clamp(t time.Time) time.Time {
	if s != nil && t.After(s.now) {
		return s.now
	}
	return t
}

// encode writes an advisory as it is stored.
func encode(a *vuln.Advisory) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // which would make a record six times as long
	if err := e.Encode(a); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (s *feedStore) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	changed := 0
	err := s.db.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
		changed, err = tx.PutAdvisories(ctx, s.source, s.batch)
		return err
	})
	s.changed += changed
	s.batch, s.bytes = s.batch[:0], 0
	return err
}

// refused notes a record that could not be read: what was known of it stays.
func (s *feedStore) refused(name string, _ error) {
	s.lost[strings.TrimSuffix(path.Base(name), ".json")] = true
}

func (s *feedStore) held() int { return len(s.seen) }

// removeRest removes what the feed does not have any more.
func (s *feedStore) removeRest(ctx context.Context, shrink bool) error {
	var gone []string
	for id := range s.known {
		if _, stays := s.seen[id]; !stays && !s.lost[id] {
			gone = append(gone, id)
		}
	}
	if before := len(s.known); !shrink && before > fewAdvisories && len(gone) > before/2 {
		return fmt.Errorf("%w: %d of %d", ErrShrunk, len(gone), before)
	}
	for len(gone) > 0 {
		n := min(len(gone), batchRecords)
		removed := 0
		err := s.db.Update(ctx, func(ctx context.Context, tx meta.Tx) (err error) {
			removed, err = tx.RemoveAdvisories(ctx, s.source, gone[:n])
			return err
		})
		if err != nil {
			return err
		}
		s.removed += removed
		gone = gone[n:]
	}
	return nil
}
