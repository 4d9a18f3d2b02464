package metatest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/meta"
)

// signedBy is a signature by a key, as it was verified.
func signedBy(name string) meta.Signature {
	return meta.Signature{
		Carrier: sum("carrier " + name), Layer: sum("bundle " + name), Form: "bundle", PredicateType: "https://sigstore.dev/cosign/sign/v1",
		KeyID: "00ff", KeyName: name, Proof: json.RawMessage(`{"form":"bundle"}`),
	}
}

func (f *fixture) sign(repo, text, material string, all ...meta.Signature) {
	f.Helper()
	f.update(func(ctx context.Context, tx meta.Tx) error {
		return tx.PutSignatures(ctx, repo, sum(text), material, all)
	})
}

// wantSignatures compares what is stored of a manifest.
func (f *fixture) wantSignatures(repo, text, material string, expect ...meta.Signature) {
	f.Helper()
	got, version, err := f.db.Signatures(f.Context(), repo, sum(text))
	want(f, "Signatures("+repo+", "+text+")", got, err, expect)
	want(f, "material of Signatures("+repo+", "+text+")", version, err, material)
}

func (f *fixture) stale(material string, after meta.ManifestKey, limit int) []meta.ManifestKey {
	f.Helper()
	got, err := f.db.StaleSignatures(f.Context(), material, after, limit)
	if err != nil {
		f.Fatalf("StaleSignatures(%s, %v, %d) = %v", material, after, limit, err)
	}
	return got
}

