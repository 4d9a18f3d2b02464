package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
)

// grace is how long bytes lie in the cache before nothing names them is a reason
// to remove them: their entry may be about to be written.
const grace = time.Hour

// Item is an entry with when it was last asked for.
type Item struct {
	Entry
	Used time.Time

	file string
}

// Info is what a cache holds.
type Info struct {
	Entries, Packages int
	Code, Wasm        int64 // bytes
	Unnamed           int64 // bytes of code and WebAssembly that no entry names, of writes that did not end too
}

// Use records that an entry was used, for Prune. It costs a system call.
func (s *Store) Use(e *Entry) {
	now := time.Now()
	// A cache that cannot be written to still serves; what it forgets is when.
	_ = os.Chtimes(s.path(folder.Entries, keyName(e.Key)), now, now)
}

// List returns all entries, the last used first. Records that cannot be read are
// left out; Verify names them.
func (s *Store) List() ([]Item, error) {
	files, err := s.files(folder.Entries)
	if err != nil {
		return nil, err
	}
	items := make([]Item, 0, len(files))
	for _, f := range files {
		if it := (Item{Used: f.modified, file: f.name}); s.read(folder.Entries, f.name, &it.Entry) == nil && it.Config != nil && keyName(it.Key) == f.name {
			items = append(items, it)
		}
	}
	slices.SortStableFunc(items, func(a, b Item) int { return b.Used.Compare(a.Used) })
	return items, nil
}

// Info counts.
func (s *Store) Info() (*Info, error) {
	items, err := s.List()
	if err != nil {
		return nil, err
	}
	packages, err := s.files(folder.Packages)
	if err != nil {
		return nil, err
	}
	in := &Info{Entries: len(items), Packages: len(packages)}
	named := names(items)
	for _, kind := range []string{folder.Code, folder.Wasm} {
		files, err := s.files(kind)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			switch {
			case !named[kind][f.name]:
				in.Unnamed += f.size
			case kind == folder.Code:
				in.Code += f.size
			default:
				in.Wasm += f.size
			}
		}
	}
	return in, nil
}

// names is what entries name, by folder.
func names(items []Item) map[string]map[string]bool {
	named := map[string]map[string]bool{folder.Code: {}, folder.Wasm: {}}
	for _, it := range items {
		named[folder.Code][hexOf(it.Config.Output.Digest)] = true
		named[folder.Wasm][hexOf(it.Key.Source)] = true
	}
	return named
}

// PruneOptions say what goes. The zero value removes only what nothing names.
type PruneOptions struct {
	All    bool
	Unused time.Duration // what was not used for so long goes; 0 is no limit
	Keep   int64         // bytes of code that stay at most, those of the last used entries; 0 is no limit
	Spare  func(Entry) bool
}

// Pruned is what Prune removed.
type Pruned struct {
	Entries, Packages, Files int
	Bytes                    int64
}

// Prune removes entries, the least recently used first, and the bytes that none
// names any more. Entries that Spare is true of stay. Other processes may use the
// cache meanwhile.
func (s *Store) Prune(ctx context.Context, o PruneOptions) (*Pruned, error) {
	start := time.Now()
	items, err := s.List()
	if err != nil {
		return nil, err
	}
	done := &Pruned{}
	var kept, gone []Item
	var bytes int64
	for _, it := range items {
		bytes += it.Config.Output.Size
		goes := o.All || o.Unused > 0 && start.Sub(it.Used) > o.Unused || o.Keep > 0 && bytes > o.Keep
		if !goes || o.Spare != nil && o.Spare(it.Entry) {
			kept = append(kept, it)
			continue
		}
		bytes -= it.Config.Output.Size
		gone = append(gone, it)
		if err := s.remove(folder.Entries, it.file); err != nil {
			return done, err
		}
		done.Entries++
	}
	if err := s.prunePackages(o, start, done); err != nil {
		return done, err
	}
	return done, s.sweep(ctx, names(kept), names(gone), start, done)
}

// prunePackages removes what is known of references that were not asked for.
func (s *Store) prunePackages(o PruneOptions, now time.Time, done *Pruned) error {
	files, err := s.files(folder.Packages)
	if err != nil {
		return err
	}
	for _, f := range files {
		if o.All || o.Unused > 0 && now.Sub(f.modified) > o.Unused {
			if err := s.remove(folder.Packages, f.name); err != nil {
				return err
			}
			done.Packages++
		}
	}
	return nil
}

