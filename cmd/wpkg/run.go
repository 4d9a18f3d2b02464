package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/run"
	"github.com/wreg-project/wreg/artifact/run/again"
	"github.com/wreg-project/wreg/artifact/run/handover"
	"github.com/wreg-project/wreg/internal/term"
)

// runName is the command whose arguments behind the package are the program's.
const runName = "run"

// grantFlags are what a program is given.
type grantFlags struct {
	dirs, env, inherit cli.StringSlice
	net                bool
	timeout            time.Duration
	memory             string
}

func (f *grantFlags) flags() []cli.Flag {
	const category = "grants"
	return []cli.Flag{
		&cli.StringSliceFlag{
			Name: "dir", Category: category, Destination: &f.dirs,
			Usage: "grant the folder `HOST[:GUEST][:ro]`, which the program sees as GUEST; may be repeated",
		},
		&cli.StringSliceFlag{Name: "env", Usage: "set `NAME=VALUE` in its environment; may be repeated", Category: category, Destination: &f.env},
		&cli.StringSliceFlag{
			Name: "inherit-env", Usage: "pass on the variable `NAME`; may be repeated", Category: category, Destination: &f.inherit,
		},
		&cli.BoolFlag{Name: "net", Usage: "grant the network", Category: category, Destination: &f.net, DisableDefaultText: true},
		&cli.DurationFlag{
			Name: "timeout", Usage: "end it after `DURATION`: 30s, 5m", Category: category, Destination: &f.timeout, DefaultText: "none",
		},
		&cli.StringFlag{Name: "max-memory", Usage: "bound each of its memories to `SIZE`: 64MiB, 1GiB", Category: category, Destination: &f.memory},
	}
}

// grants reads the flags.
func (f *grantFlags) grants() (*run.Grants, error) {
	g := &run.Grants{InheritEnv: f.inherit.Value(), Net: f.net, Timeout: f.timeout}
	for _, text := range f.dirs.Value() {
		d, err := run.ParseDir(text)
		if err != nil {
			return nil, usagef("--dir: %v", err)
		}
		g.Dirs = append(g.Dirs, d)
	}
	for _, text := range f.env.Value() {
		e, err := run.ParseEnv(text)
		if err != nil {
			return nil, usagef("--env: %v", err)
		}
		g.Env = append(g.Env, e)
	}
	for _, name := range g.InheritEnv {
		if err := run.CheckEnvName(name); err != nil {
			return nil, usagef("--inherit-env: %v", err)
		}
	}
	var err error
	if g.MaxMemory, err = parseSize(f.memory); err != nil {
		return nil, usagef("--max-memory: %v", err)
	}
	if err := g.Check(); err != nil {
		return nil, usagef("%v", err)
	}
	return g, nil
}

// parseSize reads a number of bytes: "65536", "64MiB", "1GiB". Nothing is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, factor := text, int64(1)
	for suffix, f := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, factor = n, f
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > (1<<40)/factor {
		return 0, fmt.Errorf("%q is no size: write 65536, 512KiB, 64MiB or 1GiB", text)
	}
	return n * factor, nil
}

// runFlags are the flags of run.
type runFlags struct {
	grants   grantFlags
	programs programFlags
	invoke   string
	name     string
}

func (t *tool) runCommand() *cli.Command {
	var f runFlags
	return &cli.Command{
		Name:      runName,
		Usage:     "run a program with no more than it was granted",
		ArgsUsage: "FILE|REF [ARGUMENT...]",
		Description: `Runs a WASI command: a core module for WASI 0.1 or a component for WASI 0.2.
What stands behind FILE or REF are the program's own arguments, so that flags of
run come before it. Without grants the program has its arguments, the standard
streams, clocks and random numbers: no files, no network, no variables. The
status is the program's; 124 is a timeout, 125 a program that was not started (2 and
3 if it is for the command line or a policy), 134 one that trapped.

The first run of a package verifies it as the trust policy asks, compiles it for
this machine and keeps the result; later runs start from there without a
network, until the trust policy changes. wpkg cache shows and prunes what is kept.

   wpkg run demo:hello@1.2.0 --name World
   wpkg run --dir .:/ demo:grep@2.0.0 -r main /
   wpkg run --invoke add math.wasm 1 2`,
		Flags: append(append(f.grants.flags(), f.programs.flags()...),
			&cli.StringFlag{
				Name: "invoke", Usage: "call this exported `FUNCTION` of a module and print its results", Category: "grants", Destination: &f.invoke,
			},
			&cli.StringFlag{Name: "argv0", Usage: "tell the program that it is called `NAME`", Destination: &f.name},
		),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			if err := t.run(c.Context, c.Args().First(), c.Args().Tail(), &f); err != nil {
				return &unstarted{err}
			}
			return nil
		},
	}
}

