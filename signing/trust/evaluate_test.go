package trust_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
)

// A world has a Sigstore and three keys, which policies know by name.
type world struct {
	*signingtest.Sigstore
	keys map[string]*key.Private
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Sigstore: signingtest.New(t, signingtest.Config{}), keys: map[string]*key.Private{}}
	for _, name := range []string{"anna", "bert", "carl"} {
		k, err := key.Generate(key.P256)
		if err != nil {
			t.Fatal(err)
		}
		w.keys[name] = k
	}
	return w
}

// parse reads a policy that knows all keys but carl's, the workflow and anybody at
// example.com.
func (w *world) parse(t testing.TB, packages string) *trust.Policy {
	t.Helper()
	source := `version: 1
signers:
  anna: {key: anna}
  bert: {key: bert}
  anna-again: {key: anna}
  workflow:
    issuer: https://issuer.example.com
    identity: https://github.com/acme/*/.github/workflows/release.yml@refs/tags/**
    where: claims.sourceRepositoryURI.startsWith("https://github.com/acme/")
  people: {issuer: "https://*.example.com", identity: "*@example.com"}
` + packages
	p, err := trust.Parse([]byte(source), trust.Options{
		Roots: []root.TrustedMaterial{w.Root(t)}, RootVersion: "1",
		Open: func(name string, _ int64) ([]byte, error) { return w.keys[name].PEM(), nil },
	})
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return p
}

// A repository is a Source in memory.
type repository struct {
	err   error
	asked int
}

func (r *repository) Referrers(context.Context, digest.Digest, int) ([]ocispec.Descriptor, error) {
	r.asked++
	return nil, r.err
}

func (r *repository) Manifest(context.Context, string, int64) ([]byte, digest.Digest, error) {
	return nil, "", signing.ErrNotFound
}

func (r *repository) Blob(context.Context, ocispec.Descriptor, int64) ([]byte, error) {
	return nil, signing.ErrNotFound
}

var app = digest.FromString("app")

// proofs verifies what was found, as the policy does.
func proofs(t testing.TB, p *trust.Policy, found []signing.Found) (list []*verify.Proof, refused []trust.Refusal) {
	t.Helper()
	for _, f := range found {
		proof, err := p.Verifier().Verify(t.Context(), app, f)
		if err != nil {
			refused = append(refused, trust.Refusal{Reason: err.Error()})
			continue
		}
		list = append(list, proof)
	}
	return list, refused
}

