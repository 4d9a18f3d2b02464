package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
)

// Media types whose structure is known and checked.
const (
	typeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	typeOCIIndex       = "application/vnd.oci.image.index.v1+json"
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDockerForeign  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// Bounds of a manifest beside its size.
const (
	maxDescriptors = 10_000
	maxDepth       = 64
	maxMediaType   = 255 // bytes; RFC 6838 asks for less
)

// references is what a manifest says about other content.
type references struct {
	mediaType    string // what it is stored as
	artifactType string
	annotations  map[string]string
	subject      digest.Digest
	blobs        []descriptor // config and layers that have to be here
	foreign      []descriptor // layers that may live elsewhere
	manifests    []descriptor // children of an index

	// config and layers are blobs and foreign as the Admitter sees them.
	config *Descriptor
	layers []Descriptor
}

// all are the blobs that may be here.
func (r references) all() []descriptor { return slices.Concat(r.blobs, r.foreign) }

type descriptor struct {
	mediaType string
	digest    digest.Digest
	size      int64 // bytes
	urls      int

	annotations map[string]string
}

// public is d without what only this package needs.
func (d descriptor) public() Descriptor {
	return Descriptor{MediaType: d.mediaType, Digest: d.digest, Size: d.size, Annotations: d.annotations}
}

// document is a manifest of any kind as it was written.
type document struct {
	schema       int64
	mediaType    string
	artifactType string
	config       *descriptor
	subject      *descriptor
	layers       []descriptor
	blobs        []descriptor
	manifests    []descriptor
	annotations  map[string]string
	seen         map[string]bool // top-level fields that are there and not null
}

// parseManifest reads content, which came as contentType ("" if the client did
// not say), up to the bounds above. The OCI and Docker types are checked; of
// other types only the references are read, and what is no JSON object of that
// form is taken as it is, without references.
func parseManifest(contentType string, content []byte) (references, error) {
	given, err := baseType(contentType)
	if err != nil {
		return references{}, invalid("the Content-Type is not a media type", fields{"contentType": clip(contentType)}, err)
	}
	doc, err := readDocument(content)
	if err != nil {
		if given != "" && !known(given) {
			return references{mediaType: given}, nil
		}
		return references{}, invalid("the manifest cannot be read", fields{"reason": err.Error()}, nil)
	}
	kind := given
	if kind == "" {
		kind = doc.guess()
	}
	if doc.mediaType != "" && doc.mediaType != kind {
		return references{}, invalid("the manifest's mediaType is not the request's Content-Type",
			fields{"mediaType": clip(doc.mediaType), "contentType": clip(kind)}, nil)
	}
	if kind == "" {
		return references{}, invalid("neither Content-Type nor mediaType says what this manifest is", nil, nil)
	}
	if err := doc.check(kind); err != nil {
		return references{}, invalid("the manifest is not a valid "+kind, fields{"reason": err.Error()}, nil)
	}
	return doc.references(kind), nil
}

func invalid(message string, detail fields, cause error) *Error {
	e := &Error{Code: ManifestInvalid, Message: message, Err: cause}
	if detail != nil {
		e.Detail = detail
	}
	return e
}

// baseType is a media type without its parameters, "" for none.
func baseType(contentType string) (string, error) {
	if contentType == "" {
		return "", nil
	}
	if len(contentType) > maxMediaType {
		return "", fmt.Errorf("%d bytes, more than %d", len(contentType), maxMediaType)
	}
	base, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", err
	}
	if !strings.Contains(base, "/") {
		return "", errors.New("no slash between type and subtype")
	}
	return base, nil
}

func known(mediaType string) bool {
	switch mediaType {
	case typeOCIManifest, typeOCIIndex, typeDockerManifest, typeDockerList:
		return true
	default:
		return false
	}
}

// guess names the type of a document that came without one.
func (d document) guess() string {
	switch {
	case d.mediaType != "":
		return d.mediaType
	case d.seen["manifests"] && !d.seen["config"]:
		return typeOCIIndex
	case d.seen["config"]:
		return typeOCIManifest
	default:
		return ""
	}
}

