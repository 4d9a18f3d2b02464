package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// An Admitter judges manifests before they are stored. Package ingest
// implements it; a Registry without one stores whatever is well-formed.
type Admitter interface {
	// Admit judges one push, before its transaction. A refusal is an [*Error],
	// which the caller is told. It goes on when ctx is cancelled, because a client
	// that hangs up and tries again should find the answer.
	Admit(ctx context.Context, a Admission) (Admitted, error)
}

// Admission is a push to be judged. Every blob it names is stored in the
// repository with the size given, except those of Absent.
type Admission struct {
	Repo         string
	Digest       digest.Digest
	Tags         []string // that shall point to the manifest, also those that do already
	MediaType    string
	ArtifactType string // as the referrers API shows it: artifactType, else the config's media type
	Content      []byte
	Annotations  map[string]string
	Subject      digest.Digest // "" for none
	Config       *Descriptor   // nil for none
	Layers       []Descriptor
	Absent       []digest.Digest // of blobs that live elsewhere, or that a sparse registry does without
	Caller       policy.Principal
}

// A Descriptor is what a manifest says about a blob.
type Descriptor struct {
	MediaType   string
	Digest      digest.Digest
	Size        int64 // bytes
	Annotations map[string]string
}

// Admitted is a push that may go on.
type Admitted struct {
	// Commit is called in the push's transaction, behind all its writes: what
	// follows from the push becomes durable with it. nil does nothing. It may be
	// called more than once, as transactions run again. ErrOutdated says that the
	// judgement is not valid any more, and has Admit called again.
	Commit func(ctx context.Context, tx meta.Tx, w Written) error
}

// Written is what the transaction of a push changed. A push that changed
// nothing has the zero value.
type Written struct {
	Created bool       // the repository did not hold the manifest before
	Moved   []TagMoved // tags that point to the manifest now and did not before
}

// A TagMoved is a tag that was written or deleted.
type TagMoved struct {
	Tag  string
	From digest.Digest // what it pointed to before, "" for nothing
}

// ErrOutdated says that a judgement was made from what has changed since.
var ErrOutdated = errors.New("what this push was judged by has changed")

// maxAdmissions is how often a push is judged before it is given up. The second
// time all results but those that changed are there.
const maxAdmissions = 5

// admission is what is told to the Admitter about p.
func admission(p ManifestPush, d digest.Digest, refs references, absent []digest.Digest) Admission {
	return Admission{
		Repo: p.Repo, Digest: d, Tags: p.Tags, MediaType: refs.mediaType, ArtifactType: refs.artifactType, Content: p.Content,
		Annotations: refs.annotations, Subject: refs.subject, Config: refs.config, Layers: refs.layers, Absent: absent, Caller: p.Caller,
	}
}

// ReadManifest reads what a stored manifest says, for those who look at it later:
// without tags and caller.
func ReadManifest(m meta.Manifest) (Admission, error) {
	refs, err := parseManifest(m.MediaType, m.Content)
	if err != nil {
		return Admission{}, err
	}
	return admission(ManifestPush{Repo: m.Repo, Content: m.Content}, m.Digest, refs, nil), nil
}

// judge asks the Admitter about p. What it says holds while the blobs of absent
// are not there.
func (r *Registry) judge(ctx context.Context, p ManifestPush, d digest.Digest, refs references) (
	admitted Admitted, absent []digest.Digest, err error,
) {
	if r.opts.Admit == nil {
		return Admitted{}, nil, nil
	}
	named := digests(refs.all())
	stored, err := r.meta.BlobSizes(ctx, p.Repo, named)
	if err != nil {
		return Admitted{}, nil, err
	}
	// An incomplete push is told so before anything is spent on it.
	if err := r.checkComplete(ctx, r.meta, p.Repo, refs, stored); err != nil {
		return Admitted{}, nil, err
	}
	for _, d := range named {
		if !holds(stored, d) {
			absent = append(absent, d)
		}
	}
	admitted, err = r.opts.Admit.Admit(ctx, admission(p, d, refs, absent))
	return admitted, absent, err
}

// stillAbsent is ErrOutdated if a blob has come that was not there to be judged.
func stillAbsent(absent []digest.Digest, stored map[digest.Digest]int64) error {
	for _, d := range absent {
		if holds(stored, d) {
			return fmt.Errorf("blob %s: %w", d, ErrOutdated)
		}
	}
	return nil
}
