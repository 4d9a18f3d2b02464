package ingest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

func newKey(tb testing.TB) *key.Private {
	tb.Helper()
	k, err := key.Generate(key.P256)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// trust is what a server trusts, and changes.
type trust struct {
	now atomic.Pointer[ingest.Trusted]
}

func (t *trust) get() ingest.Trusted { return *t.now.Load() }

// set trusts keys by their names.
func (t *trust) set(tb testing.TB, version string, keys map[string]*key.Private) {
	tb.Helper()
	var m verify.Material
	for name, k := range keys {
		m.Keys = append(m.Keys, verify.Key{Name: name, Public: k.Public})
	}
	v, err := verify.New(m)
	if err != nil {
		tb.Fatal(err)
	}
	t.now.Store(&ingest.Trusted{Verifier: v, Version: version})
}

func trusting(tb testing.TB, keys map[string]*key.Private) *trust {
	tb.Helper()
	t := &trust{}
	t.set(tb, "1", keys)
	return t
}

// bundle signs a statement about a manifest.
func bundle(tb testing.TB, k *key.Private, d digest.Digest, predicateType string, predicate any) []byte {
	tb.Helper()
	text, err := signing.Sign(tb.Context(), signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("team/app", d)}, PredicateType: predicateType, Predicate: predicate,
	}, k)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// hang pushes a bundle as a referrer of d, and gives the referrer's digest.
func (c *caller) hang(repo string, d digest.Digest, text []byte) digest.Digest {
	c.Helper()
	about := ocispec.Descriptor{MediaType: typeManifest, Digest: d, Size: 1}
	content, _, err := signing.Attachment(about, text, signing.PredicateSignature)
	if err != nil {
		c.Fatal(err)
	}
	c.pushBlob(repo, []byte("{}"))
	c.pushBlob(repo, text)
	carrier := digest.FromBytes(content)
	c.want(c.do(http.MethodPut, "/v2/"+repo+"/manifests/"+carrier.String(), content, "Content-Type", typeManifest), http.StatusCreated)
	return carrier
}

// sign hangs a signature by k on d.
func (c *caller) sign(repo string, d digest.Digest, k *key.Private) digest.Digest {
	c.Helper()
	return c.hang(repo, d, bundle(c, k, d, signing.PredicateSignature, nil))
}

// signatures says of what is stored of signatures who made each, of what, or why it
// was refused.
func (e *env) signatures(repo string, d digest.Digest) []string {
	e.Helper()
	rows, _, err := e.db.Signatures(e.Context(), repo, d)
	if err != nil {
		e.Fatalf("Signatures() = %v", err)
	}
	var list []string
	for _, r := range rows {
		switch {
		case r.Problem != "":
			list = append(list, "refused: "+r.Problem)
		case r.PredicateType == signing.PredicateSignature:
			list = append(list, r.Form+" by "+r.KeyName)
		default:
			list = append(list, fmt.Sprintf("%s by %s: %s %s", r.Form, r.KeyName, attest.Name(r.PredicateType), r.Predicate))
		}
	}
	slices.Sort(list)
	return list
}

func (e *env) wantSignatures(when, repo string, d digest.Digest, want ...string) {
	e.Helper()
	if diff := cmp.Diff(want, e.signatures(repo, d)); diff != "" {
		e.Errorf("signatures %s (-want +got):\n%s", when, diff)
	}
}

