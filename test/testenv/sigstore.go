package testenv

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
	"go.yaml.in/yaml/v3"
)

// A Sigstore is an instance of it on the loopback interface: Fulcio with a
// certificate log, Rekor (version 2) and a timestamp authority.
type Sigstore struct {
	Issuer    *Issuer // of people: certificates have their e-mail address
	Workflows *Issuer // of CI jobs, with the claims that GitHub's have: see Workflow

	TrustedRoot   string // file: Sigstore's trusted root, version 0.1
	SigningConfig string // file: Sigstore's signing configuration, version 0.2

	Fulcio, Rekor, TSA string // URLs, of the TSA with its path

	stop []func()
}

// StartSigstore starts one that ends with the test. The folder bin has the
// programs fulcio, rekor-server and timestamp-server. It takes about two seconds.
func StartSigstore(t testing.TB, bin string) *Sigstore {
	t.Helper()
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	people, jobs, ctlog := StartIssuer(t), StartIssuer(t), startCTLog(t)
	jobs.Claims = Workflow("acme/app", "release.yml", "refs/tags/v1.0.0")
	p := Ports(t, 7)
	s := &Sigstore{
		Issuer: people, Workflows: jobs,
		TrustedRoot: filepath.Join(dir, "trusted_root.json"), SigningConfig: filepath.Join(dir, "signing_config.json"),
		Fulcio: local(p[0]), Rekor: local(p[3]), TSA: local(p[6]) + "/api/v1/timestamp",
	}

	log, logKey := newKey(t, filepath.Join(dir, "rekor.pem"))
	rekor := run(t, dir, s.Rekor+"/healthz", filepath.Join(bin, "rekor-server"), "serve",
		"--http-address", "127.0.0.1", "--http-port", p[3], "--grpc-address", "127.0.0.1", "--grpc-port", p[4], "--http-metrics-port", p[5],
		// The origin of checkpoints has to be the host name of the log's URL.
		"--hostname", "127.0.0.1", "--storage-dir", filepath.Join(dir, "log"), "--signer-filepath", logKey,
		"--checkpoint-interval", "200ms", "--batch-max-age", "20ms")
	tsa := run(t, dir, s.TSA+"/certchain", filepath.Join(bin, "timestamp-server"), "serve",
		"--host", "127.0.0.1", "--port", p[6], "--timestamp-signer", "memory", "--disable-ntp-monitoring",
		"--include-chain-in-response") // to who asks for certificates, as Notation does
	config := filepath.Join(dir, "fulcio.yaml")
	write(t, config, yaml.Marshal, fulcioConfig(people.URL, jobs.URL))
	fulcio := run(t, dir, s.Fulcio+"/api/v2/trustBundle", filepath.Join(bin, "fulcio"), "serve",
		"--host", "127.0.0.1", "--port", p[0], "--grpc-host", "127.0.0.1", "--grpc-port", p[1], "--metrics-port", p[2],
		// Each has a name of its own for the socket that Fulcio opens for its own use.
		"--legacy-unix-domain-socket", "@wreg-test-fulcio-"+p[0],
		"--ca", "ephemeralca", "--ct-log-url", ctlog.url, "--config-path", config)

	write(t, s.TrustedRoot, json.Marshal, s.root(t, log, ctlog))
	write(t, s.SigningConfig, json.Marshal, s.config(t))
	s.stop = []func(){fulcio.stop, rekor.stop, tsa.stop, ctlog.server.Close, people.Stop, jobs.Stop}
	return s
}

// Stop ends every service. What was signed has to verify from the trusted root
// alone then.
func (s *Sigstore) Stop() {
	for _, stop := range s.stop {
		stop()
	}
}

// Workflow has the claims of a job of GitHub Actions.
func Workflow(repository, file, ref string) map[string]any {
	owner, _, _ := strings.Cut(repository, "/")
	job := repository + "/.github/workflows/" + file + "@" + ref
	return map[string]any{
		"sub": "repo:" + repository + ":ref:" + ref, "repository": repository, "repository_id": "42", "repository_owner": owner,
		"repository_owner_id": "7", "repository_visibility": "public", "ref": ref, "sha": strings.Repeat("ab", 20), "workflow": "release",
		"workflow_ref": job, "workflow_sha": strings.Repeat("ab", 20), "job_workflow_ref": job, "job_workflow_sha": strings.Repeat("ab", 20),
		"event_name": "push", "run_id": "1001", "run_attempt": "1", "runner_environment": "github-hosted",
	}
}

// Identity is the identity that certificates of a workflow's tokens have.
func Identity(claims map[string]any) string {
	return "https://github.com/" + claims["job_workflow_ref"].(string)
}

