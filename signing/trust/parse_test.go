package trust_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/trust"
)

const signers = "version: 1\nsigners:\n  ci: {issuer: https://issuer.example.com, identity: ci@example.com}\n"

func TestParseErrors(t *testing.T) {
	rule := func(text string) string { return signers + "packages:\n- match: prod/**\n  rules:\n  - " + text }
	tests := []struct{ name, in, want string }{
		{"nothing but the version", "version: 1", ""},
		{"a rule", rule("{by: [ci]}"), ""},
		{"no version", "default: deny", "1:1: the policy does not say its version (version: 1)"},
		{"a version of the future", "version: 2", "1:10: version 2 is not known (version: 1)"},
		{"an unknown key", "version: 1\npackage: []", `2:1: unknown key "package" (did you mean packages?)`},
		{"an unknown key of a rule", rule("{bye: [ci]}"), `7:6: rule 1: unknown key "bye" (did you mean by?)`},
		{"a signer that is not there", rule("{by: [CI]}"), `7:11: rule 1: there is no signer "CI" (did you mean ci?)`},
		{"a rule without signers", rule("{name: x}"), `7:5: rule "x": the rule does not say who has to sign (by: [SIGNER])`},
		{"more than there are", rule("{by: [ci], count: 2}"), "7:5: rule 1: 2 of 1 signers is never satisfied (each signer counts once)"},
		{"a count of none", rule("{by: [ci], count: 0}"), "7:23: rule 1: this has to be a number from 1 to 256"},
		{"a misspelt attestation", rule("{by: [ci], attestation: cyclondx}"), "(did you mean cyclonedx?)"},
		{"a misspelt requirement", rule("{by: [ci], log: requird}"), `7:21: rule 1: unknown word "requird" (did you mean required?)`},
		{"a misspelt variable", rule("{by: [ci], where: 'predicat.x == 1'}"), "7:24: rule 1: undeclared reference to 'predicat' (did you mean predicate?)"},
		{"an expression that is none", rule("{by: [ci], where: 'predicate.x =='}"), "rule 1: "},
		{"an expression that is no condition", rule("{by: [ci], where: 'repository'}"), "7:24: rule 1: the expression is of type string, and has to be bool"},
		{"a claim that is misspelt", rule("{by: [ci], where: 'claims.sourceRepositoryUri == \"\"'}"), `certificates have no claim "sourceRepositoryUri" (did you mean sourceRepositoryURI?)`},
		{"an entry about nothing", signers + "packages: [{rules: [{by: [ci]}]}]", "4:12: the entry does not say which packages it is about (match: prod/**)"},
		{"an entry that says nothing", signers + "packages: [{match: a}]", "4:12: the entry does not say what has to be true of the packages"},
		{"an entry with accept and rules", signers + "packages: [{match: a, accept: unsigned, rules: [{by: [ci]}]}]", "4:31: an entry has either accept, or rules and pin"},
		{"a pattern with a tag", signers + "packages: [{match: 'a@sha256:b', pin: first-use}]", "a pattern is of names, without tag, digest and spaces"},
		{"a pattern of one version", signers + "packages: [{match: 'prod/app:1.0.0', pin: first-use}]", "a pattern is of names, without tag, digest and spaces"},
		{"a package identifier", signers + "packages: [{match: 'prod:app', pin: first-use}]", "a pattern is of names, without tag, digest and spaces"},
		{"a pattern with a question mark", signers + "packages: [{match: 'team-?/**', pin: first-use}]", `no name has '?' in it, so that it would match nothing`},
		{"a pattern with alternatives", signers + "packages: [{match: '{a,b}/**', pin: first-use}]", `no name has '{' in it`},
		{"a pattern with a class", signers + "packages: [{match: '[ab]/**', pin: first-use}]", "[ab] is no registry"},
		{"a pattern in capitals", signers + "packages: [{match: Prod/**, pin: first-use}]", `no name has 'P' in it`},
		{"an exception in capitals", signers + "packages: [{match: [prod/**, '!prod/Trial/**'], pin: first-use}]", `no name has 'T' in it`},
		{"a registry in capitals", signers + "packages: [{match: Registry.example.com/**, pin: first-use}]", "registries are compared in lower case"},
		{"a registry with a scheme", signers + "packages: [{match: 'https://registry.example.com/**', pin: first-use}]", "two together"},
		{"a registry with a word for a port", signers + "packages: [{match: 'registry:port/**', pin: first-use}]", "registry:port is no registry"},
		{"a registry with the port that it has anyway", signers + "packages: [{match: 'registry.example.com:443/**', pin: first-use}]", "the port goes without saying: registry.example.com"},
		{"registries by patterns", signers + "packages: [{match: ['*.example.com/**', '*:5000/**', '[::1]:5000/**', 'localhost/**', 'oci-layout/Any folder'], pin: first-use}]", ""},
		{"an exception from nothing", signers + "packages: [{match: '!a', pin: first-use}]", "the first pattern takes away"},
		{"a signer without anything", "version: 1\nsigners: {x: {}}", "signer x: the signer has neither a key nor an identity"},
		{"an identity without an issuer", "version: 1\nsigners: {x: {identity: a@example.com}}", "signer x: who vouches for the identity has to be named"},
		{"an issuer that is anybody", "version: 1\nsigners: {x: {issuer: '**', identity: a@example.com}}", "signer x: who vouches for the identity has to be named"},
		{"an issuer alone", "version: 1\nsigners: {x: {issuer: https://issuer.example.com}}", "an issuer alone is everybody who has an account there"},
		{"a key that is none", "version: 1\nsigners: {x: {key: \"-----BEGIN x\"}}", "signer x: not a key that can be used"},
		{"a file where there are none", "version: 1\nsigners: {x: {key: x.pub}}", `signer x: a file cannot be read here: "x.pub" (put the content here)`},
		{"a compiler that is not there", signers + "compilers: [CI]", `4:13: there is no signer "CI" (did you mean ci?)`},
		{"compilers of what is refused", signers + "packages: [{match: a, accept: nothing, compilers: [ci]}]", "native code neither"},
		{"an entry about compilers alone", signers + "packages: [{match: a, compilers: [ci]}]", "what has to be true of the packages"},
		{"a version that is none", signers + "deniedVersions: [latest]", `"latest" is no version of wasmtime ("39.0.1", or "39.0" for all of 39.0.x)`},
		{"a key that is a date away", "version: 1\nsigners: {x: {key: \"\", notAfter: tomorrow}}", "this has to be a time (2026-01-31T00:00:00Z)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := trust.Parse([]byte(tt.in), trust.Options{})
			if got := message(err); tt.want == "" && err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("Parse = %q, want %q", got, tt.want)
			}
			if _, ok := errors.AsType[trust.Errors](err); err != nil && !ok {
				t.Errorf("Parse = %T, want trust.Errors", err)
			}
		})
	}
	if _, err := trust.Parse(make([]byte, trust.MaxSource+1), trust.Options{}); !errors.Is(err, trust.ErrTooLarge) {
		t.Errorf("Parse of %d bytes = %v, want ErrTooLarge", trust.MaxSource+1, err)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCompilersOf(t *testing.T) {
	p, err := trust.Parse([]byte(signers+`packages:
- {match: lab/**, accept: unsigned, compilers: []}
- {match: prod/**, rules: [{by: [ci]}]}
- {match: gone/**, accept: nothing}
compilers: [ci]
deniedVersions: ["39.0.1", "38"]
`), trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for repository, want := range map[string]int{"lab/app": 0, "prod/app": 1, "other/app": 1, "gone/app": 0} {
		if got, err := p.CompilersOf("registry.example.com", repository); err != nil || len(got) != want {
			t.Errorf("CompilersOf(%s) = %q, %v; want %d", repository, got, err, want)
		}
	}
	if want := []string{"39.0.1", "38"}; !slices.Equal(p.DeniedVersions, want) {
		t.Errorf("DeniedVersions = %q; want %q", p.DeniedVersions, want)
	}
}

// Files are relative to the policy, and what is in them is part of its version.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	path := write("trust.yaml", "version: 1\nsigners: {release: {key: release.pub}}\npackages: [{match: '**', rules: [{by: [release]}]}]\n")
	if _, err := trust.Load(path); !errors.Is(err, os.ErrNotExist) && !strings.Contains(message(err), "release.pub") {
		t.Errorf("Load without the key = %v, want an error that names it", err)
	}
	var versions []string
	for range 2 {
		k, err := key.Generate(key.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		write("release.pub", string(k.PEM()))
		p, err := trust.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if p.Signers[0].KeyID != k.ID() {
			t.Errorf("Load = key %s, want %s", p.Signers[0].KeyID, k.ID())
		}
		again, err := trust.Load(path)
		if err != nil || again.Version() != p.Version() {
			t.Errorf("Load again = version %s, %v; want %s", again.Version(), err, p.Version())
		}
		versions = append(versions, p.Version())
	}
	if versions[0] == versions[1] {
		t.Errorf("Version is %s with either key, want different ones", versions[0])
	}
}

// Whatever is read either is refused with places inside the file, or decides every
// question without a panic, and refuses what is not signed if rules are about it.
func FuzzParse(f *testing.F) {
	f.Add(signers + "packages: [{match: [prod/**, '!prod/x'], rules: [{name: a, by: [ci], log: optional, where: 'predicate.x == 1'}]}]")
	f.Add(signers + "default: deny\npackages: [{match: a, pin: first-use}, {match: '**', accept: unsigned}]")
	f.Add("version: 1\nsigners: {x: {issuer: 'https://*', where: 'claims.issuer.matches(\"a+\")'}}")
	f.Add("version: 1\nroots: [a]\n")
	f.Add(signers + "compilers: [ci]\ndeniedVersions: ['39.0']\npackages: [{match: '**', accept: unsigned, compilers: []}]")
	f.Fuzz(func(t *testing.T, source string) {
		p, err := trust.Parse([]byte(source), trust.Options{})
		if err != nil {
			found, ok := errors.AsType[trust.Errors](err)
			lines := strings.Count(source, "\n") + 2
			for _, e := range found {
				if e.Line < 1 || e.Line > lines || e.Column < 1 {
					t.Fatalf("Parse = %v, which is at line %d of %d", e, e.Line, lines)
				}
			}
			if !ok && !errors.Is(err, trust.ErrTooLarge) {
				t.Fatalf("Parse = %T %v, want Errors", err, err)
			}
			return
		}
		r, err := p.Evaluate(t.Context(), trust.Question{Host: "registry.example.com", Repository: "prod/app", Subject: app})
		if err != nil {
			t.Fatal(err)
		}
		applies, err := p.Applies("registry.example.com", "prod/app")
		if r.Allowed && (applies || err != nil) {
			t.Fatalf("Evaluate of what is not signed = %+v, and signatures decide", r)
		}
	})
}
