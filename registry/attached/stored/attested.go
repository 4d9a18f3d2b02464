package stored

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/meta"
)

// Attested gives those of what was found on a manifest that attest documents for
// [attached.Read]. rows are what became of their verification, and v is what they were
// verified by: predicates that are too large to be kept in rows are read once more.
// What a wreg derived, or signed with a key of this installation, is no publisher's
// word and is left out.
func (s Signatures) Attested(
	ctx context.Context, v *verify.Verifier, subject digest.Digest, found []signing.Found, rows []meta.Signature,
) ([]attached.Attestation, error) {
	type place struct{ carrier, layer digest.Digest }
	known := make(map[place]meta.Signature, len(rows))
	for _, row := range rows {
		known[place{row.Carrier, row.Layer}] = row
	}
	var list []attached.Attestation
	for _, f := range found {
		row, ok := known[place{f.Manifest, f.Layer}]
		if !ok {
			continue // it came after the rows
		}
		a, ok, err := attestation(ctx, v, subject, f, row)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		derived, err := s.derived(ctx, f.Manifest)
		if err != nil {
			return nil, err
		}
		if !derived {
			list = append(list, a)
		}
	}
	return list, nil
}

// attestation is what was found as an attestation of a document, if it is one.
func attestation(
	ctx context.Context, v *verify.Verifier, subject digest.Digest, f signing.Found, row meta.Signature,
) (a attached.Attestation, ok bool, err error) {
	a = attached.Attestation{Referrer: f.Manifest, Blob: f.Layer, PredicateType: row.PredicateType, Predicate: row.Predicate}
	if !row.Verified() {
		a.PredicateType, a.Problem = f.ClaimedType(), row.Problem
	}
	if !attached.Attests(a.PredicateType) || row.KeyName == trust.Instance {
		return a, false, nil
	}
	if a.Problem != "" {
		return a, true, nil
	}
	a.By = cmp.Or(row.KeyName, row.KeyID, row.Identity)
	if len(a.Predicate) > 0 || row.PredicateSize == 0 {
		return a, true, nil
	}
	p, err := v.Verify(ctx, subject, f)
	switch {
	case errors.Is(err, verify.ErrRefused): // what is trusted has changed since
		a.By, a.Problem = "", err.Error()
		return a, true, nil
	case err != nil:
		return a, false, err
	}
	a.Predicate = p.Predicate
	return a, true, nil
}

// derived reports whether a wreg made a manifest by itself.
func (s Signatures) derived(ctx context.Context, carrier digest.Digest) (bool, error) {
	text, _, err := s.Manifest(ctx, carrier.String(), maxCarrier)
	if errors.Is(err, signing.ErrNotFound) || errors.Is(err, signing.ErrLimit) {
		return true, nil // gone since, or too large for what carries a signature
	}
	if err != nil {
		return false, err
	}
	var m struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return false, fmt.Errorf("manifest %s of %s: %w", carrier, s.Name, err)
	}
	return m.Annotations[annotationDerived] != "", nil
}

// maxCarrier bounds the manifests of signatures, in bytes.
const maxCarrier = 4 << 20
