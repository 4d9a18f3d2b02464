package vuln

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wreg-project/wreg/internal/durable"
)

// indexSuffix ends the names of the index files in a cache.
const indexSuffix = ".advisories"

// A Cached is an Index in a file of its own, which Close closes.
type Cached struct {
	*Index
	f *os.File
}

// Close closes the file.
func (c *Cached) Close() error { return c.f.Close() }

// LoadCached is Load by way of a cache: an index in the folder dir, which is made if
// it has to be. It is made again when the name, the length or the time of
// modification of any file at paths changes, and the one of earlier files at the
// same paths is removed. Reading all of the Go database takes some 200 ms, opening
// its index less than one. The Stats are zero if the index was there.
func LoadCached(ctx context.Context, dir string, paths ...string) (*Cached, Stats, error) {
	what, state, err := fingerprint(ctx, paths)
	if err != nil {
		return nil, Stats{}, err
	}
	name := filepath.Join(dir, what+"-"+state+indexSuffix)
	if c, err := openCached(name); err == nil {
		return c, Stats{}, nil
	}
	db, stats, err := Load(ctx, paths...)
	if err != nil {
		return nil, stats, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, stats, err
	}
	if err := writeIndex(name, db); err != nil {
		return nil, stats, fmt.Errorf("%s: %w", name, err)
	}
	old, _ := filepath.Glob(filepath.Join(dir, what+"-*"+indexSuffix)) // the pattern is ours, so it is no bad one
	for _, path := range old {
		if path != name {
			_ = os.Remove(path) // it is in nobody's way
		}
	}
	c, err := openCached(name)
	return c, stats, err
}

func writeIndex(name string, db *DB) error {
	f, err := durable.Create(name, 0o600)
	if err != nil {
		return err
	}
	if err := WriteIndex(f, db.All()); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

func openCached(name string) (*Cached, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var x *Index
		if x, err = OpenIndex(f, info.Size()); err == nil {
			return &Cached{x, f}, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
}

// fingerprint gives a name for the paths and one for the state of their files.
func fingerprint(ctx context.Context, paths []string) (what, state string, err error) {
	names, states := sha256.New(), sha256.New()
	fmt.Fprintln(states, indexMagic)
	for _, path := range paths {
		whole, err := filepath.Abs(path)
		if err != nil {
			return "", "", err
		}
		fmt.Fprintf(names, "%q\n", whole)
		err = filepath.WalkDir(whole, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".zip") {
				return errors.Join(err, ctx.Err())
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(states, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
			return err
		})
		if err != nil {
			return "", "", err
		}
	}
	return hex.EncodeToString(names.Sum(nil)[:8]), hex.EncodeToString(states.Sum(nil)[:8]), nil
}
