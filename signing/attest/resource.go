package attest

import (
	"encoding/hex"
	"fmt"
)

// A Resource is what a predicate refers to: a source, a dependency, another
// attestation (in-toto attestation framework, version 1, "ResourceDescriptor"). It
// has a name, a URI or a digest.
type Resource struct {
	Name             string            `json:"name,omitempty"`
	URI              string            `json:"uri,omitempty"`
	Digest           map[string]string `json:"digest,omitempty"` // hexadecimal by algorithm
	Content          []byte            `json:"content,omitempty"`
	DownloadLocation string            `json:"downloadLocation,omitempty"`
	MediaType        string            `json:"mediaType,omitempty"`
	Annotations      map[string]any    `json:"annotations,omitempty"`
}

// check holds a resource to the rules of in-toto.
func (r Resource) check() error {
	if r.Name == "" && r.URI == "" && len(r.Digest) == 0 {
		return fmt.Errorf("it has neither name, uri nor digest")
	}
	return checkDigests(r.Digest)
}

func checkResources(list []Resource) error {
	for i, r := range list {
		if err := r.check(); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

// digestBytes are the lengths of the digests that in-toto knows, in bytes (in-toto
// attestation framework, version 1, "DigestSet").
var digestBytes = map[string]int{
	"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64, "sha512_224": 28, "sha512_256": 32,
	"sha3_224": 28, "sha3_256": 32, "sha3_384": 48, "sha3_512": 64,
	"gitBlob": 20, "gitCommit": 20, "gitTag": 20, "gitTree": 20, "dirHash": 32,
}

// checkDigests checks the digests of algorithms that in-toto knows. Others may be
// anything.
func checkDigests(set map[string]string) error {
	for algorithm, text := range set {
		want, ok := digestBytes[algorithm]
		if !ok {
			continue
		}
		if b, err := hex.DecodeString(text); err != nil || len(b) != want {
			return fmt.Errorf("%s digest %.80q is not %d bytes in hexadecimal", algorithm, text, want)
		}
	}
	return nil
}
