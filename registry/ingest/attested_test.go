package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/ingest"
	registrytrust "github.com/wreg-project/wreg/registry/trust"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/storage/meta"
)

// timeBill declares the crate time in an old version, and enough beside it to have a
// size in bytes.
func timeBill(size int) json.RawMessage {
	return json.RawMessage(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"properties":[{"name":"pad","value":"` +
		strings.Repeat("x", size) + `"}]},"components":[{"type":"library","name":"time","purl":"pkg:cargo/time@0.1.40"}]}`)
}

// envelope is an attestation in cosign's older form: an envelope under the tag .att.
func (c *caller) envelope(repo string, d digest.Digest, bundle []byte) digest.Digest {
	c.Helper()
	var b struct {
		Envelope json.RawMessage `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		c.Fatal(err)
	}
	r, carrier := c.put(repo, signing.CosignTag(d, ".att"), c.pack(repo, layer{signing.MediaTypeDSSE, b.Envelope, ""}))
	c.want(r, http.StatusCreated)
	return carrier
}

// documents say of what is attached and attested what it is, by whom, and what is
// wrong with it.
func (e *env) documents(repo string, d digest.Digest) (list []string) {
	e.Helper()
	m, err := e.db.Manifest(e.Context(), repo, d)
	if err != nil {
		e.Fatal(err)
	}
	a, err := e.svc.Attachments(e.Context(), m)
	if err != nil {
		e.Fatalf("Attachments() = %v", err)
	}
	say := func(kind string, p attached.Place, problem string) {
		text := kind + " attached"
		if p.Attested {
			text = kind + " attested by " + p.By
		}
		if problem != "" {
			text += " !"
		}
		list = append(list, text)
	}
	for _, s := range a.SBOMs {
		say("sbom", s.Place, s.Problem)
	}
	for _, v := range a.VEX {
		say("vex", v.Place, v.Problem)
	}
	slices.Sort(list)
	return list
}

func (e *env) wantDocuments(when, repo string, d digest.Digest, want ...string) {
	e.Helper()
	if diff := cmp.Diff(want, e.documents(repo, d)); diff != "" {
		e.Errorf("documents %s (-want +got):\n%s", when, diff)
	}
}

// A bill of materials that a trusted key attests counts like one that is attached, in
// both forms and whatever its size; one of a stranger is listed and counts for nothing.
func TestAttestedBillsOfMaterialsCount(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		release, stranger := newKey(t), newKey(t)
		spdx := json.RawMessage(`{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"SPDXRef-1","name":"time","externalRefs":` +
			`[{"referenceType":"purl","referenceLocator":"pkg:cargo/time@0.1.40"}]}]}`)
		tests := []struct {
			name string
			hang func(c *caller, d digest.Digest, k *key.Private) digest.Digest
		}{
			{"CycloneDX", func(c *caller, d digest.Digest, k *key.Private) digest.Digest {
				return c.hang("team/app", d, bundle(c, k, d, attest.TypeCycloneDX, timeBill(1)))
			}},
			{"larger than what is kept of predicates", func(c *caller, d digest.Digest, k *key.Private) digest.Digest {
				return c.hang("team/app", d, bundle(c, k, d, attest.TypeCycloneDX+"/v1.6", timeBill(2*meta.MaxPredicate)))
			}},
			{"SPDX", func(c *caller, d digest.Digest, k *key.Private) digest.Digest {
				return c.hang("team/app", d, bundle(c, k, d, attest.TypeSPDX, spdx))
			}},
			{"cosign's tag", func(c *caller, d digest.Digest, k *key.Private) digest.Digest {
				return c.envelope("team/app", d, bundle(c, k, d, attest.TypeCycloneDX, timeBill(1)))
			}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				tr := trusting(t, map[string]*key.Private{"release": release})
				e := newEnv(t, setup{db: open(t), options: ingest.Options{Trust: tr.get}})
				t.Cleanup(func() {
					if err := e.db.Close(); err != nil {
						t.Error(err)
					}
				})
				alice := e.as("alice")
				d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
				const declared, affected = "dep:pkg:cargo/time@0.1.40 sbom:publisher", "vuln:RUSTSEC-0000-0003"

				refused := tt.hang(alice, d, stranger)
				e.wait()
				e.wantFound("of a stranger", declared)
				e.wantDocuments("of a stranger", "team/app", d, "sbom attested by  !")
				alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+refused.String(), nil), http.StatusAccepted)

				carrier := tt.hang(alice, d, release)
				e.wait()
				e.wantFound("once it is attested", declared, "team/app")
				e.wantDocuments("once it is attested", "team/app", d, "sbom attested by release")
				e.advise(advisory("RUSTSEC-0000-0003", "time", "0.2.0"))
				e.matched()
				e.wantFound("after an advisory", affected, "team/app")

				tr.set(t, "2", nil)
				e.matchedTrust("team/app", d, "2")
				e.wantFound("once the key is trusted no more", affected)
				e.wantDocuments("once the key is trusted no more", "team/app", d, "sbom attested by  !")
				tr.set(t, "3", map[string]*key.Private{"release": release})
				e.matchedTrust("team/app", d, "3")
				e.wantFound("once the key is trusted again", affected, "team/app")
				alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+carrier.String(), nil), http.StatusAccepted)
				e.wait()
				e.wantFound("once it is gone", declared)
				e.wantDocuments("once it is gone", "team/app", d)
			})
		}
	})
}

// What is attested of one package says nothing of another that it is hung on, and
// neither is what a wreg derived, or this one signed, its publisher's word.
func TestOnlyThePublishersOwnAttestationsAreDocuments(t *testing.T) {
	release := newKey(t)
	tr := trusting(t, map[string]*key.Private{"release": release, registrytrust.Instance: newKey(t)})
	e := newEnv(t, setup{options: ingest.Options{Trust: tr.get}})
	alice := e.as("alice")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
	other := alice.push("team/app", "2.0.0", layer{typeWasm, module("a.b"), "app.wasm"})
	alice.hang("team/app", other, bundle(t, release, d, attest.TypeCycloneDX, timeBill(1)))
	alice.hang("team/app", d, bundle(t, release, d, attest.TypeProvenance, map[string]any{}))
	m := alice.pack("team/app", layer{signing.MediaTypeBundle, bundle(t, release, d, attest.TypeCycloneDX, timeBill(1)), ""})
	m.ArtifactType, m.Subject = signing.MediaTypeBundle, &descriptor{MediaType: typeManifest, Digest: d, Size: 1}
	m.Annotations = map[string]string{"io.wreg.derived": "attestation-sbom", "io.wreg.producer": "another"}
	r, _ := alice.put("team/app", "", m)
	alice.want(r, http.StatusCreated)
	e.wait()
	e.wantDocuments("of a package", "team/app", d)
	e.wantDocuments("of another", "team/app", other, "sbom attested by  !")
	e.wantFound("by what is declared", "sbom:publisher")

	own := newKey(t)
	tr.set(t, "2", map[string]*key.Private{registrytrust.Instance: own})
	e.matchedTrust("team/app", d, "2")
	alice.hang("team/app", d, bundle(t, own, d, attest.TypeCycloneDX, timeBill(2)))
	e.wait()
	if got := e.signatures("team/app", d); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "bundle by "+registrytrust.Instance) }) {
		t.Fatalf("signatures = %q, want one by the installation", got)
	}
	e.wantFound("by what the installation signed", "sbom:publisher")
}

// An attested VEX document lifts a finding as an attached one does, and a stranger's
// does not.
func TestAttestedStatementsAreApplied(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		release, stranger := newKey(t), newKey(t)
		tr := trusting(t, map[string]*key.Private{"release": release})
		e := newEnv(t, setup{db: open(t), options: ingest.Options{Trust: tr.get}})
		alice, bob := e.as("alice"), e.as("bob")
		file := rustProgram(t)
		e.advise(reachable)
		e.matched()
		d := alice.push("team/app", "1.0.0", layer{typeWasm, file, "app.wasm"})
		e.wait()
		e.policy("safe", policyText("safe", "enforce"))
		e.judged("team/app", d)
		alice.refused(bob.get("team/app", "1.0.0"), http.StatusForbidden, "DENIED")
		statement := json.RawMessage(fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/1","author":"A",`+
			`"version":1,"timestamp":"2026-01-02T03:04:05Z","statements":[{"vulnerability":{"name":"CVE-RUSTSEC-0000-0001"},`+
			`"products":[{"@id":"https://example.com/app","hashes":{"sha-256":%q}}],"status":"not_affected",`+
			`"justification":"inline_mitigations_already_exist"}]}`, digest.FromBytes(file).Encoded()))
		alice.hang("team/app", d, bundle(t, stranger, d, attest.TypeOpenVEX, statement))
		e.wait()
		alice.refused(bob.get("team/app", "1.0.0"), http.StatusForbidden, "DENIED")
		alice.hang("team/app", d, bundle(t, release, d, attest.TypeOpenVEX+"/v0.2.0", statement))
		e.wait()
		bob.want(bob.get("team/app", "1.0.0"), http.StatusOK)
		e.wantDocuments("in the end", "team/app", d, "vex attested by  !", "vex attested by release")
	})
}

// Attached and attested documents are put together.
func TestAttachedAndAttestedBillsAreMerged(t *testing.T) {
	release := newKey(t)
	e := newEnv(t, setup{options: ingest.Options{Trust: trusting(t, map[string]*key.Private{"release": release}).get}})
	alice := e.as("alice")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
	alice.attach("team/app", d, cyclonedx.MediaTypeJSON,
		`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"serde","purl":"pkg:cargo/serde@1.0.1"}]}`)
	alice.hang("team/app", d, bundle(t, release, d, attest.TypeCycloneDX, timeBill(1)))
	alice.hang("team/app", d, bundle(t, release, d, attest.TypeCycloneDX, json.RawMessage(`{"bomFormat":"none"}`)))
	e.wait()
	e.wantFound("by both", "dep:pkg:cargo/time@0.1.40 dep:pkg:cargo/serde@1.0.1", "team/app")
	e.wantDocuments("of both kinds", "team/app", d, "sbom attached", "sbom attested by release", "sbom attested by release !")
}
