package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/durable"
)

const (
	// DefaultMaxSize bounds unpacked Wasm in bytes. The largest binaries seen
	// in public are about 100 MB.
	DefaultMaxSize = 1 << 30

	// MaxManifest bounds a manifest and a config in bytes: the size that the
	// distribution specification asks registries to take at least.
	MaxManifest = 4 << 20
)

// UnpackOptions say where the Wasm of a package goes.
type UnpackOptions struct {
	// Path is the file to write, or a folder (one that exists, or a path that
	// ends in a slash and is then made), in which the file has the name that
	// the package states, always ending in .wasm. By default it is the current
	// folder.
	Path string

	// Name is the file's name in a folder if the package states none; by
	// default it is "module.wasm".
	Name string

	// MaxSize bounds the Wasm in bytes; 0 means DefaultMaxSize.
	MaxSize int64

	maxOther int64 // 0 means the constant; lowered by a test
}

// An Unpacked is the file that Unpack wrote.
type Unpacked struct {
	Path  string
	Size  int64  // bytes
	Title string // the name the package states, or ""

	// Layer is the layer that holds the Wasm, and Entry the file in it, of an
	// image.
	Layer ocispec.Descriptor
	Entry string
}

// Unpack writes the Wasm of the package that manifest describes to a file. It
// takes every form in use: one layer of raw Wasm under any of its media types,
// beside a config layer or not, and container images, in which the entry point
// or plugin.wasm is the Wasm.
//
// The file appears under its name only when it is complete, its layer's size
// and digest are verified, and it is synced; whatever fails, what was there
// before stays. A manifest without Wasm is ErrForm, a stated name that leads
// elsewhere ErrName, content that differs from its descriptor ErrContent.
func Unpack(ctx context.Context, src content.Fetcher, manifest ocispec.Descriptor, o UnpackOptions) (*Unpacked, error) {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.maxOther == 0 {
		o.maxOther = maxOther
	}
	m, err := fetchManifest(ctx, src, manifest)
	if err != nil {
		return nil, err
	}
	raw, err := rawLayer(m)
	if err != nil {
		return nil, err
	}
	u := &unpacker{src: src, manifest: m, max: o.MaxSize, other: o.maxOther}
	stated := ""
	if raw != nil {
		stated = raw.Annotations[AnnotationTitle]
	} else if err := u.readEntrypoint(ctx); err != nil {
		return nil, err
	} else {
		stated = u.entrypointName()
	}
	dir, name, err := place(o, stated)
	if err != nil {
		return nil, err
	}
	out := &Unpacked{Path: filepath.Join(dir, name), Title: stated}
	if err := replaceable(out.Path); err != nil {
		return nil, err
	}
	err = writeFile(dir, name, func(f *os.File) error {
		if raw != nil {
			out.Layer = *raw
			return u.copyRaw(ctx, f, *raw)
		}
		var err error
		out.Layer, out.Entry, err = u.copyFromImage(ctx, f)
		return err
	}, &out.Size)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func fetchManifest(ctx context.Context, src content.Fetcher, d ocispec.Descriptor) (*ocispec.Manifest, error) {
	if d.Size > MaxManifest {
		return nil, fmt.Errorf("manifest %s: %w: %d bytes, more than %d", d.Digest, ErrTooLarge, d.Size, MaxManifest)
	}
	data, err := content.FetchAll(ctx, src, d)
	if err != nil {
		return nil, fmt.Errorf("fetch manifest %s: %w", d.Digest, contentError(err))
	}
	var m struct {
		ocispec.Manifest
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w: %w", d.Digest, ErrForm, err)
	}
	if len(m.Manifests) > 0 {
		return nil, fmt.Errorf("manifest %s: %w: it is an index; name one of its manifests by digest", d.Digest, ErrForm)
	}
	return &m.Manifest, nil
}

// contentError makes ErrContent of oras' errors for the same.
func contentError(err error) error {
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData) ||
		errors.Is(err, content.ErrInvalidDescriptorSize) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	return err
}

// rawLayer finds the one layer of raw Wasm, nil if there is none.
func rawLayer(m *ocispec.Manifest) (*ocispec.Descriptor, error) {
	var found *ocispec.Descriptor
	for i, l := range m.Layers {
		switch l.MediaType {
		case MediaTypeWasm, MediaTypeLegacyLayer, MediaTypeModuleLayer, MediaTypeShimLayer:
			if found != nil {
				return nil, fmt.Errorf("%w: more than one layer of Wasm (%s and %s)", ErrForm, found.Digest, l.Digest)
			}
			found = &m.Layers[i]
		}
	}
	return found, nil
}

