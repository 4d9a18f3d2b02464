package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/storage/blob"
)

// PutObject is blob.Objects'. If only the last sync fails, the object is replaced,
// but a power failure may bring the earlier one back.
func (s *Store) PutObject(ctx context.Context, name string, r io.Reader) error {
	if err := s.checkChange(ctx); err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	if err := blob.CheckName(name); err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	f, err := s.temp()
	if err != nil {
		return fmt.Errorf("put object %s: %w", name, err)
	}
	if err := s.fill(ctx, f, r); err != nil {
		return errors.Join(fmt.Errorf("put object %s: %w", name, err), unlink(f.Name()))
	}
	if err := s.publishObject(f.Name(), s.objectPath(name)); err != nil {
		return errors.Join(fmt.Errorf("put object %s: %w", name, err), unlink(f.Name()))
	}
	return nil
}

// fill writes r to f, durably, and closes f.
func (s *Store) fill(ctx context.Context, f *os.File, r io.Reader) error {
	_, err := io.Copy(f, r)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = s.syncData(f)
	}
	return errors.Join(err, f.Close())
}

func (s *Store) publishObject(from, to string) error {
	s.objects.Lock()
	defer s.objects.Unlock()
	dir := filepath.Dir(to)
	err := rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(dir, dirMode); err != nil {
			return err
		}
		err = rename(from, to)
	}
	if err != nil {
		return err
	}
	return s.syncDir(dir)
}

// OpenObject is blob.Objects'.
func (s *Store) OpenObject(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(ctx, name); err != nil {
		return nil, fmt.Errorf("open object: %w", err)
	}
	f, err := os.Open(s.objectPath(name))
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", name, absent(err))
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = blob.ErrNotFound
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open object %s: %w", name, err), f.Close())
	}
	return f, nil
}

// ListObjects is blob.Objects'. It holds the names of one folder, and of those
// above it, in memory.
func (s *Store) ListObjects(ctx context.Context, dir string, yield func(name string, size int64) error) error {
	if err := blob.CheckDir(dir); err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	if err := s.listObjects(ctx, dir, yield); err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	return nil
}

func (s *Store) listObjects(ctx context.Context, dir string, yield func(name string, size int64) error) error {
	var names []string // those of folders end in a slash, which is what puts them in order
	err := eachEntry(ctx, s.objectPath(dir), func(_ string, e fs.DirEntry) error {
		name := e.Name()
		if dir != "" {
			name = dir + "/" + name
		}
		if blob.CheckName(name) != nil {
			return nil // not ours
		}
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.yieldObject(ctx, name, yield); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) yieldObject(ctx context.Context, name string, yield func(name string, size int64) error) error {
	if dir, ok := strings.CutSuffix(name, "/"); ok {
		return s.listObjects(ctx, dir, yield)
	}
	fi, err := os.Lstat(s.objectPath(name))
	if isAbsent(err) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	return yield(name, fi.Size())
}

// DeleteObject is blob.Objects'. Folders that it empties stay.
func (s *Store) DeleteObject(ctx context.Context, name string) error {
	if err := s.checkChange(ctx); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	if err := blob.CheckName(name); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	s.objects.Lock()
	defer s.objects.Unlock()
	path := s.objectPath(name)
	if err := unlink(path); err != nil {
		return fmt.Errorf("delete object %s: %w", name, err)
	}
	if err := s.syncDir(filepath.Dir(path)); err != nil && !isAbsent(err) {
		return fmt.Errorf("delete object %s: %w", name, err)
	}
	return nil
}

// objectPath is where a valid name, or "" for all of them, lies.
func (s *Store) objectPath(name string) string {
	return filepath.Join(s.dir, objectsDir, filepath.FromSlash(name))
}

func checkName(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckName(name)
}
