package signingtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	formatslog "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// entry puts a signature into the log: as the second of two entries.
func (s *Sigstore) entry(t testing.TB, p *part) *protorekor.TransparencyLogEntry {
	t.Helper()
	body, version := s.body(t, p)
	e := s.include(t, body, version, p.LogV1)
	if p.LogV1 {
		e.LogIndex = 1001 // over all trees of the log
		e.IntegratedTime = p.LogTime.Unix()
		e.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: s.promise(t, e)}
	}
	return e
}

// include is the proof that the second of two entries has a body.
func (s *Sigstore) include(t testing.TB, body []byte, version *protorekor.KindVersion, v1 bool) *protorekor.TransparencyLogEntry {
	t.Helper()
	sibling := rfc6962.DefaultHasher.HashLeaf([]byte("the entry before"))
	top := rfc6962.DefaultHasher.HashChildren(sibling, rfc6962.DefaultHasher.HashLeaf(body))
	return &protorekor.TransparencyLogEntry{
		LogIndex: 1, LogId: &protocommon.LogId{KeyId: keyID(t, s.log)}, KindVersion: version, CanonicalizedBody: body,
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: 1, TreeSize: 2, RootHash: top, Hashes: [][]byte{sibling},
			Checkpoint: &protorekor.Checkpoint{Envelope: s.Checkpoint(t, 2, top, v1)},
		},
	}
}

// Checkpoint is a signed tree head, as one version of Rekor writes it.
func (s *Sigstore) Checkpoint(t testing.TB, size uint64, top []byte, v1 bool) string {
	t.Helper()
	u, err := url.Parse(LogURL)
	if err != nil {
		t.Fatal(err)
	}
	by, err := signature.LoadECDSASignerVerifier(s.log, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if v1 {
		text, err := util.CreateAndSignCheckpoint(context.Background(), u.Hostname(), 123, size, top, by)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	signer, err := tilesnote.NewNoteSigner(context.Background(), u.Hostname(), by)
	if err != nil {
		t.Fatal(err)
	}
	text, err := note.Sign(&note.Note{Text: string(formatslog.Checkpoint{Origin: u.Hostname(), Size: size, Hash: top}.Marshal())}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// body is the canonical text of an entry: of a hash in version 2, and of a hash or
// an envelope in version 1.
func (s *Sigstore) body(t testing.TB, p *part) ([]byte, *protorekor.KindVersion) {
	t.Helper()
	sum := sha256.Sum256(p.message)
	hash := func(b []byte) map[string]any {
		sum := sha256.Sum256(b)
		return map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
	}
	verifier := base64.StdEncoding.EncodeToString(p.verifier())
	switch {
	case !p.LogV1:
		return s.bodyV2(t, p, sum[:]), hashedVersion()
	case p.payload != nil:
		return []byte(text(t, map[string]any{"apiVersion": "0.0.1", "kind": "dsse", "spec": map[string]any{
			"envelopeHash": hash(p.payload), "payloadHash": hash(p.payload),
			"signatures": []any{map[string]any{"signature": base64.StdEncoding.EncodeToString(p.sig), "verifier": verifier}},
		}})), &protorekor.KindVersion{Kind: "dsse", Version: "0.0.1"}
	default:
		return []byte(text(t, map[string]any{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": map[string]any{
			"data":      map[string]any{"hash": hash(p.message)},
			"signature": map[string]any{"content": p.sig, "publicKey": map[string]any{"content": verifier}},
		}})), &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"}
	}
}

func (s *Sigstore) bodyV2(t testing.TB, p *part, sum []byte) []byte {
	t.Helper()
	verifier := &tilespb.Verifier{}
	var public crypto.PublicKey
	if p.public != nil {
		public = p.public.Key
		raw, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		verifier.Verifier = &tilespb.Verifier_PublicKey{PublicKey: &tilespb.PublicKey{RawBytes: raw}}
	} else {
		public = p.cert.PublicKey
		verifier.Verifier = &tilespb.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: p.cert.Raw}}
	}
	details, err := signature.GetDefaultAlgorithmDetails(public, options.WithED25519ph())
	if err != nil {
		t.Fatal(err)
	}
	verifier.KeyDetails = details.GetSignatureAlgorithm()
	return hashed(t, details.GetProtoHashType(), sum, &tilespb.Signature{Content: p.sig, Verifier: verifier})
}

// hashed is the body of an entry of version 2.
func hashed(t testing.TB, by protocommon.HashAlgorithm, sum []byte, sig *tilespb.Signature) []byte {
	t.Helper()
	entry, err := protojson.Marshal(&tilespb.Entry{
		Kind: "hashedrekord", ApiVersion: "0.0.2",
		Spec: &tilespb.Spec{Spec: &tilespb.Spec_HashedRekordV002{HashedRekordV002: &tilespb.HashedRekordLogEntryV002{
			Data: &protocommon.HashOutput{Algorithm: by, Digest: sum}, Signature: sig,
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsoncanonicalizer.Transform(entry)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func hashedVersion() *protorekor.KindVersion {
	return &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"}
}

// promise is the log's signature of an entry that it is going to include.
func (s *Sigstore) promise(t testing.TB, e *protorekor.TransparencyLogEntry) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"body": e.GetCanonicalizedBody(), "integratedTime": e.GetIntegratedTime(), "logIndex": e.GetLogIndex(),
		"logID": hex.EncodeToString(e.GetLogId().GetKeyId()),
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	sig, err := ecdsa.SignASN1(rand.Reader, s.log, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}
