package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

const (
	repository = "bench/package"
	small      = 100 << 10
	large      = 10_000_000
)

// fresh numbers blobs, so that no two pushes carry the same bytes.
var fresh atomic.Uint64

// freshBlob makes template's bytes unique in place and returns their digest.
func freshBlob(template []byte) (content []byte, digest string) {
	content = append([]byte(nil), template...)
	binary.LittleEndian.PutUint64(content[len(content)-8:], fresh.Add(1))
	return content, digestOf(content)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// wasmBytes is a module of n bytes that is nothing but a custom section: a
// registry that looks at what it stores takes it for what it says it is.
func wasmBytes(n int) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00\x00")
	const sizeBytes = 4 // the section's size, in as many bytes whatever it is
	for i, size := 0, n-len(b)-sizeBytes; i < sizeBytes; i, size = i+1, size>>7 {
		c := byte(size & 0x7f)
		if i < sizeBytes-1 {
			c |= 0x80
		}
		b = append(b, c)
	}
	b = append(b, 1, 'x')
	return append(b, randomBytes(n-len(b))...)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// manifest is an image over a config and one layer, which no registry looks
// into: what wreg does with Wasm is measured apart.
func manifest(config, layer string, configSize, layerSize, serial int) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}],`+
		`"annotations":{"org.opencontainers.image.version":"1.0.%d"}}`, config, configSize, layer, layerSize, serial)
}

// artifactManifest is an artifact of one layer of a given type; for Wasm it is
// the canonical form.
func artifactManifest(config, layer, mediaType string, configSize, layerSize int) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`, config, configSize, mediaType, layer, layerSize)
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// measureRegistry drives a registry through the operations of the budget table.
func measureRegistry(ctx context.Context, o options, s *server, r *report) error {
	base := "http://" + s.addr
	config, layer := []byte("{}"), wasmBytes(small)
	big := wasmBytes(large)
	for _, b := range [][]byte{config, layer, big} {
		if err := pushBlob(ctx, base, repository, digestOf(b), b); err != nil {
			return err
		}
	}
	run := func(name string, seconds float64, count int, op operation) error {
		l, err := drive(ctx, s, o.workers, seconds, count, op)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.add(s.name, name, l)
		return nil
	}

	for _, part := range []struct {
		name    string
		content []byte
	}{{"100 KB", layer}, {"10 MB", big}} {
		u := base + "/v2/" + repository + "/blobs/" + digestOf(part.content)
		if err := run("blob GET "+part.name, o.seconds, 0, func(ctx context.Context, _ int) error {
			_, err := request(ctx, http.StatusOK, http.MethodGet, u, nil)
			return err
		}); err != nil {
			return err
		}
		if err := run("blob HEAD "+part.name, o.seconds/2, 0, func(ctx context.Context, _ int) error {
			_, err := request(ctx, http.StatusOK, http.MethodHead, u, nil)
			return err
		}); err != nil {
			return err
		}
		if err := run("blob push "+part.name, o.seconds, 0, func(ctx context.Context, _ int) error {
			content, digest := freshBlob(part.content)
			return pushBlob(ctx, base, repository, digest, content)
		}); err != nil {
			return err
		}
	}

	put := func(ctx context.Context, i int) error {
		m := manifest(digestOf(config), digestOf(layer), len(config), len(layer), i)
		_, err := request(ctx, http.StatusCreated, http.MethodPut, fmt.Sprintf("%s/v2/%s/manifests/t%07d", base, repository, i), m,
			"Content-Type", manifestType)
		return err
	}
	tags := 0
	for _, n := range o.sizes {
		if s.name == "distribution" && n > 3000 {
			continue // each further thousand costs it seconds and tells nothing new
		}
		if fill := n - tags; fill > 0 {
			from := tags
			if _, err := drive(ctx, s, o.workers, 0, fill, func(ctx context.Context, i int) error { return put(ctx, from+i) }); err != nil {
				return fmt.Errorf("making %d tags: %w", n, err)
			}
			tags = n
		}
		if err := run(fmt.Sprintf("manifest GET at %d tags", n), o.seconds, 0, func(ctx context.Context, i int) error {
			tag := (i * 7919) % n // spread over the repository
			_, err := request(ctx, http.StatusOK, http.MethodGet, fmt.Sprintf("%s/v2/%s/manifests/t%07d", base, repository, tag), nil,
				"Accept", manifestType)
			return err
		}); err != nil {
			return err
		}
		if n >= 100 {
			if err := run(fmt.Sprintf("tags?n=100 of %d", n), o.seconds, 0, func(ctx context.Context, i int) error {
				last := (i * 7919) % (n - 100)
				_, err := request(ctx, http.StatusOK, http.MethodGet, fmt.Sprintf("%s/v2/%s/tags/list?n=100&last=t%07d", base, repository, last), nil)
				return err
			}); err != nil {
				return err
			}
		}
		const more = 1000
		from := tags
		if err := run(fmt.Sprintf("manifest PUT at %d tags", n), 0, more, func(ctx context.Context, i int) error { return put(ctx, from+i) }); err != nil {
			return err
		}
		tags += more
	}
	return nil
}

// measureFiles drives a plain file server: the floor for GET.
func measureFiles(ctx context.Context, o options, s *server, r *report) error {
	if err := os.MkdirAll(filesDir(s.dir), 0o755); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		size int
	}{{"100 KB", small}, {"10 MB", large}} {
		file := fmt.Sprint(f.size)
		if err := os.WriteFile(filepath.Join(filesDir(s.dir), file), randomBytes(f.size), 0o644); err != nil {
			return err
		}
		l, err := drive(ctx, s, o.workers, o.seconds, 0, func(ctx context.Context, _ int) error {
			_, err := request(ctx, http.StatusOK, http.MethodGet, "http://"+s.addr+"/"+file, nil)
			return err
		})
		if err != nil {
			return err
		}
		r.add(s.name, "blob GET "+f.name, l)
	}
	r.memory(s.name, s.peakMemory())
	return nil
}

// countSyncs counts fsync and fdatasync per operation: one client, one request
// after the other, so that nothing is shared and the worst case is seen.
func countSyncs(ctx context.Context, s *server, r *report) error {
	const n = 20
	base := "http://" + s.addr
	config, layer := []byte("{}"), wasmBytes(small)
	for _, b := range [][]byte{config, layer} {
		if err := pushBlob(ctx, base, repository, digestOf(b), b); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		name string
		op   operation
	}{
		{"blob push 100 KB", func(ctx context.Context, _ int) error {
			content, digest := freshBlob(layer)
			return pushBlob(ctx, base, repository, digest, content)
		}},
		{"manifest PUT", func(ctx context.Context, i int) error {
			m := manifest(digestOf(config), digestOf(layer), len(config), len(layer), i)
			_, err := request(ctx, http.StatusCreated, http.MethodPut, fmt.Sprintf("%s/v2/%s/manifests/t%d", base, repository, i), m,
				"Content-Type", manifestType)
			return err
		}},
	} {
		before, err := s.syncs()
		if err != nil {
			return err
		}
		begin := time.Now()
		for i := range n {
			if err := part.op(ctx, i); err != nil {
				return err
			}
		}
		after, err := s.syncs()
		if err != nil {
			return err
		}
		r.syncs(s.name, part.name, float64(after-before)/n, time.Since(begin))
	}
	return nil
}
