package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/verify"
)

// ErrCompiler is of native code that no compiler of the policy vouches for.
var ErrCompiler = errors.New("no compiler that the trust policy names vouches for it")

// CompilersOf names the signers whose native code of a package may be loaded: those
// of the entry about it if it says any, else those of the policy. None is the
// default: code is compiled where it runs then.
func (p *Policy) CompilersOf(host, repository string) ([]string, error) {
	e, _, err := p.entry(host, repository)
	switch {
	case err != nil:
		return nil, fmt.Errorf("which entry is about %s/%s cannot be told: %w", host, repository, err)
	case e != nil && e.Nothing:
		return nil, nil
	case e != nil && e.Compilers != nil:
		return slices.Clone(e.Compilers), nil
	}
	return slices.Clone(p.Compilers), nil
}

// Vouched finds what attests the manifest q.Subject, which is one of native code of
// the package that q names, and returns the provenance by one of the package's
// compilers for which about is nil. That holds what a compiler said against the
// code at hand; package artifact/aot/provenance knows how.
//
// Code that nobody vouches for is ErrCompiler, with who was expected and what was
// found. Other errors are those of the source and of ctx.
func Vouched(ctx context.Context, p *Policy, src signing.Source, q Question, about func(*verify.Proof) error) (*Counted, error) {
	compilers, err := p.CompilersOf(q.Host, q.Repository)
	if err != nil {
		return nil, err
	}
	if len(compilers) == 0 {
		return nil, fmt.Errorf("%w: it names none for %s", ErrCompiler, q.name())
	}
	if q.Proofs, q.Refused, err = Collect(ctx, p.verifier, src, q); err != nil {
		return nil, err
	}
	q.lapse()
	rule := Rule{Name: "compiled", By: compilers, Count: 1, Attestation: attest.TypeProvenance}
	var why []string
	for _, proof := range q.Proofs {
		counted, reason := p.counts(ctx, &q, &rule, proof)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(counted) > 0 {
			if err := about(proof); err == nil {
				return &counted[0], nil
			} else {
				reason = err.Error()
			}
		}
		why = append(why, PrincipalOf(proof).String()+": "+reason)
	}
	for _, r := range q.Refused {
		why = append(why, r.Reason)
	}
	if len(why) == 0 {
		why = []string{"nothing attests it"}
	}
	return nil, fmt.Errorf("%w: it has to be %s: %s", ErrCompiler, rule.Wants(), strings.Join(why[:min(len(why), maxWhy)], "; "))
}

// maxWhy is how many reasons fit into an error.
const maxWhy = 4