// check applies what a known type demands. That a document is not both a
// manifest and an index keeps two readers from seeing two different things in
// it.
func (d document) check(kind string) error {
	if !known(kind) {
		return nil
	}
	if d.schema != 2 {
		return fmt.Errorf("schemaVersion is %d, want 2", d.schema)
	}
	switch kind {
	case typeOCIManifest, typeDockerManifest:
		if d.config == nil {
			return errors.New("config is missing")
		}
		if d.seen["manifests"] {
			return errors.New("it has manifests, which belong into an index")
		}
	default:
		if d.seen["config"] || d.seen["layers"] {
			return errors.New("it has config or layers, which belong into an image manifest")
		}
	}
	return nil
}

func (d document) references(kind string) references {
	refs := references{mediaType: kind, artifactType: d.artifactType, annotations: d.annotations, manifests: d.manifests}
	if d.subject != nil {
		refs.subject = d.subject.digest
	}
	if d.config != nil {
		refs.blobs = append(refs.blobs, *d.config)
		config := d.config.public()
		refs.config = &config
		if refs.artifactType == "" {
			refs.artifactType = d.config.mediaType
		}
	}
	for _, list := range [][]descriptor{d.layers, d.blobs} {
		for _, l := range list {
			refs.layers = append(refs.layers, l.public())
			if l.foreign() {
				refs.foreign = append(refs.foreign, l)
			} else {
				refs.blobs = append(refs.blobs, l)
			}
		}
	}
	return refs
}

// foreign reports whether a layer may be missing here, because its licence
// keeps it at its origin.
func (d descriptor) foreign() bool {
	return strings.Contains(d.mediaType, ".nondistributable.") || d.mediaType == typeDockerForeign && d.urls > 0
}

// digests lists each digest of ds once, in order.
func digests(ds []descriptor) []digest.Digest {
	if len(ds) == 0 {
		return nil
	}
	seen := make(map[digest.Digest]bool, len(ds))
	list := make([]digest.Digest, 0, len(ds))
	for _, d := range ds {
		if !seen[d.digest] {
			seen[d.digest] = true
			list = append(list, d.digest)
		}
	}
	return list
}

// A reader walks through JSON token by token, which tells duplicate names
// apart and keeps case, as decoding into a struct does not.
type reader struct {
	dec         *json.Decoder
	descriptors int
}

func readDocument(content []byte) (document, error) {
	r := &reader{dec: json.NewDecoder(bytes.NewReader(content))}
	r.dec.UseNumber()
	doc, err := r.document()
	if err != nil {
		return document{}, fmt.Errorf("at byte %d: %w", r.dec.InputOffset(), err)
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return document{}, fmt.Errorf("at byte %d: more follows the end of the manifest", r.dec.InputOffset())
	}
	return doc, nil
}

func (r *reader) document() (document, error) {
	doc := document{seen: map[string]bool{}}
	there, err := r.object(func(name string) (err error) {
		there := true
		switch name {
		case "schemaVersion":
			doc.schema, err = r.integer()
		case "mediaType":
			doc.mediaType, err = r.mediaType()
		case "artifactType":
			doc.artifactType, err = r.mediaType()
		case "config":
			doc.config, err = r.descriptor()
			there = doc.config != nil
		case "subject":
			doc.subject, err = r.descriptor()
		case "layers":
			doc.layers, there, err = r.list()
		case "blobs":
			doc.blobs, _, err = r.list()
		case "manifests":
			doc.manifests, there, err = r.list()
		case "annotations":
			doc.annotations, err = r.texts()
		default:
			err = r.skip()
		}
		doc.seen[name] = there
		return err
	})
	if err == nil && !there {
		err = errors.New("null is no manifest")
	}
	return doc, err
}

