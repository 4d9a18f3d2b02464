package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// A Severity says whether something has to be done about a finding.
type Severity string

// The severities. A storage with errors is not sound: something that was
// acknowledged is lost or would be.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// A Kind says what a finding is about.
type Kind string

// The kinds of findings.
const (
	KindDatabase    Kind = "database"     // the database's own check fails, or rows cannot be read
	KindBehind      Kind = "behind"       // the database is older than its journal
	KindManifest    Kind = "manifest"     // a manifest is not what its digest promises
	KindReference   Kind = "reference"    // a manifest needs a blob that its repository does not hold
	KindUnpinned    Kind = "unpinned"     // a manifest names a blob that it does not keep: warning
	KindSparse      Kind = "sparse"       // an index names a manifest that is not there: warning
	KindTag         Kind = "tag"          // a tag points to nothing
	KindMissing     Kind = "blob-missing" // a blob has no bytes
	KindSize        Kind = "blob-size"    // a blob has more or fewer bytes than it should
	KindContent     Kind = "blob-content" // a blob's bytes are not what its digest promises
	KindUnreadable  Kind = "blob-unreadable"
	KindOrphan      Kind = "orphan"   // bytes without a row: warning, repairable
	KindJournal     Kind = "journal"  // the journal could not rebuild the database
	KindSnapshot    Kind = "snapshot" // a snapshot is damaged
	KindStrayObject Kind = "stray"    // an object that is neither: warning
)

// A Finding is one thing that is not as it should be. Fields that do not apply
// are empty.
type Finding struct {
	Severity Severity      `json:"severity"`
	Kind     Kind          `json:"kind"`
	Repo     string        `json:"repo,omitempty"`
	Tag      string        `json:"tag,omitempty"`
	Digest   digest.Digest `json:"digest,omitempty"` // of the manifest or blob at fault
	Object   string        `json:"object,omitempty"` // name of a journal object or snapshot
	Message  string        `json:"message"`          // for a person
	Repaired bool          `json:"repaired,omitempty"`
}

// CheckOptions are the settings of [Check]. The zero value is ready for use.
type CheckOptions struct {
	// Quick leaves the bytes of blobs unread: presence and size only.
	Quick bool
	// Repair deletes bytes without a row, and nothing else.
	Repair bool
	// Parallel is how many blobs are read at once. Zero means 2.
	Parallel int
	// Grace is the age up to which bytes without a row count as an upload's.
	// Zero means DefaultGrace.
	Grace time.Duration
	// Now is the time by which ages are measured. Zero means the present.
	Now time.Time
	// Report is called for each finding, never twice at once. Nil means nobody.
	Report func(Finding)
}

// A Checked says what [Check] looked at and how much of it was wrong.
type Checked struct {
	OK           bool  `json:"ok"` // no error was found; warnings are no errors
	Repositories int   `json:"repositories"`
	Manifests    int   `json:"manifests"`
	Tags         int   `json:"tags"`
	Blobs        int   `json:"blobs"`     // live ones
	BytesRead    int64 `json:"bytesRead"` // of blobs, hashed
	Journal      int   `json:"journal"`   // objects read
	Snapshots    int   `json:"snapshots"`
	Orphans      int   `json:"orphans"`
	Errors       int   `json:"errors"`
	Warnings     int   `json:"warnings"`
	Repaired     int   `json:"repaired"`
}

// Check verifies every digest and every reference: the database by its own
// check, manifests against their digests, tags, pins and children against
// what they point to, blob rows against bytes and bytes against rows, the
// bytes against their digests, and that journal and snapshots can be read and
// would give the database back. What it finds goes to opts.Report; its error
// says only that it could not look.
func Check(ctx context.Context, db meta.DB, store blob.Store, opts CheckOptions) (Checked, error) {
	opts.Parallel = orDefault(opts.Parallel, 2)
	opts.Grace = orDefault(opts.Grace, DefaultGrace)
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	c := &checker{db: db, store: store, opts: opts}
	for _, step := range []func(context.Context) error{
		c.checkDatabase, c.checkRepositories, c.checkBlobs, c.checkJournal, c.checkOrphans,
	} {
		if err := step(ctx); err != nil {
			return c.result, fmt.Errorf("fsck: %w", err)
		}
	}
	c.result.OK = c.result.Errors == 0
	return c.result, nil
}

type checker struct {
	db     meta.DB
	store  blob.Store
	opts   CheckOptions
	behind bool

	mu     sync.Mutex // for what follows
	result Checked
}

func (c *checker) report(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case f.Repaired:
		c.result.Repaired++
	case f.Severity == SeverityError:
		c.result.Errors++
	default:
		c.result.Warnings++
	}
	if c.opts.Report != nil {
		c.opts.Report(f)
	}
}

