//go:build unix

package folder

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// owned checks that a folder is the caller's and that nobody else can write to
// it.
func owned(dir string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int64(st.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("%s: %w: it belongs to user %d, and this is user %d", dir, ErrOpen, st.Uid, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s: %w: its mode is %#o; chmod 700 it if you trust what is in it, else remove it", dir, ErrOpen, mode)
	}
	return nil
}
