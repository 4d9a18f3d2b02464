package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"github.com/wreg-project/wreg/artifact/aot/cache"
	"github.com/wreg-project/wreg/artifact/run"
	"github.com/wreg-project/wreg/artifact/run/again"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
)

// When a package is asked for at its registry.
const (
	pullMissing = "missing" // if it is not known here
	pullAlways  = "always"  // at every run: the tag may have moved, the version been yanked
	pullNever   = "never"
)

// programFlags say where a program comes from and what has to be true of it.
type programFlags struct {
	pull     string
	policies cli.StringSlice
	trust    trustFlags
}

func (f *programFlags) flags() []cli.Flag {
	return append(f.trust.flags(),
		&cli.StringFlag{
			Name: "pull", Value: pullMissing, Destination: &f.pull,
			Usage: "ask the registry `WHEN`: missing, only for what was not asked for before; always; or never",
		},
		&cli.StringSliceFlag{
			Name: "policy", Aliases: []string{"p"}, Usage: "run it only if it keeps to this `POLICY`, as audit says; may be repeated",
			Destination: &f.policies, TakesFile: true,
		},
	)
}

func (f *programFlags) check() error {
	if !slices.Contains([]string{pullMissing, pullAlways, pullNever}, f.pull) {
		return usagef("--pull %s: it is missing, always or never", term.Clean(f.pull))
	}
	return nil
}

// A program is something that can be run: what it needs is known, its
// WebAssembly is in the cache, and whoever may forbid it did not.
type program struct {
	known
	name   string // for people
	called string // what it is told to be called
	tool   *tool
	flags  *programFlags
	store  *cache.Store
	engine *again.Program
	from   *selection // where it was asked for in this run; nil if it was not
	chosen chosen     // after open
}

// known is what the cache remembers of a package, under the words by which it
// was asked for.
type known struct {
	Reference string        `json:"reference,omitempty"` // what it was then, "" for a file
	Manifest  digest.Digest `json:"manifest,omitempty"`
	Wasm      aot.Source    `json:"wasm"`
	Program   run.Program   `json:"program"`
	Judged    []again.File  `json:"judged,omitempty"` // what decided that it may run
	Until     time.Time     `json:"until,omitzero"`   // when that has to be decided again; zero is never
}

// program finds what an argument names and makes sure that it may run. A package
// that is known, and whose verdict holds, costs no look at the network.
func (t *tool) program(ctx context.Context, arg string, f *programFlags) (*program, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	store, err := openCache()
	if err != nil {
		return nil, err
	}
	p := &program{name: arg, tool: t, flags: f, store: store}
	if p.engine, err = t.engine(); err != nil {
		return nil, err
	}
	if isFile(arg) {
		return p, p.file(ctx, arg, f)
	}
	words, err := t.words(arg, f)
	if err != nil {
		return nil, err
	}
	known := p.remember(words)
	switch {
	case known && f.pull != pullAlways && (f.pull == pullNever || !isLayout(arg)):
		p.named(p.Reference)
		return p, nil
	case f.pull == pullNever:
		return nil, &hinted{fmt.Errorf("%s: it was not asked for before", arg), "--pull missing fetches it"}
	}
	return p, p.ask(ctx, arg, words, known, f)
}

// isLayout tells what lies on this machine: to ask it again costs nothing.
func isLayout(arg string) bool { return strings.HasPrefix(arg, "oci-layout:") || client.IsLayout(arg) }

// named takes the names from a reference: it is called what its last part is.
func (p *program) named(reference string) {
	p.name = reference
	name, _, _ := strings.Cut(path.Base(reference), "@")
	p.called, _, _ = strings.Cut(name, ":")
}

// words are what a package was asked for by, and all that decides which package
// that is and whether it may run: who says the same words means the same.
func (t *tool) words(arg string, f *programFlags) (string, error) {
	trustPath, _, _ := f.trust.path()
	text, err := json.Marshal([]any{arg, t.registry, t.insecure, again.SumOf(t.configPath()), trustPath, f.trust.skip, f.policies.Value()})
	return string(text), err
}

// remember fills in what is known of the words, if the verdict of then holds.
func (p *program) remember(words string) bool {
	var k known
	if p.store.Package(words, &k) != nil || k.Program.Kind == "" {
		return false // unknown, or damaged: it is asked for again
	}
	if !again.Unchanged(k.Judged) || !k.Until.IsZero() && !time.Now().Before(k.Until) {
		return false
	}
	p.known = k
	return true
}

// ask finds a package at its registry, has the trust policy and the policies of
// the flags judge it, and fetches it unless it is here.
func (p *program) ask(ctx context.Context, arg, words string, remembered bool, f *programFlags) error {
	t := p.tool
	s, err := t.selected(ctx, arg)
	if err != nil {
		return err
	}
	p.from = &s
	p.named(s.named().String())
	if remembered && p.Manifest == s.desc.Digest { // --pull always, and nothing changed
		p.warnNotice(ctx)
		return nil
	}
	// Before the verdict: if a policy changes while it is asked or the package is
	// fetched, the verdict is of another one than this, and does not hold.
	decided, err := judges(f)
	if err != nil {
		return err
	}
	verdict, err := t.judged(ctx, s, s.ref, f.trust)
	if err != nil {
		return err
	}
	if err := p.fetch(ctx); err != nil {
		return err
	}
	if err := p.look(ctx, f); err != nil {
		return err
	}
	p.Reference, p.Manifest, p.Judged, p.Until = p.name, s.desc.Digest, decided, time.Time{}
	if verdict != nil {
		p.Until = verdict.Until
	}
	p.warnNotice(ctx)
	return p.store.SetPackage(words, &p.known)
}

