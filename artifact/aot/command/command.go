// Package command compiles WebAssembly to native code with compilers that are
// installed on this machine: the command line of wasmtime, of any version, and
// those of WAMR, WasmEdge and wasmer. What they make is kept like any other native
// code, under an artifact type of the runtime's own. wpkg itself runs none but
// wasmtime's.
//
// A tool gets a folder of its own and no network where the system allows that, an
// environment with nothing in it, and limits; package sandbox says which hold
// where. It can read files, as programs can that were not written to be confined.
// What it made is looked at before it is passed on: that finds mistakes, and
// proves nothing about the code.
//
// docs/spec/aot.md lists the tools, and their targets.
package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/artifact/variant/host"
	"github.com/wreg-project/wreg/inspect/precompiled"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/internal/sandbox"
	"github.com/wreg-project/wreg/internal/term"
)

// Limits of a compilation, beside those of [aot.Check].
const (
	CompileTime = 300 * time.Second
	VersionTime = 20 * time.Second // for a tool to say its version
	MaxMemory   = 8 << 30          // address space, in bytes; LLVM maps much
	maxFiles    = 256              // open at a time
)

// ErrNotInstalled is of a tool that is not on the PATH.
var ErrNotInstalled = errors.New("it is not on the PATH")

// Compiler compiles with one tool. It is an [aot.Compiler], and safe for
// concurrent use once its fields are set.
type Compiler struct {
	// BuilderID is recorded as who compiled; "" leaves that out.
	BuilderID string

	tool tool
	path string
	wall time.Duration // replaces both time limits in tests
}

var _ aot.Compiler = (*Compiler)(nil)

// Runtimes are those that there is a tool for.
func Runtimes() []string {
	var list []string
	for _, t := range tools {
		list = append(list, t.runtime)
	}
	return list
}

// Program is the name of the tool that compiles for a runtime, "" if there is none.
func Program(runtime string) string {
	for _, t := range tools {
		if t.runtime == runtime {
			return t.program
		}
	}
	return ""
}

// Find finds the compiler for a runtime on the PATH. Its error is ErrNotInstalled
// if there is none, and aot.ErrUnsupported of a runtime that nobody here knows.
func Find(runtime string) (*Compiler, error) {
	for _, t := range tools {
		if t.runtime != runtime {
			continue
		}
		path, err := sandbox.OnPath(t.program)
		if err != nil {
			return nil, fmt.Errorf("%s, which compiles for %s: %w", t.program, runtime, ErrNotInstalled)
		}
		return &Compiler{tool: t, path: path}, nil
	}
	return nil, fmt.Errorf("%w: runtime %.40q; there are %s", aot.ErrUnsupported, runtime, strings.Join(Runtimes(), ", "))
}

// Runtime is the runtime that loads the code.
func (c *Compiler) Runtime() string { return c.tool.runtime }

// Support asks the tool for its version. What it can compile for is known of the
// tool, and not of this installation of it: a build of it may have fewer targets.
func (c *Compiler) Support(ctx context.Context) (*aot.Support, error) {
	version, err := c.version(ctx)
	if err != nil {
		return nil, err
	}
	s := &aot.Support{Version: version, Path: c.path}
	for _, t := range c.tool.targets(host.Target()) {
		s.Targets = append(s.Targets, aot.TargetSupport{Target: t.Target, Why: t.why})
	}
	return s, nil
}

// versionText is a version in what a tool prints.
var versionText = lazy.Regexp(`\b[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}(?:[-+.][0-9A-Za-z.+-]{1,30})?\b`)

// version is the first one in what the tool prints when it is asked.
func (c *Compiler) version(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "wpkg-version-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	var out strings.Builder
	cmd := c.command(dir, VersionTime, "--version")
	cmd.Out, cmd.Limits.OutputBytes = &out, 4<<10
	u, err := sandbox.Run(ctx, cmd)
	if err != nil {
		return "", c.failure("--version", u, err, aot.ErrUnsupported) // another program of that name
	}
	v := versionText().FindString(out.String())
	if v == "" {
		return "", fmt.Errorf("%s --version: %w: no version in %s", c.path, aot.ErrCrashed, said([]byte(out.String())))
	}
	return v, nil
}

