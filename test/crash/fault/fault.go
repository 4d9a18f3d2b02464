//go:build linux

// Package fault lets system calls of a program fail, each one that it makes on
// a folder, exactly when it is told to.
//
// The kernel hands the calls that a filter names to the injector (seccomp's user
// notification), which lets them pass or fails them. So the program is the
// unchanged binary, every layer of it meets real error numbers, and calls are
// counted over all of its threads.
package fault

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Plan says which calls count and which of them fail.
type Plan struct {
	Under string        // folder, absolute and clean: calls elsewhere do not count
	Calls Kind          // the kind that counts
	Error syscall.Errno // what the caller gets
	Nth   int           // the call that fails, from 1
	Stay  bool          // all later ones fail too
}

// Kind is a set of calls.
type Kind int

// The kinds.
const (
	Reading  Kind = iota // reading files and folders, opening files that are there
	Changing             // writing, syncing, opening for writing, changing names
	Growing              // what needs room on a disk: writing, making files and folders
)

type call struct {
	name  string
	path  int // index of the argument that is a path; -1: the first is a descriptor
	dirfd int // index of its folder's descriptor; -1 for none
	kinds []Kind
}

var (
	change = []Kind{Changing}
	grow   = []Kind{Changing, Growing}
)

// calls are those that every architecture has; legacy adds more.
var calls = map[uintptr]call{
	unix.SYS_READ:       {"read", -1, -1, []Kind{Reading}},
	unix.SYS_PREAD64:    {"pread64", -1, -1, []Kind{Reading}},
	unix.SYS_GETDENTS64: {"getdents64", -1, -1, []Kind{Reading}},
	unix.SYS_OPENAT:     {"openat", 1, 0, nil}, // by its flags
	unix.SYS_WRITE:      {"write", -1, -1, grow},
	unix.SYS_WRITEV:     {"writev", -1, -1, grow},
	unix.SYS_PWRITE64:   {"pwrite64", -1, -1, grow},
	unix.SYS_FALLOCATE:  {"fallocate", -1, -1, grow},
	unix.SYS_FTRUNCATE:  {"ftruncate", -1, -1, change},
	unix.SYS_FSYNC:      {"fsync", -1, -1, change},
	unix.SYS_FDATASYNC:  {"fdatasync", -1, -1, change},
	unix.SYS_RENAMEAT:   {"renameat", 3, 2, change},
	unix.SYS_RENAMEAT2:  {"renameat2", 3, 2, change},
	unix.SYS_UNLINKAT:   {"unlinkat", 1, 0, change},
	unix.SYS_MKDIRAT:    {"mkdirat", 1, 0, grow},
}

func (c call) is(k Kind, args [6]uint64) bool {
	kinds := c.kinds
	if c.name == "openat" || c.name == "open" {
		switch flags := args[c.path+1]; {
		case flags&unix.O_CREAT != 0:
			kinds = grow
		case flags&unix.O_ACCMODE != unix.O_RDONLY:
			kinds = change
		default:
			kinds = []Kind{Reading}
		}
	}
	for _, one := range kinds {
		if one == k {
			return true
		}
	}
	return false
}

// An Injector fails the calls of one program. Its methods are safe for
// concurrent use.
type Injector struct {
	plan   Plan
	socket *os.File // the child's end
	ours   *net.UnixConn
	done   chan struct{}

	mu    sync.Mutex
	seen  int
	fired []string
	err   error
}

const launchWord = "fault-launch"

// New makes an injector. The program has to be started with the descriptor of
// File as its number 3 and with Command before its own command line; the
// starting binary's main has called Launch.
func New(p Plan) (*Injector, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "injector")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fds[1]))
	}
	ours, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T is no unix socket", c), c.Close(), unix.Close(fds[1]))
	}
	in := &Injector{plan: p, socket: os.NewFile(uintptr(fds[1]), "launcher"), ours: ours, done: make(chan struct{})}
	go in.run()
	return in, nil
}

// File is what the program gets as descriptor 3.
func (in *Injector) File() *os.File { return in.socket }

// Command goes before the program's own command line.
func (in *Injector) Command() ([]string, error) {
	self, err := os.Executable()
	return []string{self, launchWord}, err
}

// Started tells the injector that the program was started, or was not.
func (in *Injector) Started() error { return in.socket.Close() }

