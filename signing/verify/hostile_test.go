package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/proto"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/verify"
)

// minutes is a time some minutes from that of the clocks.
func minutes(n int) time.Time { return signingtest.Now.Add(time.Duration(n) * time.Minute) }

// Each of these is refused, for the reason that it is there for.
func TestRefusedCertificates(t *testing.T) {
	const whose = `certificate of "somebody@example.com" by issuer "https://issuer.example.com", good from `
	tests := []struct {
		name    string
		config  signingtest.Config
		sign    signingtest.Signing
		another bool                                                 // Sigstore signs than is trusted
		change  func(s *signingtest.Sigstore, b *protobundle.Bundle) // of what was signed
		want    []string
	}{
		{
			name: "a certificate that had expired",
			sign: signingtest.Signing{Stamped: minutes(10)},
			want: []string{
				whose + "2024-05-01T11:59:00Z until 2024-05-01T12:09:00Z",
				"signed at 2024-05-01T12:10:00Z, after the certificate had expired",
			},
		},
		{
			name: "a certificate that was not valid yet",
			sign: signingtest.Signing{Stamped: minutes(-2)},
			want: []string{whose, "signed at 2024-05-01T11:58:00Z, before the certificate was good"},
		},
		{
			name: "a clock that is a second behind that of the authority",
			sign: signingtest.Signing{NotBefore: signingtest.Now.Add(time.Second)},
			want: []string{"signed at 2024-05-01T12:00:00Z, before the certificate was good"},
		},
		{
			name: "the log's clock before the certificate, whatever a timestamp says",
			sign: signingtest.Signing{LogV1: true, LogTime: minutes(-5)},
			want: []string{"signed at 2024-05-01T11:55:00Z, before the certificate was good"},
		},
		{
			name:   "an intermediate certificate that had expired (CVE-2026-24122)",
			config: signingtest.Config{IntermediateNotAfter: minutes(-60)},
			want:   []string{whose, "at 2024-05-01T12:00:00Z: x509: certificate has expired"},
		},
		{
			name:   "the same in a chain that the bundle brings, without a log",
			config: signingtest.Config{IntermediateNotAfter: minutes(-60), RootOnly: true},
			sign:   signingtest.Signing{Chain: true, NoLog: true},
			want:   []string{"at 2024-05-01T12:00:00Z: x509: certificate has expired"},
		},
		{
			name:   "an authority that had retired",
			config: signingtest.Config{AuthorityUntil: minutes(-1)},
			want:   []string{whose, "at 2024-05-01T12:00:00Z: certificate is no longer valid"},
		},
		{
			name:   "a timestamp authority that had retired",
			config: signingtest.Config{StamperUntil: minutes(-1)},
			want:   []string{"timestamp is after the validity period end", "no trusted clock says when it was signed"},
		},
		{
			name: "a timestamp that nests deep",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				stampOf(b).SignedTimestamp = bytes.Repeat([]byte{0x30, 0x80}, 16<<10)
			},
			want: []string{"no trusted clock says when it was signed"},
		},
		{
			name:    "a root that is not trusted",
			another: true, sign: signingtest.Signing{LogV1: true},
			want: []string{whose, "no trusted clock says when it was signed"},
		},
		{
			name: "an authority that is not trusted, with trusted clocks and logs",
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				other := signingtest.New(t, signingtest.Config{}).Bundle(t, signingtest.Signing{NoLog: true}, b.GetDsseEnvelope().GetPayload())
				b.Content, b.GetVerificationMaterial().Content = other.Content, other.GetVerificationMaterial().Content
				b.GetVerificationMaterial().TlogEntries = nil
				stampOf(b).SignedTimestamp = s.Stamp(t, b.GetDsseEnvelope().GetSignatures()[0].GetSig(), signingtest.Now)
			},
			want: []string{whose, "at 2024-05-01T12:00:00Z: x509: certificate signed by unknown authority"},
		},
		{
			name: "no timestamp, and version 2 of the log, which has no clock",
			sign: signingtest.Signing{NoStamp: true},
			want: []string{whose, "no trusted clock says when it was signed"},
		},
		{
			name: "no timestamp and no log",
			sign: signingtest.Signing{NoStamp: true, NoLog: true},
			want: []string{whose, "no trusted clock says when it was signed"},
		},
		{
			name:   "a time that version 1 of the log did not sign",
			sign:   signingtest.Signing{NoStamp: true, LogV1: true},
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { entryOf(b).InclusionPromise = nil },
			want:   []string{"no trusted clock says when it was signed"},
		},
		{
			name: "a time that version 2 of the log never signs",
			sign: signingtest.Signing{NoStamp: true},
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				entryOf(b).IntegratedTime = signingtest.Now.Unix()
			},
			want: []string{"no trusted clock says when it was signed"},
		},
		{
			name: "a forged timestamp", sign: signingtest.Signing{ForgeStamp: true},
			want: []string{whose, "no trusted clock says when it was signed"},
		},
		{
			name: "a timestamp of another signature",
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				stampOf(b).SignedTimestamp = s.Stamp(t, []byte("another"), signingtest.Now)
			},
			want: []string{"hashed messages don't match"},
		},
		{
			name:   "a forged promise",
			sign:   signingtest.Signing{LogV1: true, NoStamp: true},
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { entryOf(b).IntegratedTime++ },
			want:   []string{"not enough verified log entries"},
		},
		{
			name: "a forged promise, in spite of a timestamp", sign: signingtest.Signing{LogV1: true},
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				entryOf(b).InclusionPromise.SignedEntryTimestamp[8] ^= 1
			},
			want: []string{"not enough verified log entries"},
		},
		{
			name:   "a forged proof of inclusion",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { entryOf(b).InclusionProof.Hashes[0][0] ^= 1 },
			want:   []string{"verifying inclusion"},
		},
		{
			name:   "a proof of inclusion at another index",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { entryOf(b).LogIndex = 0 },
			want:   []string{"verifying inclusion"},
		},
		{
			name: "a proof of inclusion in version 1 in a tree of another size", sign: signingtest.Signing{LogV1: true},
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { entryOf(b).InclusionProof.TreeSize = 3 },
			want:   []string{"a tree of 3 entries, and the log signed one of 2"},
		},
		{
			name: "a forged checkpoint",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				entryOf(b).InclusionProof.Checkpoint.Envelope = signingtest.New(t, signingtest.Config{}).
					Checkpoint(t, 2, entryOf(b).InclusionProof.RootHash, false)
			},
			want: []string{"unverified checkpoint signature"},
		},
		{
			name: "an entry of version 2 with a checkpoint of version 1, whose comparison would be skipped",
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				entryOf(b).InclusionProof.Checkpoint.Envelope = s.Checkpoint(t, 2, entryOf(b).InclusionProof.RootHash, true)
			},
			want: []string{"an entry of Rekor's version 2 with a checkpoint of version 1"},
		},
		{
			name: "the log entry of another signature",
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				other := s.Bundle(t, signingtest.Signing{}, b.GetDsseEnvelope().GetPayload())
				b.GetVerificationMaterial().TlogEntries = other.GetVerificationMaterial().GetTlogEntries()
			},
			want: []string{"verifying log entry"},
		},
		{
			name: "the log entry of another signature in version 1", sign: signingtest.Signing{LogV1: true},
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				other := s.Bundle(t, signingtest.Signing{LogV1: true}, b.GetDsseEnvelope().GetPayload())
				b.GetVerificationMaterial().TlogEntries = other.GetVerificationMaterial().GetTlogEntries()
			},
			want: []string{"transparency log signature does not match"},
		},
		{
			name: "an entry twice, of which one is forged", sign: signingtest.Signing{LogV1: true},
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				forged := proto.Clone(entryOf(b)).(*protorekor.TransparencyLogEntry)
				forged.LogIndex = 7
				b.GetVerificationMaterial().TlogEntries = append([]*protorekor.TransparencyLogEntry{forged}, entryOf(b))
			},
			want: []string{"two entries of log"},
		},
		{
			name:   "a log whose key was no longer good",
			config: signingtest.Config{LogUntil: minutes(-30)},
			want: []string{
				"the key of log https://rekor.example.com is good from", "until 2024-05-01T11:30:00Z, and it was signed at 2024-05-01T12:00:00Z",
			},
		},
		{
			name:   "a log of version 1 whose key was no longer good",
			config: signingtest.Config{LogUntil: minutes(-30)}, sign: signingtest.Signing{LogV1: true, NoStamp: true},
			want: []string{"not enough verified log entries"},
		},
		{
			name: "no certificate transparency", sign: signingtest.Signing{NoSCT: true},
			want: []string{"signed certificate timestamp"},
		},
		{
			name: "forged certificate transparency", sign: signingtest.Signing{ForgeSCT: true},
			want: []string{"only able to verify 0 SCT entries"},
		},
		{
			name: "an intermediate certificate that is of no authority",
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				leaf := b.GetVerificationMaterial().GetCertificate()
				b.GetVerificationMaterial().Content = &protobundle.VerificationMaterial_X509CertificateChain{
					X509CertificateChain: &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{leaf, leaf}},
				}
			},
			want: []string{"certificate 1 of the chain", "is of no authority"},
		},
		{
			name: "a signature that is not the certificate's",
			change: func(s *signingtest.Sigstore, b *protobundle.Bundle) {
				other := s.Bundle(t, signingtest.Signing{NoLog: true}, b.GetDsseEnvelope().GetPayload())
				b.GetVerificationMaterial().Content = other.GetVerificationMaterial().Content
				b.GetVerificationMaterial().TlogEntries = nil
			},
			want: []string{"failed to verify signature"},
		},
		{
			name: "two signatures",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				e := b.GetDsseEnvelope()
				e.Signatures = append(e.Signatures, &protodsse.Signature{Sig: []byte("more")})
			},
			want: []string{"the envelope has 2 signatures, and one was expected"},
		},
		{
			name:   "no signature",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { b.GetDsseEnvelope().Signatures = nil },
			want:   []string{"the envelope has 0 signatures, and one was expected"},
		},
		{
			name:   "a payload of another type",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { b.GetDsseEnvelope().PayloadType = "text/plain" },
			want:   []string{`it signs a payload of type "text/plain", and application/vnd.in-toto+json was expected`},
		},
		{
			name: "a signature of bytes, not of a statement",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
					MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: make([]byte, 32)},
					Signature:     []byte("sig"),
				}}
			},
			want: []string{"it signs bytes, and a statement about the manifest was expected"},
		},
		{
			name:   "neither a certificate nor a key",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) { b.GetVerificationMaterial().Content = nil },
			want:   []string{"missing verification material"},
		},
		{
			name: "a version that is not known",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				b.MediaType = "application/vnd.dev.sigstore.bundle.v0.9+json"
			},
			want: []string{"bundle version v0.9 is not yet supported"},
		},
		{
			name: "more log entries than are read",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				for range 8 {
					b.GetVerificationMaterial().TlogEntries = append(b.GetVerificationMaterial().TlogEntries, entryOf(b))
				}
			},
			want: []string{"9 log entries; at most 8 are read"},
		},
		{
			name: "a timestamp that is too large",
			change: func(_ *signingtest.Sigstore, b *protobundle.Bundle) {
				stampOf(b).SignedTimestamp = make([]byte, 1<<20)
			},
			want: []string{"1048576 bytes of timestamp; at most 32768 are read"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := signingtest.New(t, tt.config)
			v := newVerifier(t, s.Root(t))
			if tt.another {
				v = newVerifier(t, signingtest.New(t, signingtest.Config{}).Root(t))
			}
			b := s.Bundle(t, tt.sign, signingtest.Statement(t, app, signing.PredicateSignature, struct{}{}))
			if tt.change != nil {
				tt.change(s, b)
			}
			refuses(t, v, app, signingtest.Found(t, app, b), tt.want...)
		})
	}
}