// CheckFileName reports whether a name from a package can be a file's: one path
// component on any system, visible, without control characters.
func CheckFileName(name string) error {
	fail := func(why string) error { return fmt.Errorf("%w %q: %s", ErrName, name, why) }
	switch {
	case name == "" || name == ".wasm":
		return fail("it is empty")
	case len(name) > 255:
		return fmt.Errorf("%w: %d bytes, more than 255", ErrName, len(name))
	case strings.ContainsAny(name, `/\:`):
		return fail("it is a path")
	case strings.HasPrefix(name, "."):
		return fail("it starts with a dot")
	case strings.HasPrefix(name, "-"):
		return fail("it starts with a dash")
	case !filepath.IsLocal(name):
		return fail("it is reserved")
	}
	for _, c := range name {
		if c < 0x20 || c == 0x7f || c == '\uFFFD' {
			return fail("it has a control character")
		}
	}
	return nil
}

// place decides which file in which folder is written.
func place(o UnpackOptions, stated string) (dir, name string, err error) {
	dir = o.Path
	if dir == "" {
		dir = "."
	}
	asFolder := os.IsPathSeparator(dir[len(dir)-1]) || dir[len(dir)-1] == '/'
	fi, err := os.Stat(dir)
	switch {
	case err == nil && fi.IsDir():
	case asFolder && errors.Is(err, fs.ErrNotExist):
		if err := durable.MkdirAll(dir, 0o755); err != nil {
			return "", "", err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", "", err
	default:
		return filepath.Dir(dir), filepath.Base(dir), nil
	}
	name = stated
	if name == "" {
		name = o.Name
	}
	if name == "" {
		name = "module.wasm"
	}
	if !strings.HasSuffix(name, ".wasm") {
		name += ".wasm"
	}
	return dir, name, CheckFileName(name)
}

// replaceable refuses a path that is no regular file: in the place of a device
// or pipe the new file would appear, not in what reads from it.
func replaceable(path string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s: it is no regular file, and is not replaced by one", path)
	}
	return nil
}

// writeFile has fill write a temporary file in dir and gives it its name when
// everything is verified and synced. Nothing outside of dir can be touched.
func writeFile(dir, name string, fill func(*os.File) error, size *int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	temp := "." + name + "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp"
	if len(temp) > 255 {
		temp = temp[len(temp)-100:]
	}
	f, err := root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = checkHeader(f)
	}
	if err == nil {
		*size, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil {
		err = durable.SyncData(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return durable.SyncDir(dir)
}

// checkHeader refuses what is no Wasm, whatever its media type says.
func checkHeader(f *os.File) error {
	var head [8]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := wasm.Header(head[:n]); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	return nil
}

// An unpacker reads the Wasm of one manifest.
type unpacker struct {
	src        content.Fetcher
	manifest   *ocispec.Manifest
	max        int64  // bytes of the Wasm
	other      int64  // bytes beside it in an image layer
	entrypoint string // of an image, as a clean absolute path, or ""
}

func (u *unpacker) copyRaw(ctx context.Context, f *os.File, layer ocispec.Descriptor) error {
	if layer.Size > u.max {
		return fmt.Errorf("layer %s: %w: %d bytes, more than %d", layer.Digest, ErrTooLarge, layer.Size, u.max)
	}
	return u.fetch(ctx, layer, func(r io.Reader) error {
		_, err := io.Copy(f, r)
		return err
	})
}

// fetch has use read a layer, reads what use left, and verifies all of it.
func (u *unpacker) fetch(ctx context.Context, layer ocispec.Descriptor, use func(io.Reader) error) error {
	if layer.Size < 0 {
		return fmt.Errorf("layer %s: %w: size %d", layer.Digest, ErrContent, layer.Size)
	}
	if _, err := ref.ParseDigest(string(layer.Digest)); err != nil {
		return fmt.Errorf("layer: %w: %w", ErrContent, err)
	}
	body, err := u.src.Fetch(ctx, layer)
	if err != nil {
		return fmt.Errorf("fetch layer %s: %w", layer.Digest, err)
	}
	defer body.Close()
	v := content.NewVerifyReader(contextReader{ctx, body}, layer)
	err = use(v)
	if err == nil {
		_, err = io.Copy(io.Discard, v)
	}
	if err == nil {
		err = v.Verify()
	}
	if err != nil {
		return fmt.Errorf("layer %s: %w", layer.Digest, contentError(err))
	}
	return nil
}
