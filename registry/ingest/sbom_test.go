package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

const typeVEX = "application/vnd.openvex+json"

// rustProgram is what rustc made of a program that calls functions of lz4_flex
// 0.11.6 and time 0.3.41, with the names of its functions.
func rustProgram(tb testing.TB) []byte {
	tb.Helper()
	r, err := gzip.NewReader(bytes.NewReader(readFile(tb, "../../sbom/vuln/reach/testdata/named.wasm.gz")))
	if err != nil {
		tb.Fatal(err)
	}
	file, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// advisory is a record about a crate below a version, and about functions of it.
func advisory(id, crate, fixed string, functions ...string) string {
	names, err := json.Marshal(functions)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"id":%q,"aliases":["CVE-%[1]s"],"modified":"2026-01-01T00:00:00Z",
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
"affected":[{"package":{"ecosystem":"crates.io","name":%q},"ecosystem_specific":{"affects":{"functions":%s}},
"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-0"},{"fixed":%q}]}]}]}`, id, crate, names, fixed)
}

// Advisories about the program: the code that one is about can be reached, that of
// another is not there.
var (
	reachable = advisory("RUSTSEC-0000-0001", "lz4_flex", "0.12.0", "lz4_flex::block::decompress_into")
	elsewhere = advisory("RUSTSEC-0000-0002", "lz4_flex", "0.12.0", "lz4_flex::frame::nothing")
)

// advise has a feed say what records do.
func (e *env) advise(records ...string) {
	e.Helper()
	e.update(func(ctx context.Context, tx meta.Tx) error {
		for _, r := range records {
			a, err := vuln.Parse([]byte(r))
			if err != nil {
				return err
			}
			body, err := json.Marshal(a)
			if err != nil {
				return err
			}
			n := meta.NewAdvisory{Digest: digest.FromString(r), Advisory: meta.Advisory{
				ID: a.ID, Modified: a.Modified, Withdrawn: a.Withdrawn, Aliases: a.Aliases, Body: body,
			}}
			for _, p := range a.Packages() {
				n.Packages = append(n.Packages, meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name})
			}
			if _, err := tx.PutAdvisories(ctx, "feed", []meta.NewAdvisory{n}); err != nil {
				return err
			}
		}
		return nil
	})
}

// matched returns once everything stored was compared with all advisories and what
// follows from that is done.
func (e *env) matched() {
	e.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		revision, err := e.db.AdvisoryRevision(e.Context())
		if err != nil {
			e.Fatal(err)
		}
		matched, err := e.db.MatchedRevision(e.Context())
		if err != nil {
			e.Fatal(err)
		}
		if matched == revision {
			break
		}
		if time.Now().After(deadline) {
			e.Fatalf("advisories are matched to revision %d, want %d", matched, revision)
		}
	}
	e.wait()
}

// derived are the derived referrers of a manifest by their artifact types, with
// their layers read.
func (e *env) derived(repo string, d digest.Digest) map[string][][]byte {
	e.Helper()
	refs, err := e.db.Referrers(e.Context(), repo, d, "", meta.Page{})
	if err != nil {
		e.Fatal(err)
	}
	out := map[string][][]byte{}
	for _, r := range refs {
		if r.Annotations["io.wreg.producer"] != "this-registry" {
			continue
		}
		if out[r.ArtifactType] != nil {
			e.Errorf("there are two derived referrers of type %s", r.ArtifactType)
		}
		bob := e.as("bob")
		var m manifest
		if err := json.Unmarshal(bob.want(bob.get(repo, r.Digest.String()), http.StatusOK).body, &m); err != nil {
			e.Fatal(err)
		}
		for _, l := range m.Layers {
			out[r.ArtifactType] = append(out[r.ArtifactType], bob.want(bob.getBlob(repo, l.Digest), http.StatusOK).body)
		}
	}
	return out
}

func onBothDatabases(t *testing.T, test func(t *testing.T, open func(testing.TB) meta.DB)) {
	for name, open := range map[string]func(testing.TB) meta.DB{"SQLite": openSQLite, "PostgreSQL": openPostgres} {
		t.Run(name, func(t *testing.T) {
			test(t, func(tb testing.TB) meta.DB {
				db := open(tb)
				tb.Cleanup(func() {
					if err := db.Close(); err != nil {
						tb.Errorf("Close() = %v", err)
					}
				})
				return db
			})
		})
	}
}

func TestBillsOfMaterialsAreReferrersThatAreTheSameEachTime(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		once := func() map[string][][]byte {
			e := newEnv(t, setup{db: open(t)})
			alice := e.as("alice")
			m := alice.pack("team/app", layer{typeWasm, rustProgram(t), "app.wasm"})
			m.Annotations = map[string]string{"org.opencontainers.image.version": "1.2.3"}
			r, d := alice.put("team/app", "latest", m)
			alice.want(r, http.StatusCreated)
			e.wait()
			first := e.derived("team/app", d)
			if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
				t.Fatal(err)
			}
			e.wait()
			if diff := cmp.Diff(first, e.derived("team/app", d)); diff != "" {
				t.Errorf("referrers after a second ingestion (-first +second):\n%s", diff)
			}
			return first
		}
		first := once()
		if diff := cmp.Diff(first, once()); diff != "" {
			t.Errorf("referrers in another registry (-first +second):\n%s", diff)
		}
		own, cdx, spd := first[sbom.MediaType], first[cyclonedx.MediaTypeJSON], first[spdx.MediaTypeJSON]
		if len(own) != 2 || len(cdx) != 1 || len(spd) != 1 {
			t.Fatalf("layers of the referrers: %d, %d, %d; want bill and symbols, CycloneDX, SPDX", len(own), len(cdx), len(spd))
		}
		var doc sbom.Document
		if err := json.Unmarshal(own[0], &doc); err != nil || doc.Subject.Name != "" {
			t.Errorf("bill of materials = %+v, %v; want it without a name", doc.Subject, err)
		}
		if _, err := scan.ReadSymbols(own[1]); err != nil {
			t.Errorf("ReadSymbols() = %v", err)
		}
		fromCDX, err := cyclonedx.Read(bytes.NewReader(cdx[0]), cyclonedx.Limits{})
		if err != nil {
			t.Fatalf("Read() of CycloneDX = %v", err)
		}
		fromSPDX, err := spdx.Read(bytes.NewReader(spd[0]), spdx.Limits{})
		if err != nil {
			t.Fatalf("Read() of SPDX = %v", err)
		}
		for form, got := range map[string]*sbom.Document{"CycloneDX": fromCDX, "SPDX": fromSPDX} {
			if got.Subject.Name != "team/app" || got.Subject.Version != "1.2.3" {
				t.Errorf("subject of %s = %q %q, want team/app 1.2.3", form, got.Subject.Name, got.Subject.Version)
			}
			if !slices.Contains(purls(got), "pkg:cargo/time@0.3.41") {
				t.Errorf("components of %s = %v, want time 0.3.41 among them", form, purls(got))
			}
		}
	})
}

func purls(d *sbom.Document) (list []string) {
	for _, c := range d.All() {
		list = append(list, c.PURL())
	}
	return list
}

func TestABillOfMaterialsWhoseBlobIsGoneIsMadeAgain(t *testing.T) {
	blobs := mem.New()
	db := openSQLite(t)
	first := newEnv(t, setup{db: db, blobs: blobs})
	d := first.as("alice").push("team/app", "1.0.0", layer{typeWasm, rustProgram(t), "app.wasm"})
	first.wait()
	first.halt()
	e := newEnv(t, setup{db: db, blobs: blobs, stopped: true}) // it remembers nothing
	files, _, err := e.svc.Files(t.Context(), "team/app", d)
	if err != nil || len(files) != 1 {
		t.Fatalf("Files() = %+v, %v; want one", files, err)
	}
	want, err := e.svc.SBOM(t.Context(), files[0])
	if err != nil || want.Subject.Name != "team/app" {
		t.Fatalf("SBOM() = %v; want one of team/app", err)
	}
	if n := e.svc.Stats().Analyses; n != 0 {
		t.Errorf("%d analyses to read what is kept, want none", n)
	}
	b, err := db.FindBlob(t.Context(), files[0].Bill)
	if err != nil {
		t.Fatal(err)
	}
	if err := blobs.Delete(t.Context(), blob.Key{Digest: b.Digest, Generation: b.Generation}); err != nil {
		t.Fatal(err)
	}
	got, err := e.svc.SBOM(t.Context(), files[0])
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("SBOM() without its blob: %v (-want +got):\n%s", err, diff)
	}
}

// state is what is known of a package.
type state struct {
	Findings []meta.Finding
	Verdict  meta.VerdictState
	Found    []string
}

func (e *env) state(repo string, d digest.Digest, file []byte) state {
	e.Helper()
	fs, err := e.db.FileFindings(e.Context(), digest.FromBytes(file))
	if err != nil {
		e.Fatal(err)
	}
	m, err := e.db.Manifest(e.Context(), repo, d)
	if err != nil {
		e.Fatal(err)
	}
	return state{fs, m.Verdict, e.found("vuln:CVE-RUSTSEC-0000-0001 vuln-reachable:true dep:pkg:cargo/time@0.3.41")}
}

func TestPushThenImportEqualsImportThenPush(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		file := rustProgram(t)
		begin := func() *env {
			e := newEnv(t, setup{db: open(t)})
			e.policy("safe", policyText("safe", "warn"))
			return e
		}
		before := begin()
		before.advise(reachable, elsewhere)
		before.matched()
		d := before.as("alice").push("team/app", "1.0.0", layer{typeWasm, file, "app.wasm"})
		before.wait()
		want := before.state("team/app", d, file)
		if len(want.Findings) != 2 || want.Verdict != meta.VerdictWarn || len(want.Found) != 1 {
			t.Fatalf("after the import and the push: %+v; want two findings, one reachable, a warning and a document", want)
		}
		if want.Findings[0].Reach != meta.ReachReachable || want.Findings[1].Reach == meta.ReachReachable {
			t.Errorf("findings = %+v; want the first to be reachable alone", want.Findings)
		}

		after := begin()
		after.as("alice").push("team/app", "1.0.0", layer{typeWasm, file, "app.wasm"})
		after.wait()
		if got := after.state("team/app", d, file); len(got.Findings) != 0 || got.Verdict != meta.VerdictAllow || got.Found != nil {
			t.Fatalf("before the import: %+v; want nothing found", got)
		}
		analyses := after.svc.Stats().Analyses
		after.advise(reachable, elsewhere)
		after.matched()
		got := after.state("team/app", d, file)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(meta.Finding{}, "FirstSeen")); diff != "" {
			t.Errorf("import then push, and push then import (-want +got):\n%s", diff)
		}
		if n := after.svc.Stats().Analyses; n != analyses {
			t.Errorf("the import had %d blobs analysed again, want none", n-analyses)
		}

		after.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.RemoveAdvisories(ctx, "feed", []string{"RUSTSEC-0000-0001", "RUSTSEC-0000-0002"})
			return err
		})
		after.matched()
		if got := after.state("team/app", d, file); len(got.Findings) != 0 || got.Verdict != meta.VerdictAllow || got.Found != nil {
			t.Errorf("after the feed took its advisories back: %+v; want nothing found", got)
		}
	})
}

// policyText is a policy that lets no code at fault be reached.
func policyText(name, mode string) string {
	return fmt.Sprintf(`name: %s
