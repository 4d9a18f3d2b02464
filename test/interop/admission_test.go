//go:build interop

package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/test/testenv"
)

// releasedOnly lets tags of prod/* be pushed only if the workflow IDENTITY signed
// them, as ISSUER vouches.
const releasedOnly = `name: released
scope: {repositories: ["prod/*"], actions: [push, tag]}
rules:
- name: workflow
  require: >
    pkg.referrer || pkg.tags.size() == 0 || signatures.exists(s, s.identity == "IDENTITY" && s.issuer == "ISSUER")
  message: the release workflow has not signed it
`

// The server refuses by policy what the release workflow has not signed, whoever pushes
// it, and tells how to get there; what it lets in it countersigns, and attests what
// advisories say of it, which cosign verifies. But for the policy, whom to trust and a
// key that the test knows, it runs with its defaults.
func TestPolicyAdmitsWhatTheReleaseWorkflowSigned(t *testing.T) {
	s, sh := startSigstore(t), newShell(t)
	key := sh.file("key.pem")
	sh.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
	sh.run("openssl", "ec", "-in", key, "-pubout", "-out", sh.file("instance.pub"))
	if err := os.WriteFile(sh.file("root.json"), []byte(noRoot), 0o600); err != nil {
		t.Fatal(err)
	}
	data, wpkg := sh.file("data"), program(t, "bin", "wpkg")
	sh.run(program(t, "bin", "wreg"), "advisories", "import", "--data", data, absolute(t, filepath.Join(top, "test", "data", "osv", "crates.io.zip")))
	reg := startWreg(t, "--data", data, "--signing-key", key, "--trust-roots", s.TrustedRoot)
	source := strings.NewReplacer("IDENTITY", testenv.Identity(s.Workflows.Claims), "ISSUER", s.Workflows.URL).Replace(releasedOnly)
	policy, err := json.Marshal(map[string]string{"source": source})
	if err != nil {
		t.Fatal(err)
	}
	put(t, reg, "/api/v1/policies/released", policy)

	refused := func(what string, args ...string) {
		t.Helper()
		text := sh.fails(args...)
		for _, want := range []string{"the release workflow has not signed it", "push to a staging repository", "wpkg copy --promote"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s\nwant it to say %q", what, text, want)
			}
		}
	}
	signing := func(token string) []string {
		return []string{"--signing-config", s.SigningConfig, "--trusted-root", s.TrustedRoot, "--identity-token", token}
	}
	workflow, person := s.Workflows.Mint(t, nil), s.Issuer.Mint(t, nil)
	staged := sh.push(reg.ref("staging/app:1.0.0"))
	refused("an unsigned push", wpkg, "push", reg.ref("prod/app:1.0.0"), "module.wasm")
	refused("an unsigned copy by another client", client(t, "crane"), "copy", "--insecure", reg.ref("staging/app:1.0.0"), reg.ref("prod/app:1.0.0"))
	refused("a push that a person signed", append([]string{wpkg, "push", "--sign", reg.ref("prod/app:1.0.0"), "module.wasm"}, signing(person)...)...)
	sh.fails(client(t, "crane"), "manifest", "--insecure", reg.ref("prod/app:1.0.0"))

	p := sh.push(reg.ref("prod/app:1.0.0"), append([]string{"--sign"}, signing(workflow)...)...)
	if p.Digest != staged.Digest {
		t.Errorf("pushed %s, want %s", p.Digest, staged.Digest)
	}
	sh.run(append([]string{wpkg, "sign", reg.ref("staging/app:1.0.0")}, signing(workflow)...)...)
	sh.run(wpkg, "copy", "--promote", reg.ref("staging/app:1.0.0"), reg.ref("prod/other"))

	reg.settle(t)
	for _, repo := range []string{"prod/app", "prod/other"} {
		for _, predicateType := range []string{attest.TypeSummary, attest.TypeVuln} {
			for _, version := range []string{"cosign", "cosign-v3"} {
				t.Run(version+" verifies "+attest.Name(predicateType)+" of "+repo, func(t *testing.T) {
					out := sh.run(client(t, version), "verify-attestation", "--new-bundle-format", "--key", sh.file("instance.pub"), "--trusted-root",
						sh.file("root.json"), "--insecure-ignore-tlog=true", "--allow-http-registry", "--type", predicateType, reg.ref(repo+"@"+p.Digest))
					if !strings.Contains(out, `"payload"`) {
						t.Errorf("it printed %s, want the statement", out)
					}
				})
			}
		}
	}
}
