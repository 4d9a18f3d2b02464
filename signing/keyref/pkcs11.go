//go:build pkcs11key

package keyref

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ThalesGroup/crypto11"
)

// pinVariables are where the environment has the PIN of a token; the second is
// cosign's.
var pinVariables = []string{"WPKG_PKCS11_PIN", "COSIGN_PKCS11_PIN"}

// maxPIN bounds a file with a PIN, in bytes.
const maxPIN = 4 << 10

// A tokenURI is what of RFC 7512 names a key: token, serial and slot-id say in which
// token it is, object and id which one, module-path where the token's library is.
type tokenURI struct {
	token, serial string
	slot          *int
	object, id    string
	module        string
	pin           string // from pin-value
	pinSource     string // file with it
}

// parseTokenURI reads a reference. The error is ErrReference.
func parseTokenURI(reference string) (*tokenURI, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(reference, "pkcs11:"), "?")
	u := &tokenURI{}
	seen := map[string]bool{}
	for _, part := range append(fields(path, ";"), fields(query, "&")...) {
		name, value, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(value)
		if !ok || err != nil || seen[name] { // the value may be a PIN
			return nil, fmt.Errorf("%w: %s: attribute %q is malformed or there twice", ErrReference, display(reference), name)
		}
		seen[name] = true
		if err := u.set(name, value); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrReference, display(reference), err)
		}
	}
	switch {
	case u.object == "" && u.id == "":
		return nil, fmt.Errorf("%w: %s: neither object nor id says which key", ErrReference, display(reference))
	case !filepath.IsAbs(u.module):
		return nil, fmt.Errorf("%w: %s: module-path has to be the absolute path of the token's library", ErrReference, display(reference))
	case u.selectors() != 1:
		return nil, fmt.Errorf("%w: %s: one of token, serial and slot-id has to say which token", ErrReference, display(reference))
	}
	return u, nil
}

func fields(s, separator string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, separator)
}

// set takes an attribute. Those that only describe the token are not compared: what
// a reference leaves open, the token decides.
func (u *tokenURI) set(name, value string) error {
	switch name {
	case "token":
		u.token = value
	case "serial":
		u.serial = value
	case "object":
		u.object = value
	case "id":
		u.id = value
	case "module-path":
		u.module = value
	case "pin-value":
		u.pin = value
	case "pin-source":
		u.pinSource = strings.TrimPrefix(value, "file:")
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return errors.New("slot-id is no number")
		}
		slot := int(n)
		u.slot = &slot
	case "type":
		if value != "private" {
			return fmt.Errorf("type is %.20q; it signs with private ones", value)
		}
	default:
		return fmt.Errorf("attribute %.40q is not known here", name)
	}
	return nil
}

// selectors counts what says which token it is.
func (u *tokenURI) selectors() (n int) {
	for _, given := range []bool{u.token != "", u.serial != "", u.slot != nil} {
		if given {
			n++
		}
	}
	return n
}

// openPKCS11 logs in to a token and finds the key. The token stays open until the
// program ends: its key signs until then.
func openPKCS11(_ context.Context, reference string, o Options) (crypto.Signer, error) {
	u, err := parseTokenURI(reference)
	if err != nil {
		return nil, err
	}
	pin, err := u.findPIN(reference, o)
	if err != nil {
		return nil, err
	}
	token, err := crypto11.Configure(&crypto11.Config{Path: u.module, TokenLabel: u.token, TokenSerial: u.serial, SlotNumber: u.slot, Pin: pin})
	if err != nil {
		return nil, fmt.Errorf("key %s: open a token of %s: %w", display(reference), u.module, err)
	}
	signer, err := token.FindKeyPair(bytesOrNil(u.id), bytesOrNil(u.object))
	if err == nil && signer == nil {
		err = fmt.Errorf("%w: the token has no such key", ErrReference)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("key %s: %w", display(reference), err), token.Close())
	}
	return signer, nil
}

func bytesOrNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// findPIN is the PIN of the reference, of the file that it names, of the
// environment, or what a person answers.
func (u *tokenURI) findPIN(reference string, o Options) (string, error) {
	if u.pin != "" {
		return u.pin, nil
	}
	if u.pinSource != "" {
		info, err := os.Stat(u.pinSource)
		if err != nil {
			return "", fmt.Errorf("PIN: %w", err)
		}
		if info.Size() > maxPIN {
			return "", fmt.Errorf("PIN: %s has %d bytes, more than any PIN", u.pinSource, info.Size())
		}
		text, err := os.ReadFile(u.pinSource)
		return strings.TrimRight(string(text), "\r\n"), err
	}
	for _, name := range pinVariables {
		if pin := os.Getenv(name); pin != "" {
			return pin, nil
		}
	}
	if o.Pass == nil {
		return "", fmt.Errorf("key %s: the PIN is neither in the reference (pin-value, pin-source) nor in %s", display(reference), pinVariables[0])
	}
	pin, err := o.Pass("PIN of " + display(reference))
	if err != nil {
		return "", fmt.Errorf("PIN: %w", err)
	}
	return string(pin), nil
}
