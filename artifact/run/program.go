package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
)

// maxListed bounds the names that a Program keeps, and shown those of one
// message.
const maxListed, shown = 200, 4

// Program is what has to be known of a binary to run it. It is remembered beside
// its code, so that a later run need not look again.
type Program struct {
	Kind    string          `json:"kind"`              // wire.Module or wire.Component; "" is nothing that runs
	Command bool            `json:"command"`           // it can be run without naming a function
	Serves  bool            `json:"serves,omitempty"`  // it answers HTTP requests in place of running
	Needs   []capability.ID `json:"needs,omitempty"`   // what its own code can come to
	Foreign []string        `json:"foreign,omitempty"` // imports that no WASI 0.1 or 0.2 command has
	Exports []string        `json:"exports,omitempty"` // functions of a module that can be called by name
}

// Describe takes from a report of [inspect.Inspect] what matters for running.
func Describe(rep *inspect.Report) Program {
	p := Program{}
	switch rep.Kind {
	case inspect.KindModule:
		p.module(rep)
	case inspect.KindComponent:
		p.component(rep)
	default:
		return p
	}
	if rep.Capabilities != nil {
		for _, c := range rep.Capabilities.Capabilities {
			if c.Level == capability.Reachable && c.Origin == capability.Program && !c.Possible {
				p.Needs = append(p.Needs, c.ID)
			}
		}
	}
	return p
}

func (p *Program) module(rep *inspect.Report) {
	p.Kind = wire.Module
	for _, im := range rep.Imports {
		if im.Module != "wasi_snapshot_preview1" && im.Module != "wasi_unstable" {
			p.Foreign = list(p.Foreign, im.Module+"."+im.Name)
		}
	}
	for _, ex := range rep.Exports {
		if ex.Kind != "func" {
			continue
		}
		p.Command = p.Command || ex.Name == "_start"
		p.Exports = list(p.Exports, ex.Name)
	}
}

// ofCommands are the packages of WASI 0.2 that the world of commands imports.
var ofCommands = []string{"wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"}

func (p *Program) component(rep *inspect.Report) {
	p.Kind = wire.Component
	for _, im := range rep.Imports {
		if im.Kind == "type" {
			continue
		}
		_, version, _ := strings.Cut(im.Name, "@")
		known := slices.ContainsFunc(ofCommands, func(prefix string) bool { return strings.HasPrefix(im.Name, prefix) })
		if !known || !strings.HasPrefix(version, "0.2.") {
			p.Foreign = list(p.Foreign, im.Name)
		}
	}
	for _, ex := range rep.Exports {
		p.Command = p.Command || strings.HasPrefix(ex.Name, "wasi:cli/run@0.2.")
		p.Serves = p.Serves || strings.HasPrefix(ex.Name, "wasi:http/incoming-handler@")
	}
}

// list appends within bounds.
func list(names []string, name string) []string {
	if len(names) < maxListed {
		names = append(names, name)
	}
	return names
}

// A CannotError is why a program cannot be run at all, whatever it is granted.
type CannotError struct {
	Why  string
	Hint string // what to do instead; may be empty
}

func (e *CannotError) Error() string { return e.Why }

// Check tells whether this engine can run the program: invoke is the function
// that is asked for, "" for the program as a whole. The error is a *CannotError.
func (p *Program) Check(g *Grants, invoke string) error {
	switch {
	case p.Kind == "":
		return &CannotError{"it describes interfaces and has no code", "wpkg wit show prints them"}
	case p.Serves && !p.Command:
		return &CannotError{
			"it answers HTTP requests (wasi:http), which this engine version does not serve",
			"wasmtime serve, Spin and wasmCloud do, from the file that wpkg pull writes",
		}
	case len(p.Foreign) > 0:
		return &CannotError{
			"it needs what a WASI command does not have: " + some(p.Foreign),
			"a host that offers this has to run it; wpkg inspect tells for which it was made",
		}
	case g.Net:
		return &CannotError{
			"the network cannot be granted: this engine version gives programs no sockets",
			"wasmtime run -S inherit-network does, with the file that wpkg pull writes",
		}
	case invoke != "" && p.Kind == wire.Component:
		return &CannotError{"functions of components cannot be called by name", "leave out --invoke to run its wasi:cli/run"}
	case invoke != "" && !slices.Contains(p.Exports, invoke) && len(p.Exports) < maxListed:
		return &CannotError{fmt.Sprintf("it exports no function %q", invoke), "it has " + some(p.Exports)}
	case invoke == "" && !p.Command:
		return p.library()
	}
	return nil
}

func (p *Program) library() error {
	if p.Kind == wire.Component {
		return &CannotError{"it is no command: it exports no wasi:cli/run@0.2", "wpkg wit show tells what it offers to other components"}
	}
	if len(p.Exports) == 0 {
		return &CannotError{"it is no command: it exports no function", ""}
	}
	return &CannotError{"it is no command but a library of functions", "--invoke calls one of them: " + some(p.Exports)}
}

func some(names []string) string {
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// A Lack is something that a program can ask for and was not given.
type Lack struct {
	Needs []capability.ID // what it is for
	What  string          // "read and write files"
	Flag  string          // that grants it: "--dir .:/"
}

// Lacking lists what the program's own code can come to ask for, is not granted,
// and could be. It is no error: a program need not come to it.
func (p *Program) Lacking(g *Grants) []Lack {
	var lacks []Lack
	has := func(ids ...capability.ID) (found []capability.ID) {
		for _, id := range ids {
			if slices.Contains(p.Needs, id) {
				found = append(found, id)
			}
		}
		return found
	}
	writes := has(capability.FilesWrite)
	if reads := has(capability.FilesRead); len(reads)+len(writes) > 0 && len(g.Dirs) == 0 {
		l := Lack{Needs: append(reads, writes...), What: "read files", Flag: "--dir .:/:ro"}
		if len(writes) > 0 {
			l.What, l.Flag = "read and write files", "--dir .:/"
		}
		lacks = append(lacks, l)
	}
	if env := has(capability.Environment); len(env) > 0 && len(g.Env)+len(g.InheritEnv) == 0 {
		lacks = append(lacks, Lack{Needs: env, What: "read variables of the environment", Flag: "--env NAME=VALUE"})
	}
	return lacks
}

// Hint is what to tell a person whose program failed, "" if nothing that it was
// not granted explains it. Programs look at their environment without a need, so
// that only files count.
func (p *Program) Hint(g *Grants) string {
	for _, l := range p.Lacking(g) {
		if slices.ContainsFunc(l.Needs, func(id capability.ID) bool { return id != capability.Environment }) {
			return fmt.Sprintf("it may want to %s and was given no folder: %s grants the current one", l.What, l.Flag)
		}
	}
	if !slices.Contains(p.Needs, capability.FilesRead) && !slices.Contains(p.Needs, capability.FilesWrite) {
		return ""
	}
	for _, d := range g.Dirs {
		if d.Guest == "." {
			flag := d.Host + ":/"
			if d.ReadOnly {
				flag += ":ro"
			}
			return fmt.Sprintf("programs in Go find no file in a folder that is . for them: --dir %s makes it the root", flag)
		}
	}
	return ""
}
