// Package server runs wreg as a process that tests can kill.
package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say how to run wreg.
type Options struct {
	Bin      string   // path of the binary
	Data     string   // the data folder, which wreg makes
	Database string   // "" for the default within Data
	Wrap     []string // a program and its arguments that runs wreg, as strace does
	Args     []string // more flags for serve

	// Become is a program that turns into wreg by exec, with its arguments, and
	// Files are what it gets as descriptors from 3 on.
	Become []string
	Files  []*os.File
}

// Server is a running wreg. Its methods are safe for concurrent use.
type Server struct {
	Base string // "http://127.0.0.1:40123"

	cmd   *exec.Cmd
	pid   int // of wreg itself
	ended chan struct{}
	err   error // of the process; set when ended is closed

	mu  sync.Mutex
	log []Line
	raw bytes.Buffer
}

// Line is one line of the server's log.
type Line map[string]any

// Bounds of what is kept of a log, in bytes and lines.
const (
	maxText  = 64 << 10
	maxLines = 10_000
)

// Message is the constant text of a line.
func (l Line) Message() string {
	s, _ := l["msg"].(string)
	return s
}

// ErrEnded is returned by Start when wreg ended before it served.
var ErrEnded = errors.New("wreg ended before it served")

// startLimit is how long a start may take: far longer than it ever should, even
// under strace on a busy machine.
const startLimit = 30 * time.Second

// Start runs wreg and returns once it serves.
func Start(ctx context.Context, o Options) (*Server, error) {
	args := slices.Concat(o.Wrap, o.Become, []string{o.Bin, "serve", "--listen", "127.0.0.1:0", "--log-format", "json"}, o.flags(), o.Args)
	s := &Server{cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})} //nolint:noctx // it outlives ctx
	s.cmd.ExtraFiles = o.Files
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	serving := make(chan string, 1)
	go s.follow(stderr, serving)

	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case address := <-serving:
		s.Base = "http://" + address
	case <-s.ended:
		return nil, fmt.Errorf("%w: %w\n%s", ErrEnded, s.err, s.Text())
	case <-ctx.Done():
		s.Kill()
		return nil, fmt.Errorf("wreg does not serve: %w\n%s", ctx.Err(), s.Text())
	}
	s.pid = s.cmd.Process.Pid
	if len(o.Wrap) > 0 {
		if s.pid, err = onlyChild(s.pid); err != nil {
			s.Kill()
			return nil, err
		}
	}
	return s, nil
}

func (o Options) flags() []string {
	flags := []string{"--data", o.Data}
	if o.Database != "" {
		flags = append(flags, "--database", o.Database)
	}
	return flags
}

// follow reads the log to its end and then the process's result.
func (s *Server) follow(stderr io.Reader, serving chan<- string) {
	sc := bufio.NewScanner(stderr)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l Line
		if json.Unmarshal(sc.Bytes(), &l) == nil && l.Message() == "request" && l["level"] == "INFO" {
			continue // there are many
		}
		s.mu.Lock()
		if s.raw.Len() < maxText {
			s.raw.Write(sc.Bytes())
			s.raw.WriteByte('\n')
		}
		if l != nil && len(s.log) < maxLines {
			s.log = append(s.log, l)
		}
		s.mu.Unlock()
		if address, ok := l["address"].(string); ok && l.Message() == "serving" {
			serving <- address
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // a line that was too long
	s.err = s.cmd.Wait()
	close(s.ended)
}

// onlyChild finds the process that a wrapper started.
func onlyChild(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("children of %d: %w", pid, err)
	}
	return child, nil
}

// Pid is the process id of wreg itself.
func (s *Server) Pid() int { return s.pid }

// Kill ends wreg with SIGKILL and returns when it is gone.
func (s *Server) Kill() {
	if s.pid != 0 {
		_ = syscall.Kill(s.pid, syscall.SIGKILL) // gone already is as good
	} else {
		_ = s.cmd.Process.Kill()
	}
	<-s.ended
}

// stopLimit is how long a graceful end may take.
const stopLimit = 60 * time.Second

// Stop ends wreg with SIGTERM and returns how it ended.
func (s *Server) Stop() error {
	if err := syscall.Kill(s.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("wreg after SIGTERM: %w\n%s", s.err, s.Text())
		}
		return nil
	case <-limit.C:
		_ = syscall.Kill(s.pid, syscall.SIGQUIT) // for the stacks
		<-s.ended
		return fmt.Errorf("wreg does not end within %s of SIGTERM\n%s", stopLimit, s.Text())
	}
}

// Ended is closed once the process is gone and its log read.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Log is what wreg has logged so far, without lines that are not JSON, and
// without those of requests that went well. Of a long log it is the beginning.
func (s *Server) Log() []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Text is the same with lines that are not JSON, as it came.
func (s *Server) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// Panicked reports whether the output has a Go panic or a data race.
func (s *Server) Panicked() bool {
	text := s.Text()
	return strings.Contains(text, "\ngoroutine ") || strings.Contains(text, "panic:") || strings.Contains(text, "panic serving")
}

// Fsck runs wreg fsck on a data folder that no server uses. An error shows what
// it found.
func Fsck(ctx context.Context, o Options) error {
	cmd := exec.CommandContext(ctx, o.Bin, append([]string{"fsck", "--output", "json"}, o.flags()...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("wreg fsck: %w\n%s%s", err, errs.Bytes(), out.Bytes())
	}
	if !json.Valid(out.Bytes()) {
		return fmt.Errorf("wreg fsck --output json prints %q", out.Bytes())
	}
	return nil
}

// Uploads lists what lies in the folder for unfinished uploads. It fails if the
// data folder has none, so that no test looks in the wrong place.
func Uploads(data string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(data, "blobs", "uploads"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
