package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// firstForeign is the bit of x32, the calls of 32-bit pointers.
	firstForeign = 0x40000000
)

var allowedHere = []uintptr{unix.SYS_ARCH_PRCTL, unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_PIPE, unix.SYS_GETRLIMIT, unix.SYS_TIME}
