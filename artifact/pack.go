package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/inspect"
)

// A File is a file to be packed. Content is read twice, once to inspect and
// hash it and once to send it, and must not change in between.
type File struct {
	Name    string // base name, for titles and messages
	Content io.ReaderAt
	Size    int64 // bytes
}

// Options say how a package presents itself. The zero value is complete.
type Options struct {
	// Name is the package's short name; its Wasm is titled Name.wasm. By
	// default it is the file's name without .wasm.
	Name string

	// Version is the semantic version in full, build metadata included. By
	// default it is the one the binary states, if any.
	Version string

	// Created is the time of creation. By default it is the Unix epoch, so that
	// the same input gives the same digest; a caller that honours
	// SOURCE_DATE_EPOCH passes that.
	Created time.Time

	// Author is the person responsible, by default as the binary states.
	Author string

	// Annotations are added to the manifest and win over those taken from the
	// binary; an empty value removes one.
	Annotations map[string]string
}

func (o Options) created() time.Time {
	if o.Created.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return o.Created.UTC().Truncate(time.Second)
}

// Errors of this package, usually wrapped; test with [errors.Is].
var (
	// ErrFiles is a set of files that makes no canonical package.
	ErrFiles = errors.New("not one Wasm file")

	// ErrForm is a manifest or blob in no form that carries Wasm.
	ErrForm = errors.New("not a Wasm package")

	// ErrContent is content that is not what its descriptor says.
	ErrContent = errors.New("content does not match its descriptor")

	// ErrName is a file name that cannot be used.
	ErrName = errors.New("unusable file name")

	// ErrTooLarge is content beyond what the caller allows.
	ErrTooLarge = errors.New("larger than allowed")
)

// A Blob is a piece of a package that can be read any number of times.
type Blob struct {
	Descriptor ocispec.Descriptor
	open       func() io.ReadCloser
}

// Open gives the blob's bytes from the start; the caller closes them. Readers of
// files and of small blobs are also an [io.Seeker], which lets a client repeat a
// request.
func (b Blob) Open() io.ReadCloser { return b.open() }

// NewBlob makes a blob of content that open gives from its start, each time it is
// called. The content is d's.
func NewBlob(d ocispec.Descriptor, open func() io.ReadCloser) Blob {
	return Blob{Descriptor: d, open: open}
}

// NewJSONBlob makes a blob of v, which has to have a JSON form.
func NewJSONBlob(mediaType string, v any) Blob {
	data := encode(v)
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	return Blob{Descriptor: d, open: inMemory(data)}
}

// NewPackage makes a package of a manifest of another kind than [Pack] makes, and
// of the blobs that it names. It has no Report, and no views.
func NewPackage(m ocispec.Manifest, blobs ...Blob) *Package {
	p := &Package{Blobs: blobs}
	p.seal(m)
	return p
}

// A Package is an artifact ready to be sent: a manifest with what it names.
type Package struct {
	// Manifest describes ManifestJSON, with its artifact type and annotations.
	Manifest     ocispec.Descriptor
	ManifestJSON []byte

	// Blobs are the config and the layers, each once.
	Blobs []Blob

	// Report is what inspection found out about the Wasm, of a package of [Pack].
	Report *inspect.Report

	// Title is the file name of the Wasm, "hello.wasm", and Version the version
	// in full, or "".
	Title   string
	Version string

	wasm    File
	layer   ocispec.Descriptor
	created time.Time
}

// Pack makes the canonical package of exactly one Wasm file. Whatever the order
// of options or annotations, the same input gives the same manifest digest.
// The file is read once; memory does not grow with its size. A file that is no
// Wasm is an [*wasm.Error], more or fewer files ErrFiles.
func Pack(ctx context.Context, files []File, o Options) (*Package, error) {
	file, err := onlyWasm(files)
	if err != nil {
		return nil, err
	}
	rep, err := inspect.Describe(file.Content, file.Size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	layer, err := describe(ctx, MediaTypeWasm, io.NewSectionReader(file.Content, 0, file.Size))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name, err)
	}
	if layer.Size != file.Size {
		return nil, fmt.Errorf("read %s: %w: %d bytes, said to be %d", file.Name, ErrContent, layer.Size, file.Size)
	}
	p := &Package{Report: rep, Title: title(o.Name, file.Name), Version: o.Version, wasm: file, created: o.created()}
	if err := CheckFileName(p.Title); err != nil {
		return nil, err
	}
	if p.Version == "" && len(rep.Metadata.Version) <= maxAnnotation {
		p.Version = rep.Metadata.Version
	}
	p.layer = layer
	layer.Annotations = map[string]string{AnnotationTitle: p.Title}
	config := NewJSONBlob(MediaTypeConfig, newConfig(rep, layer.Digest, o))
	p.Blobs = []Blob{config, {Descriptor: layer, open: file.open}}
	p.seal(ocispec.Manifest{
		Config:      config.Descriptor,
		Layers:      []ocispec.Descriptor{layer},
		Annotations: annotations(rep.Metadata, p.Version, o),
	})
	return p, nil
}

