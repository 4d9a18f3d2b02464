//go:build unix

package fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/fs"
)

// helpers are what a child process does in place of the tests.
var helpers = map[string]func(dir string) error{
	"hang in mid-upload": hang,
	"fill the disk":      fill,
}

// hang commits one blob, begins another and an object, and waits to be killed.
func hang(dir string) error {
	ctx := context.Background()
	s, err := fs.Open(dir, fs.Options{})
	if err != nil {
		return err
	}
	for _, content := range [][]byte{[]byte("committed"), make([]byte, 1000)} {
		u, err := s.Create(ctx, digest.SHA256)
		if err != nil {
			return err
		}
		if _, err := u.Write(content); err != nil {
			return err
		}
		if len(content) == 1000 {
			break
		}
		if err := u.Commit(ctx, blob.Key{Digest: digest.FromBytes(content)}); err != nil {
			return err
		}
	}
	first := true
	return s.PutObject(ctx, "journal/1", readerFunc(func(p []byte) (int, error) {
		if first {
			first = false
			return copy(p, make([]byte, 500)), nil
		}
		fmt.Println("ready")
		return os.Stdin.Read(p) // that the parent holds open; an empty select would be a deadlock
	}))
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// fill writes more than a file may hold, as on a full disk, and checks what the
// store makes of it.
func fill(dir string) error {
	ctx := context.Background()
	s, err := fs.Open(dir, fs.Options{})
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := fillUpload(ctx, s, dir); err != nil {
		return err
	}
	err = s.PutObject(ctx, "a", bytes.NewReader(make([]byte, 2<<20)))
	if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), filepath.Join(dir, "uploads")) {
		return fmt.Errorf("PutObject = %w; want %w with the path", err, syscall.EFBIG)
	}
	u, err := s.Create(ctx, digest.SHA256) // there is room for a small one
	if err != nil {
		return err
	}
	return u.Commit(ctx, blob.Key{Digest: digest.FromString("")})
}

func fillUpload(ctx context.Context, s *fs.Store, dir string) error {
	for _, end := range []string{"Abort", "Commit"} {
		u, err := s.Create(ctx, digest.SHA256)
		if err != nil {
			return err
		}
		n, err := u.Write(make([]byte, 2<<20))
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), filepath.Join(dir, "uploads")) || n != 1<<20 {
			return fmt.Errorf("Write = %d, %w; want %d, %w with the path", n, err, 1<<20, syscall.EFBIG)
		}
		if _, err := u.Write([]byte("x")); !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("second Write = %w; want %w", err, syscall.EFBIG)
		}
		k := blob.Key{Digest: digest.FromBytes(make([]byte, 1<<20))} // of what did arrive
		if err := u.Verify(ctx, k.Digest); !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("Verify = %w; want %w", err, syscall.EFBIG)
		}
		if end == "Commit" {
			if err := u.Commit(ctx, k); !errors.Is(err, syscall.EFBIG) {
				return fmt.Errorf("Commit = %w; want %w", err, syscall.EFBIG)
			}
			continue
		}
		if err := u.Abort(); err != nil {
			return err
		}
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := child(t, "fill the disk", dir).CombinedOutput(); err != nil {
		t.Fatalf("the child process: %v\n%s", err, out)
	}
	if got := files(t, dir); len(got) != 1 || !strings.HasPrefix(got[0], filepath.Join(dir, "blobs")) {
		t.Errorf("files are %q; want the one small blob", got)
	}
	open(t, dir)
}

func TestMissingUploadsFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := os.Remove(filepath.Join(dir, "uploads")); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Create(t.Context(), digest.SHA256); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Create = %v, %v; want %v", u, err, os.ErrNotExist)
	}
	err := s.PutObject(t.Context(), "a", iotest.ErrReader(errors.New("must not be read")))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("PutObject = %v; want %v", err, os.ErrNotExist)
	}
}
