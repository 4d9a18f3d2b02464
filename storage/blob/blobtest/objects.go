package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

func (f fixture) putObject(name, content string) {
	f.Helper()
	if err := f.store.PutObject(f.Context(), name, strings.NewReader(content)); err != nil {
		f.Fatalf("PutObject(%q): %v", name, err)
	}
}

func (f fixture) wantObject(name, want string) {
	f.Helper()
	r, err := f.store.OpenObject(f.Context(), name)
	if err != nil {
		f.Errorf("OpenObject(%q): %v", name, err)
		return
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		f.Errorf("OpenObject(%q) reads %.60q, %v; want %.60q", name, got, err, want)
	}
}

func (f fixture) wantNoObject(name string) {
	f.Helper()
	if r, err := f.store.OpenObject(f.Context(), name); !errors.Is(err, blob.ErrNotFound) {
		f.Errorf("OpenObject(%q) = %v, %v; want %v", name, r, err, blob.ErrNotFound)
	}
}

type object struct {
	Name string
	Size int64
}

func (f fixture) wantObjects(dir string, want ...object) {
	f.Helper()
	var got []object
	if err := f.store.ListObjects(f.Context(), dir, func(name string, size int64) error {
		got = append(got, object{name, size})
		return nil
	}); err != nil {
		f.Errorf("ListObjects(%q): %v", dir, err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("ListObjects(%q) (-want +got):\n%s", dir, diff)
	}
}

var invalidNames = []string{
	"", "/", ".", "..", "../x", "a/../b", "a/..", "./a", "/a", "a/", "a//b", "a\x00b", "a\\b", "A", "a_b", "a b", "ä", "a\n",
	strings.Repeat("a", 201), strings.Repeat("a/", 450) + "a",
}

var objectTests = []test{
	{"an object reads as it was put", func(f fixture) {
		big := string(Random(3_000_000, 9))
		for name, content := range map[string]string{
			"a": "x", "journal/00000000000000000042": "", "a.b-c/d..e/0": "y", "big": big, strings.Repeat("n", 200): "z",
		} {
			f.putObject(name, content)
			f.wantObject(name, content)
		}
	}},
	{"an object is replaced whole", func(f fixture) {
		f.putObject("a/b", "the earlier, longer content")
		f.putObject("a/b", "short")
		f.wantObject("a/b", "short")
		f.wantObjects("", object{"a/b", 5})
	}},
	{"a reader that fails leaves the earlier object", func(f fixture) {
		f.putObject("a/b", "earlier")
		fails := errors.New("no more")
		for _, name := range []string{"a/b", "a/new", "new/new"} {
			r := io.MultiReader(bytes.NewReader(Random(100_000, 10)), iotest.ErrReader(fails))
			f.wantErr(fmt.Sprintf("PutObject(%q)", name), f.store.PutObject(f.Context(), name, r), fails)
		}
		f.wantObject("a/b", "earlier")
		f.wantNoObject("a/new")
		f.wantObjects("", object{"a/b", 7})
	}},
	{"an open object is not changed by its replacement", func(f fixture) {
		f.putObject("a", "earlier")
		r, err := f.store.OpenObject(f.Context(), "a")
		if err != nil {
			f.Fatalf("OpenObject: %v", err)
		}
		defer r.Close()
		f.putObject("a", "later!!")
		if got, err := io.ReadAll(r); err != nil || string(got) != "earlier" {
			f.Errorf("a reader from before reads %q, %v; want %q", got, err, "earlier")
		}
	}},
	{"an object put by many at once is one of theirs", func(f fixture) {
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				content := bytes.Repeat([]byte{byte('a' + i)}, 10_000+i)
				errs[i] = f.store.PutObject(f.Context(), "new/folder/object", bytes.NewReader(content))
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			f.Fatalf("PutObject: %v", err)
		}
		r, err := f.store.OpenObject(f.Context(), "new/folder/object")
		if err != nil {
			f.Fatalf("OpenObject: %v", err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil || len(got) < 10_000 || !bytes.Equal(got, bytes.Repeat(got[:1], 10_000+int(got[0]-'a'))) {
			f.Errorf("the object is %d bytes of a mixture, %v", len(got), err)
		}
	}},
	{"an absent object is ErrNotFound", func(f fixture) {
		f.putObject("folder/object", "x")
		for _, name := range []string{"absent", "folder", "folder/absent", "folder/object/below", "absent/object"} {
			f.wantNoObject(name)
		}
	}},
	{"objects are listed in byte order of their names", func(f fixture) {
		want := []object{{"a-b", 1}, {"a.b", 2}, {"a/b-", 3}, {"a/b/c", 4}, {"a/b0", 5}, {"a0", 6}, {"b", 7}}
		for i := range want { // in another order
			o := want[(i*3)%len(want)]
			f.putObject(o.Name, strings.Repeat("x", int(o.Size)))
		}
		f.wantObjects("", want...)
		f.wantObjects("a", want[2:5]...)
		f.wantObjects("a/b", want[3])
		f.wantObjects("absent")
		f.wantObjects("absent/absent")
		f.wantObjects("b")
	}},
	{"every object is listed", func(f fixture) {
		var want []object
		for i := range 300 {
			name := fmt.Sprintf("journal/%020d", i)
			want = append(want, object{name, 1})
			f.putObject(name, "x")
		}
		f.put([]byte("no object"), 0)
		f.wantObjects("journal", want...)
	}},
	{"ListObjects ends with the error of yield", func(f fixture) {
		for _, name := range []string{"a", "b/c", "d"} {
			f.putObject(name, "x")
		}
		stop, calls := errors.New("stop"), 0
		err := f.store.ListObjects(f.Context(), "", func(string, int64) error {
			if calls++; calls == 2 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || calls != 2 {
			f.Errorf("ListObjects = %v after %d calls; want %v after 2", err, calls, stop)
		}
	}},
	{"DeleteObject removes one object", func(f fixture) {
		f.putObject("a/b", "x")
		f.putObject("a/bc", "y")
		for _, name := range []string{"a/b", "a/b", "absent/b", "a/bc/d", "a"} { // "a" is a folder: absent as an object
			f.wantErr(fmt.Sprintf("DeleteObject(%q)", name), f.store.DeleteObject(f.Context(), name), nil)
		}
		f.wantNoObject("a/b")
		f.wantObject("a/bc", "y")
		f.wantErr("DeleteObject of the last", f.store.DeleteObject(f.Context(), "a/bc"), nil)
		f.wantErr("DeleteObject of an empty folder", f.store.DeleteObject(f.Context(), "a"), nil)
		f.wantObjects("")
		f.putObject("a/b", "back")
		f.wantObject("a/b", "back")
	}},
	{"a bad name is refused", func(f fixture) {
		for _, name := range invalidNames {
			f.wantErr(fmt.Sprintf("PutObject(%.20q)", name), f.store.PutObject(f.Context(), name, strings.NewReader("x")), blob.ErrName)
			_, err := f.store.OpenObject(f.Context(), name)
			f.wantErr(fmt.Sprintf("OpenObject(%.20q)", name), err, blob.ErrName)
			f.wantErr(fmt.Sprintf("DeleteObject(%.20q)", name), f.store.DeleteObject(f.Context(), name), blob.ErrName)
			if name == "" {
				continue // the folder of all
			}
			err = f.store.ListObjects(f.Context(), name, func(string, int64) error { return nil })
			f.wantErr(fmt.Sprintf("ListObjects(%.20q)", name), err, blob.ErrName)
		}
		f.wantObjects("")
	}},
}

var contextTests = []test{
	{"an ended context ends every call", func(f fixture) {
		k := f.put([]byte("content"), 0)
		f.putObject("a", "x")
		u, v := f.start(digest.SHA256, []byte("new")), f.start(digest.SHA256, []byte("new"))
		added := blob.Key{Digest: digest.FromString("new")}
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		for call, run := range map[string]func() error{
			"Open":         func() error { _, err := f.store.Open(ctx, k, 0, -1); return err },
			"Create":       func() error { _, err := f.store.Create(ctx, digest.SHA256); return err },
			"Stat":         func() error { _, err := f.store.Stat(ctx, k); return err },
			"Delete":       func() error { return f.store.Delete(ctx, k) },
			"List":         func() error { return f.store.List(ctx, func(blob.Info) error { return nil }) },
			"Sweep":        func() error { _, _, err := f.store.Sweep(ctx); return err },
			"PutObject":    func() error { return f.store.PutObject(ctx, "a", strings.NewReader("y")) },
			"OpenObject":   func() error { _, err := f.store.OpenObject(ctx, "a"); return err },
			"ListObjects":  func() error { return f.store.ListObjects(ctx, "", func(string, int64) error { return nil }) },
			"DeleteObject": func() error { return f.store.DeleteObject(ctx, "a") },
			"Verify":       func() error { return v.Verify(ctx, added.Digest) },
			"Commit":       func() error { return u.Commit(ctx, added) },
		} {
			f.wantErr(call, run(), context.Canceled)
		}
		f.wantErr("Verify with another context", v.Verify(f.Context(), added.Digest), nil)
		f.wantErr("Commit with another context", u.Commit(f.Context(), added), blob.ErrEnded)
		f.wantAbsent(added)
		f.wantBlob(k, []byte("content"))
		f.wantObject("a", "x")
	}},
	{"List ends when the context does", func(f fixture) {
		for i := range 5 {
			f.put([]byte{byte(i)}, 0)
			f.putObject(fmt.Sprintf("a/%d", i), "x")
		}
		ctx, cancel := context.WithCancel(f.Context())
		f.wantErr("List", f.store.List(ctx, func(blob.Info) error { cancel(); return nil }), context.Canceled)
		ctx, cancel = context.WithCancel(f.Context())
		f.wantErr("ListObjects", f.store.ListObjects(ctx, "", func(string, int64) error { cancel(); return nil }), context.Canceled)
	}},
	{"PutObject whose context ends while it reads leaves the earlier object", func(f fixture) {
		f.putObject("a", "earlier")
		ctx, cancel := context.WithCancel(f.Context())
		r := io.MultiReader(strings.NewReader("la"), readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }))
		f.wantErr("PutObject", f.store.PutObject(ctx, "a", r), context.Canceled)
		f.wantObject("a", "earlier")
	}},
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }
