package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// maxDepth bounds how deeply indexes may be nested.
const maxDepth = 16

// A graph is one manifest or blob on its way with all that it consists of: content
// before the manifest that lists it, so that a manifest that is there is whole. What
// several list is moved once.
//
// It does what oras.CopyGraph does, whose package compiles an expression at every
// start that costs as much as a fifth of what this program may take for it.
type graph struct {
	*copier
	without digest.Digest // is left out: the subject of a referrer, which has its own turn
	slots   chan struct{} // one is taken by each that works

	mu   sync.Mutex
	seen map[identity]*arrival
}

// An identity is what tells descriptors apart: one that calls the same bytes
// something else is stored elsewhere, or is wrong.
type identity struct {
	mediaType string
	digest    digest.Digest
	size      int64 // bytes
}

// An arrival is done when its content is there, or is not for a reason.
type arrival struct {
	done chan struct{}
	err  error
}

// copyGraph copies d with all it consists of but without, and takes nothing that
// the goal has already for incomplete.
func (c *copier) copyGraph(ctx context.Context, d ocispec.Descriptor, without digest.Digest) error {
	g := &graph{copier: c, without: without, slots: make(chan struct{}, c.opts.Concurrency), seen: map[identity]*arrival{}}
	return g.all(ctx, []ocispec.Descriptor{d}, 0)
}

// all copies what is in a list, and waits for what others copy of it.
func (g *graph) all(ctx context.Context, list []ocispec.Descriptor, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("index %s: %w: indexes are nested more than %d deep", list[0].Digest, ErrTooLarge, maxDepth)
	}
	group, inner := errgroup.WithContext(ctx)
	for _, d := range list {
		if g.take(inner) != nil {
			break // one of them failed, or ctx is over
		}
		group.Go(func() error { return g.once(inner, d, depth) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (g *graph) take(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *graph) release() { <-g.slots }

// once copies d, unless another one does: then it waits for that one. It begins
// with a slot and ends without.
func (g *graph) once(ctx context.Context, d ocispec.Descriptor, depth int) error {
	id := identity{d.MediaType, d.Digest, d.Size}
	g.mu.Lock()
	a, others := g.seen[id]
	if !others {
		a = &arrival{done: make(chan struct{})}
		g.seen[id] = a
	}
	g.mu.Unlock()
	if !others {
		a.err = g.one(ctx, d, depth)
		close(a.done)
		return a.err
	}
	g.release()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// one copies d and before it what it consists of, if it is not there. It begins
// with a slot and ends without; while it waits for others it has none.
func (g *graph) one(ctx context.Context, d ocispec.Descriptor, depth int) (err error) {
	holds := true
	defer func() {
		if holds {
			g.release()
		}
	}()
	there, err := g.dst.Exists(ctx, d)
	if err != nil {
		return err
	}
	if there {
		g.present.Add(d.Size)
		return nil
	}
	if !IsManifest(d) {
		return g.blob(ctx, d)
	}
	text, err := ReadAll(ctx, g.src, d, MaxManifest)
	if err != nil {
		return err
	}
	parts, err := g.parts(ctx, d, text)
	if err != nil {
		return err
	}
	if len(parts) > 0 {
		g.release()
		holds = false
		if err := g.all(ctx, parts, depth+1); err != nil {
			return err
		}
		if err := g.take(ctx); err != nil {
			return err
		}
		holds = true
	}
	return g.manifest(ctx, d, text, parts)
}

// parts are what a manifest consists of, but for layers that are not for
// distribution, which are elsewhere.
func (g *graph) parts(ctx context.Context, d ocispec.Descriptor, text []byte) ([]ocispec.Descriptor, error) {
	parts, err := content.Successors(ctx, content.FetcherFunc(func(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(text)), nil
	}), d)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	return slices.DeleteFunc(parts, func(p ocispec.Descriptor) bool { return p.Digest == g.without || isForeign(p) }), nil
}

// isForeign reports whether a layer is not for distribution (OCI image
// specification 1.0, and Docker's schema 2).
func isForeign(d ocispec.Descriptor) bool {
	switch d.MediaType {
	case "application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":
		return true
	}
	return false
}

// blob moves a blob, or has the registry take it from another repository of its.
func (g *graph) blob(ctx context.Context, d ocispec.Descriptor) error {
	to, ok := g.dst.(*Repository)
	if !ok || g.mountFrom == "" {
		return g.move(ctx, d, func() (io.ReadCloser, error) { return g.src.Fetch(ctx, d) })
	}
	n := &g.present
	err := to.Mount(ctx, d, g.mountFrom, func() (io.ReadCloser, error) {
		n = &g.moved
		return g.src.Fetch(ctx, d)
	})
	if err == nil {
		n.Add(d.Size)
	}
	return err
}

// manifest stores the manifest d of the bytes text, whose parts are there; that of
// the package is maybe kept for its tag: see keepsRoot.
func (g *graph) manifest(ctx context.Context, d ocispec.Descriptor, text []byte, parts []ocispec.Descriptor) error {
	if g.keepsRoot && d.Digest == g.root.Digest {
		g.kept = true
		return nil
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	err := g.move(ctx, d, open)
	if !missesContent(err) {
		return err
	}
	// Some registries have a manifest whose upload was cut off for those who ask, and
	// not for an index that lists it, so that no attempt would ever go well.
	again := false
	for _, p := range parts {
		if !IsManifest(p) {
			continue
		}
		again = true
		if err := push(ctx, g.dst, p, func() (io.ReadCloser, error) { return g.src.Fetch(ctx, p) }); err != nil {
			return err
		}
	}
	if !again {
		return err
	}
	return g.move(ctx, d, open)
}

// missesContent reports whether a registry refused a manifest because it lacks
// what the manifest lists.
func missesContent(err error) bool {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && slices.ContainsFunc(answer.Errors, func(e errcode.Error) bool {
		switch e.Code {
		case errcode.ErrorCodeManifestBlobUnknown, errcode.ErrorCodeBlobUnknown, errcode.ErrorCodeManifestUnknown:
			return true
		}
		return false
	})
}

// move stores content and counts it.
func (g *graph) move(ctx context.Context, d ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	err := push(ctx, g.dst, d, open)
	if err == nil {
		g.moved.Add(d.Size)
	}
	return err
}

// push stores content, unless somebody was faster.
func push(ctx context.Context, dst content.Storage, d ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	rc, err := open()
	if err != nil {
		return err
	}
	defer rc.Close()
	if err := dst.Push(ctx, d, rc); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return err
	}
	return nil
}
