package blob

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// Limit returns store with uploads of more than limit bytes refused: the Write
// that would pass it stores nothing and fails with ErrTooLarge, and so does Commit
// after it. Objects are not limited. Readers and addresses are the store's own.
// A limit of 0 or less is none.
func Limit(store Store, limit int64) Store {
	if limit <= 0 {
		return store
	}
	return &limited{Store: store, limit: limit}
}

type limited struct {
	Store
	limit int64 // bytes
}

func (l *limited) Create(ctx context.Context, alg digest.Algorithm) (Upload, error) {
	u, err := l.Store.Create(ctx, alg)
	if err != nil {
		return nil, err
	}
	return &limitedUpload{Upload: u, limit: l.limit}, nil
}

// URL is that of the store, "" if it is no Locator.
func (l *limited) URL(ctx context.Context, k Key, valid time.Duration) (string, error) {
	if loc, ok := l.Store.(Locator); ok {
		return loc.URL(ctx, k, valid)
	}
	return "", nil
}

type limitedUpload struct {
	Upload
	limit int64
	over  error // set once the limit was passed
}

func (u *limitedUpload) Write(p []byte) (int, error) {
	if u.over != nil {
		return 0, u.over
	}
	if int64(len(p)) > u.limit-u.Size() {
		u.over = fmt.Errorf("more than %d bytes: %w", u.limit, ErrTooLarge)
		return 0, u.over
	}
	return u.Upload.Write(p)
}

func (u *limitedUpload) Verify(ctx context.Context, d digest.Digest) error {
	if u.over != nil {
		return u.over
	}
	return u.Upload.Verify(ctx, d)
}

func (u *limitedUpload) Commit(ctx context.Context, k Key) error {
	if u.over == nil {
		return u.Upload.Commit(ctx, k)
	}
	if err := u.Abort(); err != nil {
		return fmt.Errorf("%w, and then: %w", u.over, err)
	}
	return u.over
}
