// Package blobtest is the contract of blob.Store as a test, and a store that
// fails when told to.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

// Run checks every sentence of the contract of blob.Store. open returns a new,
// empty store and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, group := range [][]test{uploadTests, readTests, removeTests, objectTests, contextTests} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				tt.run(fixture{t, open(t)})
			})
		}
	}
}

type test struct {
	name string
	run  func(fixture)
}

// fixture is a store with the steps that the tests share. Its methods end the
// test when something other than the thing under test goes wrong.
type fixture struct {
	*testing.T
	store blob.Store
}

// Random returns n bytes, the same for the same n and seed.
func Random(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), seed))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Put stores content under its SHA-256 and returns the key.
func Put(t testing.TB, s blob.Store, content []byte) blob.Key {
	t.Helper()
	k := blob.Key{Digest: digest.FromBytes(content)}
	u := start(t, s, digest.SHA256, content)
	if err := u.Commit(t.Context(), k); err != nil {
		t.Fatalf("Commit(%s): %v", k, err)
	}
	return k
}

func start(t testing.TB, s blob.Store, alg digest.Algorithm, content []byte) blob.Upload {
	t.Helper()
	u, err := s.Create(t.Context(), alg)
	if err != nil {
		t.Fatalf("Create(%s): %v", alg, err)
	}
	t.Cleanup(func() {
		if err := u.Abort(); err != nil {
			t.Errorf("Abort at the end: %v", err)
		}
	})
	for part := range slices.Chunk(content, 1000) {
		if n, err := u.Write(part); n != len(part) || err != nil {
			t.Fatalf("Write(%d bytes) = %d, %v", len(part), n, err)
		}
	}
	return u
}

func (f fixture) start(alg digest.Algorithm, content []byte) blob.Upload {
	f.Helper()
	return start(f.T, f.store, alg, content)
}

func (f fixture) put(content []byte, generation int64) blob.Key {
	f.Helper()
	k := blob.Key{Digest: digest.FromBytes(content), Generation: generation}
	if err := f.start(digest.SHA256, content).Commit(f.Context(), k); err != nil {
		f.Fatalf("Commit(%s): %v", k, err)
	}
	return k
}

