package blob

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

// A Hasher hashes the bytes of an upload while they are written, for drivers.
type Hasher struct {
	alg  digest.Algorithm
	hash hash.Hash
	size int64
}

// NewHasher returns a Hasher for SHA-256 or SHA-512, ErrKey for any other.
func NewHasher(alg digest.Algorithm) (*Hasher, error) {
	switch alg {
	case digest.SHA256:
		return &Hasher{alg: alg, hash: sha256.New()}, nil
	case digest.SHA512:
		return &Hasher{alg: alg, hash: sha512.New()}, nil
	default:
		return nil, fmt.Errorf("algorithm %q: %w", clip(string(alg)), ErrKey)
	}
}

// Add appends p to what is hashed.
func (h *Hasher) Add(p []byte) {
	h.size += int64(len(p))
	h.hash.Write(p)
}

// Size is the number of bytes written so far.
func (h *Hasher) Size() int64 { return h.size }

// Check fails with ErrDigest if the bytes written so far are not d, and with
// ErrKey if d is no digest a Key may have. When d is of another algorithm it hashes
// the same bytes once more, from what again returns, until ctx ends. More bytes
// may be written afterwards.
func (h *Hasher) Check(ctx context.Context, d digest.Digest, again func() io.Reader) error {
	if !validDigest(d) {
		return fmt.Errorf("digest %q: %w", clip(string(d)), ErrKey)
	}
	sum := h
	if d.Algorithm() != h.alg {
		var err error
		if sum, err = rehash(ctx, d.Algorithm(), again()); err != nil {
			return err
		}
	}
	if sum.size != h.size {
		return fmt.Errorf("%d bytes came back of %d written: %w", sum.size, h.size, ErrDigest)
	}
	if got := digest.NewDigest(sum.alg, sum.hash); got != d {
		return fmt.Errorf("%d bytes are %s, not %s: %w", h.size, got, d, ErrDigest)
	}
	return nil
}

func rehash(ctx context.Context, alg digest.Algorithm, r io.Reader) (*Hasher, error) {
	h, err := NewHasher(alg)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		h.Add(buf[:n])
		if err == io.EOF {
			return h, nil
		}
		if err != nil {
			return nil, fmt.Errorf("hash again by %s: %w", alg, err)
		}
	}
}