func TestSignaturesAreVerifiedAndKept(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		release, stranger := newKey(t), newKey(t)
		tr := trusting(t, map[string]*key.Private{"release": release})
		e := newEnv(t, setup{db: open(t), options: ingest.Options{Trust: tr.get}})
		alice := e.as("alice")
		m := alice.pack("team/app", layer{typeWasm, module(), "app.wasm"})
		d := digest.FromBytes(m.text(t))
		carrier := alice.sign("team/app", d, release) // before there is anything to sign
		r, _ := alice.put("team/app", "1.0.0", m)
		alice.want(r, http.StatusCreated)
		e.wait()
		e.wantSignatures("after the push", "team/app", d, "bundle by release")
		e.wantFound("after the push", "signed:true signed-by:release", "team/app")

		alice.hang("team/app", d, bundle(t, release, d, "https://example.org/built", map[string]string{"by": "ci"}))
		e.wait()
		e.wantSignatures("with an attestation that came later", "team/app", d,
			`bundle by release`, `bundle by release: https://example.org/built {"by":"ci"}`)
		e.wantFound("with an attestation that came later", "attested:https://example.org/built", "team/app")

		alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+carrier.String(), nil), http.StatusAccepted)
		e.wait()
		e.wantSignatures("without the signature", "team/app", d, `bundle by release: https://example.org/built {"by":"ci"}`)
		e.wantFound("without the signature", "signed:true")
		e.wantFound("without the signature", "signed:false", "team/app")

		alice.sign("team/app", d, stranger)
		e.wait()
		got := e.signatures("team/app", d)
		if len(got) != 2 || !strings.HasPrefix(got[1], "refused: ") || strings.Contains(got[1], "signature refused") {
			t.Errorf("signatures with one of a stranger = %q, want it refused with a reason", got)
		}

		tr.set(t, "2", map[string]*key.Private{"release": release, "friend": stranger})
		e.matchedTrust("team/app", d, "2")
		e.wantSignatures("once the stranger is trusted", "team/app", d,
			"bundle by friend", `bundle by release: https://example.org/built {"by":"ci"}`)
		e.wantFound("once the stranger is trusted", "signed-by:friend", "team/app")
	})
}

// wantFound checks the names of the packages that a search finds.
func (e *env) wantFound(when, query string, want ...string) {
	e.Helper()
	if got := e.found(query); !slices.Equal(got, want) {
		e.Errorf("found by %q %s = %q, want %q", query, when, got, want)
	}
}

// matchedTrust returns once the signatures of d were verified by material of a
// version.
func (e *env) matchedTrust(repo string, d digest.Digest, version string) {
	e.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		_, of, err := e.db.Signatures(e.Context(), repo, d)
		if err != nil {
			e.Fatal(err)
		}
		if of == version {
			e.wait()
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("signatures are of material %s, want %s", of, version)
		}
	}
}

// legacy pushes a signature in cosign's older form by its tag.
func (c *caller) legacy(repo string, d digest.Digest, k *key.Private) digest.Digest {
	c.Helper()
	payload, err := signing.SimpleSigning(repo, d)
	if err != nil {
		c.Fatal(err)
	}
	return c.legacyOf(repo, d, k, payload, payload)
}

// legacyOf is legacy with a signature of one payload beside another.
func (c *caller) legacyOf(repo string, d digest.Digest, k *key.Private, signed, shown []byte) digest.Digest {
	c.Helper()
	sig, _, err := k.SignData(c.Context(), signed)
	if err != nil {
		c.Fatal(err)
	}
	m := c.pack(repo, layer{signing.MediaTypeSimpleSigning, shown, ""})
	m.Layers[0].Annotations = map[string]string{signing.AnnotationSignature: base64.StdEncoding.EncodeToString(sig)}
	r, carrier := c.put(repo, signing.CosignTag(d, ".sig"), m)
	c.want(r, http.StatusCreated)
	return carrier
}

func TestCosignsTagsAreFollowed(t *testing.T) {
	release, stranger := newKey(t), newKey(t)
	e := newEnv(t, setup{options: ingest.Options{Trust: trusting(t, map[string]*key.Private{"release": release}).get}})
	alice := e.as("alice")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, module(), "app.wasm"})
	e.wait()
	e.wantSignatures("at first", "team/app", d)
	alice.legacy("team/app", d, release)
	e.wait()
	e.wantSignatures("once the tag is there", "team/app", d, "cosign by release")
	alice.legacy("team/app", d, stranger)
	e.wait()
	if got := e.signatures("team/app", d); len(got) != 1 || !strings.HasPrefix(got[0], "refused: ") {
		t.Errorf("signatures once the tag moved = %q, want a refused one", got)
	}
	alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+signing.CosignTag(d, ".sig"), nil), http.StatusAccepted)
	e.wait()
	e.wantSignatures("once the tag is gone", "team/app", d)
	carrier := alice.legacy("team/app", d, release)
	e.wait()
	e.wantSignatures("once the tag is back", "team/app", d, "cosign by release")
	alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+carrier.String(), nil), http.StatusAccepted)
	e.wait()
	e.wantSignatures("once the manifest of the tag is gone", "team/app", d)
}