// unstarted is why a program was not started, so that the status, 1 of which could be
// the program's, tells that too.
type unstarted struct{ error }

func (e *unstarted) Unwrap() error { return e.error }

// run prepares the program and becomes it.
func (t *tool) run(ctx context.Context, arg string, args []string, f *runFlags) error {
	grants, err := f.grants.grants()
	if err != nil {
		return err
	}
	p, err := t.program(ctx, arg, &f.programs)
	if err != nil {
		return err
	}
	if err := p.check(grants, f.invoke); err != nil {
		return err
	}
	code, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer code.Close()
	spec := grants.Spec()
	spec.Kind, spec.Target, spec.Invoke = p.Program.Kind, p.chosen.Entry.Key.Target.String(), f.invoke
	spec.Args = []string{f.name}
	if f.name == "" {
		spec.Args[0] = p.called
	}
	spec.Hint = p.Program.Hint(grants)
	p.note(arg, args, spec)
	return handover.Start(p.engine.Path, spec, code, args)
}

// note writes down how the program is started, for package early. There is nothing
// to note of a file, or of a package that is asked for each time or may run only until
// a time. A cache that cannot be written to still serves: the next start then takes as
// long.
func (p *program) note(arg string, args []string, spec wire.Spec) {
	said := p.tool.args[:max(len(p.tool.args)-len(args), 0)]
	words := again.Words(said)
	if words == "" || said[len(said)-1] != arg || p.Manifest == "" || !p.Until.IsZero() || p.flags.pull == pullAlways || isLayout(arg) {
		return
	}
	files, ok := p.noted(arg)
	if !ok {
		return
	}
	out := &p.chosen.Entry
	_ = p.store.SetPackage(words, again.Note{
		Files: files, Reference: arg, Engine: *p.engine, Spec: spec,
		Code: again.Code{
			Name: filepath.Base(p.store.CodePath(out)), Size: out.Config.Output.Size, Entry: filepath.Base(p.store.EntryPath(out)),
		},
	})
}

// noted lists the files by which the program is what it is: the configuration, what
// decided that it may run and that its code may be loaded, and the records of both.
// It is false if the records are of something else by now.
func (p *program) noted(arg string) ([]again.File, bool) {
	asked, err := p.tool.words(arg, p.flags)
	if err != nil {
		return nil, false
	}
	code := p.codeWords()
	files := []again.File{again.FileOf(p.tool.configPath()), again.FileOf(p.store.PackagePath(asked)), again.FileOf(p.store.PackagePath(code))}
	// What is read after it was hashed is what was hashed, or the note does not hold.
	var k known
	var c chosen
	if p.store.Package(asked, &k) != nil || p.store.Package(code, &c) != nil {
		return nil, false
	}
	same := k.Manifest == p.Manifest && k.Wasm == p.Wasm && c.Entry.Key == p.chosen.Entry.Key && c.For == p.chosen.For
	return slices.Concat(files, p.Judged, p.chosen.Judged), same
}

// check is run.Program.Check with the program's name and the hint.
func (p *program) check(g *run.Grants, invoke string) error {
	err := p.Program.Check(g, invoke)
	var cannot *run.CannotError
	if errors.As(err, &cannot) {
		named := fmt.Errorf("%s: %w", term.Clean(p.name), err)
		if cannot.Hint == "" {
			return named
		}
		return &hinted{named, cannot.Hint}
	}
	return err
}
