//go:build linux && (amd64 || arm64)

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filters is whether confine can filter system calls.
const filters = true

// confine gives up all privileges and all system calls that computing does not
// need, for every thread there is and will be.
func confine(m *Measures) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	m.Privileges = true
	err := install(filter(os.Getpid()))
	switch {
	case err == nil:
		m.Calls = true
	case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EINVAL):
		m.Why = "this kernel or emulator filters no system calls (seccomp: " + err.Error() + ")"
	default:
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// install has the kernel run a filter for all threads of this process.
func install(program []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(program)
	switch {
	case errno != 0:
		return errno
	case r != 0:
		return fmt.Errorf("thread %d has a filter of its own", r)
	}
	return nil
}

// allowed are the system calls that may be made with any arguments: memory,
// threads, time, and what is open already. Each is there because Go's runtime,
// the C library or Rust's standard library makes it while computing.
var allowed = append([]uintptr{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_LSEEK,
	unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_FUTEX, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_SET_TID_ADDRESS, unix.SYS_MEMBARRIER,
	unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2, unix.SYS_PIPE2, unix.SYS_PPOLL,
	unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
	unix.SYS_GETRANDOM, unix.SYS_GETRUSAGE, unix.SYS_UNAME, unix.SYS_SYSINFO,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
}, allowedHere...)

// Parts of struct seccomp_data; arguments are read by their lower halves, first
// in memory on both architectures.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16
)

const (
	allow = uint32(unix.SECCOMP_RET_ALLOW)
	deny  = uint32(unix.SECCOMP_RET_ERRNO) | uint32(syscall.EPERM)
	none  = uint32(unix.SECCOMP_RET_ERRNO) | uint32(syscall.ENOSYS)
	end   = uint32(unix.SECCOMP_RET_KILL_PROCESS)
)

// filter is the program that decides about every system call of the process
// with that number. Calls of another architecture, whose numbers mean something
// else, end the process.
func filter(pid int) []unix.SockFilter {
	p := []unix.SockFilter{
		load(dataArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(end),
		load(dataNumber),
		jump(unix.BPF_JGE, firstForeign, 0, 1),
		ret(end),
	}
	for _, nr := range allowed {
		p = append(p, jump(unix.BPF_JEQ, uint32(nr), 0, 1), ret(allow))
	}
	// glibc and musl make threads by clone if there is no clone3, whose flags
	// lie in memory, where a filter cannot see them. Another error is final.
	p = append(p, jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), ret(none))
	p = append(p, only(unix.SYS_CLONE, 0, unix.BPF_JSET, unix.CLONE_THREAD)...)
	p = append(p, only(unix.SYS_TGKILL, 0, unix.BPF_JEQ, uint32(pid))...)
	p = append(p, only(unix.SYS_KILL, 0, unix.BPF_JEQ, uint32(pid))...)
	// Without new limits it only asks. Pointers have two halves.
	p = append(p, jump(unix.BPF_JEQ, unix.SYS_PRLIMIT64, 0, 6),
		load(dataArg0+8*2), jump(unix.BPF_JEQ, 0, 0, 3), load(dataArg0+8*2+4), jump(unix.BPF_JEQ, 0, 0, 1), ret(allow), ret(deny))
	p = append(p, only(unix.SYS_FCNTL, 1, unix.BPF_JEQ, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC)...)
	p = append(p, only(unix.SYS_PRCTL, 0, unix.BPF_JEQ, unix.PR_SET_VMA, unix.PR_SET_NAME, unix.PR_GET_NAME)...)
	return append(p, ret(deny))
}

// only allows a call if the comparison of one of its arguments with one of the
// values holds, and denies it otherwise.
func only(nr uintptr, arg uint32, compare uint16, values ...uint32) []unix.SockFilter {
	p := []unix.SockFilter{
		jump(unix.BPF_JEQ, uint32(nr), 0, uint8(2+2*len(values))),
		load(dataArg0 + 8*arg),
	}
	for _, v := range values {
		p = append(p, jump(compare, v, 0, 1), ret(allow))
	}
	return append(p, ret(deny))
}

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

func jump(compare uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | compare | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func ret(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