// Nothing is verified twice: not behind the push, not by a second ingestion, and
// not by a server that starts anew.
func TestNothingIsVerifiedTwice(t *testing.T) {
	k := newKey(t)
	tr := trusting(t, map[string]*key.Private{"release": k})
	db, blobs := openSQLite(t), mem.New()
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	var d digest.Digest
	t.Run("one server", func(t *testing.T) {
		e := newEnv(t, setup{db: db, blobs: blobs, options: ingest.Options{Trust: tr.get}})
		alice := e.as("alice")
		d = alice.push("team/app", "1.0.0", layer{typeWasm, module(), "app.wasm"})
		for range 3 {
			alice.sign("team/app", d, k) // the same, since signatures are
		}
		alice.hang("team/app", d, bundle(t, k, d, "https://example.org/built", map[string]string{"by": "ci"}))
		e.wait()
		if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
			t.Fatal(err)
		}
		e.wait()
		if got := e.svc.Stats().Verifications; got != 2 {
			t.Errorf("%d verifications, want 2", got)
		}
	})
	t.Run("the next one", func(t *testing.T) {
		e := newEnv(t, setup{db: db, blobs: blobs, options: ingest.Options{Trust: tr.get}})
		if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
			t.Fatal(err)
		}
		e.wait()
		if got := e.svc.Stats().Verifications; got != 0 {
			t.Errorf("%d verifications, want 0: the proofs are stored", got)
		}
		e.wantSignatures("after a restart", "team/app", d, "bundle by release", `bundle by release: https://example.org/built {"by":"ci"}`)
	})
}

// A bundle that was changed by a byte is there with the reason why it proves
// nothing, and does not hide the one beside it.
func TestATamperedBundleIsRefusedWithItsReason(t *testing.T) {
	k := newKey(t)
	e := newEnv(t, setup{options: ingest.Options{Trust: trusting(t, map[string]*key.Private{"release": k}).get}})
	alice := e.as("alice")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, module(), "app.wasm"})
	other := digest.FromString("other")
	good := bundle(t, k, d, signing.PredicateSignature, nil)
	sig := bytes.Index(good, []byte(`"sig":"`)) + len(`"sig":"`) + 20
	tampered := bytes.Clone(good)
	tampered[sig] ^= 1
	for _, text := range [][]byte{good, tampered, []byte("{"), []byte("\x00\xff"), bundle(t, k, other, signing.PredicateSignature, nil)} {
		alice.hang("team/app", d, text)
	}
	e.wait()
	got := e.signatures("team/app", d)
	if len(got) != 5 || got[0] != "bundle by release" {
		t.Fatalf("signatures = %q, want one by release and four that are refused", got)
	}
	for _, why := range got[1:] {
		if !strings.HasPrefix(why, "refused: ") || len(why) < len("refused: ")+10 {
			t.Errorf("%q is no reason", why)
		}
	}
}

