//go:build interop

package interop

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
)

// A compiler is one who attests native code, and how cosign is told to believe him and
// to believe another.
type compiler struct {
	name            string
	sign            []string
	believe, refuse []string
}

// compilers are those with a key and one without, of whom the services know.
func compilers(t *testing.T, sh *shell) []compiler {
	t.Helper()
	wpkg := program(t, "bin", "wpkg")
	sh.run(wpkg, "key", "generate", "-o", "p256", "--no-password")
	sh.run(wpkg, "key", "generate", "-o", "ed25519", "--algorithm", "ed25519", "--no-password")
	sh.run(wpkg, "key", "generate", "-o", "other", "--no-password")
	if err := os.WriteFile(sh.file("root.json"), []byte(noRoot), 0o600); err != nil {
		t.Fatal(err)
	}
	byKey := func(name string) []string {
		return []string{"--key", name + ".pub", "--trusted-root", "root.json", "--insecure-ignore-tlog=true"}
	}
	stack := startSigstore(t)
	by := func(identity string) []string {
		return []string{
			"--certificate-identity", identity, "--certificate-oidc-issuer", stack.Issuer.URL, "--trusted-root", stack.TrustedRoot,
			"--use-signed-timestamps",
		}
	}
	keyless := []string{
		"--identity-token", stack.Issuer.Mint(t, nil), "--signing-config", stack.SigningConfig, "--trusted-root", stack.TrustedRoot,
	}
	return []compiler{
		{"a P-256 key", []string{"--key", "p256.key"}, byKey("p256"), byKey("other")},
		{"an Ed25519 key", []string{"--key", "ed25519.key"}, byKey("ed25519"), byKey("other")},
		{"an identity", keyless, by("alice@example.com"), by("mallory@example.com")},
	}
}

// What a compiler attests of native code, cosign verifies: by the manifest of the code
// in the registry, and by files alone. It takes it for no other's, for no other type,
// and for nothing about the package.
func TestCosignVerifiesWhoCompiledNativeCode(t *testing.T) {
	sh := newShell(t)
	reg := startWreg(t)
	for i, by := range compilers(t, sh) {
		repo := reg.ref("compiled" + string(rune('a'+i)))
		p := sh.push(repo + ":1.0.0")
		args := append([]string{program(t, "bin", "wpkg"), "compile", repo + ":1.0.0", "-t", "linux/amd64/v1", "--push", "--sign", "--output", "json"}, by.sign...)
		var made struct{ Manifest, Digest string }
		if err := json.Unmarshal([]byte(sh.run(args...)), &made); err != nil || made.Manifest == "" {
			t.Fatalf("%s: %+v, %v; want the manifest of the code", strings.Join(args, " "), made, err)
		}
		files := sh.attestation(reg, repo, made.Manifest)
		for _, version := range []string{"cosign", "cosign-v3"} {
			registry := func(of, predicateType string, flags []string) []string {
				return append([]string{
					client(t, version), "verify-attestation", repo + "@" + of, "--type", predicateType, "--new-bundle-format", "--allow-http-registry",
				}, flags...)
			}
			alone := func(file, predicateType string, flags []string) []string {
				all := append([]string{client(t, version), "verify-blob-attestation", file, "--bundle", files.bundle, "--type", predicateType}, flags...)
				if version == "cosign" {
					all = append(all, "--new-bundle-format")
				}
				return all
			}
			t.Run("by "+by.name+", verified by "+version, func(t *testing.T) {
				on := *sh
				on.t = t
				wantProvenance(t, on.run(registry(made.Manifest, "slsaprovenance1", by.believe)...), made.Manifest, made.Digest)
				on.fails(registry(made.Manifest, "slsaprovenance1", by.refuse)...)
				on.fails(registry(made.Manifest, "spdxjson", by.believe)...)
				on.fails(registry(p.Digest, "slsaprovenance1", by.believe)...)
				on.run(alone(files.manifest, "slsaprovenance1", by.believe)...)
				on.fails(alone(files.manifest, "slsaprovenance1", by.refuse)...)
				on.fails(alone(files.manifest, "spdxjson", by.believe)...)
				on.fails(alone("module.wasm", "slsaprovenance1", by.believe)...)
			})
		}
	}
}

// wantProvenance wants what cosign prints to be the provenance of code.
func wantProvenance(t *testing.T, out, manifest, code string) {
	t.Helper()
	var line struct{ Payload []byte }
	var statement struct {
		PredicateType string
		Subject       []struct{ Digest map[string]string }
		Predicate     struct {
			BuildDefinition struct{ BuildType string }
			RunDetails      struct {
				Byproducts []struct{ Digest map[string]string }
			}
		}
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&line); err != nil {
		t.Fatalf("cosign verify-attestation printed %s: %v", out, err)
	}
	if err := json.Unmarshal(line.Payload, &statement); err != nil {
		t.Fatalf("cosign verified %s: %v", line.Payload, err)
	}
	made := statement.Predicate.RunDetails.Byproducts
	if statement.PredicateType != attest.TypeProvenance || statement.Predicate.BuildDefinition.BuildType != provenance.BuildType ||
		len(statement.Subject) != 1 || "sha256:"+statement.Subject[0].Digest["sha256"] != manifest ||
		len(made) != 1 || "sha256:"+made[0].Digest["sha256"] != code {
		t.Errorf("cosign verified %s; want %s that %s is the manifest of %s", line.Payload, attest.TypeProvenance, manifest, code)
	}
}

// attestation writes a manifest, and the only bundle that hangs on it, to files.
func (s *shell) attestation(reg registry, repo, digest string) (files struct{ manifest, bundle string }) {
	s.t.Helper()
	base := "http://" + reg.host + "/v2" + strings.TrimPrefix(repo, reg.host)
	get := func(path string, into any) []byte {
		resp, err := http.Get(base + path)
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && into != nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil || resp.StatusCode != http.StatusOK {
			s.t.Fatalf("GET %s%s = %s, %v: %s", base, path, resp.Status, err, body)
		}
		return body
	}
	var index struct{ Manifests []struct{ Digest string } }
	get("/referrers/"+digest, &index)
	if len(index.Manifests) != 1 {
		s.t.Fatalf("%d manifests hang on %s; want the attestation", len(index.Manifests), digest)
	}
	var hung struct {
		Layers []struct{ Digest, MediaType string }
	}
	get("/manifests/"+index.Manifests[0].Digest, &hung)
	if len(hung.Layers) != 1 || hung.Layers[0].MediaType != signing.MediaTypeBundle {
		s.t.Fatalf("on %s hangs %+v; want a bundle", digest, hung)
	}
	name := strings.TrimPrefix(digest, "sha256:")
	files.manifest, files.bundle = s.file(name+".json"), s.file(name+".sigstore.json")
	for file, text := range map[string][]byte{
		files.manifest: get("/manifests/"+digest, nil), files.bundle: get("/blobs/"+hung.Layers[0].Digest, nil),
	} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return files
}
