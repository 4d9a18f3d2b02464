//go:build linux && (amd64 || arm64)

package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wreg-project/wreg/internal/sandbox"
)

func TestAChildComputesItsOutputFromItsInput(t *testing.T) {
	c := command(t, "copy")
	c.In = strings.NewReader("hello")
	out, u, err := run(t, c)
	if err != nil || out != "hello" {
		t.Fatalf("Run = %q, %v; want hello", out, err)
	}
	if m := u.Measures; !m.Calls || !m.Privileges || !m.Limits || u.Output != 5 || u.MaxRSS == 0 || u.Wall == 0 {
		t.Errorf("usage %+v; want all measures and what was used", u)
	}
}

func TestAConfinedChildCanOnlyCompute(t *testing.T) {
	for _, namespaces := range []bool{true, false} {
		c := command(t, "probe")
		c.Namespaces = namespaces
		out, _, err := run(t, c)
		if err != nil {
			t.Fatalf("Run = %v", err)
		}
		for line := range strings.Lines(out) {
			what, got, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if what == "threads" {
				continue
			}
			if !strings.HasSuffix(got, "operation not permitted") {
				t.Errorf("namespaces %v: %s gives %s, want operation not permitted", namespaces, what, got)
			}
		}
		if n := strings.Count(out, "\n"); n != 11 || !strings.HasSuffix(out, "threads: fine\n") {
			t.Errorf("namespaces %v: the child did %d of 11 things:\n%s", namespaces, n, out)
		}
	}
}

func TestLimitsHoldBeforeTheInputComes(t *testing.T) {
	c := command(t, "limits")
	c.In = strings.NewReader("x")
	c.Limits.CPU, c.Limits.AddressSpace, c.Limits.Files = 1500*time.Millisecond, 2<<30, 20
	out, _, err := run(t, c)
	if want := "0\n0\n20\n2\n2147483648\n"; err != nil || out != want {
		t.Errorf("the child has limits %q, %v; want %q", out, err, want)
	}
}

func TestHowAChildEndsIsAnError(t *testing.T) {
	tests := []struct {
		name, act string
		change    func(*sandbox.Command)
		want      error
		text      string
	}{
		{"it ignores signals", "deaf", func(c *sandbox.Command) { c.Confined, c.Limits.Wall = false, 300*time.Millisecond }, sandbox.ErrTimeout, "after 300ms"},
		{"it computes for ever", "spin", func(c *sandbox.Command) { c.Limits.Wall = 2 * time.Second }, sandbox.ErrTimeout, "after 2s"},
		{"it uses up its processor time", "spin", func(c *sandbox.Command) { c.Limits.CPU = time.Second }, sandbox.ErrTimeout, "1s of the processor"},
		{"it writes too much", "flood", nil, sandbox.ErrOutput, "more than 1048576 bytes"},
		{"it ends without having confined itself", "env", nil, sandbox.ErrUnconfined, "did not confine"},
		{"it waits without confining itself", "hurry", func(c *sandbox.Command) { c.Limits.Wall = 300 * time.Millisecond }, sandbox.ErrUnconfined, "in 300ms"},
		{"the program is not there", "", func(c *sandbox.Command) { c.Path = "/nonexistent/program" }, os.ErrNotExist, "/nonexistent/program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := command(t, tt.act)
			c.In = strings.NewReader("input")
			if tt.change != nil {
				tt.change(&c)
			}
			out, u, err := run(t, c)
			if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("Run = %v, want %v with %q", err, tt.want, tt.text)
			}
			if int64(len(out)) > c.Limits.OutputBytes || strings.Contains(out, "input") {
				t.Errorf("the child wrote %d bytes, at most %d, none of its input", len(out), c.Limits.OutputBytes)
			}
			if tt.act != "" && (u == nil || u.Wall == 0) {
				t.Errorf("usage %+v; want what was used", u)
			}
		})
	}
}

func TestAStatusIsToldFromACrash(t *testing.T) {
	_, u, err := run(t, command(t, "status"))
	if exit, ok := errors.AsType[*sandbox.ExitError](err); !ok || exit.Status != 7 || string(u.Stderr) != "no\n" {
		t.Errorf("a child with status 7 gives %v, %q", err, u.Stderr)
	}
	_, _, err = run(t, command(t, "panic"))
	if crash, ok := errors.AsType[*sandbox.CrashError](err); !ok || crash.Signal != syscall.SIGABRT || crash.Reason != "panic: boom" {
		t.Errorf("a child that panics gives %v", err)
	}
	c := command(t, "kill")
	c.Namespaces = false // in its own it cannot kill itself: the first process is spared
	_, _, err = run(t, c)
	if crash, ok := errors.AsType[*sandbox.CrashError](err); !ok || crash.Signal != syscall.SIGKILL {
		t.Errorf("a child that is killed gives %v", err)
	}
}

func TestStandardErrorIsCutOff(t *testing.T) {
	c := command(t, "complain")
	c.Limits.StderrBytes = 1000
	_, u, err := run(t, c)
	if err != nil || len(u.Stderr) != 1000 || u.Dropped != 4<<20-1000 {
		t.Fatalf("4 MiB of standard error: %d kept, %d dropped, %v; want 1000 kept", len(u.Stderr), u.Dropped, err)
	}
}

