package signing

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// AnnotationSignature has the signature of a layer of cosign's older form, in
// base64 (cosign, specs/SIGNATURE_SPEC.md).
const AnnotationSignature = "dev.cosignproject.cosign/signature"

// simpleSigning is what a signature of cosign's older form is of (Red Hat's simple
// signing, as cosign uses it).
type simpleSigning struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest digest.Digest `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]string `json:"optional"`
}

// SimpleSigning is the payload that is signed in cosign's older form: that the
// manifest d is in the repository of this name, with its host. The same arguments
// give the same bytes.
func SimpleSigning(repository string, d digest.Digest) ([]byte, error) {
	var p simpleSigning
	p.Critical.Identity.Reference, p.Critical.Image.Digest = repository, d
	p.Critical.Type = "cosign container image signature"
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("payload of %s: %w", d, err)
	}
	return text, nil
}