func entryOf(b *protobundle.Bundle) *protorekor.TransparencyLogEntry {
	return b.GetVerificationMaterial().GetTlogEntries()[0]
}

func stampOf(b *protobundle.Bundle) *protocommon.RFC3161SignedTimestamp {
	return b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()[0]
}

// refuses checks that there is no proof, and that the error says why.
func refuses(t *testing.T, v *verify.Verifier, d digest.Digest, f signing.Found, want ...string) {
	t.Helper()
	p, err := v.Verify(t.Context(), d, f)
	if p != nil || !errors.Is(err, verify.ErrRefused) {
		t.Fatalf("Verify = %+v, %v; want ErrRefused", p, err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Verify = %v\nwant it to say %q", err, w)
		}
	}
}

// Statements are signed by whom they are trusted, and still have to be right.
func TestStatements(t *testing.T) {
	sum := app.Encoded()
	other := digest.FromString("other")
	wide := digest.SHA512.FromString("app")
	tests := []struct {
		name      string
		about     digest.Digest // zero: app
		statement string
		want      string // of the error
	}{
		{
			name:      "one of version 0.1",
			statement: `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":"` + sum + `"}}],"predicateType":"p"}`,
		},
		{
			name: "the manifest among others, with several digests",
			statement: `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p",` +
				`"subject":[{"digest":{"sha1":"x"}},{"digest":{"sha512":"00","sha256":"` + sum + `"}}]}`,
			want: "unable to decode subject digest", // sigstore-go reads them all as hexadecimal
		},
		{
			name: "the manifest among others",
			statement: `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p",` +
				`"subject":[{"digest":{"sha1":"ab"}},{"digest":{"sha512":"00","sha256":"` + sum + `"}}]}`,
		},
		{
			name: "a manifest by SHA-512", about: wide,
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha512":"` + wide.Encoded() + `"}}],"predicateType":"p"}`,
		},
		{
			name: "a manifest by SHA-512 that is signed by SHA-256", about: wide,
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + sum + `"}}],"predicateType":"p"}`,
			want:      `it is about 1 other things ("without one of sha512"), and sha512:`,
		},
		{
			name: "a digest under another algorithm's name", about: app,
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha512":"` + sum + `"}}],"predicateType":"p"}`,
			want:      "without one of sha256",
		},
		{
			name: "one about another manifest, replayed", about: other,
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + sum + `"}}],"predicateType":"p"}`,
			want:      `it is about 1 other things ("` + sum + `"), and ` + other.String() + " was expected",
		},
		{
			name: "one about nothing", statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"p"}`,
			want: "it is about 0 other things",
		},
		{
			name: "one without subject", statement: `{"_type":"https://in-toto.io/Statement/v1","predicateType":"p"}`,
			want: "subjects of the statement",
		},
		{
			name:      "another type of statement",
			statement: `{"_type":"https://in-toto.io/Link/v1","subject":[{"digest":{"sha256":"` + sum + `"}}],"predicateType":"p"}`,
			want:      `the statement is of type "https://in-toto.io/Link/v1", and https://in-toto.io/Statement/v1 was expected`,
		},
		{
			name:      "no type of predicate",
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + sum + `"}}]}`,
			want:      "the statement has no predicateType",
		},
		{
			name: "a predicate that nests deep",
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + sum + `"}}],` +
				`"predicateType":"p","predicate":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
			want: "the JSON nests deeper than 128 at byte",
		},
		{
			name: "more subjects than are read",
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + sum + `"}}` + strings.Repeat(",{}", 1024) +
				`],"predicateType":"p"}`,
			want: "1025 subjects; at most 1024 are read",
		},
		{
			name:      "subjects without end",
			statement: `{"_type":"https://in-toto.io/Statement/v1","subject":[{}` + strings.Repeat(",{}", 200_000) + `],"predicateType":"p"}`,
			want:      "subjects of 600004 bytes; at most 262144 are read",
		},
		{name: "no JSON", statement: `<html>`, want: "statement: invalid character"},
	}
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	v := newVerifier(t, s.Root(t), verify.Key{Name: "release", Public: k.Public})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.about == "" {
				tt.about = app
			}
			for _, g := range []signingtest.Signing{{}, {Key: k}} {
				f := signingtest.Found(t, tt.about, s.Bundle(t, g, []byte(tt.statement)))
				// What the manifest says of its layer is not believed.
				f.Annotations = map[string]string{signing.AnnotationPredicate: "https://slsa.dev/provenance/v1"}
				if tt.want != "" {
					refuses(t, v, tt.about, f, tt.want)
					continue
				}
				if p, err := v.Verify(t.Context(), tt.about, f); err != nil || p.PredicateType != "p" {
					t.Errorf("Verify = %+v, %v; want a proof of type p", p, err)
				}
			}
		})
	}
}

