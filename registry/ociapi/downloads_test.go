package ociapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
)

// A download is a manifest that was sent from its beginning, and nothing else.
func TestDownloadsCountWhatWasSent(t *testing.T) {
	const content = `{"schemaVersion":2}`
	d := digest.FromString(content)
	tests := []struct {
		name, method, reference string
		header                  http.Header
		status                  int
		want                    int64
	}{
		{name: "GET by tag", method: "GET", reference: "v1", status: 200, want: 1},
		{name: "GET by digest", method: "GET", reference: d.String(), status: 200, want: 1},
		{name: "the beginning", method: "GET", reference: "v1", header: http.Header{"Range": {"bytes=0-3"}}, status: 206, want: 1},
		{name: "the rest", method: "GET", reference: "v1", header: http.Header{"Range": {"bytes=4-"}}, status: 206},
		{name: "HEAD", method: "HEAD", reference: "v1", status: 200},
		{name: "what the client has", method: "GET", reference: "v1", header: http.Header{"If-None-Match": {`"` + d.String() + `"`}}, status: 304},
		{name: "no such tag", method: "GET", reference: "v2", status: 404},
		{name: "what policy does not let be served", method: "GET", reference: "denied", status: 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := openSQLite(t)
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			put := func(ctx context.Context, tx meta.Tx, tag, content string) error {
				m := meta.Manifest{Repo: "r", Digest: digest.FromString(content), MediaType: ociManifest, Content: []byte(content)}
				if _, err := tx.PutManifest(ctx, meta.NewManifest{Manifest: m}); err != nil {
					return err
				}
				return tx.PutTag(ctx, "r", tag, m.Digest, time.Now())
			}
			err := db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
				if err := put(ctx, tx, "v1", content); err != nil {
					return err
				}
				if err := put(ctx, tx, "denied", "evil"); err != nil {
					return err
				}
				return tx.SetVerdict(ctx, "r", digest.FromString("evil"), meta.Verdict{State: meta.VerdictDeny, Revision: 1})
			})
			if err != nil {
				t.Fatal(err)
			}
			reg := registry.New(registry.Options{Meta: db, Blobs: mem.New()})
			api := ociapi.New(ociapi.Options{Registry: reg, Access: policy.Access{Open: true}})
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), tt.method, "/v2/r/manifests/"+tt.reference, nil)
			for name, values := range tt.header {
				r.Header[name] = values
			}
			api.ServeHTTP(w, r)
			if err := reg.Close(); err != nil {
				t.Fatalf("Close() = %v", err)
			}
			if w.Code != tt.status {
				t.Fatalf("%s %s = %d %s, want %d", tt.method, tt.reference, w.Code, strings.TrimSpace(w.Body.String()), tt.status)
			}
			counts, err := db.Downloads(t.Context(), "r", "", time.Time{})
			var got int64
			for _, c := range counts {
				got += c.Count
			}
			if err != nil || got != tt.want {
				t.Errorf("%s %s counts %d downloads, %v; want %d", tt.method, tt.reference, got, err, tt.want)
			}
		})
	}
}
