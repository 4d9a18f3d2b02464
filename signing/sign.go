package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// A Signer signs with a key of its own or with one that a certificate vouches
// for. Its methods are safe for concurrent use.
type Signer interface {
	// Options are what goes with one signature: the key to sign with, and who
	// vouches for it. They serve one signature, for a key may live that short.
	Options(ctx context.Context) (sign.Keypair, sign.BundleOptions, error)
}

// Sign makes the bundle of a statement, in JSON. It is the same for the same
// statement if the signature is: see key.Private. The errors are ErrFormat, of a
// statement that is about nothing, and ErrLimit.
func Sign(ctx context.Context, st Statement, by Signer) ([]byte, error) {
	if err := st.check(); err != nil {
		return nil, err
	}
	if st.Predicate == nil {
		st.Predicate = struct{}{}
	}
	st.Type = StatementType
	payload, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("statement %s: %w", st.PredicateType, err)
	}
	if len(payload) > MaxBundle/2 { // base64 and the rest come on top
		return nil, fmt.Errorf("statement %s of %d bytes: %w of %d", st.PredicateType, len(payload), ErrLimit, MaxBundle/2)
	}
	pair, options, err := by.Options(ctx)
	if err != nil {
		return nil, err
	}
	options.Context = ctx
	b, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: PayloadType}, pair, options)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", st.PredicateType, err)
	}
	whole, err := bundle.NewBundle(b, bundle.AllowCertificateChain())
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", st.PredicateType, err)
	}
	text, err := whole.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", st.PredicateType, err)
	}
	// Spaces differ from one build of the encoder to the next, by intent of its makers.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("sign %s: %w", st.PredicateType, err)
	}
	return compact.Bytes(), nil
}

// check refuses what would be signed in vain: nobody could hold it against
// anything. The error is ErrFormat.
func (st *Statement) check() error {
	if st.PredicateType == "" {
		return fmt.Errorf("statement: %w: it has no predicateType", ErrFormat)
	}
	if len(st.Subject) == 0 {
		return fmt.Errorf("statement %s: %w: it is about nothing", st.PredicateType, ErrFormat)
	}
	for i, s := range st.Subject {
		if len(s.Digest) == 0 {
			return fmt.Errorf("statement %s: %w: subject %d has no digest", st.PredicateType, ErrFormat, i)
		}
		for algorithm, hex := range s.Digest {
			if err := digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex).Validate(); err != nil {
				return fmt.Errorf("statement %s: %w: subject %d: %q: %w", st.PredicateType, ErrFormat, i, algorithm+":"+hex, err)
			}
		}
	}
	return nil
}