// A signature by the wrong person is a proof, of that person.
func TestProofsNameWhoSigned(t *testing.T) {
	s := signingtest.New(t, signingtest.Config{})
	v := newVerifier(t, s.Root(t))
	for _, g := range []signingtest.Signing{
		{Identity: "mallory@example.com"},
		{Issuer: "https://other.example.com"},
		{Identity: "https://github.com/mallory/app/.github/workflows/release.yml@refs/heads/main"},
	} {
		p, err := v.Verify(t.Context(), app, s.Sign(t, g, app))
		if err != nil {
			t.Fatalf("Verify of %+v = %v", g, err)
		}
		if c := p.Certificate; g.Identity != "" && c.Identity != g.Identity || g.Issuer != "" && c.Issuer != g.Issuer {
			t.Errorf("Verify of %+v = %s by %s", g, c.Identity, c.Issuer)
		}
	}
}

func TestRefusedCosignForms(t *testing.T) {
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	expired := signingtest.New(t, signingtest.Config{IntermediateNotAfter: minutes(-60), RootOnly: true})
	v := newVerifier(t, s.Root(t), verify.Key{Name: "release", Public: k.Public})
	annotate := func(name, value string) func(*signing.Found) {
		return func(f *signing.Found) { f.Annotations[name] = value }
	}
	sign := func(payload string) func(*signing.Found) {
		return func(f *signing.Found) { *f = keySigned(t, k, app, payload) }
	}
	tests := []struct {
		name   string
		v      *verify.Verifier
		s      *signingtest.Sigstore
		sign   signingtest.Signing
		change func(f *signing.Found)
		want   string
	}{
		{
			name: "an expired intermediate certificate and no log (CVE-2026-24122)", v: newVerifier(t, expired.Root(t)), s: expired,
			sign: signingtest.Signing{NoLog: true}, want: "at 2024-05-01T12:00:00Z: x509: certificate has expired",
		},
		{
			name: "neither log nor timestamp", sign: signingtest.Signing{NoLog: true, NoStamp: true},
			want: "no trusted clock says when it was signed",
		},
		{
			name:   "a payload of another type",
			change: sign(`{"critical":{"image":{"docker-manifest-digest":"` + app.String() + `"},"type":"atomic container signature"}}`),
			want:   `its payload is of type "atomic container signature"`,
		},
		{
			name:   "a payload about another manifest",
			change: sign(`{"critical":{"image":{"docker-manifest-digest":"sha256:00"},"type":"cosign container image signature"}}`),
			want:   `it is about "sha256:00", and ` + app.String() + " was expected",
		},
		{name: "no signature", change: annotate("dev.cosignproject.cosign/signature", ""), want: "it has no signature"},
		{name: "a signature that is no base64", change: annotate("dev.cosignproject.cosign/signature", "#"), want: "illegal base64"},
		{name: "a certificate that is none", change: annotate("dev.sigstore.cosign/certificate", "hello"), want: "has no certificate in PEM"},
		{
			name: "a log entry that is none", change: annotate("dev.sigstore.cosign/bundle", "hello"),
			want: "dev.sigstore.cosign/bundle: invalid character",
		},
		{name: "a timestamp that is none", change: annotate("dev.sigstore.cosign/rfc3161timestamp", "{}"), want: "has no timestamp"},
		{
			name: "a chain without end", change: annotate("dev.sigstore.cosign/chain", strings.Repeat("x", 1<<20)),
			want: "dev.sigstore.cosign/chain has 1048576 bytes; at most 262144 are read",
		},
		{
			name: "a long chain", change: func(f *signing.Found) {
				f.Annotations["dev.sigstore.cosign/chain"] = strings.Repeat(f.Annotations["dev.sigstore.cosign/certificate"], 9)
			},
			want: "9 certificates; at most 8 are read",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.s == nil {
				tt.v, tt.s = v, s
			}
			f := tt.s.CosignSignature(t, tt.sign, app)
			if tt.change != nil {
				tt.change(&f)
			}
			refuses(t, tt.v, app, f, tt.want)
		})
	}
}

