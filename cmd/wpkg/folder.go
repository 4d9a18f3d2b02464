package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds of what is looked at below a folder. A tree beyond them is an error and
// not cut short: an audit that leaves files out says nothing about them.
const (
	maxFolderEntries = 1 << 20
	maxFolderDepth   = 64
	maxFolderFiles   = 100_000
)

// errFolder says that a folder has more in it than is looked at.
var errFolder = errors.New("the folder is too large")

// A folder is a tree of files on disk, read through an [os.Root]: nothing
// outside of it is opened, whatever symbolic links there are.
type folder struct {
	dir  string
	root *os.Root
}

// openFolder opens dir. The caller closes it.
func openFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{dir: dir, root: root}, nil
}

func (f *folder) Close() error { return f.root.Close() }

// wasmFiles lists the files below the folder whose names end in .wasm, in any
// case of letters, in the order of their paths, with slashes. Symbolic links are
// not followed, neither to files nor to folders.
func (f *folder) wasmFiles(ctx context.Context) ([]string, error) {
	var (
		names   []string
		entries int
	)
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if entries++; entries > maxFolderEntries {
			return fmt.Errorf("%w: more than %d entries", errFolder, maxFolderEntries)
		}
		switch {
		case d.IsDir() && strings.Count(name, "/") >= maxFolderDepth:
			return fmt.Errorf("%s: %w: folders more than %d deep", name, errFolder, maxFolderDepth)
		case d.Type().IsRegular() && strings.EqualFold(path.Ext(name), ".wasm"):
			if names = append(names, name); len(names) > maxFolderFiles {
				return fmt.Errorf("%w: more than %d Wasm files", errFolder, maxFolderFiles)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.dir, err)
	}
	return names, nil
}

// load reads one file of the folder.
func (f *folder) load(name string) (*wasmFile, error) {
	shown := filepath.Join(f.dir, filepath.FromSlash(name))
	// A file that was swapped for a link since it was listed is no file any more.
	fi, err := f.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is no file", shown)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := readAll(file, shown)
	if err != nil {
		return nil, err
	}
	return &wasmFile{name: shown, data: data}, nil
}

// readAll reads a file that is called name, of at most maxBinary bytes.
func readAll(f *os.File, name string) ([]byte, error) {
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%s: it is no file", name)
	case fi.Size() > maxBinary:
		return nil, fmt.Errorf("%s: it has %s, more than the %s that can be read", name, sizeText(fi.Size()), sizeText(maxBinary))
	}
	data := make([]byte, fi.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}
