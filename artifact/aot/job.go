package aot

import (
	"fmt"
	"io"
)

// CheckTier is ErrUnsupported for a tier that is none.
func (j Job) CheckTier() error {
	if j.Tier == "" {
		return nil
	}
	if err := checkTier(j.Tier); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
}

// Read reads the whole module, and makes sure that it is the one that Digest
// names. The error of one that is larger than MaxInput is ErrLimit, and of another
// one ErrInput.
func (j Job) Read() ([]byte, error) {
	if j.Size < 0 || j.Size > MaxInput {
		return nil, fmt.Errorf("%w: the file has %d bytes, at most %d are compiled", ErrLimit, j.Size, int64(MaxInput))
	}
	if err := j.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("the module's digest: %w", err)
	}
	file := make([]byte, j.Size)
	if _, err := io.ReadFull(io.NewSectionReader(j.Wasm, 0, j.Size), file); err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	if got := j.Digest.Algorithm().FromBytes(file); got != j.Digest {
		return nil, fmt.Errorf("%w: it is %s, not %s", ErrInput, got, j.Digest)
	}
	return file, nil
}