func (f fixture) read(k blob.Key, off, n int64) []byte {
	f.Helper()
	r, err := f.store.Open(f.Context(), k, off, n)
	if err != nil {
		f.Fatalf("Open(%s, %d, %d): %v", k, off, n, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		f.Fatalf("read %s from %d: %v", k, off, err)
	}
	if err := r.Close(); err != nil {
		f.Fatalf("close %s: %v", k, err)
	}
	return b
}

func (f fixture) wantBlob(k blob.Key, want []byte) {
	f.Helper()
	if got := f.read(k, 0, -1); !bytes.Equal(got, want) {
		f.Errorf("Open(%s) gives %d bytes; want the %d bytes that were written", k, len(got), len(want))
	}
	info, err := f.store.Stat(f.Context(), k)
	if err != nil || info.Key != k || info.Size != int64(len(want)) {
		f.Errorf("Stat(%s) = %+v, %v; want that key and %d bytes", k, info, err, len(want))
	}
}

func (f fixture) wantAbsent(k blob.Key) {
	f.Helper()
	if r, err := f.store.Open(f.Context(), k, 0, -1); !errors.Is(err, blob.ErrNotFound) {
		f.Errorf("Open(%s) = %v, %v; want %v", k, r, err, blob.ErrNotFound)
	}
	if info, err := f.store.Stat(f.Context(), k); !errors.Is(err, blob.ErrNotFound) {
		f.Errorf("Stat(%s) = %+v, %v; want %v", k, info, err, blob.ErrNotFound)
	}
}

func (f fixture) list() []blob.Key {
	f.Helper()
	var keys []blob.Key
	if err := f.store.List(f.Context(), func(i blob.Info) error {
		keys = append(keys, i.Key)
		return nil
	}); err != nil {
		f.Fatalf("List: %v", err)
	}
	return sorted(keys)
}

func (f fixture) wantList(want ...blob.Key) {
	f.Helper()
	if diff := cmp.Diff(sorted(want), f.list()); diff != "" {
		f.Errorf("List (-want +got):\n%s", diff)
	}
}

func sorted(keys []blob.Key) []blob.Key {
	keys = append([]blob.Key{}, keys...)
	slices.SortFunc(keys, func(a, b blob.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

func (f fixture) wantErr(call string, got, want error) {
	f.Helper()
	if !errors.Is(got, want) {
		f.Errorf("%s = %v; want %v", call, got, want)
	}
}

var uploadTests = []test{
	{"a committed blob is there", func(f fixture) {
		for _, size := range []int{0, 1, 999, 1000, 1001, 300_000} {
			content := Random(size, 1)
			f.wantBlob(f.put(content, 0), content)
		}
	}},
	{"a blob has a time", func(f fixture) {
		before := time.Now()
		info, err := f.store.Stat(f.Context(), f.put([]byte("x"), 0))
		if err != nil || info.Modified.Before(before.Add(-time.Hour)) || info.Modified.After(time.Now().Add(time.Hour)) {
			f.Errorf("Stat = %+v, %v; want about %v", info, err, before)
		}
	}},
	{"a blob by sha512", func(f fixture) {
		content := Random(5000, 2)
		k := blob.Key{Digest: digest.SHA512.FromBytes(content)}
		if err := f.start(digest.SHA512, content).Commit(f.Context(), k); err != nil {
			f.Fatalf("Commit(%s): %v", k, err)
		}
		f.wantBlob(k, content)
		f.wantAbsent(blob.Key{Digest: digest.FromBytes(content)})
	}},
	{"a digest of the other algorithm", func(f fixture) {
		for _, algs := range [][2]digest.Algorithm{{digest.SHA256, digest.SHA512}, {digest.SHA512, digest.SHA256}} {
			content := Random(600_000, 3)
			k := blob.Key{Digest: algs[1].FromBytes(content)}
			if err := f.start(algs[0], content).Commit(f.Context(), k); err != nil {
				f.Fatalf("%s after Create(%s): Commit(%s): %v", algs[1], algs[0], k, err)
			}
			f.wantBlob(k, content)
		}
	}},
	{"a wrong digest of the other algorithm keeps nothing", func(f fixture) {
		k := blob.Key{Digest: digest.SHA512.FromString("other")}
		f.wantErr("Commit", f.start(digest.SHA256, []byte("content")).Commit(f.Context(), k), blob.ErrDigest)
		f.wantAbsent(k)
		f.wantList()
	}},
	{"a wrong digest keeps nothing and ends the upload", func(f fixture) {
		u := f.start(digest.SHA256, []byte("content"))
		wrong, right := blob.Key{Digest: digest.FromString("other")}, blob.Key{Digest: digest.FromString("content")}
		f.wantErr("Commit with a wrong digest", u.Commit(f.Context(), wrong), blob.ErrDigest)
		f.wantAbsent(wrong)
		f.wantErr("Commit once more", u.Commit(f.Context(), right), blob.ErrEnded)
		f.wantAbsent(right)
		f.wantErr("Abort", u.Abort(), nil)
		f.wantList()
	}},
	{"a wrong digest leaves the blob of that digest alone", func(f fixture) {
		k := f.put([]byte("content"), 0)
		f.wantErr("Commit", f.start(digest.SHA256, []byte("forged!")).Commit(f.Context(), k), blob.ErrDigest)
		f.wantBlob(k, []byte("content"))
	}},
	{"an invalid key keeps nothing", func(f fixture) {
		for _, k := range invalidKeys {
			f.wantErr(fmt.Sprintf("Commit(%q)", k), f.start(digest.SHA256, nil).Commit(f.Context(), k), blob.ErrKey)
		}
		f.wantList()
	}},
	{"an unknown algorithm is refused", func(f fixture) {
		for _, alg := range []digest.Algorithm{"", "md5", digest.SHA384, "SHA256", "../sha256"} {
			_, err := f.store.Create(f.Context(), alg)
			f.wantErr(fmt.Sprintf("Create(%q)", alg), err, blob.ErrKey)
		}
	}},
	{"nothing is visible before Commit", func(f fixture) {
		u := f.start(digest.SHA256, []byte("content"))
		f.wantAbsent(blob.Key{Digest: digest.FromString("content")})
		f.wantList()
		f.wantErr("Abort", u.Abort(), nil)
	}},
	{"Abort forgets the bytes", func(f fixture) {
		u := f.start(digest.SHA256, []byte("content"))
		f.wantErr("Abort", u.Abort(), nil)
		f.wantErr("Abort again", u.Abort(), nil)
		f.wantList()
		k := blob.Key{Digest: digest.FromString("content")}
		f.wantErr("Commit after Abort", u.Commit(f.Context(), k), blob.ErrEnded)
		f.wantErr("Verify after Abort", u.Verify(f.Context(), k.Digest), blob.ErrEnded)
		_, err := u.Write([]byte("x"))
		f.wantErr("Write after Abort", err, blob.ErrEnded)
		f.wantAbsent(k)
	}},
	{"Abort after Commit does nothing", func(f fixture) {
		u := f.start(digest.SHA256, []byte("content"))
		k := blob.Key{Digest: digest.FromString("content")}
		f.wantErr("Commit", u.Commit(f.Context(), k), nil)
		f.wantErr("Abort", u.Abort(), nil)
		f.wantErr("Commit again", u.Commit(f.Context(), k), blob.ErrEnded)
		_, err := u.Write([]byte("x"))
		f.wantErr("Write after Commit", err, blob.ErrEnded)
		f.wantBlob(k, []byte("content"))
	}},
	{"Size counts the bytes", func(f fixture) {
		u := f.start(digest.SHA256, nil)
		for i := range int64(3) {
			if got := u.Size(); got != i*7 {
				f.Errorf("Size after %d writes = %d; want %d", i, got, i*7)
			}
			if n, err := u.Write([]byte("content")); n != 7 || err != nil {
				f.Fatalf("Write = %d, %v", n, err)
			}
		}
	}},
	{"Verify tells right from wrong and stores nothing", func(f fixture) {
		u := f.start(digest.SHA256, []byte("content"))
		f.wantErr("Verify of the right digest", u.Verify(f.Context(), digest.FromString("content")), nil)
		f.wantErr("Verify of the right sha512", u.Verify(f.Context(), digest.SHA512.FromString("content")), nil)
		f.wantErr("Verify of a wrong digest", u.Verify(f.Context(), digest.FromString("other")), blob.ErrDigest)
		f.wantErr("Verify of a wrong sha512", u.Verify(f.Context(), digest.SHA512.FromString("other")), blob.ErrDigest)
		f.wantErr("Verify of no digest", u.Verify(f.Context(), "sha256:../x"), blob.ErrKey)
		f.wantList()
	}},
	{"Verify does not end the upload", func(f fixture) {
		u := f.start(digest.SHA256, []byte("con"))
		for _, d := range []digest.Digest{digest.FromString("con"), digest.SHA512.FromString("con")} {
			f.wantErr("Verify", u.Verify(f.Context(), d), nil)
		}
		if _, err := u.Write([]byte("tent")); err != nil {
			f.Fatalf("Write after Verify: %v", err)
		}
		k := blob.Key{Digest: digest.FromString("content")}
		f.wantErr("Commit", u.Commit(f.Context(), k), nil)
		f.wantBlob(k, []byte("content"))
	}},
	{"the upload outlives the context of Create", func(f fixture) {
		ctx, cancel := context.WithCancel(f.Context())
		u, err := f.store.Create(ctx, digest.SHA256)
		if err != nil {
			f.Fatalf("Create: %v", err)
		}
		cancel()
		if _, err := u.Write([]byte("content")); err != nil {
			f.Fatalf("Write: %v", err)
		}
		k := blob.Key{Digest: digest.FromString("content")}
		f.wantErr("Commit", u.Commit(f.Context(), k), nil)
		f.wantBlob(k, []byte("content"))
	}},
	{"the same key again leaves one copy", func(f fixture) {
		k := f.put([]byte("content"), 0)
		f.put([]byte("content"), 0)
		f.wantBlob(k, []byte("content"))
		f.wantList(k)
	}},
	{"one key committed by many at once", func(f fixture) {
		content := Random(50_000, 4)
		k := blob.Key{Digest: digest.FromBytes(content)}
		var uploads []blob.Upload
		for range 8 {
			uploads = append(uploads, f.start(digest.SHA256, content))
		}
		errs := make([]error, len(uploads))
		var wg sync.WaitGroup
		for i, u := range uploads {
			wg.Go(func() {
				if errs[i] = u.Commit(f.Context(), k); errs[i] == nil {
					errs[i] = f.same(k, content)
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			f.Errorf("Commit and Open of one key by %d at once: %v", len(uploads), err)
		}
		f.wantBlob(k, content)
		f.wantList(k)
	}},
	{"uploads at the same time do not mix", func(f fixture) {
		a, b := f.start(digest.SHA256, []byte("a")), f.start(digest.SHA256, []byte("b"))
		for range 3 {
			_, errA := a.Write([]byte("a"))
			_, errB := b.Write([]byte("b"))
			if err := errors.Join(errA, errB); err != nil {
				f.Fatalf("Write: %v", err)
			}
		}
		ka, kb := blob.Key{Digest: digest.FromString("aaaa")}, blob.Key{Digest: digest.FromString("bbbb")}
		f.wantErr("Commit of b", b.Commit(f.Context(), kb), nil)
		f.wantErr("Commit of a", a.Commit(f.Context(), ka), nil)
		f.wantBlob(ka, []byte("aaaa"))
		f.wantBlob(kb, []byte("bbbb"))
	}},
}

// same reads k and compares, for goroutines, that may not end the test.
func (f fixture) same(k blob.Key, want []byte) error {
	r, err := f.store.Open(f.Context(), k, 0, -1)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("read %d bytes that are not the %d of %s", len(got), len(want), k)
	}
	return errors.Join(err, r.Close())
}

var invalidKeys = []blob.Key{
	{},
	{Digest: "sha256:"},
	{Digest: "sha256"},
	{Digest: "sha256:../../../../../../../../../../etc/passwd"},
	{Digest: "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"},
	{Digest: "sha384:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{Digest: "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"},
	{Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555"},
	{Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85/"},
	{Digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Generation: -1},
}

var readTests = []test{
	{"Open at an offset", func(f fixture) {
		content := Random(10_000, 5)
		k := f.put(content, 0)
		for _, off := range []int64{0, 1, 4095, 9999} {
			for _, n := range []int64{-1, 0, 1, 100, 20_000} {
				want := content[off:]
				got := f.read(k, off, n)
				if n >= 0 {
					want, got = want[:min(n, int64(len(want)))], got[:min(n, int64(len(got)))]
				}
				if !bytes.Equal(got, want) {
					f.Errorf("Open(%d, %d) gives %d other bytes; want those at that offset", off, n, len(got))
				}
			}
		}
	}},
	{"Open at or past the end reads as empty", func(f fixture) {
		k := f.put(Random(100, 6), 0)
		for _, off := range []int64{100, 101, 1 << 40} {
			if got := f.read(k, off, -1); len(got) != 0 {
				f.Errorf("Open(%d, -1) of 100 bytes gives %d bytes; want none", off, len(got))
			}
		}
	}},
	{"Open at a negative offset is an error", func(f fixture) {
		k := f.put([]byte("content"), 0)
		if _, err := f.store.Open(f.Context(), k, -1, -1); err == nil || errors.Is(err, blob.ErrNotFound) {
			f.Errorf("Open(-1, -1) = %v; want an error that is not %v", err, blob.ErrNotFound)
		}
	}},
	{"an absent blob is ErrNotFound", func(f fixture) {
		k := f.put([]byte("content"), 0)
		f.wantAbsent(blob.Key{Digest: digest.FromString("other")})
		f.wantAbsent(blob.Key{Digest: digest.SHA512.FromString("content")})
		k.Generation = 1
		f.wantAbsent(k)
	}},
	{"an invalid key is ErrKey", func(f fixture) {
		for _, k := range invalidKeys {
			_, err := f.store.Open(f.Context(), k, 0, -1)
			f.wantErr(fmt.Sprintf("Open(%q)", k), err, blob.ErrKey)
			_, err = f.store.Stat(f.Context(), k)
			f.wantErr(fmt.Sprintf("Stat(%q)", k), err, blob.ErrKey)
			f.wantErr(fmt.Sprintf("Delete(%q)", k), f.store.Delete(f.Context(), k), blob.ErrKey)
		}
	}},
	{"an address, if any, is given for a valid key only", func(f fixture) {
		l, ok := f.store.(blob.Locator)
		if !ok {
			return
		}
		if _, err := l.URL(f.Context(), f.put([]byte("content"), 0), time.Minute); err != nil {
			f.Errorf("URL: %v", err)
		}
		for _, k := range invalidKeys {
			if u, err := l.URL(f.Context(), k, time.Minute); u != "" {
				f.Errorf("URL(%q) = %q, %v; want none", k, u, err)
			}
		}
	}},
	{"List gives every blob of every kind once", func(f fixture) {
		var want []blob.Key
		for i := range 300 {
			want = append(want, f.put(Random(i%7, uint64(i%7)+uint64(i)<<8), int64(i/7)))
		}
		content := []byte("content")
		k := blob.Key{Digest: digest.SHA512.FromBytes(content)}
		f.wantErr("Commit", f.start(digest.SHA512, content).Commit(f.Context(), k), nil)
		f.start(digest.SHA256, []byte("not committed"))
		f.putObject("an-object", "no blob")
		f.wantList(append(want, k)...)
	}},
	{"List tells size and time", func(f fixture) {
		content := Random(1234, 7)
		k := f.put(content, 3)
		want, err := f.store.Stat(f.Context(), k)
		if err != nil {
			f.Fatalf("Stat: %v", err)
		}
		var got []blob.Info
		f.wantErr("List", f.store.List(f.Context(), func(i blob.Info) error { got = append(got, i); return nil }), nil)
		if diff := cmp.Diff([]blob.Info{want}, got); diff != "" {
			f.Errorf("List (-what Stat says +got):\n%s", diff)
		}
	}},
	{"List of an empty store", func(f fixture) { f.wantList() }},
	{"List ends with the error of yield", func(f fixture) {
		for i := range 5 {
			f.put([]byte{byte(i)}, 0)
		}
		stop, calls := errors.New("stop"), 0
		err := f.store.List(f.Context(), func(blob.Info) error {
			if calls++; calls == 3 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || calls != 3 {
			f.Errorf("List = %v after %d calls; want %v after 3", err, calls, stop)
		}
	}},
	{"List while yield deletes", func(f fixture) {
		for i := range 50 {
			f.put([]byte{byte(i)}, 0)
		}
		calls := 0
		f.wantErr("List", f.store.List(f.Context(), func(i blob.Info) error {
			calls++
			return f.store.Delete(f.Context(), i.Key)
		}), nil)
		if calls != 50 {
			f.Errorf("List called yield %d times; want 50", calls)
		}
		f.wantList()
	}},
}

var removeTests = []test{
	{"Delete removes", func(f fixture) {
		k, other := f.put([]byte("content"), 0), f.put([]byte("other"), 0)
		f.wantErr("Delete", f.store.Delete(f.Context(), k), nil)
		f.wantAbsent(k)
		f.wantBlob(other, []byte("other"))
		f.wantList(other)
	}},
	{"Delete of an absent blob is no error", func(f fixture) {
		k := f.put([]byte("content"), 0)
		for range 2 {
			f.wantErr("Delete", f.store.Delete(f.Context(), k), nil)
		}
		f.wantErr("Delete of sha512", f.store.Delete(f.Context(), blob.Key{Digest: digest.SHA512.FromString("x")}), nil)
	}},
	{"a deleted blob can come back", func(f fixture) {
		k := f.put([]byte("content"), 0)
		f.wantErr("Delete", f.store.Delete(f.Context(), k), nil)
		f.put([]byte("content"), 0)
		f.wantBlob(k, []byte("content"))
	}},
	{"generations are independent", func(f fixture) {
		first, second := f.put([]byte("content"), 0), f.put([]byte("content"), 2)
		tenth := f.put([]byte("content"), 1<<62)
		f.wantList(first, second, tenth)
		f.wantErr("Delete", f.store.Delete(f.Context(), first), nil)
		f.wantAbsent(first)
		f.wantBlob(second, []byte("content"))
		f.wantErr("Delete", f.store.Delete(f.Context(), second), nil)
		f.wantAbsent(second)
		f.wantBlob(tenth, []byte("content"))
	}},
	{"a reader survives the deletion or ends with an error", func(f fixture) {
		content := Random(100_000, 8)
		k := f.put(content, 0)
		r, err := f.store.Open(f.Context(), k, 0, -1)
		if err != nil {
			f.Fatalf("Open: %v", err)
		}
		defer r.Close()
		f.wantErr("Delete", f.store.Delete(f.Context(), k), nil)
		if got, err := io.ReadAll(r); err == nil && !bytes.Equal(got, content) {
			f.Errorf("a reader of a deleted blob gave %d other bytes without an error", len(got))
		}
	}},
	{"Sweep keeps what is committed", func(f fixture) {
		k := f.put([]byte("content"), 0)
		f.putObject("journal/1", "one")
		if _, _, err := f.store.Sweep(f.Context()); err != nil {
			f.Fatalf("Sweep: %v", err)
		}
		f.wantBlob(k, []byte("content"))
		f.wantObject("journal/1", "one")
		n, size, err := f.store.Sweep(f.Context())
		if n != 0 || size != 0 || err != nil {
			f.Errorf("Sweep of a clean store = %d, %d, %v; want nothing", n, size, err)
		}
	}},
}
