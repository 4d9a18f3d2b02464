//go:build unix

package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hasLimits is whether limitSelf does anything.
const hasLimits = true

// eachLimit gives the resources that l limits, in the units of the kernel.
func eachLimit(l Limits, set func(resource int, n uint64) error) error {
	limits := []struct {
		resource int
		n        uint64
		is       bool
	}{
		{unix.RLIMIT_CORE, 0, true},
		{unix.RLIMIT_FSIZE, uint64(max(l.FileBytes, 0)), true},
		{unix.RLIMIT_NOFILE, uint64(l.Files), l.Files > 0},
		{unix.RLIMIT_CPU, uint64((l.CPU + time.Second - 1) / time.Second), l.CPU > 0},
		{unix.RLIMIT_AS, uint64(l.AddressSpace), l.AddressSpace > 0},
	}
	for _, r := range limits {
		if !r.is {
			continue
		}
		if err := set(r.resource, r.n); err != nil {
			return os.NewSyscallError("setrlimit", err)
		}
	}
	return nil
}

// limitSelf limits this process, where it is not limited more already.
func limitSelf(l Limits) error {
	return eachLimit(l, func(resource int, n uint64) error {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return err
		}
		lower(&now.Max, n)
		lower(&now.Cur, n)
		err := unix.Setrlimit(resource, &now)
		if resource == unix.RLIMIT_AS && errors.Is(err, syscall.EINVAL) {
			return nil // macOS has no such limit
		}
		return err
	})
}

// lower makes a limit n if it is more. Its type is that of the system.
func lower[T int64 | uint64](limit *T, n uint64) {
	if uint64(*limit) > n {
		*limit = T(n)
	}
}

// kill ends the session of a child. Its first process leads a group of its
// number.
func kill(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// signalOf is what ended a child, 0 if it ended by itself.
func signalOf(state *os.ProcessState) syscall.Signal {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}