func TestEvaluate(t *testing.T) {
	w := newWorld(t)
	const workflow = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
	sign := func(g signingtest.Signing) signing.Found {
		return signingtest.Found(t, app, w.Bundle(t, g, signingtest.Statement(t, app, signing.PredicateSignature, struct{}{})))
	}
	attested := func(g signingtest.Signing, predicateType string, predicate any) signing.Found {
		return signingtest.Found(t, app, w.Bundle(t, g, signingtest.Statement(t, app, predicateType, predicate)))
	}
	by := func(name string) signingtest.Signing {
		return signingtest.Signing{Key: w.keys[name], NoLog: true, NoStamp: true}
	}
	acme := map[int]string{12: "https://github.com/acme/app"}
	provenance := map[string]any{"buildDefinition": map[string]any{"buildType": "https://example.com/wasm/v1"}}
	one := func(rule string) string { return "packages: [{match: prod/**, rules: [{name: signed, " + rule + "}]}]" }
	tests := []struct {
		name    string
		policy  string
		found   []signing.Found
		allowed bool
		reason  string // part of it, or of why a signature does not count
		by      string // signers of the first rule
	}{
		{name: "signed by the one key", policy: one("by: [anna]"), found: []signing.Found{sign(by("anna"))}, allowed: true, by: "anna"},
		{
			name:   "signed by another key that is known",
			policy: one("by: [anna]"),
			found:  []signing.Found{sign(by("bert"))},
			reason: "none of 1 verified signatures counts",
		},
		{
			name:   "signed by a key that is not known",
			policy: one("by: [anna]"),
			found:  []signing.Found{sign(by("carl"))},
			reason: "no signature can be verified (1 refused)",
		},
		{name: "not signed", policy: one("by: [anna]"), reason: "signed: it has to be signed by anna, and nothing is signed"},
		{
			name:    "two of two",
			policy:  one("by: [anna, bert], count: 2"),
			found:   []signing.Found{sign(by("anna")), sign(by("bert"))},
			allowed: true, by: "anna bert",
		},
		{
			name:   "one of two",
			policy: one("by: [anna, bert], count: 2"),
			found:  []signing.Found{sign(by("anna"))},
			reason: "1 of 2 signers count", by: "anna",
		},
		{
			name:   "one that signs twice is one",
			policy: one("by: [anna, bert], count: 2"),
			found:  []signing.Found{sign(by("anna")), sign(by("anna"))},
			reason: "1 of 2 signers count", by: "anna",
		},
		{
			name:   "one key with two names is one",
			policy: one("by: [anna, anna-again], count: 2"),
			found:  []signing.Found{sign(by("anna")), sign(by("anna"))},
			reason: "1 of 2 signers count", by: "anna",
		},
		{
			name: "two people of one pattern are one signer", policy: one("by: [people, anna], count: 2"),
			found:  []signing.Found{sign(signingtest.Signing{Identity: "x@example.com"}), sign(signingtest.Signing{Identity: "y@example.com"})},
			reason: "1 of 2 signers count", by: "people",
		},
		{
			name: "a key and a person", policy: one("by: [people, anna], count: 2"), allowed: true, by: "people anna",
			found: []signing.Found{sign(signingtest.Signing{Identity: "x@example.com"}), sign(by("anna"))},
		},
		{
			name: "the workflow", policy: one("by: [workflow]"), allowed: true, by: "workflow",
			found: []signing.Found{sign(signingtest.Signing{Identity: workflow, Extensions: acme})},
		},
		{
			name: "the workflow on a branch", policy: one("by: [workflow]"), reason: "the identity is",
			found: []signing.Found{sign(signingtest.Signing{Identity: strings.Replace(workflow, "tags", "heads", 1), Extensions: acme})},
		},
		{
			name: "the workflow called from another repository", policy: one("by: [workflow]"), reason: "where does not hold",
			found: []signing.Found{sign(signingtest.Signing{Identity: workflow, Extensions: map[int]string{12: "https://github.com/evil/app"}})},
		},
		{
			name: "the workflow without the claim", policy: one("by: [workflow]"), reason: "where: no such key",
			found: []signing.Found{sign(signingtest.Signing{Identity: workflow})},
		},
		{
			name: "another issuer", policy: one("by: [workflow]"), reason: "the issuer is",
			found: []signing.Found{sign(signingtest.Signing{Identity: workflow, Extensions: acme, Issuer: "https://evil.example.org"})},
		},
		{
			name: "an identity with a slash more than the pattern has", policy: one("by: [people]"), reason: "the identity is",
			found: []signing.Found{sign(signingtest.Signing{Identity: "https://evil.org/x@example.com"})},
		},
		{
			name: "a certificate that is in no log", policy: one("by: [people]"), reason: "no transparency log is known to have it",
			found: []signing.Found{sign(signingtest.Signing{NoLog: true})},
		},
		{
			name: "a certificate that need not be in a log", policy: one("by: [people], log: optional"), allowed: true, by: "people",
			found: []signing.Found{sign(signingtest.Signing{NoLog: true})},
		},
		{
			name:   "a key whose signature has to be in a log",
			policy: one("by: [anna], log: required"),
			found:  []signing.Found{sign(by("anna"))},
			reason: "no transparency log",
		},
		{
			name:   "a key whose signature is in a log and dated",
			policy: one("by: [anna], log: required, timestamp: required"), allowed: true, by: "anna",
			found: []signing.Found{sign(signingtest.Signing{Key: w.keys["anna"]})},
		},
		{
			name:   "a key whose signature has to be dated",
			policy: one("by: [anna], timestamp: required"),
			found:  []signing.Found{sign(by("anna"))},
			reason: "no trusted clock",
		},
		{
			name:   "an attestation is no signature",
			policy: one("by: [anna]"),
			reason: "it is of type slsaprovenance, and https://sigstore.dev/cosign/sign/v1 is wanted",
			found:  []signing.Found{attested(by("anna"), "https://slsa.dev/provenance/v1", provenance)},
		},
		{
			name:   "a signature is no attestation",
			policy: one("by: [anna], attestation: slsaprovenance"),
			reason: "slsaprovenance is wanted",
			found:  []signing.Found{sign(by("anna"))},
		},
		{
			name:    "an attestation",
			policy:  one(`by: [anna], attestation: slsaprovenance, where: 'predicate.buildDefinition.buildType == "https://example.com/wasm/v1"'`),
			allowed: true, by: "anna", found: []signing.Found{attested(by("anna"), "https://slsa.dev/provenance/v1", provenance)},
		},
		{
			name:   "an attestation that says something else",
			policy: one(`by: [anna], attestation: slsaprovenance, where: 'predicate.buildDefinition.buildType == "other"'`),
			reason: "where does not hold", found: []signing.Found{attested(by("anna"), "https://slsa.dev/provenance/v1", provenance)},
		},
		{
			name:   "an attestation that does not say it",
			policy: one(`by: [anna], attestation: slsaprovenance, where: 'predicate.nothing'`),
			reason: "where: no such key", found: []signing.Found{attested(by("anna"), "https://slsa.dev/provenance/v1", provenance)},
		},
		{
			name: "an attestation whose type has a version", policy: one("by: [anna], attestation: spdx"), allowed: true, by: "anna",
			found: []signing.Found{attested(by("anna"), "https://spdx.dev/Document/v2.3", map[string]any{})},
		},
		{
			name:   "an expression that takes too long",
			policy: one(`by: [anna], attestation: slsaprovenance, where: 'predicate.l.all(a, predicate.l.all(b, predicate.l.all(c, a <= b + c)))'`),
			reason: "it takes more than",
			found:  []signing.Found{attested(by("anna"), "https://slsa.dev/provenance/v1", map[string]any{"l": make([]int, 500)})},
		},
		{
			name: "an expression about the package", allowed: true, by: "workflow",
			policy: one(`by: [workflow], where: 'host == "registry.example.com" && repository == "prod/" + claims.sourceRepositoryURI.replace("https://github.com/acme/", "")'`),
			found:  []signing.Found{sign(signingtest.Signing{Identity: workflow, Extensions: acme})},
		},
		{
			name:   "the reason is that of the signature, and not of attestations before it",
			policy: one(`by: [anna]`),
			found:  []signing.Found{attested(by("anna"), "https://slsa.dev/provenance/v1", map[string]any{}), sign(by("bert"))},
			reason: "none of 2 verified signatures counts: key " + w.keys["bert"].ID()[:16] + "…: it is by nobody that the rule names",
		},
		{
			name:   "all rules have to be satisfied",
			policy: `packages: [{match: prod/**, rules: [{by: [anna]}, {name: second, by: [bert]}]}]`,
			found:  []signing.Found{sign(by("anna"))},
			reason: "second: it has to be signed by bert", by: "anna",
		},
		{
			name:    "no entry is about it",
			policy:  `packages: [{match: other/**, rules: [{by: [anna]}]}]`,
			allowed: true,
			reason:  "the default is accept",
		},
		{
			name:   "no entry is about it, and the default is to deny",
			policy: "default: deny\npackages: [{match: other/**, rules: [{by: [anna]}]}]",
			reason: "the default is deny",
		},
		{
			name:   "an entry with the host",
			policy: `packages: [{match: registry.example.com/prod/**, rules: [{by: [anna]}]}]`,
			reason: "nothing is signed",
		},
		{
			name:    "an entry with another host",
			policy:  `packages: [{match: other.example.com/prod/**, rules: [{by: [anna]}]}]`,
			allowed: true,
			reason:  "no entry",
		},
		{
			name:    "an exception",
			policy:  `packages: [{match: [prod/**, "!prod/app"], rules: [{by: [anna]}]}]`,
			allowed: true,
			reason:  "no entry",
		},
		{
			name:    "the first entry counts",
			policy:  `packages: [{match: prod/*, accept: unsigned}, {match: "**", accept: nothing}]`,
			allowed: true,
			reason:  "accepts what is unsigned",
		},
		{
			name:   "nothing is accepted",
			policy: `packages: [{match: prod/*, accept: nothing}]`,
			found:  []signing.Found{sign(by("anna"))},
			reason: "accepts nothing",
		},
		{
			name:   "a pin without a place for it",
			policy: `packages: [{match: prod/*, pin: first-use}]`,
			found:  []signing.Found{sign(by("anna"))},
			reason: "there is no place for that here",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := w.parse(t, tt.policy)
			q := trust.Question{Host: "registry.example.com", Repository: "prod/app", Subject: app}
			q.Proofs, q.Refused = proofs(t, p, tt.found)
			r, err := p.Evaluate(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var signers, said []string
			if len(r.Rules) > 0 {
				for _, c := range r.Rules[0].By {
					signers = append(signers, c.Signer)
				}
				for _, m := range r.Rules[0].Missed {
					said = append(said, m.Reason)
				}
			}
			if all := r.Reason + strings.Join(said, "; "); r.Allowed != tt.allowed || !strings.Contains(all, tt.reason) || strings.Join(signers, " ") != tt.by {
				t.Errorf("Evaluate = allowed %t by %q: %s; %q\nwant allowed %t by %q: %s", r.Allowed, signers, r.Reason, said, tt.allowed, tt.by, tt.reason)
			}
			if err := r.Err(); (err == nil) != tt.allowed || err != nil && !errors.Is(err, trust.ErrRefused) {
				t.Errorf("Err = %v, want ErrRefused: %t", err, !tt.allowed)
			}
		})
	}
}