// attestations are what the installation signed of a manifest, by the short names
// of their predicates, verified by the key.
func (e *env) attestations(repo string, d digest.Digest, k *key.Private) map[string][]string {
	e.Helper()
	v, err := verify.New(verify.Material{Keys: []verify.Key{{Name: "instance", Public: k.Public}}})
	if err != nil {
		e.Fatal(err)
	}
	refs, err := e.db.Referrers(e.Context(), repo, d, signing.MediaTypeBundle, meta.Page{})
	if err != nil {
		e.Fatal(err)
	}
	out := map[string][]string{}
	for _, r := range refs {
		if r.Annotations["io.wreg.derived"] == "" {
			continue
		}
		bob := e.as("bob")
		var m manifest
		if err := json.Unmarshal(bob.want(bob.get(repo, r.Digest.String()), http.StatusOK).body, &m); err != nil {
			e.Fatal(err)
		}
		text := bob.want(bob.getBlob(repo, m.Layers[0].Digest), http.StatusOK).body
		p, err := v.Verify(e.Context(), d, signing.Found{Form: signing.FormBundle, Subject: d, Content: text})
		if err != nil {
			e.Fatalf("Verify() of %s = %v", r.Annotations["io.wreg.derived"], err)
		}
		if got := r.Annotations[signing.AnnotationPredicate]; got != p.PredicateType {
			e.Errorf("the annotation of the predicate is %q, want %q", got, p.PredicateType)
		}
		if _, err := attest.Read(p.PredicateType, p.Predicate); err != nil {
			e.Errorf("Read() of %s = %v", p.PredicateType, err)
		}
		name := attest.Name(p.PredicateType)
		out[name] = append(out[name], string(p.Predicate)+" in "+string(m.Layers[0].Digest))
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

func signingWith(k *key.Private, what ...ingest.Attestation) ingest.Options {
	return ingest.Options{Signer: func() signing.Signer { return k }, Attest: what}
}

const warnAll = "name: titles\nmode: warn\nscope: {actions: [push, pull]}\nrules:\n- name: title\n  deny: file.path == ''\n  message: it has no name\n"

func TestTheInstallationAttestsWhatItFound(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		k := newKey(t)
		e := newEnv(t, setup{db: open(t), options: signingWith(k, ingest.Attestations()...)})
		e.policy("titles", warnAll)
		e.advise(reachable)
		alice := e.as("alice")
		d := alice.push("team/app", "1.0.0", layer{typeWasm, rustProgram(t), "app.wasm"}, layer{typeWasm, module(), "other.wasm"})
		e.wait()
		first := e.attestations("team/app", d, k)
		for name, want := range map[string]int{"vsa": 1, "cyclonedx": 2, "vuln": 1, "capabilities": 1} {
			if len(first[name]) != want {
				t.Errorf("%d attestations %s, want %d", len(first[name]), name, want)
			}
		}
		for name, want := range map[string]string{"vsa": "WREG_ADMITTED", "vuln": "RUSTSEC-0000-0001", "capabilities": "app.wasm"} {
			if got := strings.Join(first[name], "\n"); !strings.Contains(got, want) {
				t.Errorf("attestation %s = %.400s, want it to tell of %s", name, got, want)
			}
		}
		if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
			t.Fatal(err)
		}
		e.wait()
		if diff := cmp.Diff(first, e.attestations("team/app", d, k)); diff != "" {
			t.Errorf("attestations after a second ingestion (-first +second):\n%s", diff)
		}

		e.advise(advisory("RUSTSEC-0000-0003", "time", "9.0.0", "time::nothing"))
		e.matched()
		second := e.attestations("team/app", d, k)
		if got := strings.Join(second["vuln"], "\n"); len(second["vuln"]) != 1 || !strings.Contains(got, "RUSTSEC-0000-0003") {
			t.Errorf("record of the scan after a new advisory = %.400s, want one that tells of it", got)
		}
		delete(first, "vuln")
		delete(second, "vuln")
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("the others after a new advisory (-before +after):\n%s", diff)
		}
	})
}

// What policy does not let be served any more loses the summary that says it does.
func TestTheSummaryIsTakenBack(t *testing.T) {
	k := newKey(t)
	e := newEnv(t, setup{options: signingWith(k, ingest.AttestVSA)})
	alice := e.as("alice")
	d := alice.push("team/app", "1.0.0", layer{typeWasm, module(), "app.wasm"})
	e.wait()
	if got := e.attestations("team/app", d, k); len(got) > 0 {
		t.Errorf("attestations without a policy = %v, want none: nothing was verified", got)
	}
	e.policy("titles", warnAll)
	if _, err := e.svc.Reindex(t.Context(), "team/app", d); err != nil {
		t.Fatal(err)
	}
	e.judged("team/app", d)
	if got := e.attestations("team/app", d, k); len(got["vsa"]) != 1 {
		t.Errorf("attestations with a policy = %v, want a summary", got)
	}
	e.policy("none", "name: none\nscope: {actions: [pull]}\nrules:\n- name: none\n  deny: pkg.name != ''\n  message: no\n")
	e.judged("team/app", d)
	if got := e.attestations("team/app", d, k); len(got) > 0 {
		t.Errorf("attestations of what is denied = %v, want none", got)
	}
}

