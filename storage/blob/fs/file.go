package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/wreg-project/wreg/storage/blob"
)

// absent turns the error for a file that is not there into blob.ErrNotFound.
func absent(err error) error {
	if isAbsent(err) {
		return blob.ErrNotFound
	}
	return err
}

// isAbsent also holds for a path below a file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// unlink removes the file at path. An absent file is no error, nor is a folder,
// that stays: os.Remove would take it if it is empty.
func unlink(path string) error {
	for {
		err := syscall.Unlink(path)
		switch {
		case err == nil || isAbsent(err) || errors.Is(err, syscall.EISDIR):
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		}
		if fi, serr := os.Lstat(path); serr == nil && fi.IsDir() {
			return nil // EPERM, where a system has no EISDIR for this
		}
		return &os.PathError{Op: "unlink", Path: path, Err: err}
	}
}

// rename moves a file over another. os.Rename would look first whether the new
// name is a folder, which costs a system call and is refused anyway.
func rename(from, to string) error {
	for {
		err := syscall.Rename(from, to)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		}
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
}

// errInUse is the reason of ErrLocked.
func errInUse(path string) error { return fmt.Errorf("%w: %s is locked", ErrLocked, path) }