var signatureTests = []test{
	{"signatures come back in their order, with all that is known of them", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("r", "bare"), manifest("other", "m"))
		keyless := meta.Signature{
			Carrier: sum("c"), Layer: sum("l"), Form: "bundle", PredicateType: "https://slsa.dev/provenance/v1",
			Identity: "https://ci.example/release.yml", Issuer: "https://issuer.example", Logged: true, Time: at(3),
			Proof: json.RawMessage(`{"a":1}`), Predicate: json.RawMessage(`{"b":[2]}`), PredicateSize: 9,
		}
		refused := meta.Signature{Form: "cosign", Problem: "no key is trusted"}
		long := signedBy("b")
		long.PredicateSize = meta.MaxPredicate + 1
		f.sign("r", "m", "v1", refused, keyless, long, signedBy("a"))
		f.wantSignatures("r", "m", "v1", refused, keyless, long, signedBy("a"))
		f.wantSignatures("r", "bare", "")
		f.wantSignatures("other", "m", "")
		want(f, "Verified() of a refused one", refused.Verified(), nil, false)
		want(f, "Verified() of another", keyless.Verified(), nil, true)
	}},
	{"signatures replace those before", func(f *fixture) {
		f.put(manifest("r", "m"))
		f.sign("r", "m", "v1", signedBy("a"), signedBy("b"))
		f.sign("r", "m", "v2", signedBy("c"))
		f.wantSignatures("r", "m", "v2", signedBy("c"))
		f.sign("r", "m", "v3")
		f.wantSignatures("r", "m", "")
	}},
	{"signatures of what is not there are not found", func(f *fixture) {
		f.put(manifest("r", "m"))
		_, _, err := f.db.Signatures(f.Context(), "r", sum("none"))
		fails(f, "Signatures() of no manifest", err, meta.ErrNotFound)
		_, _, err = f.db.Signatures(f.Context(), "none", sum("m"))
		fails(f, "Signatures() of no repository", err, meta.ErrRepository)
		f.failing("PutSignatures() of no manifest", meta.ErrNotFound, func(ctx context.Context, tx meta.Tx) error {
			return tx.PutSignatures(ctx, "r", sum("none"), "v1", nil)
		})
	}},
	{"signatures end with their manifest and with its repository", func(f *fixture) {
		f.put(manifest("r", "m"), manifest("s", "m"))
		f.sign("r", "m", "v1", signedBy("a"))
		f.sign("s", "m", "v1", signedBy("a"))
		f.update(func(ctx context.Context, tx meta.Tx) error {
			if _, err := tx.DeleteManifest(ctx, "r", sum("m")); err != nil {
				return err
			}
			return tx.DeleteRepository(ctx, "s")
		})
		want(f, "StaleSignatures(v2)", f.stale("v2", meta.ManifestKey{}, 0), nil, nil)
		f.put(manifest("r", "m"))
		f.wantSignatures("r", "m", "")
	}},
	{"signatures that were verified against other material are listed in order and pages", func(f *fixture) {
		var keys []meta.ManifestKey
		for _, repo := range []string{"a", "a/b", "b"} {
			f.put(manifest(repo, "1"), manifest(repo, "2"), manifest(repo, "new"), manifest(repo, "bare"))
			f.sign(repo, "1", "v1", signedBy("a"), signedBy("b"))
			f.sign(repo, "2", "v3", signedBy("a"))
			f.sign(repo, "new", "v2", signedBy("a"))
			ordered := []digest.Digest{sum("1"), sum("2")}
			if ordered[0] > ordered[1] {
				ordered[0], ordered[1] = ordered[1], ordered[0]
			}
			for _, d := range ordered {
				keys = append(keys, meta.ManifestKey{Repo: repo, Digest: d})
			}
		}
		want(f, "StaleSignatures(v2)", f.stale("v2", meta.ManifestKey{}, 0), nil, keys)
		for i := range keys {
			after := meta.ManifestKey{}
			if i > 0 {
				after = keys[i-1]
			}
			want(f, fmt.Sprint("StaleSignatures(v2), two behind ", i), f.stale("v2", after, 2), nil, keys[i:min(i+2, len(keys))])
		}
	}},
	{"signatures beyond a bound are refused, and nothing of them stays", func(f *fixture) {
		f.put(manifest("r", "m"))
		f.sign("r", "m", "v1", signedBy("a"))
		change := func(edit func(*meta.Signature)) []meta.Signature {
			s := signedBy("b")
			edit(&s)
			return []meta.Signature{signedBy("c"), s}
		}
		for name, all := range map[string][]meta.Signature{
			"too many":     make([]meta.Signature, meta.MaxSignatures+1),
			"a long text":  change(func(s *meta.Signature) { s.Identity = strings.Repeat("x", meta.MaxSignatureText+1) }),
			"a zero byte":  change(func(s *meta.Signature) { s.Problem = "a\x00b" }),
			"no UTF-8":     change(func(s *meta.Signature) { s.KeyName = "\xff" }),
			"a long proof": change(func(s *meta.Signature) { s.Proof = json.RawMessage(`"` + strings.Repeat("x", meta.MaxProof) + `"`) }),
			"a long predicate": change(func(s *meta.Signature) {
				s.Predicate = json.RawMessage(`"` + strings.Repeat("x", meta.MaxPredicate) + `"`)
			}),
			"a proof, no JSON":   change(func(s *meta.Signature) { s.Proof = json.RawMessage("{") }),
			"a predicate, lying": change(func(s *meta.Signature) { s.Predicate = json.RawMessage("}") }),
		} {
			err := f.db.Update(f.Context(), func(ctx context.Context, tx meta.Tx) error {
				return tx.PutSignatures(ctx, "r", sum("m"), "v2", all)
			})
			if err == nil {
				f.Errorf("PutSignatures() with %s = nil, want an error", name)
			}
		}
		f.wantSignatures("r", "m", "v1", signedBy("a"))
	}},
	{"hostile texts of signatures come back as they were", func(f *fixture) {
		f.put(manifest("r", "m"))
		var all []meta.Signature
		for _, text := range hostile {
			if len(text) > meta.MaxSignatureText {
				continue
			}
			s := signedBy(text)
			s.Identity, s.Issuer, s.PredicateType = text, text, text
			all = append(all, s, meta.Signature{Problem: "p" + text})
		}
		f.sign("r", "m", "it's <v>", all...)
		f.wantSignatures("r", "m", "it's <v>", all...)
	}},
	{"signatures are neither journaled nor dumped", func(f *fixture) {
		f.put(manifest("r", "m"))
		before, entries := f.dump(), sequences(f.entries())
		f.sign("r", "m", "v1", signedBy("a"))
		want(f, "sequences", sequences(f.entries()), nil, entries)
		want(f, "Dump()", f.dump(), nil, before)
	}},
}
