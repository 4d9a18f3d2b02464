package distdriver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/wreg-project/wreg/storage/blob"
)

// PutObject is blob.Objects'. The object is spooled like an upload.
func (s *Store) PutObject(ctx context.Context, name string, r io.Reader) error {
	if err := checkName(ctx, name); err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	f, err := newSpool(s.opts.Spool)
	if err != nil {
		return fmt.Errorf("put object %s: %w", name, err)
	}
	size, err := io.Copy(f, r)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = s.put(ctx, s.objectPath(name), f.section(size))
	}
	if err := errors.Join(err, f.discard()); err != nil {
		return fmt.Errorf("put object %s: %w", name, err)
	}
	return nil
}

// OpenObject is blob.Objects'.
func (s *Store) OpenObject(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(ctx, name); err != nil {
		return nil, fmt.Errorf("open object: %w", err)
	}
	if s.opts.Placement == Staged {
		if err := s.statObject(ctx, name); err != nil {
			return nil, fmt.Errorf("open object %s: %w", name, err)
		}
	}
	r, err := s.driver.Reader(ctx, s.objectPath(name), 0)
	if err != nil {
		return nil, fmt.Errorf("open object %s: %w", name, cause(err))
	}
	return r, nil
}

// statObject is ErrNotFound unless name is an object. It keeps drivers from reading
// a folder as a file, and from deleting one with all it holds.
func (s *Store) statObject(ctx context.Context, name string) error {
	p := s.objectPath(name)
	fi, err := s.driver.Stat(ctx, p)
	if err == nil && fi.IsDir() {
		return blob.ErrNotFound
	}
	return cause(err)
}

// ListObjects is blob.Objects'. It holds all names below dir in memory: drivers
// walk in orders of their own.
func (s *Store) ListObjects(ctx context.Context, dir string, yield func(name string, size int64) error) error {
	if err := blob.CheckDir(dir); err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	objects, err := s.objectsBelow(ctx, dir)
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	for _, o := range objects {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list objects: %w", err)
		}
		if err := yield(o.name, o.size); err != nil {
			return err
		}
	}
	return nil
}

type object struct {
	name string
	size int64 // bytes
}

func (s *Store) objectsBelow(ctx context.Context, dir string) ([]object, error) {
	if dir != "" {
		if err := s.statObject(ctx, dir); !errors.Is(err, blob.ErrNotFound) {
			return nil, err // an object, below which there is nothing
		}
	}
	var objects []object
	err := s.walk(ctx, strings.TrimSuffix(s.objectPath(dir), "/"), func(fi driver.FileInfo) error {
		name := strings.TrimPrefix(fi.Path(), s.objectPath(""))
		if blob.CheckName(name) == nil {
			objects = append(objects, object{name, fi.Size()})
		}
		return nil
	})
	slices.SortFunc(objects, func(a, b object) int { return strings.Compare(a.name, b.name) })
	return objects, err
}

// DeleteObject is blob.Objects'.
func (s *Store) DeleteObject(ctx context.Context, name string) error {
	if err := checkName(ctx, name); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	err := s.statObject(ctx, name)
	if err == nil {
		err = s.remove(ctx, s.objectPath(name))
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("delete object %s: %w", name, err)
	}
	return nil
}

// objectPath is where a valid name lies; "" gives the folder of all, with its slash.
func (s *Store) objectPath(name string) string { return s.opts.Prefix + "/objects/" + name }

func checkName(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckName(name)
}