func (c *checker) checkDatabase(ctx context.Context) error {
	if err := c.db.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		c.report(Finding{Severity: SeverityError, Kind: KindDatabase, Message: err.Error()})
	}
	err := CheckBehind(ctx, c.db, c.store)
	if errors.Is(err, ErrBehind) {
		c.behind = true
		c.report(Finding{Severity: SeverityError, Kind: KindBehind, Message: err.Error()})
		return nil
	}
	return err
}

// rowPage is how many names and digests are read at once.
const rowPage = 500

func (c *checker) checkRepositories(ctx context.Context) error {
	page := meta.Page{Limit: rowPage}
	for {
		repos, err := c.db.Repositories(ctx, meta.Visibility{Everything: true}, page)
		if err != nil {
			return fmt.Errorf("list repositories: %w", err)
		}
		for _, repo := range repos {
			if err := c.checkManifests(ctx, repo); err != nil {
				return err
			}
			if err := c.checkTags(ctx, repo); err != nil {
				return err
			}
			c.result.Repositories++
			page.After = repo
		}
		if len(repos) < rowPage {
			return nil
		}
	}
}

func (c *checker) checkManifests(ctx context.Context, repo string) error {
	page := meta.Page{Limit: rowPage}
	for {
		digests, err := c.db.Manifests(ctx, repo, page)
		if errors.Is(err, meta.ErrRepository) {
			return nil // deleted since it was listed
		}
		if err != nil {
			return fmt.Errorf("list manifests of %s: %w", repo, err)
		}
		for _, d := range digests {
			if err := c.checkManifest(ctx, repo, d); err != nil {
				return err
			}
			page.After = string(d)
		}
		if len(digests) < rowPage {
			return nil
		}
	}
}

func (c *checker) checkManifest(ctx context.Context, repo string, d digest.Digest) error {
	c.result.Manifests++
	m, err := c.db.Manifest(ctx, repo, d)
	if err != nil {
		return c.unreadable(ctx, repo, d, err)
	}
	at := Finding{Severity: SeverityError, Kind: KindManifest, Repo: repo, Digest: d}
	if err := d.Validate(); err != nil {
		at.Message = fmt.Sprintf("digest of a manifest: %v", err)
		c.report(at)
		return nil
	}
	if got := d.Algorithm().FromBytes(m.Content); got != d {
		at.Message = fmt.Sprintf("content of %d bytes has digest %s", len(m.Content), got)
		c.report(at)
		return nil // what it says is not to be believed
	}
	return c.checkReferences(ctx, m)
}

// unreadable reports rows that are there and cannot be read.
func (c *checker) unreadable(ctx context.Context, repo string, d digest.Digest, err error) error {
	switch {
	case errors.Is(err, meta.ErrNotFound), errors.Is(err, meta.ErrRepository):
		return nil // deleted since it was listed
	case ctx.Err() != nil:
		return err
	}
	c.report(Finding{
		Severity: SeverityError, Kind: KindDatabase, Repo: repo, Digest: d,
		Message: fmt.Sprintf("row cannot be read: %v", err),
	})
	return nil
}

// named is what a manifest of any kind names.
type named struct {
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Blobs     []descriptor `json:"blobs"`
	Manifests []descriptor `json:"manifests"`
}

type descriptor struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
}

// elsewhere reports whether a layer is one that registries need not hold.
func (d descriptor) elsewhere() bool {
	return strings.Contains(d.MediaType, ".nondistributable.") || strings.Contains(d.MediaType, ".foreign.")
}

func (c *checker) checkReferences(ctx context.Context, m meta.Manifest) error {
	pins, children, err := c.db.ManifestReferences(ctx, m.Repo, m.Digest)
	if err != nil {
		return c.unreadable(ctx, m.Repo, m.Digest, err)
	}
	held, err := c.db.BlobSizes(ctx, m.Repo, pins)
	if err != nil {
		return c.unreadable(ctx, m.Repo, m.Digest, err)
	}
	at := Finding{Severity: SeverityError, Kind: KindReference, Repo: m.Repo, Digest: m.Digest}
	for _, d := range pins {
		if _, ok := held[d]; ok {
			continue
		}
		at.Message = fmt.Sprintf("needs blob %s, which the repository does not hold live", d)
		c.report(at)
	}
	c.checkPins(m, pins)
	absent, err := c.db.MissingManifests(ctx, m.Repo, children)
	if err != nil {
		return c.unreadable(ctx, m.Repo, m.Digest, err)
	}
	at.Severity, at.Kind = SeverityWarning, KindSparse
	for _, d := range absent {
		at.Message = fmt.Sprintf("names manifest %s, which the repository does not hold", d)
		c.report(at)
	}
	return nil
}

