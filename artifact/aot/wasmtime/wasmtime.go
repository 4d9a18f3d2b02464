// Package wasmtime compiles WebAssembly to native code of wasmtime, in another
// program: wpkg-engine, confined by package sandbox. It links no engine itself.
//
// What goes to the engine has been counted and validated by our own reader
// ([aot.Check]), and what comes back is looked at before it is passed on
// ([ReadCode]). That finds mistakes. It proves nothing about the code, which is
// trusted for who made it.
package wasmtime

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/artifact/variant/host"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/sandbox"
)

// Limits of a compilation, beside those of [aot.Check]. The optimising tier has
// BaseTime and a second for each BytesPerSecond of code, at most MaxTime; the
// fast tier has FastTime. An emulated compiler has Emulated times as long.
const (
	BaseTime       = 30 * time.Second
	MaxTime        = 300 * time.Second
	FastTime       = 30 * time.Second
	BytesPerSecond = 100_000
	Emulated       = 10

	// MaxMemory is the address space of the compiler in bytes. Below 1 GiB not
	// even small modules can be compiled.
	MaxMemory = 4 << 30

	// The code may have Growth times the bytes of the module and GrowthAnyway
	// more, but no more than aot.MaxOutput. Modules grow 3 to 5 times, and small
	// functions 15 times.
	Growth       = 40
	GrowthAnyway = 1 << 20
)

// Compiler compiles with one installation of wpkg-engine. It is an
// [aot.Compiler], and safe for concurrent use once its fields are set.
type Compiler struct {
	// Arm64 is a wpkg-engine for linux/arm64 and Qemu the emulator that runs it
	// on other machines. New sets both to what is installed, or to "".
	Arm64 string
	Qemu  string

	// BuilderID is recorded as who compiled; "" leaves that out, but for
	// emulated compilers, where it is "local".
	BuilderID string

	path string

	// optimising and fast replace the time limits in tests; 0 keeps them.
	optimising, fast time.Duration
}

var _ aot.Compiler = (*Compiler)(nil)

// New gives the compiler of the wpkg-engine at path, as [Find] finds it.
func New(path string) *Compiler {
	c := &Compiler{path: path}
	arm := filepath.Join(filepath.Dir(path), Program+"-arm64")
	if executable(arm) != nil {
		arm = onPath(Program + "-arm64")
	}
	c.Arm64 = arm
	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if c.Qemu == "" {
			c.Qemu = onPath(name)
		}
	}
	return c
}

// Runtime is "wasmtime".
func (c *Compiler) Runtime() string { return aot.Runtime }

// Compile checks the module, compiles it within limits and writes the code to
// out, which gets nothing unless all went well. A module that is too much for
// the optimising tier is compiled by the fast one, which the Config says, unless
// the job is for one tier alone.
//
// Its errors are those of package aot, of the context and of out:
// aot.ErrUnsupported for a target that this machine cannot compile for,
// aot.ErrInput if our validator or the compiler refuses the module,
// aot.ErrLimit if the module is too large, or its compilation takes too much
// time or memory or makes too much code, aot.ErrCrashed if the compiler broke
// down or made what it should not.
func (c *Compiler) Compile(ctx context.Context, j aot.Job, out io.Writer) (*aot.Config, error) {
	if err := j.CheckTier(); err != nil {
		return nil, err
	}
	w, err := c.workFor(ctx, j.Target)
	if err != nil {
		return nil, err
	}
	if w.file, err = readJob(j); err != nil {
		return nil, err
	}
	if w.counts, err = aot.Check(w.file); err != nil {
		return nil, err
	}
	spool, err := os.CreateTemp("", "wpkg-code-")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}()
	w.spool = spool
	tier := cmp.Or(j.Tier, aot.Optimising)
	made, err := w.compile(ctx, tier, c.limit(tier, w))
	if j.Tier == "" && errors.Is(err, sandbox.ErrTimeout) {
		tier = aot.Fast
		made, err = w.compile(ctx, tier, c.limit(tier, w))
	}
	if err != nil {
		return nil, w.failure(tier, err)
	}
	if err := w.check(tier, made.Size); err != nil {
		return nil, err
	}
	if _, err := io.Copy(out, io.NewSectionReader(spool, 0, made.Size)); err != nil {
		return nil, fmt.Errorf("write the code: %w", err)
	}
	return c.config(j, w, tier, *made), nil
}

// work is one compilation.
type work struct {
	program
	ids     *wire.IDs
	support *wire.Support // of the target
	target  variant.Target
	file    []byte
	counts  aot.Counts
	spool   *os.File
}

