package keyless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
)

// maxConfig bounds the file of a signing configuration or trusted root, in bytes.
const maxConfig = 4 << 20

// ReadConfig reads a signing configuration, version 0.2 of Sigstore's format.
func ReadConfig(name string) (*root.SigningConfig, error) {
	text, err := read(name)
	if err != nil {
		return nil, err
	}
	c, err := root.NewSigningConfigFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("signing configuration %s: %w", name, err)
	}
	return c, nil
}

// ReadRoot reads a trusted root, version 0.1 of Sigstore's format.
func ReadRoot(name string) (*root.TrustedRoot, error) {
	text, err := read(name)
	if err != nil {
		return nil, err
	}
	r, err := root.NewTrustedRootFromJSON(text)
	if err != nil {
		return nil, fmt.Errorf("trusted root %s: %w", name, err)
	}
	return r, nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("%s: it has more than %d bytes", name, maxConfig)
	}
	return text, nil
}

// Issuer is where a person of the configuration logs in: the first of its OpenID
// Connect providers.
func Issuer(c *root.SigningConfig) (string, error) {
	for _, p := range c.OIDCProviderURLs() {
		return p.URL, nil
	}
	return "", errors.New("the signing configuration names no OpenID Connect provider")
}

// Public fetches what Sigstore's public instance is: its signing configuration
// and trusted root, through TUF (The Update Framework) from the root keys that
// are built in. It keeps them in the folder cache, in which old ones cannot be put
// back in place of newer ones. Signatures made there are public for ever, with
// the identity.
func Public(ctx context.Context, cache string) (*root.SigningConfig, *root.TrustedRoot, error) {
	return fetch(tuf.DefaultOptions().WithContext(ctx).WithCachePath(filepath.Join(cache, "tuf")))
}

func fetch(o *tuf.Options) (*root.SigningConfig, *root.TrustedRoot, error) {
	client, err := tuf.New(o)
	if err != nil {
		return nil, nil, &Error{
			Doing: "trusted root of " + o.RepositoryBaseURL, Err: err,
			Hint: "without a way to the internet, name files with --signing-config and --trusted-root",
		}
	}
	c, err := root.GetSigningConfig(client)
	if err != nil {
		return nil, nil, doing("signing configuration of "+o.RepositoryBaseURL, err)
	}
	r, err := root.GetTrustedRoot(client)
	if err != nil {
		return nil, nil, doing("trusted root of "+o.RepositoryBaseURL, err)
	}
	return c, r, nil
}
