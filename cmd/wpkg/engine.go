package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/cache"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/run/again"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/internal/term"
)

// engine finds the program that runs and compiles, wpkg-engine. Which it is costs a
// look at a file; what it can do costs starting it, so that is remembered.
func (t *tool) engine() (*again.Program, error) {
	path, err := wasmtime.Find()
	if err != nil {
		return nil, err
	}
	return again.ProgramOf(path)
}

// chosen is the code that an engine was given for a binary. Code that somebody
// vouched for holds for the package and the trust policy that it was chosen by.
type chosen struct {
	Engine again.Program `json:"engine"`
	Entry  cache.Entry   `json:"entry"`
	For    string        `json:"for,omitempty"`
	Judged []again.File  `json:"judged,omitempty"`
}

// open opens code for this machine and engine: what was chosen before, or what
// is in the cache, or what the registry has of a trusted compiler, or what is
// compiled now. The caller closes it.
func (p *program) open(ctx context.Context) (*os.File, error) {
	var c chosen
	if p.store.Package(p.codeWords(), &c) == nil && c.Engine.Same(p.engine) && c.Entry.Config != nil && p.stands(&c) {
		if f, err := p.store.OpenCode(&c.Entry); err == nil {
			p.chosen = c
			p.store.Use(&c.Entry)
			return f, nil
		}
	}
	var decided []again.File // read before they decide, as in ask; nobody decides about a file
	if p.Manifest != "" {
		var err error
		if decided, err = judges(p.flags); err != nil {
			return nil, err
		}
	}
	e, err := p.find(ctx)
	if errors.Is(err, cache.ErrNotFound) {
		e, err = p.vouched(ctx)
	}
	if errors.Is(err, cache.ErrNotFound) {
		e, err = p.compile(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	f, err := p.store.OpenCode(e)
	if err != nil {
		return nil, err
	}
	c = chosen{Engine: *p.engine, Entry: *e}
	if e.Vouched != nil {
		c.For, c.Judged = p.judgedFor(), decided
	}
	if err := p.store.SetPackage(p.codeWords(), c); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	p.chosen = c
	return f, nil
}

// codeWords are what the code that was chosen is recorded by.
func (p *program) codeWords() string { return "code " + p.Wasm.Digest.String() + " " + p.engine.Path }

// stands reports whether what was chosen may still be loaded. What was made here
// may; of other code the package, the trust policy and its files have to be those
// by which it was judged.
func (p *program) stands(c *chosen) bool {
	return c.Entry.Vouched == nil || c.For == p.judgedFor() && again.Unchanged(c.Judged)
}

// judgedFor names the package without its tag, and where the trust policy is.
func (p *program) judgedFor() string {
	path, _, _ := p.flags.trust.path()
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return p.Reference + " " + p.Manifest.String() + " " + path
}

// find looks for code that this engine loads, of whichever tier.
func (p *program) find(ctx context.Context) (*cache.Entry, error) {
	ids, err := wasmtime.IDs(ctx, p.engine.Path)
	if err != nil {
		return nil, err
	}
	for _, tier := range []aot.Tier{aot.Optimising, aot.Fast} {
		key, err := p.key(ids, tier)
		if err != nil {
			return nil, err
		}
		e, err := p.store.Find(key)
		if err == nil && e.Config.CompatID == compatOf(ids, key.Target) && p.intact(e) {
			if e.Vouched == nil {
				return e, nil
			}
			ok, err := p.believes(ctx, e.Vouched)
			if ok || err != nil {
				return e, err
			}
		}
		if err != nil && !errors.Is(err, cache.ErrNotFound) {
			return nil, err
		}
	}
	return nil, cache.ErrNotFound
}

// intact reports whether code is there and as long as it was. What is not is made
// again, which replaces it.
func (p *program) intact(e *cache.Entry) bool {
	f, err := p.store.OpenCode(e)
	return err == nil && f.Close() == nil
}

// key is that of code for the best target of this machine.
func (p *program) key(ids *wire.IDs, tier aot.Tier) (aot.Key, error) {
	target, err := variant.Parse(ids.Host)
	return aot.Key{
		Source: p.Wasm.Digest, Runtime: aot.Runtime, Version: ids.Wasmtime, Target: target, Tier: tier, Profile: aot.Profile,
	}, err
}

// compatOf is what code for a target has to be compatible with.
func compatOf(ids *wire.IDs, target variant.Target) string {
	for _, s := range ids.Targets {
		if s.Target == target.String() {
			return s.CompatID
		}
	}
	return noCompat
}

// noCompat is the compat id of a target that an engine does not load.
const noCompat = "none"

// compile compiles for this machine and keeps the result.
func (p *program) compile(ctx context.Context) (*cache.Entry, error) {
	ids, err := wasmtime.IDs(ctx, p.engine.Path)
	if err != nil {
		return nil, err
	}
	target, err := variant.Parse(ids.Host)
	if err != nil {
		return nil, err
	}
	wasm, err := p.store.OpenWasm(p.Wasm)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, &hinted{err, "it was pruned; --pull always fetches it again"}
	}
	if err != nil {
		return nil, err
	}
	defer wasm.Close()
	dir, err := p.store.Scratch()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out, err := os.Create(filepath.Join(dir, "code"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	start := time.Now()
	if term.IsTerminal(p.tool.err) && !p.tool.quiet {
		fmt.Fprintf(p.tool.err, "compiling %s for %s\n", term.Clean(p.name), target)
	}
	config, err := wasmtime.New(p.engine.Path).Compile(ctx, aot.Job{Wasm: wasm, Size: p.Wasm.Size, Digest: p.Wasm.Digest, Target: target}, out)
	if err != nil {
		return nil, err
	}
	if config.Compiler.Tier == aot.Fast {
		fmt.Fprintf(p.tool.err, "%s the optimising compiler did not finish in time: this runs, but slower than it could\n",
			term.Paint(term.Colour(p.tool.err), term.Yellow, "warning:"))
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	e := &cache.Entry{
		Key: aot.Key{
			Source: p.Wasm.Digest, Runtime: aot.Runtime, Version: config.Compiler.Version, Target: target,
			Tier: config.Compiler.Tier, Profile: config.Compiler.Profile,
		},
		Config: config, Added: start.UTC().Truncate(time.Second),
	}
	return e, p.store.Add(ctx, *e, out)
}
