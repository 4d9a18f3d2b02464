package meta

import (
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/go-digest"
)

// Signatures say who signed a manifest and what was attested of it, as it was
// verified against the trusted material of one version. They are derived from the
// manifests that carry them and from that material, and are neither journaled nor
// dumped.
type Signatures interface {
	// Signatures are those of one manifest, refused ones too, in the order in which
	// they were put, and the material that they were verified against. A manifest
	// without any has none, of material "". ErrNotFound if there is no such manifest.
	Signatures(ctx context.Context, repo string, d digest.Digest) (all []Signature, material string, err error)
	// StaleSignatures lists manifests with signatures that were verified against
	// other material, in order of (repo, digest) after the given pair. A limit below
	// one is no limit.
	StaleSignatures(ctx context.Context, material string, after ManifestKey, limit int) ([]ManifestKey, error)
}

// SignatureWriter writes them.
type SignatureWriter interface {
	// PutSignatures stores the signatures of a manifest in place of all earlier ones;
	// there may be none. ErrNotFound if the manifest is gone. What is beyond the
	// bounds below is refused, and so are texts that are not UTF-8 or have zero bytes.
	PutSignatures(ctx context.Context, repo string, d digest.Digest, material string, all []Signature) error
}

// Bounds of signatures.
const (
	MaxSignatures    = 256      // of one manifest
	MaxSignatureText = 4096     // bytes of a text of one
	MaxProof         = 64 << 10 // bytes of one
	MaxPredicate     = 64 << 10 // bytes of one; a longer one is left out, with its size
)

// Signature is a signature or attestation of a manifest. If Problem is not "" it was
// refused: who is said to have made it is not known then.
type Signature struct {
	Carrier       digest.Digest // the manifest that carries it; "" if that could not be told
	Layer         digest.Digest // the blob with its bytes; likewise
	Form          string        // signing.Form
	PredicateType string        // what was signed
	KeyID         string        // of the key that made it, or "" and then
	KeyName       string        // in the material
	Identity      string        // of the certificate
	Issuer        string        // of the identity
	Logged        bool          // a trusted log has it
	Time          time.Time     // the first by a trusted clock; zero for none
	Problem       string        // why it proves nothing, for people; "" if it proves something
	Proof         json.RawMessage
	Predicate     json.RawMessage // nil if there is none or it is too long
	PredicateSize int64           // bytes; 0 for none
}

// Verified reports whether the signature proves something.
func (s Signature) Verified() bool { return s.Problem == "" }
