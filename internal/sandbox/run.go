package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// variable tells a child that calls Enter which limits it has, and where to
// report that it is confined.
const variable = "WREG_SANDBOX"

// order is its value.
type order struct {
	Limits *Limits `json:"limits,omitempty"` // for systems where the parent cannot set them
	Report uintptr `json:"report"`           // a descriptor to write Measures to
}

// Run runs a command to its end, within its limits, and tells what it used. The
// Usage is there whenever the program was started, also with an error: one of
// those of this package, that of the context, or that of Out.
//
// When Run returns, nothing of the child is left: neither it, nor, as far as
// the system can tell (see the package), what it started. A reader that blocks
// forever is the one thing Run cannot end: it leaves it behind.
func Run(ctx context.Context, c Command) (*Usage, error) {
	if c.Limits.Wall <= 0 || c.Limits.OutputBytes <= 0 {
		return nil, errors.New("sandbox: a command needs limits of time and output")
	}
	// The kernel takes the end of the thread that started a child for that of
	// its parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	u, err := run(ctx, c, c.Namespaces)
	if err != nil && u == nil && c.Namespaces && forbidden(err) {
		u, err = run(ctx, c, false)
	}
	if err != nil {
		return u, fmt.Errorf("%s: %w", c.Path, err)
	}
	return u, nil
}

// A child is a command that runs.
type child struct {
	Command
	cmd    *exec.Cmd
	stop   context.CancelCauseFunc
	out    *output
	errs   head
	report *os.File // it reads Measures from; nil unless Confined

	confined Measures      // that it reported
	reported bool          // it did
	ready    chan struct{} // closed when input may flow, or never will
}

func run(parent context.Context, c Command, namespaces bool) (*Usage, error) {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limits.Wall, ErrTimeout)
	defer cancel()

	ch := &child{Command: c, stop: stop, ready: make(chan struct{})}
	if err := ch.prepare(ctx, namespaces); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := ch.start(); err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(ch.confine)
	err := wait(ch.cmd)
	ch.closeReport()
	reading.Wait()

	u := ch.usage(time.Since(begin), namespaces)
	return u, ch.judge(ctx, u, err)
}