// command is one of the tool, in a folder of its own.
func (c *Compiler) command(dir string, wall time.Duration, args ...string) sandbox.Command {
	if c.wall > 0 {
		wall = c.wall
	}
	return sandbox.Command{
		Path: c.path, Args: args, Dir: dir, Namespaces: true,
		Env:    []string{"HOME=" + dir, "TMPDIR=" + dir, "XDG_CACHE_HOME=" + dir, "WASMER_DIR=" + dir, "LC_ALL=C"},
		Limits: sandbox.Limits{Wall: wall, CPU: wall, AddressSpace: MaxMemory, OutputBytes: 64 << 10, FileBytes: aot.MaxOutput, Files: maxFiles},
	}
}

// Names of files in the folder of a compilation.
const (
	input  = "module.wasm"
	output = "module.out"
)

// Compile checks the module, has the tool compile it and writes the code to out,
// which gets nothing unless all went well. Everything is compiled as the tool
// optimises: there is no fast tier.
//
// Its errors are those of package aot, of the context and of out: aot.ErrUnsupported
// for a target that the tool is not known to have, a component if it takes none, or
// the fast tier, or a program that fails when it is asked for its version;
// aot.ErrInput if our validator or the tool refuses the module; aot.ErrLimit if the
// module is too large, or its compilation takes too much time or memory;
// aot.ErrCrashed if the tool broke down or made what it should not.
func (c *Compiler) Compile(ctx context.Context, j aot.Job, out io.Writer) (*aot.Config, error) {
	t, err := c.target(j.Target)
	if err != nil {
		return nil, err
	}
	if j.Tier != "" && j.Tier != aot.Optimising {
		return nil, fmt.Errorf("%w: %s has no tier %.40q", aot.ErrUnsupported, c.tool.program, string(j.Tier))
	}
	file, err := j.Read()
	if err != nil {
		return nil, err
	}
	counts, err := aot.Check(file)
	if err != nil {
		return nil, err
	}
	if counts.Kind == wasm.KindComponent && !c.tool.components {
		return nil, fmt.Errorf("%w: %s compiles modules, and this is a component", aot.ErrUnsupported, c.tool.program)
	}
	version, err := c.version(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wpkg-code-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, input), file, 0o400); err != nil {
		return nil, err
	}
	args := c.tool.args(t)
	if err := c.run(ctx, dir, args); err != nil {
		return nil, err
	}
	made, err := c.collect(dir, t, version, counts.Kind, out)
	if err != nil {
		return nil, err
	}
	config := &aot.Config{
		Source:   aot.Source{Digest: j.Digest, Size: j.Size},
		Compiler: aot.By{Runtime: c.tool.runtime, Version: version, Engine: c.tool.engine, Tier: aot.Optimising, Profile: c.tool.profile, Flags: args},
		Target:   aot.Made{Platform: t.String(), Triple: t.triple, ISAFlags: t.flags},
		CompatID: made.compatID,
		Output:   made.Source,
	}
	if c.BuilderID != "" {
		config.Builder = &aot.Builder{ID: c.BuilderID, Platform: host.Target().String()}
	}
	return config, nil
}

// target finds a target in the table.
func (c *Compiler) target(want variant.Target) (target, error) {
	for _, t := range c.tool.targets(host.Target()) {
		switch {
		case t.Target != want:
		case t.why != "":
			return target{}, fmt.Errorf("%w: %s for %s: %s", aot.ErrUnsupported, c.tool.program, want, t.why)
		default:
			return t, nil
		}
	}
	return target{}, fmt.Errorf("%w: %s for %s: it is not known to have that target", aot.ErrUnsupported, c.tool.program, want)
}

// run compiles.
func (c *Compiler) run(ctx context.Context, dir string, args []string) error {
	all := slices.Clone(args)
	if c.tool.runtime == precompiled.WasmEdge {
		all = append(all, input, output)
	} else {
		all = append(all, "-o", output, input)
	}
	u, err := sandbox.Run(ctx, c.command(dir, CompileTime, all...))
	if err != nil {
		return c.failure(strings.Join(all, " "), u, err, aot.ErrInput)
	}
	return nil
}