// Evaluation that is called off allows nothing.
func TestEvaluateEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	p := w.parse(t, `packages: [{match: "**", rules: [{by: [anna]}]}]`)
	found := signingtest.Found(t, app, w.Bundle(t, signingtest.Signing{Key: w.keys["anna"]},
		signingtest.Statement(t, app, signing.PredicateSignature, struct{}{})))
	q := trust.Question{Repository: "app", Subject: app}
	q.Proofs, _ = proofs(t, p, []signing.Found{found})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := p.Evaluate(ctx, q); !errors.Is(err, context.Canceled) || r.Allowed {
		t.Errorf("Evaluate = %+v, %v; want context.Canceled", r, err)
	}
}

func TestPins(t *testing.T) {
	w := newWorld(t)
	sign := func(g signingtest.Signing) signing.Found {
		return signingtest.Found(t, app, w.Bundle(t, g, signingtest.Statement(t, app, signing.PredicateSignature, struct{}{})))
	}
	anna, bert := sign(signingtest.Signing{Key: w.keys["anna"]}), sign(signingtest.Signing{Key: w.keys["bert"]})
	const flow = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/"
	one, two := sign(signingtest.Signing{Identity: flow + "v1"}), sign(signingtest.Signing{Identity: flow + "v2"})
	other := sign(signingtest.Signing{Identity: strings.Replace(flow, "acme", "evil", 1) + "v2"})
	tests := []struct {
		name string
		uses [][]signing.Found
		want []bool
		says string // of the last use
	}{
		{name: "the same key again", uses: [][]signing.Found{{anna}, {anna}}, want: []bool{true, true}},
		{name: "another key", uses: [][]signing.Found{{anna}, {bert}, {anna}}, want: []bool{true, false, true}},
		{
			name: "another key, named with the first",
			uses: [][]signing.Found{{anna}, {bert}},
			want: []bool{true, false},
			says: w.keys["anna"].ID()[:16],
		},
		{name: "both, of which one is pinned", uses: [][]signing.Found{{anna}, {bert, anna}}, want: []bool{true, true}},
		{name: "nothing signed pins nothing", uses: [][]signing.Found{{}, {bert}}, want: []bool{false, true}},
		{name: "the workflow at its next tag", uses: [][]signing.Found{{one}, {two}}, want: []bool{true, true}},
		{name: "the workflow of somebody else", uses: [][]signing.Found{{one}, {other}}, want: []bool{true, false}, says: "evil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, pins := w.parse(t, `packages: [{match: "**", pin: first-use}]`), trust.PinFolder{Dir: t.TempDir()}
			var got []bool
			last := ""
			for _, found := range tt.uses {
				q := trust.Question{Repository: "app", Subject: app, Pins: pins}
				q.Proofs, q.Refused = proofs(t, p, found)
				r, err := p.Evaluate(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				got, last = append(got, r.Allowed), r.Reason
			}
			if d := cmp.Diff(tt.want, got); d != "" || !strings.Contains(last, tt.says) {
				t.Errorf("Evaluate, use by use, differs (-want +got):\n%s\nand says at last %q, want %q in it", d, last, tt.says)
			}
		})
	}
}

