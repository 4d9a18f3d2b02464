package trust

import (
	"context"
	"errors"
	"fmt"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/verify"
)

// Check finds what hangs on the manifest q.Subject, verifies it and asks the
// policy. It fills in Proofs and Refused. The source is not asked about packages
// that the policy decides without signatures. With an error, of the source, of ctx
// or of the pins, nothing is allowed.
func Check(ctx context.Context, p *Policy, src signing.Source, q Question) (Result, error) {
	q.Proofs, q.Refused = nil, nil
	if e, _, err := p.entry(q.Host, q.Repository); err == nil && e != nil && !e.Unsigned && !e.Nothing {
		if q.Proofs, q.Refused, err = Collect(ctx, p.verifier, src, q); err != nil {
			return Result{Policy: p.version, Reason: err.Error()}, err
		}
	}
	return p.Evaluate(ctx, q)
}

// Collect finds and verifies what hangs on q.Subject.
func Collect(ctx context.Context, v *verify.Verifier, src signing.Source, q Question) ([]*verify.Proof, []Refusal, error) {
	found, err := signing.Find(ctx, src, q.Subject)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", q.name(), err)
	}
	var proofs []*verify.Proof
	var refused []Refusal
	for _, f := range found {
		proof, err := v.Verify(ctx, q.Subject, f)
		switch {
		case err == nil:
			proofs = append(proofs, proof)
		case errors.Is(err, verify.ErrRefused):
			refused = append(refused, Refusal{Form: f.Form, Manifest: f.Manifest, Reason: err.Error()})
		default:
			return nil, nil, fmt.Errorf("%s: %w", q.name(), err)
		}
	}
	return proofs, refused, nil
}
