package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wreg-project/wreg/storage/blob"
)

// listBatch is how many names of a folder are held at a time.
const listBatch = 256

// List is blob.Store's. Files whose names are no keys are passed over.
func (s *Store) List(ctx context.Context, yield func(blob.Info) error) error {
	for _, alg := range algorithms {
		for i := range shards {
			dir := filepath.Join(s.dir, blobsDir, string(alg), fmt.Sprintf("%02x", i))
			err := eachEntry(ctx, dir, func(_ string, e fs.DirEntry) error {
				k, err := blob.ParseKey(string(alg) + ":" + e.Name())
				if err != nil || !e.Type().IsRegular() {
					return nil
				}
				fi, err := e.Info()
				if err != nil {
					if isAbsent(err) {
						return nil // deleted meanwhile
					}
					return err
				}
				return yield(info(k, fi))
			})
			if err != nil {
				return fmt.Errorf("list blobs: %w", err)
			}
		}
	}
	return nil
}

// eachEntry calls f for everything in the folder dir, in its own order and with no
// more than a batch in memory. An absent folder is empty, and so is a file.
func eachEntry(ctx context.Context, dir string, f func(path string, e fs.DirEntry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(listBatch)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(filepath.Join(dir, e.Name()), e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || isAbsent(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