// failure words the error of a tool. It is refused of one that ended with a status
// of its own.
func (c *Compiler) failure(doing string, u *sandbox.Usage, err, refused error) error {
	_, crashed := errors.AsType[*sandbox.CrashError](err)
	_, ended := errors.AsType[*sandbox.ExitError](err)
	switch {
	case errors.Is(err, sandbox.ErrTimeout), errors.Is(err, sandbox.ErrMemory), errors.Is(err, sandbox.ErrOutput):
		return fmt.Errorf("%w: %s: %w", aot.ErrLimit, doing, err)
	case crashed:
		return fmt.Errorf("%w: %s: %w", aot.ErrCrashed, doing, err)
	case ended:
		return fmt.Errorf("%w: %s: %w: %s", refused, doing, err, said(u.Stderr))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// made is what came out.
type made struct {
	aot.Source
	compatID string
}

// collect holds what the tool made against what it was asked for, and passes it on.
func (c *Compiler) collect(dir string, t target, version string, kind wasm.Kind, out io.Writer) (*made, error) {
	f, size, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.tool.program, aot.ErrCrashed, err)
	}
	defer f.Close()
	code, ok := precompiled.Read(f, size)
	if !ok {
		code, ok = precompiled.Inside(f, size)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w: what it made is no native code that is known", c.tool.program, aot.ErrCrashed)
	}
	if err := c.expect(code, t, version, kind); err != nil {
		return nil, fmt.Errorf("%s: %w: it made a %s: %w", c.tool.program, aot.ErrCrashed, code, err)
	}
	m := &made{}
	if len(code.Settings) > 0 {
		sum := sha256.Sum256(code.Settings)
		m.compatID = "sha256:" + hex.EncodeToString(sum[:])
	}
	h := digest.SHA256.Digester()
	if m.Size, err = io.Copy(io.MultiWriter(h.Hash(), out), io.NewSectionReader(f, 0, size)); err != nil {
		return nil, fmt.Errorf("write the code: %w", err)
	}
	m.Digest = h.Digest()
	return m, nil
}

// open opens the file that the tool made, which has to be one, in its folder.
func open(dir string) (*os.File, int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	info, err := root.Lstat(output)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, errors.New("it made no file")
	case err != nil:
		return nil, 0, err
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("it made no file but a %s", info.Mode().Type())
	case info.Size() > aot.MaxOutput:
		return nil, 0, fmt.Errorf("it made %d bytes, and at most %d are taken", info.Size(), int64(aot.MaxOutput))
	}
	f, err := root.Open(output)
	return f, info.Size(), err
}

// expect says in what code differs from what was asked for. Not every format tells
// everything.
func (c *Compiler) expect(code *precompiled.Code, t target, version string, kind wasm.Kind) error {
	major, _, _ := strings.Cut(version, ".")
	form := precompiled.Module
	if kind == wasm.KindComponent {
		form = precompiled.Component
	}
	isWasmtime := code.Runtime == precompiled.Wasmtime
	switch {
	case code.Runtime != c.tool.runtime:
		return fmt.Errorf("it is for another runtime than %s", c.tool.runtime)
	case code.Arch != "" && code.Arch != t.Arch, code.OS != "" && code.OS != t.OS:
		return fmt.Errorf("it was to be for %s", t.Target)
	case isWasmtime && len(code.Settings) == 0:
		return errors.New("its settings are missing")
	// wasmtime 36 writes its version in full, and 39 the first number alone.
	case isWasmtime && code.Version != major && code.Version != version:
		return fmt.Errorf("the tool says it is version %s", version)
	case isWasmtime && code.Form != form:
		return fmt.Errorf("it was given a %s", form)
	}
	if isWasmtime {
		for _, f := range code.Flags {
			if !slices.Contains(t.flags, f) {
				return fmt.Errorf("it uses %s, which %s may not have", f, t.Target)
			}
		}
	}
	return nil
}

// said is what a tool wrote, as one line that a terminal may print.
func said(text []byte) string {
	s := strings.Join(strings.Fields(string(text[:min(len(text), 600)])), " ")
	if s == "" {
		return "it said nothing"
	}
	return term.Clean(strings.ToValidUTF8(s, "?"))
}
