//go:build !pkcs11key && !kms

package keyref

import (
	"errors"
	"strings"
	"testing"
)

// A reference that this program was not built to open says how to build one that
// was, and keeps a PIN to itself.
func TestOpenNamesTheBuildTag(t *testing.T) {
	for reference, tag := range map[string]string{
		"pkcs11:token=T;object=O?module-path=/m.so&pin-value=1234": "pkcs11key",
		"awskms:///alias/release":                                  "kms",
		"gcpkms://projects/p":                                      "kms",
		"azurekms://vault/release":                                 "kms",
		"hashivault://release":                                     "kms",
	} {
		_, err := Open(t.Context(), reference, Options{})
		if !errors.Is(err, ErrReference) || !strings.Contains(err.Error(), "-tags "+tag) || strings.Contains(err.Error(), "1234") {
			t.Errorf("Open(%s) = %v; want ErrReference that names %s and no PIN", reference, err, tag)
		}
	}
}
