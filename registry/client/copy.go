package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"

	"github.com/wreg-project/wreg/artifact"
)

// Progress watches transfers. Its methods are called from many goroutines.
type Progress interface {
	// Begin announces that the content of d is about to be moved.
	Begin(d ocispec.Descriptor) Meter
}

// Meter follows one transfer.
type Meter interface {
	// At says that n bytes are done. It falls when a transfer is resumed.
	At(n int64)
	// End says that the transfer is over. It is called once.
	End(complete bool)
}

// CopyOptions say what a copy does. The zero value copies one package.
type CopyOptions struct {
	// Tags are set on the copy, when everything is there. None leaves it
	// reachable by its digest alone.
	Tags []string
	// Referrers also copies what refers to the package or to a part of it, and
	// what refers to that. What a wreg derived is left out: see IsDerived.
	Referrers bool
	// Derived takes derived referrers along.
	Derived bool
	// Concurrency is the number of transfers at a time; 0 is DefaultConcurrency.
	Concurrency int
	// Progress watches transfers; nil is nobody.
	Progress Progress
}

// Copied says what a copy did.
type Copied struct {
	Root      ocispec.Descriptor
	Referrers []ocispec.Descriptor // copied or there already
	LeftOut   []ocispec.Descriptor // derived
	Moved     int64                // bytes of content that were transferred
	Present   int64                // bytes of content that were there already, or mounted
}

// Copy copies the package that reference names from src to dst with all it
// consists of. What dst has already is not moved, and within one registry blobs
// are mounted. Tags are set last: a package that can be found is complete.
func Copy(ctx context.Context, src Target, reference string, dst Target, o CopyOptions) (Copied, error) {
	root, err := src.Resolve(ctx, reference)
	if err != nil {
		return Copied{}, err
	}
	c := newCopier(src, dst, o)
	defer c.close()
	if from, ok := src.(*Repository); ok {
		if to, ok := dst.(*Repository); ok && from.Host() == to.Host() && from.Name() != to.Name() {
			c.graph.MountFrom = func(context.Context, ocispec.Descriptor) ([]string, error) { return []string{from.Name()}, nil }
		}
	}
	out := Copied{Root: root}
	if !o.Referrers { // which want it there first
		c.keepForTag(root)
	}
	if err := c.copy(ctx, root); err != nil {
		return out, err
	}
	if o.Referrers {
		if err := c.referrers(ctx, src, root, &out); err != nil {
			return out, err
		}
	}
	err = c.tag(ctx, root)
	out.Moved, out.Present = c.moved.Load(), c.present.Load()
	return out, err
}

// Push stores a package that was packed here: its blobs in parallel, then its
// manifest, then the tags.
func Push(ctx context.Context, p *artifact.Package, dst Target, o CopyOptions) (Copied, error) {
	c := newCopier(packed{p}, dst, o)
	defer c.close()
	c.keepForTag(p.Manifest)
	err := c.copy(ctx, p.Manifest)
	if err == nil {
		err = c.tag(ctx, p.Manifest)
	}
	return Copied{Root: p.Manifest, Moved: c.moved.Load(), Present: c.present.Load()}, err
}

// IsDerived reports whether a referrer is something that a wreg computes by
// itself, such as its report, and that a copy's new home computes again.
func IsDerived(d ocispec.Descriptor) bool {
	if _, ok := d.Annotations["io.wreg.derived"]; ok {
		return true
	}
	return strings.HasPrefix(d.ArtifactType, "application/vnd.wreg.")
}

// copier is one copy at work.
type copier struct {
	src   content.ReadOnlyStorage
	dst   Target
	opts  CopyOptions
	graph oras.CopyGraphOptions

	moved, present atomic.Int64
	kept           bool // the root goes with its first tag
}

func newCopier(src content.ReadOnlyStorage, dst Target, o CopyOptions) *copier {
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	c := &copier{src: Watch(src, o.Progress), dst: dst, opts: o}
	c.graph = oras.CopyGraphOptions{
		Concurrency:      o.Concurrency,
		MaxMetadataBytes: MaxManifest,
		PostCopy:         c.count(&c.moved),
		OnCopySkipped:    c.count(&c.present),
		OnMounted:        c.count(&c.present),
	}
	return c
}

func (c *copier) close() {
	if l, ok := c.dst.(*Layout); ok {
		l.tidy()
	}
}

func (c *copier) count(n *atomic.Int64) func(context.Context, ocispec.Descriptor) error {
	return func(_ context.Context, d ocispec.Descriptor) error {
		n.Add(d.Size)
		return nil
	}
}

// copy copies a manifest and what it consists of, parts first.
func (c *copier) copy(ctx context.Context, root ocispec.Descriptor) error {
	return plain(oras.CopyGraph(ctx, c.src, c.dst, root, c.graph))
}

// keepForTag leaves the manifest root to the request that sets the first tag: a
// registry that judges what it gets then knows under which version, and there is
// one request less.
func (c *copier) keepForTag(root ocispec.Descriptor) {
	if _, ok := c.dst.(*Repository); !ok || len(c.opts.Tags) == 0 {
		return
	}
	c.graph.PreCopy = func(_ context.Context, d ocispec.Descriptor) error {
		if d.Digest != root.Digest {
			return nil
		}
		c.kept = true
		return oras.SkipNode
	}
}

