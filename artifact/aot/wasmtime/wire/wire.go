// Package wire is what wpkg and wpkg-engine say to each other: the description
// of a run, the answers of "ids" and "compile", and exit statuses.
//
// wpkg-engine is the only program with a WebAssembly engine in it, and both
// programs may be of different builds. [Protocol] tells whether they understand
// each other. The package depends on next to nothing, since every installed
// command starts by reading a [Spec].
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Protocol is the number of the protocol. It changes with anything here, or in
// the command line of wpkg-engine, that an older program misunderstands.
const Protocol = 1

// Exit statuses of "wpkg-engine run" and of installed commands, where they are
// not the guest's own.
const (
	ExitOther   = 1   // the guest ended with a status that wasmtime does not pass on
	ExitTimeout = 124 // the time limit was reached; the status of timeout(1)
	ExitFailed  = 125 // nothing was run: the code does not load, a grant is impossible, an import is missing
	ExitTrap    = 134 // the guest trapped; the status of a native program that aborts
)

// Kinds of code.
const (
	Module    = "module"    // a core module; its _start is called
	Component = "component" // its wasi:cli/run is called
)

// Kinds of [Failure], one for each error of package aot that a compiler returns.
const (
	Input       = "input"       // the module is refused
	Limit       = "limit"       // a limit was reached
	Unsupported = "unsupported" // this machine or build cannot compile for the target
	Crash       = "crash"       // the compiler failed
)

// MaxSpec and MaxWasm bound what wpkg-engine reads, in bytes.
const (
	MaxSpec = 1 << 20
	MaxWasm = 64 << 20
)

// A Spec describes a run. Nothing is granted that it does not list.
type Spec struct {
	Protocol int    `json:"protocol"`
	Code     string `json:"code"`   // path of the native code, absolute; it must not change while it runs
	Kind     string `json:"kind"`   // Module or Component
	Target   string `json:"target"` // what the code was made for, as variant.Target is written

	Args       []string    `json:"args,omitempty"`       // the name of the program and its first arguments; those of the command line follow
	Env        [][2]string `json:"env,omitempty"`        // names and values
	InheritEnv []string    `json:"inheritEnv,omitempty"` // names of variables that the guest gets if they are set
	Dirs       []Dir       `json:"dirs,omitempty"`
	Net        bool        `json:"net,omitempty"` // refused: see engine.ErrUnsupported

	TimeoutMS int64  `json:"timeoutMs,omitempty"` // 0 is no limit
	MaxMemory int64  `json:"maxMemory,omitempty"` // of each linear memory, in bytes; 0 is no limit
	Invoke    string `json:"invoke,omitempty"`    // call this export instead, with Args without the first, and print what it returns

	Hint string `json:"hint,omitempty"` // printed to standard error if the guest ends with a status of its own that is not 0
}

// Dir is a folder that a guest may use, with all that is in it.
type Dir struct {
	Host     string `json:"host"`
	Guest    string `json:"guest"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// Command is the part of an installed command's record that wpkg-engine reads.
type Command struct {
	Run Spec `json:"run"`
}

// IDs is the answer of "wpkg-engine ids".
type IDs struct {
	Protocol int       `json:"protocol"`
	Version  string    `json:"version"`  // of wpkg-engine
	Wasmtime string    `json:"wasmtime"` // "39.0.1"
	Host     string    `json:"host"`     // the target that this machine runs best
	Targets  []Support `json:"targets"`  // those it compiles for and loads
}

// Support is a target with what identifies the settings of code made for it.
type Support struct {
	Target   string   `json:"target"`
	Triple   string   `json:"triple"`
	ISAFlags []string `json:"isaFlags,omitempty"`
	CompatID string   `json:"compatId"` // "sha256:…" of the section .wasmtime.engine

	// FastID is that of code of the fast tier. It differs by settings that are
	// recorded and not compared when code is loaded, so CompatID stands for both.
	FastID string `json:"fastId"`
}

// Failure is what "wpkg-engine compile" writes to standard error, as one line,
// when it exits with status 1.
type Failure struct {
	Kind string `json:"kind"`
	Text string `json:"error"`
}

// ErrProtocol is the error of a program of another build.
var ErrProtocol = errors.New("wpkg and wpkg-engine are of different releases; install both from the same one")

// ReadSpec reads a Spec and checks its protocol.
func ReadSpec(r io.Reader) (*Spec, error) {
	var s Spec
	if err := read(r, &s); err != nil {
		return nil, err
	}
	return &s, s.check()
}

// ReadCommand reads the record of an installed command.
func ReadCommand(r io.Reader) (*Spec, error) {
	var c Command
	if err := read(r, &c); err != nil {
		return nil, err
	}
	return &c.Run, c.Run.check()
}

func read(r io.Reader, v any) error {
	b, err := io.ReadAll(io.LimitReader(r, MaxSpec+1))
	if err != nil {
		return err
	}
	if len(b) > MaxSpec {
		return fmt.Errorf("the description of the run is larger than %d bytes", MaxSpec)
	}
	return json.Unmarshal(b, v)
}

func (s *Spec) check() error {
	switch {
	case s.Protocol != Protocol:
		return fmt.Errorf("%w (protocol %d, this is %d)", ErrProtocol, s.Protocol, Protocol)
	case s.Code == "":
		return errors.New("the description of the run names no code")
	case s.Kind != Module && s.Kind != Component:
		return fmt.Errorf("the description of the run has kind %q, neither %s nor %s", s.Kind, Module, Component)
	case s.TimeoutMS < 0 || s.MaxMemory < 0:
		return errors.New("the description of the run has a negative limit")
	}
	return nil
}
