package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote/errcode"

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
	// Signatures also copies signatures and attestations of the package and of its
	// parts, and those of these: Sigstore bundles, Notation's, and cosign's tags. What
	// the goal has under such a tag already is kept beside them.
	Signatures bool
	// Referrers also copies what else refers to the package or to a part of it, and
	// what refers to that. What a wreg derived is left out: see IsDerived.
	Referrers bool
	// Derived takes derived referrers along, but for those that the goal refuses
	// because it makes its own.
	Derived bool
	// Before is called when everything is there but the manifest of the package, and
	// may hang things on it. It is called again if the registry wants that manifest
	// first. Nil does nothing.
	Before func(ctx context.Context) error
	// Concurrency is the number of transfers at a time; 0 is DefaultConcurrency.
	Concurrency int
	// Progress watches transfers; nil is nobody.
	Progress Progress
}

// Copied says what a copy did.
type Copied struct {
	Root      ocispec.Descriptor
	Referrers []ocispec.Descriptor // copied or there already
	Tags      []string             // of cosign, copied or there already
	LeftOut   []ocispec.Descriptor // derived
	Moved     int64                // bytes of content that were transferred
	Present   int64                // bytes of content that were there already, or mounted
}

// Copy copies the package that reference names from src to dst with all it
// consists of. What dst has already is not moved, and within one registry blobs
// are mounted.
//
// Tags are set last: a package that can be found is complete. To a registry what
// hangs on the package goes before its manifest too, so that one that takes only
// signed packages sees the signatures when it judges. One that refuses what hangs
// on nothing gets the manifest first, without a tag.
func Copy(ctx context.Context, src Target, reference string, dst Target, o CopyOptions) (Copied, error) {
	root, err := src.Resolve(ctx, reference)
	if err != nil {
		return Copied{}, err
	}
	c := newCopier(src, dst, o)
	defer c.close()
	if from, ok := src.(*Repository); ok {
		if to, ok := dst.(*Repository); ok && from.Host() == to.Host() && from.Name() != to.Name() {
			c.mountFrom = from.Name()
		}
	}
	return c.run(ctx, bare(root), func(out *Copied) error {
		if !o.Referrers && !o.Signatures {
			return nil
		}
		return c.along(ctx, src, out)
	})
}

// Push stores a package that was packed here: its blobs in parallel, then what
// CopyOptions.Before hangs on it, then its manifest with the tags.
func Push(ctx context.Context, p *artifact.Package, dst Target, o CopyOptions) (Copied, error) {
	c := newCopier(packed{p}, dst, o)
	defer c.close()
	return c.run(ctx, p.Manifest, func(*Copied) error { return nil })
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
	src       content.ReadOnlyStorage
	dst       Target
	opts      CopyOptions
	root      ocispec.Descriptor
	mountFrom string // a repository of the goal's registry that has the blobs, "" for none

	// keepsRoot leaves the manifest of the package to the request that sets its first
	// tag: a registry that judges what it gets then knows under which version and what
	// hangs on it, and there is one request less.
	keepsRoot bool
	kept      bool // the root is not there yet: it goes last

	moved, present atomic.Int64
}

func newCopier(src content.ReadOnlyStorage, dst Target, o CopyOptions) *copier {
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	_, keepsRoot := dst.(*Repository)
	return &copier{src: Watch(src, o.Progress), dst: dst, opts: o, keepsRoot: keepsRoot}
}

func (c *copier) close() {
	if l, ok := c.dst.(*Layout); ok {
		l.tidy()
	}
}

// run copies root, what along copies besides, and has Before called; the manifest
// goes last where that makes a difference.
func (c *copier) run(ctx context.Context, root ocispec.Descriptor, along func(*Copied) error) (Copied, error) {
	c.root = root
	out := Copied{Root: root}
	err := c.copyGraph(ctx, root, "")
	if err == nil {
		err = along(&out)
	}
	if err == nil && c.opts.Before != nil {
		err = c.hang(ctx, func() error { return c.opts.Before(ctx) })
	}
	if err == nil {
		err = c.finish(ctx)
	}
	out.Moved, out.Present = c.moved.Load(), c.present.Load()
	return out, err
}

// hang calls put, which stores something that refers to the package. The
// specification has registries take that before the package; for those that do not,
// the package is stored by its digest, and put is called again.
func (c *copier) hang(ctx context.Context, put func() error) error {
	err := put()
	if !c.kept || !wantsSubject(err) {
		return err
	}
	if again := c.putRoot(ctx, c.root.Digest.String()); again != nil {
		return err // which says why it was not done in the right order
	}
	return put()
}

// wantsSubject reports whether an answer may mean that the subject has to be
// there.
func wantsSubject(err error) bool {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	if !ok {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusFailedDependency:
		return true
	}
	return false
}

// putRoot stores the manifest that was kept, under a tag or its digest.
func (c *copier) putRoot(ctx context.Context, reference string) error {
	repo, ok := c.dst.(*Repository)
	if !ok {
		return fmt.Errorf("%s is no registry", c.dst)
	}
	manifest, err := ReadAll(ctx, c.src, c.root, MaxManifest)
	if err != nil {
		return err
	}
	if err := repo.PutManifest(ctx, c.root, manifest, reference); err != nil {
		return err
	}
	if c.kept {
		c.kept = false
		c.moved.Add(c.root.Size)
	}
	return nil
}

// finish sets the tags, each in one request, or stores the manifest by its digest
// if there are none.
func (c *copier) finish(ctx context.Context) error {
	tags := slices.Compact(slices.Clone(c.opts.Tags))
	if len(tags) == 0 && c.kept {
		return c.putRoot(ctx, c.root.Digest.String())
	}
	for _, tag := range tags {
		var err error
		if _, remote := c.dst.(*Repository); remote {
			err = c.putRoot(ctx, tag)
		} else {
			err = c.dst.Tag(ctx, c.root, tag)
		}
		switch {
		case err != nil && len(tags) > 1:
			return fmt.Errorf("tag %s: %w", tag, err)
		case err != nil: // the caller knows which
			return err
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
