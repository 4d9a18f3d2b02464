package main

import (
	"context"
	"strings"

	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
)

// hintTrust is for audits that ask for signatures and know nobody to believe.
const hintTrust = "wpkg trust init writes a trust policy, which says whose signatures count"

// readTrust reads the trust policy if a rule asks for signatures. Without one the
// audit goes on, and such rules say so.
func (a *auditor) readTrust(f *trustFlags) (err error) {
	if a.needs.Signatures {
		a.trust, err = f.load()
	}
	return err
}

// signatureFacts find out who signed and attested a package, as a server does that
// has the user's trust policy: whose name is in the policy is a key by that name, and
// publisher is the first whose signature counts.
func (a *auditor) signatureFacts(ctx context.Context, f *wasmFile, facts *policy.Facts) error {
	switch {
	case !a.needs.Signatures:
		return nil
	case f.from == nil:
		facts.Unsigned("a file has no signatures; they hang on a package")
		return nil
	case a.trust == nil:
		facts.Unsigned("there is no trust policy that says whom to believe")
		return nil
	}
	q, err := f.from.question(f.from.ref)
	if err != nil {
		return err
	}
	if q.Proofs, q.Refused, err = trust.Collect(ctx, a.trust.Verifier(), client.Signatures(f.from.Target), q); err != nil {
		return err
	}
	q.Pins = nil // who signed first stands for nothing here
	r, err := a.trust.Evaluate(ctx, q)
	if err != nil {
		return err
	}
	signed := policy.Signed{Proofs: q.Proofs, Publisher: r.PublisherName()}
	for _, one := range q.Refused {
		signed.Refused = append(signed.Refused, policy.RefusedSignature{
			Form: string(one.Form), Problem: strings.TrimPrefix(one.Reason, verify.ErrRefused.Error()+": "),
		})
	}
	return facts.SignatureFacts(signed)
}

// helped says of violations for want of a trust policy what to do about that.
func (a *auditor) helped(list []policy.Violation) []policy.Violation {
	for i := range list {
		if list[i].Hint != "" && a.needs.Signatures && a.trust == nil {
			list[i].Hint = hintTrust
		}
	}
	return list
}
