package distdriver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/blobtest"
	"github.com/wreg-project/wreg/storage/blob/distdriver"
)

var errFault = errors.New("fault")

// faulty is a driver whose calls can be replaced.
type faulty struct {
	driver.StorageDriver
	put    func(path string, content []byte) error
	move   func() error
	stat   func() error
	write  func() error
	commit func() error
	moves  atomic.Int32
}

func (d *faulty) PutContent(ctx context.Context, path string, content []byte) error {
	if d.put != nil {
		return d.put(path, content)
	}
	return d.StorageDriver.PutContent(ctx, path, content)
}

func (d *faulty) Move(ctx context.Context, from, to string) error {
	d.moves.Add(1)
	if d.move != nil {
		return d.move()
	}
	return d.StorageDriver.Move(ctx, from, to)
}

func (d *faulty) Stat(ctx context.Context, path string) (driver.FileInfo, error) {
	if d.stat != nil {
		if err := d.stat(); err != nil {
			return nil, err
		}
	}
	return d.StorageDriver.Stat(ctx, path)
}

func (d *faulty) Writer(ctx context.Context, path string, more bool) (driver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, more)
	return &faultyWriter{w, d}, err
}

func (d *faulty) RedirectURL(r *http.Request, path string) (string, error) {
	return "https://storage.example" + path + "?method=" + r.Method, nil
}

type faultyWriter struct {
	driver.FileWriter
	d *faulty
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if w.d.write != nil {
		n, err := w.FileWriter.Write(p[:len(p)/2])
		return n, errors.Join(err, w.d.write())
	}
	return w.FileWriter.Write(p)
}

func (w *faultyWriter) Commit(ctx context.Context) error {
	if w.d.commit != nil {
		return w.d.commit()
	}
	return w.FileWriter.Commit(ctx)
}

func fail() error { return errFault }

// paths lists every file the driver holds.
func paths(t *testing.T, d driver.StorageDriver) []string {
	t.Helper()
	var found []string
	err := d.Walk(t.Context(), "/", func(fi driver.FileInfo) error {
		if !fi.IsDir() {
			found = append(found, fi.Path())
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Walk: %v", err)
	}
	return found
}

func push(t *testing.T, s blob.Store, content []byte) (blob.Key, error) {
	t.Helper()
	k := blob.Key{Digest: digest.FromBytes(content)}
	u, err := s.Create(t.Context(), digest.SHA256)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if _, err := u.Write(content); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return k, u.Commit(t.Context(), k)
}

func TestFailedCommitLeavesNothing(t *testing.T) {
	tests := []struct {
		name      string
		placement distdriver.Placement
		putLimit  int64
		fault     func(d *faulty)
		want      error
	}{
		{name: "a put that fails", fault: func(d *faulty) { d.put = func(string, []byte) error { return errFault } }, want: errFault},
		{
			name: "a put that stores half and says nothing", placement: distdriver.Direct, want: io.ErrShortWrite,
			fault: func(d *faulty) {
				d.put = func(path string, content []byte) error {
					return d.StorageDriver.PutContent(context.Background(), path, content[:len(content)/2])
				}
			},
		},
		{
			name: "a staged put that stores half and says nothing", want: io.ErrShortWrite,
			fault: func(d *faulty) {
				d.put = func(path string, content []byte) error {
					return d.StorageDriver.PutContent(context.Background(), path, content[:len(content)/2])
				}
			},
		},
		{name: "a move that fails", fault: func(d *faulty) { d.move = fail }, want: errFault},
		{name: "a look that fails", fault: func(d *faulty) { d.stat = fail }, want: errFault},
		{name: "a writer that stops half-way", putLimit: 10, fault: func(d *faulty) { d.write = fail }, want: errFault},
		{name: "a writer whose commit fails", putLimit: 10, fault: func(d *faulty) { d.commit = fail }, want: errFault},
		{
			name: "a writer straight to its place that stops half-way", placement: distdriver.Direct, putLimit: 10,
			fault: func(d *faulty) { d.write = fail }, want: errFault,
		},
	}
	for _, tt := range tests {
		for name, open := range map[string]func(testing.TB) driver.StorageDriver{"filesystem": onDisk, "inmemory": inMemory} {
			t.Run(tt.name+" on "+name, func(t *testing.T) {
				d := &faulty{StorageDriver: open(t)}
				tt.fault(d)
				spool := t.TempDir()
				s := distdriver.New(d, distdriver.Options{Placement: tt.placement, PutLimit: tt.putLimit, Spool: spool})
				k, err := push(t, s, blobtest.Random(1000, 1))
				if !errors.Is(err, tt.want) {
					t.Errorf("Commit = %v; want %v", err, tt.want)
				}
				if got := paths(t, d.StorageDriver); len(got) != 0 {
					t.Errorf("the storage holds %q; want nothing", got)
				}
				if entries, err := os.ReadDir(spool); err != nil || len(entries) != 0 {
					t.Errorf("the spool folder holds %v, %v; want nothing", entries, err)
				}
				d.stat = nil
				if _, err := s.Stat(t.Context(), k); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("Stat = %v; want %v", err, blob.ErrNotFound)
				}
			})
		}
	}
}

func TestFailedCommitLeavesTheEarlierCopy(t *testing.T) {
	content := blobtest.Random(1000, 2)
	for name, fault := range map[string]func(d *faulty){
		"move": func(d *faulty) { d.move = fail }, "write": func(d *faulty) { d.write = fail }, "stat": func(d *faulty) { d.stat = fail },
	} {
		t.Run(name, func(t *testing.T) {
			d := &faulty{StorageDriver: onDisk(t)}
			s := distdriver.New(d, distdriver.Options{PutLimit: 10, Spool: t.TempDir()})
			k := blobtest.Put(t, s, content)
			fault(d)
			if _, err := push(t, s, content); !errors.Is(err, errFault) {
				t.Errorf("Commit = %v; want %v", err, errFault)
			}
			d.stat = nil
			r, err := s.Open(t.Context(), k, 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("the earlier copy is %d bytes, %v; want %d", len(got), err, len(content))
			}
		})
	}
}

func TestPlacement(t *testing.T) {
	tests := []struct {
		name      string
		placement distdriver.Placement
		moves     int32
	}{
		{name: "filesystem is staged", moves: 1},
		{name: "staged", placement: distdriver.Staged, moves: 1},
		{name: "direct", placement: distdriver.Direct, moves: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &faulty{StorageDriver: onDisk(t)}
			s := distdriver.New(d, distdriver.Options{Placement: tt.placement, Spool: t.TempDir(), Prefix: "wreg"})
			k := blobtest.Put(t, s, []byte("content"))
			if got := d.moves.Load(); got != tt.moves {
				t.Errorf("a push made %d moves; want %d", got, tt.moves)
			}
			want := "/wreg/blobs/" + k.Path()
			if got := paths(t, d); len(got) != 1 || got[0] != want {
				t.Errorf("the storage holds %q; want %q", got, want)
			}
		})
	}
}

