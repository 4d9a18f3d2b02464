package artifact

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

const (
	// maxEntries bounds the entries of one image layer. A Wasm image has a
	// handful; a base system that someone built on has some ten thousand.
	maxEntries = 100_000

	// maxOther bounds what an image layer may hold beside the Wasm, in bytes
	// after decompression: a few bytes of gzip make a gigabyte.
	maxOther = 256 << 20
)

func isImageLayer(mediaType string) bool {
	return mediaType == MediaTypeImageLayer || mediaType == MediaTypeDockerLayer || mediaType == MediaTypeImageTar
}

// readEntrypoint finds out which file of an image is run.
func (u *unpacker) readEntrypoint(ctx context.Context) error {
	if !slices.ContainsFunc(u.manifest.Layers, func(l ocispec.Descriptor) bool { return isImageLayer(l.MediaType) }) {
		return fmt.Errorf("%w: none of its %d layers is of a type that holds Wasm", ErrForm, len(u.manifest.Layers))
	}
	d := u.manifest.Config
	if d.Size > MaxManifest {
		return fmt.Errorf("config %s: %w: %d bytes, more than %d", d.Digest, ErrTooLarge, d.Size, MaxManifest)
	}
	data, err := content.FetchAll(ctx, u.src, d)
	if err != nil {
		return fmt.Errorf("fetch config %s: %w", d.Digest, contentError(err))
	}
	// Proxies never look into the config, so one that is no image config says
	// nothing about an entry point, and is no error.
	var c ocispec.Image
	if json.Unmarshal(data, &c) != nil {
		return nil
	}
	if args := slices.Concat(c.Config.Entrypoint, c.Config.Cmd); len(args) > 0 {
		file, _, _ := strings.Cut(args[0], "#") // "app.wasm#function"
		if strings.HasSuffix(file, ".wasm") {
			u.entrypoint = path.Join("/", c.Config.WorkingDir, file)
			if path.IsAbs(file) {
				u.entrypoint = path.Clean(file)
			}
		}
	}
	return nil
}

func (u *unpacker) entrypointName() string {
	if u.entrypoint == "" {
		return ""
	}
	return path.Base(u.entrypoint)
}

// copyFromImage writes the image's Wasm to f and says where it lay. Upper
// layers hide lower ones, so they are searched from the last.
func (u *unpacker) copyFromImage(ctx context.Context, f *os.File) (ocispec.Descriptor, string, error) {
	for _, layer := range slices.Backward(u.manifest.Layers) {
		if !isImageLayer(layer.MediaType) {
			continue
		}
		wanted := u.entrypoint
		// A hard link may name a file that lies before it, so the layer is read
		// a second time, and with links to links once more, up to a bound.
		for range 4 {
			s := search{f: f, max: u.max, other: u.other, entrypoint: wanted}
			err := u.fetch(ctx, layer, func(r io.Reader) error { return s.layer(r, layer.MediaType) })
			if err != nil {
				return layer, "", err
			}
			if s.link == "" || s.link == s.found {
				if s.found != "" {
					return layer, s.found, nil
				}
				break
			}
			wanted = s.link
		}
	}
	return ocispec.Descriptor{}, "", fmt.Errorf("%w: no layer has %s", ErrForm, u.sought())
}

func (u *unpacker) sought() string {
	if u.entrypoint == "" {
		return pluginName
	}
	return u.entrypoint + " or " + pluginName
}

// A search copies the Wasm out of one layer: the entry point if it is there,
// otherwise plugin.wasm in any folder.
type search struct {
	f          *os.File
	max        int64 // bytes of the Wasm
	other      int64 // bytes beside it
	entrypoint string

	found string // path of the file copied last
	link  string // the file that the entry point is a hard link to
}

func (s *search) layer(r io.Reader, mediaType string) error {
	if mediaType != MediaTypeImageTar {
		z, err := gzip.NewReader(bufio.NewReader(r))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrForm, err)
		}
		r = z
	}
	bounded := &io.LimitedReader{R: r, N: s.max + s.other}
	err := s.tar(tar.NewReader(bounded))
	if bounded.N <= 0 {
		return fmt.Errorf("%w: more than %d bytes after decompression", ErrTooLarge, s.max+s.other)
	}
	if err != nil && (errors.Is(err, tar.ErrHeader) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum)) {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	return err
}

func (s *search) tar(t *tar.Reader) error {
	for range maxEntries {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.entry(t, h); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: more than %d entries", ErrTooLarge, maxEntries)
}

func (s *search) entry(t *tar.Reader, h *tar.Header) error {
	name := path.Join("/", h.Name)
	isEntry := name == s.entrypoint
	if !isEntry && path.Base(name) != pluginName {
		return nil
	}
	switch {
	case h.Typeflag == tar.TypeLink && isEntry:
		s.link = path.Join("/", h.Linkname)
		return nil
	case h.Typeflag != tar.TypeReg || !isEntry && s.found == s.entrypoint && s.found != "":
		return nil
	case h.Size > s.max:
		return fmt.Errorf("%w: %s has %d bytes, more than %d", ErrTooLarge, name, h.Size, s.max)
	}
	if isEntry {
		s.link = ""
	}
	if err := s.f.Truncate(0); err != nil {
		return err
	}
	if _, err := s.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s.found = name
	_, err := io.Copy(s.f, t)
	return err
}
