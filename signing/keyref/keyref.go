// Package keyref opens what people name keys by: a file, a variable of the
// environment, a token, or a key service.
//
//	release.key                    a file in PEM, plain or as cosign encrypts it
//	env://RELEASE_KEY              the same in a variable of the environment
//	pkcs11:token=T;object=O?…      a key in a token (RFC 7512); programs built with the tag pkcs11key
//	awskms://… gcpkms://…          a key in a service; programs built with the tag kms
//	azurekms://… hashivault://…
//
// Only clients link this package: a server is given the bytes of its key.
package keyref

import (
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/wreg-project/wreg/signing/internal/cosign"
	"github.com/wreg-project/wreg/signing/key"
)

// Errors to test for, besides those of package key.
var (
	// ErrReference is of a reference that names no key, or none that this program
	// was built to open.
	ErrReference = errors.New("not a reference to a key")
	// ErrPass is of a pass phrase that does not open the key.
	ErrPass = cosign.ErrPass
)

// Variables of the environment that hold the pass phrase of a key; the first one
// that is set counts, empty ones too. The second is cosign's.
var passVariables = []string{"WPKG_KEY_PASSWORD", "COSIGN_PASSWORD"}

// Options are what opening a key may need.
type Options struct {
	// Pass asks for a pass phrase or PIN. Nil means that there is nobody to ask: an
	// encrypted key is then tried with the empty pass phrase.
	Pass func(prompt string) ([]byte, error)
	// Warn is told what the owner of the key should mend. It may be nil.
	Warn func(text string)
}

// Open opens a private key. An encrypted one costs a third of a second, so callers
// open a key once and keep it. The errors are those of os.Open, ErrReference,
// ErrPass, key.ErrFormat and key.ErrEncrypted, and those of token and service.
func Open(ctx context.Context, reference string, o Options) (*key.Private, error) {
	if open, err := remote(reference); open != nil || err != nil {
		if err != nil {
			return nil, err
		}
		signer, err := open(ctx, reference, o)
		if err != nil {
			return nil, err
		}
		k, err := key.NewPrivate(signer)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", display(reference), err)
		}
		return k, nil
	}
	text, mode, err := read(reference)
	if err != nil {
		return nil, err
	}
	k, err := private(reference, text, o)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", display(reference), err)
	}
	if o.Warn != nil && mode&0o077 != 0 && runtime.GOOS != "windows" && !cosign.Is(text) {
		o.Warn(fmt.Sprintf("%s: others may read this private key (mode %04o): chmod 600 it", reference, mode.Perm()))
	}
	return k, nil
}

// Public opens a public key: of a file that holds one, a certificate or a private
// key, or of a token or service. Nobody is asked for a pass phrase: what needs one
// that the environment does not hold is key.ErrEncrypted. The other errors are those
// of Open.
func Public(ctx context.Context, reference string) (*key.Public, error) {
	open, err := remote(reference)
	if err != nil {
		return nil, err
	}
	if open == nil {
		text, _, err := read(reference)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(text), "PRIVATE KEY-----") {
			k, err := key.ParsePublic(text)
			if err != nil {
				return nil, fmt.Errorf("key %s: %w", display(reference), err)
			}
			return k, nil
		}
		if _, ok := EnvPass(); !ok && cosign.Is(text) {
			return nil, fmt.Errorf("key %s: %w", reference, key.ErrEncrypted)
		}
	}
	k, err := Open(ctx, reference, Options{})
	if err != nil {
		return nil, err
	}
	return k.Public, nil
}

// An opener opens a key that does not leave where it is.
type opener func(ctx context.Context, reference string, o Options) (crypto.Signer, error)

// openers are by scheme; those that this program was not built with are nil.
var openers = map[string]struct {
	open opener
	tag  string // build tag that it needs
}{
	"pkcs11":     {openPKCS11, "pkcs11key"},
	"awskms":     {openKMS, "kms"},
	"gcpkms":     {openKMS, "kms"},
	"azurekms":   {openKMS, "kms"},
	"hashivault": {openKMS, "kms"},
}

// remote gives what opens the reference, nil if it is a file or a variable. The
// error is ErrReference.
func remote(reference string) (opener, error) {
	if reference == "" {
		return nil, fmt.Errorf("%w: it is empty", ErrReference)
	}
	scheme, rest, ok := strings.Cut(reference, ":")
	if !ok || scheme == "env" && strings.HasPrefix(rest, "//") {
		return nil, nil
	}
	with, known := openers[scheme]
	switch {
	case known && with.open == nil:
		return nil, fmt.Errorf("%w: %s: this program was built without %s keys (go build -tags %s)", ErrReference, display(reference), scheme, with.tag)
	case known:
		return with.open, nil
	case strings.HasPrefix(rest, "//"):
		return nil, fmt.Errorf("%w: %s: there are files, env://, pkcs11:, awskms://, gcpkms://, azurekms:// and hashivault://",
			ErrReference, display(reference))
	}
	return nil, nil // a file with a colon in its name
}

// display is the reference without what may be secret: the query of a token's URI
// holds its PIN.
func display(reference string) string {
	if !strings.HasPrefix(reference, "pkcs11:") {
		return reference
	}
	path, _, _ := strings.Cut(reference, "?")
	return path
}

// read reads a file or variable, and says who may read it.
func read(reference string) (text []byte, mode os.FileMode, err error) {
	if name, ok := strings.CutPrefix(reference, "env://"); ok {
		value, ok := os.LookupEnv(name)
		if !ok {
			return nil, 0, fmt.Errorf("%w: the environment has no %s", ErrReference, name)
		}
		return []byte(value), 0, nil
	}
	f, err := os.Open(reference)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err = io.ReadAll(io.LimitReader(f, key.MaxPEM+1)) // a byte more is refused by name below
	if err != nil {
		return nil, 0, fmt.Errorf("read key: %w", err)
	}
	return text, info.Mode(), nil
}

// private opens a key in PEM.
func private(reference string, text []byte, o Options) (*key.Private, error) {
	if len(text) > key.MaxPEM || !cosign.Is(text) {
		k, err := key.ParsePrivate(text)
		if errors.Is(err, key.ErrEncrypted) {
			return nil, fmt.Errorf("%w in a form that is not read here: openssl pkey writes it plain, for wpkg key import", err)
		}
		return k, err
	}
	pass, err := o.passphrase(reference)
	if err != nil {
		return nil, err
	}
	signer, err := cosign.Decrypt(text, pass)
	clear(pass)
	switch {
	case errors.Is(err, ErrPass):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", key.ErrFormat, err)
	}
	return key.NewPrivate(signer)
}

// Encrypt writes a key in memory as cosign does, in PEM. Open and cosign open it
// with the pass phrase.
func Encrypt(k *key.Private, pass []byte) ([]byte, error) {
	text, err := k.MarshalPKCS8()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	return cosign.Encrypt(block.Bytes, pass)
}

// EnvPass is the pass phrase that the environment holds, if it does.
func EnvPass() (pass []byte, ok bool) {
	for _, name := range passVariables {
		if pass, ok := os.LookupEnv(name); ok {
			return []byte(pass), true
		}
	}
	return nil, false
}

// passphrase is that of the environment, else what a person answers, else empty.
func (o Options) passphrase(reference string) ([]byte, error) {
	if pass, ok := EnvPass(); ok {
		return pass, nil
	}
	if o.Pass == nil {
		return nil, nil
	}
	pass, err := o.Pass("Pass phrase of " + reference)
	if err != nil {
		return nil, fmt.Errorf("pass phrase: %w", err)
	}
	return pass, nil
}
