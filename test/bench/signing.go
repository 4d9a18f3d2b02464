package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigverify "github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
)

// What is measured of signatures, and the budgets in milliseconds of CPU. The
// signatures are the seeds of signing/verify: bundles of a Sigstore that was made for
// them, with certificate, timestamp, proof of inclusion and SCT, or of a key.
const (
	signingSeeds  = "signing/verify/testdata/seeds"
	signingRuns   = 200 // in this process, of which the mean is one measurement
	keylessBudget = 2.0
	keyBudget     = 0.3
)

// A signingRow is one thing done by one program.
type signingRow struct {
	Operation string  `json:"operation"`
	By        string  `json:"by"`
	CPU       float64 `json:"cpuMilliseconds"`
	Allocs    float64 `json:"allocs"` // -1: not known, of another process
	Budget    float64 `json:"budgetMilliseconds,omitempty"`
}

// signingData is what the operations work on.
type signingData struct {
	subject      digest.Digest
	keyless, key []byte // bundles
	root         *root.TrustedRoot
	public       *key.Public
	verifier     *verify.Verifier
	policy       *trust.Policy
}

func readSigningData() (*signingData, error) {
	d := &signingData{subject: digest.FromString("app")}
	var err error
	if d.keyless, err = seedBundle("keyless.seed.json"); err != nil {
		return nil, err
	}
	if d.key, err = seedBundle("key.seed.json"); err != nil {
		return nil, err
	}
	if d.root, err = root.NewTrustedRootFromPath(filepath.Join(signingSeeds, "trusted_root.json")); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(signingSeeds, "release.pub"))
	if err != nil {
		return nil, err
	}
	if d.public, err = key.ParsePublic(text); err != nil {
		return nil, err
	}
	if d.verifier, err = verify.New(verify.Material{Root: d.root, Keys: []verify.Key{{Name: "release", Public: d.public}}}); err != nil {
		return nil, err
	}
	d.policy, err = trust.Parse([]byte(`version: 1
signers:
  people: {issuer: https://issuer.example.com, identity: "*@example.com", where: 'claims.issuer == "https://issuer.example.com"'}
packages:
- match: [prod/**, team/*/release/**]
  rules: [{name: signed, by: [people, release], where: 'repository.startsWith("prod/")'}]
`), trust.Options{Roots: []root.TrustedMaterial{d.root}, Keys: []verify.Key{{Name: "release", Public: d.public}}})
	return d, err
}

func seedBundle(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(signingSeeds, name))
	if err != nil {
		return nil, err
	}
	var seed struct{ Content []byte }
	if err := json.Unmarshal(text, &seed); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return seed.Content, nil
}

func (d *signingData) found(content []byte) signing.Found {
	return signing.Found{Form: signing.FormBundle, Subject: d.subject, Type: signing.MediaTypeBundle, Content: content}
}

// measureSigning measures signing and verifying, beside sigstore-go and the cosign
// commands on the same bytes.
func measureSigning(ctx context.Context, o options, r *report) error {
	d, err := readSigningData()
	if err != nil {
		return fmt.Errorf("signatures: %w", err)
	}
	operations, err := d.operations(ctx)
	if err != nil {
		return err
	}
	for _, op := range operations {
		best, err := cheapest(max(o.rounds, 1), func() error {
			for range signingRuns {
				if err := op.run(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s by %s: %w", op.Operation, op.By, err)
		}
		op.CPU, op.Allocs = ms(best.CPU)/signingRuns, float64(best.Allocs)/signingRuns
		r.Signing = append(r.Signing, op.signingRow)
	}
	return d.measureCosign(ctx, o, r)
}

// A signingOperation is something that this process does.
type signingOperation struct {
	signingRow
	run func() error
}

func (d *signingData) operations(ctx context.Context) ([]signingOperation, error) {
	verifies := func(content []byte) func() error {
		return func() error {
			_, err := d.verifier.Verify(ctx, d.subject, d.found(content))
			return err
		}
	}
	straightKeyless, err := d.straight(d.keyless, d.root, sigverify.WithoutIdentitiesUnsafe(),
		sigverify.WithSignedCertificateTimestamps(1), sigverify.WithTransparencyLog(1), sigverify.WithObserverTimestamps(1))
	if err != nil {
		return nil, err
	}
	verifier, err := d.public.Verifier()
	if err != nil {
		return nil, err
	}
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	})
	straightKey, err := d.straight(d.key, material, sigverify.WithKey(), sigverify.WithNoObserverTimestamps())
	if err != nil {
		return nil, err
	}
	private, err := key.Generate(key.P256)
	if err != nil {
		return nil, err
	}
	statement := signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("prod/app", d.subject)}, PredicateType: signing.PredicateSignature, Predicate: struct{}{},
	}
	proof, err := d.verifier.Verify(ctx, d.subject, d.found(d.keyless))
	if err != nil {
		return nil, err
	}
	asked := trust.Question{Host: "registry.example.com", Repository: "prod/app", Subject: d.subject, Proofs: []*verify.Proof{proof}}
	return []signingOperation{
		{signingRow{Operation: "verify a certificate's", By: "wreg", Budget: keylessBudget}, verifies(d.keyless)},
		{signingRow{Operation: "verify a certificate's", By: "sigstore-go"}, straightKeyless},
		{signingRow{Operation: "verify a key's", By: "wreg", Budget: keyBudget}, verifies(d.key)},
		{signingRow{Operation: "verify a key's", By: "sigstore-go"}, straightKey},
		{signingRow{Operation: "sign with a key", By: "wreg"}, func() error {
			_, err := signing.Sign(ctx, statement, private)
			return err
		}},
		{signingRow{Operation: "ask a trust policy", By: "wreg"}, func() error {
			result, err := d.policy.Evaluate(ctx, asked)
			if err != nil {
				return err
			}
			return result.Err()
		}},
		// What the stage of ingest does for a manifest on which both hang, without its database.
		{signingRow{Operation: "find and verify both", By: "wreg"}, func() error {
			proofs, _, err := trust.Collect(ctx, d.verifier, d, asked)
			if err == nil && len(proofs) != 2 {
				err = fmt.Errorf("%d proofs", len(proofs))
			}
			return err
		}},
	}, nil
}

