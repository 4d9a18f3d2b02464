package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry/client"
)

// maxBinary bounds a file that is read into memory, in bytes: four times the
// largest module known.
const maxBinary = 1 << 30

// A wasmFile is the Wasm that an argument names, a file or that of a package.
type wasmFile struct {
	name   string // for people: the file or the reference
	digest string // of the package's manifest, "" for a file
	data   []byte
	from   *selection // the package it is of; nil for a file
}

// load reads the Wasm that arg names.
func (t *tool) load(ctx context.Context, arg string) (*wasmFile, error) {
	if isFile(arg) {
		data, err := readBinary(arg, arg)
		if err != nil {
			return nil, err
		}
		return &wasmFile{name: arg, data: data}, nil
	}
	s, err := t.selected(ctx, arg)
	if err != nil {
		if strings.HasSuffix(arg, ".wasm") {
			return nil, &hinted{err, "there is no file " + arg + ", so it was taken for a package"}
		}
		return nil, err
	}
	// By way of a file: what is unpacked is checked against its digest before
	// any of it is looked at.
	dir, err := os.MkdirTemp("", "wpkg-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	progress, stop := t.progress(ctx)
	defer stop()
	file := path.Join(dir, "module.wasm")
	name := s.named().String()
	if _, err = artifact.Unpack(ctx, client.Watch(s, progress), s.desc, artifact.UnpackOptions{Path: file}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data, err := readBinary(file, name)
	if err != nil {
		return nil, err
	}
	return &wasmFile{name: name, digest: s.desc.Digest.String(), data: data, from: &s}, nil
}

// readBinary reads a file that is called name.
func readBinary(file, name string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, name)
}