// workFor finds the program that compiles for a target.
func (c *Compiler) workFor(ctx context.Context, t variant.Target) (*work, error) {
	native, err := IDs(ctx, c.path)
	if err != nil {
		return nil, err
	}
	if s := find(native, t); s != nil {
		return &work{program: program{path: c.path}, ids: native, support: s, target: t}, nil
	}
	if c.emulates(native, t) {
		p := program{path: c.Arm64, emulator: c.Qemu}
		ids, err := p.ids(ctx)
		if err != nil {
			return nil, err
		}
		if s := find(ids, t); s != nil {
			return &work{program: p, ids: ids, support: s, target: t}, nil
		}
	}
	return nil, fmt.Errorf("%w: %s: %s", aot.ErrUnsupported, t, c.whyNot(native, t))
}

// find is what is said of a target, nil if it is not supported.
func find(ids *wire.IDs, t variant.Target) *wire.Support {
	for i, s := range ids.Targets {
		if s.Target == t.String() {
			return &ids.Targets[i]
		}
	}
	return nil
}

// readJob reads the module, and makes sure it is the one that will be named.
func readJob(j aot.Job) ([]byte, error) {
	if j.Size < 0 || j.Size > aot.MaxInput {
		return nil, fmt.Errorf("%w: the file has %d bytes, at most %d are compiled", aot.ErrLimit, j.Size, int64(aot.MaxInput))
	}
	if err := j.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("the module's digest: %w", err)
	}
	file := make([]byte, j.Size)
	if _, err := io.ReadFull(io.NewSectionReader(j.Wasm, 0, j.Size), file); err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	if got := j.Digest.Algorithm().FromBytes(file); got != j.Digest {
		return nil, fmt.Errorf("%w: it is %s, not %s", aot.ErrInput, got, j.Digest)
	}
	return file, nil
}

// limit is what a tier may take of time.
func (c *Compiler) limit(tier aot.Tier, w *work) time.Duration {
	limit, replaced := FastTime, c.fast
	if tier == aot.Optimising {
		limit, replaced = min(BaseTime+time.Duration(w.counts.Code/BytesPerSecond)*time.Second, MaxTime), c.optimising
	}
	if replaced > 0 {
		limit = replaced
	}
	if w.emulator != "" {
		limit *= Emulated
	}
	return limit
}

// compile runs a tier of the compiler and leaves the code in the spool.
func (w *work) compile(ctx context.Context, tier aot.Tier, limit time.Duration) (*aot.Source, error) {
	if err := w.spool.Truncate(0); err != nil {
		return nil, err
	}
	code := &digested{to: w.spool, hash: digest.SHA256.Hash()}
	cmd := w.command("compile", "--target", w.target.String(), "--tier", string(tier))
	cmd.In, cmd.Out = bytes.NewReader(w.file), code
	cmd.Confined, cmd.Namespaces = true, true
	cmd.Limits.Wall, cmd.Limits.CPU, cmd.Limits.AddressSpace = limit, limit, MaxMemory
	cmd.Limits.OutputBytes = min(Growth*int64(len(w.file))+GrowthAnyway, aot.MaxOutput)
	u, err := sandbox.Run(ctx, cmd)
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok {
		return nil, refusal(u, exit)
	}
	if err != nil {
		return nil, err
	}
	return &aot.Source{Digest: digest.NewDigest(digest.SHA256, code.hash), Size: code.size}, nil
}

// digested writes to the beginning of a file and digests what it writes.
type digested struct {
	to   io.WriterAt
	hash hash.Hash
	size int64
}

func (d *digested) Write(p []byte) (int, error) {
	n, err := d.to.WriteAt(p, d.size)
	d.size += int64(n)
	d.hash.Write(p[:n])
	return n, err
}

// refusal is the error of a compiler that ended by itself, having said why.
func refusal(u *sandbox.Usage, exit *sandbox.ExitError) error {
	for line := range bytes.Lines(u.Stderr) {
		var f wire.Failure
		if json.Unmarshal(line, &f) != nil || f.Text == "" {
			continue
		}
		kind := aot.ErrCrashed
		switch f.Kind {
		case wire.Input:
			kind = aot.ErrInput
		case wire.Limit:
			kind = aot.ErrLimit
		case wire.Unsupported:
			kind = aot.ErrUnsupported
		}
		return fmt.Errorf("%w: %s", kind, said([]byte(f.Text)))
	}
	return fmt.Errorf("%w: %w: %s", aot.ErrCrashed, exit, said(u.Stderr))
}