// judged returns once the verdict on d is of the policies of now, and what follows
// from it is done.
func (e *env) judged(repo string, d digest.Digest) {
	e.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(5 * time.Millisecond) {
		revision, err := e.db.PolicyRevision(e.Context())
		if err != nil {
			e.Fatal(err)
		}
		v, err := e.db.Verdict(e.Context(), repo, d)
		if err != nil {
			e.Fatal(err)
		}
		if v.Revision == revision {
			e.wait()
			return
		}
		if time.Now().After(deadline) {
			e.Fatalf("the verdict on %s in %s is of revision %d, want %d", d, repo, v.Revision, revision)
		}
	}
}

// onlySigned is a policy that wants packages signed by a key called release.
func onlySigned(actions string) string {
	return "name: signed\nscope: {actions: [" + actions + "]}\nrules:\n- name: release\n" +
		"  require: pkg.referrer || signatures.exists(s, s.key == 'release')\n  message: the release key has not signed it\n"
}

func TestOnlySignedPackagesAreAdmitted(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		release, stranger := newKey(t), newKey(t)
		tr := trusting(t, map[string]*key.Private{"release": release})
		e := newEnv(t, setup{db: open(t), options: ingest.Options{Trust: tr.get}})
		e.policy("signed", onlySigned("push, tag"))
		alice := e.as("alice")
		m := alice.pack("prod/app", layer{typeWasm, harmless, "app.wasm"})
		d := digest.FromBytes(m.text(t))
		r, _ := alice.put("prod/app", "1.0.0", m)
		got := alice.refused(r, http.StatusForbidden, "DENIED")
		for _, want := range []string{"signed/release", "the release key has not signed it", "wpkg push --sign", "wpkg copy --promote"} {
			if !strings.Contains(got.Message, want) {
				t.Errorf("message %q, want it to say %q", got.Message, want)
			}
		}
		alice.sign("prod/app", d, stranger)
		r, _ = alice.put("prod/app", "1.0.0", m)
		alice.refused(r, http.StatusForbidden, "DENIED")
		alice.sign("prod/app", digest.FromString("other"), release)
		r, _ = alice.put("prod/app", "1.0.0", m)
		alice.refused(r, http.StatusForbidden, "DENIED")
		alice.sign("prod/app", d, release)
		r, _ = alice.put("prod/app", "1.0.0", m)
		alice.want(r, http.StatusCreated)
		e.wait()
		e.as("bob").want(e.as("bob").get("prod/app", "1.0.0"), http.StatusOK)
		if got := e.signatures("prod/app", d); len(got) != 2 || got[0] != "bundle by release" {
			t.Errorf("signatures = %q, want that of release and a refused one", got)
		}
	})
}

