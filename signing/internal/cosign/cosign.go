// Package cosign reads and writes private keys as cosign has them: PKCS #8 under a
// pass phrase, with scrypt and NaCl's secret box, in PEM.
//
// The box is opened by the library that cosign opens it with; cosign itself is
// linked by the tests alone. It brings a second one of all that signs and verifies
// here already, and its version 2 takes expired intermediate certificates where no
// log is asked (CVE-2026-24122).
package cosign

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Types of PEM blocks: the one that is written, and the older one.
const (
	typeSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
	typeCosign   = "ENCRYPTED COSIGN PRIVATE KEY"
)

// Errors to test for.
var (
	// ErrFormat is of what is no key that cosign encrypted.
	ErrFormat = errors.New("not a key as cosign encrypts it")
	// ErrPass is of a key that the pass phrase does not open. Whether the one or the
	// other is wrong cannot be told.
	ErrPass = errors.New("the pass phrase is wrong, or the key is damaged")
)

// Is reports whether text is a private key that Decrypt may open.
func Is(text []byte) bool {
	block, _ := pem.Decode(text)
	return block != nil && (block.Type == typeSigstore || block.Type == typeCosign)
}

// Decrypt opens a private key. That takes a tenth to a third of a second of CPU and
// up to 128 MiB, by intent: only the parameters of scrypt that cosign ever wrote
// are taken. The errors are ErrFormat and ErrPass.
func Decrypt(text, pass []byte) (crypto.Signer, error) {
	if !Is(text) {
		return nil, ErrFormat
	}
	block, _ := pem.Decode(text)
	der, err := encrypted.Decrypt(block.Bytes, pass)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPass, err)
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: it is %T", ErrFormat, k)
	}
	return s, nil
}

// Encrypt writes a private key, which is PKCS #8 in DER, so that the pass phrase
// opens it. An empty one protects nothing, but cosign reads keys in this form alone.
func Encrypt(der, pass []byte) ([]byte, error) {
	box, err := encrypted.Encrypt(der, pass)
	if err != nil {
		return nil, fmt.Errorf("encrypt a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typeSigstore, Bytes: box}), nil
}
