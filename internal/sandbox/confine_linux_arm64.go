package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	// firstForeign is beyond all calls: there is one set of them.
	firstForeign = 0xffffffff
)

var allowedHere []uintptr
