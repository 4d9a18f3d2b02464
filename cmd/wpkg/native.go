package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/cache"
	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
)

// maxTried bounds the variants of a package whose attestations are verified before
// its WebAssembly is compiled here.
const maxTried = 4

// A native decides about the native code that lies beside a package.
type native struct {
	selection               // the package
	policy    *trust.Policy // nil if there is none
}

// variants lists the native code of a package, as it describes itself.
func (n *native) variants(ctx context.Context) ([]aot.Listed, []aot.Ignored, error) {
	referrers, err := client.ReferrersOf(ctx, n.Target, n.desc, "")
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", n.named(), err)
	}
	list, ignored := aot.List(referrers)
	return list, ignored, nil
}

// vouched is the compiler of the trust policy that attests a variant. Without one
// the error is trust.ErrCompiler.
func (n *native) vouched(ctx context.Context, v *aot.Variant) (*trust.Counted, error) {
	if n.policy == nil {
		return nil, fmt.Errorf("%w: there is no trust policy", trust.ErrCompiler)
	}
	q, err := n.question(n.ref)
	if err != nil {
		return nil, err
	}
	q.Subject = v.Manifest.Digest
	return trust.Vouched(ctx, n.policy, client.Signatures(n.Target), q, func(proof *verify.Proof) error {
		return provenance.Check(proof.PredicateType, proof.Predicate, v, "")
	})
}

// denied are the versions whose code is not loaded.
func (n *native) denied() []string {
	if n.policy == nil {
		return nil
	}
	return n.policy.DeniedVersions
}

// loadable is what code has to be for an engine to load it.
func loadable(ids *wire.IDs, source aot.Source, denied []string) (variant.Wanted, error) {
	host, err := variant.Parse(ids.Host)
	w := variant.Wanted{
		Host: host, Runtime: aot.Runtime, Profile: aot.Profile, Source: source.Digest.String(), Deny: denied,
		CompatIDs: map[variant.Target][]string{},
	}
	for _, s := range ids.Targets {
		if t, err := variant.Parse(s.Target); err == nil {
			w.CompatIDs[t] = []string{s.CompatID}
		}
	}
	return w, err
}

// believes reports whether the trust policy of now stands by who vouched for code
// that is in the cache, for this package.
func (p *program) believes(ctx context.Context, v *cache.Vouched) (bool, error) {
	n, compilers, err := p.native(ctx)
	return err == nil && n != nil && n.policy.Version() == v.Trust && slices.Contains(compilers, v.By), err
}

// native is what decides about the native code of a program, and whose it believes.
// It is nil for programs whose code is made here: files, and packages for which the
// trust policy names no compilers. Nothing is asked of a registry.
func (p *program) native(ctx context.Context) (*native, []string, error) {
	if p.Manifest == "" {
		return nil, nil, nil
	}
	policy, err := p.flags.trust.load()
	if policy == nil || err != nil {
		return nil, nil, err
	}
	n := &native{policy: policy}
	if p.from != nil {
		n.selection = *p.from
	} else {
		r, err := p.tool.reference(ctx, p.Reference)
		if err != nil {
			return nil, nil, err
		}
		n.ref, n.desc = r.WithDigest(p.Manifest), ocispec.Descriptor{Digest: p.Manifest}
	}
	q, err := n.question(n.ref)
	if err != nil {
		return nil, nil, err
	}
	compilers, err := policy.CompilersOf(q.Host, q.Repository)
	if len(compilers) == 0 || err != nil {
		return nil, nil, err
	}
	return n, compilers, nil
}

// vouched fetches native code that a compiler of the trust policy vouches for. If
// there is none the error is cache.ErrNotFound, and what was refused was said. What
// goes wrong in a registry only costs the time to compile.
func (p *program) vouched(ctx context.Context) (*cache.Entry, error) {
	if p.flags.pull == pullNever {
		return nil, cache.ErrNotFound
	}
	n, _, err := p.native(ctx)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, cache.ErrNotFound
	}
	e, err := p.choose(ctx, n)
	if err == nil {
		return e, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if !errors.Is(err, cache.ErrNotFound) {
		p.tool.warn("%s: its native code is not taken: %s", p.name, message(err))
	}
	return nil, cache.ErrNotFound
}

