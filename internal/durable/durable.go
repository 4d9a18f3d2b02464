// Package durable changes files so that a change which was reported done is
// still there after the power fails.
//
// A file is written beside its place, synced, renamed and its folder synced:
// readers see the earlier content or the new one, never a part. A failed sync is
// never tried again, since the kernel forgets what it could not write and the
// second call would report success.
package durable

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// File is a file that is being written. Nothing is visible at its path before
// Commit. It has one owner, who ends it by Commit or Abort.
type File struct {
	f    *os.File
	path string
	err  error // of the first write that failed
	done bool
}

// Create starts the file that Commit will place at path, with the permissions
// perm before umask. Until then its bytes lie in the same folder, in a file whose
// name starts with a dot and ends in .tmp. The folder has to exist.
func Create(path string, perm fs.FileMode) (*File, error) {
	dir, base := filepath.Split(path)
	for range 100 {
		name := dir + "." + base + "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &File{f: f, path: path}, nil
	}
	return nil, &os.PathError{Op: "create beside", Path: path, Err: fs.ErrExist}
}

// Write appends p. After an error the file is lost: Commit returns it again.
func (f *File) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.f.Write(p)
	f.err = err
	return n, err
}

// Commit makes the file visible at its path, replacing what was there, and
// returns once both the content and the name are durable. An error before the
// rename leaves the path as it was; when only the last sync fails, the path holds
// the new content, but a power failure may bring the earlier one back.
func (f *File) Commit() error {
	if f.done {
		return &os.PathError{Op: "commit", Path: f.path, Err: fs.ErrClosed}
	}
	f.done = true
	if err := f.place(); err != nil {
		return errors.Join(err, os.Remove(f.f.Name()))
	}
	return SyncDir(filepath.Dir(f.path))
}

func (f *File) place() error {
	err := f.err
	if err == nil {
		err = SyncData(f.f)
	}
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.f.Name(), f.path)
}

// Abort forgets the file. After Commit it does nothing.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	return errors.Join(f.f.Close(), os.Remove(f.f.Name()))
}

// WriteFile stores data at path, replacing an earlier file whole, and returns
// once it is durable. A new file gets the permissions perm before umask.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// WriteNew stores data at path, where nothing may be yet: the error is fs.ErrExist
// then. It returns once the file is durable; who reads it before that may see a
// part, and after an error there is none.
func WriteNew(path string, data []byte, perm fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = SyncData(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes dir and what is missing above it, with the permissions perm
// before umask, and syncs the parent of each folder it made. The parent of the
// last folder that was there already is synced too: whoever made it may have
// been killed before its own sync. So the name of dir is durable afterwards,
// but two callers that may make the same folder at once have to take turns.
func MkdirAll(dir string, perm fs.FileMode) error {
	fi, err := os.Stat(dir)
	if err == nil {
		if !fi.IsDir() {
			return &os.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return syncExisting(filepath.Clean(dir))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// syncExisting makes the name of a folder durable that someone made earlier. In
// a parent that we may not read it was not us.
func syncExisting(dir string) error {
	err := SyncDir(filepath.Dir(dir))
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) { // EINVAL: no folder of its kind can be synced
		return nil
	}
	return err
}

// Remove deletes the file or empty folder at path and returns once that is
// durable. An absent path is no error; its folder is synced all the same, since
// an earlier removal may not have been.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