// failure words the error of a compilation.
func (w *work) failure(tier aot.Tier, err error) error {
	place := fmt.Sprintf("%s, %s", w.target, tier)
	_, crashed := errors.AsType[*sandbox.CrashError](err)
	switch {
	case errors.Is(err, sandbox.ErrTimeout), errors.Is(err, sandbox.ErrMemory), errors.Is(err, sandbox.ErrOutput):
		return fmt.Errorf("%w: compile for %s: %w", aot.ErrLimit, place, err)
	case crashed:
		return fmt.Errorf("%w: compile for %s: %w", aot.ErrCrashed, place, err)
	}
	return fmt.Errorf("compile for %s: %w", place, err)
}

// check looks whether what came out is what was asked for.
func (w *work) check(tier aot.Tier, size int64) error {
	code, err := ReadCode(w.spool, size)
	if err != nil {
		return fmt.Errorf("%w: it made something else: %w", aot.ErrCrashed, err)
	}
	kind := wire.Module
	if w.counts.Kind == wasm.KindComponent {
		kind = wire.Component
	}
	want := Code{Kind: kind, Arch: w.target.Arch, CompatID: w.support.CompatID}
	if tier == aot.Fast {
		want.CompatID = w.support.FastID
	}
	if *code != want {
		return fmt.Errorf("%w: it made something else: %+v, not %+v", aot.ErrCrashed, *code, want)
	}
	return nil
}

func (c *Compiler) config(j aot.Job, w *work, tier aot.Tier, made aot.Source) *aot.Config {
	config := &aot.Config{
		Source:   aot.Source{Digest: j.Digest, Size: j.Size},
		Compiler: aot.By{Runtime: aot.Runtime, Version: w.ids.Wasmtime, Engine: "cranelift", Tier: tier, Profile: aot.Profile},
		Target:   aot.Made{Platform: w.target.String(), Triple: w.support.Triple, ISAFlags: w.support.ISAFlags},
		CompatID: w.support.CompatID,
		Output:   made,
	}
	if c.BuilderID != "" || w.emulator != "" {
		config.Builder = &aot.Builder{ID: c.BuilderID, Platform: host.Target().String(), Emulated: w.emulator != ""}
		if config.Builder.ID == "" {
			config.Builder.ID = "local"
		}
	}
	return config
}

// targets are all that wasmtime's code is made for, on one machine or another.
var targets = []variant.Target{
	{OS: "linux", Arch: "amd64", Level: "v1"},
	{OS: "linux", Arch: "amd64", Level: "v2"},
	{OS: "linux", Arch: "amd64", Level: "v3"},
	{OS: "linux", Arch: "arm64"},
	variant.Portable,
	{OS: "darwin", Arch: "amd64", Level: "v1"},
	{OS: "darwin", Arch: "arm64"},
	{OS: "windows", Arch: "amd64", Level: "v1"},
}

// Support asks wpkg-engine what it compiles for, and an emulated one.
func (c *Compiler) Support(ctx context.Context) (*aot.Support, error) {
	native, err := IDs(ctx, c.path)
	if err != nil {
		return nil, err
	}
	s := &aot.Support{Version: native.Wasmtime, Path: c.path}
	for _, t := range targets {
		why := ""
		if _, err := c.workFor(ctx, t); errors.Is(err, aot.ErrUnsupported) {
			why = c.whyNot(native, t)
		} else if err != nil {
			why = err.Error()
		}
		s.Targets = append(s.Targets, aot.TargetSupport{Target: t, Why: why})
	}
	return s, ctx.Err()
}

// emulates tells whether an emulated compiler is to be asked about t.
func (c *Compiler) emulates(native *wire.IDs, t variant.Target) bool {
	return t == variant.Target{OS: "linux", Arch: "arm64"} && native.Host != t.String() &&
		c.Arm64 != "" && c.Qemu != "" && runtime.GOOS == "linux"
}

// whyNot says why a target is not supported, and what would help.
func (c *Compiler) whyNot(native *wire.IDs, t variant.Target) string {
	best, err := variant.Parse(native.Host)
	switch {
	case err == nil && t.OS == best.OS && t.Arch == best.Arch:
		return "this CPU is " + best.Level
	case t.OS == "linux" && t.Arch == "arm64" && runtime.GOOS == "linux":
		if c.Qemu == "" {
			return "needs a worker on such a machine, or here qemu-user-static and " + Program + "-arm64"
		}
		if c.Arm64 == "" {
			return "needs a worker on such a machine, or " + Program + "-arm64 beside " + Program
		}
	}
	return "needs a worker on such a machine"
}
