package gc

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/meta"
)

var errFault = errors.New("injected fault")

// A fault fails the nth call through it that changes or reads something, and
// all after it, as a process that was killed makes no further calls.
type fault struct {
	mu    sync.Mutex
	calls int
	at    int  // 0 for never
	late  bool // the nth call itself takes effect
	once  bool // the calls after it work
}

// run makes a call.
func (f *fault) run(call func() error) error {
	f.mu.Lock()
	f.calls++
	n := f.calls
	f.mu.Unlock()
	switch {
	case f.at == 0 || n < f.at || f.once && n > f.at:
		return call()
	case n == f.at && f.late:
		if err := call(); err != nil {
			return err
		}
	}
	return errFault
}

func (f *fault) fired() bool { return f.at > 0 && f.calls >= f.at }

// faultyStore is a store whose calls may fail.
type faultyStore struct {
	blob.Store
	*fault
}

func (s faultyStore) Stat(ctx context.Context, k blob.Key) (i blob.Info, err error) {
	err = s.run(func() error { i, err = s.Store.Stat(ctx, k); return err })
	return i, err
}

func (s faultyStore) Delete(ctx context.Context, k blob.Key) error {
	return s.run(func() error { return s.Store.Delete(ctx, k) })
}

func (s faultyStore) List(ctx context.Context, yield func(blob.Info) error) error {
	return s.run(func() error { return s.Store.List(ctx, yield) })
}

func (s faultyStore) Sweep(ctx context.Context) (n int, size int64, err error) {
	err = s.run(func() error { n, size, err = s.Store.Sweep(ctx); return err })
	return n, size, err
}

func (s faultyStore) PutObject(ctx context.Context, name string, r io.Reader) error {
	return s.run(func() error { return s.Store.PutObject(ctx, name, r) })
}

func (s faultyStore) OpenObject(ctx context.Context, name string) (r io.ReadCloser, err error) {
	err = s.run(func() error { r, err = s.Store.OpenObject(ctx, name); return err })
	return r, err
}

func (s faultyStore) ListObjects(ctx context.Context, dir string, yield func(string, int64) error) error {
	return s.run(func() error { return s.Store.ListObjects(ctx, dir, yield) })
}

func (s faultyStore) DeleteObject(ctx context.Context, name string) error {
	return s.run(func() error { return s.Store.DeleteObject(ctx, name) })
}

// faultyDB is a database whose writes and journal may fail.
type faultyDB struct {
	meta.DB
	*fault
}

func (d faultyDB) Update(ctx context.Context, fn func(context.Context, meta.Tx) error) error {
	return d.run(func() error { return d.DB.Update(ctx, fn) })
}

func (d faultyDB) JournalDone(ctx context.Context, seq int64) error {
	return d.run(func() error { return d.DB.JournalDone(ctx, seq) })
}

func (d faultyDB) JournalAfter(ctx context.Context, seq int64, limit int) (e []meta.Entry, err error) {
	err = d.run(func() error { e, err = d.DB.JournalAfter(ctx, seq, limit); return err })
	return e, err
}

func (d faultyDB) JournalSequence(ctx context.Context) (written, done int64, err error) {
	err = d.run(func() error { written, done, err = d.DB.JournalSequence(ctx); return err })
	return written, done, err
}
