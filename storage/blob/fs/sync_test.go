//go:build unix

package fs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/storage/blob"
)

var errSync = errors.New("input/output error")

// counted is a store that counts its syncs, and whose syncs fail on demand.
type counted struct {
	*Store
	failData, failDir bool
	calls             []string // "data", or the folder below the root
}

func newCounted(t *testing.T) *counted {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := &counted{Store: s}
	data, folder := s.syncData, s.syncDir
	s.syncData = func(f *os.File) error {
		c.calls = append(c.calls, "data")
		if c.failData {
			return errSync
		}
		return data(f)
	}
	s.syncDir = func(path string) error {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		c.calls = append(c.calls, filepath.ToSlash(rel))
		if c.failDir {
			return errSync
		}
		return folder(path)
	}
	return c
}

func (c *counted) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, c.calls); diff != "" {
		t.Errorf("syncs (-want +got):\n%s", diff)
	}
	c.calls = nil
}

func (c *counted) push(t *testing.T) error {
	t.Helper()
	u, err := c.Create(t.Context(), digest.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	err = u.Commit(t.Context(), content)
	if aerr := u.Abort(); aerr != nil {
		t.Errorf("Abort after Commit: %v", aerr)
	}
	entries, rerr := os.ReadDir(filepath.Join(c.dir, uploadsDir))
	if rerr != nil || len(entries) != 0 {
		t.Errorf("uploads/ holds %v, %v after Commit; want nothing", entries, rerr)
	}
	return err
}

func (c *counted) wantStored(t *testing.T, want bool) {
	t.Helper()
	_, err := c.Stat(t.Context(), content)
	if want && err != nil || !want && !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat = %v; want the blob stored: %t", err, want)
	}
}

var (
	content = blob.Key{Digest: digest.FromString("content")}
	shard   = "blobs/sha256/" + content.Digest.Encoded()[:2]
)

func TestCommitSyncsTheFileThenItsFolder(t *testing.T) {
	c := newCounted(t)
	for range 2 { // the second time the blob is there already
		if err := c.push(t); err != nil {
			t.Fatal(err)
		}
		c.wantCalls(t, "data", shard)
	}
}

func TestFailedSyncOfTheFileKeepsNothing(t *testing.T) {
	c := newCounted(t)
	c.failData = true
	if err := c.push(t); !errors.Is(err, errSync) {
		t.Errorf("Commit = %v; want %v", err, errSync)
	}
	c.wantCalls(t, "data") // and not once more
	c.wantStored(t, false)
	c.failData = false
	if err := c.push(t); err != nil {
		t.Errorf("Commit of another upload: %v", err)
	}
	c.wantStored(t, true)
}

func TestFailedSyncOfTheFolderKeepsNothing(t *testing.T) {
	c := newCounted(t)
	c.failDir = true
	if err := c.push(t); !errors.Is(err, errSync) {
		t.Errorf("Commit = %v; want %v", err, errSync)
	}
	c.wantCalls(t, "data", shard)
	c.wantStored(t, false)
}

func TestFailedSyncKeepsWhatWasStoredBefore(t *testing.T) {
	c := newCounted(t)
	if err := c.push(t); err != nil {
		t.Fatal(err)
	}
	for _, fail := range []*bool{&c.failData, &c.failDir} {
		*fail = true
		if err := c.push(t); !errors.Is(err, errSync) {
			t.Errorf("Commit = %v; want %v", err, errSync)
		}
		*fail = false
		c.wantStored(t, true)
	}
}

func TestDeleteSyncsTheFolderEachTime(t *testing.T) {
	c := newCounted(t)
	if err := c.push(t); err != nil {
		t.Fatal(err)
	}
	c.calls = nil
	c.failDir = true
	if err := c.Delete(t.Context(), content); !errors.Is(err, errSync) {
		t.Errorf("Delete = %v; want %v", err, errSync)
	}
	c.wantCalls(t, shard)
	c.failDir = false
	if err := c.Delete(t.Context(), content); err != nil { // absent by now, but perhaps not on disk
		t.Errorf("Delete again = %v", err)
	}
	c.wantCalls(t, shard)
	c.wantStored(t, false)
}

func TestObjectsSyncTheFileAndItsFolder(t *testing.T) {
	c := newCounted(t)
	put := func(want error) {
		t.Helper()
		if err := c.PutObject(t.Context(), "journal/1", strings.NewReader("x")); !errors.Is(err, want) {
			t.Errorf("PutObject = %v; want %v", err, want)
		}
	}
	put(nil)
	c.wantCalls(t, "data", "objects/journal")
	c.failData = true
	put(errSync)
	c.wantCalls(t, "data")
	c.failData, c.failDir = false, true
	put(errSync)
	c.wantCalls(t, "data", "objects/journal")
	if err := c.DeleteObject(t.Context(), "journal/1"); !errors.Is(err, errSync) {
		t.Errorf("DeleteObject = %v; want %v", err, errSync)
	}
	c.wantCalls(t, "objects/journal")
	entries, err := os.ReadDir(filepath.Join(c.dir, uploadsDir))
	if err != nil || len(entries) != 0 {
		t.Errorf("uploads/ holds %v, %v; want nothing", entries, err)
	}
}

func TestOpenSyncsEveryFolderThatGotFolders(t *testing.T) {
	c := newCounted(t)
	if err := c.makeDirs(); err != nil { // what a second start does
		t.Fatal(err)
	}
	c.wantCalls(t, "blobs/sha256", "blobs/sha512", "objects", "blobs", ".")
	c.failDir = true
	if err := c.makeDirs(); !errors.Is(err, errSync) {
		t.Errorf("makeDirs = %v; want %v", err, errSync)
	}
}
