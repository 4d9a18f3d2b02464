//go:build interop

package interop

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/test/testenv"
)

// Signatures that the notation command makes verify with wpkg and with the server,
// in either envelope, dated or not, and notation finds them here as it does
// elsewhere.
func TestNotation(t *testing.T) {
	bin := client(t, "notation")
	sh := newShell(t)
	// Long before it signs: a timestamp is accurate to a second, and a certificate
	// has to be valid at all of the times that it may stand for.
	sh.run(bin, "cert", "generate-test", "--default", "acme.example")
	made := time.Now()
	stack := startSigstore(t)
	<-time.After(time.Until(made.Add(3 * time.Second)))
	clock := sh.file("tsa.pem")
	if err := os.WriteFile(clock, tsaRoot(t, stack), 0o600); err != nil {
		t.Fatal(err)
	}
	policy := func(name, subject, more string) string {
		t.Helper()
		text := "version: 1\nroots:\n- {notation: notation/localkeys/acme.example.crt}\n- {notation: tsa.pem, store: tsa}\n" +
			"signers: {acme: {notation: \"" + subject + "\"}}\npackages: [{match: '**', rules: [{by: [acme]" + more + "}]}]\n"
		if err := os.WriteFile(sh.file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return sh.file(name)
	}
	const subject = "x509.subject: C=US, ST=WA, O=Notary, CN=acme.example"
	acme, dated := policy("trust.yaml", subject, ""), policy("dated.yaml", subject, ", timestamp: required")
	other := policy("other.yaml", strings.Replace(subject, "O=Notary", "O=Other", 1), "")
	reg := startWreg(t, "--trust-policy", acme, "--signing-attest", "none")
	stamped := []string{"--timestamp-url", stack.TSA, "--timestamp-root-cert", clock}
	tests := []struct {
		name string
		args []string
		time bool
	}{
		{name: "jws", args: []string{"--signature-format", "jws"}},
		{name: "cose", args: []string{"--signature-format", "cose", "--expiry", "24h"}},
		{name: "jws-dated", args: append([]string{"--signature-format", "jws"}, stamped...), time: true},
		{name: "cose-dated", args: append([]string{"--signature-format", "cose"}, stamped...), time: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := reg.ref("notation/" + tt.name)
			p := sh.push(ref + ":1.0.0")
			at := ref + "@" + p.Digest
			wpkg := program(t, "bin", "wpkg")
			if out := sh.fails(wpkg, "verify", "--trust-policy", acme, at); !strings.Contains(out, "nothing is signed") {
				t.Errorf("wpkg verify of what is not signed = %s", out)
			}
			sh.run(append([]string{bin, "sign", "--insecure-registry", at}, tt.args...)...)
			var got struct {
				Allowed bool  `json:"allowed"`
				Refused []any `json:"refused"`
			}
			if out := sh.run(wpkg, "verify", "--trust-policy", acme, "--output", "json", at); json.Unmarshal([]byte(out), &got) != nil || !got.Allowed || len(got.Refused) != 0 {
				t.Errorf("wpkg verify = %s; want it allowed, and nothing refused", out)
			}
			if _, err := sh.try(wpkg, "verify", "--trust-policy", dated, at); (err == nil) != tt.time {
				t.Errorf("wpkg verify where a timestamp is required = %v; dated is %t", err, tt.time)
			}
			contains(t, "wpkg verify by another subject", sh.fails(wpkg, "verify", "--trust-policy", other, at), `O is "Notary", and has to be "Other"`)
			signedBy(t, reg, "notation/"+tt.name, p.Digest)
			contains(t, "notation list", sh.run(bin, "list", "--insecure-registry", at), "application/vnd.cncf.notary.signature")
		})
	}
}

// signedBy waits until the server shows a verified signature of Notation's.
func signedBy(t *testing.T, reg registry, repo, digest string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var page struct {
		Signatures []struct{ Form, Identity string }
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		reg.get(t, "/api/v1/packages/"+strings.ReplaceAll(repo, "/", ":")+"/versions/"+digest+"/signatures", &page)
		for _, s := range page.Signatures {
			if s.Form == "notation" && strings.Contains(s.Identity, "CN=acme.example") {
				return
			}
		}
	}
	t.Errorf("signatures of %s: %+v, want one of Notation's", repo, page.Signatures)
}

// tsaRoot is the root of the timestamp authority in PEM.
func tsaRoot(t *testing.T, s *testenv.Sigstore) []byte {
	t.Helper()
	resp, err := http.Get(s.TSA + "/certchain")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var last *pem.Block
	for {
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		last, rest = block, more
	}
	if last == nil {
		t.Fatalf("%s/certchain has no certificate", s.TSA)
	}
	return pem.EncodeToMemory(last)
}