// Nothing but a signature of the right kind is looked at.
func TestRefusedInput(t *testing.T) {
	s := signingtest.New(t, signingtest.Config{})
	v := newVerifier(t, s.Root(t))
	good := s.Sign(t, signingtest.Signing{}, app)
	many := `[{}` + strings.Repeat(",{}", 2_000_000) + `]`
	entries := `{"mediaType":"` + signing.MediaTypeBundle + `","verificationMaterial":{"tlogEntries":` + many + `}}`
	deep := strings.Repeat(`{"a":`, 100_000)
	tests := []struct {
		name string
		f    signing.Found
		d    digest.Digest
		want string
	}{
		{name: "nothing", f: signing.Found{Form: signing.FormBundle}, want: "the bundle cannot be read"},
		{name: "a form that is not known", f: signing.Found{Form: "gpg"}, want: `signatures of the form "gpg" are not verified`},
		{name: "what could not be read", f: signing.Found{Form: signing.FormBundle, Problem: "no such blob"}, want: "no such blob"},
		{name: "a digest that is none", f: good, d: "app", want: `no digest: "app"`},
		{name: "a digest cut short", f: good, d: "sha256:00", want: `no digest: "sha256:00"`},
		{
			name: "a huge bundle", f: signing.Found{Form: signing.FormBundle, Content: make([]byte, signing.MaxBundle+1)},
			want: fmt.Sprintf("it has %d bytes, and at most %d are read", signing.MaxBundle+1, signing.MaxBundle),
		},
		{
			name: "a bundle of many small things", f: signing.Found{Form: signing.FormBundle, Content: []byte(entries)},
			want: "the JSON has more than 4096 values at byte",
		},
		{
			name: "a bundle that nests deep", f: signing.Found{Form: signing.FormBundle, Content: []byte(deep)},
			want: "the JSON nests deeper than 128 at byte",
		},
		{
			name: "a payload that nests deep",
			f:    signing.Found{Form: signing.FormCosign, Type: signing.MediaTypeSimpleSigning, Content: []byte(deep)},
			want: "the JSON nests deeper than 128 at byte",
		},
		{
			name: "an envelope of many small things",
			f:    signing.Found{Form: signing.FormCosign, Type: signing.MediaTypeDSSE, Content: []byte(`{"signatures":` + many + `}`)},
			want: "the JSON has more than 4096 values at byte",
		},
		{
			name: "an envelope that is none", f: signing.Found{Form: signing.FormCosign, Type: signing.MediaTypeDSSE, Content: []byte(`{}`)},
			want: `it signs a payload of type ""`,
		},
		{name: "a bundle of a key, with no key trusted", f: signed(t, generate(t, key.P256), app), want: "and no key is trusted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.d == "" {
				tt.d = app
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			refuses(t, v, tt.d, tt.f, tt.want)
			runtime.ReadMemStats(&after)
			if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<20); got > limit {
				t.Errorf("Verify allocates %d bytes for %d, want at most %d", got, len(tt.f.Content), limit)
			}
		})
	}
	refuses(t, newVerifier(t, nil), app, good, "no trusted root has authorities")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, app, good); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify with an ended context = %v, want its error", err)
	}
}

