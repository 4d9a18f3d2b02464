package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"

	"github.com/wreg-project/wreg/artifact/ref"
)

// maxIndex bounds the index.json of a layout, in bytes.
const maxIndex = 64 << 20

// Layout is an OCI image layout: a folder with oci-layout, index.json and blobs.
// Its methods may be called from many goroutines, but two processes that write
// one layout lose each other's tags.
type Layout struct {
	*oci.Store
	dir string

	writing sync.RWMutex // held shared by those who write, alone by those who tidy up
}

var _ Target = (*Layout)(nil)

// IsLayout reports whether dir holds an OCI layout.
func IsLayout(dir string) bool {
	fi, err := os.Stat(filepath.Join(dir, ocispec.ImageLayoutFile))
	return err == nil && fi.Mode().IsRegular()
}

// OpenLayout opens the layout in dir. A folder that is none is ErrNotFound, and
// stays as it is.
func OpenLayout(ctx context.Context, dir string) (*Layout, error) {
	if !IsLayout(dir) {
		return nil, fmt.Errorf("%s: %w: no OCI layout there", dir, ErrNotFound)
	}
	return CreateLayout(ctx, dir)
}

// CreateLayout opens the layout in dir, and makes one if there is none. A folder
// with other things in it is refused.
func CreateLayout(ctx context.Context, dir string) (*Layout, error) {
	if !IsLayout(dir) {
		there, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(there) > 0 {
			return nil, fmt.Errorf("%s: the folder is not empty and no OCI layout", dir)
		}
	}
	index := filepath.Join(dir, ocispec.ImageIndexFile)
	if fi, err := os.Stat(index); err == nil && fi.Size() > maxIndex {
		return nil, fmt.Errorf("%s: %w: %d bytes, more than %d", index, ErrTooLarge, fi.Size(), maxIndex)
	}
	store, err := oci.NewWithContext(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &Layout{Store: store, dir: dir}, nil
}

func (l *Layout) String() string { return "oci-layout:" + l.dir }

// Fetch opens the content of d; see Target.
func (l *Layout) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := l.Store.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	src, ok := rc.(io.ReadSeekCloser)
	if !ok {
		src = forward{rc}
	}
	return verify(src, d)
}

// Push stores content; see Target.
func (l *Layout) Push(ctx context.Context, d ocispec.Descriptor, content io.Reader) error {
	l.writing.RLock()
	err := l.Store.Push(ctx, d, content)
	l.writing.RUnlock()
	if err == nil || errors.Is(err, errdef.ErrAlreadyExists) || !l.writing.TryLock() {
		return err
	}
	defer l.writing.Unlock()
	// The store leaves the file it was writing.
	if half, globErr := filepath.Glob(filepath.Join(l.ingest(), d.Digest.Encoded()+"_*")); globErr == nil {
		for _, name := range half {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}

// ingest is where the store keeps files that it is writing.
func (l *Layout) ingest() string { return filepath.Join(l.dir, "ingest") }

// tidy removes the folder for unfinished files if nothing is in it and nobody writes.
func (l *Layout) tidy() {
	if l.writing.TryLock() {
		defer l.writing.Unlock()
		_ = os.Remove(l.ingest()) // something is in it if this fails
	}
}

// Tag points tag at d.
func (l *Layout) Tag(ctx context.Context, d ocispec.Descriptor, tag string) error {
	if err := ref.CheckTag(tag); err != nil {
		return err
	}
	return l.Store.Tag(ctx, d, tag)
}

// Tags lists tags; see Target. Names that other tools put into a layout and that
// are no tags are left out.
func (l *Layout) Tags(ctx context.Context, last string, fn func([]string) error) error {
	return l.Store.Tags(ctx, last, func(page []string) error {
		var tags []string
		for _, t := range page {
			if ref.CheckTag(t) == nil {
				tags = append(tags, t)
			}
		}
		return fn(tags)
	})
}

// Referrers lists referrers; see Target.
func (l *Layout) Referrers(ctx context.Context, d ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error {
	all, err := registry.Referrers(ctx, l.Store, d, artifactType)
	if err != nil || len(all) == 0 {
		return err
	}
	return fn(all)
}

// forward is content that can be read once.
type forward struct{ io.ReadCloser }

func (forward) Seek(int64, int) (int64, error) { return 0, errors.New("it can be read once only") }
