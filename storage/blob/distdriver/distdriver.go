// Package distdriver makes a blob.Store of a storage driver of the distribution
// registry, for the cloud storages that those drivers know.
//
// An upload is spooled to a local file, since its key is known only at Commit,
// which then writes it straight to its place: one PutContent up to
// [Options.PutLimit], a Writer above, and a Stat to see that all of it arrived. If
// that Stat fails no one knows, and the blob may be there although Commit failed.
//
//	PREFIX/blobs/ALGORITHM/HH/HEX[.GENERATION]
//	PREFIX/objects/NAME
//	PREFIX/uploads/                             only with [Staged]
//
// What a Store promises here is what the driver keeps. Distribution's filesystem
// driver does not sync the folder that a file is moved into, so the last commits
// may not survive a power failure: for a local folder use package fs.
//
// A driver that is not part of distribution's core, such as S3's, is linked by a
// build tag of its name.
package distdriver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/wreg-project/wreg/storage/blob"
)

// Placement is how bytes get under their final name.
type Placement int

// The placements.
const (
	// ByDriver is Staged for the drivers named filesystem, inmemory and azure,
	// Direct for others.
	ByDriver Placement = iota

	// Direct writes under the final name. It is for storages where an object
	// becomes visible whole, once it is complete.
	Direct

	// Staged writes under uploads/ and moves. It is for storages that show what
	// has been written so far, or that have folders which read as files.
	Staged
)

// Options of a Store. The zero value fits most drivers.
type Options struct {
	// Prefix is the folder of the storage that everything is kept in, such as
	// "/wreg"; "" is its root.
	Prefix string

	// Spool is the local folder for uploads that are not committed yet; "" is
	// os.TempDir(). It needs room for all of them at once.
	Spool string

	// PutLimit is the size, in bytes, up to which a blob or object is sent from
	// memory in one request; 0 is 16 MiB.
	PutLimit int64

	// Placement is ByDriver unless set.
	Placement Placement

	// URLValid is how long the addresses are good for that the driver presigns;
	// 0 is the 20 minutes of distribution's own drivers. For longer there are none.
	URLValid time.Duration

	// SweepAge is how old a file under uploads/ must be for Sweep to remove it.
	// Set it, to a day perhaps, if several processes share the storage.
	SweepAge time.Duration
}

const (
	defaultPutLimit = 16 << 20 // bytes
	defaultURLValid = 20 * time.Minute
)

// Store is a blob.Store over a storage driver.
type Store struct {
	driver driver.StorageDriver
	opts   Options
}

var (
	_ blob.Store   = (*Store)(nil)
	_ blob.Locator = (*Store)(nil)
)

// New returns a Store over d.
func New(d driver.StorageDriver, opts Options) *Store {
	if opts.Prefix = path.Join("/", opts.Prefix); opts.Prefix == "/" {
		opts.Prefix = ""
	}
	if opts.PutLimit == 0 {
		opts.PutLimit = defaultPutLimit
	}
	if opts.URLValid == 0 {
		opts.URLValid = defaultURLValid
	}
	if opts.Placement == ByDriver {
		opts.Placement = placementOf(d.Name())
	}
	return &Store{driver: d, opts: opts}
}

func placementOf(name string) Placement {
	switch name {
	case "filesystem", "inmemory", "azure":
		return Staged
	default:
		return Direct
	}
}

// Open is blob.Store's. The driver cannot be told where to end, so a remote one
// sends until the reader is closed.
func (s *Store) Open(ctx context.Context, k blob.Key, off, _ int64) (io.ReadCloser, error) {
	if err := check(ctx, k); err != nil {
		return nil, fmt.Errorf("open %s: %w", k, err)
	}
	if off < 0 {
		return nil, fmt.Errorf("open %s: negative offset %d", k, off)
	}
	r, err := s.driver.Reader(ctx, s.path(k), off)
	if _, past := errors.AsType[driver.InvalidOffsetError](err); past {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", k, cause(err))
	}
	return r, nil
}

// Stat is blob.Store's.
func (s *Store) Stat(ctx context.Context, k blob.Key) (blob.Info, error) {
	if err := check(ctx, k); err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", k, err)
	}
	fi, err := s.driver.Stat(ctx, s.path(k))
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", k, cause(err))
	}
	return info(k, fi), nil
}

