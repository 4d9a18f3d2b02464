package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// OpenCredentials opens the user's credential store: Docker's configuration with
// the helpers it names, and behind it, for reading, the file of the other
// container tools ($REGISTRY_AUTH_FILE, or containers/auth.json in
// $XDG_RUNTIME_DIR).
func OpenCredentials() (credentials.Store, error) {
	docker, err := credentials.NewStoreFromDocker(credentials.StoreOptions{AllowPlaintextPut: true, DetectDefaultNativeStore: true})
	if err != nil {
		return nil, err
	}
	other := os.Getenv("REGISTRY_AUTH_FILE")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); other == "" && dir != "" {
		other = filepath.Join(dir, "containers", "auth.json")
	}
	if _, err := os.Stat(other); err != nil {
		return docker, nil
	}
	second, err := credentials.NewStore(other, credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	return credentials.NewStoreWithFallbacks(docker, second), nil
}

// Login asks the registry whether cred is right, and stores it if the registry
// says so, or asks nobody who they are.
func (c *Client) Login(ctx context.Context, store credentials.Store, host string, cred auth.Credential) error {
	reg, err := c.registry(host)
	if err != nil {
		return err
	}
	as := *c.auth
	as.Cache = auth.NewCache()
	as.Credential = auth.StaticCredential(host, cred)
	reg.Client = &as
	if err := reg.Ping(ctx); err != nil {
		return err
	}
	if err := store.Put(ctx, credentials.ServerAddressFromRegistry(host), cred); err != nil {
		return fmt.Errorf("credential store: %w", err)
	}
	return nil
}

// Logout forgets the credential of a registry.
func Logout(ctx context.Context, store credentials.Store, host string) error {
	return credentials.Logout(ctx, store, host)
}