func TestPinFolder(t *testing.T) {
	pins := trust.PinFolder{Dir: t.TempDir() + "/state/pins"}
	anna, bert := trust.Principal{Key: "a"}, trust.Principal{Identity: "b", Issuer: "i"}
	if got, err := pins.Peek().First(t.Context(), "app", []trust.Principal{bert}); err != nil || got[0] != bert {
		t.Errorf("Peek().First = %v, %v; want bert", got, err)
	}
	for range 2 {
		for _, now := range []trust.Principal{anna, bert} {
			if got, err := pins.First(t.Context(), "app", []trust.Principal{now}); err != nil || len(got) != 1 || got[0] != anna {
				t.Errorf("First(%v) = %v, %v; want the first that was pinned", now, got, err)
			}
		}
	}
	if all, err := pins.All(); err != nil || len(all) != 1 || all[0].Name != "app" {
		t.Errorf("All = %v, %v; want one pin", all, err)
	}
	if err := pins.Forget("other"); !errors.Is(err, trust.ErrNotPinned) {
		t.Errorf("Forget of what is not pinned = %v, want ErrNotPinned", err)
	}
	if err := pins.Forget("app"); err != nil {
		t.Errorf("Forget = %v", err)
	}
	if got, err := pins.First(t.Context(), "app", []trust.Principal{bert}); err != nil || got[0] != bert {
		t.Errorf("First after Forget = %v, %v; want bert", got, err)
	}
}