func info(k blob.Key, fi driver.FileInfo) blob.Info {
	return blob.Info{Key: k, Size: fi.Size(), Modified: fi.ModTime()}
}

// Delete is blob.Store's.
func (s *Store) Delete(ctx context.Context, k blob.Key) error {
	if err := check(ctx, k); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	if err := s.remove(ctx, s.path(k)); err != nil {
		return fmt.Errorf("delete %s: %w", k, err)
	}
	return nil
}

// remove deletes the file at p and what would be below it.
func (s *Store) remove(ctx context.Context, p string) error {
	if err := cause(s.driver.Delete(ctx, p)); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return nil
}

// URL is a presigned address of k from the driver, "" if it has none that works
// that long.
func (s *Store) URL(ctx context.Context, k blob.Key, valid time.Duration) (string, error) {
	if err := check(ctx, k); err != nil {
		return "", fmt.Errorf("address of %s: %w", k, err)
	}
	if valid > s.opts.URLValid {
		return "", nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return "", fmt.Errorf("address of %s: %w", k, err)
	}
	u, err := s.driver.RedirectURL(req, s.path(k))
	if err != nil {
		return "", fmt.Errorf("address of %s: %w", k, cause(err))
	}
	return u, nil
}

// List is blob.Store's. Files whose names are no keys are passed over.
func (s *Store) List(ctx context.Context, yield func(blob.Info) error) error {
	root := s.opts.Prefix + "/blobs"
	err := s.walk(ctx, root, func(fi driver.FileInfo) error {
		k, ok := keyOf(strings.TrimPrefix(fi.Path(), root+"/"))
		if !ok {
			return nil
		}
		return yield(info(k, fi))
	})
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	return nil
}

// keyOf is the inverse of Key.Path.
func keyOf(p string) (blob.Key, bool) {
	alg, rest, _ := strings.Cut(p, "/")
	_, name, _ := strings.Cut(rest, "/")
	k, err := blob.ParseKey(alg + ":" + name)
	return k, err == nil && k.Path() == p
}

// Sweep is blob.Store's. What a driver keeps of unfinished uploads in a place of
// its own, such as the parts of S3, is not seen: give the bucket a lifecycle rule.
func (s *Store) Sweep(ctx context.Context) (removed int, size int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, fmt.Errorf("sweep: %w", err)
	}
	var stale []driver.FileInfo
	err = s.walk(ctx, s.uploads(), func(fi driver.FileInfo) error {
		if time.Since(fi.ModTime()) >= s.opts.SweepAge {
			stale = append(stale, fi)
		}
		return nil
	})
	errs := []error{err}
	for _, fi := range stale {
		if err := s.remove(ctx, fi.Path()); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
		size += fi.Size()
	}
	if err := errors.Join(errs...); err != nil {
		return removed, size, fmt.Errorf("sweep: %w", err)
	}
	return removed, size, nil
}

// walk calls f for every file below dir until f fails, whose error it returns as
// it is. An absent folder is empty.
func (s *Store) walk(ctx context.Context, dir string, f func(driver.FileInfo) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var stopped error // the driver would wrap it so that errors.Is is lost
	err := s.driver.Walk(ctx, dir, func(fi driver.FileInfo) error {
		if stopped == nil {
			stopped = ctx.Err()
		}
		if stopped == nil && !fi.IsDir() {
			stopped = f(fi)
		}
		if stopped != nil {
			return driver.ErrFilledBuffer
		}
		return nil
	})
	if stopped != nil {
		return stopped
	}
	if err := cause(err); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return nil
}

// path is where k lies; k must be valid.
func (s *Store) path(k blob.Key) string { return s.opts.Prefix + "/blobs/" + k.Path() }

func (s *Store) uploads() string { return s.opts.Prefix + "/uploads" }

// cause takes the driver's wrapping off, that hides what is inside from errors.Is.
func cause(err error) error {
	if _, ok := errors.AsType[driver.PathNotFoundError](err); ok {
		return blob.ErrNotFound
	}
	e, ok := errors.AsType[driver.Error](err)
	if !ok || e.Detail == nil {
		return err
	}
	if errors.Is(e.Detail, syscall.ENOTDIR) { // a path below a file
		return blob.ErrNotFound
	}
	return fmt.Errorf("%s: %w", e.DriverName, e.Detail)
}

func check(ctx context.Context, k blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.Validate()
}
