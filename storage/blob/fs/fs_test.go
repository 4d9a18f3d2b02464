//go:build unix

package fs_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
	"github.com/wreg-project/wreg/storage/blob/blobtest"
	"github.com/wreg-project/wreg/storage/blob/fs"
)

func open(t testing.TB, dir string) *fs.Store {
	t.Helper()
	s, err := fs.Open(dir, fs.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// files lists the regular files below dir, the lock apart.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e iofs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && e.Name() != "lock" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("walk %s: %v", dir, err)
	}
	return found
}

// Every test gets the same folder, emptied: to make 512 folders anew each time
// would be most of the work.
func TestContract(t *testing.T) {
	dir := t.TempDir()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		t.Cleanup(func() {
			if left := files(t, filepath.Join(dir, "uploads")); len(left) != 0 {
				t.Errorf("uploads/ holds %q at the end; want nothing", left)
			}
			for _, path := range files(t, filepath.Join(dir, "blobs")) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.RemoveAll(filepath.Join(dir, "objects")); err != nil {
				t.Fatal(err)
			}
		})
		return open(t, dir)
	})
}

func TestReaderIsAFileForSendfile(t *testing.T) {
	s := open(t, t.TempDir())
	k := blobtest.Put(t, s, []byte("content"))
	for name, store := range map[string]blob.Store{"fs": s, "faults": blobtest.NewFaults(s)} {
		r, err := store.Open(t.Context(), k, 3, 2)
		if err != nil {
			t.Fatalf("%s: Open: %v", name, err)
		}
		f, ok := r.(*os.File)
		if !ok {
			t.Fatalf("%s: Open gives a %T; want an *os.File", name, r)
		}
		if at, err := f.Seek(0, io.SeekCurrent); at != 3 || err != nil {
			t.Errorf("%s: the file stands at %d, %v; want 3", name, at, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLayoutAndModes(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new", "data")
	s := open(t, root)
	k := blobtest.Put(t, s, []byte("content"))
	u, err := s.Create(t.Context(), digest.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	k512 := blob.Key{Digest: digest.SHA512.FromString(""), Generation: 7}
	if err := u.Commit(t.Context(), k512); err != nil {
		t.Fatal(err)
	}
	if err := s.PutObject(t.Context(), "journal/1", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	hex, hex512 := k.Digest.Encoded(), k512.Digest.Encoded()
	want := []string{
		filepath.Join(root, "blobs", "sha256", hex[:2], hex),
		filepath.Join(root, "blobs", "sha512", hex512[:2], hex512+".7"),
		filepath.Join(root, "objects", "journal", "1"),
	}
	if got := files(t, root); !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
	err = filepath.WalkDir(filepath.Dir(root), func(path string, e iofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		mode := iofs.FileMode(0o600)
		if e.IsDir() {
			mode = iofs.ModeDir | 0o700
		}
		if fi.Mode() != mode {
			t.Errorf("%s has mode %v; want %v", path, fi.Mode(), mode)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	k := blobtest.Put(t, s, []byte("content"))
	if _, err := fs.Open(dir, fs.Options{}); !errors.Is(err, fs.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open = %v; want %v that names the folder", err, fs.ErrLocked)
	}
	r, err := fs.Open(dir, fs.Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("Open for reading while another writes: %v", err)
	}
	if info, err := r.Stat(t.Context(), k); err != nil || info.Size != 7 {
		t.Errorf("Stat = %+v, %v; want 7 bytes", info, err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close of the reading store: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	open(t, dir)
}

func TestReadOnlyRefusesChanges(t *testing.T) {
	dir := t.TempDir()
	if _, err := fs.Open(dir, fs.Options{ReadOnly: true}); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("Open for reading of an empty folder = %v; want %v", err, iofs.ErrNotExist)
	}
	w := open(t, dir)
	k := blobtest.Put(t, w, []byte("content"))
	s, err := fs.Open(dir, fs.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, createErr := s.Create(ctx, digest.SHA256)
	_, _, sweepErr := s.Sweep(ctx)
	for call, err := range map[string]error{
		"Create":       createErr,
		"Sweep":        sweepErr,
		"Delete":       s.Delete(ctx, k),
		"PutObject":    s.PutObject(ctx, "a", strings.NewReader("x")),
		"DeleteObject": s.DeleteObject(ctx, "a"),
	} {
		if !errors.Is(err, fs.ErrReadOnly) {
			t.Errorf("%s = %v; want %v", call, err, fs.ErrReadOnly)
		}
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files are %q; want the one blob", got)
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := fs.Open(path, fs.Options{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open(%s) = %v, %v; want an error that names it", path, s, err)
	}
}

func TestOpenMakesMissingShards(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	for _, shard := range []string{"sha256/ed", "sha512/00"} { // as if the first start had been cut short
		if err := os.Remove(filepath.Join(dir, "blobs", shard)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	k := blobtest.Put(t, s, []byte("content"))
	if k.Digest.Encoded()[:2] != "ed" {
		t.Fatalf("the content has digest %s; the test removes the wrong folder", k)
	}
	if _, err := s.Stat(t.Context(), k); err != nil {
		t.Errorf("Stat: %v", err)
	}
}

func TestListOfAFullFolderPassesOverOthersFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	shard := filepath.Join(dir, "blobs", "sha256", "ab")
	want := make(map[string]bool)
	for i := range 1000 { // four batches
		hex := fmt.Sprintf("ab%062x", i)
		want["sha256:"+hex] = true
		if err := os.WriteFile(filepath.Join(shard, hex), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"README", strings.Repeat("a", 63), fmt.Sprintf("ab%062x.0", 1), fmt.Sprintf("ab%062x.x", 1)} {
		if err := os.WriteFile(filepath.Join(shard, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(shard, fmt.Sprintf("ab%062x", 5000)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.List(t.Context(), func(i blob.Info) error {
		if !want[i.Key.String()] {
			t.Errorf("List gives %s, which is not there or was given before", i.Key)
		}
		delete(want, i.Key.String())
		return nil
	}); err != nil {
		t.Fatalf("List: %v", err)
	}
	if len(want) != 0 {
		t.Errorf("List misses %d of 1000 blobs", len(want))
	}
}

func TestDamageOfAnotherSizeIsReplaced(t *testing.T) {
	s := open(t, t.TempDir())
	k := blobtest.Put(t, s, []byte("content"))
	r, err := s.Open(t.Context(), k, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(r.(*os.File).Name(), 3); err != nil {
		t.Fatal(err)
	}
	blobtest.Put(t, s, []byte("content"))
	if info, err := s.Stat(t.Context(), k); err != nil || info.Size != 7 {
		t.Errorf("Stat after another push = %+v, %v; want 7 bytes", info, err)
	}
}

func TestSweepCounts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	uploads := filepath.Join(dir, "uploads")
	for name, content := range map[string]string{"1": "12345", "2": "123"} {
		if err := os.WriteFile(filepath.Join(uploads, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, size, err := s.Sweep(t.Context())
	if n != 2 || size != 8 || err != nil {
		t.Errorf("Sweep = %d, %d, %v; want 2 files of 8 bytes", n, size, err)
	}
	if got := files(t, uploads); len(got) != 0 {
		t.Errorf("uploads/ holds %q; want nothing", got)
	}
}

// child runs the named helper of this test binary on dir, see TestMain.
func child(t *testing.T, helper, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "WREG_FS_HELPER="+helper, "WREG_FS_DIR="+dir)
	return cmd
}

func TestMain(m *testing.M) {
	helper, ok := helpers[os.Getenv("WREG_FS_HELPER")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := helper(os.Getenv("WREG_FS_DIR")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestRestartAfterAKillSweepsUploads(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "hang in mid-upload", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if _, err := fs.Open(dir, fs.Options{}); !errors.Is(err, fs.ErrLocked) {
		t.Errorf("Open while the other process runs = %v; want %v", err, fs.ErrLocked)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended well; it should have been killed")
	}
	s := open(t, dir)
	n, size, err := s.Sweep(t.Context())
	if n != 2 || size != 1500 || err != nil {
		t.Errorf("Sweep = %d, %d, %v; want an upload and an object of 1500 bytes together", n, size, err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("files are %q; want the committed blob alone", got)
	}
	r, err := s.Open(t.Context(), blob.Key{Digest: digest.FromString("committed")}, 0, -1)
	if err != nil {
		t.Fatalf("Open of the committed blob: %v", err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, []byte("committed")) {
		t.Errorf("the committed blob is %q, %v", got, err)
	}
}
