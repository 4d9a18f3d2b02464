package ingest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob/mem"
)

var emptyModule = []byte("\x00asm\x01\x00\x00\x00")

func newTestAnalyser(tb testing.TB, limits Limits) *analyser {
	a := newAnalyser(Options{Blobs: mem.New(), Log: slog.New(slog.DiscardHandler), Clock: time.Now, Limits: limits, Memory: DefaultMemory})
	tb.Cleanup(a.close)
	return a
}

// lookAt analyses content.
func lookAt(tb testing.TB, limits Limits, content []byte) *analysis {
	tb.Helper()
	r, err := newTestAnalyser(tb, limits).look(tb.Context(), digest.FromBytes(content), int64(len(content)), bytes.NewReader(content))
	if err != nil {
		tb.Fatalf("look() = %v", err)
	}
	return r
}

// seen are the paths of findings, with a mark behind those that are not valid.
func seen(r *analysis) []string {
	var list []string
	for _, f := range r.Files {
		s := f.Path
		if !f.Report.Valid {
			s += " (" + f.Report.Problem + ")"
		}
		list = append(list, s)
	}
	return list
}

type entry struct {
	name    string
	content []byte
}

func tarball(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content))}); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func gz(tb testing.TB, content []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zst(tb testing.TB, content []byte, o ...zstd.EOption) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(content, nil)
}

