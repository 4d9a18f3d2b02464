// Package cosign is all that the project uses of cosign: its encrypted keys.
// Nothing else imports cosign, so that another version is a change of one file.
// Certificates are never checked by it: version 2 takes expired intermediate ones
// where no log is asked (CVE-2026-24122).
package cosign

import (
	"crypto"
	"fmt"

	"github.com/sigstore/cosign/v2/pkg/cosign"
)

// Decrypt opens a private key as cosign writes it, PKCS #8 encrypted with a pass
// phrase. That takes about 0.3 s of CPU, by intent.
func Decrypt(pem, pass []byte) (crypto.Signer, error) {
	sv, err := cosign.LoadPrivateKey(pem, pass, nil)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	s, ok := sv.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("decrypt: %T signs no hashes", sv)
	}
	return s, nil
}

// Encrypt writes the PKCS #8 PEM file at path as cosign does.
func Encrypt(path string, pass []byte) (private []byte, err error) {
	keys, err := cosign.ImportKeyPair(path, func(bool) ([]byte, error) { return pass, nil })
	if err != nil {
		return nil, fmt.Errorf("encrypt %s: %w", path, err)
	}
	return keys.PrivateBytes, nil
}
