package verify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// maxHashed bounds the bytes that are hashed to find who signed: a signature that
// hints at no key is tried with all, and Ed25519 hashes for each anew.
const maxHashed = 64 << 20

// byKey verifies what a trusted key signed.
func (v *Verifier) byKey(e *entity, what signed, p *Proof) (*sigverify.VerificationResult, error) {
	k, err := v.signer(what.message, e.signature.Signature(), e.content.PublicKey().Hint())
	if err != nil {
		return nil, err
	}
	result, err := v.withKey(e, what, k)
	if err != nil {
		return nil, fmt.Errorf("it is signed by key %s (%.16s…), but: %w", k.Name, k.ID(), err)
	}
	p.Key = &SignedByKey{ID: k.ID(), Name: k.Name}
	return result, nil
}

// signer finds the key that made a signature: the one that is hinted at, or else
// any, for a hint is what the bundle's maker likes.
func (v *Verifier) signer(message, sig []byte, hint string) (Key, error) {
	keys := v.byHint[hint]
	if len(keys) == 0 {
		keys = v.keys
	}
	switch {
	case len(keys) == 0:
		return Key{}, fmt.Errorf("it is signed with a key, and no key is trusted%s", saysBy(hint))
	case len(sig) == 0:
		return Key{}, errNoSignature
	}
	sums := map[crypto.Hash][]byte{}
	hashed := 0
	for _, k := range keys {
		h, verifier, err := k.hash()
		if err != nil {
			return Key{}, err
		}
		if _, ok := sums[h]; !ok || h == 0 {
			if hashed += len(message); hashed > maxHashed {
				return Key{}, fmt.Errorf("it hints at no trusted key (%.80q), and it is too large to try all %d", hint, len(keys))
			}
			sums[h] = sum(h, message)
		}
		if h == 0 {
			err = verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message))
		} else {
			err = verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(nil), options.WithDigest(sums[h]))
		}
		if err == nil {
			return k, nil
		}
	}
	if len(keys) > 1 {
		return Key{}, fmt.Errorf("none of %d trusted keys signed this%s", len(keys), saysBy(hint))
	}
	return Key{}, fmt.Errorf("key %s (%.16s…) did not sign this%s", keys[0].Name, keys[0].ID(), saysBy(hint))
}

// saysBy says whose a signature claims to be, for people: ": it says that it is by
// key 3f2a…" of a hint that is the ID of a key, as that of cosign is.
func saysBy(hint string) string {
	if hint == "" {
		return ""
	}
	if id, err := base64.StdEncoding.DecodeString(hint); err == nil && len(id) == sha256.Size {
		return fmt.Sprintf(": it says that it is by key %.16s…", hex.EncodeToString(id))
	}
	return fmt.Sprintf(": it says that it is by %.80q", hint)
}

// hash is what a key's signatures hash with, or 0 of Ed25519, which signs the
// message.
func (k Key) hash() (crypto.Hash, signature.Verifier, error) {
	details, err := signature.GetDefaultAlgorithmDetails(k.Key)
	if err != nil {
		return 0, nil, fmt.Errorf("key %s: %w", k.Name, err)
	}
	verifier, err := k.Verifier()
	if err != nil {
		return 0, nil, fmt.Errorf("key %s: %w", k.Name, err)
	}
	return details.GetHashType(), verifier, nil
}

func sum(h crypto.Hash, message []byte) []byte {
	if h == 0 {
		return nil
	}
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

// withKey verifies what k signed. Timestamps that no trusted authority made are as
// good as none: whoever has the bundle could have left them out.
func (v *Verifier) withKey(e *entity, what signed, k Key) (*sigverify.VerificationResult, error) {
	verifier, err := k.Verifier()
	if err != nil {
		return nil, err
	}
	m := v.shared
	m.key = root.NewExpiringKey(verifier, time.Time{}, time.Time{}) // goodAt is stricter
	stamps, _, err := sigverify.VerifySignedTimestamp(e, &m)
	if err != nil {
		return nil, err
	}
	dated := len(stamps) > 0
	for _, entry := range e.entries {
		dated = dated || entry.HasInclusionPromise()
	}
	with, err := sigverify.NewVerifier(&m, e.options(dated)...)
	if err != nil {
		return nil, err
	}
	result, err := with.Verify(e, sigverify.NewPolicy(what.policy(), sigverify.WithKey()))
	if err != nil {
		return nil, err
	}
	return result, k.goodAt(times(result.VerifiedTimestamps))
}

// goodAt checks the times of a signature against the life of its key.
func (k Key) goodAt(at []Time) error {
	if k.NotBefore.IsZero() && k.NotAfter.IsZero() {
		return nil
	}
	if len(at) == 0 {
		return fmt.Errorf("the key is good %s only, and no trusted clock says when this was signed", period(k.NotBefore, k.NotAfter))
	}
	for _, t := range at {
		if !within(t.Time, k.NotBefore, k.NotAfter) {
			return fmt.Errorf("the key is good %s, and it was signed at %s", period(k.NotBefore, k.NotAfter), stamp(t.Time))
		}
	}
	return nil
}