// The verdict on what is stored follows signatures and trust, as they come and go.
func TestTheVerdictFollowsSignaturesAndTrust(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, open func(testing.TB) meta.DB) {
		release := newKey(t)
		tr := trusting(t, map[string]*key.Private{"release": release})
		o := signingWith(newKey(t), ingest.AttestVSA)
		o.Trust = tr.get
		e := newEnv(t, setup{db: open(t), options: o})
		alice, bob := e.as("alice"), e.as("bob")
		d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
		e.wait()
		served := func(when string, status, summaries int) {
			t.Helper()
			if got := bob.get("team/app", "1.0.0").status; got != status {
				t.Errorf("pull %s = %d, want %d", when, got, status)
			}
			refs, err := e.db.Referrers(t.Context(), "team/app", d, signing.MediaTypeBundle, meta.Page{})
			if err != nil {
				t.Fatal(err)
			}
			refs = slices.DeleteFunc(refs, func(r meta.Referrer) bool { return r.Annotations["io.wreg.derived"] == "" })
			if len(refs) != summaries {
				t.Errorf("%d summaries %s, want %d", len(refs), when, summaries)
			}
		}
		served("without a policy", http.StatusOK, 0)
		e.policy("signed", onlySigned("pull"))
		e.judged("team/app", d)
		served("of what nobody signed", http.StatusForbidden, 0)
		carrier := alice.sign("team/app", d, release)
		e.wait()
		served("once it is signed", http.StatusOK, 1)
		tr.set(t, "2", nil)
		e.matchedTrust("team/app", d, "2")
		served("once the key is trusted no more", http.StatusForbidden, 0)
		tr.set(t, "3", map[string]*key.Private{"release": release})
		e.matchedTrust("team/app", d, "3")
		served("once the key is trusted again", http.StatusOK, 1)
		alice.want(alice.do(http.MethodDelete, "/v2/team/app/manifests/"+carrier.String(), nil), http.StatusAccepted)
		e.wait()
		served("once the signature is gone", http.StatusForbidden, 0)
	})
}

// The publisher is a key that signed, whatever certificates anybody got for it, and
// attestations are no signatures.
func TestThePublisher(t *testing.T) {
	release := newKey(t)
	named := ingest.Trusted{Publisher: func(_ context.Context, repo string, _ digest.Digest, proofs []*verify.Proof) (string, error) {
		return fmt.Sprintf("%s, of %d", repo, len(proofs)), nil
	}}
	tests := []struct {
		name, predicateType string
		by                  func(context.Context, string, digest.Digest, []*verify.Proof) (string, error)
		want                string
	}{
		{"the key of a signature", signing.PredicateSignature, nil, "release"},
		{"nobody who only attests", "https://example.org/built", nil, ""},
		{"whom the rules say", "https://example.org/built", named.Publisher, "team/app, of 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := trusting(t, map[string]*key.Private{"release": release})
			now := tr.get()
			now.Publisher = tt.by
			tr.now.Store(&now)
			e := newEnv(t, setup{options: ingest.Options{Trust: tr.get}})
			alice := e.as("alice")
			d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
			alice.hang("team/app", d, bundle(t, release, d, tt.predicateType, map[string]string{}))
			e.wait()
			facts, err := e.svc.Facts(t.Context(), "team/app", d, policy.Pull, policy.Needs{Signatures: true})
			if err != nil || len(facts) != 1 || facts[0].Publisher != tt.want {
				t.Errorf("Facts() = %+v, %v; want the publisher %q", facts, err, tt.want)
			}
		})
	}
}

// Wherever it is cut off, in the end everything is verified, attested and judged,
// and nothing twice.
func TestAFaultAtAnyWriteLeavesTheAttestationsWhole(t *testing.T) {
	release, own := newKey(t), newKey(t)
	quick := jobs.Options{Workers: 1, Lease: 300 * time.Millisecond, Poll: 20 * time.Millisecond, Backoff: time.Millisecond}
	for write := 1; ; write++ {
		db := &faultyDB{DB: openSQLite(t)}
		o := signingWith(own, ingest.Attestations()...)
		o.Jobs, o.Trust = quick, trusting(t, map[string]*key.Private{"release": release}).get
		e := newEnv(t, setup{db: db, stopped: true, options: o})
		e.policy("signed", onlySigned("push, tag, pull"))
		alice := e.as("alice")
		m := alice.pack("team/app", layer{typeWasm, harmless, "app.wasm"})
		d := digest.FromBytes(m.text(t))
		alice.sign("team/app", d, release)
		r, _ := alice.put("team/app", "1.0.0", m)
		alice.want(r, http.StatusCreated)
		db.countdown.Store(int64(write))
		e.start()
		e.wait()
		e.halt()
		failed := db.failed.Load()
		t.Run(fmt.Sprintf("write %d", write), func(t *testing.T) {
			again := &env{TB: t, db: e.db, url: e.url, user: e.user}
			again.wantSignatures("in the end", "team/app", d, "bundle by release")
			got := again.attestations("team/app", d, own)
			if len(got["vsa"]) != 1 || len(got["cyclonedx"]) != 1 || len(got["capabilities"]) != 1 {
				t.Errorf("attestations = %v, want one of each", got)
			}
		})
		if t.Failed() || !failed {
			if write < 5 {
				t.Errorf("there are %d writes, want more", write)
			}
			break
		}
	}
}