// checkPins compares what a manifest says with what its rows keep for it.
func (c *checker) checkPins(m meta.Manifest, pins []digest.Digest) {
	var says named
	if json.Unmarshal(m.Content, &says) != nil {
		return // of a type that names nothing we know of
	}
	kept := make(map[digest.Digest]bool, len(pins))
	for _, d := range pins {
		kept[d] = true
	}
	all := append(says.Layers, says.Blobs...)
	if says.Config != nil {
		all = append(all, *says.Config)
	}
	for _, b := range all {
		if b.Digest == "" || kept[b.Digest] || b.elsewhere() {
			continue
		}
		kept[b.Digest] = true // say it once
		c.report(Finding{
			Severity: SeverityWarning, Kind: KindUnpinned, Repo: m.Repo, Digest: m.Digest,
			Message: fmt.Sprintf("names blob %s and does not keep it", b.Digest),
		})
	}
}

func (c *checker) checkTags(ctx context.Context, repo string) error {
	page := meta.Page{Limit: rowPage}
	for {
		tags, err := c.db.TagNotices(ctx, repo, page) // those that are yanked too
		if errors.Is(err, meta.ErrRepository) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list tags of %s: %w", repo, err)
		}
		for _, tag := range tags {
			if err := c.checkTag(ctx, repo, page.After, tag.Tag); err != nil {
				return err
			}
			page.After = tag.Tag
		}
		if len(tags) < rowPage {
			return nil
		}
	}
}

// checkTag checks a tag that was listed right after the tag prev.
func (c *checker) checkTag(ctx context.Context, repo, prev, name string) error {
	c.result.Tags++
	at := Finding{Severity: SeverityError, Kind: KindTag, Repo: repo, Tag: name}
	tag, err := c.db.Tag(ctx, repo, name)
	if errors.Is(err, meta.ErrNotFound) {
		again, err := c.db.TagNotices(ctx, repo, meta.Page{After: prev, Limit: 1})
		if err == nil && len(again) == 1 && again[0].Tag == name { // it was not deleted since
			at.Message = "points to no manifest"
			c.report(at)
		}
		return nil
	}
	if err != nil {
		return c.unreadable(ctx, repo, "", err)
	}
	missing, err := c.db.MissingManifests(ctx, repo, []digest.Digest{tag.Digest})
	if err != nil {
		return c.unreadable(ctx, repo, tag.Digest, err)
	}
	if len(missing) > 0 {
		at.Digest = tag.Digest
		at.Message = "points to a manifest that the repository does not hold"
		c.report(at)
	}
	return nil
}