// oldTar is an archive without a magic number, as before POSIX.
func oldTar(tb testing.TB, e entry) []byte {
	b := tarball(tb, e)
	clear(b[257:512]) // magic, owner and what else came later
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func nested(tb testing.TB, depth int) []byte {
	b := emptyModule
	for range depth {
		b = gz(tb, b)
	}
	return b
}

func TestFilesAreFoundByTheirBytes(t *testing.T) {
	broken := append(bytes.Clone(emptyModule), 0xff)
	large := append(bytes.Clone(emptyModule), make([]byte, 1600)...)
	tests := []struct {
		name    string
		content []byte
		want    []string
	}{
		{"nothing", nil, nil},
		{"a text", []byte("hello"), nil},
		{"a module", emptyModule, []string{""}},
		{"a module that is broken", broken, []string{" (section header at byte 9 (0x9): unexpected end)"}},
		{
			"a tar with two", tarball(t, entry{"./a.wasm", emptyModule}, entry{"x", []byte("x")}, entry{"dir/b", emptyModule}),
			[]string{"a.wasm", "dir/b"},
		},
		{"a tar without a magic number", oldTar(t, entry{"a", emptyModule}), []string{"a"}},
		{"gzip", gz(t, emptyModule), []string{""}},
		{"two members of gzip", append(gz(t, emptyModule[:4]), gz(t, emptyModule[4:])...), []string{""}},
		{"zstd", zst(t, emptyModule), []string{""}},
		{"zstd behind a frame that is skipped", append([]byte("\x5a\x2a\x4d\x18\x02\x00\x00\x00hi"), zst(t, emptyModule)...), []string{""}},
		{
			"an archive in an archive", tarball(t, entry{"i.tgz", gz(t, tarball(t, entry{"a", emptyModule}))}, entry{"b", emptyModule}),
			[]string{"i.tgz!/a", "b"},
		},
		{
			"a damaged archive beside a module", tarball(t, entry{"i.gz", []byte("\x1f\x8b nothing")}, entry{"b", emptyModule}),
			[]string{"i.gz (it cannot be inspected: gzip: invalid header)", "b"},
		},
		{"gzip cut short", gz(t, emptyModule)[:12], []string{" (it cannot be inspected: unexpected EOF)"}},
		{"a tar cut short", tarball(t, entry{"a", emptyModule}, entry{"b", emptyModule})[:1030], []string{
			"a", " (it cannot be inspected: unexpected EOF)",
		}},
		{"a module in a tar cut short", tarball(t, entry{"a", make([]byte, 3)}, entry{"b", large})[:2100], []string{
			"b (it cannot be inspected: unexpected EOF)", " (it cannot be inspected: unexpected EOF)",
		}},
		{"a tar that ends within the first bytes of a module", tarball(t, entry{"b", emptyModule})[:516], []string{
			" (it cannot be inspected: unexpected EOF)",
		}},
		{"a path that no file should have", tarball(t, entry{"../../etc/\x01passwd\n", emptyModule}), []string{"../../etc/\ufffdpasswd\ufffd"}},
		{"zeros that look like a tar", make([]byte, 4096), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := seen(lookAt(t, DefaultLimits, tt.content))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("look() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostileBlobsAreBounded(t *testing.T) {
	limits := Limits{MaxModule: 1 << 20, MaxUnpacked: 128 << 20, MaxRatio: 100, MaxEntries: 100, MaxFiles: 10, MaxDepth: 4}
	zeros := func(n int) []byte { return make([]byte, n) }
	many := func(n int, content []byte) []byte {
		var list []entry
		for i := range n {
			list = append(list, entry{fmt.Sprint(i), content})
		}
		return tarball(t, list...)
	}
	bomb := tarball(t, entry{"zeros", zeros(100 << 20)}, entry{"a", emptyModule})
	const sparse = 1 << 40 // bytes that a sparse file of a few blocks says it has
	tests := []struct {
		name    string
		content []byte
		want    string // in the problem of the last finding
	}{
		{"gzip of a great many zeros", gz(t, bomb), "more than 100 times its size"},
		{"zstd of a great many zeros", zst(t, bomb), "more than 100 times its size"},
		{
			"small bombs beside each other", tarball(t, entry{"1", gz(t, tarball(t, entry{"z", zeros(60 << 20)}))},
				entry{"2", gz(t, tarball(t, entry{"z", zeros(60 << 20)}))}, entry{"3", gz(t, tarball(t, entry{"z", zeros(60 << 20)}))}),
			"more than 134217728 bytes",
		},
		{"a great many files", many(101, []byte("x")), "more than 100 entries"},
		{"a great many modules", many(11, emptyModule), "more than 10 Wasm files"},
		{"deep nesting", nested(t, 5), "nested more than 4 deep"},
		{"a module that is too large", append(bytes.Clone(emptyModule), zeros(1<<20)...), "more than 1048576"},
		{"a compressed module that is too large", gz(t, append(bytes.Clone(emptyModule), zeros(2<<20)...)), "more than 1048576"},
		{"a file with holes", sparseTar(t, sparse), "more than 1048576"},
		{"a frame that wants a large window", zst(t, zeros(33<<20), zstd.WithWindowSize(32<<20), zstd.WithSingleSegment(false)), "window"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			r := lookAt(t, limits, tt.content)
			runtime.ReadMemStats(&after)
			if len(r.Files) == 0 {
				t.Fatal("look() found nothing, want that it says so")
			}
			last := r.Files[len(r.Files)-1].Report
			if last.Valid || !strings.Contains(last.Problem, tt.want) {
				t.Errorf("last finding: valid %v, problem %q; want %q", last.Valid, last.Problem, tt.want)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
				t.Errorf("look() allocated %d bytes", got)
			}
		})
	}
}

// sparseTar has one file of size bytes of which only the first eight are there,
// those of a module, in the old form of GNU.
func sparseTar(tb testing.TB, size int64) []byte {
	tb.Helper()
	number := func(n int64) []byte { // in base 256, as GNU writes what is too large for digits
		b := make([]byte, 12)
		b[0] = 0x80
		for i := 11; i > 3; i-- {
			b[i], n = byte(n), n>>8
		}
		return b
	}
	h := make([]byte, 512)
	copy(h, "sparse.wasm")
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], number(int64(len(emptyModule))))
	copy(h[136:], "00000000000\x00")
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	copy(h[386:], number(0)) // one piece of data at the beginning
	copy(h[398:], number(int64(len(emptyModule))))
	copy(h[410:], number(size)) // and nothing at the end
	copy(h[422:], number(0))
	copy(h[483:], number(size))
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	b := append(h, make([]byte, 512+1024)...)
	copy(b[512:], emptyModule)
	return b
}

func TestStorageThatFailsIsNoFinding(t *testing.T) {
	errDisk := errors.New("disk")
	for name, content := range map[string][]byte{
		"a module": append(bytes.Clone(emptyModule), make([]byte, 5000)...), "gzip": gz(t, bytes.Repeat([]byte("0123456789"), 100)),
		"a tar": tarball(t, entry{"a", emptyModule}, entry{"b", emptyModule}),
	} {
		t.Run(name, func(t *testing.T) {
			for n := range min(len(content), 1100) {
				body := io.MultiReader(bytes.NewReader(content[:n]), iotest.ErrReader(errDisk))
				r, err := newTestAnalyser(t, DefaultLimits).look(t.Context(), "", int64(len(content)), body)
				if !errors.Is(err, errDisk) {
					t.Fatalf("look() of %d bytes = %+v, %v; want %v", n, r, err, errDisk)
				}
			}
		})
	}
}

func TestALimitThatWasRaisedHasABlobLookedAtAgain(t *testing.T) {
	small := DefaultLimits
	small.MaxModule = 4
	r := lookAt(t, small, emptyModule)
	if r.Limits == nil || !DefaultLimits.exceeds(*r.Limits) || small.exceeds(*r.Limits) {
		t.Errorf("look() beyond the limits notes %+v", r.Limits)
	}
	if r := lookAt(t, DefaultLimits, emptyModule); r.Limits != nil {
		t.Errorf("look() within the limits notes %+v", r.Limits)
	}
}

func TestTheLastResultsAreHeldUpToAWeight(t *testing.T) {
	one := &analysis{made: []made{{report: make([]byte, 10_000)}}}
	r := recent{most: 4 * one.weight()}
	name := func(i int) digest.Digest { return digest.FromString(fmt.Sprint(i)) }
	for i := range 6 {
		r.put(name(i), one)
		r.get(name(0)) // keeps it in use
	}
	r.put(name(9), &analysis{made: []made{{report: make([]byte, 1_000_000)}}})
	var held []int
	for i := range 10 {
		if r.get(name(i)) != nil {
			held = append(held, i)
		}
	}
	if diff := cmp.Diff([]int{0, 3, 4, 5}, held); diff != "" || r.weight > r.most {
		t.Errorf("held with a weight of %d of %d (-want +got):\n%s", r.weight, r.most, diff)
	}
}

// A blob of any bytes is looked through within the limits, twice alike, and what
// is said to be Wasm begins like it.
func FuzzLook(f *testing.F) {
	seeds := 0
	add := func(b []byte) { f.Add(b); seeds++ }
	add(emptyModule)
	add(gz(f, emptyModule))
	add(zst(f, tarball(f, entry{"a", emptyModule})))
	add(tarball(f, entry{"a", emptyModule}, entry{"b.gz", gz(f, emptyModule)}))
	add(oldTar(f, entry{"a", emptyModule}))
	add(sparseTar(f, 1<<40))
	for _, dir := range []string{"../../inspect/testdata", "../../artifact/testdata"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".wasm") {
				return err
			}
			b, err := os.ReadFile(path)
			if err == nil && len(b) < 1<<20 {
				add(b)
				add(gz(f, tarball(f, entry{"bin/app.wasm", b})))
			}
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	if seeds < 8 {
		f.Fatalf("%d seeds, want more", seeds)
	}
	limits := Limits{MaxModule: 1 << 20, MaxUnpacked: 4 << 20, MaxRatio: 100, MaxEntries: 50, MaxFiles: 10, MaxDepth: 4}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 1<<20 {
			return
		}
		a := newTestAnalyser(t, limits)
		look := func() *analysis {
			r, err := a.look(context.Background(), digest.FromBytes(content), int64(len(content)), bytes.NewReader(content))
			if err != nil {
				t.Fatalf("look() = %v", err)
			}
			return r
		}
		first, second := look(), look()
		if diff := cmp.Diff(first.Findings, second.Findings); diff != "" {
			t.Fatalf("look() twice (-first +second):\n%s", diff)
		}
		if len(first.Files) != len(first.made) {
			t.Fatalf("%d findings with %d reports", len(first.Files), len(first.made))
		}
		if got := bytes.HasPrefix(content, magicWasm); got != (first.NotWasm == "") {
			t.Fatalf("begins like Wasm: %v, but NotWasm is %q", got, first.NotWasm)
		}
		for _, one := range first.Files {
			if one.Report.Valid && (!one.Wasm || one.Full == "" || one.Capabilities == nil) {
				t.Fatalf("a valid file without its facts: %+v", one)
			}
		}
	})
}