// Whatever is changed about a signature, it makes nobody the publisher, satisfies no
// rule and is found by no search.
func TestATamperedSignatureCountsForNothing(t *testing.T) {
	release, stranger := newKey(t), newKey(t)
	change := func(text []byte, old, replacement string) []byte {
		changed := bytes.Replace(text, []byte(old), []byte(replacement), 1)
		if bytes.Equal(changed, text) {
			t.Fatalf("%s has no %q", text, old)
		}
		return changed
	}
	tests := []struct {
		name string
		hang func(c *caller, d digest.Digest)
	}{
		{"a byte of the signature", func(c *caller, d digest.Digest) {
			text := bundle(t, release, d, signing.PredicateSignature, nil)
			text[bytes.Index(text, []byte(`"sig":"`))+len(`"sig":"`)+20] ^= 1
			c.hang("team/app", d, text)
		}},
		{"a byte of the statement", func(c *caller, d digest.Digest) {
			text := bundle(t, release, d, signing.PredicateSignature, nil)
			text[bytes.Index(text, []byte(`"payload":"`))+len(`"payload":"`)+30] ^= 1
			c.hang("team/app", d, text)
		}},
		{"another manifest", func(c *caller, d digest.Digest) {
			c.hang("team/app", d, bundle(t, release, digest.FromString("other"), signing.PredicateSignature, nil))
		}},
		{"another key under the hint of the first", func(c *caller, d digest.Digest) {
			text := bundle(t, stranger, d, signing.PredicateSignature, nil)
			c.hang("team/app", d, change(text, stranger.Hint(), release.Hint()))
		}},
		{"cosign's tag of another manifest", func(c *caller, d digest.Digest) {
			payload, err := signing.SimpleSigning("team/app", digest.FromString("other"))
			if err != nil {
				t.Fatal(err)
			}
			c.legacyOf("team/app", d, release, payload, payload)
		}},
		{"cosign's tag with another payload than was signed", func(c *caller, d digest.Digest) {
			signed, err := signing.SimpleSigning("team/app", digest.FromString("other"))
			if err != nil {
				t.Fatal(err)
			}
			shown, err := signing.SimpleSigning("team/app", d)
			if err != nil {
				t.Fatal(err)
			}
			c.legacyOf("team/app", d, release, signed, shown)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t, setup{options: ingest.Options{Trust: trusting(t, map[string]*key.Private{"release": release}).get}})
			alice := e.as("alice")
			d := alice.push("team/app", "1.0.0", layer{typeWasm, harmless, "app.wasm"})
			tt.hang(alice, d)
			e.wait()
			facts, err := e.svc.Facts(t.Context(), "team/app", d, policy.Push, policy.Needs{Signatures: true})
			if err != nil || len(facts) != 1 || facts[0].Publisher != "" || len(facts[0].Signatures) != 0 || len(facts[0].RefusedSignatures) != 1 {
				t.Errorf("Facts() = %+v, %v; want no publisher, no signature and a refused one", facts, err)
			}
			e.wantFound("by signatures", "signed:true")
			e.wantFound("by what is not signed", "signed:false", "team/app")
			e.policy("signed", onlySigned("push, tag, pull"))
			e.judged("team/app", d)
			bob := e.as("bob")
			bob.refused(bob.get("team/app", "1.0.0"), http.StatusForbidden, "DENIED")
			m := alice.pack("team/app", layer{typeWasm, harmless, "app.wasm"})
			r, again := alice.put("team/app", "2.0.0", m)
			if alice.refused(r, http.StatusForbidden, "DENIED"); again != d {
				t.Errorf("pushed %s again, want %s", again, d)
			}
		})
	}
}