// checkBlobs looks at the bytes of every live blob.
func (c *checker) checkBlobs(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan meta.Blob)
	var workers sync.WaitGroup
	for range c.opts.Parallel {
		workers.Go(func() {
			buf := make([]byte, 256<<10)
			for b := range work {
				if err := c.checkBlob(ctx, b, buf); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	live := func(b meta.Blob) bool { return b.State == meta.BlobLive }
	err := blobBatches(ctx, c.db, live, func(batch []meta.Blob) error {
		for _, b := range batch {
			select {
			case work <- b:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	close(work)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// checkBlob reports at most one finding about b; its error is the context's or
// the database's.
func (c *checker) checkBlob(ctx context.Context, b meta.Blob, buf []byte) error {
	f, err := checkBytes(ctx, c.store, b)
	var n int64
	if f == nil && err == nil && !c.opts.Quick {
		f, n, err = checkContent(ctx, c.store, b, buf)
	}
	c.mu.Lock()
	c.result.Blobs++
	c.result.BytesRead += n
	c.mu.Unlock()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f = blobFinding(b, KindUnreadable, err.Error())
	}
	if f == nil {
		return nil
	}
	now, err := c.db.FindBlob(ctx, b.Digest)
	switch {
	case errors.Is(err, meta.ErrNotFound), err == nil && (now.State != b.State || now.Generation != b.Generation):
		return nil // collected since it was listed
	case err != nil:
		return fmt.Errorf("find blob %s: %w", b.Digest, err)
	}
	c.report(*f)
	return nil
}

func blobFinding(b meta.Blob, kind Kind, message string) *Finding {
	return &Finding{Severity: SeverityError, Kind: kind, Digest: b.Digest, Message: message}
}

// checkBytes compares b's row with what the store says of its bytes.
func checkBytes(ctx context.Context, store blob.Store, b meta.Blob) (*Finding, error) {
	i, err := store.Stat(ctx, keyOf(b))
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return blobFinding(b, KindMissing, fmt.Sprintf("%d bytes are missing from the store, as %s", b.Size, keyOf(b))), nil
	case err != nil:
		return nil, err
	case i.Size != b.Size:
		return blobFinding(b, KindSize, fmt.Sprintf("the store has %d bytes of %d", i.Size, b.Size)), nil
	}
	return nil, nil
}

// checkContent hashes the bytes of b.
func checkContent(ctx context.Context, store blob.Store, b meta.Blob, buf []byte) (*Finding, int64, error) {
	if err := b.Digest.Validate(); err != nil {
		return blobFinding(b, KindContent, err.Error()), 0, nil
	}
	r, err := store.Open(ctx, keyOf(b), 0, -1)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	sum := b.Digest.Algorithm().Hash()
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, &contextReader{ctx: ctx, r: r}, buf)
	if err != nil {
		return nil, n, err
	}
	if got := digest.NewDigest(b.Digest.Algorithm(), sum); got != b.Digest {
		return blobFinding(b, KindContent, fmt.Sprintf("%d bytes have digest %s", n, got)), n, nil
	}
	return nil, n, nil
}

// contextReader ends with its context: local files know none.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// checkJournal reads all snapshots and, from the oldest that is intact on, the
// journal.
func (c *checker) checkJournal(ctx context.Context) error {
	for _, dir := range []string{snapshotDir, journalDir} {
		if err := c.checkStrays(ctx, dir); err != nil {
			return err
		}
	}
	snapshots, err := listObjects(ctx, c.store, snapshotDir)
	if err != nil {
		return err
	}
	var oldest, newest int64
	for i := len(snapshots) - 1; i >= 0; i-- {
		o := snapshots[i]
		c.result.Snapshots++
		_, err := verifySnapshot(ctx, c.store, o)
		switch {
		case errors.Is(err, ErrDamaged):
			c.report(Finding{Severity: SeverityError, Kind: KindSnapshot, Object: o.name, Message: err.Error()})
		case err != nil:
			return err
		default:
			oldest, newest = o.last, max(newest, o.last)
		}
	}
	journal, err := listObjects(ctx, c.store, journalDir)
	if err != nil {
		return err
	}
	v := &journalCheck{checker: c, last: oldest}
	if err := walkJournal(ctx, c.store, journal, oldest, v); err != nil {
		return err
	}
	return c.checkJournaled(ctx, max(v.last, newest))
}

// checkJournaled compares where the journal ends with what the database was
// told of it.
func (c *checker) checkJournaled(ctx context.Context, last int64) error {
	_, done, err := c.db.JournalSequence(ctx)
	if err != nil {
		return fmt.Errorf("read journal sequence: %w", err)
	}
	if done > last {
		c.report(Finding{
			Severity: SeverityError, Kind: KindJournal,
			Message: Gap{From: last + 1, To: done}.String() + " are missing from the end of the journal",
		})
	}
	return nil
}

func (c *checker) checkStrays(ctx context.Context, dir string) error {
	return c.store.ListObjects(ctx, dir, func(name string, size int64) error {
		if _, ok := parseObject(dir, name, size); !ok {
			c.report(Finding{Severity: SeverityWarning, Kind: KindStrayObject, Object: name, Message: "is not an object of wreg"})
		}
		return nil
	})
}

// journalCheck reports what walkJournal meets.
type journalCheck struct {
	*checker
	last int64
}

func (v *journalCheck) intact(_ context.Context, o namedObject) error {
	v.result.Journal++
	v.last = o.last
	return nil
}

func (v *journalCheck) damaged(o namedObject, cause error, superseded bool) {
	v.result.Journal++
	f := Finding{Severity: SeverityError, Kind: KindJournal, Object: o.name, Message: cause.Error()}
	if superseded {
		f.Severity = SeverityWarning
	}
	v.report(f)
}

func (v *journalCheck) gap(g Gap, faulty []namedObject) error {
	if len(faulty) == 0 { // else reported as damaged
		v.report(Finding{Severity: SeverityError, Kind: KindJournal, Message: g.String() + " are missing from the journal"})
	}
	return nil
}

// checkOrphans looks for bytes that no row describes.
func (c *checker) checkOrphans(ctx context.Context) error {
	before := c.opts.Now.Add(-c.opts.Grace)
	found := func(i blob.Info, repaired bool) {
		c.result.Orphans++
		c.report(Finding{
			Severity: SeverityWarning, Kind: KindOrphan, Digest: i.Key.Digest, Repaired: repaired,
			Message: fmt.Sprintf("%d bytes that no row describes, as %s", i.Size, i.Key),
		})
	}
	if c.opts.Repair && !c.behind {
		return deleteOrphans(ctx, c.db, c.store, before, func(i blob.Info) { found(i, true) })
	}
	return eachOrphan(ctx, c.db, c.store, before, func(i blob.Info) error {
		found(i, false)
		return nil
	})
}