// prepare says how the child is started.
func (ch *child) prepare(ctx context.Context, namespaces bool) error {
	ch.out = &output{to: ch.Out, left: ch.Limits.OutputBytes, stop: ch.stop}
	ch.errs.left = ch.Limits.StderrBytes
	if ch.errs.left <= 0 {
		ch.errs.left = defaultStderr
	}
	if ch.Limits.Files <= 0 {
		ch.Limits.Files = defaultFiles
	}
	cmd := exec.CommandContext(ctx, ch.Path, ch.Args...)
	if ch.Name != "" {
		cmd.Args[0] = ch.Name
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = ch.Dir, ch.out, &ch.errs
	// Wrapped, so that the child gets a pipe and never a file of ours, which it
	// might write to.
	if ch.In != nil {
		cmd.Stdin = &input{from: ch.In, ready: ch.ready, ctx: ctx}
	}
	// Backtraces of Rust go into the text of its errors.
	cmd.Env = append([]string{"RUST_BACKTRACE=0"}, ch.Env...)
	cmd.Cancel = func() error { return kill(cmd) }
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = attributes(namespaces)
	ch.cmd = cmd
	return nil
}

// start starts the child, under its limits where they can be set from here.
func (ch *child) start() error {
	var theirs *os.File
	if ch.Confined {
		var err error
		if ch.report, theirs, err = os.Pipe(); err != nil {
			return err
		}
		defer theirs.Close()
		o := order{Report: 3} // the first of ExtraFiles
		if !limitsFromOutside {
			o.Limits = &ch.Limits
		}
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		ch.cmd.ExtraFiles = []*os.File{theirs}
		ch.cmd.Env = append(ch.cmd.Env, variable+"="+string(text))
	}
	if err := ch.cmd.Start(); err != nil {
		ch.closeReport()
		return err
	}
	if err := limit(ch.cmd.Process.Pid, ch.Limits); err != nil {
		ch.stop(fmt.Errorf("limit the process: %w", err))
	}
	return nil
}

// confine waits until the child has confined itself, then lets the input flow.
func (ch *child) confine() {
	defer close(ch.ready)
	if ch.report == nil {
		return
	}
	err := json.NewDecoder(io.LimitReader(ch.report, 4096)).Decode(&ch.confined)
	ch.reported = err == nil
	switch {
	case err != nil:
		ch.stop(ErrUnconfined)
	case !ch.confined.Calls && !ch.Foreign && filters:
		ch.stop(fmt.Errorf("%w: %s", ErrUnconfined, ch.confined.Why))
	}
}

func (ch *child) closeReport() {
	if ch.report != nil {
		ch.report.Close()
	}
}

func (ch *child) usage(wall time.Duration, namespaces bool) *Usage {
	state := ch.cmd.ProcessState
	u := &Usage{
		Wall: wall, Output: ch.Limits.OutputBytes - ch.out.left,
		Stderr: ch.errs.kept.Bytes(), Dropped: ch.errs.dropped, Measures: ch.confined,
	}
	u.Measures.Namespaces = namespaces && ownNamespaces
	u.Measures.Limits = u.Measures.Limits || limitsFromOutside
	if state != nil {
		u.CPU = state.UserTime() + state.SystemTime()
		u.MaxRSS = maxRSS(state)
	}
	return u
}

// judge finds the error of a child that has ended, with err of its Wait.
func (ch *child) judge(ctx context.Context, u *Usage, err error) error {
	state := ch.cmd.ProcessState
	// One that was done just when its time was up has done its work.
	done := state != nil && state.Success()
	if cause := context.Cause(ctx); cause != nil && (!done || !errors.Is(cause, ErrTimeout)) {
		return ch.interrupted(u, cause)
	}
	exit, ended := errors.AsType[*exec.ExitError](err)
	if !ended {
		return err
	}
	signal := signalOf(exit.ProcessState)
	text := string(u.Stderr)
	switch {
	// The kernel counts by ticks for its limit and exactly for its report; on a
	// busy machine a sixth lies between them.
	case signal == syscall.SIGKILL && ch.Limits.CPU > 0 && u.CPU >= ch.Limits.CPU*3/4:
		return fmt.Errorf("%w: it used %v of the processor", ErrTimeout, ch.Limits.CPU)
	case signal == 0 && !goCrash(exit.ExitCode(), text):
		return &ExitError{Status: exit.ExitCode()}
	case outOfMemory(text):
		return fmt.Errorf("%w: %s", ErrMemory, reason(text))
	case signal == 0:
		signal = syscall.SIGABRT
	}
	return &CrashError{Signal: signal, Reason: reason(text)}
}

// interrupted words why the child was ended from here.
func (ch *child) interrupted(u *Usage, cause error) error {
	switch {
	case errors.Is(cause, ErrTimeout) && ch.Confined && !ch.reported:
		return fmt.Errorf("%w in %v", ErrUnconfined, ch.Limits.Wall)
	case errors.Is(cause, ErrTimeout):
		return fmt.Errorf("%w after %v", ErrTimeout, ch.Limits.Wall)
	case errors.Is(cause, ErrOutput):
		return fmt.Errorf("%w: more than %d bytes", ErrOutput, ch.Limits.OutputBytes)
	case errors.Is(cause, ErrUnconfined) && len(u.Stderr) > 0:
		return fmt.Errorf("%w: %s", cause, firstLine(string(u.Stderr)))
	}
	return cause
}

// goCrash tells whether a program in Go, which catches the signals of a crash,
// ended by one or by a panic.
func goCrash(status int, text string) bool {
	if status != 2 {
		return false
	}
	for _, sign := range []string{"goroutine ", "\nPC=", "fatal error: ", "runtime: "} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// outOfMemory tells whether the last words of a program are those of Rust, Go, C
// or C++ about memory.
func outOfMemory(text string) bool {
	text = strings.ToLower(text)
	for _, sign := range []string{"memory allocation of ", "out of memory", "cannot allocate memory", "bad_alloc", "pthread_create failed"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// reason finds the line of a crash that says most.
func reason(text string) string {
	for line := range strings.Lines(text) {
		for _, sign := range []string{
			"memory allocation of ", "panicked at", "fatal error: ", "panic: ", "out of memory", "SIGSEGV", "SIGILL", "SIGBUS",
		} {
			if strings.Contains(line, sign) {
				return clip(line)
			}
		}
	}
	return firstLine(text)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return clip(line)
}

// clip bounds what a child says to what fits into a message, without control
// characters.
func clip(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(line), "?"))
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	return line
}

// output passes on so many bytes, then ends the child.
type output struct {
	to   io.Writer
	left int64
	stop context.CancelCauseFunc
	err  error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	part := p[:min(int64(len(p)), o.left)]
	n := len(part)
	if o.to != nil {
		n, o.err = o.to.Write(part)
	}
	o.left -= int64(n)
	if o.err == nil && len(part) < len(p) {
		o.err = ErrOutput
	}
	if o.err != nil {
		o.stop(o.err)
	}
	return n, o.err
}

// head keeps the beginning of what is written.
type head struct {
	kept    bytes.Buffer
	left    int64
	dropped int64
}

func (h *head) Write(p []byte) (int, error) {
	part := p[:min(int64(len(p)), h.left)]
	h.kept.Write(part)
	h.left -= int64(len(part))
	h.dropped += int64(len(p) - len(part))
	return len(p), nil
}

// input withholds its bytes until the child is confined.
type input struct {
	from  io.Reader
	ready <-chan struct{}
	ctx   context.Context
}

func (in *input) Read(p []byte) (int, error) {
	<-in.ready // closed at the latest when the child has ended
	if err := context.Cause(in.ctx); err != nil {
		return 0, io.EOF // the child is being ended, which is reported as that
	}
	return in.from.Read(p)
}
