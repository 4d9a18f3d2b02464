package load

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Read reads keys from a registry whose disk fails, and returns what may not
// happen even then: content that is wrong, and "not found" for what is there. An
// error of the 5xx kind and an answer that is cut off are right.
func Read(ctx context.Context, c *Client, keys []Key) []string {
	k := &checker{client: c}
	for _, key := range keys {
		k.try(ctx, key)
	}
	return k.wrong
}

func (k *checker) try(ctx context.Context, key Key) {
	kind := "/manifests/"
	if key.Kind == Blob {
		kind = "/blobs/"
	}
	path := "/v2/" + key.Repo + kind + key.Name
	got, err := k.client.do(ctx, request{method: http.MethodGet, path: path, want: []int{http.StatusOK, http.StatusNotFound}})
	if errors.Is(err, errGone) || errors.Is(err, errFailed) {
		return // what is wrong in it is among the client's problems
	}
	value := Absent
	switch d := digest.Digest(key.Name); {
	case got.status == http.StatusNotFound:
	case key.Kind == Tag:
		value = string(digest.FromBytes(got.body))
	default:
		value = string(d.Algorithm().FromBytes(got.body))
	}
	if allowed := k.client.Ledger.Allowed(key); !slices.Contains(allowed, value) {
		k.problem("GET %s = %d with %s, want %v or an error", path, got.status, name(value), names(allowed))
	}
}
