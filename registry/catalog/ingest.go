package catalog

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// Ingest is what the catalog asks of the part that inspects and indexes what is
// pushed. Package ingest's Service implements it.
type Ingest interface {
	// Files lists the Wasm files of a manifest that repo holds, in the order of its
	// layers, and whether it was analysed: they are absent if not.
	Files(ctx context.Context, repo string, d digest.Digest) (files []File, analysed bool, err error)

	// OpenReport reads the stored inspection report of a file that Files gave. The
	// caller closes it. meta.ErrNotFound if there is none.
	OpenReport(ctx context.Context, repo string, f File) (io.ReadCloser, error)

	// Inspect inspects a file that Files gave again, for the tables of functions
	// that the stored report leaves out. The caller calls release once it has
	// dropped the report, for memory is bounded; it is nil with an error.
	Inspect(ctx context.Context, repo string, f File) (rep *inspect.Report, release func(), err error)

	// Facts gives what policies are asked about when a stored manifest is subject
	// to an action, one for each Wasm file, or one without a file if it holds none.
	// meta.ErrNotFound if it was not analysed yet.
	Facts(ctx context.Context, repo string, d digest.Digest, action policy.Action, needs policy.Needs) ([]*policy.Facts, error)

	// Policies are those in force, compiled.
	Policies(ctx context.Context) (*policy.Set, error)

	// Reindex enqueues ingestion of what repo holds, or of everything if repo is "",
	// of one manifest if d is not "", and returns how many jobs that are.
	Reindex(ctx context.Context, repo string, d digest.Digest) (int, error)

	// Changed is called in the transaction that changes what people say about tags
	// of repo, which point to ds: the index has to follow.
	Changed(ctx context.Context, tx meta.Tx, repo string, ds []digest.Digest) error
}

// A File is a Wasm file of a manifest.
type File struct {
	Name         string        // the title of its layer, the path in it, or both; may be ""
	Layer        digest.Digest // the blob it is in
	MediaType    string        // of the layer
	Path         string        // within the layer if that is an archive, else ""
	Digest       digest.Digest // of the file itself; "" if it could not be read
	Size         int64         // bytes
	Report       policy.Report
	Capabilities policy.Capabilities
	Full         digest.Digest // of the whole report, "" if there is none
	FullSize     int64         // bytes
}
