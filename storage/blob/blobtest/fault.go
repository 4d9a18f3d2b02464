package blobtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

// Op names a call that can fail.
type Op string

// The calls of a store, its uploads and its readers.
const (
	OpOpen         Op = "open"
	OpRead         Op = "read" // of a reader of Open or OpenObject, opened while a fault of it was set
	OpStat         Op = "stat"
	OpDelete       Op = "delete"
	OpList         Op = "list"
	OpSweep        Op = "sweep"
	OpURL          Op = "url"
	OpCreate       Op = "create"
	OpWrite        Op = "write"
	OpVerify       Op = "verify"
	OpCommit       Op = "commit" // fails before anything is stored
	OpSync         Op = "sync"   // Commit or PutObject has stored the bytes, but its caller is told that it failed
	OpAbort        Op = "abort"
	OpPutObject    Op = "putobject" // fails before anything is stored
	OpOpenObject   Op = "openobject"
	OpListObjects  Op = "listobjects"
	OpDeleteObject Op = "deleteobject"
)

// Faults is a store that counts calls and fails at those it was told to. Without
// faults it is the store it wraps, readers included. Its methods are safe for
// concurrent use.
type Faults struct {
	store blob.Store

	mu     sync.Mutex
	counts map[Op]int
	faults []fault
}

// fault is due at call number first of op, and unless once at all after it.
type fault struct {
	op    Op
	first int
	once  bool
	err   error
}

var (
	_ blob.Store   = (*Faults)(nil)
	_ blob.Locator = (*Faults)(nil)
)

// NewFaults wraps store.
func NewFaults(store blob.Store) *Faults {
	return &Faults{store: store, counts: make(map[Op]int)}
}

// Fail makes the nth call of op from now on, 1 being the next, fail with err, once.
func (f *Faults) Fail(op Op, nth int, err error) { f.add(op, nth, true, err) }

// FailFrom makes the nth call of op from now on, 1 being the next, and every later
// one fail with err: a disk that is full stays so.
func (f *Faults) FailFrom(op Op, nth int, err error) { f.add(op, nth, false, err) }

func (f *Faults) add(op Op, nth int, once bool, err error) {
	if nth < 1 || err == nil {
		panic(fmt.Sprintf("blobtest: fault at call %d of %s with error %v", nth, op, err))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault{op, f.counts[op] + nth, once, err})
}

// Heal takes all faults away. The counters stay.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Count is how often op was called, failed calls included. Reads are counted only
// while a fault of OpRead is set.
func (f *Faults) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

// call counts op and returns the error it should fail with.
func (f *Faults) call(op Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[op]++
	n := f.counts[op]
	for _, ft := range f.faults {
		if ft.op == op && (n == ft.first || n > ft.first && !ft.once) {
			return ft.err
		}
	}
	return nil
}

// reader wraps r only if reads may have to fail: else an *os.File stays one.
func (f *Faults) reader(r io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ft := range f.faults {
		if ft.op == OpRead {
			return &faultyReader{r, f}, nil
		}
	}
	return r, nil
}

type faultyReader struct {
	io.ReadCloser
	f *Faults
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if err := r.f.call(OpRead); err != nil {
		return 0, err
	}
	return r.ReadCloser.Read(p)
}

// Open is blob.Store's.
func (f *Faults) Open(ctx context.Context, k blob.Key, off, n int64) (io.ReadCloser, error) {
	if err := f.call(OpOpen); err != nil {
		return nil, err
	}
	return f.reader(f.store.Open(ctx, k, off, n))
}

// Stat is blob.Store's.
func (f *Faults) Stat(ctx context.Context, k blob.Key) (blob.Info, error) {
	if err := f.call(OpStat); err != nil {
		return blob.Info{}, err
	}
	return f.store.Stat(ctx, k)
}

// Delete is blob.Store's.
func (f *Faults) Delete(ctx context.Context, k blob.Key) error {
	if err := f.call(OpDelete); err != nil {
		return err
	}
	return f.store.Delete(ctx, k)
}

// List is blob.Store's.
func (f *Faults) List(ctx context.Context, yield func(blob.Info) error) error {
	if err := f.call(OpList); err != nil {
		return err
	}
	return f.store.List(ctx, yield)
}

// Sweep is blob.Store's.
func (f *Faults) Sweep(ctx context.Context) (removed int, size int64, err error) {
	if err := f.call(OpSweep); err != nil {
		return 0, 0, err
	}
	return f.store.Sweep(ctx)
}

// URL is that of the store, "" if it is no Locator.
func (f *Faults) URL(ctx context.Context, k blob.Key, valid time.Duration) (string, error) {
	if err := f.call(OpURL); err != nil {
		return "", err
	}
	if l, ok := f.store.(blob.Locator); ok {
		return l.URL(ctx, k, valid)
	}
	return "", nil
}

// PutObject is blob.Objects'.
func (f *Faults) PutObject(ctx context.Context, name string, r io.Reader) error {
	if err := f.call(OpPutObject); err != nil {
		return err
	}
	if err := f.store.PutObject(ctx, name, r); err != nil {
		return err
	}
	return f.call(OpSync)
}

// OpenObject is blob.Objects'.
func (f *Faults) OpenObject(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := f.call(OpOpenObject); err != nil {
		return nil, err
	}
	return f.reader(f.store.OpenObject(ctx, name))
}

// ListObjects is blob.Objects'.
func (f *Faults) ListObjects(ctx context.Context, dir string, yield func(name string, size int64) error) error {
	if err := f.call(OpListObjects); err != nil {
		return err
	}
	return f.store.ListObjects(ctx, dir, yield)
}

// DeleteObject is blob.Objects'.
func (f *Faults) DeleteObject(ctx context.Context, name string) error {
	if err := f.call(OpDeleteObject); err != nil {
		return err
	}
	return f.store.DeleteObject(ctx, name)
}

// Create is blob.Store's.
func (f *Faults) Create(ctx context.Context, alg digest.Algorithm) (blob.Upload, error) {
	if err := f.call(OpCreate); err != nil {
		return nil, err
	}
	u, err := f.store.Create(ctx, alg)
	if err != nil {
		return nil, err
	}
	return &faultyUpload{Upload: u, f: f}, nil
}

type faultyUpload struct {
	blob.Upload
	f    *Faults
	dead error // of the write that failed here
}

func (u *faultyUpload) Write(p []byte) (int, error) {
	err := u.f.call(OpWrite)
	if u.dead != nil {
		return 0, u.dead
	}
	if err != nil {
		u.dead = err
		return 0, err
	}
	return u.Upload.Write(p)
}

func (u *faultyUpload) Verify(ctx context.Context, d digest.Digest) error {
	err := u.f.call(OpVerify)
	if u.dead != nil {
		return u.dead
	}
	if err != nil {
		return err
	}
	return u.Upload.Verify(ctx, d)
}

func (u *faultyUpload) Commit(ctx context.Context, k blob.Key) error {
	err := u.f.call(OpCommit)
	if u.dead != nil {
		err = u.dead
	}
	if err != nil {
		return errors.Join(err, u.Upload.Abort())
	}
	if err := u.Upload.Commit(ctx, k); err != nil {
		return err
	}
	return u.f.call(OpSync)
}

// Abort forgets the bytes even when it fails.
func (u *faultyUpload) Abort() error {
	return errors.Join(u.f.call(OpAbort), u.Upload.Abort())
}
