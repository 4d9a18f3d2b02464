package distdriver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

// cleanup bounds what is done after an error, when the caller's context may be
// over already.
const cleanup = 30 * time.Second

// Create is blob.Store's. The upload is a local file until its Commit.
func (s *Store) Create(ctx context.Context, alg digest.Algorithm) (blob.Upload, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	h, err := blob.NewHasher(alg)
	if err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	f, err := newSpool(s.opts.Spool)
	if err != nil {
		return nil, fmt.Errorf("create upload: %w", err)
	}
	return &upload{store: s, spool: f, hash: h}, nil
}

type upload struct {
	store *Store
	spool *spool
	hash  *blob.Hasher
	err   error // of the first write that failed, or ErrEnded
}

func (u *upload) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.spool.Write(p)
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
	return u.hash.Check(ctx, d, func() io.Reader { return u.spool.section(u.hash.Size()) })
}

func (u *upload) Commit(ctx context.Context, k blob.Key) error {
	if errors.Is(u.err, blob.ErrEnded) {
		return u.err
	}
	err := u.place(ctx, k)
	u.err = blob.ErrEnded
	if err != nil {
		err = fmt.Errorf("commit %s: %w", k, err)
	}
	return errors.Join(err, u.spool.discard())
}

func (u *upload) place(ctx context.Context, k blob.Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if err := u.Verify(ctx, k.Digest); err != nil {
		return err
	}
	return u.store.put(ctx, u.store.path(k), u.spool.section(u.hash.Size()))
}

func (u *upload) Abort() error {
	if errors.Is(u.err, blob.ErrEnded) {
		return nil
	}
	u.err = blob.ErrEnded
	return u.spool.discard()
}

// put stores r at the final path, so that it is never seen there in part.
func (s *Store) put(ctx context.Context, final string, r *io.SectionReader) error {
	to := final
	if s.opts.Placement == Staged {
		to = s.uploads() + "/" + rand.Text()
	}
	err := s.send(ctx, to, r)
	if err == nil && to != final {
		err = cause(s.driver.Move(ctx, to, final))
	}
	if err != nil && to != final {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
		defer cancel()
		err = errors.Join(err, s.remove(after, to))
	}
	return err
}

// send writes r to p and looks whether all of it is there.
func (s *Store) send(ctx context.Context, p string, r *io.SectionReader) error {
	var err error
	if r.Size() <= s.opts.PutLimit {
		err = s.sendWhole(ctx, p, r)
	} else {
		err = s.sendParts(ctx, p, r)
	}
	if err != nil {
		return err
	}
	fi, err := s.driver.Stat(ctx, p)
	if err != nil {
		return fmt.Errorf("look at what was written: %w", cause(err))
	}
	if fi.Size() == r.Size() {
		return nil
	}
	err = fmt.Errorf("%s holds %d of %d bytes: %w", s.driver.Name(), fi.Size(), r.Size(), io.ErrShortWrite)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	return errors.Join(err, s.remove(after, p))
}

func (s *Store) sendWhole(ctx context.Context, p string, r *io.SectionReader) error {
	content := make([]byte, r.Size()) // at most PutLimit
	if _, err := io.ReadFull(r, content); err != nil {
		return fmt.Errorf("read the upload back: %w", err)
	}
	return cause(s.driver.PutContent(ctx, p, content))
}

func (s *Store) sendParts(ctx context.Context, p string, r io.Reader) error {
	w, err := s.driver.Writer(ctx, p, false)
	if err != nil {
		return cause(err)
	}
	if _, err = io.Copy(w, r); err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.Commit(ctx)
	}
	if err == nil {
		return w.Close()
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	if cerr := w.Cancel(after); cerr != nil {
		return fmt.Errorf("%w, and then: %w", err, cerr)
	}
	return err
}

// spool is a local file that has no name as long as the system allows it, so that
// a crash leaves nothing behind.
type spool struct {
	*os.File
	named bool
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "wreg-upload-")
	if err != nil {
		return nil, err
	}
	return &spool{File: f, named: os.Remove(f.Name()) != nil}, nil
}

// section reads the first size bytes.
func (s *spool) section(size int64) *io.SectionReader { return io.NewSectionReader(s.File, 0, size) }

func (s *spool) discard() error {
	err := s.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.Name()))
	}
	return err
}
