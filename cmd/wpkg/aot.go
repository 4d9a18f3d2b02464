package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/command"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing/trust"
)

func (t *tool) aotCommand() *cli.Command {
	return &cli.Command{
		Name:        "aot",
		Usage:       "see and check the native code that lies beside packages",
		Subcommands: []*cli.Command{t.aotListCommand(), t.aotVerifyCommand()},
	}
}

// variantView is native code of a package.
type variantView struct {
	Manifest digest.Digest `json:"manifest,omitempty"`
	Target   string        `json:"target,omitempty"`
	Runtime  string        `json:"runtime,omitempty"`
	Version  string        `json:"version,omitempty"`
	Tier     aot.Tier      `json:"tier,omitempty"`
	Size     int64         `json:"size,omitempty"` // of the code, in bytes
	CompatID string        `json:"compatId,omitempty"`
	Digest   digest.Digest `json:"digest,omitempty"` // of the code
	Builder  string        `json:"builder,omitempty"`

	Trusted    bool             `json:"trusted"`              // a compiler of the trust policy attests it
	Signer     string           `json:"signer,omitempty"`     // which one
	Principal  *trust.Principal `json:"principal,omitempty"`  // who that is
	NotTrusted string           `json:"notTrusted,omitempty"` // why none does

	Loads   bool   `json:"loads"`             // wpkg-engine on this machine would
	NotHere string `json:"notHere,omitempty"` // why it would not
}

// opened is a package with its native code.
type opened struct {
	native
	source digest.Digest // of its layer of WebAssembly, "" of a package in another form
	list   []aot.Listed
	ignore []aot.Ignored
}

// beside finds the native code of a package.
func (t *tool) beside(ctx context.Context, arg string, f *trustFlags) (*opened, error) {
	s, err := t.selected(ctx, arg)
	if err != nil {
		return nil, err
	}
	policy, err := f.load()
	if err != nil {
		return nil, err
	}
	o := &opened{native: native{selection: s, policy: policy}}
	if o.source, err = wasmLayer(ctx, s); err != nil {
		return nil, err
	}
	o.list, o.ignore, err = o.variants(ctx)
	return o, err
}

// wasmLayer is the digest of the only layer of a package, if that is WebAssembly as
// it is; else "".
func wasmLayer(ctx context.Context, s selection) (digest.Digest, error) {
	text, err := client.ReadAll(ctx, s.Target, s.desc, client.MaxManifest)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.named(), err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return "", fmt.Errorf("%s: %w", s.named(), err)
	}
	if len(m.Layers) != 1 || m.Layers[0].MediaType != artifact.MediaTypeWasm {
		return "", nil
	}
	return m.Layers[0].Digest, nil
}

// noVariants is the error of a package without native code.
func (o *opened) noVariants() error {
	return &hinted{
		fmt.Errorf("%s: no native code lies beside it", o.named()),
		fmt.Sprintf("wpkg compile %s --push makes some; wpkg run needs none", o.named()),
	}
}

func (t *tool) aotListCommand() *cli.Command {
	var f trustFlags
	return &cli.Command{
		Name:      "list",
		Usage:     "list the native code of a package, who attests it, and whether it would be loaded",
		ArgsUsage: "REF",
		Description: `TRUSTED names the compiler of the trust policy who attests the code, or says why
there is none. HERE says whether the wpkg-engine of this machine loads such code.`,
		Flags: []cli.Flag{f.policyFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			o, err := t.beside(c.Context, c.Args().First(), &f)
			if err != nil {
				return err
			}
			return t.listVariants(c.Context, o)
		},
	}
}

