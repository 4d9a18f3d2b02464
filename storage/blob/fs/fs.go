// Package fs is a blob.Store in a folder of a local file system.
//
// The folder holds
//
//	blobs/ALGORITHM/HH/HEX[.GENERATION]  the blobs, HH being the first two hex digits
//	objects/NAME                         the named objects
//	uploads/                             what is being written
//	lock                                 held by the process that uses the folder
//
// An upload is written to uploads/ and hashed on the way. Its Commit syncs the
// file, renames it and syncs the folder it arrived in: two syncs, no copy. So a
// blob is whole as soon as it has its name, and after a crash only uploads/ holds
// something to throw away. All folders for blobs are made, and synced, by Open.
package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/storage/blob"
)

const (
	blobsDir   = "blobs"
	objectsDir = "objects"
	uploadsDir = "uploads"
	lockFile   = "lock"

	dirMode = 0o700
	shards  = 256 // folders of blobs for each algorithm
)

var algorithms = [...]digest.Algorithm{digest.SHA256, digest.SHA512}

// Errors of this driver, besides those of package blob.
var (
	// ErrLocked is returned by Open for a folder that another Store has open, in
	// this process or another one.
	ErrLocked = errors.New("folder is in use by another process")

	// ErrReadOnly is returned by what would change a store that was opened so.
	ErrReadOnly = errors.New("store is open for reading only")
)

// Options of a Store. The zero value is what a server wants.
type Options struct {
	// ReadOnly takes no lock, so that a folder can be read while a server uses
	// it. The folder has to exist.
	ReadOnly bool
}

// Store is a blob.Store in a folder. Its readers are of type *os.File.
type Store struct {
	dir  string
	lock *os.File // nil if read-only

	// shard holds one lock for each folder of blobs. It is held from the rename or
	// unlink until the folder is synced: a commit that fails there can take its
	// file away again, knowing that no one else relies on it.
	shard [len(algorithms) * shards]sync.Mutex

	// objects is held likewise, and while a folder for objects is made.
	objects sync.Mutex

	// Replaced by tests, to fail.
	syncData func(*os.File) error
	syncDir  func(string) error
}

var _ blob.Store = (*Store)(nil)

// Open opens the store in the folder dir, making what is missing. It fails with
// ErrLocked if the folder is in use. The caller ends its uploads and then closes
// the store.
func Open(dir string, opts Options) (*Store, error) {
	s := &Store{dir: dir, syncData: durable.SyncData, syncDir: durable.SyncDir}
	if opts.ReadOnly {
		if _, err := os.Stat(filepath.Join(dir, blobsDir)); err != nil {
			return nil, fmt.Errorf("open blob store for reading: %w", err)
		}
		return s, nil
	}
	if err := durable.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	lock, err := acquire(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("open blob store %s: %w", dir, err)
	}
	s.lock = lock
	if err := s.makeDirs(); err != nil {
		return nil, errors.Join(fmt.Errorf("open blob store: %w", err), s.Close())
	}
	return s, nil
}

// Close gives the folder free for others.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// makeDirs makes the folders of the layout and syncs each one's parent, whether
// it made something or not: an earlier start may have ended before its syncs.
func (s *Store) makeDirs() error {
	for _, d := range []string{uploadsDir, objectsDir, blobsDir} {
		if err := mkdir(filepath.Join(s.dir, d)); err != nil {
			return err
		}
	}
	for _, alg := range algorithms {
		dir := filepath.Join(s.dir, blobsDir, string(alg))
		if err := mkdir(dir); err != nil {
			return err
		}
		if err := makeShards(dir); err != nil {
			return err
		}
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{filepath.Join(s.dir, objectsDir), filepath.Join(s.dir, blobsDir), s.dir} {
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func makeShards(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) == shards {
		return nil
	}
	for i := range shards {
		if err := mkdir(filepath.Join(dir, fmt.Sprintf("%02x", i))); err != nil {
			return err
		}
	}
	return nil
}

// mkdir makes dir unless it is there.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Open is blob.Store's. The reader is an *os.File that stands at off, whatever n
// is.
func (s *Store) Open(ctx context.Context, k blob.Key, off, _ int64) (io.ReadCloser, error) {
	if err := check(ctx, k); err != nil {
		return nil, fmt.Errorf("open %s: %w", k, err)
	}
	f, err := os.Open(s.path(k))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k, absent(err))
	}
	if off == 0 {
		return f, nil
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", k, err), f.Close())
	}
	return f, nil
}

// Stat is blob.Store's.
func (s *Store) Stat(ctx context.Context, k blob.Key) (blob.Info, error) {
	if err := check(ctx, k); err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", k, err)
	}
	fi, err := os.Lstat(s.path(k))
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", k, absent(err))
	}
	return info(k, fi), nil
}

func info(k blob.Key, fi fs.FileInfo) blob.Info {
	return blob.Info{Key: k, Size: fi.Size(), Modified: fi.ModTime()}
}

// Delete is blob.Store's. It syncs the folder even if k is absent, since the
// caller may be trying again after a sync that failed.
func (s *Store) Delete(ctx context.Context, k blob.Key) error {
	if err := s.checkChange(ctx); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	if err := k.Validate(); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	mu := s.shardOf(k)
	mu.Lock()
	defer mu.Unlock()
	path := s.path(k)
	if err := unlink(path); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	if err := s.syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	return nil
}

// Sweep is blob.Store's: it empties uploads/. A file there that cannot be removed
// does not keep it from the others.
func (s *Store) Sweep(ctx context.Context) (removed int, size int64, err error) {
	if err := s.checkChange(ctx); err != nil {
		return 0, 0, fmt.Errorf("sweep: %w", err)
	}
	var errs []error
	err = eachEntry(ctx, filepath.Join(s.dir, uploadsDir), func(path string, e fs.DirEntry) error {
		fi, err := e.Info()
		if err == nil {
			err = unlink(path)
		}
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		removed++
		size += fi.Size()
		return nil
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return removed, size, fmt.Errorf("sweep: %w", err)
	}
	return removed, size, nil
}

// path is where k lies; k must be valid.
func (s *Store) path(k blob.Key) string {
	return filepath.Join(s.dir, blobsDir, filepath.FromSlash(k.Path()))
}

// shardOf is the lock of k's folder; k must be valid.
func (s *Store) shardOf(k blob.Key) *sync.Mutex {
	hex := k.Digest.Encoded()
	i := int(nibble(hex[0]))<<4 | int(nibble(hex[1]))
	if k.Digest.Algorithm() == digest.SHA512 {
		i += shards
	}
	return &s.shard[i]
}

// nibble is the value of a lower case hex digit.
func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func check(ctx context.Context, k blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.Validate()
}

func (s *Store) checkChange(ctx context.Context) error {
	if s.lock == nil {
		return ErrReadOnly
	}
	return ctx.Err()
}
