// Package meta stores what wreg knows about its blobs: which repository holds
// them, the manifests and tags over them, who refers to whom, and the journal
// from which a lost database is rebuilt. It knows no HTTP, no Wasm and no rule
// of the registry; those are in packages registry and inspect.
//
// Two drivers implement DB, sqlite and postgres, and prove themselves with
// metatest.Run. Both run writes in groups: every member of a group has a
// savepoint and its own outcome, and all share one commit.
package meta

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// DB is a metadata database. All methods are safe for concurrent use.
type DB interface {
	Reader

	// Update runs fn in a transaction that sees every earlier write, and returns
	// once it is durable. When fn fails nothing of it stays and its error is
	// returned as it is. Cancelling ctx gives up waiting, never harms the other
	// members of the group, and leaves open whether the write happened unless
	// fn has not begun. fn may run more than once and has to be free of other
	// side effects; it uses the context it is given.
	Update(ctx context.Context, fn func(context.Context, Tx) error) error

	// Journal, the journaler's side: see journal.go.
	Outbox

	// Dump writes every row that the journal tells of as JSON lines in an order
	// that depends on nothing but the rows, from one consistent snapshot,
	// beginning with a DumpHeader. Load reads such lines into an empty database.
	// What is not journaled is made again afterwards, or was of the moment: the
	// methods that write it say so. No manifest of a loaded or replayed database
	// is ingested or judged.
	Dump(ctx context.Context, w io.Writer) error
	Load(ctx context.Context, r io.Reader) (DumpHeader, error)

	// Check runs the database's own integrity check.
	Check(ctx context.Context) error

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}

// Reader answers questions from the last committed state. Absent rows are
// ErrNotFound; a repository that never held anything is ErrRepository.
type Reader interface {
	Repositories
	Manifests
	Tags
	Blobs
	Jobs
	Analyses
	Verdicts
	PolicyReader
	Versions
	Events
	Documents
	Components
	Findings
	Advisories
	Signatures
	TrustReader
	AOTJobs
}

// Tx is the writer's view inside Update. Its reads see its own writes. Each
// method that writes also appends its record to the transaction's journal row,
// unless its interface says that it is not journaled.
type Tx interface {
	Reader
	RepositoryWriter
	ManifestWriter
	TagWriter
	BlobWriter
	JobWriter
	AnalysisWriter
	VerdictWriter
	PolicyWriter
	VersionWriter
	EventWriter
	DocumentWriter
	ComponentWriter
	FindingWriter
	AdvisoryWriter
	SignatureWriter
	TrustWriter
	AOTWriter
}

// Visibility is what the caller of a listing may see. The zero value sees
// nothing.
type Visibility struct {
	Everything bool
	Namespaces []string // "team" shows team and everything below team/
}

// Page bounds a listing: at most Limit entries that sort after After. A Limit
// below one is no limit.
type Page struct {
	After string
	Limit int
}

// Repositories.
type Repositories interface {
	// Repository describes one repository.
	Repository(ctx context.Context, name string) (Repository, error)
	// Repositories lists the names that v may see, in byte order.
	Repositories(ctx context.Context, v Visibility, p Page) ([]string, error)
	// Packages lists repositories with what a front page shows of them.
	Packages(ctx context.Context, v Visibility, p Page) ([]Package, error)
}

// RepositoryWriter writes repositories. Repositories are made by the first blob
// or manifest written into them.
type RepositoryWriter interface {
	// DeleteRepository removes the repository with its manifests, tags and
	// blob links. Tombstones stay.
	DeleteRepository(ctx context.Context, name string) error
}

// Repository is a row of its kind.
type Repository struct {
	Name    string
	Created time.Time
}

// Package summarises a repository.
type Package struct {
	Name    string
	Tags    int // yanked ones too
	Latest  Tag // the tag written last that is not yanked; zero if there is none
	Updated time.Time
}

