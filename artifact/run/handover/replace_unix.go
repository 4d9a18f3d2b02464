//go:build unix

package handover

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// inherit lets the next program have an open file, and returns the name under
// which that program finds it, where there is one.
func inherit(f *os.File) (name string, err error) {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		return "", &os.PathError{Op: "hand over", Path: f.Name(), Err: err}
	}
	if runtime.GOOS == "linux" {
		name = "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	}
	return name, nil
}

// replace makes this process the program at path.
func replace(path string, argv, env []string) error {
	return &os.PathError{Op: "exec", Path: path, Err: unix.Exec(path, argv, env)}
}
