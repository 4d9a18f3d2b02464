// Package mem is a blob.Store in memory, for tests. It keeps the whole contract
// but the durability.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

// Store is a blob.Store in memory.
type Store struct {
	mu      sync.Mutex
	blobs   map[blob.Key]content
	objects map[string][]byte
}

type content struct {
	bytes    []byte
	modified time.Time
}

var _ blob.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{blobs: make(map[blob.Key]content), objects: make(map[string][]byte)}
}

// Open is blob.Store's.
func (s *Store) Open(ctx context.Context, k blob.Key, off, _ int64) (io.ReadCloser, error) {
	c, err := s.get(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k, err)
	}
	if off < 0 {
		return nil, fmt.Errorf("open %s: negative offset %d", k, off)
	}
	return io.NopCloser(bytes.NewReader(c.bytes[min(off, int64(len(c.bytes))):])), nil
}

// Stat is blob.Store's.
func (s *Store) Stat(ctx context.Context, k blob.Key) (blob.Info, error) {
	c, err := s.get(ctx, k)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", k, err)
	}
	return blob.Info{Key: k, Size: int64(len(c.bytes)), Modified: c.modified}, nil
}

func (s *Store) get(ctx context.Context, k blob.Key) (content, error) {
	if err := check(ctx, k); err != nil {
		return content{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.blobs[k]
	if !ok {
		return content{}, blob.ErrNotFound
	}
	return c, nil
}

// Delete is blob.Store's.
func (s *Store) Delete(ctx context.Context, k blob.Key) error {
	if err := check(ctx, k); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, k)
	return nil
}

// List is blob.Store's; it sees the blobs that were there when it was called.
func (s *Store) List(ctx context.Context, yield func(blob.Info) error) error {
	s.mu.Lock()
	all := make([]blob.Info, 0, len(s.blobs))
	for k, c := range s.blobs {
		all = append(all, blob.Info{Key: k, Size: int64(len(c.bytes)), Modified: c.modified})
	}
	s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for _, info := range all {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if err := yield(info); err != nil {
			return err
		}
	}
	return nil
}

// Sweep is blob.Store's: there is never anything to remove.
func (s *Store) Sweep(ctx context.Context) (removed int, size int64, err error) {
	return 0, 0, ctx.Err()
}

// PutObject is blob.Objects'.
func (s *Store) PutObject(ctx context.Context, name string, r io.Reader) error {
	if err := checkName(ctx, name); err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	b, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("put object %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name] = b
	return nil
}

// OpenObject is blob.Objects'.
func (s *Store) OpenObject(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(ctx, name); err != nil {
		return nil, fmt.Errorf("open object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[name]
	if !ok {
		return nil, fmt.Errorf("open object %s: %w", name, blob.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// ListObjects is blob.Objects'; it sees the objects that were there when it was
// called.
func (s *Store) ListObjects(ctx context.Context, dir string, yield func(name string, size int64) error) error {
	if err := blob.CheckDir(dir); err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	s.mu.Lock()
	all := maps.Clone(s.objects)
	s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if dir != "" && !strings.HasPrefix(name, dir+"/") {
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list objects: %w", err)
		}
		if err := yield(name, int64(len(all[name]))); err != nil {
			return err
		}
	}
	return nil
}

// DeleteObject is blob.Objects'.
func (s *Store) DeleteObject(ctx context.Context, name string) error {
	if err := checkName(ctx, name); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	return nil
}

// Create is blob.Store's.
func (s *Store) Create(ctx context.Context, alg digest.Algorithm) (blob.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	h, err := blob.NewHasher(alg)
	if err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	return &upload{store: s, hash: h}, nil
}

type upload struct {
	store *Store
	hash  *blob.Hasher
	buf   bytes.Buffer
	ended bool
}

func (u *upload) Write(p []byte) (int, error) {
	if u.ended {
		return 0, blob.ErrEnded
	}
	u.hash.Add(p)
	return u.buf.Write(p)
}

func (u *upload) Size() int64 { return u.hash.Size() }

func (u *upload) Verify(ctx context.Context, d digest.Digest) error {
	if u.ended {
		return blob.ErrEnded
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("verify %s: %w", d, err)
	}
	return u.hash.Check(ctx, d, func() io.Reader { return bytes.NewReader(u.buf.Bytes()) })
}

func (u *upload) Commit(ctx context.Context, k blob.Key) error {
	if u.ended {
		return blob.ErrEnded
	}
	defer u.end()
	if err := check(ctx, k); err != nil {
		return fmt.Errorf("commit %s: %w", k, err)
	}
	if err := u.Verify(ctx, k.Digest); err != nil {
		return fmt.Errorf("commit %s: %w", k, err)
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	u.store.blobs[k] = content{bytes: u.buf.Bytes(), modified: time.Now()}
	return nil
}

func (u *upload) Abort() error {
	u.end()
	return nil
}

func (u *upload) end() {
	u.ended = true
	u.buf = bytes.Buffer{}
}

func check(ctx context.Context, k blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.Validate()
}

func checkName(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckName(name)
}
