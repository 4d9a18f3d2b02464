package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/command"
	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/artifact/variant/host"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
)

// wasmtimeCLI is how --runtime calls the command line of wasmtime, where wasmtime
// alone is wpkg's own engine.
const wasmtimeCLI = "wasmtime-cli"

// compileFlags are the flags of compile.
type compileFlags struct {
	targets      cli.StringSlice
	runtime, out string
	tier         string
	builder      string
	list         bool
	push, sign   bool
	signer       signerFlags
	trust        trustFlags
}

func (t *tool) compileCommand() *cli.Command {
	var f compileFlags
	return &cli.Command{
		Name:      "compile",
		Usage:     "make native code of a package for CPUs",
		ArgsUsage: "FILE|REF [--target TARGET]... [-o PATH | --push]",
		Description: `Compiles ahead of time, in a confined process, for each TARGET: linux/amd64/v1, v2
or v3, linux/arm64, pulley64. Without one it is this machine. Running needs none of
this: wpkg run compiles what it does not find.

With --push the code hangs on the package in its registry. Clients load it only if
their trust policy names a compiler who has attested it: --sign does that, with the
key of whoever compiles and not of whoever publishes. It adds no bare signature:
wpkg verify REF@MANIFEST --type slsaprovenance is how the attestation is verified.

   wpkg compile demo:app@1.0.0 --target linux/amd64/v3 -o app.cwasm
   wpkg compile demo:app@1.0.0 --target linux/amd64/v1 --target linux/amd64/v3 --push --sign --key compiler.key
   wpkg compile --list-targets`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "target", Aliases: []string{"t"}, Usage: "compile for `TARGET`; may be repeated", Destination: &f.targets},
			&cli.StringFlag{
				Name: "runtime", Usage: "compile for the runtime `NAME`: " + strings.Join(runtimes(), ", "), Value: aot.Runtime,
				Destination: &f.runtime,
			},
			&cli.StringFlag{
				Name: "tier", Usage: "compile by the `TIER` optimising or fast alone; by default what is too much for the one goes to the other",
				Destination: &f.tier,
			},
			&cli.BoolFlag{Name: "list-targets", Usage: "list what can be compiled for here", Destination: &f.list, DisableDefaultText: true},
			&cli.StringFlag{Name: "o", Usage: "write to the file or folder `PATH`; by default the current folder", Destination: &f.out},
			&cli.BoolFlag{Name: "push", Usage: "hang the code on the package in its registry", Destination: &f.push, DisableDefaultText: true},
			&cli.StringFlag{
				Name: "builder", Usage: "record `URI` as who compiles", Value: attest.ProgramURI + "/wpkg/compile", Destination: &f.builder,
			},
			&cli.BoolFlag{
				Name: "sign", Usage: "attest, as its compiler, what the code that is pushed was made of: SLSA provenance", Category: "signing", Destination: &f.sign, DisableDefaultText: true,
			},
		}, f.signer.flags(), f.trust.flags()),
		Action: func(c *cli.Context) error {
			if f.list {
				if err := arguments(c, 0, 0); err != nil {
					return err
				}
				return t.listTargets(c.Context)
			}
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			return t.compile(c.Context, c.Args().First(), &f)
		},
	}
}

// check refuses flags that do not go together.
func (f *compileFlags) check(arg string) error {
	switch {
	case f.tier != "" && f.tier != string(aot.Optimising) && f.tier != string(aot.Fast):
		return usagef("--tier %s: it is optimising or fast", term.Clean(f.tier))
	case f.push && f.out != "":
		return usagef("compile: -o and --push are two places")
	case f.push && isFile(arg):
		return &usageError{
			text: fmt.Sprintf("compile: %s is a file: there is nothing in a registry that its code could hang on", arg), hint: "wpkg push REF " + arg,
		}
	case f.sign && !f.push:
		return &usageError{text: "compile: what is signed is what is pushed", hint: "--push"}
	case !f.sign && f.signer.given():
		return &usageError{text: "compile: it says with what to sign, and not to sign", hint: "--sign"}
	case f.signer.legacy:
		return usagef("compile: --legacy-sig is for signatures; attestations are bundles")
	}
	return nil
}