// Wait returns the calls that failed, once the program has ended, and how many
// counted.
func (in *Injector) Wait() (fired []string, seen int, err error) {
	<-in.done
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.fired, in.seen, in.err
}

// Heal lets everything pass from now on.
func (in *Injector) Heal() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.plan.Nth = 0
}

func (in *Injector) run() {
	defer close(in.done)
	listener, err := receive(in.ours)
	if err == nil {
		err = in.serve(listener)
		err = errors.Join(err, unix.Close(listener))
	}
	err = errors.Join(err, in.ours.Close())
	in.mu.Lock()
	in.err = err
	in.mu.Unlock()
}

// receive takes the listener that the launcher made.
func receive(c *net.UnixConn) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return -1, fmt.Errorf("the launcher sends no listener: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("the launcher sends %d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("the launcher sends %d descriptors: %w", len(fds), err)
	}
	return fds[0], nil
}

// notification and answer are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

const letPass = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// serve answers until the program has ended.
func (in *Injector) serve(listener int) error {
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return err
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return nil
		}
		var n notification
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
				continue // the thread went away meanwhile
			}
			return err
		}
		if err := in.answer(listener, n); err != nil {
			return err
		}
	}
}

func (in *Injector) answer(listener int, n notification) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	what, counts := in.describe(n)
	a := answer{id: n.id, flags: letPass}
	fails := counts && in.plan.Nth > 0 && (in.seen+1 == in.plan.Nth || in.plan.Stay && in.seen+1 > in.plan.Nth)
	if fails {
		a = answer{id: n.id, errno: -int32(in.plan.Error)}
	}
	err := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
	if errors.Is(err, unix.ENOENT) {
		return nil // interrupted: it will be made again
	}
	if counts {
		in.seen++
	}
	if fails && len(in.fired) < 1000 {
		in.fired = append(in.fired, what)
	}
	return err
}

// describe says what a call is, and whether it counts.
func (in *Injector) describe(n notification) (string, bool) {
	c, ok := calls[uintptr(n.nr)]
	if !ok || !c.is(in.plan.Calls, n.args) {
		return "", false
	}
	var path string
	if c.path < 0 {
		path = descriptor(n.pid, int32(n.args[0]))
	} else {
		path = text(n.pid, n.args[c.path])
		if !strings.HasPrefix(path, "/") && c.dirfd >= 0 {
			path = descriptor(n.pid, int32(n.args[c.dirfd])) + "/" + path
		}
	}
	rel, ok := strings.CutPrefix(path, in.plan.Under)
	return c.name + " " + strings.TrimPrefix(rel, "/"), ok && (rel == "" || rel[0] == '/')
}

// descriptor is the path behind a descriptor, "" if it has none.
func descriptor(pid uint32, fd int32) string {
	path, err := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/fd/" + strconv.Itoa(int(fd)))
	if err != nil {
		return ""
	}
	return path
}

// text reads a string from the program's memory.
func text(pid uint32, at uint64) string {
	mem, err := os.Open("/proc/" + strconv.Itoa(int(pid)) + "/mem")
	if err != nil {
		return ""
	}
	defer mem.Close()
	b := make([]byte, unix.PathMax)
	n, _ := mem.ReadAt(b, int64(at)) // short at the end of a mapping
	end := bytes.IndexByte(b[:n], 0)
	return string(b[:max(end, 0)])
}

func control(fd int, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

// Launch turns the process into the program to test, if it was started to do
// so; otherwise it returns. Call it first in main.
func Launch() {
	if len(os.Args) < 3 || os.Args[1] != launchWord {
		return
	}
	err := launch(os.Args[2:])
	fmt.Fprintln(os.Stderr, "launch:", err)
	os.Exit(1)
}

func launch(command []string) error {
	runtime.LockOSThread() // the filter belongs to this thread, which becomes the program
	const socket = 3
	unix.CloseOnExec(socket)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := program()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	listener, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("send the listener: %w", err)
	}
	unix.CloseOnExec(int(listener))
	return unix.Exec(command[0], command, os.Environ())
}

// program is the filter: calls of ours are asked about, others pass.
func program() []unix.SockFilter {
	f := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	for nr := range calls {
		f = append(
			f,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: uint32(nr)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		)
	}
	return append(f, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}
