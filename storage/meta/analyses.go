package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Analyses keep what was found out about bytes, by their digest: the same
// module is analysed once, whoever stores it and however often. The facts are
// JSON that package meta does not look into. They can be made again from the
// bytes and are not journaled.
type Analyses interface {
	// Analysis is the result for d at version, ErrNotFound if there is none.
	Analysis(ctx context.Context, d digest.Digest, version int) (Analysis, error)
}

// AnalysisWriter writes results.
type AnalysisWriter interface {
	// PutAnalysis stores a result in place of any other for its digest.
	PutAnalysis(ctx context.Context, a Analysis) error
	// ForgetAnalyses removes results of versions below the given one that no
	// stored manifest's blobs have, the oldest versions first, and returns how
	// many. It removes a thousand at most: until it returns none there are more.
	ForgetAnalyses(ctx context.Context, below int) (int64, error)
}

// Analysis is a row of its kind.
type Analysis struct {
	Digest  digest.Digest   // of a blob
	Version int             // of the pipeline that made it; a greater one makes it again
	Facts   json.RawMessage // what policies and the index read
	Created time.Time
}

// A VerdictState says what policy makes of a stored manifest when it is pulled.
type VerdictState int

// The states, from best to worst. A manifest that no policy was asked about is
// served.
const (
	VerdictNone VerdictState = iota
	VerdictAllow
	VerdictWarn
	VerdictDeny
)

// Verdict is the answer of the policies of one revision.
type Verdict struct {
	State    VerdictState
	Revision int64           // of the policies that gave it; see PolicyReader
	Reasons  json.RawMessage // for people; nil for none
}

// Verdicts are read with their manifests; this lists what has to be judged
// again, and tells why.
type Verdicts interface {
	// Verdict is that of one manifest, with its reasons; the zero Verdict if
	// there is none yet.
	Verdict(ctx context.Context, repo string, d digest.Digest) (Verdict, error)
	// StaleVerdicts lists manifests whose verdict is of a revision below the given
	// one, in order of (repo, digest) after the given pair. A limit below one is
	// no limit. Where there are none it reads one row for each repository.
	StaleVerdicts(ctx context.Context, revision int64, after ManifestKey, limit int) ([]ManifestKey, error)
	// Unindexed lists manifests that were never ingested by a pipeline of at least
	// this version, in the same order.
	Unindexed(ctx context.Context, version int, after ManifestKey, limit int) ([]ManifestKey, error)
	// BlobAdmitted reports whether a manifest of repo pins d whose verdict is not
	// VerdictDeny.
	BlobAdmitted(ctx context.Context, repo string, d digest.Digest) (bool, error)
}

// VerdictWriter writes them. Neither write is journaled: both follow from
// policies and bytes.
type VerdictWriter interface {
	// SetVerdict is ErrNotFound if the manifest is gone.
	SetVerdict(ctx context.Context, repo string, d digest.Digest, v Verdict) error
	// SetIngested notes by which version of the pipeline a manifest was ingested.
	// ErrNotFound if it is gone.
	SetIngested(ctx context.Context, repo string, d digest.Digest, version int) error
}

// ManifestKey names a manifest across repositories.
type ManifestKey struct {
	Repo   string
	Digest digest.Digest
}
