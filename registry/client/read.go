package client

import (
	"fmt"
	"hash"
	"io"

	// The algorithms a digest may name.
	_ "crypto/sha256"
	_ "crypto/sha512"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact/ref"
)

// verified reads content from its beginning and holds back the last of it until
// the digest is known to be right, so that even a reader who stops at the last
// byte has seen nothing wrong. After a seek into the middle it verifies no
// more; the end of an upload is verified by who receives it.
type verified struct {
	src    io.ReadSeekCloser
	d      ocispec.Descriptor
	off    int64
	hash   hash.Hash
	hashed int64 // bytes in hash; -1 after reading from elsewhere
	err    error
}

// verify wraps src, whose content should be d.
func verify(src io.ReadSeekCloser, d ocispec.Descriptor) (io.ReadSeekCloser, error) {
	if _, err := ref.ParseDigest(d.Digest.String()); err != nil {
		src.Close()
		return nil, err
	}
	if d.Size < 0 {
		src.Close()
		return nil, fmt.Errorf("%s: %w: size of %d bytes", d.Digest, ErrAnswer, d.Size)
	}
	return &verified{src: src, d: d, hash: d.Digest.Algorithm().Hash()}, nil
}

func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.off == v.d.Size {
		return 0, v.end()
	}
	if left := v.d.Size - v.off; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := v.src.Read(p)
	if v.hashed == v.off {
		v.hash.Write(p[:n])
		v.hashed += int64(n)
	}
	v.off += int64(n)
	if v.off == v.d.Size {
		if err := v.end(); err != io.EOF { //nolint:errorlint // it is our own, bare
			return 0, err
		}
		return n, nil
	}
	if err == io.EOF { //nolint:errorlint // readers return it bare
		err = fmt.Errorf("%s: %w: it ends after %d of %d bytes", v.d.Digest, ErrDigest, v.off, v.d.Size)
		v.err = err
	}
	return n, err
}

// end says how a read at the end goes out: io.EOF or ErrDigest.
func (v *verified) end() error {
	if v.hashed != v.d.Size {
		return io.EOF
	}
	if got := fmt.Sprintf("%x", v.hash.Sum(nil)); got != v.d.Digest.Encoded() {
		v.err = fmt.Errorf("%s: %w: it is %s:%s", v.d.Digest, ErrDigest, v.d.Digest.Algorithm(), got)
		return v.err
	}
	return io.EOF
}

func (v *verified) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += v.off
	case io.SeekEnd:
		offset += v.d.Size
	}
	if offset < 0 || offset > v.d.Size {
		return v.off, fmt.Errorf("seek to byte %d of %d", offset, v.d.Size)
	}
	if _, err := v.src.Seek(offset, io.SeekStart); err != nil {
		return v.off, err
	}
	if offset == 0 {
		v.hash.Reset()
		v.hashed = 0
	} else if offset != v.hashed {
		v.hashed = -1
	}
	v.off = offset
	return offset, nil
}

func (v *verified) Close() error { return v.src.Close() }