// Of many who pin at a time, one does, and all hear which.
func TestPinFolderIsShared(t *testing.T) {
	pins := trust.PinFolder{Dir: t.TempDir()}
	got := make(chan trust.Principal)
	for i := range 8 {
		go func() {
			first, err := pins.First(t.Context(), "app", []trust.Principal{{Key: string(rune('a' + i))}})
			if err != nil {
				t.Error(err)
				got <- trust.Principal{}
				return
			}
			got <- first[0]
		}()
	}
	seen := map[trust.Principal]bool{}
	for range 8 {
		seen[<-got] = true
	}
	if len(seen) != 1 {
		t.Errorf("First of eight at a time gave %v, want one for all", seen)
	}
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	p := w.parse(t, `packages: [{match: open/**, accept: unsigned}, {match: "**", rules: [{name: signed, by: [anna]}]}]`)
	broken := errors.New("503")
	t.Run("a source that fails is no permission", func(t *testing.T) {
		r, err := trust.Check(t.Context(), p, &repository{err: broken}, trust.Question{Repository: "app", Subject: app})
		if !errors.Is(err, broken) || r.Allowed {
			t.Errorf("Check = %+v, %v; want the error of the source", r, err)
		}
	})
	t.Run("a source that hides signatures is no permission", func(t *testing.T) {
		r, err := trust.Check(t.Context(), p, &repository{}, trust.Question{Repository: "app", Subject: app})
		if err != nil || r.Allowed || !strings.Contains(r.Reason, "nothing is signed") {
			t.Errorf("Check = %+v, %v; want nothing allowed", r, err)
		}
	})
	t.Run("a source is not asked where signatures do not count", func(t *testing.T) {
		src := &repository{err: broken}
		r, err := trust.Check(t.Context(), p, src, trust.Question{Repository: "open/app", Subject: app})
		if err != nil || !r.Allowed || src.asked > 0 {
			t.Errorf("Check = %+v, %v after %d questions; want it allowed after none", r, err, src.asked)
		}
	})
	t.Run("proofs that the caller brings are not believed", func(t *testing.T) {
		q := trust.Question{Repository: "app", Subject: app, Proofs: []*verify.Proof{{
			PredicateType: signing.PredicateSignature, Key: &verify.SignedByKey{ID: w.keys["anna"].ID()},
		}}}
		if r, err := trust.Check(t.Context(), p, &repository{}, q); err != nil || r.Allowed {
			t.Errorf("Check = %+v, %v; want nothing allowed", r, err)
		}
	})
}