// samples are a signature of each kind, and who believes it.
func samples(t testing.TB) (*verify.Verifier, map[string]signing.Found) {
	t.Helper()
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	statement := signingtest.Statement(t, app, "https://example.com/predicate", map[string]any{"built": "here"})
	plain := signingtest.Signing{Key: k, NoLog: true, NoStamp: true}
	return newVerifier(t, s.Root(t), verify.Key{Name: "release", Public: k.Public}), map[string]signing.Found{
		"key":                  signingtest.Found(t, app, s.Bundle(t, plain, statement)),
		"keyless":              signingtest.Found(t, app, s.Bundle(t, signingtest.Signing{}, statement)),
		"keyless in version 1": signingtest.Found(t, app, s.Bundle(t, signingtest.Signing{LogV1: true}, statement)),
		"cosign, key":          s.CosignSignature(t, plain, app),
		"cosign, keyless":      s.CosignSignature(t, signingtest.Signing{NoStamp: true}, app),
		"cosign, attested":     s.CosignAttestation(t, signingtest.Signing{}, app, statement),
	}
}

// A bundle with a byte changed either proves nothing, or the very same: where the
// byte was of white space, a hint, or base64's last bits. Where it made the name of
// a log another's or a timestamp invalid, that is as good as stripped, which
// everybody can do who has the bundle: then the proof says less.
func TestChangedBytes(t *testing.T) {
	v, all := samples(t)
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			want, err := v.Verify(t.Context(), app, f)
			if err != nil {
				t.Fatalf("Verify = %v", err)
			}
			accepted, tried := 0, 0
			try := func(f signing.Found, what string, i int) {
				tried++
				p, err := v.Verify(t.Context(), app, f)
				switch {
				case err == nil:
					accepted++
					if d := cmp.Diff(without(want, p), p); d != "" {
						t.Errorf("Verify with byte %d of %s changed proves something else (-want +got):\n%s", i, what, d)
					}
				case p != nil || !errors.Is(err, verify.ErrRefused):
					t.Errorf("Verify with byte %d of %s changed = %+v, %v", i, what, p, err)
				}
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			for i := rnd.IntN(step); i < len(f.Content); i += 1 + rnd.IntN(step) {
				g := f
				g.Content = bytes.Clone(f.Content)
				g.Content[i] ^= byte(1 << rnd.IntN(7))
				try(g, "the content", i)
			}
			for key, value := range f.Annotations {
				for i := 0; i < len(value); i += 1 + rnd.IntN(step) {
					g := f
					text := []byte(value)
					text[i] ^= byte(1 << rnd.IntN(7))
					g.Annotations = map[string]string{}
					for k, v := range f.Annotations {
						g.Annotations[k] = v
					}
					g.Annotations[key] = string(text)
					try(g, key, i)
				}
			}
			if tried < 30 || accepted > tried/4 {
				t.Errorf("%d of %d changes were accepted, of which most should not", accepted, tried)
			}
		})
	}
}

