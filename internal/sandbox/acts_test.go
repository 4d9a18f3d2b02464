//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/wreg-project/wreg/internal/sandbox"
)

// acts are what the test program does as a child.
var acts = map[string]func(){
	"copy":     func() { enter(); io.Copy(os.Stdout, os.Stdin) },
	"hurry":    func() { io.Copy(os.Stdout, os.Stdin) }, // without Enter
	"status":   func() { enter(); fmt.Fprintln(os.Stderr, "no"); os.Exit(7) },
	"panic":    func() { enter(); panic("boom") },
	"kill":     func() { enter(); syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
	"spin":     func() { enter(); spin() },
	"allocate": func() { enter(); allocate() },
	"deaf":     func() { deaf() },
	"flood":    func() { enter(); flood(os.Stdout, 1<<62) },
	"complain": func() { enter(); flood(os.Stderr, 4<<20) },
	"env":      func() { fmt.Println(os.Environ()) },
	"probe":    probe,
	"limits":   limits,
	"files":    files,
	"who":      who,
	"linger":   linger,
	"mother":   func() { start(false) },
	"outlaw":   func() { start(true) },
	"guardian": guardian,
}

func enter() sandbox.Measures {
	m, err := sandbox.Enter(sandbox.Rules{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	return m
}

func spin() {
	for i := 0; ; i++ {
		_ = i
	}
}

func allocate() {
	var kept [][]byte
	for {
		b := make([]byte, 64<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
		fmt.Println(len(kept))
	}
}

// deaf ignores what can be ignored and says when it does.
func deaf() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	fmt.Println("ready")
	select {}
}

func flood(w io.Writer, n int) {
	line := make([]byte, 64<<10)
	for ; n > 0; n -= len(line) {
		if _, err := w.Write(line); err != nil {
			os.Exit(4)
		}
	}
}

// probe tries what it must not be able to do.
func probe() {
	self, _ := os.Executable()
	enter()
	_, opened := os.Open("/etc/passwd")
	fmt.Println("open:", opened)
	_, created := os.Create(filepath.Join(os.TempDir(), "sandbox-probe"))
	fmt.Println("create:", created)
	_, err := os.Stat("/etc/passwd")
	fmt.Println("stat:", err)
	_, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	fmt.Println("socket:", err)
	_, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	fmt.Println("unix socket:", err)
	_, err = syscall.ForkExec(self, []string{self}, nil)
	fmt.Println("fork:", err)
	fmt.Println("exec:", syscall.Exec("/bin/true", nil, nil))
	fmt.Println("ptrace:", syscall.PtraceAttach(os.Getppid()))
	fmt.Println("kill:", syscall.Kill(os.Getppid(), 0))
	fmt.Println("raise:", syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1, Max: 1}))
	// Threads are allowed, with those of the C library or Go's alike.
	var all sync.WaitGroup
	all.Add(20)
	for range 20 {
		go func() {
			runtime.LockOSThread() // until the end, so that there are twenty
			all.Done()
			all.Wait()
		}()
	}
	all.Wait()
	fmt.Println("threads: fine")
}

// limits prints those that are in force once the input has come.
func limits() {
	enter()
	io.ReadAll(os.Stdin)
	for _, resource := range []int{syscall.RLIMIT_CORE, syscall.RLIMIT_FSIZE, syscall.RLIMIT_NOFILE, syscall.RLIMIT_CPU, syscall.RLIMIT_AS} {
		var l syscall.Rlimit
		syscall.Getrlimit(resource, &l)
		fmt.Println(l.Max)
	}
}

// files prints which descriptors are open that were inherited.
func files() {
	enter()
	for fd := range uintptr(256) {
		if flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0); errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			fmt.Println(fd)
		}
	}
}

// who prints what it is in its namespaces.
func who() {
	interfaces, _ := net.Interfaces()
	up := 0
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 {
			up++
		}
	}
	fmt.Println(os.Getpid(), os.Getuid(), up)
}

// linger keeps the pipe open whose name is in PIPE, for a minute.
func linger() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	f, err := os.OpenFile(os.Getenv("PIPE"), os.O_WRONLY, 0)
	if err != nil {
		os.Exit(5)
	}
	f.WriteString("here")
	fmt.Println("started")
	time.Sleep(time.Minute)
}

// start starts one that lingers and ends when that is there.
func start(session bool) {
	self, _ := os.Executable()
	cmd := exec.Command(self)
	cmd.Env = []string{"ACT=linger", "PIPE=" + os.Getenv("PIPE")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	out, _ := cmd.StdoutPipe()
	if cmd.Start() != nil {
		os.Exit(6)
	}
	out.Read(make([]byte, 8))
}

// guardian runs one that lingers in a sandbox of its own.
func guardian() {
	self, _ := os.Executable()
	sandbox.Run(context.Background(), sandbox.Command{
		Path: self, Env: []string{"ACT=linger", "PIPE=" + os.Getenv("PIPE")}, Out: os.Stdout,
		Limits: sandbox.Limits{Wall: time.Hour, OutputBytes: 100, Files: 64, FileBytes: 100},
	})
}