func TestACancelledContextEndsTheChild(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := command(t, "deaf")
	c.Confined = false
	c.Out = writer(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if _, err := sandbox.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
}

func TestAnErrorOfTheReceiverEndsTheChild(t *testing.T) {
	c := command(t, "flood")
	c.Out = writer(func([]byte) (int, error) { return 0, io.ErrShortWrite })
	if _, err := sandbox.Run(context.Background(), c); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Run = %v, want %v", err, io.ErrShortWrite)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestNothingOfTheEnvironmentIsPassedOn(t *testing.T) {
	t.Setenv("SECRET", "token")
	t.Setenv("RUST_BACKTRACE", "1")
	c := command(t, "env")
	c.Confined = false
	out, _, err := run(t, c)
	if want := "[RUST_BACKTRACE=0 ACT=env]\n"; err != nil || out != want {
		t.Errorf("the child sees %q, %v; want %q", out, err, want)
	}
}

func TestNoOpenFileIsPassedOn(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inherited, err := unix.Dup(int(f.Fd())) // not closed by exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	out, _, err := run(t, command(t, "files"))
	if want := "0\n1\n2\n"; err != nil || out != want {
		t.Errorf("descriptor %d was inherited; the child has %q, %v; want %q", inherited, out, err, want)
	}
}

func TestNoDescriptorIsLeftOpenHere(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	acts := []string{"copy", "hurry", "flood", "panic"}
	run(t, command(t, acts[0])) // the poller's are opened once
	before := count()
	for _, act := range acts {
		run(t, command(t, act))
	}
	bad := command(t, "copy")
	bad.Path = "/nonexistent/program"
	run(t, bad)
	if after := count(); after != before {
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}

func TestAChildIsAloneInItsNamespaces(t *testing.T) {
	c := command(t, "who")
	c.Confined = false
	out, u, err := run(t, c)
	if err != nil {
		t.Fatal(err)
	}
	want := "1 65534 0\n"
	if !u.Measures.Namespaces { // this machine gives none, which Run has to know
		want = out
		if pid, _, _ := strings.Cut(out, " "); pid == "1" {
			t.Errorf("the child is process 1, and Run says that it has no namespaces")
		}
	}
	if out != want {
		t.Errorf("process, user and interfaces are %q, want %q", out, want)
	}
}

// A pipe that is held open by what a child started ends when that does.
func TestWhatAChildStartsEndsWithIt(t *testing.T) {
	for _, tt := range []struct {
		name, act  string
		namespaces bool
	}{
		{"in its session", "mother", false},
		{"in its process namespace", "mother", true},
		{"in a session of its own", "outlaw", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pipe, name := fifo(t)
			c := command(t, tt.act)
			c.Confined, c.Namespaces = false, tt.namespaces
			c.Limits.Files, c.Limits.FileBytes = 64, 100
			c.Env = append(c.Env, "PIPE="+name)
			_, u, err := run(t, c)
			if err != nil {
				t.Fatalf("Run = %v, %s", err, u.Stderr)
			}
			if tt.act == "outlaw" && !u.Measures.Namespaces {
				return // without namespaces nothing is promised
			}
			ended(t, pipe)
		})
	}
}

func TestAChildEndsWithItsParent(t *testing.T) {
	pipe, name := fifo(t)
	c := command(t, "guardian")
	c.Confined, c.Namespaces = false, false
	c.Limits.Files, c.Limits.FileBytes = 64, 100
	c.Env = append(c.Env, "PIPE="+name)
	ctx, cancel := context.WithCancel(context.Background())
	c.Out = writer(func(p []byte) (int, error) { cancel(); return len(p), nil }) // once the one that lingers is there
	if _, err := sandbox.Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run = %v, want %v", err, context.Canceled)
	}
	ended(t, pipe)
}

// fifo makes a named pipe and opens its end for reading.
func fifo(t *testing.T) (*os.File, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, name
}

// ended waits until nobody holds the other end of a pipe any more.
func ended(t *testing.T, pipe *os.File) {
	t.Helper()
	if err := pipe.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(pipe)
	if err != nil || string(b) != "here" {
		t.Errorf("the pipe gave %q, %v; want that someone was there and is gone", b, err)
	}
}

func TestACommandNeedsLimits(t *testing.T) {
	c := command(t, "copy")
	c.Limits.OutputBytes = 0
	if u, err := sandbox.Run(context.Background(), c); err == nil || u != nil {
		t.Errorf("Run without a limit of output = %+v, %v; want an error", u, err)
	}
}

// The kernel takes the end of a thread for that of a parent, and Go ends threads.
func TestRunsSideBySide(t *testing.T) {
	errs := make(chan error)
	const n = 12
	for i := range n {
		go func() {
			c := command(t, "copy")
			text := strings.Repeat(strconv.Itoa(i), 100_000)
			c.In = strings.NewReader(text)
			out, _, err := run(t, c)
			if err == nil && out != text {
				err = fmt.Errorf("child %d wrote %d bytes of %d", i, len(out), len(text))
			}
			runtime.LockOSThread() // and end this thread
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
