package ingest_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

// attestedKinds are what the installation attests of d, by the short names of the
// predicates.
func (e *env) attestedKinds(repo string, d digest.Digest, k *key.Private) string {
	e.Helper()
	return strings.Join(slices.Sorted(maps.Keys(e.attestations(repo, d, k))), " ")
}

// deleteTag deletes a tag of cosign's older form.
func (c *caller) deleteTag(repo string, d digest.Digest) {
	c.Helper()
	c.want(c.do(http.MethodDelete, "/v2/"+repo+"/manifests/"+signing.CosignTag(d, ".sig"), nil), http.StatusAccepted)
}

// cosign reads signatures by its tags only where no bundle hangs, so that
// attestations make way for them, whatever else has the package looked at again.
func TestAttestationsMakeWayForCosignsTags(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		own, publisher := newKey(t), newKey(t) // nobody told the server of the publisher's key
		e := newEnv(t, setup{db: open(t), options: signingWith(own, ingest.Attestations()...)})
		alice := e.as("alice")
		e.policy("titles", warnAll)
		e.advise(reachable)
		d := alice.push("team/app", "1.0.0", layer{typeWasm, rustProgram(t), "app.wasm"})
		e.wait()
		const all = "capabilities cyclonedx vsa vuln"
		check := func(when, want string) {
			t.Helper()
			if got := e.attestedKinds("team/app", d, own); got != want {
				t.Errorf("attested %s: %q, want %q", when, got, want)
			}
		}
		check("of what nobody signed", all)

		alice.legacy("team/app", d, publisher)
		e.wait()
		check("once it is signed by a tag", "")
		e.advise(advisory("RUSTSEC-0000-0003", "time", "9.0.0", "time::nothing"))
		e.matched()
		check("once it was scanned again", "")
		if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
			t.Fatal(err)
		}
		e.wait()
		check("once it was ingested again", "")

		carrier := alice.sign("team/app", d, publisher)
		e.wait()
		check("once a bundle signs it as well", all)
		alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+carrier.String(), nil), http.StatusAccepted)
		e.wait()
		check("once that bundle is gone", "")
		alice.deleteTag("team/app", d)
		e.wait()
		check("once the tag is gone", all)
	})
}

// A signature that was there before the package has the same effect.
func TestNothingIsAttestedOfWhatATagSignedBeforeThePush(t *testing.T) {
	own := newKey(t)
	e := newEnv(t, setup{options: signingWith(own, ingest.Attestations()...)})
	alice := e.as("alice")
	m := alice.pack("team/app", layer{typeWasm, module(), "app.wasm"})
	d := digest.FromBytes(m.text(t))
	alice.legacy("team/app", d, newKey(t))
	r, _ := alice.put("team/app", "1.0.0", m)
	alice.want(r, http.StatusCreated)
	e.wait()
	if got := e.attestedKinds("team/app", d, own); got != "" {
		t.Errorf("attested of what a tag signs: %q, want nothing", got)
	}
}

// Whoever signs by a tag can verify at once: the attestations go with the push of the
// tag, and not by a job behind it.
func TestAttestationsGoWithThePushOfTheTag(t *testing.T) {
	own := newKey(t)
	tests := []struct {
		name   string
		always bool
		before func(c *caller, d digest.Digest)
		want   string
	}{
		{name: "where nothing else signs", want: ""},
		{
			name: "not beside a bundle of somebody else", want: "capabilities cyclonedx",
			before: func(c *caller, d digest.Digest) { c.sign("team/app", d, newKey(c)) },
		},
		{name: "not where everything is to be attested", always: true, want: "capabilities cyclonedx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shared := setup{db: openSQLite(t), blobs: mem.New(), options: signingWith(own, ingest.Attestations()...)}
			shared.options.AttestTagged = tt.always
			var d digest.Digest
			t.Run("pushed", func(t *testing.T) {
				e := newEnv(t, shared)
				alice := e.as("alice")
				d = alice.push("team/app", "1.0.0", layer{typeWasm, rustProgram(t), "app.wasm"})
				e.wait()
				if tt.before != nil {
					tt.before(alice, d)
					e.wait()
				}
			})
			shared.stopped = true
			e := newEnv(t, shared)
			e.as("alice").legacy("team/app", d, newKey(t))
			if got := e.attestedKinds("team/app", d, own); got != tt.want {
				t.Errorf("attested right after the push of the tag: %q, want %q", got, tt.want)
			}
			e.start()
			e.wait()
			if got := e.attestedKinds("team/app", d, own); got != tt.want {
				t.Errorf("attested after the jobs behind it: %q, want %q", got, tt.want)
			}
			e.halt()
			if err := e.db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that attests nothing any more takes back what an earlier one left and a tag
// would be hidden by, and leaves the rest.
func TestAServerThatAttestsNothingMakesWayToo(t *testing.T) {
	own, db, blobs := newKey(t), openSQLite(t), mem.New()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	var tagged, plain digest.Digest
	t.Run("one that attests", func(t *testing.T) {
		e := newEnv(t, setup{db: db, blobs: blobs, options: signingWith(own, ingest.AttestCapabilities)})
		alice := e.as("alice")
		tagged = alice.push("team/app", "1.0.0", layer{typeWasm, module(), "app.wasm"})
		plain = alice.push("team/app", "2.0.0", layer{typeWasm, module("a.b"), "app.wasm"})
		e.wait()
	})
	t.Run("one that does not", func(t *testing.T) {
		e := newEnv(t, setup{db: db, blobs: blobs})
		e.as("alice").legacy("team/app", tagged, newKey(t))
		e.wait()
		got := map[string]string{"tagged": e.attestedKinds("team/app", tagged, own), "plain": e.attestedKinds("team/app", plain, own)}
		if diff := cmp.Diff(map[string]string{"tagged": "", "plain": "capabilities"}, got); diff != "" {
			t.Errorf("attested (-want +got):\n%s", diff)
		}
	})
}

// Attestations that are missing come with the next scan, and not only with an
// ingestion.
func TestAScanAddsAttestationsThatAreMissing(t *testing.T) {
	own, db, blobs := newKey(t), openSQLite(t), mem.New()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	var d digest.Digest
	t.Run("a server that attests nothing", func(t *testing.T) {
		e := newEnv(t, setup{db: db, blobs: blobs})
		d = e.as("alice").push("team/app", "1.0.0", layer{typeWasm, rustProgram(t), "app.wasm"})
		e.wait()
	})
	t.Run("one that does", func(t *testing.T) {
		e := newEnv(t, setup{db: db, blobs: blobs, options: signingWith(own, ingest.Attestations()...)})
		e.update(func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Enqueue(ctx, meta.NewJob{Kind: ingest.JobScan, Key: "team/app@" + d.String(), Repo: "team/app"})
			return err
		})
		e.wait()
		if got, want := e.attestedKinds("team/app", d, own), "capabilities cyclonedx"; got != want {
			t.Errorf("attested after a scan: %q, want %q", got, want)
		}
	})
}