// straight verifies a bundle with sigstore-go and nothing of ours.
func (d *signingData) straight(
	content []byte, material root.TrustedMaterial, who sigverify.PolicyOption, options ...sigverify.VerifierOption,
) (func() error, error) {
	v, err := sigverify.NewVerifier(material, options...)
	if err != nil {
		return nil, err
	}
	what, err := hex.DecodeString(d.subject.Encoded())
	if err != nil {
		return nil, err
	}
	return func() error {
		b := &bundle.Bundle{}
		if err := b.UnmarshalJSON(content); err != nil {
			return err
		}
		_, err := v.Verify(b, sigverify.NewPolicy(sigverify.WithArtifactDigest(d.subject.Algorithm().String(), what), who))
		return err
	}, nil
}

// Referrers, Manifest and Blob make it a signing.Source in which both bundles hang
// on subject.
func (d *signingData) Referrers(context.Context, digest.Digest, int) ([]ocispec.Descriptor, error) {
	var list []ocispec.Descriptor
	for _, content := range [][]byte{d.keyless, d.key} {
		text, _, err := d.attached(content)
		if err != nil {
			return nil, err
		}
		list = append(list, ocispec.Descriptor{ArtifactType: signing.MediaTypeBundle, Digest: digest.FromBytes(text), Size: int64(len(text))})
	}
	return list, nil
}

// Manifest implements signing.Source.
func (d *signingData) Manifest(_ context.Context, reference string, _ int64) ([]byte, digest.Digest, error) {
	for _, content := range [][]byte{d.keyless, d.key} {
		text, _, err := d.attached(content)
		if err != nil {
			return nil, "", err
		}
		if of := digest.FromBytes(text); of.String() == reference {
			return text, of, nil
		}
	}
	return nil, "", fmt.Errorf("manifest %s: %w", reference, signing.ErrNotFound)
}

// Blob implements signing.Source.
func (d *signingData) Blob(_ context.Context, of ocispec.Descriptor, _ int64) ([]byte, error) {
	if of.Digest == digest.FromBytes(d.keyless) {
		return d.keyless, nil
	}
	return d.key, nil
}

func (d *signingData) attached(content []byte) ([]byte, ocispec.Descriptor, error) {
	return signing.Attachment(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d.subject, Size: 3}, content, signing.PredicateSignature)
}

// measureCosign has the cosign commands verify the same bundles. Their start is in
// what they take, so it is a row of its own.
func (d *signingData) measureCosign(ctx context.Context, o options, r *report) error {
	dir, err := os.MkdirTemp("", "wreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	keyless, byKey := filepath.Join(dir, "keyless.json"), filepath.Join(dir, "key.json")
	for path, content := range map[string][]byte{keyless: d.keyless, byKey: d.key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	both := []string{
		"verify-blob-attestation", "--new-bundle-format", "--trusted-root", filepath.Join(signingSeeds, "trusted_root.json"),
		"--type", signing.PredicateSignature, "--digest", d.subject.Encoded(), "--digestAlg", d.subject.Algorithm().String(),
	}
	commands := []struct {
		operation string
		args      []string
	}{
		{"start", []string{"version"}},
		{"verify a certificate's", append(both[:len(both):len(both)], "--bundle", keyless, "--use-signed-timestamps",
			"--certificate-identity-regexp", ".*", "--certificate-oidc-issuer", "https://issuer.example.com")},
		{"verify a key's", append(both[:len(both):len(both)], "--bundle", byKey, "--insecure-ignore-tlog",
			"--key", filepath.Join(signingSeeds, "release.pub"))},
	}
	for _, name := range []string{"cosign", "cosign-v3"} {
		program := filepath.Join(filepath.Dir(o.peer), name)
		if _, err := os.Stat(program); err != nil {
			r.note("%s was left out: %v", name, err)
			continue
		}
		for _, c := range commands {
			took, err := cheapestProcess(ctx, max(o.rounds, 1), dir, program, c.args...)
			if err != nil {
				return err
			}
			r.Signing = append(r.Signing, signingRow{Operation: c.operation, By: name, CPU: ms(took), Allocs: -1})
		}
	}
	return nil
}

// cheapestProcess runs a program several times, with an empty home, and gives the
// least CPU that it took.
func cheapestProcess(ctx context.Context, rounds int, home, program string, args ...string) (time.Duration, error) {
	var best time.Duration
	for i := range rounds {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "TUF_ROOT="+home)
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w: %s", cmd, err, out)
		}
		took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if i == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

func (r *report) printSigning(out io.Writer) {
	if len(r.Signing) == 0 {
		return
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "signatures\tby\tCPU ms\tallocs\tbudget\t")
	for _, w := range r.Signing {
		allocs, verdict := "-", ""
		if w.Allocs >= 0 {
			allocs = fmt.Sprintf("%.0f", w.Allocs)
		}
		if w.Budget > 0 {
			verdict = fmt.Sprintf("%.1f ms %s", w.Budget, map[bool]string{true: "met", false: "MISSED"}[w.CPU <= w.Budget])
		}
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%s\t%s\t\n", w.Operation, w.By, w.CPU, allocs, verdict)
	}
	t.Flush()
	fmt.Fprintf(out, "%s\n", b.Bytes())
}
