package trust_test

import (
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
)

// withNotary reads a policy of which acme.pem has the root of a notary and
// trusted_root.json a Sigstore.
func withNotary(t testing.TB, n *signingtest.Notary, s *signingtest.Sigstore, source string) (*trust.Policy, error) {
	t.Helper()
	return trust.Parse([]byte("version: 1\n"+source), trust.Options{Open: func(name string, _ int64) ([]byte, error) {
		if name == "trusted_root.json" {
			return json.Marshal(s.Root(t))
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.Chain[len(n.Chain)-1].Raw}), nil
	}})
}

// Who counts as a signer of Notation's, and when.
func TestNotationSigners(t *testing.T) {
	n, s := signingtest.NewNotary(t, signingtest.NotaryConfig{}), signingtest.New(t, signingtest.Config{})
	stranger := signingtest.NewNotary(t, signingtest.NotaryConfig{})
	target := ocispec.Descriptor{Digest: app}
	good := n.Sign(t, signingtest.NotationSigning{Target: target})
	stamped := n.Sign(t, signingtest.NotationSigning{Target: target, Stamp: func(sig []byte) []byte { return s.Token(t, sig, signingtest.Now) }})
	keyless := s.Sign(t, signingtest.Signing{Identity: "release@acme.example"}, app)
	tests := []struct {
		name   string
		signer string
		rule   string // in addition
		found  signing.Found
		now    time.Time
		want   string // of the reason of a refusal
	}{
		{name: "the subject as Notation writes it", signer: `{notation: "x509.subject: C=US, ST=WA, O=Acme"}`, found: good},
		{name: "a part of the subject", signer: "{notation: CN=release}", found: good},
		{name: "another subject", signer: "{notation: CN=develop}", found: good, want: `CN is "release", and has to be "develop"`},
		{name: "more than the subject has", signer: `{notation: "O=Acme, OU=ci"}`, found: good, want: `OU is "", and has to be "ci"`},
		{name: "everybody of a root", signer: `{notation: "*", issuer: "x509:CN=Acme Root,O=Acme"}`, found: good},
		{name: "everybody of another root", signer: `{notation: "*", issuer: "x509:CN=Other Root"}`, found: good, want: `the issuer is "x509:CN=Acme Root,O=Acme"`},
		{name: "a condition", signer: `{notation: O=Acme, where: 'identity.startsWith("CN=release,")'}`, found: good},
		{name: "somebody else's root", signer: "{notation: O=Acme}", found: stranger.Sign(t, signingtest.NotationSigning{Target: target}), want: "no signature can be verified"},
		{
			name: "an identity of OpenID Connect", signer: `{issuer: "*x509:CN=Acme Root,O=Acme", identity: "**"}`, found: good,
			want: "that is an identity, and this is a signature of Notation",
		},
		{
			name: "a certificate of Fulcio", signer: `{notation: "*", issuer: "https://issuer.example.com"}`, found: keyless,
			want: "that signs as Notation does, and this is another signature",
		},
		{name: "a log, which there is none of", signer: "{notation: O=Acme}", rule: ", log: required", found: good, want: "no transparency log is known to have it"},
		{
			name: "a time, which nobody says", signer: "{notation: O=Acme}", rule: ", timestamp: required", found: good,
			want: "no trusted clock says when it was made",
		},
		{name: "a time of the Sigstore beside", signer: "{notation: O=Acme}", rule: ", timestamp: required", found: stamped},
		{
			name: "undated, after its certificate", signer: "{notation: O=Acme}", found: good, now: signingtest.Now.Add(48 * time.Hour),
			want: "no signature can be verified (1 refused)",
		},
		{name: "dated, after its certificate", signer: "{notation: O=Acme}", found: stamped, now: signingtest.Now.Add(48 * time.Hour)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := withNotary(t, n, s, "roots: [trusted_root.json, {notation: acme.pem}]\nsigners:\n  x: "+tt.signer+
				"\npackages: [{match: '**', rules: [{by: [x]"+tt.rule+"}]}]\n")
			if err != nil {
				t.Fatalf("Parse:\n%v", err)
			}
			q := trust.Question{Repository: "app", Subject: app, Now: signingtest.Now}
			if !tt.now.IsZero() {
				q.Now = tt.now
			}
			if proof, err := p.Verifier().Verify(t.Context(), app, tt.found); err != nil {
				q.Refused = []trust.Refusal{{Form: tt.found.Form, Reason: err.Error()}}
			} else {
				q.Proofs = []*verify.Proof{proof}
			}
			r, err := p.Evaluate(t.Context(), q)
			if err != nil || r.Allowed != (tt.want == "") || !strings.Contains(r.Reason, tt.want) {
				t.Errorf("Evaluate = %t, %q, %v; want %q\nrefused: %+v", r.Allowed, r.Reason, err, tt.want, r.Refused)
			}
		})
	}
}