func (t *tool) listVariants(ctx context.Context, o *opened) error {
	rows := [][]string{{"TARGET", "RUNTIME", "TIER", "SIZE", "COMPAT ID", "MANIFEST", "TRUSTED", "HERE"}}
	views := make([]variantView, 0, len(o.list))
	for _, l := range o.list {
		v, err := o.view(ctx, l)
		if err != nil {
			return err
		}
		v.Loads, v.NotHere = here(ctx, l, o.denied())
		trusted, loads := "by "+v.Signer, "yes"
		if !v.Trusted {
			trusted = "no: " + v.NotTrusted
		}
		if !v.Loads {
			loads = "no: " + v.NotHere
		}
		views = append(views, v)
		rows = append(rows, []string{
			v.Target, v.Runtime + " " + v.Version, string(v.Tier), sizeText(v.Size), shortDigest(v.CompatID), v.Manifest.String(), trusted, loads,
		})
	}
	for _, i := range o.ignore {
		t.warn("%s: %v", o.named(), i.Err)
	}
	return emitEach(t, views, rows)
}

// view reads what describes a variant, and asks who attests it.
func (o *opened) view(ctx context.Context, l aot.Listed) (variantView, error) {
	v := variantView{
		Manifest: l.Descriptor.Digest, Target: l.Target.String(), Runtime: l.Runtime, Version: l.Version, CompatID: l.CompatID,
		Tier: aot.Optimising,
	}
	if l.Fast {
		v.Tier = aot.Fast
	}
	read, err := aot.Read(ctx, o.Target, l.Descriptor, aot.Expected{Subject: o.desc.Digest, Source: o.source})
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	if err != nil {
		v.NotTrusted = err.Error()
		return v, nil
	}
	v.Size, v.Digest = read.Config.Output.Size, read.Config.Output.Digest
	if read.Config.Builder != nil {
		v.Builder = read.Config.Builder.ID
	}
	by, err := o.vouched(ctx, read)
	switch {
	case err == nil:
		v.Trusted, v.Signer, v.Principal = true, by.Signer, &by.Principal
	case errors.Is(err, trust.ErrCompiler):
		v.NotTrusted = err.Error()
	default:
		return v, err
	}
	return v, nil
}

// here says whether the engine of this machine loads a variant, as far as what it
// says of itself tells.
func here(ctx context.Context, l aot.Listed, denied []string) (bool, string) {
	path, err := wasmtime.Find()
	if err != nil {
		return false, err.Error()
	}
	ids, err := wasmtime.IDs(ctx, path)
	if err != nil {
		return false, err.Error()
	}
	source := aot.Source{Digest: digest.Digest(l.Source)} // of which package it is, is another question
	w, err := loadable(ids, source, denied)
	if err != nil {
		return false, err.Error()
	}
	w.Portable = true
	choice := variant.Pick(w, []variant.Candidate{l.Candidate})
	if choice.Best != nil {
		return true, ""
	}
	return false, choice.Rejected[0].Why
}

// reproduced is what came of compiling a variant again.
type reproduced struct {
	Manifest digest.Digest `json:"manifest"`
	Target   string        `json:"target"`
	Runtime  string        `json:"runtime"`
	Version  string        `json:"version"`
	Result   string        `json:"result"` // equal, different or not verified
	Want     digest.Digest `json:"want,omitempty"`
	Got      digest.Digest `json:"got,omitempty"`
	Why      string        `json:"why,omitempty"` // it is different, or was not verified
}

// Results of aot verify.
const (
	equal       = "equal"
	different   = "different"
	notVerified = "not verified"
)

func (t *tool) aotVerifyCommand() *cli.Command {
	var targets cli.StringSlice
	var f trustFlags
	return &cli.Command{
		Name:      "verify",
		Usage:     "compile the native code of a package again and compare",
		ArgsUsage: "REF [--target TARGET]...",
		Description: `The same compiler makes the same code of the same WebAssembly, by the tier that the
code says it was made by. What this machine can compile is compared byte by byte, by
digest. For wasmtime that is the version of wpkg-engine, and any that is on the PATH
as wasmtime; for others the one that is there. What it cannot is said to be not
verified, with the version to install. The exit status is 3 if any code is different,
and 1 if nothing was compared.`,
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "target", Aliases: []string{"t"}, Usage: "only code for `TARGET`; may be repeated", Destination: &targets},
		}, f.flags()...),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			only, err := parseTargets(targets.Value())
			if err != nil {
				return err
			}
			return t.reproduce(c.Context, c.Args().First(), only, &f)
		},
	}
}