description: no affected code that can be reached
scope:
  actions: [push, tag, pull]
rules:
  - name: reachable
    mode: %s
    severity: high
    deny: vulnerabilities.vexed().exists(v, v.reachable)
    message: affected code can be reached
`, name, mode)
}

// attach pushes a referrer of d.
func (c *caller) attach(repo string, d digest.Digest, artifactType, text string) digest.Digest {
	c.Helper()
	m := c.pack(repo, layer{artifactType, []byte(text), ""})
	about, err := c.db.Manifest(c.Context(), repo, d)
	if err != nil {
		c.Fatal(err)
	}
	m.ArtifactType = artifactType
	m.Subject = &descriptor{MediaType: typeManifest, Digest: d, Size: len(about.Content)}
	r, sum := c.put(repo, "", m)
	c.want(r, http.StatusCreated)
	return sum
}

func TestAPolicyAboutReachableVulnerabilitiesRefusesAndStops(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		e := newEnv(t, setup{db: open(t)})
		alice, bob := e.as("alice"), e.as("bob")
		file := rustProgram(t)
		e.policy("safe", policyText("safe", "enforce"))
		d := alice.push("team/app", "1.0.0", layer{typeWasm, file, "app.wasm"})
		e.wait()
		bob.want(bob.get("team/app", "1.0.0"), http.StatusOK)

		e.advise(elsewhere)
		e.matched()
		bob.want(bob.get("team/app", "1.0.0"), http.StatusOK)
		e.advise(reachable)
		e.matched()
		alice.refused(bob.get("team/app", "1.0.0"), http.StatusForbidden, "DENIED")
		r, _ := alice.put("team/other", "1.0.0", alice.pack("team/other", layer{typeWasm, file, "app.wasm"}))
		if refusal := alice.refused(r, http.StatusForbidden, "DENIED"); !strings.Contains(refusal.Message, "affected code can be reached") {
			t.Errorf("refusal = %q, want the message of the rule", refusal.Message)
		}

		statement := fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/1","author":"A","version":1,
"timestamp":"2026-01-02T03:04:05Z","statements":[{"vulnerability":{"name":"CVE-RUSTSEC-0000-0001"},
"products":[{"@id":"https://example.com/app","hashes":{"sha-256":%q}}],
"status":"not_affected","justification":"inline_mitigations_already_exist"}]}`, digest.FromBytes(file).Encoded())
		vex := alice.attach("team/app", d, typeVEX, statement)
		e.wait()
		bob.want(bob.get("team/app", "1.0.0"), http.StatusOK)
		if got := e.found("vuln:RUSTSEC-0000-0001"); got != nil {
			t.Errorf("found %v by what the publisher rules out, want nothing", got)
		}
		alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+vex.String(), nil), http.StatusAccepted)
		e.wait()
		alice.refused(bob.get("team/app", "1.0.0"), http.StatusForbidden, "DENIED")
	})
}