// parseTargets reads the values of --target, each once.
func parseTargets(values []string) ([]variant.Target, error) {
	var list []variant.Target
	for _, text := range values {
		target, err := variant.Parse(text)
		if err != nil {
			return nil, usagef("--target: %v", err)
		}
		if !slices.Contains(list, target) {
			list = append(list, target)
		}
	}
	return list, nil
}

// runtimes are the values of --runtime.
func runtimes() []string {
	list := []string{aot.Runtime}
	for _, name := range command.Runtimes() {
		if name == aot.Runtime {
			name = wasmtimeCLI
		}
		list = append(list, name)
	}
	return list
}

// compilerFor finds the compiler for a value of --runtime.
func compilerFor(runtime, builder string) (aot.Compiler, error) {
	switch {
	case !slices.Contains(runtimes(), runtime):
		return nil, usagef("--runtime %s: it is one of %s", term.Clean(runtime), strings.Join(runtimes(), ", "))
	case runtime == aot.Runtime:
		path, err := wasmtime.Find()
		if err != nil {
			return nil, err
		}
		c := wasmtime.New(path)
		c.BuilderID = builder
		return c, nil
	case runtime == wasmtimeCLI:
		runtime = aot.Runtime
	}
	c, err := command.Find(runtime)
	if err != nil {
		return nil, err
	}
	c.BuilderID = builder
	return c, nil
}

// compiled is native code that was made.
type compiled struct {
	Reference    string        `json:"reference,omitempty"`
	Target       string        `json:"target"`
	Runtime      string        `json:"runtime"`
	Version      string        `json:"version"`
	Tier         aot.Tier      `json:"tier"`
	CompatID     string        `json:"compatId,omitempty"`
	Source       digest.Digest `json:"source"` // of the WebAssembly
	Digest       digest.Digest `json:"digest"` // of the code
	Size         int64         `json:"size"`
	Milliseconds int64         `json:"milliseconds"`
	Path         string        `json:"path,omitempty"`
	Manifest     digest.Digest `json:"manifest,omitempty"`
	Signer       string        `json:"signer,omitempty"`
	Attestation  digest.Digest `json:"attestation,omitempty"`
}

// made is one compilation: the code is in a file.
type made struct {
	compiled
	config            *aot.Config
	code              *os.File
	started, finished time.Time
}