// Manifests.
type Manifests interface {
	// Manifest returns a manifest with its content.
	Manifest(ctx context.Context, repo string, d digest.Digest) (Manifest, error)
	// TaggedManifest returns the manifest that tag points to, in one query.
	TaggedManifest(ctx context.Context, repo, tag string) (Manifest, error)
	// Manifests lists the digests of a repository, in byte order.
	Manifests(ctx context.Context, repo string, p Page) ([]digest.Digest, error)
	// Referrers lists manifests whose subject is d, ordered by digest, with
	// Page.After a digest. An empty artifactType means any. A repository that
	// is absent has none.
	Referrers(ctx context.Context, repo string, d digest.Digest, artifactType string, p Page) ([]Referrer, error)
	// ManifestReferences returns which of the blobs that were stored with a manifest it
	// pins, and which of the manifests it names as children, in byte order; none if
	// there is no such manifest.
	ManifestReferences(ctx context.Context, repo string, d digest.Digest) (blobs, manifests []digest.Digest, err error)
	// UntaggedManifests lists, in order of (repo, digest), manifests written
	// before the given time that have no tag, no subject, and no index of their
	// repository that names them.
	UntaggedManifests(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error
}

// ManifestWriter writes manifests.
type ManifestWriter interface {
	// PutManifest stores m with its references. A manifest that is there
	// already is left as it is, and false returned. Every digest of m.Blobs is
	// pinned by it: the caller has checked that the repository holds them.
	PutManifest(ctx context.Context, m NewManifest) (created bool, err error)
	// DeleteManifest removes a manifest, its pins and the tags that point to
	// it, and returns those tags. It leaves no tombstones: whoever wants some
	// deletes those tags first.
	DeleteManifest(ctx context.Context, repo string, d digest.Digest) ([]string, error)
}

// Manifest is a stored manifest, byte for byte.
type Manifest struct {
	Repo      string
	Digest    digest.Digest
	MediaType string
	Content   []byte
	Created   time.Time
	Verdict   VerdictState // by SetVerdict; PutManifest does not write it
	Ingested  int          // by SetIngested, likewise; 0 for not yet
}

// NewManifest is a manifest with what was read from it.
type NewManifest struct {
	Manifest
	ArtifactType string            // as the referrers API shows it: artifactType, else config.mediaType
	Annotations  map[string]string // shown in the referrers API
	Subject      digest.Digest     // "" for none
	Blobs        []digest.Digest   // config and layers that must be stored: pinned
	Manifests    []digest.Digest   // children of an index
}

// Referrer is one entry of a referrers listing.
type Referrer struct {
	Digest       digest.Digest
	MediaType    string
	Size         int64
	ArtifactType string
	Annotations  map[string]string
}

// Tags.
type Tags interface {
	// Tag returns one tag.
	Tag(ctx context.Context, repo, name string) (Tag, error)
	// Tags lists tag names in byte order, without those that are yanked.
	Tags(ctx context.Context, repo string, p Page) ([]string, error)
	// Releases lists at most the given number of tags that are full semantic
	// versions, not prereleases and not yanked: greatest first, equal ones in byte
	// order.
	Releases(ctx context.Context, repo string, most int) ([]Tag, error)
	// ManifestTags lists the tags that point to d, in byte order; none if there
	// is no such manifest.
	ManifestTags(ctx context.Context, repo string, d digest.Digest) ([]string, error)
	// Tombstone is the digest that a deleted tag pointed to last, ErrNotFound
	// if the tag was never deleted.
	Tombstone(ctx context.Context, repo, name string) (digest.Digest, error)
}

// TagWriter writes tags. Whether a tag may move is the registry's rule, read
// and decided in the same transaction.
type TagWriter interface {
	// PutTag points name at d, ErrNotFound if repo does not hold that manifest.
	PutTag(ctx context.Context, repo, name string, d digest.Digest, at time.Time) error
	// DeleteTag removes a tag. With tombstone its digest is kept as what the
	// name may come back as; without, an earlier tombstone stays as it was.
	DeleteTag(ctx context.Context, repo, name string, tombstone bool, at time.Time) error
}

// Tag is a name for a manifest.
type Tag struct {
	Name    string
	Digest  digest.Digest
	Updated time.Time
}

// BlobState is the life of a blob; see ARCHITECTURE.md, "The life of a
// blob".
type BlobState int

// The states. A blob is served and can be mounted only while it is live.
const (
	BlobLive BlobState = iota
	BlobCondemned
	BlobDeleted
)

// Blob is what is known of a digest, whichever repositories hold it.
type Blob struct {
	Digest     digest.Digest
	Generation int64
	Size       int64 // bytes
	State      BlobState
	Since      time.Time // when it came into this state
	Uploader   string    // who linked it last in the repository that was asked about, "" if unknown or none was
}

// Blobs.
type Blobs interface {
	// Blob describes a live blob that repo holds, in one query.
	Blob(ctx context.Context, repo string, d digest.Digest) (Blob, error)
	// FindBlob describes d in any state, whoever holds it.
	FindBlob(ctx context.Context, d digest.Digest) (Blob, error)
	// BlobHolder names a repository that v may see and that holds d live.
	BlobHolder(ctx context.Context, v Visibility, d digest.Digest) (string, error)
	// BlobSizes gives the size in bytes of those of ds that repo holds live; the
	// others are absent from the map.
	BlobSizes(ctx context.Context, repo string, ds []digest.Digest) (map[digest.Digest]int64, error)
	// BlobPins lists the manifests that need d, of every repository, in order of
	// (repo, digest) after the given pair. A limit below one is no limit.
	BlobPins(ctx context.Context, d digest.Digest, after ManifestKey, limit int) ([]ManifestKey, error)
	// MissingManifests returns those of ds that repo does not hold.
	MissingManifests(ctx context.Context, repo string, ds []digest.Digest) ([]digest.Digest, error)
	// AllBlobs calls yield for every blob row in order of digest until it fails.
	AllBlobs(ctx context.Context, yield func(Blob) error) error
	// UnusedBlobs lists links, in order of (repo, digest), that were made before
	// the given time and that no manifest of their repository pins, stored or in
	// quarantine. A quarantined one pins until ExpireQuarantine removes it.
	UnusedBlobs(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error
	// UnheldBlobs lists live blobs that no repository holds.
	UnheldBlobs(ctx context.Context, yield func(Blob) error) error
	// OrphanReferrers lists manifests written before the given time whose
	// subject their repository does not hold.
	OrphanReferrers(ctx context.Context, before time.Time, yield func(repo string, d digest.Digest) error) error
}

// BlobWriter writes blobs and the links by which repositories hold them.
type BlobWriter interface {
	// LinkBlob makes repo hold b and b live, from b.Since on; holding it already
	// renews the age of the link. What is live stays as it is, with its own
	// generation: bytes stored under another one are then nobody's. A condemned
	// blob comes back under b.Generation. It fails with ErrGeneration if that is
	// older than the condemned one, or no newer than a deleted one: the bytes
	// have to be stored again under a generation that NextGeneration names.
	LinkBlob(ctx context.Context, repo string, b Blob) error
	// UnlinkBlob makes repo hold d no longer. ErrPinned if a manifest of the
	// repository needs it, stored or in quarantine, ErrNotFound if it does not
	// hold it.
	UnlinkBlob(ctx context.Context, repo string, d digest.Digest) error
	// SetBlobState moves d from one state to the next; a move from BlobDeleted
	// to BlobDeleted removes the row. ErrConflict if d is not in state from with
	// this generation, or if it would leave BlobLive while a repository holds it.
	SetBlobState(ctx context.Context, d digest.Digest, generation int64, from, to BlobState, at time.Time) error
}

// NextGeneration is the generation under which bytes of b's digest have to be
// stored now: the stored one while b is live, a new one after that.
func NextGeneration(b Blob) int64 {
	if b.State == BlobLive {
		return b.Generation
	}
	return b.Generation + 1
}

// Outbox is the journal inside the database. Each Update that wrote something
// has left one entry, numbered without gaps that matter in order of commit.
type Outbox interface {
	// JournalAfter returns at most limit entries with a sequence above seq, in
	// order.
	JournalAfter(ctx context.Context, seq int64, limit int) ([]Entry, error)
	// JournalDone forgets entries up to and including seq: they are stored
	// beside the blobs. It is not journaled. A seq that was not written yet is
	// ErrConflict.
	JournalDone(ctx context.Context, seq int64) error
	// JournalSequence is the sequence of the last entry ever written, and of
	// the last one that JournalDone was told.
	JournalSequence(ctx context.Context) (written, done int64, err error)
	// Replay applies an entry as if its transaction ran again, with the same
	// sequence and without a new journal row. An entry at or below the last
	// applied sequence changes nothing. ErrConflict while the database has
	// journal entries of its own that are not done.
	Replay(ctx context.Context, e Entry) error
}

// Entry is the journal row of one transaction.
type Entry struct {
	Sequence int64           `json:"sequence"`
	Time     time.Time       `json:"time"`
	Records  json.RawMessage `json:"records"` // a JSON array of Record
}

// DumpHeader begins a dump.
type DumpHeader struct {
	Format   int   `json:"format"`   // 1
	Sequence int64 `json:"sequence"` // the journal sequence the dump includes
}

// Errors of a DB, usually wrapped; test with [errors.Is].
var (
	ErrNotFound   = errors.New("not found")
	ErrRepository = errors.New("repository not found")
	ErrPinned     = errors.New("blob is used by a manifest")
	ErrGeneration = errors.New("blob generation is out of date")
	ErrConflict   = errors.New("row is not in the expected state")
	ErrNotEmpty   = errors.New("database is not empty")
	ErrClosed     = errors.New("database is closed")
	ErrLocked     = errors.New("database is in use by another process")
	ErrSchema     = errors.New("database schema does not fit this version of wreg")
	ErrDamaged    = errors.New("database is damaged")
)
