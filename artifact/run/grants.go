// Package run is about running packages with no more than they were granted:
// what a program needs ([Describe]), what the user gives it ([Grants]), what is
// wrong between the two ([Program.Check], [Program.Lacking]), and what is said of it to
// the program with the engine ([Grants.Spec]), for package handover.
//
// Nothing is granted by default: no files, no network, no variables of the
// environment. Standard streams, arguments, clocks and random numbers every
// program has.
package run

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/internal/term"
)

// Grants are what a user gives to a program. The zero value gives nothing.
type Grants struct {
	Dirs       []wire.Dir    `json:"dirs,omitempty"`
	Env        [][2]string   `json:"env,omitempty"`        // names and values
	InheritEnv []string      `json:"inheritEnv,omitempty"` // names
	Net        bool          `json:"net,omitempty"`
	Timeout    time.Duration `json:"timeout,omitempty"`   // 0 is no limit
	MaxMemory  int64         `json:"maxMemory,omitempty"` // bytes; 0 is no limit
}

// ParseDir reads a grant of a folder: HOST, HOST:GUEST or HOST:GUEST:ro, also
// HOST:ro. The guest sees it under the name GUEST, or else under the one that
// HOST has on the command line. The folder has to exist.
func ParseDir(text string) (wire.Dir, error) {
	host, rest, named := strings.Cut(text, ":")
	d := wire.Dir{Guest: host}
	switch guest, mode, more := strings.Cut(rest, ":"); {
	case !named:
	case !more && guest == "ro":
		d.ReadOnly = true
	case !more || mode == "rw":
		d.Guest = guest
	case mode == "ro":
		d.Guest, d.ReadOnly = guest, true
	default:
		return d, fmt.Errorf("folder %q: behind the second colon stands %q; it is ro or rw", text, mode)
	}
	if host == "" || d.Guest == "" {
		return d, fmt.Errorf("folder %q: write HOST:GUEST, or HOST:GUEST:ro for reading alone", text)
	}
	info, err := os.Stat(host)
	if err != nil {
		return d, err
	}
	if !info.IsDir() {
		return d, fmt.Errorf("%s is no folder; grant the one that it is in: %s", host, filepath.Dir(host))
	}
	d.Guest = path.Clean(filepath.ToSlash(d.Guest))
	d.Host, err = filepath.Abs(host)
	return d, err
}

// ParseEnv reads a variable: NAME=VALUE.
func ParseEnv(text string) ([2]string, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return [2]string{}, fmt.Errorf("variable %q: write NAME=VALUE; --inherit-env %s passes on the one of this environment", text, text)
	}
	if err := CheckEnvName(name); err != nil {
		return [2]string{}, err
	}
	return [2]string{name, value}, nil
}

// CheckEnvName refuses what cannot be the name of a variable.
func CheckEnvName(name string) error {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("%q is no name of a variable", name)
	}
	return nil
}

// Check refuses grants that contradict each other.
func (g *Grants) Check() error {
	guests := map[string]string{}
	for _, d := range g.Dirs {
		if other, twice := guests[d.Guest]; twice {
			return fmt.Errorf("both %s and %s are to be %s of the program", other, d.Host, d.Guest)
		}
		guests[d.Guest] = d.Host
	}
	if g.Timeout < 0 || g.MaxMemory < 0 {
		return errors.New("a limit is negative")
	}
	return nil
}

// Lines describe the grants for people, one line each, most dangerous first, and
// the limits. Without any grant they say so.
func (g *Grants) Lines() []string {
	var lines []string
	if g.Net {
		lines = append(lines, "network: whatever this machine reaches")
	}
	for _, d := range g.Dirs {
		may := "read and write"
		if d.ReadOnly {
			may = "read"
		}
		lines = append(lines, fmt.Sprintf("%s %s, as %s", may, d.Host, d.Guest))
	}
	for _, e := range g.Env {
		lines = append(lines, "variable "+e[0])
	}
	for _, name := range g.InheritEnv {
		lines = append(lines, "variable "+name+", of your environment")
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing: no files, no network, no environment")
	}
	if g.Timeout > 0 {
		lines = append(lines, fmt.Sprintf("at most %s of time", g.Timeout))
	}
	if g.MaxMemory > 0 {
		lines = append(lines, fmt.Sprintf("at most %s of memory", term.Bytes(g.MaxMemory)))
	}
	return lines
}

// Spec is the description of a run for the engine.
func (g *Grants) Spec() wire.Spec {
	return wire.Spec{
		Protocol: wire.Protocol, Dirs: g.Dirs, Env: g.Env, InheritEnv: g.InheritEnv, Net: g.Net,
		TimeoutMS: g.Timeout.Milliseconds(), MaxMemory: g.MaxMemory,
	}
}
