package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

// Create is blob.Store's. The upload is a file in uploads/.
func (s *Store) Create(ctx context.Context, alg digest.Algorithm) (blob.Upload, error) {
	if err := s.checkChange(ctx); err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	h, err := blob.NewHasher(alg)
	if err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	f, err := s.temp()
	if err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	return &upload{store: s, file: f, hash: h}, nil
}

// temp makes a file of mode 0600 in uploads/.
func (s *Store) temp() (*os.File, error) {
	return os.CreateTemp(filepath.Join(s.dir, uploadsDir), "")
}

type upload struct {
	store *Store
	file  *os.File
	hash  *blob.Hasher
	err   error // of the first write that failed, or ErrEnded
}

func (u *upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.file.Write(p)
	u.hash.Add(p[:n])
	if err != nil {
		u.err = fmt.Errorf("upload at %d bytes: %w", u.hash.Size(), err)
	}
	return n, u.err
}

func (u *upload) Size() int64 { return u.hash.Size() }

func (u *upload) Verify(ctx context.Context, d digest.Digest) error {
	if u.err != nil {
		return u.err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("verify %s: %w", d, err)
	}
	return u.hash.Check(ctx, d, u.reread)
}

func (u *upload) reread() io.Reader { return io.NewSectionReader(u.file, 0, u.hash.Size()) }

// Commit is blob.Upload's. A sync that fails fails the upload: it is not tried
// again, since the second one may succeed without having written anything.
func (u *upload) Commit(ctx context.Context, k blob.Key) error {
	if errors.Is(u.err, blob.ErrEnded) {
		return u.err
	}
	placed, err := u.place(ctx, k)
	u.err = blob.ErrEnded
	if err != nil {
		err = fmt.Errorf("commit %s: %w", k, err)
	}
	if !placed {
		return errors.Join(err, u.discard())
	}
	return errors.Join(err, u.file.Close())
}

// place reports whether the file has left uploads/, be it by an error.
func (u *upload) place(ctx context.Context, k blob.Key) (bool, error) {
	if err := k.Validate(); err != nil {
		return false, err
	}
	if err := u.Verify(ctx, k.Digest); err != nil {
		return false, err
	}
	if err := u.store.syncData(u.file); err != nil {
		return false, err
	}
	return u.store.publish(u.file.Name(), k, u.hash.Size())
}

// Abort is blob.Upload's.
func (u *upload) Abort() error {
	if errors.Is(u.err, blob.ErrEnded) {
		return nil
	}
	u.err = blob.ErrEnded
	return u.discard()
}

func (u *upload) discard() error {
	return errors.Join(u.file.Close(), unlink(u.file.Name()))
}

// publish gives the synced file from the name of k and syncs the folder. If k is
// stored already, with the same size, it leaves both files alone; a file of another
// size is damage and is replaced. It reports whether from was moved.
func (s *Store) publish(from string, k blob.Key, size int64) (bool, error) {
	mu := s.shardOf(k)
	mu.Lock()
	defer mu.Unlock()
	to := s.path(k)
	fi, err := os.Lstat(to)
	stored := err == nil && fi.Size() == size
	if !stored {
		if err := rename(from, to); err != nil {
			return false, err
		}
	}
	if err := s.syncDir(filepath.Dir(to)); err != nil {
		if stored {
			return false, err
		}
		return true, errors.Join(err, unlink(to))
	}
	return !stored, nil
}