// without is a proof without the log and the times that another one lacks.
func without(p, lacking *verify.Proof) *verify.Proof {
	q := *p
	if lacking.Log == nil {
		q.Log = nil
	}
	q.Times = slices.DeleteFunc(slices.Clone(p.Times), func(t verify.Time) bool { return !slices.Contains(lacking.Times, t) })
	return &q
}

// step is the longest way between two bytes that TestChangedBytes changes.
const step = 12

// What is cut short at any place proves nothing.
func TestTruncated(t *testing.T) {
	v, all := samples(t)
	for name, f := range all {
		whole := f.Content
		for n := 0; n < len(whole); n += 1 + len(whole)/200 {
			f.Content = whole[:n]
			if p, err := v.Verify(t.Context(), app, f); p != nil || !errors.Is(err, verify.ErrRefused) {
				t.Errorf("Verify of the first %d bytes of %s = %+v, %v; want ErrRefused", n, name, p, err)
			}
		}
	}
}

// Parts of signatures of the same manifest by different people do not mix.
func TestMixedParts(t *testing.T) {
	s, statement := signingtest.New(t, signingtest.Config{}), signingtest.Statement(t, app, signing.PredicateSignature, struct{}{})
	v := newVerifier(t, s.Root(t))
	mine := signingtest.Found(t, app, s.Bundle(t, signingtest.Signing{Identity: "me@example.com"}, statement))
	yours := signingtest.Found(t, app, s.Bundle(t, signingtest.Signing{Identity: "you@example.com"}, statement))
	var a, b map[string]map[string]json.RawMessage
	for to, f := range map[*map[string]map[string]json.RawMessage]signing.Found{&a: mine, &b: yours} {
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(f.Content, &whole); err != nil {
			t.Fatal(err)
		}
		*to = map[string]map[string]json.RawMessage{}
		for _, part := range []string{"verificationMaterial", "dsseEnvelope"} {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(whole[part], &fields); err != nil {
				t.Fatal(err)
			}
			(*to)[part] = fields
		}
	}
	swapped := 0
	for part, fields := range a {
		for field := range fields {
			keep := a[part][field]
			if bytes.Equal(keep, b[part][field]) {
				continue
			}
			a[part][field] = b[part][field]
			swapped++
			text, err := json.Marshal(map[string]any{
				"mediaType": signing.MediaTypeBundle, "verificationMaterial": a["verificationMaterial"], "dsseEnvelope": a["dsseEnvelope"],
			})
			if err != nil {
				t.Fatal(err)
			}
			a[part][field] = keep
			mixed := mine
			mixed.Content = text
			refuses(t, v, app, mixed)
		}
	}
	if swapped != 4 { // certificate, tlogEntries, timestampVerificationData, signatures
		t.Errorf("%d parts were swapped, want 4", swapped)
	}
}

// A source that hides what there is has shown nothing: no proof comes of it.
func TestNothingFoundIsNoProof(t *testing.T) {
	s := signingtest.New(t, signingtest.Config{})
	if p, err := newVerifier(t, s.Root(t)).Verify(t.Context(), app, signing.Found{}); p != nil || !errors.Is(err, verify.ErrRefused) {
		t.Errorf("Verify of nothing = %+v, %v; want ErrRefused", p, err)
	}
}