// reproduce compiles the variants of a package for some targets, nil for all, again.
func (t *tool) reproduce(ctx context.Context, arg string, targets []variant.Target, f *trustFlags) error {
	o, err := t.beside(ctx, arg, f)
	if err != nil {
		return err
	}
	list := forTargets(o.list, targets)
	if len(list) == 0 {
		return o.noVariants()
	}
	dir, err := os.MkdirTemp("", "wpkg-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	job, _, err := t.job(ctx, o.ref.String(), dir, *f)
	if err != nil {
		return err
	}
	defer job.Wasm.Close()
	rows := [][]string{{"TARGET", "RUNTIME", "RESULT", "MANIFEST", "WHY"}}
	var done []reproduced
	count := map[string]int{}
	for _, l := range list {
		r, err := t.again(ctx, o, l, job, dir)
		if err != nil {
			return err
		}
		count[r.Result]++
		done = append(done, r)
		rows = append(rows, []string{r.Target, r.Runtime + " " + r.Version, r.Result, r.Manifest.String(), r.Why})
	}
	if err := emitEach(t, done, dropEmpty(rows, "WHY")); err != nil {
		return err
	}
	switch {
	case count[different] > 0:
		return errFinding
	case count[equal] == 0:
		return fmt.Errorf("%s: nothing could be compared, and nothing is verified", o.named())
	}
	return nil
}

// forTargets are the variants for some targets, nil for all.
func forTargets(list []aot.Listed, targets []variant.Target) []aot.Listed {
	var out []aot.Listed
	for _, l := range list {
		ok := targets == nil
		for _, t := range targets {
			ok = ok || l.Target == t
		}
		if ok {
			out = append(out, l)
		}
	}
	return out
}

// again compiles what a variant was made of and compares the code.
func (t *tool) again(ctx context.Context, o *opened, l aot.Listed, j aot.Job, dir string) (reproduced, error) {
	r := reproduced{Manifest: l.Descriptor.Digest, Target: l.Target.String(), Runtime: l.Runtime, Version: l.Version, Result: notVerified}
	v, err := aot.Read(ctx, o.Target, l.Descriptor, aot.Expected{Subject: o.desc.Digest, Source: j.Digest})
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if errors.Is(err, aot.ErrForm) || errors.Is(err, aot.ErrSource) || errors.Is(err, artifact.ErrContent) {
		r.Result, r.Why = different, err.Error() // it is not even what it says
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Want = v.Config.Output.Digest
	c, why := compilerOf(ctx, v)
	if why != "" {
		r.Why = why
		return r, nil
	}
	j.Target, j.Tier = v.Target, v.Config.Compiler.Tier
	m, err := t.make(ctx, c, j, dir)
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	if err != nil {
		r.Why = err.Error()
		return r, nil
	}
	defer m.code.Close()
	if r.Got, r.Result = m.Digest, equal; r.Got != r.Want {
		r.Result, r.Why = different, fmt.Sprintf("the code is %s, and compiled here it is %s", r.Want, r.Got)
	}
	return r, nil
}

// compilerOf is the compiler here that made a variant, or why there is none and what
// to install. Of wasmtime that is wpkg-engine or the command on the PATH, whichever has
// the version.
func compilerOf(ctx context.Context, v *aot.Variant) (aot.Compiler, string) {
	program := command.Program(v.Runtime)
	if program == "" {
		return nil, "wpkg knows no compiler for " + v.Runtime
	}
	names := []string{v.Runtime}
	if v.Runtime == aot.Runtime {
		names = append(names, wasmtimeCLI)
	}
	var whys []string
	for _, name := range names {
		c, why := compilerNamed(ctx, name, v)
		if why == "" {
			return c, ""
		}
		whys = append(whys, why)
	}
	return nil, fmt.Sprintf("%s; to verify it, put %s %s on the PATH", strings.Join(whys, "; "), program, v.Version)
}

// compilerNamed is the compiler for a value of --runtime, or why that did not make a
// variant or cannot here.
func compilerNamed(ctx context.Context, name string, v *aot.Variant) (aot.Compiler, string) {
	c, err := compilerFor(name, "")
	if err != nil {
		return nil, err.Error()
	}
	s, err := c.Support(ctx)
	switch {
	case err != nil:
		return nil, err.Error()
	case s.Version != v.Version:
		return nil, fmt.Sprintf("%s %s made it, and %s is %s", v.Runtime, v.Version, s.Path, s.Version)
	}
	for _, target := range s.Targets {
		if target.Target == v.Target {
			return c, target.Why
		}
	}
	return nil, fmt.Sprintf("%s compiles for no %s here", s.Path, v.Target)
}

// pulledCode is native code that pull --variant wrote.
type pulledCode struct {
	pulled
	Target string `json:"target"`
	Signer string `json:"signer,omitempty"` // who vouches for it; "" is nobody, and skipping was asked for
}

// pullVariant writes the native code of a package for a target to a file. Code that
// no compiler of the trust policy attests is refused, unless skipping was asked for.
func (t *tool) pullVariant(ctx context.Context, arg, target, to string, f *trustFlags) error {
	goal, err := variant.Parse(target)
	if err != nil {
		return usagef("--variant: %v", err)
	}
	o, err := t.beside(ctx, arg, f)
	if err != nil {
		return err
	}
	list := forTargets(o.list, []variant.Target{goal})
	if len(list) == 0 {
		return o.noVariants()
	}
	// What the code was made of is compared with the bytes that the package has.
	dir, err := os.MkdirTemp("", "wpkg-pull-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	job, _, err := t.job(ctx, o.ref.String(), dir, *f)
	if err != nil {
		return err
	}
	defer job.Wasm.Close()
	var refused error
	for _, l := range list {
		v, err := aot.Read(ctx, o.Target, l.Descriptor, aot.Expected{Subject: o.desc.Digest, Source: job.Digest})
		if err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		signer := ""
		by, err := o.vouched(ctx, v)
		switch {
		case err == nil:
			signer = by.Signer
		case !errors.Is(err, trust.ErrCompiler):
			return err
		case !f.skip:
			refused = errors.Join(refused, err)
			continue
		default:
			t.warn("%s: nobody who is trusted attests its code for %s", o.named(), goal)
		}
		return t.writeVariant(ctx, o, v, to, signer)
	}
	return &hinted{
		fmt.Errorf("%s: code for %s: %w: %w", o.named(), goal, trust.ErrRefused, refused),
		"wpkg aot list " + o.named().String() + " shows who attests what; compilers of the trust policy names who is believed",
	}
}

func (t *tool) writeVariant(ctx context.Context, o *opened, v *aot.Variant, to, signer string) error {
	file, err := os.CreateTemp("", "wpkg-code-")
	if err != nil {
		return err
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name()) // a copy is where it was wanted
	}()
	progress, stop := t.progress(ctx)
	defer stop()
	if err := v.WriteCode(ctx, client.Watch(o.Target, progress), file); err != nil {
		return fmt.Errorf("%s: %w", o.named(), err)
	}
	stop()
	m := &made{code: file}
	m.Size = v.Config.Output.Size
	name := path.Base(o.ref.Repository) + "." + strings.ReplaceAll(v.Target.String(), "/", "-") + suffixOf(v.Runtime)
	if to, err = codePath(to, name, false); err != nil {
		return err
	}
	if err := writeWhole(to, m.reader()); err != nil {
		return err
	}
	out := pulledCode{
		pulled: pulled{Reference: o.ref.String(), Tag: o.tag, Digest: v.Manifest.Digest.String(), Path: to, Size: m.Size},
		Target: v.Target.String(), Signer: signer,
	}
	return t.emit(out, [][]string{
		{"FILE", "SIZE", "TARGET", "REFERENCE", "DIGEST"}, {out.Path, sizeText(out.Size), out.Target, o.named().String(), out.Digest},
	})
}