// sweep removes the bytes that nothing in kept names: at once what an entry named
// that went just now, and after the grace anything else. What was written again
// since start stays.
func (s *Store) sweep(ctx context.Context, kept, gone map[string]map[string]bool, start time.Time, done *Pruned) error {
	for _, kind := range []string{folder.Code, folder.Wasm} {
		files, err := s.files(kind)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			old := start.Sub(f.modified) > grace || gone[kind][f.name] && f.modified.Before(start)
			if kept[kind][f.name] || !old {
				continue
			}
			if err := s.remove(kind, f.name); err != nil {
				return err
			}
			done.Files++
			done.Bytes += f.size
		}
	}
	return s.sweepUnfinished(start, done)
}

// sweepUnfinished removes what writes left that ended with their process, and
// what Scratch made for such processes.
func (s *Store) sweepUnfinished(start time.Time, done *Pruned) error {
	for _, kind := range []string{folder.Code, folder.Wasm, folder.Entries, folder.Packages, folder.Scratch} {
		entries, err := os.ReadDir(filepath.Join(s.dir, kind))
		if err != nil {
			return err
		}
		for _, e := range entries {
			info, err := e.Info()
			left := kind == folder.Scratch || unfinished(e.Name())
			if err != nil || !left || start.Sub(info.ModTime()) <= grace {
				continue
			}
			if err := os.RemoveAll(s.path(kind, e.Name())); err != nil {
				return err
			}
			done.Files++
			done.Bytes += info.Size()
		}
	}
	return nil
}

// unfinished is true of the names of internal/durable's files before Commit.
func unfinished(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

func (s *Store) remove(kind, name string) error {
	if err := os.Remove(s.path(kind, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// file is a file of a folder, finished.
type file struct {
	name     string
	size     int64
	modified time.Time
}

func (s *Store) files(kind string) ([]file, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil {
		return nil, err
	}
	list := make([]file, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || unfinished(e.Name()) {
			continue // gone since, or not there yet
		}
		if err != nil {
			return nil, err
		}
		list = append(list, file{name: e.Name(), size: info.Size(), modified: info.ModTime()})
	}
	return list, nil
}

// Damage is a file that is not what it should be.
type Damage struct {
	Path string
	Why  string
}

// Verify reads everything and removes what is damaged: bytes that do not have
// their digest, records that cannot be read, entries whose code is gone.
func (s *Store) Verify(ctx context.Context) ([]Damage, error) {
	var found []Damage
	for _, kind := range []string{folder.Code, folder.Wasm, folder.Entries, folder.Packages} {
		files, err := s.files(kind)
		if err != nil {
			return found, err
		}
		for _, f := range files {
			why, err := s.damage(ctx, kind, f.name)
			if err != nil {
				return found, err
			}
			if why == "" {
				continue
			}
			found = append(found, Damage{Path: s.path(kind, f.name), Why: why})
			if err := s.remove(kind, f.name); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// damage tells what is wrong with a file, "" if nothing is. Code and WebAssembly
// come before the entries, so that these miss what was removed.
func (s *Store) damage(ctx context.Context, kind, name string) (why string, err error) {
	switch kind {
	case folder.Entries:
		var e Entry
		if err := s.read(kind, name, &e); err != nil {
			return err.Error(), nil
		}
		if e.Config == nil || keyName(e.Key) != name {
			return "an entry of another key", nil
		}
		if _, err := os.Stat(s.CodePath(&e)); errors.Is(err, fs.ErrNotExist) {
			return "an entry whose code is gone", nil
		}
		return "", nil
	case folder.Packages:
		var v map[string]any
		if err := s.read(kind, name, &v); err != nil {
			return err.Error(), nil
		}
		return "", nil
	}
	return s.damagedBytes(ctx, kind, name)
}

func (s *Store) damagedBytes(ctx context.Context, kind, name string) (why string, err error) {
	f, err := os.Open(s.path(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // pruned meanwhile
	}
	if err != nil {
		return "", err
	}
	algorithm := digest.SHA256
	if len(name) != 2*algorithm.Size() {
		algorithm = digest.SHA512
	}
	sum := algorithm.Digester()
	_, err = io.Copy(sum.Hash(), contextReader{ctx, f})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if got := sum.Digest().Encoded(); got != name {
		return fmt.Sprintf("its bytes have the digest %s", got), nil
	}
	return "", nil
}
