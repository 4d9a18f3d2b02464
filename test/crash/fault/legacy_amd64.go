//go:build linux

package fault

import "golang.org/x/sys/unix"

func init() {
	calls[unix.SYS_OPEN] = call{"open", 0, -1, nil}
	calls[unix.SYS_RENAME] = call{"rename", 1, -1, change}
	calls[unix.SYS_UNLINK] = call{"unlink", 0, -1, change}
	calls[unix.SYS_RMDIR] = call{"rmdir", 0, -1, change}
	calls[unix.SYS_MKDIR] = call{"mkdir", 0, -1, grow}
}