// referrers copies what refers to root, to a part of it, or to any such
// referrer.
func (c *copier) referrers(ctx context.Context, src Target, root ocispec.Descriptor, out *Copied) error {
	seen := map[digest.Digest]bool{root.Digest: true}
	next := []ocispec.Descriptor{root}
	add := func(d ocispec.Descriptor) error {
		if seen[d.Digest] {
			return nil
		}
		seen[d.Digest] = true
		next = append(next, d)
		if len(seen) > MaxReferrers {
			return fmt.Errorf("referrers of %s: %w: more than %d", root.Digest, ErrTooLarge, MaxReferrers)
		}
		return nil
	}
	for len(next) > 0 {
		d := next[0]
		next = next[1:]
		if err := eachChild(ctx, src, d, add); err != nil {
			return err
		}
		refs, err := ReferrersOf(ctx, src, d, "")
		if err != nil {
			return fmt.Errorf("referrers of %s: %w", d.Digest, err)
		}
		for _, r := range refs {
			switch {
			case seen[r.Digest]:
				continue
			case IsDerived(r) && !c.opts.Derived:
				seen[r.Digest] = true
				out.LeftOut = append(out.LeftOut, r)
				continue
			}
			if err := c.copy(ctx, bare(r)); err != nil {
				return fmt.Errorf("referrer %s: %w", r.Digest, err)
			}
			out.Referrers = append(out.Referrers, r)
			if err := add(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachChild calls fn with the manifests that an index lists.
func eachChild(ctx context.Context, src Target, d ocispec.Descriptor, fn func(ocispec.Descriptor) error) error {
	if d.MediaType != ocispec.MediaTypeImageIndex && d.MediaType != dockerManifestList {
		return nil
	}
	children, err := content.Successors(ctx, src, d)
	if err != nil {
		return fmt.Errorf("index %s: %w", d.Digest, err)
	}
	for _, child := range children {
		if IsManifest(child) {
			if err := fn(child); err != nil {
				return err
			}
		}
	}
	return nil
}

// bare is d without what only a listing says of it.
func bare(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// tag sets the tags, each in one request.
func (c *copier) tag(ctx context.Context, root ocispec.Descriptor) error {
	if len(c.opts.Tags) == 0 {
		return nil
	}
	repo, remote := c.dst.(*Repository)
	var manifest []byte
	if remote {
		var err error
		if manifest, err = ReadAll(ctx, c.src, root, MaxManifest); err != nil {
			return err
		}
	}
	for _, tag := range slices.Compact(slices.Clone(c.opts.Tags)) {
		var err error
		if remote {
			err = repo.PutManifest(ctx, root, manifest, tag)
		} else {
			err = c.dst.Tag(ctx, root, tag)
		}
		switch {
		case err != nil && len(c.opts.Tags) > 1:
			return fmt.Errorf("tag %s: %w", tag, err)
		case err != nil: // the caller knows which
			return err
		case c.kept:
			c.kept = false
			c.moved.Add(root.Size)
		}
	}
	return nil
}

// plain takes oras-go's account of which side failed in which of its steps off
// an error; what is left names the request.
func plain(err error) error {
	var c *oras.CopyError
	if errors.As(err, &c) {
		return c.Err
	}
	return err
}

// Watch shows the transfers of blobs out of s to p, which may be nil.
func Watch(s content.ReadOnlyStorage, p Progress) content.ReadOnlyStorage {
	return metered{ReadOnlyStorage: s, progress: p}
}

// metered shows the transfers out of a store to a Progress.
type metered struct {
	content.ReadOnlyStorage
	progress Progress
}

func (m metered) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := m.ReadOnlyStorage.Fetch(ctx, d)
	if err != nil || m.progress == nil || IsManifest(d) {
		return rc, err
	}
	return watched(rc, d, m.progress), nil
}

// watched shows a transfer of d that reads rc to p. It can seek if rc can.
func watched(rc io.ReadCloser, d ocispec.Descriptor, p Progress) io.ReadCloser {
	m := &meter{ReadCloser: rc, size: d.Size, to: p.Begin(d)}
	if s, ok := rc.(io.Seeker); ok {
		return &seekingMeter{meter: m, seeker: s}
	}
	return m
}

type meter struct {
	io.ReadCloser
	off, size int64
	to        Meter
	ended     bool
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.off += int64(n)
	m.to.At(m.off)
	return n, err
}

func (m *meter) Close() error {
	if !m.ended {
		m.ended = true
		m.to.End(m.off == m.size)
	}
	return m.ReadCloser.Close()
}

type seekingMeter struct {
	*meter
	seeker io.Seeker
}

func (m *seekingMeter) Seek(offset int64, whence int) (int64, error) {
	n, err := m.seeker.Seek(offset, whence)
	if err == nil {
		m.off = n
		m.to.At(n)
	}
	return n, err
}
