//go:build interop

package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/signing/attest"
)

// noRoot is a trusted root with nothing in it: cosign wants one for bundles even if
// a key verifies them.
const noRoot = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`

// A policy that lets everything pass: without one there is nothing to countersign.
const named = "name: names\nmode: warn\nrules:\n- name: named\n  deny: file.path == ''\n  message: it has no name\n"

// What wreg signs with the key of the installation, cosign verifies with its public
// half: the countersignature, the bill of materials, the record of the scan and
// the capabilities. It refuses them by another key, and what nobody attested.
func TestCosignVerifiesWhatTheInstallationAttests(t *testing.T) {
	sh := newShell(t)
	key := sh.file("key.pem")
	sh.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
	sh.run("openssl", "ec", "-in", key, "-pubout", "-out", sh.file("instance.pub"))
	sh.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", sh.file("other.pem"))
	sh.run("openssl", "ec", "-in", sh.file("other.pem"), "-pubout", "-out", sh.file("other.pub"))
	if err := os.WriteFile(sh.file("root.json"), []byte(noRoot), 0o600); err != nil {
		t.Fatal(err)
	}
	data := sh.file("data")
	sh.run(program(t, "bin", "wreg"), "advisories", "import", "--data", data, absolute(t, filepath.Join(top, "test", "data", "osv", "crates.io.zip")))
	reg := startWreg(t, "--data", data, "--signing-key", key)
	policy, err := json.Marshal(map[string]string{"source": named})
	if err != nil {
		t.Fatal(err)
	}
	put(t, reg, "/api/v1/policies/names", policy)
	p := sh.push(reg.ref("team/app:1.0.0"))
	types := []string{attest.TypeSummary, attest.TypeCycloneDX, attest.TypeVuln, attest.TypeCapabilities}
	waitAttested(t, reg, p.Digest, types)
	cosign := func(version, pub, predicateType string) []string {
		return []string{
			client(t, version), "verify-attestation", "--new-bundle-format", "--key", sh.file(pub), "--trusted-root", sh.file("root.json"),
			"--insecure-ignore-tlog=true", "--allow-http-registry", "--type", predicateType, reg.ref("team/app@" + p.Digest),
		}
	}
	for _, version := range []string{"cosign", "cosign-v3"} {
		for _, predicateType := range types {
			t.Run(attest.Name(predicateType)+" by "+version, func(t *testing.T) {
				var line struct{ Payload string }
				out := sh.run(cosign(version, "instance.pub", predicateType)...)
				if err := json.NewDecoder(strings.NewReader(out)).Decode(&line); err != nil {
					t.Fatalf("cosign verify-attestation printed %s: %v", out, err)
				}
				payload, err := base64.StdEncoding.DecodeString(line.Payload)
				if err != nil || !strings.Contains(string(payload), strings.TrimPrefix(p.Digest, "sha256:")) ||
					!strings.Contains(string(payload), predicateType) {
					t.Errorf("cosign verified %s, %v; want %s of %s", payload, err, predicateType, p.Digest)
				}
				sh.fails(cosign(version, "other.pub", predicateType)...)
			})
		}
		sh.fails(cosign(version, "instance.pub", "https://example.org/none")...)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func put(t *testing.T, reg registry, path string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+reg.host+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("PUT %s = %s", path, resp.Status)
	}
}

// waitAttested returns once all predicates hang on a manifest.
func waitAttested(t *testing.T, reg registry, digest string, types []string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var got []string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		resp, err := http.Get("http://" + reg.host + "/v2/team/app/referrers/" + digest)
		if err != nil {
			t.Fatal(err)
		}
		var index struct {
			Manifests []struct{ Annotations map[string]string }
		}
		err = json.NewDecoder(resp.Body).Decode(&index)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, m := range index.Manifests {
			got = append(got, m.Annotations["dev.sigstore.bundle.predicateType"])
		}
		if !slices.ContainsFunc(types, func(s string) bool { return !slices.Contains(got, s) }) {
			return
		}
	}
	t.Fatalf("attested of %s: %q, want %q", digest, got, types)
}
