//go:build unix

package fs_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/blobtest"
	"github.com/wreg-project/wreg/storage/blob/fs"
)

// part is how much a server hands to Write at a time, in bytes.
const part = 32 << 10

// BenchmarkPush compares a durable push with its floor: the same bytes hashed,
// written to a file and synced once.
func BenchmarkPush(b *testing.B) {
	for _, size := range []int{100 << 10, 10 << 20} {
		content := blobtest.Random(size, 1)
		b.Run(fmt.Sprintf("floor/%dKiB", size>>10), func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := floor(filepath.Join(dir, fmt.Sprint(i)), content); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("fs/%dKiB", size>>10), func(b *testing.B) {
			s := open(b, b.TempDir())
			d := digest.FromBytes(content)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := push(b.Context(), s, content, d, int64(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func floor(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	for p := range slices.Chunk(content, part) {
		h.Write(p)
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	h.Sum(nil)
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func push(ctx context.Context, s *fs.Store, content []byte, d digest.Digest, generation int64) error {
	u, err := s.Create(ctx, digest.SHA256)
	if err != nil {
		return err
	}
	for p := range slices.Chunk(content, part) {
		if _, err := u.Write(p); err != nil {
			return err
		}
	}
	return u.Commit(ctx, blob.Key{Digest: d, Generation: generation})
}

func BenchmarkOpen(b *testing.B) {
	s := open(b, b.TempDir())
	k := blobtest.Put(b, s, []byte("content"))
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Open(b.Context(), k, 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