// judges lists the files that decided, with what is in them now.
func judges(f *programFlags) ([]again.File, error) {
	files := []string{}
	trustPath, _, err := f.trust.path()
	if err == nil {
		files = append(files, trustPath)
	}
	trusted, err := f.trust.load()
	if err != nil {
		return nil, err
	}
	if trusted != nil {
		files = append(files, trusted.Files()...)
	}
	for _, policy := range f.policies.Value() {
		if _, err := os.Stat(policy); err == nil {
			files = append(files, policy)
		}
	}
	var list []again.File
	for _, file := range files {
		absolute, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		if f := again.FileOf(absolute); !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// fetch puts the WebAssembly of a package into the cache.
func (p *program) fetch(ctx context.Context) error {
	// By way of a file: what is unpacked is checked against its digest first.
	dir, err := p.store.Scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	progress, stop := p.tool.progress(ctx)
	defer stop()
	file := filepath.Join(dir, "module.wasm")
	if _, err := artifact.Unpack(ctx, client.Watch(p.from, progress), p.from.desc, artifact.UnpackOptions{Path: file}); err != nil {
		return unpackError(ctx, *p.from, err)
	}
	stop()
	return p.keep(ctx, file)
}

// keep copies a file into the cache.
func (p *program) keep(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := digest.SHA256.Digester()
	n, err := io.Copy(sum.Hash(), io.LimitReader(f, maxBinary+1))
	if err != nil {
		return err
	}
	if n > maxBinary {
		return fmt.Errorf("%s: it is larger than %s", p.name, sizeText(maxBinary))
	}
	p.Wasm = aot.Source{Digest: sum.Digest(), Size: n}
	if have, err := p.store.OpenWasm(p.Wasm); err == nil {
		return have.Close()
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return p.store.AddWasm(ctx, p.Wasm, f)
}

// look finds out what the program needs, and has the policies judge it.
func (p *program) look(ctx context.Context, f *programFlags) error {
	data, err := p.bytes()
	if err != nil {
		return err
	}
	rep, err := inspect.Inspect(data, inspect.Options{Strings: -1})
	if err != nil {
		return notRun(&wasmFile{name: p.name, data: data}, err)
	}
	p.Program = run.Describe(rep)
	if len(f.policies.Value()) == 0 {
		return nil
	}
	return p.tool.keepsTo(ctx, f.policies.Value(), &wasmFile{name: p.name, data: data, from: p.from, digest: string(p.Manifest)})
}

// notRun is the fault of a file that is no WebAssembly. Native code is none: what
// is in a file cannot be told to be harmless, whoever says that it is.
func notRun(f *wasmFile, err error) error {
	fault := f.fault(err)
	if hint, ok := errors.AsType[*hinted](fault); ok {
		return &hinted{hint.error, "wpkg loads no native code but what it made, or what a compiler of the trust policy attests: run the .wasm"}
	}
	return fault
}

func (p *program) bytes() ([]byte, error) {
	f, err := p.store.OpenWasm(p.Wasm)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, p.name)
}

// file is a program of a file, which is known by its bytes. No signature says
// anything of it.
func (p *program) file(ctx context.Context, name string, f *programFlags) error {
	p.called = strings.TrimSuffix(filepath.Base(name), ".wasm")
	if err := p.keep(ctx, name); err != nil {
		return err
	}
	words := "file " + p.Wasm.Digest.String()
	if len(f.policies.Value()) == 0 && p.remember(words) {
		return nil
	}
	if err := p.look(ctx, f); err != nil {
		return err
	}
	return p.store.SetPackage(words, &known{Wasm: p.Wasm, Program: p.Program})
}

// keepsTo is nil if a binary keeps to all policies, as audit would say.
func (t *tool) keepsTo(ctx context.Context, policies []string, file *wasmFile) error {
	fails, err := thresholdOf("enforce")
	if err != nil {
		return err
	}
	quiet := *t
	quiet.out = io.Discard
	a := &auditor{tool: &quiet, report: auditReport{fails: fails}}
	for _, arg := range policies {
		s, err := t.policySource(ctx, arg)
		if err != nil {
			return err
		}
		if err := a.use(ctx, s, &fetchFlags{}); err != nil {
			return err
		}
	}
	if err := a.readAdvisories(ctx, &advisoryFlags{}); err != nil {
		return err
	}
	defer a.closeAdvisories()
	a.report.add(a.look(ctx, target{name: file.name, load: func(context.Context) (*wasmFile, error) { return file, nil }}))
	err = a.verdict()
	if !errors.Is(err, errFinding) {
		return err
	}
	var b bytes.Buffer
	quiet.out = &b
	if err := quiet.printAudit(&a.report); err != nil {
		return err
	}
	fmt.Fprint(t.err, b.String())
	return err
}

// warnNotice repeats what was said about the version, if its registry can tell:
// it may be yanked or deprecated. Who names it still gets it.
func (p *program) warnNotice(ctx context.Context) {
	r := p.from.named()
	if r.Layout != "" || r.Tag == "" {
		return
	}
	catalog, err := p.tool.client().Catalog(r.Host)
	if err != nil {
		return // not of this kind, as most registries are
	}
	v, err := catalog.Version(ctx, r.Repository, r.Tag)
	if err != nil || v.Notice == nil {
		return
	}
	text := fmt.Sprintf("%s is %s", p.name, v.Notice.State)
	if v.Notice.Reason != "" {
		text += ": " + v.Notice.Reason
	}
	p.tool.warn("%s", text)
}

// openCache opens the cache of this user.
func openCache() (*cache.Store, error) {
	dir, err := cache.Default()
	if err != nil {
		return nil, err
	}
	s, err := cache.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		err = &hinted{err, "XDG_CACHE_HOME names another folder"}
	}
	return s, err
}