// What lapsed is listed, and pins nothing.
func TestNotationLapses(t *testing.T) {
	n, s := signingtest.NewNotary(t, signingtest.NotaryConfig{}), signingtest.New(t, signingtest.Config{})
	p, err := withNotary(t, n, s, "roots: [{notation: acme.pem}]\npackages: [{match: '**', pin: first-use}]\n")
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	proof, err := p.Verifier().Verify(t.Context(), app, n.Sign(t, signingtest.NotationSigning{Target: ocispec.Descriptor{Digest: app}}))
	if err != nil {
		t.Fatal(err)
	}
	pins := trust.PinFolder{Dir: t.TempDir()}
	ask := func(at time.Time) trust.Result {
		r, err := p.Evaluate(t.Context(), trust.Question{Repository: "app", Subject: app, Proofs: []*verify.Proof{proof}, Pins: pins, Now: at})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	later := signingtest.Now.Add(48 * time.Hour)
	for _, at := range []time.Time{later, {}} { // the zero time is now, years later
		r := ask(at)
		if r.Allowed || len(r.Refused) != 1 || !strings.Contains(r.Refused[0].Reason, "it is good from 2024-04-30T12:00:00Z until 2024-05-02T12:00:00Z") {
			t.Errorf("Evaluate at %s = %+v, want a refusal that says until when", at, r)
		}
	}
	if all, err := pins.All(); err != nil || len(all) != 0 {
		t.Errorf("pins of what had lapsed = %v, %v; want none", all, err)
	}
	if r, end := ask(signingtest.Now), proof.Valid.Until; !r.Allowed || end.IsZero() || !r.Until.Equal(end) {
		t.Errorf("Evaluate in time = %+v, want it allowed until %s", r, end)
	}
	want := "CN=release,O=Acme,ST=WA,C=US (x509:CN=Acme Root,O=Acme)"
	if all, err := pins.All(); err != nil || len(all) != 1 || all[0].Signers[0].String() != want {
		t.Errorf("pins = %v, %v; want %s", all, err, want)
	}
}

func TestParseRefusesNotation(t *testing.T) {
	n, s := signingtest.NewNotary(t, signingtest.NotaryConfig{}), signingtest.New(t, signingtest.Config{})
	tests := []struct{ name, source, want string }{
		{name: "a store that is not known", source: "roots: [{notation: a.pem, store: cas}]", want: `unknown word "cas"`},
		{name: "a store without a file", source: "roots: [{store: ca}]", want: "the root does not say which certificates"},
		{name: "a file that is none", source: "roots: [{notation: trusted_root.json}]", want: "no certificate in PEM"},
		{name: "a signer without roots", source: "signers: {x: {notation: O=Acme}}", want: "no root is one of Notation's signatures"},
		{name: "everybody", source: "roots: [{notation: a.pem}]\nsigners: {x: {notation: '*'}}", want: "whose certificates count has to be named"},
		{name: "everybody of everybody", source: "roots: [{notation: a.pem}]\nsigners: {x: {notation: '*', issuer: '**'}}", want: "whose certificates count has to be named"},
		{name: "a subject that is none", source: "roots: [{notation: a.pem}]\nsigners: {x: {notation: Acme}}", want: `"Acme" is not TYPE=VALUE`},
		{name: "an identity too", source: "roots: [{notation: a.pem}]\nsigners: {x: {notation: O=Acme, identity: a}}", want: "either notation or identity"},
		{name: "a key too", source: "roots: [{notation: a.pem}]\nsigners: {x: {notation: O=Acme, key: a.pub}}", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := withNotary(t, n, s, tt.source)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %+v, %v; want an error with %q", p, err, tt.want)
			}
		})
	}
	// What the certificates are for is part of the version.
	var versions []string
	for _, store := range []string{"ca", "signingAuthority", "tsa"} {
		p, err := withNotary(t, n, s, "roots: [{notation: a.pem, store: "+store+"}]")
		if err != nil {
			t.Fatalf("Parse:\n%v", err)
		}
		m := p.Material().Notation
		got := map[string]int{"ca": len(m.CA), "signingAuthority": len(m.Authority), "tsa": len(m.TSA)}
		if got[store] != 1 || got["ca"]+got["signingAuthority"]+got["tsa"] != 1 {
			t.Errorf("Material of the store %s = %v, want one certificate there", store, got)
		}
		versions = append(versions, p.Version())
	}
	if versions[0] == versions[1] || versions[1] == versions[2] {
		t.Errorf("Version of three stores = %v, want different ones", versions)
	}
}

// Files of roots are read, or refused with their place in the policy.
func FuzzRoots(f *testing.F) {
	n, s := signingtest.NewNotary(f, signingtest.NotaryConfig{}), signingtest.New(f, signingtest.Config{})
	text, err := json.Marshal(s.Root(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, []byte{})
	for _, cert := range n.Chain {
		f.Add([]byte("{}"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	const source = "version: 1\nroots: [trusted_root.json, {notation: acme.pem}]\npackages: [{match: '**', pin: first-use}]\n"
	f.Fuzz(func(t *testing.T, trusted, certs []byte) {
		p, err := trust.Parse([]byte(source), trust.Options{Open: func(name string, _ int64) ([]byte, error) {
			if name == "acme.pem" {
				return certs, nil
			}
			return trusted, nil
		}})
		if err != nil {
			if p != nil || !strings.Contains(err.Error(), "2:") {
				t.Fatalf("Parse = %+v, %v; want an error of line 2", p, err)
			}
			return
		}
		if len(p.Material().Notation.CA) == 0 || p.Version() == "" {
			t.Fatalf("Parse = %+v, want certificates", p.Material())
		}
		found := signing.Found{Form: signing.FormNotation, Type: "application/jose+json", Content: []byte("{}")}
		if proof, err := p.Verifier().Verify(t.Context(), digest.FromString("app"), found); err == nil {
			t.Fatalf("Verify of nothing = %+v", proof)
		}
	})
}