// A name that is written in another way is the same name: of what has to be signed,
// nobody gets an unsigned one by that.
func TestEntryOfANameWrittenInAnotherWay(t *testing.T) {
	p, err := trust.Parse([]byte(signers+`packages:
- {match: registry.example.com/prod/**, rules: [{name: signed, by: [ci]}]}
- {match: [localhost/prod/**, "localhost:5080/prod/**"], rules: [{name: signed, by: [ci]}]}
- {match: [mirror.example.com/**, oci-layout/**], accept: unsigned}
- {match: "**", accept: nothing}
`), trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, host, repository string
		allowed                bool
		reason                 string
	}{
		{"as it is", "registry.example.com", "prod/app", false, "signed: it has to be signed by ci"},
		{"in capitals", "Registry.EXAMPLE.com", "prod/app", false, "signed: it has to be signed by ci"},
		{"with the port of HTTPS", "registry.example.com:443", "prod/app", false, "signed: it has to be signed by ci"},
		{"with the port of HTTP, of this machine", "LOCALHOST:80", "prod/app", false, "signed: it has to be signed by ci"},
		{"with a port of its own", "localhost:5080", "prod/app", false, "signed: it has to be signed by ci"},
		{"of another port", "registry.example.com:5000", "prod/app", false, "the entry accepts nothing"},
		{"what is accepted", "mirror.example.com", "app", true, "accepts what is unsigned"},
		{"a layout", trust.LayoutHost, "app", true, "accepts what is unsigned"},
		{
			"a repository that is called like a registry", "evil.example.net", "mirror.example.com/app", false,
			`pattern "mirror.example.com/**" is of the registry mirror.example.com, and mirror.example.com/app is a repository of that name`,
		},
		{"a repository that is called like layouts", "evil.example.net", "oci-layout/app", false, `pattern "oci-layout/**" is of the registry oci-layout`},
		{"a repository of a server that does not know its name", "", "mirror.example.com/app", false, "is a repository of that name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := p.Evaluate(t.Context(), trust.Question{Host: tt.host, Repository: tt.repository, Subject: app})
			if err != nil || r.Allowed != tt.allowed || !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("Evaluate(%s/%s) = %v, %q, %v; want %v, %q", tt.host, tt.repository, r.Allowed, r.Reason, err, tt.allowed, tt.reason)
			}
			if got := trust.Name(tt.host, "a"); got != strings.ToLower(got) || strings.Contains(got, ":443/") || strings.Contains(got, ":80/") {
				t.Errorf("Name(%s, a) = %s, want it as patterns have it", tt.host, got)
			}
			applies, err := p.Applies(tt.host, tt.repository)
			if !tt.allowed && !applies && err == nil {
				t.Errorf("Applies(%s/%s) = %v, %v; want yes, or that it cannot be told", tt.host, tt.repository, applies, err)
			}
		})
	}
}
