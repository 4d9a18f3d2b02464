package meta

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// A Record is one change of a journal entry. Op says which fields are set.
// Records hold no secrets: whoever can read the storage can read them.
type Record struct {
	Op         Op              `json:"op"`
	Repo       string          `json:"repo,omitempty"`
	Digest     digest.Digest   `json:"digest,omitempty"`
	Tag        string          `json:"tag,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Tombstone  bool            `json:"tombstone,omitempty"`
	Manifest   *ManifestRecord `json:"manifest,omitempty"`
	Size       int64           `json:"size,omitempty"`       // bytes
	Generation int64           `json:"generation,omitempty"` // of the blob
	Uploader   string          `json:"uploader,omitempty"`   // of the blob
	From       BlobState       `json:"from,omitempty"`
	To         BlobState       `json:"to,omitempty"`
	Notice     *Notice         `json:"notice,omitempty"`
	Revision   int64           `json:"revision,omitempty"` // of policies and approvals, which this change made
	Policy     *PolicyRecord   `json:"policy,omitempty"`
	Approval   *ApprovalRecord `json:"approval,omitempty"`
	Trust      *TrustEntry     `json:"trust,omitempty"`
}

// ManifestRecord is a NewManifest in the journal and in dumps.
type ManifestRecord struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Content      []byte            `json:"content"` // base64 in JSON
	Annotations  map[string]string `json:"annotations,omitempty"`
	Subject      digest.Digest     `json:"subject,omitempty"`
	Blobs        []digest.Digest   `json:"blobs,omitempty"`
	Manifests    []digest.Digest   `json:"manifests,omitempty"`
}

// PolicyRecord is a version of a Policy in the journal and in dumps.
type PolicyRecord struct {
	Name    string `json:"name"`
	Version int64  `json:"version"`
	Source  string `json:"source,omitempty"`
	Author  string `json:"author,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
}

// ApprovalRecord is an Approval in the journal and in dumps.
type ApprovalRecord struct {
	Rule   string `json:"rule,omitempty"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Op names a change.
type Op string

// The operations, one for each method of Tx whose change is journaled.
const (
	OpPutManifest      Op = "manifest.put"
	OpDeleteManifest   Op = "manifest.delete"
	OpPutTag           Op = "tag.put"
	OpDeleteTag        Op = "tag.delete"
	OpLinkBlob         Op = "blob.link"
	OpUnlinkBlob       Op = "blob.unlink"
	OpBlobState        Op = "blob.state"
	OpDeleteRepository Op = "repository.delete"
	OpSetNotice        Op = "notice.set"
	OpPutPolicy        Op = "policy.put"
	OpDeletePolicy     Op = "policy.delete"
	OpPutApproval      Op = "approval.put"
	OpDeleteApproval   Op = "approval.delete"
	OpPutTrust         Op = "trust.put"
	OpDeleteTrust      Op = "trust.delete"
)
