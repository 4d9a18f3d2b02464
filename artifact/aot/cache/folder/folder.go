// Package folder is what of a cache has to be known before the rest of it is: where
// it is, where a record lies in it, and that nobody else can write there. It depends
// on next to nothing, since package again starts with it: path and not
// path/filepath, which is initialised late.
package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// The kinds of things, which are the folders too.
const (
	Code     = "code"
	Wasm     = "wasm"
	Entries  = "entries"
	Packages = "packages"
	Scratch  = "scratch"
)

// MaxRecord bounds a file of JSON, in bytes: an entry has less than a page.
const MaxRecord = 1 << 20

// ErrOpen is of a folder that others can write to; test with [errors.Is].
var ErrOpen = errors.New("others can write to it")

// Default is the cache of this user. It need not be there.
func Default() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	return path.Join(dir, "wpkg", "aot"), nil
}

// Check makes sure that dir is a folder which its owner alone can write to, and
// that the owner is who asks.
func Check(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s: %w; it has to be a folder", dir, fs.ErrInvalid)
	}
	return owned(dir, info)
}

// Record is the file of a record, by a text of any length and with any characters.
func Record(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:]) + ".json"
}
