package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
)

// cleanup is a test as what is started takes it.
type cleanup struct{ *testing.T }

func (c cleanup) Defer(f func()) { c.Cleanup(f) }

// Cosign's tag is one manifest with all signatures: of signers at the same moment
// each has to be in it.
func TestSignersAtTheSameMoment(t *testing.T) {
	host, _, err := startWreg(cleanup{t}, t.TempDir(), policy.Access{Open: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := client.New(client.Options{}).Repository(host, "demo/app")
	if err != nil {
		t.Fatal(err)
	}
	const signers = 8
	d := digest.FromString("app")
	var running sync.WaitGroup
	for i := range signers {
		running.Go(func() {
			payload := fmt.Appendf(nil, "payload %d", i)
			if _, err := client.AttachCosign(t.Context(), repo, d, payload, map[string]string{signing.AnnotationSignature: "AA=="}); err != nil {
				t.Errorf("signer %d: AttachCosign = %v", i, err)
			}
		})
	}
	running.Wait()
	found, err := signing.Find(t.Context(), client.Signatures(repo), d)
	if err != nil || len(found) != signers {
		t.Errorf("Find = %d signatures, %v; want those of %d signers", len(found), err, signers)
	}
}
