package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// What Run can do here.
const (
	limitsFromOutside = true
	ownNamespaces     = true
)

// nobody is who the child is in its own namespace. It has no privileges there
// either, which the first user of a namespace would.
const nobody = 65534

func attributes(namespaces bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if !namespaces {
		return a
	}
	a.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
	return a
}

// forbidden tells whether a child could not be started because this user gets
// no namespaces: by a policy (EPERM, EACCES), by a number (ENOSPC, EUSERS) or by
// how the kernel was built (EINVAL).
func forbidden(err error) bool {
	for _, is := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOSPC, syscall.EUSERS, syscall.EINVAL} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// limit limits a process that was just started.
func limit(pid int, l Limits) error {
	return eachLimit(l, func(resource int, n uint64) error {
		return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil)
	})
}

// maxRSS is in bytes; the kernel counts in KiB.
func maxRSS(state *os.ProcessState) int64 {
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		return r.Maxrss << 10
	}
	return 0
}

// wait waits until the child has ended and ends the rest of its session, before
// its number can become that of another process.
func wait(cmd *exec.Cmd) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, syscall.EINTR) {
			break // with an error cmd.Wait has a better one
		}
	}
	_ = kill(cmd) // fails if nothing is left
	return cmd.Wait()
}