// descriptor reads a descriptor, nil for null.
func (r *reader) descriptor() (*descriptor, error) {
	if r.descriptors++; r.descriptors > maxDescriptors {
		return nil, fmt.Errorf("more than %d descriptors", maxDescriptors)
	}
	d := &descriptor{size: -1}
	there, err := r.object(func(name string) (err error) {
		switch name {
		case "mediaType":
			d.mediaType, err = r.mediaType()
		case "digest":
			var s string
			if s, err = r.text(); err == nil {
				d.digest, err = ref.ParseDigest(s)
			}
		case "size":
			d.size, err = r.integer()
		case "urls":
			err = r.array(func() error { d.urls++; return r.skip() })
		case "annotations":
			d.annotations, err = r.texts()
		default:
			err = r.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !there:
		return nil, nil
	case d.digest == "":
		return nil, errors.New("a descriptor without digest")
	case d.size < 0:
		return nil, fmt.Errorf("the descriptor of %s has no size of zero or more", d.digest)
	default:
		return d, nil
	}
}

// list reads an array of descriptors; there is false for null.
func (r *reader) list() (list []descriptor, there bool, err error) {
	err = r.array(func() error {
		d, err := r.descriptor()
		if err != nil {
			return err
		}
		if d == nil {
			return errors.New("null where a descriptor belongs")
		}
		list = append(list, *d)
		return nil
	})
	return list, len(list) > 0, err
}

// object calls field for each name of an object, with the decoder before its
// value. there is false for null.
func (r *reader) object(field func(name string) error) (there bool, err error) {
	t, err := r.dec.Token()
	if err != nil {
		return false, syntax(err)
	}
	if t == nil {
		return false, nil
	}
	if t != json.Delim('{') {
		return false, fmt.Errorf("found %s where an object belongs", kindOf(t))
	}
	names := make(map[string]struct{}, 8)
	for r.dec.More() {
		name, err := r.text()
		if err != nil {
			return true, err
		}
		if _, twice := names[name]; twice {
			return true, fmt.Errorf("the name %q is there twice", clip(name))
		}
		names[name] = struct{}{}
		if err := field(name); err != nil {
			return true, err
		}
	}
	_, err = r.dec.Token()
	return true, syntax(err)
}

// array calls item with the decoder before each element. null has none.
func (r *reader) array(item func() error) error {
	t, err := r.dec.Token()
	if err != nil {
		return syntax(err)
	}
	if t == nil {
		return nil
	}
	if t != json.Delim('[') {
		return fmt.Errorf("found %s where an array belongs", kindOf(t))
	}
	for r.dec.More() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err = r.dec.Token()
	return syntax(err)
}

// texts reads an object of strings, nil for null.
func (r *reader) texts() (map[string]string, error) {
	m := map[string]string{}
	there, err := r.object(func(name string) (err error) {
		m[name], err = r.text()
		return err
	})
	if !there || len(m) == 0 {
		return nil, err
	}
	return m, err
}

func (r *reader) text() (string, error) {
	t, err := r.dec.Token()
	if err != nil {
		return "", syntax(err)
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("found %s where a string belongs", kindOf(t))
	}
	return s, nil
}

// mediaType reads a string that is short and printable, as a media type is;
// null is empty.
func (r *reader) mediaType() (string, error) {
	t, err := r.dec.Token()
	if err != nil {
		return "", syntax(err)
	}
	if t == nil {
		return "", nil
	}
	s, ok := t.(string)
	if !ok || len(s) > maxMediaType || !Printable(s) {
		return "", errors.New("a media type has to be a printable string of at most 255 bytes")
	}
	return s, nil
}

func (r *reader) integer() (int64, error) {
	t, err := r.dec.Token()
	if err != nil {
		return 0, syntax(err)
	}
	n, ok := t.(json.Number)
	if !ok {
		return 0, fmt.Errorf("found %s where a number belongs", kindOf(t))
	}
	i, err := n.Int64()
	if err != nil {
		return 0, fmt.Errorf("%s is not a whole number of 64 bits", clip(n.String()))
	}
	return i, nil
}

// skip passes over one value.
func (r *reader) skip() error {
	depth := 0
	for {
		t, err := r.dec.Token()
		if err != nil {
			return syntax(err)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return fmt.Errorf("nested more than %d deep", maxDepth)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// syntax says what an error of the decoder means for a whole manifest.
func syntax(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the manifest ends too early")
	}
	return err
}

func kindOf(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "an array"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}

// Printable reports whether s has nothing but printable ASCII, so that it may
// stand in logs, headers and every database.
func Printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// clip keeps hostile input out of messages past the first 80 bytes.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
