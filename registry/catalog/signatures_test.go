package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/instance"
	"github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/storage/meta"
)

// startTrusting runs a catalog that trusts what is added to it.
func startTrusting(t *testing.T) (e *env, own *key.Private) {
	t.Helper()
	own, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	e = start(t, func(o *Options) {
		o.Keys = func() []instance.Key {
			return []instance.Key{
				{Public: own.Public, Created: time.Unix(1000, 0)}, {Public: own.Public, Created: time.Unix(1, 0), NotAfter: time.Unix(1000, 0)},
			}
		}
		if o.Trust, err = trust.Open(t.Context(), trust.Options{Meta: o.Meta, Own: func() []*key.Public { return []*key.Public{own.Public} }}); err != nil {
			t.Fatal(err)
		}
	})
	return e, own
}

func TestSignaturesAreShownWithWhatTheyProve(t *testing.T) {
	e, _ := startTrusting(t)
	d := e.push("public/app", []byte("a"), nil, "1.0.0")
	path := "/packages/public:app/versions/1.0.0/signatures"
	e.settled() // or ingest would store what it finds itself
	if got := get[wire.Signatures](e, path); got.Digest != d || len(got.Signatures)+len(got.Attestations)+len(got.Refused) != 0 {
		t.Errorf("GET before there are any = %+v, want none", got)
	}
	carrier := digest.FromString("carrier")
	by := meta.Signature{
		Carrier: carrier, Form: "bundle", PredicateType: signing.PredicateSignature, KeyID: "00ff", KeyName: "release",
		Proof: json.RawMessage(`{"key":{"id":"00ff","name":"release"},"predicateType":"` + signing.PredicateSignature + `"}`),
	}
	said := by
	said.PredicateType, said.Predicate, said.PredicateSize = attest.TypeProvenance, json.RawMessage(`{"a":1}`), 7
	said.Proof = json.RawMessage(`{"key":{"id":"00ff","name":"release"},"predicateType":"` + attest.TypeProvenance + `"}`)
	err := e.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		return tx.PutSignatures(ctx, "public/app", d, "v1", []meta.Signature{by, said, {Carrier: carrier, Form: "cosign", Problem: "no key made it"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Signatures{
		Digest: d, Material: "v1", Publisher: "release",
		Signatures: []wire.Signature{{Form: "bundle", Manifest: carrier, Key: "release", KeyID: "00ff", Proof: by.Proof}},
		Attestations: []wire.Attestation{{
			Signature:     wire.Signature{Form: "bundle", Manifest: carrier, Key: "release", KeyID: "00ff", Proof: said.Proof},
			PredicateType: attest.TypeProvenance, Type: "slsaprovenance", Size: 7,
		}},
		Refused: []wire.RefusedSignature{{Form: "cosign", Manifest: carrier, Problem: "no key made it"}},
	}
	if d := cmp.Diff(want, get[wire.Signatures](e, path)); d != "" {
		t.Errorf("GET: want -, got +\n%s", d)
	}
	want.Attestations[0].Predicate = said.Predicate
	if d := cmp.Diff(want, get[wire.Signatures](e, path+"?predicate=true")); d != "" {
		t.Errorf("GET with predicates: want -, got +\n%s", d)
	}
}

func TestKeysOfTheInstallation(t *testing.T) {
	e, own := startTrusting(t)
	got := get[wire.KeyList](e, "/keys").Items
	if len(got) != 2 || got[0].ID != own.ID() || got[0].PEM != string(own.PEM()) || !got[0].NotAfter.IsZero() || got[1].NotAfter.Unix() != 1000 {
		t.Fatalf("GET = %+v, want the key in use and a former one", got)
	}
	var jwk struct{ Kty, Crv, Kid, D string }
	if err := json.Unmarshal(got[0].JWK, &jwk); err != nil || jwk.Kty != "EC" || jwk.Crv != "P-256" || jwk.Kid != own.ID() || jwk.D != "" {
		t.Errorf("jwk = %s, %v; want the public half on P-256", got[0].JWK, err)
	}
}

func TestTrustIsChanged(t *testing.T) {
	e, own := startTrusting(t)
	e = e.as("root")
	k, err := key.Generate(key.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	before := get[wire.Trust](e, "/trust")
	request := wire.TrustRequest{Kind: "key", Content: string(k.PEM()), NotAfter: "2027-01-02T03:04:05+01:00"}
	stored := read[wire.TrustEntry](e, "PUT", "/trust/release-2026", request)
	after := get[wire.Trust](e, "/trust")
	if after.Version == before.Version || len(after.Items) != 2 {
		t.Fatalf("GET = %+v, want another version than %s, and two keys", after, before.Version)
	}
	if d := cmp.Diff(stored, after.Items[0]); d != "" {
		t.Errorf("what PUT (-) and GET (+) give differs\n%s", d)
	}
	want := wire.TrustEntry{
		Name: "release-2026", Kind: "key", Origin: "api", ID: k.ID(), Algorithm: "Ed25519", Content: string(k.PEM()), Author: "root",
		NotAfter: time.Date(2027, 1, 2, 2, 4, 5, 0, time.UTC), Created: stored.Created,
	}
	if d := cmp.Diff(want, stored); d != "" || stored.Created.IsZero() {
		t.Errorf("PUT: want -, got +\n%s", d)
	}
	if e := after.Items[1]; e.Name != trust.Instance || e.Origin != "instance" || e.ID != own.ID() {
		t.Errorf("the second entry = %+v, want the key of the installation", e)
	}
	events, err := e.db.EventsAfter(t.Context(), meta.Visibility{Everything: true}, 0, 0)
	if err != nil || len(events) != 1 || events[0].Kind != trust.Event || events[0].Actor != "root" {
		t.Errorf("events = %+v, %v; want one of kind trust by root", events, err)
	}
	e.status(e.do("DELETE", "/trust/release-2026", nil), 204)
	e.refused(e.do("DELETE", "/trust/release-2026", nil), wire.CodeNotFound)
	e.refused(e.do("DELETE", "/trust/"+trust.Instance, nil), wire.CodeNotFound)
	if got := get[wire.Trust](e, "/trust"); got.Version != before.Version {
		t.Errorf("version after the removal = %s, want %s", got.Version, before.Version)
	}
}

func TestBadKeysAreNotTrusted(t *testing.T) {
	e, own := startTrusting(t)
	e = e.as("root")
	good := string(own.PEM())
	for _, tt := range []struct {
		name, entry string
		body        wire.TrustRequest
	}{
		{"no key", "a", wire.TrustRequest{Kind: "key", Content: "key"}},
		{"no root", "a", wire.TrustRequest{Kind: "root", Content: "{}"}},
		{"no time", "a", wire.TrustRequest{Kind: "key", Content: good, NotAfter: "tomorrow"}},
		{"it ends before it begins", "a", wire.TrustRequest{Kind: "key", Content: good, NotAfter: "2026-01-01T00:00:00Z", NotBefore: "2027-01-01T00:00:00Z"}},
		{"the name of the installation's", trust.Instance, wire.TrustRequest{Kind: "key", Content: good}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.TB = t
			e.refused(e.do("PUT", "/trust/"+tt.entry, tt.body), wire.CodeBadRequest)
		})
	}
	if got := get[wire.Trust](e, "/trust").Items; len(got) != 1 {
		t.Errorf("GET = %s, want the installation's alone", strings.TrimSpace(fmt.Sprint(got)))
	}
}

// A server without trusted material says so.
func TestTrustOfNobody(t *testing.T) {
	e := start(t, nil).as("root")
	e.refused(e.do("GET", "/trust", nil), wire.CodeNotFound)
	if got := get[wire.KeyList](e, "/keys").Items; len(got) != 0 {
		t.Errorf("GET /keys = %+v, want none", got)
	}
}