// compile compiles for every target before it writes or pushes anything.
func (t *tool) compile(ctx context.Context, arg string, f *compileFlags) error {
	if err := f.check(arg); err != nil {
		return err
	}
	goals, err := parseTargets(f.targets.Value())
	if err != nil {
		return err
	}
	if len(goals) == 0 {
		goals = []variant.Target{host.Target()}
	}
	var by *author
	if f.sign {
		if by, err = t.author(ctx, f.signer); err != nil {
			return err
		}
	}
	compiler, err := compilerFor(f.runtime, f.builder)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "wpkg-compile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	job, from, err := t.job(ctx, arg, dir, f.trust)
	if err != nil {
		return err
	}
	defer job.Wasm.Close()
	job.Tier = aot.Tier(f.tier)
	var all []*made
	defer func() {
		for _, m := range all {
			_ = m.code.Close() // it was only read
		}
	}()
	for _, goal := range goals {
		job.Target = goal
		m, err := t.make(ctx, compiler, job, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
		all = append(all, m)
	}
	rows := [][]string{{"TARGET", "RUNTIME", "TIER", "SIZE", "TIME"}}
	if f.push {
		rows[0] = append(rows[0], "MANIFEST", "ATTESTATION")
	} else {
		rows[0] = append(rows[0], "FILE")
	}
	var done []compiled
	for _, m := range all {
		row := []string{m.Target, m.Runtime + " " + m.Version, string(m.Tier), sizeText(m.Size), fmt.Sprintf("%d ms", m.Milliseconds)}
		if f.push {
			err = t.hang(ctx, m, from, by, dir)
			row = append(row, m.Manifest.String(), m.Attestation.String())
		} else {
			err = m.write(f.out, arg, from, len(all) > 1)
			row = append(row, m.Path)
		}
		if err != nil {
			return err
		}
		done, rows = append(done, m.compiled), append(rows, row)
	}
	return emitEach(t, done, rows)
}

// job opens the WebAssembly that an argument names. Of a package, it is unpacked
// into a folder once the trust policy has allowed it, and from tells where it is of.
func (t *tool) job(ctx context.Context, arg, dir string, f trustFlags) (j aot.Job, from *selection, err error) {
	file := arg
	if !isFile(arg) {
		s, err := t.selected(ctx, arg)
		if err != nil {
			return j, nil, err
		}
		if err := t.trusted(ctx, s, s.ref, f); err != nil {
			return j, nil, err
		}
		file, from = filepath.Join(dir, "module.wasm"), &s
		progress, stop := t.progress(ctx)
		defer stop()
		if _, err := artifact.Unpack(ctx, client.Watch(s, progress), s.desc, artifact.UnpackOptions{Path: file}); err != nil {
			return j, nil, unpackError(ctx, s, err)
		}
	}
	if j.Wasm, err = os.Open(file); err != nil {
		return j, nil, err
	}
	sum := digest.SHA256.Digester()
	if j.Size, err = io.Copy(sum.Hash(), io.LimitReader(j.Wasm, aot.MaxInput+1)); err != nil {
		return j, nil, errors.Join(err, j.Wasm.Close())
	}
	j.Digest = sum.Digest()
	return j, from, nil
}

// make compiles for one target into a file of a folder.
func (t *tool) make(ctx context.Context, c aot.Compiler, j aot.Job, dir string) (*made, error) {
	if term.IsTerminal(t.err) && !t.quiet {
		fmt.Fprintf(t.err, "compiling for %s\n", j.Target)
	}
	out, err := os.CreateTemp(dir, "code-")
	if err != nil {
		return nil, err
	}
	m := &made{code: out, started: time.Now()}
	if m.config, err = c.Compile(ctx, j, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	m.finished = time.Now()
	if m.config.Compiler.Tier == aot.Fast && j.Tier != aot.Fast {
		t.warn("%s: the optimising compiler did not finish in time: the code is slower than it could be", j.Target)
	}
	m.compiled = compiled{
		Target: m.config.Target.Platform, Runtime: m.config.Compiler.Runtime, Version: m.config.Compiler.Version, Tier: m.config.Compiler.Tier,
		CompatID: m.config.CompatID, Source: m.config.Source.Digest, Digest: m.config.Output.Digest, Size: m.config.Output.Size,
		Milliseconds: m.finished.Sub(m.started).Milliseconds(),
	}
	return m, nil
}

// reader reads the code from its beginning.
func (m *made) reader() io.Reader { return io.NewSectionReader(m.code, 0, m.Size) }

// write places the code under a name, in a folder under one that tells its target.
func (m *made) write(to, arg string, from *selection, several bool) error {
	name := strings.TrimSuffix(filepath.Base(arg), ".wasm")
	if from != nil {
		m.Reference = from.named().String()
		name = path.Base(from.ref.Repository)
	}
	name += "." + strings.ReplaceAll(m.Target, "/", "-") + suffixOf(m.Runtime)
	var err error
	if m.Path, err = codePath(to, name, several); err != nil {
		return err
	}
	return writeWhole(m.Path, m.reader())
}

// suffixOf is how files with the code of a runtime are called.
func suffixOf(runtime string) string {
	if runtime == aot.Runtime {
		return ".cwasm"
	}
	return ".aot"
}

// codePath is where a file goes: to itself, or with that name into the folder that it
// is. Several files need a folder.
func codePath(to, name string, several bool) (string, error) {
	if to == "" {
		return name, nil
	}
	info, err := os.Stat(to)
	switch {
	case err == nil && info.IsDir():
	case strings.HasSuffix(to, "/"):
		if err := durable.MkdirAll(to, 0o755); err != nil {
			return "", err
		}
	case several:
		return "", usagef("-o %s: there are several files, and it is no folder", to)
	default:
		return to, nil
	}
	return filepath.Join(to, name), nil
}

// writeWhole writes a file that appears when all of it is there.
func writeWhole(path string, r io.Reader) error {
	f, err := durable.Create(path, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// hang stores the code as a referrer of its package, behind the attestation of who
// compiled.
func (t *tool) hang(ctx context.Context, m *made, from *selection, by *author, dir string) error {
	m.Reference = from.named().String()
	layer, err := os.CreateTemp(dir, "layer-")
	if err != nil {
		return err
	}
	defer layer.Close()
	pkg, err := aot.Pack(ctx, from.desc, m.config, m.reader(), layer)
	if err != nil {
		return err
	}
	m.Manifest = pkg.Manifest.Digest
	progress, stop := t.progress(ctx)
	defer stop()
	o := client.CopyOptions{Progress: progress}
	if by != nil {
		text, err := m.attest(ctx, by)
		if err != nil {
			return err
		}
		m.Signer = by.name(text)
		o.Before = func(ctx context.Context) error {
			at, err := client.Attach(ctx, from.Target, pkg.Manifest, text, attest.TypeProvenance)
			m.Attestation = at.Digest
			return err
		}
	}
	if _, err := client.Push(ctx, pkg, from.Target, o); err != nil {
		return fmt.Errorf("%s: code for %s: %w", m.Reference, m.Target, err)
	}
	return nil
}

// attest is the provenance of the code, signed.
func (m *made) attest(ctx context.Context, by *author) ([]byte, error) {
	st, err := provenance.Statement(m.Manifest, m.config, provenance.Run{StartedOn: m.started.UTC(), FinishedOn: m.finished.UTC()})
	if err != nil {
		return nil, err
	}
	return signing.Sign(ctx, st, by)
}

// targetView is a target with whether it can be compiled for here.
type targetView struct {
	Runtime string `json:"runtime"` // as --runtime takes it
	Version string `json:"version,omitempty"`
	Target  string `json:"target,omitempty"`
	Can     bool   `json:"can"`
	Why     string `json:"why,omitempty"` // it cannot
}

// listTargets shows what can be compiled for, with every compiler that there is.
func (t *tool) listTargets(ctx context.Context) error {
	var views []targetView
	for _, runtime := range runtimes() {
		c, err := compilerFor(runtime, "")
		var s *aot.Support
		if err == nil {
			s, err = c.Support(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			views = append(views, targetView{Runtime: runtime, Why: err.Error()})
			continue
		}
		for _, target := range s.Targets {
			views = append(views, targetView{runtime, s.Version, target.Target.String(), target.Why == "", target.Why})
		}
	}
	rows := [][]string{{"RUNTIME", "VERSION", "TARGET", "CAN"}}
	for _, v := range views {
		can := "yes"
		if !v.Can {
			can = "no: " + v.Why
		}
		rows = append(rows, []string{v.Runtime, v.Version, v.Target, can})
	}
	return emitEach(t, views, rows)
}

// unpackError says of a package that is native code what it is: it is loaded for
// the package that it hangs on, or not at all.
func unpackError(ctx context.Context, s selection, err error) error {
	named := fmt.Errorf("%s: %w", s.named(), err)
	if !errors.Is(err, artifact.ErrForm) {
		return named
	}
	v, rerr := aot.Read(ctx, s.Target, s.desc, aot.Expected{})
	if rerr != nil {
		return named
	}
	return &hinted{
		fmt.Errorf("%s: it is native code for %s %s, and no package", s.named(), v.Runtime, v.Target),
		"name the package that it was made of: " + s.ref.WithDigest(v.Subject.Digest).String(),
	}
}
