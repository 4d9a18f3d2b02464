//go:build kms

package keyref

import (
	"context"
	"crypto"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"        // awskms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"      // azurekms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"        // gcpkms://
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault" // hashivault://
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// openKMS asks a key service for the key, and lets it sign. The service is reached
// as its own tools reach it: their environment and configuration files count. A
// later cancellation of ctx ends what is being signed.
func openKMS(ctx context.Context, reference string, _ Options) (crypto.Signer, error) {
	service, err := kms.Get(ctx, reference, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", reference, err)
	}
	// Asked first, since the signer has nobody to tell why it knows no public key.
	if _, err := service.PublicKey(options.WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("key %s: public key: %w", reference, err)
	}
	signer, _, err := service.CryptoSigner(ctx, func(error) {}) // whoever signs gets the error, too
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", reference, err)
	}
	return signer, nil
}
