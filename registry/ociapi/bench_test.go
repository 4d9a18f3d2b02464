package ociapi_test

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
)

// discard is a ResponseWriter that keeps the header alone.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// The cost of an operation without that of net/http; test/bench has the whole.
func BenchmarkOperations(b *testing.B) {
	e := start(b, sqliteOnFS, setup{})
	h := ociapi.New(ociapi.Options{Registry: e.reg, Access: policy.Access{Open: true}})
	serve := func(b *testing.B, want int, method, path string, body []byte, mediaType string) http.Header {
		w := &discard{header: http.Header{}}
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", mediaType)
		h.ServeHTTP(w, r)
		if w.status != want {
			b.Fatalf("%s %s = %d, want %d", method, path, w.status, want)
		}
		return w.header
	}
	m := e.tagged("r", "tag")
	layer := digest.FromString("layer of tag").String()
	var n atomic.Int64
	b.Run("manifest GET", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			serve(b, 200, "GET", "/v2/r/manifests/tag", nil, "")
		}
	})
	b.Run("blob GET", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			serve(b, 200, "GET", "/v2/r/blobs/"+layer, nil, "")
		}
	})
	b.Run("manifest PUT", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				tag := "t" + strconv.FormatInt(n.Add(1), 10)
				content := append(bytes.Clone(m), "                    "[:n.Load()%20]...)
				serve(b, 201, "PUT", "/v2/r/manifests/"+tag, content, ociManifest)
			}
		})
	})
	b.Run("blob POST and PUT of 100 KB", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			content := make([]byte, 100_000)
			for pb.Next() {
				binary.BigEndian.PutUint64(content, uint64(n.Add(1)))
				d := digest.FromBytes(content).String()
				location := serve(b, 202, "POST", "/v2/r/blobs/uploads/", nil, "").Get("Location")
				serve(b, 201, "PUT", location+"?digest="+d, content, octets)
			}
		})
	})
}