func TestWhatAPublisherDeclaresIsScannedToo(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		e := newEnv(t, setup{db: open(t)})
		alice := e.as("alice")
		d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
		e.wait()
		const bill = `{"bomFormat":"CycloneDX","specVersion":"1.6",` +
			`"components":[{"type":"library","name":"time","purl":"pkg:cargo/time@0.1.40"}]}`
		attachment := alice.attach("team/app", d, cyclonedx.MediaTypeJSON, bill)
		e.wait()
		find := func(query string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, e.found(query)); diff != "" {
				t.Errorf("found by %s (-want +got):\n%s", query, diff)
			}
		}
		find("dep:pkg:cargo/time@0.1.40 sbom:publisher", "team/app")
		e.advise(advisory("RUSTSEC-0000-0003", "time", "0.2.0"))
		e.matched()
		find("vuln:RUSTSEC-0000-0003", "team/app")
		fs, err := e.db.FileFindings(t.Context(), digest.FromString(bill))
		if err != nil || len(fs) != 1 || fs[0].Component.Class != "declared" {
			t.Errorf("FileFindings() of the publisher's bill = %+v, %v; want one of class declared", fs, err)
		}
		if got := e.derived("team/app", d); len(got) != 4 {
			t.Errorf("%d derived referrers, want the report and three bills", len(got))
		}
		alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+attachment.String(), nil), http.StatusAccepted)
		e.wait()
		find("vuln:RUSTSEC-0000-0003")
		find("dep:pkg:cargo/time@0.1.40")
	})
}
