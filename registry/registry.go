// Package registry holds the rules of an OCI registry: what a push needs to be
// complete, which tags may move, what a caller learns when something is
// refused. It knows no HTTP, no SQL and no Wasm; package ociapi speaks HTTP,
// storage/meta and storage/blob keep what is stored.
//
// Order is its promise. The bytes of a blob are durable before the row that
// names them, and a manifest with its tags, pins and referrer entry is one
// transaction, so what a call acknowledged survives and nothing half-done is
// ever seen. The files are named after what they do: push.go, pull.go,
// upload.go, delete.go, list.go, referrers.go; manifest.go reads manifests and
// tag.go knows which tags may move.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

// Defaults of Options.
const (
	DefaultMaxManifest  = 4 << 20
	DefaultMaxBlob      = 16 << 30
	DefaultUploadExpiry = time.Hour
	DefaultMaxUploads   = 1000
)

// Options are what a Registry works with. Blobs and Meta are required, the
// zero value of the rest is the documented default.
type Options struct {
	Blobs blob.Store
	Meta  meta.DB
	Log   *slog.Logger     // nil discards
	Clock func() time.Time // nil is time.Now

	MaxManifest  int64         // bytes; 0 is 4 MiB
	MaxBlob      int64         // bytes; 0 is 16 GiB
	UploadExpiry time.Duration // how long an upload may lie idle; 0 is an hour
	MaxUploads   int           // uploads open at once; 0 is 1000

	// MutableVersions lets tags that are full semantic versions move. Without it
	// such a tag keeps the digest it was first given, even past its deletion.
	MutableVersions bool

	// Sparse accepts manifests and indexes that name blobs or manifests which
	// the repository does not hold.
	Sparse bool

	// Admit judges every manifest before it is stored; nil admits all.
	Admit Admitter

	// TagsMoved is called in the transaction of every deletion with the tags that
	// are gone; nil does nothing. What a push moves, its Admitter is told.
	TagsMoved func(ctx context.Context, tx meta.Tx, repo string, tags []TagMoved) error

	// ManifestGone is called in the transaction in which somebody deletes a manifest,
	// with what it says; nil does nothing. Collections are not told.
	ManifestGone func(ctx context.Context, tx meta.Tx, a Admission) error

	// Guarded reports whether blobs of repo are shown only once a manifest that
	// names them was admitted; nil guards none. It is asked for every blob and
	// answers from memory.
	Guarded func(repo string) bool

	// PullsJudged reports whether policies are enforced on pulls from repo: what
	// none of them has judged yet, because the database was rebuilt, is not served
	// before they have. nil serves it. It answers from memory.
	PullsJudged func(repo string) bool
}

// A Registry applies the rules. Its methods are safe for concurrent use and
// expect names, tags and digests that package ref has accepted.
type Registry struct {
	blobs     blob.Store
	meta      meta.DB
	log       *slog.Logger
	now       func() time.Time
	opts      Options
	uploads   *sessions
	downloads *downloads
}

// New makes a registry and starts the goroutines that forget idle uploads and
// write counts of downloads. The caller ends them by Close.
func New(o Options) *Registry {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxManifest <= 0 {
		o.MaxManifest = DefaultMaxManifest
	}
	if o.MaxBlob <= 0 {
		o.MaxBlob = DefaultMaxBlob
	}
	if o.UploadExpiry <= 0 {
		o.UploadExpiry = DefaultUploadExpiry
	}
	if o.MaxUploads <= 0 {
		o.MaxUploads = DefaultMaxUploads
	}
	r := &Registry{blobs: o.Blobs, meta: o.Meta, log: o.Log, now: o.Clock, opts: o}
	r.uploads = newSessions(o)
	r.downloads = newDownloads(o)
	return r
}

// MaxManifest is the size in bytes of the largest manifest that is accepted.
func (r *Registry) MaxManifest() int64 { return r.opts.MaxManifest }

// Close forgets all open uploads, writes the last counts of downloads and returns
// once nothing of the registry runs any more. Calls that are under way should
// have ended before.
func (r *Registry) Close() error {
	r.uploads.close()
	r.downloads.close()
	return nil
}

// absent reports whether err says that a row or its repository is not there.
func absent(err error) bool {
	return errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository)
}

// unknown turns the absence of something in repo into the caller's error: the
// repository's own absence is NAME_UNKNOWN, anything else has the given code.
// Other errors come back with what was looked for.
func unknown(err error, code Code, repo, what, name string) error {
	switch {
	case errors.Is(err, meta.ErrRepository):
		return UnknownName(repo)
	case errors.Is(err, meta.ErrNotFound):
		return &Error{Code: code, Message: what + " unknown to this repository", Detail: fields{"name": repo, what: name}}
	default:
		return fmt.Errorf("%s %s of %s: %w", what, name, repo, err)
	}
}

// UnknownName is the error of a repository that is not there, or that the
// caller may not know to be there.
func UnknownName(repo string) error {
	return &Error{Code: NameUnknown, Message: "repository name not known to registry", Detail: fields{"name": repo}}
}