// choose takes the best variant that is vouched for.
func (p *program) choose(ctx context.Context, n *native) (*cache.Entry, error) {
	ids, err := wasmtime.IDs(ctx, p.engine.Path)
	if err != nil {
		return nil, err
	}
	if n.Target == nil {
		if n.selection, err = p.tool.at(ctx, n.ref); err != nil {
			return nil, err
		}
	}
	list, _, err := n.variants(ctx)
	if err != nil {
		return nil, err
	}
	w, err := loadable(ids, p.Wasm, n.denied())
	if err != nil {
		return nil, err
	}
	for range maxTried {
		choice := variant.Pick(w, aot.Candidates(list))
		if choice.Best == nil {
			break
		}
		i := slices.IndexFunc(list, func(l aot.Listed) bool { return l.Candidate == *choice.Best })
		e, err := p.take(ctx, n, list[i], ids)
		if err == nil || ctx.Err() != nil {
			return e, err
		}
		p.tool.warn("%s: native code for %s is not taken: %s", p.name, list[i].Target, message(err))
		list = slices.Delete(list, i, i+1)
	}
	return nil, cache.ErrNotFound
}

// at is a package whose reference has a digest.
func (t *tool) at(ctx context.Context, r ref.Reference) (selection, error) {
	target, err := t.target(ctx, r, false)
	if err != nil {
		return selection{}, err
	}
	s := selection{Target: target, ref: r, tag: r.Tag}
	if s.desc, err = target.Resolve(ctx, r.Digest.String()); err != nil {
		return s, fmt.Errorf("%s: %w", r, err)
	}
	return s, nil
}

// take puts a variant into the cache, if a compiler vouches for it and it is what
// it says.
func (p *program) take(ctx context.Context, n *native, l aot.Listed, ids *wire.IDs) (*cache.Entry, error) {
	v, err := aot.Read(ctx, n.Target, l.Descriptor, aot.Expected{Subject: p.Manifest, Source: p.Wasm.Digest})
	if err != nil {
		return nil, err
	}
	by, err := n.vouched(ctx, v)
	if err != nil {
		return nil, err
	}
	dir, err := p.store.Scratch()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file, err := os.Create(filepath.Join(dir, "code"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	progress, stop := p.tool.progress(ctx)
	defer stop()
	if err := v.WriteCode(ctx, client.Watch(n.Target, progress), file); err != nil {
		return nil, err
	}
	stop()
	if err := checkCode(file, v, p.Program.Kind, ids); err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	e := &cache.Entry{
		Key: aot.Key{
			Source: p.Wasm.Digest, Runtime: v.Runtime, Version: v.Version, Target: v.Target, Tier: v.Config.Compiler.Tier, Profile: v.Profile,
		},
		Config: &v.Config, Added: time.Now().UTC().Truncate(time.Second),
		Vouched: &cache.Vouched{By: by.Signer, Manifest: v.Manifest.Digest, Trust: n.policy.Version()},
	}
	return e, p.store.Add(ctx, *e, file)
}

// checkCode looks whether the head of code says what its config says: a compiler
// that is trusted may still be mistaken. kind "" is any.
func checkCode(file *os.File, v *aot.Variant, kind string, ids *wire.IDs) error {
	code, err := wasmtime.ReadCode(file, v.Config.Output.Size)
	if err != nil {
		return err
	}
	want := wasmtime.Code{Kind: kind, Arch: v.Target.Arch, CompatID: codeID(ids, v.Target, v.Config.Compiler.Tier)}
	if kind == "" {
		want.Kind = code.Kind
	}
	if *code != want {
		return fmt.Errorf("it says that it is code for %s, a %s of %s, and it is for %s, a %s of %s", want.Arch, want.Kind, want.CompatID,
			code.Arch, code.Kind, code.CompatID)
	}
	return nil
}

// codeID is what the head of code of a tier has, "" of a target that the engine
// does not load.
func codeID(ids *wire.IDs, t variant.Target, tier aot.Tier) string {
	i := slices.IndexFunc(ids.Targets, func(s wire.Support) bool { return s.Target == t.String() })
	switch {
	case i < 0:
		return ""
	case tier == aot.Fast:
		return ids.Targets[i].FastID
	}
	return ids.Targets[i].CompatID
}