// fulcioConfig says which issuers Fulcio believes, and how certificates come of
// their claims; of GitHub's as the public instance does it.
func fulcioConfig(people, jobs string) map[string]any {
	const provider = "github-workflow"
	return map[string]any{
		"oidc-issuers": map[string]any{
			people: map[string]any{"issuer-url": people, "client-id": Audience, "type": "email", "contact": "t@example.com", "description": "people"},
			jobs: map[string]any{
				"issuer-url": jobs, "client-id": Audience, "type": "ci-provider", "ci-provider": provider,
				"contact": "t@example.com", "description": "jobs",
			},
		},
		"ci-issuer-metadata": map[string]any{provider: map[string]any{
			"default-template-values":           map[string]string{"url": "https://github.com"},
			"subject-alternative-name-template": "{{ .url }}/{{ .job_workflow_ref }}",
			"extension-templates": map[string]string{
				"github-workflow-trigger": "event_name", "github-workflow-sha": "sha", "github-workflow-name": "workflow",
				"github-workflow-repository": "repository", "github-workflow-ref": "ref",
				"build-signer-uri": "{{ .url }}/{{ .job_workflow_ref }}", "build-signer-digest": "job_workflow_sha",
				"runner-environment": "runner_environment", "source-repository-uri": "{{ .url }}/{{ .repository }}",
				"source-repository-digest": "sha", "source-repository-ref": "ref", "source-repository-identifier": "repository_id",
				"source-repository-owner-uri": "{{ .url }}/{{ .repository_owner }}", "source-repository-owner-identifier": "repository_owner_id",
				"build-config-uri": "{{ .url }}/{{ .workflow_ref }}", "build-config-digest": "workflow_sha", "build-trigger": "event_name",
				"run-invocation-uri":                      "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
				"source-repository-visibility-at-signing": "repository_visibility",
			},
		}},
	}
}

// root is what there is to believe of the services that run.
func (s *Sigstore) root(t testing.TB, log ed25519.PublicKey, ctlog *ctLog) *root.TrustedRoot {
	t.Helper()
	start := time.Now().Add(-time.Hour)
	authority := s.authority(t)
	clock := s.chain(t, s.TSA+"/certchain")
	_, logID, err := note.KeyHash("127.0.0.1", log)
	if err != nil {
		t.Fatal(err)
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			Root: authority[len(authority)-1], Intermediates: authority[:len(authority)-1], ValidityPeriodStart: start, URI: s.Fulcio,
		}},
		map[string]*root.TransparencyLog{hex.EncodeToString(ctlog.id[:]): {
			BaseURL: ctlog.url, ID: ctlog.id[:], ValidityPeriodStart: start, HashFunc: crypto.SHA256, PublicKey: ctlog.key.Public(),
			SignatureHashFunc: crypto.SHA256,
		}},
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			Root: clock[len(clock)-1], Intermediates: clock[1 : len(clock)-1], Leaf: clock[0], ValidityPeriodStart: start, URI: s.TSA,
		}},
		map[string]*root.TransparencyLog{hex.EncodeToString(logID): {
			BaseURL: s.Rekor, ID: logID, ValidityPeriodStart: start, HashFunc: crypto.SHA256, PublicKey: log, SignatureHashFunc: crypto.SHA512,
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// authority is Fulcio's chain, made anew at each start.
func (s *Sigstore) authority(t testing.TB) []*x509.Certificate {
	t.Helper()
	text, err := get(t.Context(), s.Fulcio+"/api/v2/trustBundle")
	var bundle struct {
		Chains []struct {
			Certificates []string `json:"certificates"`
		} `json:"chains"`
	}
	if err == nil {
		err = json.Unmarshal(text, &bundle)
	}
	if err == nil && len(bundle.Chains) != 1 {
		err = errors.New("Fulcio has no chain: " + string(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return certificates(t, []byte(strings.Join(bundle.Chains[0].Certificates, "\n")))
}

// chain is the certificates in PEM at a URL.
func (s *Sigstore) chain(t testing.TB, url string) []*x509.Certificate {
	t.Helper()
	text, err := get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return certificates(t, text)
}

func certificates(t testing.TB, text []byte) (list []*x509.Certificate) {
	t.Helper()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		t.Fatalf("no certificates in %q", text)
	}
	return list
}

// config says where the services are.
func (s *Sigstore) config(t testing.TB) *root.SigningConfig {
	t.Helper()
	at := func(url string, version uint32) []root.Service {
		return []root.Service{{URL: url, MajorAPIVersion: version, ValidityPeriodStart: time.Now().Add(-time.Hour), Operator: "wreg"}}
	}
	one := root.ServiceConfiguration{Selector: trustroot.ServiceSelector_ANY}
	c, err := root.NewSigningConfig(root.SigningConfigMediaType02, at(s.Fulcio, 1), at(s.Issuer.URL, 1), at(s.Rekor, 2), one, at(s.TSA, 1), one)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func local(port string) string { return "http://127.0.0.1:" + port }

// newKey writes a private key and returns its public one, and the file.
func newKey(t testing.TB, name string) (ed25519.PublicKey, string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return public, name
}

func write(t testing.TB, name string, marshal func(any) ([]byte, error), v any) {
	t.Helper()
	text, err := marshal(v)
	if err == nil {
		err = os.WriteFile(name, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