// onlyWasm picks the Wasm of a canonical package, which holds nothing else:
// clients refuse a second layer.
func onlyWasm(files []File) (File, error) {
	switch len(files) {
	case 0:
		return File{}, fmt.Errorf("%w: no file given", ErrFiles)
	case 1:
		return files[0], nil
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	return File{}, fmt.Errorf("%w: %s; a Wasm package holds exactly one .wasm: attach other files to it as referrers, or embed them",
		ErrFiles, strings.Join(names, ", "))
}

func title(name, file string) string {
	if name == "" {
		name = strings.TrimSuffix(path.Base(strings.ReplaceAll(file, `\`, "/")), ".wasm")
	}
	return name + ".wasm"
}

// maxAnnotation bounds an annotation that comes from the binary, in bytes:
// sections may be longer than a registry takes a manifest. What is left out
// stays in the binary and its report.
const maxAnnotation = 4096

func annotations(m inspect.Metadata, version string, o Options) map[string]string {
	a := map[string]string{
		AnnotationVersion:     version,
		AnnotationDescription: m.Description,
		AnnotationLicenses:    m.Licenses,
		AnnotationSource:      m.Source,
		AnnotationURL:         m.Homepage,
		AnnotationAuthors:     m.Authors,
		AnnotationRevision:    m.Revision,
	}
	maps.DeleteFunc(a, func(_, v string) bool { return len(v) > maxAnnotation })
	if o.Author != "" {
		a[AnnotationAuthors] = o.Author
	}
	maps.Copy(a, o.Annotations)
	maps.DeleteFunc(a, func(_, v string) bool { return v == "" })
	return a
}

// Push sends the package to dst: the blobs, then the manifest. What is there
// already is not sent again. A client that wants blobs in parallel, or progress,
// sends Blobs itself and then calls PushManifest.
func (p *Package) Push(ctx context.Context, dst content.Pusher) error {
	for _, b := range p.Blobs {
		if err := push(ctx, dst, b); err != nil {
			return err
		}
	}
	return p.PushManifest(ctx, dst)
}

// PushManifest sends the manifest alone.
func (p *Package) PushManifest(ctx context.Context, dst content.Pusher) error {
	return push(ctx, dst, Blob{Descriptor: p.Manifest, open: inMemory(p.ManifestJSON)})
}

func push(ctx context.Context, dst content.Pusher, b Blob) error {
	d := b.Descriptor
	if s, ok := dst.(content.ReadOnlyStorage); ok {
		there, err := s.Exists(ctx, d)
		if err != nil {
			return fmt.Errorf("look for %s: %w", d.Digest, err)
		}
		if there {
			return nil
		}
	}
	r := b.Open()
	err := dst.Push(ctx, d, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return fmt.Errorf("push %s: %w", d.Digest, err)
	}
	return nil
}

// seal writes the manifest.
func (p *Package) seal(m ocispec.Manifest) {
	m.Versioned = specs.Versioned{SchemaVersion: 2}
	m.MediaType = MediaTypeManifest
	p.ManifestJSON = encode(m)
	p.Manifest = ocispec.Descriptor{
		MediaType:    MediaTypeManifest,
		Digest:       digest.FromBytes(p.ManifestJSON),
		Size:         int64(len(p.ManifestJSON)),
		ArtifactType: m.ArtifactType,
		Annotations:  m.Annotations,
	}
}

// encode gives v as JSON without escapes for HTML, so that a manifest says a
// licence's "<" as it is written. Our own structs always have a JSON form.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func inMemory(data []byte) func() io.ReadCloser {
	return func() io.ReadCloser { return nopCloser{bytes.NewReader(data)} }
}

func (f File) open() io.ReadCloser { return nopCloser{io.NewSectionReader(f.Content, 0, f.Size)} }

// nopCloser keeps the reader's Seek, which [io.NopCloser] hides.
type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// describe hashes what r holds, until ctx is done.
func describe(ctx context.Context, mediaType string, r io.Reader) (ocispec.Descriptor, error) {
	h := digest.SHA256.Digester()
	n, err := io.Copy(h.Hash(), contextReader{ctx, r})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: h.Digest(), Size: n}, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
