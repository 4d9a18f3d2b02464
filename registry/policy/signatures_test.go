package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/verify"
)

// proof is one by the key release.
func proof(predicateType, predicate string) *verify.Proof {
	return &verify.Proof{
		Form: signing.FormBundle, PredicateType: predicateType, Predicate: json.RawMessage(predicate),
		Key: &verify.SignedByKey{ID: "00ff", Name: "release"},
	}
}

func TestSignatureFacts(t *testing.T) {
	keyless := &verify.Proof{
		Form: signing.FormBundle, PredicateType: signing.PredicateSignature,
		Certificate: &verify.Certificate{
			Identity: "ann@example.com", Issuer: "https://issuer.example",
			Claims: certificate.Extensions{SourceRepositoryURI: "https://git.example/app"},
		},
		Times: []verify.Time{{Time: time.Date(2026, 3, 4, 6, 6, 7, 0, time.FixedZone("", 3600))}}, Log: &verify.Log{},
	}
	var f Facts
	err := f.SignatureFacts(Signed{
		Proofs: []*verify.Proof{
			proof(signing.PredicateSignature, "{}"), keyless, proof(attest.TypeProvenance, `{"runs": 9007199254740993, "half": 0.5, "list": [true]}`),
			proof(attest.TypeCycloneDX, ""),
		},
		Refused: []RefusedSignature{{Form: "cosign", Problem: "no key\x1b"}}, Publisher: "release",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{
		Signatures: []Signature{
			{Form: "bundle", Key: "release", KeyID: "00ff", Claims: map[string]string{}},
			{
				Form: "bundle", Identity: "ann@example.com", Issuer: "https://issuer.example", Logged: true, Time: "2026-03-04T05:06:07Z",
				Claims: map[string]string{"sourceRepositoryURI": "https://git.example/app"},
			},
		},
		Attestations: []Attestation{
			{
				Form: "bundle", Key: "release", KeyID: "00ff", Claims: map[string]string{}, PredicateType: attest.TypeProvenance,
				Predicate: map[string]any{"runs": int64(9007199254740993), "half": 0.5, "list": []any{true}},
			},
			{
				Form: "bundle", Key: "release", KeyID: "00ff", Claims: map[string]string{}, PredicateType: attest.TypeCycloneDX,
				Predicate: map[string]any{}, Cut: true,
			},
		},
		RefusedSignatures: []RefusedSignature{{Form: "cosign", Problem: "no key\ufffd"}}, Publisher: "release",
	}
	if d := cmp.Diff(want, f); d != "" {
		t.Errorf("SignatureFacts: want -, got +\n%s", d)
	}
}

// A predicate is whatever somebody signed.
func TestHostilePredicatesAreCut(t *testing.T) {
	for name, text := range map[string]string{
		"too long":        `"` + strings.Repeat("x", maxPredicate) + `"`,
		"too deep":        strings.Repeat("[", maxPredicateDepth+1) + strings.Repeat("]", maxPredicateDepth+1),
		"too many values": "[" + strings.Repeat("1,", maxPredicateValues) + "1]",
		"no JSON":         "{",
		"nothing":         "null",
	} {
		var f Facts
		if err := f.SignatureFacts(Signed{Proofs: []*verify.Proof{proof(attest.TypeSPDX, text)}}); err != nil {
			t.Fatal(err)
		}
		if !f.Attestations[0].Cut {
			t.Errorf("a predicate that is %s is kept as %v", name, f.Attestations[0].Predicate)
		}
	}
	deepest := strings.Repeat("[", maxPredicateDepth) + `"]]]]\""` + strings.Repeat("]", maxPredicateDepth)
	if _, ok := predicate(json.RawMessage(deepest)); !ok {
		t.Errorf("predicate(%s) is cut, and is %d deep", deepest, maxPredicateDepth)
	}
}

func TestMoreSignaturesThanAreLookedAtAreUnknown(t *testing.T) {
	f := Facts{Action: Push}
	many := make([]*verify.Proof, maxSignatures+1)
	for i := range many {
		many[i] = proof(signing.PredicateSignature, "{}")
	}
	if err := f.SignatureFacts(Signed{Proofs: many, Publisher: "release"}); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{"signatures.size() >= 0", "attestations == []", "publisher != 'x'", "refusedSignatures == []"} {
		s := set1(t, rule)
		r := s.Eval(t.Context(), &f)
		if len(r.Violations) != 1 || !strings.Contains(r.Violations[0].Message, "are more than 256") {
			t.Errorf("Eval of %q = %+v, want a violation that says how many there are", rule, r.Violations)
		}
	}
}

// set1 is a policy of one rule.
func set1(t *testing.T, require string) *Set {
	t.Helper()
	p, err := Parse([]byte(fmt.Sprintf("name: p\nrules: [{name: r, require: %q}]", require)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRulesAboutSignatures(t *testing.T) {
	facts := Facts{
		Action: Push, RefusedSignatures: []RefusedSignature{}, Publisher: "release-2026",
		Signatures: []Signature{
			{Form: "bundle", Key: "release-2026", KeyID: "aa"},
			{Form: "cosign", Key: "release-2026", KeyID: "aa", Logged: true},
			{Identity: "https://ci.example/acme/app@refs/tags/v1", Issuer: "https://issuer.example", Claims: map[string]string{"buildTrigger": "push"}},
		},
		Attestations: []Attestation{
			{Key: "ci", PredicateType: "https://spdx.dev/Document/v2.3", Predicate: map[string]any{}},
			{Key: "ci", KeyID: "bb", PredicateType: attest.TypeProvenance, Predicate: map[string]any{
				"buildDefinition": map[string]any{"resolvedDependencies": []any{map[string]any{"uri": "git+https://git.example/app"}}},
			}},
		},
	}
	for _, tt := range []struct {
		rule string
		want bool
	}{
		{`signatures.by("release-*").size() == 2`, true},
		{`signatures.by("*").size() == 2`, true}, // names of keys alone
		{`signatures.by("**").size() == 2`, true},
		{`signatures.by(["none", "release-2026"]).exists(s, s.logged)`, true},
		{`signatures.by("https://ci.example/acme/*@refs/tags/**").size() == 1`, true},
		{`signatures.by("https://ci.example/acme/*@refs/tags/**", "https://issuer.example").size() == 1`, true},
		{`signatures.by("https://ci.example/acme/*@refs/tags/**", "https://*.evil").size() == 1`, false},
		{`signatures.by("release-2026", "**").size() == 0`, true}, // a key has no issuer
		{`signatures.signers().size() == 2`, true},
		{`signatures.exists(s, has(s.claims.buildTrigger) && s.claims.buildTrigger == "push")`, true},
		{`attestations.of("slsaprovenance").by("ci").size() == 1`, true},
		{`attestations.of("https://slsa.dev/provenance/v1").size() == 1`, true},
		{`attestations.of("spdx").size() == 1`, true},
		{`attestations.of("vuln").size() == 0`, true},
		{`attestations.of("slsaprovenance").exists(a, a.predicate.buildDefinition.resolvedDependencies.exists(d, d.uri.startsWith("git+")))`, true},
		{`attestations.signers() == ["bb"]`, false}, // one has no ID here
		{`publisher == "release-2026" && refusedSignatures == []`, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			r := set1(t, tt.rule).Eval(t.Context(), &facts)
			if got := len(r.Violations) == 0; got != tt.want {
				t.Errorf("Eval(%s): holds is %t, want %t: %+v", tt.rule, got, tt.want, r.Violations)
			}
		})
	}
}

func TestWrongRulesAboutSignatures(t *testing.T) {
	for rule, want := range map[string]string{
		`attestations.of("slsa").size() > 0`:                      "neither a type of attestation",
		`signatures.exists(s, s.predicate != "")`:                 "undefined field 'predicate'",
		`signatures.by("` + strings.Repeat("x", 600) + `") == []`: "a pattern of more than",
	} {
		p, err := Parse([]byte(fmt.Sprintf("name: p\nrules: [{name: r, require: %q}]", rule)))
		if err == nil {
			_, err = Compile(p)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%.60s) = %v, want an error with %q", rule, err, want)
		}
	}
}

// Clients other than ours push what is signed only then.
func TestRefusedPushesTellHowToSign(t *testing.T) {
	for action, want := range map[Action]bool{Push: true, Tag: true, Pull: false, Promote: false} {
		f := Facts{Action: action, Signatures: []Signature{}}
		v := set1(t, `publisher != ""`).Eval(t.Context(), &f).Violations
		if len(v) != 1 || strings.Contains(v[0].Reason(), "wpkg push --sign") != want || strings.Contains(v[0].Reason(), "copy --promote") != want {
			t.Errorf("Eval of %s = %+v, want a hint: %t", action, v, want)
		}
	}
	f := Facts{Action: Push}
	if v := set1(t, `pkg.name == "x"`).Eval(t.Context(), &f).Violations; len(v) != 1 || v[0].Hint != "" {
		t.Errorf("Eval of a rule about something else = %+v, want no hint", v)
	}
}

// A server that does not look for signatures lets nothing pass that a rule about
// them is about; what is cut concerns rules that read predicates alone.
func TestUnknownSignatures(t *testing.T) {
	nothing, cut := Facts{Action: Push}, Facts{Action: Push, Signatures: []Signature{}, Attestations: []Attestation{{Cut: true}}}
	for _, tt := range []struct {
		rule  string
		facts *Facts
		want  string
	}{
		{`publisher == ""`, &nothing, "publisher is not known: nobody looked for signatures"},
		{`attestations.size() == 0`, &nothing, "attestations is not known"},
		{`attestations.size() == 1`, &cut, ""},
		{`attestations.all(a, a.predicate != 1)`, &cut, "attestations.predicate is not known: one is too long"},
	} {
		r := set1(t, tt.rule).Eval(t.Context(), tt.facts)
		got := ""
		if len(r.Violations) > 0 {
			got = r.Violations[0].Message
		}
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("Eval(%s) says %q, want %q", tt.rule, got, tt.want)
		}
	}
}

// What to do about a refusal depends on what is missing.
func TestHintsAboutSignatures(t *testing.T) {
	facts := func(change func(f *Facts)) *Facts {
		f := &Facts{Action: Push, Signatures: []Signature{}, RefusedSignatures: []RefusedSignature{}}
		f.Package.Tags = []string{"1.0.0"}
		change(f)
		return f
	}
	for _, tt := range []struct {
		name, want string
		facts      *Facts
	}{
		{"nothing is signed", "Push with wpkg push --sign", facts(func(*Facts) {})},
		{"somebody signed whom nobody knows", "by nobody whom this registry trusts", facts(func(f *Facts) { f.RefusedSignatures = []RefusedSignature{{Form: "bundle"}} })},
		{"somebody signed who is known", "Push with wpkg push --sign", facts(func(f *Facts) { f.Signatures = []Signature{{Key: "other"}} })},
		{"a signature", "begins with pkg.tags.size() == 0 ||", facts(func(f *Facts) { f.Package.Tags, f.Package.Referrer = nil, true })},
		{"a pull", "", facts(func(f *Facts) { f.Action = Pull })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := set1(t, `signatures.by("release").size() > 0`).Eval(t.Context(), tt.facts)
			if len(r.Violations) != 1 {
				t.Fatalf("Eval = %+v, want one violation", r.Violations)
			}
			if got := r.Violations[0].Hint; !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("Eval gives the hint %q, want %q", got, tt.want)
			}
		})
	}
}