func TestSweep(t *testing.T) {
	d := inMemory(t)
	for _, name := range []string{"/uploads/A", "/uploads/B"} {
		if err := d.PutContent(t.Context(), name, []byte("12345")); err != nil {
			t.Fatal(err)
		}
	}
	young := distdriver.New(d, distdriver.Options{Spool: t.TempDir(), SweepAge: time.Hour})
	if n, size, err := young.Sweep(t.Context()); n != 0 || size != 0 || err != nil {
		t.Errorf("Sweep of what is an hour old = %d, %d, %v; want nothing", n, size, err)
	}
	s := distdriver.New(d, distdriver.Options{Spool: t.TempDir()})
	k := blobtest.Put(t, s, []byte("content"))
	if n, size, err := s.Sweep(t.Context()); n != 2 || size != 10 || err != nil {
		t.Errorf("Sweep = %d, %d, %v; want 2 files of 10 bytes", n, size, err)
	}
	if got := paths(t, d); len(got) != 1 || got[0] != "/blobs/"+k.Path() {
		t.Errorf("the storage holds %q; want the blob alone", got)
	}
}

func TestURL(t *testing.T) {
	s := distdriver.New(&faulty{StorageDriver: inMemory(t)}, distdriver.Options{Spool: t.TempDir()})
	k := blob.Key{Digest: digest.FromString("content")}
	tests := []struct {
		name  string
		valid time.Duration
		want  string
	}{
		{name: "as long as the driver signs for", valid: 20 * time.Minute, want: "https://storage.example/blobs/" + k.Path() + "?method=GET"},
		{name: "longer", valid: 21 * time.Minute, want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := s.URL(t.Context(), k, tt.valid); got != tt.want || err != nil {
				t.Errorf("URL(%v) = %q, %v; want %q", tt.valid, got, err, tt.want)
			}
		})
	}
}

func TestListPassesOverOthersFiles(t *testing.T) {
	d := inMemory(t)
	s := distdriver.New(d, distdriver.Options{Spool: t.TempDir()})
	k := blobtest.Put(t, s, []byte("content"))
	hex := k.Digest.Encoded()
	for _, name := range []string{"README", "sha256/zz/" + hex, "sha256/" + hex, "sha256/" + hex[:2] + "/x/" + hex} {
		if err := d.PutContent(t.Context(), "/blobs/"+name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	if err := s.List(t.Context(), func(i blob.Info) error { got = append(got, i.Key.String()); return nil }); err != nil {
		t.Fatalf("List: %v", err)
	}
	if len(got) != 1 || got[0] != k.String() {
		t.Errorf("List = %s; want %s alone", strings.Join(got, ", "), k)
	}
}

func TestMissingSpoolFolder(t *testing.T) {
	s := distdriver.New(inMemory(t), distdriver.Options{Spool: "absent"})
	if u, err := s.Create(t.Context(), digest.SHA256); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Create = %v, %v; want %v", u, err, os.ErrNotExist)
	}
	if err := s.PutObject(t.Context(), "a", strings.NewReader("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("PutObject = %v; want %v", err, os.ErrNotExist)
	}
}
