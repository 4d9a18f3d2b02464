package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/meta"
)

// getSignatures lists what was verified of a version's signatures, and what was
// refused and why.
func (a *API) getSignatures(ctx context.Context, q *request) (answer, error) {
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	rows, material, err := a.Meta.Signatures(ctx, q.repo, d)
	if err != nil {
		return answer{}, a.missing(q.repo, d.String(), err)
	}
	got := wire.Signatures{
		Digest: d, Material: material, Signatures: []wire.Signature{}, Attestations: []wire.Attestation{}, Refused: []wire.RefusedSignature{},
	}
	var proofs []*verify.Proof
	for _, row := range rows {
		switch {
		case !row.Verified():
			got.Refused = append(got.Refused, wire.RefusedSignature{Form: row.Form, Manifest: row.Carrier, Problem: row.Problem})
			continue
		case row.PredicateType == signing.PredicateSignature:
			got.Signatures = append(got.Signatures, wireSignature(row))
		default:
			got.Attestations = append(got.Attestations, wireAttestation(row, q.text("predicate") == "true"))
		}
		p := &verify.Proof{Predicate: row.Predicate}
		if err := json.Unmarshal(row.Proof, p); err != nil {
			return answer{}, fmt.Errorf("proof of %s in %s: %w", row.Carrier, q.repo, err)
		}
		proofs = append(proofs, p)
	}
	if a.Trust != nil {
		if got.Publisher, err = a.Trust.Current().Publisher(ctx, q.repo, d, proofs); err != nil {
			return answer{}, fmt.Errorf("publisher of %s in %s: %w", d, q.repo, err)
		}
	}
	return found(got)
}

func wireSignature(s meta.Signature) wire.Signature {
	return wire.Signature{
		Form: s.Form, Manifest: s.Carrier, Key: s.KeyName, KeyID: s.KeyID, Identity: s.Identity, Issuer: s.Issuer, Logged: s.Logged,
		Time: s.Time, Proof: s.Proof,
	}
}

func wireAttestation(s meta.Signature, whole bool) wire.Attestation {
	w := wire.Attestation{
		Signature: wireSignature(s), PredicateType: s.PredicateType, Type: attest.Name(s.PredicateType), Size: s.PredicateSize,
	}
	if whole {
		w.Predicate = s.Predicate
	}
	return w
}

// listKeys gives the public keys of the installation to everybody: what it signed
// goes to other places.
func (a *API) listKeys(context.Context, *request) (answer, error) {
	list := wire.KeyList{Items: []wire.InstallationKey{}}
	if a.Keys == nil {
		return found(list)
	}
	for _, k := range a.Keys() {
		jwk, err := json.Marshal(jose.JSONWebKey{Key: k.Key, KeyID: k.ID(), Use: "sig"})
		if err != nil {
			return answer{}, fmt.Errorf("key %s of the installation: %w", k.ID(), err)
		}
		one := wire.InstallationKey{ID: k.ID(), Algorithm: k.Algorithm(), PEM: string(k.PEM()), Created: k.Created.UTC(), JWK: jwk}
		if !k.NotAfter.IsZero() {
			one.NotAfter = k.NotAfter.UTC()
		}
		list.Items = append(list.Items, one)
	}
	return found(list)
}

// errNoTrust is of a server that verifies nothing.
var errNoTrust = &wire.Problem{Code: wire.CodeNotFound, Detail: "this server verifies no signatures"}

// getTrust lists what signatures are verified against.
func (a *API) getTrust(context.Context, *request) (answer, error) {
	if a.Trust == nil {
		return answer{}, errNoTrust
	}
	m := a.Trust.Current()
	got := wire.Trust{Version: m.Version(), Items: []wire.TrustEntry{}}
	for _, e := range m.Entries() {
		got.Items = append(got.Items, wireTrust(e))
	}
	return found(got)
}

func wireTrust(e trust.Entry) wire.TrustEntry {
	return wire.TrustEntry{
		Name: e.Name, Kind: e.Kind, Origin: string(e.Origin), ID: e.ID, Algorithm: e.Algorithm, Content: string(e.Content),
		NotBefore: e.NotBefore, NotAfter: e.NotAfter, Author: e.Author, Created: e.Created,
	}
}

// putTrust adds a key or root, or replaces one that was added.
func (a *API) putTrust(ctx context.Context, q *request) (answer, error) {
	if a.Trust == nil {
		return answer{}, errNoTrust
	}
	body := q.body.(*wire.TrustRequest)
	e := meta.TrustEntry{Name: q.path["entry"], Kind: body.Kind, Content: body.Content, Author: q.caller.Name, Created: a.Clock().UTC()}
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"notBefore", body.NotBefore, &e.NotBefore}, {"notAfter", body.NotAfter, &e.NotAfter}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, t.text)
		if err != nil || at.IsZero() {
			return answer{}, &wire.Problem{Code: wire.CodeBadRequest, Detail: fmt.Sprintf("%s: %q is no time", t.name, clip(t.text)), Hint: "2026-03-04T05:06:07Z"}
		}
		*t.into = at.UTC()
	}
	stored, _, err := a.Trust.Put(ctx, e)
	switch {
	case errors.Is(err, trust.ErrFormat):
		return answer{}, &wire.Problem{Code: wire.CodeBadRequest, Detail: clip(err.Error())}
	case errors.Is(err, trust.ErrConfigured):
		return answer{}, &wire.Problem{
			Code: wire.CodeConflict, Detail: err.Error(), Hint: "give it another name, or change the configuration",
		}
	case errors.Is(err, meta.ErrConflict):
		return answer{}, &wire.Problem{Code: wire.CodeConflict, Detail: "there are too many keys and roots", Hint: "remove some"}
	case err != nil:
		return answer{}, fmt.Errorf("trust %s: %w", e.Name, err)
	}
	return found(wireTrust(stored))
}

func (a *API) deleteTrust(ctx context.Context, q *request) (answer, error) {
	if a.Trust == nil {
		return answer{}, errNoTrust
	}
	name := q.path["entry"]
	err := a.Trust.Remove(ctx, name, q.caller.Name, a.Clock().UTC())
	if errors.Is(err, meta.ErrNotFound) {
		return answer{}, &wire.Problem{
			Code: wire.CodeNotFound, Detail: "nobody has added a key or root " + clip(name) + " over the API", Hint: "GET " + wire.Base + "/trust lists them",
		}
	}
	if err != nil {
		return answer{}, fmt.Errorf("trust %s: %w", name, err)
	}
	return answer{status: http.StatusNoContent}, nil
}
