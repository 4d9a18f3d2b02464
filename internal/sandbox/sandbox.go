// Package sandbox runs a program that reads hostile bytes, and is not trusted
// once it has read them: a compiler of WebAssembly. [Run] is the side of the
// parent, [Enter] that of a child that was written to be confined.
//
// What holds, and where:
//
//   - Everywhere: the child has the environment it is given and nothing else,
//     no terminal, no open files but its three streams; it ends at its deadline
//     or with its context, writes so much and no more, and how it ended is an
//     error to test for.
//   - On Unix: everything of its session ends with it.
//   - On Linux: it ends if this process does, however that ends; its memory, its
//     processor time and the files it may write are limited by the kernel before
//     the first byte of its input; it sees no other process and no network, where
//     the kernel gives user namespaces to this user.
//   - On Linux, amd64 and arm64, of a program that calls [Enter]: it opens no
//     file and no socket and starts no process, by a list of the system calls it
//     may use. It gets no input before that holds.
//
// On other systems memory is limited for programs that call Enter, as far as the
// system does that (macOS does not), and nothing stops a child from opening
// files. A program that does not call Enter can open files everywhere.
package sandbox

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// Command is a program to run once.
type Command struct {
	Path string    // of the program; it is not looked for
	Args []string  // without the name of the program
	Name string    // that the program sees as its own; "" for Path
	Env  []string  // all of its environment, "NAME=value"
	Dir  string    // it is started in; "" for that of this process
	In   io.Reader // its standard input; nil for an empty one

	// Out gets its standard output. Nothing more is written once a limit is
	// reached, but what was is not taken back.
	Out io.Writer

	Limits Limits

	// Namespaces puts it into namespaces of its own where that is allowed: of
	// users, processes, networks, System V objects and host names.
	Namespaces bool

	// Confined is for programs that call [Enter]: they get no input before they
	// have, and if they do not, Run fails with ErrUnconfined. Foreign is for
	// those that are emulated on another kind of CPU, where the kernel's filter
	// of system calls cannot be used: Run then does without.
	Confined bool
	Foreign  bool
}

// Limits are what a child may use up. Wall and OutputBytes have to be set.
type Limits struct {
	Wall         time.Duration // from its start to its end
	CPU          time.Duration // of all its threads, in whole seconds, rounded up; 0 for no limit
	AddressSpace int64         // bytes it may map, not only use; 0 for no limit
	OutputBytes  int64         // on its standard output
	StderrBytes  int64         // kept of its standard error, the rest is dropped; 0 for 64 KiB
	Files        int           // open at a time; 0 for 32
	FileBytes    int64         // length of a file it may write; 0 for none at all
}

const (
	defaultStderr = 64 << 10
	defaultFiles  = 32
)

// Usage is what a child used up, and what confined it.
type Usage struct {
	Wall   time.Duration
	CPU    time.Duration // of its threads and of children it waited for
	MaxRSS int64         // bytes of memory it had at most; 0 where that is not known
	Output int64         // bytes on its standard output that were passed on

	// Stderr is the beginning of its standard error, and Dropped how many bytes
	// followed that.
	Stderr  []byte
	Dropped int64

	Measures Measures
}

// Measures are what confined a child. False is also what cannot be known.
type Measures struct {
	Limits     bool `json:"limits"`     // of memory, processor time and files
	Namespaces bool `json:"namespaces"` // of users, processes and networks
	Privileges bool `json:"privileges"` // it can gain none by starting a program
	Calls      bool `json:"calls"`      // only those system calls that computing needs

	// Why says why Calls is false.
	Why string `json:"why,omitempty"`
}

// Errors of [Run], wrapped with what happened.
var (
	ErrTimeout    = errors.New("out of time")
	ErrMemory     = errors.New("out of memory")
	ErrOutput     = errors.New("too much output")
	ErrUnconfined = errors.New("the program did not confine itself")
)

// A CrashError is of a child that did not end by itself.
type CrashError struct {
	// Signal ended it. It is SIGABRT for a program in Go that ended with status
	// 2 after it had printed why, as those do.
	Signal syscall.Signal
	// Reason is the first line it wrote that looks like one.
	Reason string
}

func (e *CrashError) Error() string {
	text := fmt.Sprintf("it crashed (%v)", e.Signal)
	if e.Signal == syscall.SIGKILL {
		text = "it was killed from outside, as the kernel does when memory runs out"
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// An ExitError is of a child that ended by itself, with a status that is not 0.
// What it said about that is in [Usage].
type ExitError struct {
	Status int
}

func (e *ExitError) Error() string { return fmt.Sprintf("it ended with status %d", e.Status) }
