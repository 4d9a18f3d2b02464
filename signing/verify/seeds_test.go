package verify_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/signingtest"
)

// makeSeeds writes the seeds of the fuzz targets.
func makeSeeds(t *testing.T) {
	t.Helper()
	s, k := signingtest.New(t, signingtest.Config{}), generate(t, key.P256)
	plain := signingtest.Signing{Key: k, NoLog: true, NoStamp: true}
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(seeds, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(seeds, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]signing.Found{
		"key":                s.Sign(t, plain, app),
		"keyless":            s.Sign(t, signingtest.Signing{}, app),
		"keyless-v1":         s.Sign(t, signingtest.Signing{LogV1: true}, app),
		"cosign-key":         s.CosignSignature(t, plain, app),
		"cosign-keyless":     s.CosignSignature(t, signingtest.Signing{}, app),
		"cosign-attestation": s.CosignAttestation(t, signingtest.Signing{}, app, signingtest.Statement(t, app, "https://example.com/p", 1)),
	} {
		text, err := json.Marshal(seed{f.Type, f.Content, f.Annotations})
		if err != nil {
			t.Fatal(err)
		}
		write(name+".seed.json", append(text, '\n'))
	}
	text, err := s.Root(t).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	write("trusted_root.json", append(text, '\n'))
	write("release.pub", k.PEM())
}
