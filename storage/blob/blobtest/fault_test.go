package blobtest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/blobtest"
	"github.com/wreg-project/wreg/storage/blob/mem"
)

var errFault = errors.New("fault")

func TestFaultsKeepTheContract(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blobtest.NewFaults(mem.New()) })
}

// calls makes one call of each op, on a store that holds key and object "a", and
// returns its error.
func calls(ctx context.Context, f *blobtest.Faults, k blob.Key) map[blobtest.Op]func() error {
	upload := func(call func(blob.Upload) error) func() error {
		return func() error {
			u, err := f.Create(ctx, digest.SHA256)
			if err != nil {
				return err
			}
			return errors.Join(call(u), u.Abort())
		}
	}
	added := blob.Key{Digest: digest.FromString(""), Generation: 9}
	return map[blobtest.Op]func() error{
		blobtest.OpOpen: func() error { _, err := f.Open(ctx, k, 0, -1); return err },
		blobtest.OpRead: func() error {
			r, err := f.Open(ctx, k, 0, -1)
			if err == nil {
				_, err = r.Read(make([]byte, 1))
			}
			return err
		},
		blobtest.OpStat:         func() error { _, err := f.Stat(ctx, k); return err },
		blobtest.OpDelete:       func() error { return f.Delete(ctx, added) },
		blobtest.OpList:         func() error { return f.List(ctx, func(blob.Info) error { return nil }) },
		blobtest.OpSweep:        func() error { _, _, err := f.Sweep(ctx); return err },
		blobtest.OpURL:          func() error { _, err := f.URL(ctx, k, 0); return err },
		blobtest.OpCreate:       upload(func(blob.Upload) error { return nil }),
		blobtest.OpWrite:        upload(func(u blob.Upload) error { _, err := u.Write([]byte("x")); return err }),
		blobtest.OpVerify:       upload(func(u blob.Upload) error { return u.Verify(ctx, added.Digest) }),
		blobtest.OpCommit:       upload(func(u blob.Upload) error { return u.Commit(ctx, added) }),
		blobtest.OpSync:         upload(func(u blob.Upload) error { return u.Commit(ctx, added) }),
		blobtest.OpAbort:        upload(func(blob.Upload) error { return nil }),
		blobtest.OpPutObject:    func() error { return f.PutObject(ctx, "b", strings.NewReader("x")) },
		blobtest.OpOpenObject:   func() error { _, err := f.OpenObject(ctx, "a"); return err },
		blobtest.OpListObjects:  func() error { return f.ListObjects(ctx, "", func(string, int64) error { return nil }) },
		blobtest.OpDeleteObject: func() error { return f.DeleteObject(ctx, "b") },
	}
}

func TestFaultsFailAtTheNthCall(t *testing.T) {
	for op := range calls(t.Context(), nil, blob.Key{}) {
		t.Run(string(op), func(t *testing.T) {
			f := blobtest.NewFaults(mem.New())
			k := blobtest.Put(t, f, []byte("content"))
			if err := f.PutObject(t.Context(), "a", strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			call := calls(t.Context(), f, k)[op]
			f.Fail(op, 2, errFault)
			before := f.Count(op)
			for n, want := range []error{nil, errFault, nil} {
				if err := call(); !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("call %d of %s = %v; want %v", n+1, op, err, want)
				}
			}
			if got := f.Count(op) - before; got != 3 {
				t.Errorf("Count(%s) grew by %d after 3 calls", op, got)
			}
			f.FailFrom(op, 2, errFault)
			for n, want := range []error{nil, errFault, errFault} {
				if err := call(); !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("call %d of %s after FailFrom = %v; want %v", n+1, op, err, want)
				}
			}
			f.Heal()
			if err := call(); err != nil {
				t.Errorf("%s after Heal = %v", op, err)
			}
		})
	}
}

func TestFaultyUploads(t *testing.T) {
	tests := []struct {
		name   string
		op     blobtest.Op
		stored bool
	}{
		{name: "a failed write loses the upload", op: blobtest.OpWrite},
		{name: "a failed commit stores nothing", op: blobtest.OpCommit},
		{name: "a failed sync stores the blob and says it did not", op: blobtest.OpSync, stored: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := blobtest.NewFaults(mem.New())
			f.Fail(tt.op, 1, errFault)
			u, err := f.Create(t.Context(), digest.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			_, werr := u.Write([]byte("content"))
			k := blob.Key{Digest: digest.FromString("content")}
			if err := errors.Join(werr, u.Commit(t.Context(), k)); !errors.Is(err, errFault) {
				t.Errorf("Write and Commit = %v; want %v", err, errFault)
			}
			if _, err := f.Stat(t.Context(), k); (err == nil) != tt.stored {
				t.Errorf("Stat = %v; want the blob stored: %t", err, tt.stored)
			}
			if err := u.Abort(); err != nil {
				t.Errorf("Abort = %v", err)
			}
		})
	}
}

func TestFaultyReader(t *testing.T) {
	f := blobtest.NewFaults(mem.New())
	k := blobtest.Put(t, f, []byte("content"))
	f.Fail(blobtest.OpRead, 2, errFault)
	r, err := f.Open(t.Context(), k, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 3)); n != 3 || err != nil {
		t.Errorf("first Read = %d, %v; want 3 bytes", n, err)
	}
	if rest, err := io.ReadAll(r); len(rest) != 0 || !errors.Is(err, errFault) {
		t.Errorf("second Read = %q, %v; want %v", rest, err, errFault)
	}
}
