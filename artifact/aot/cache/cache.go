// Package cache keeps what packages need to be run again without a network and
// without a compiler: their WebAssembly, the native code that was made of it, and
// what is known of the references by which they were asked for.
//
// It is a private folder. Whoever can write to it can run code as its owner, so
// [Open] refuses one that others can write to. Bytes are verified once, as they
// enter, and lie under their digest from then on, never changed in place: they
// are mapped into the process that runs them, and hashing them at every start
// would take longer than the start.
//
//	code/<digest>         native code
//	wasm/<digest>         the WebAssembly of packages
//	entries/<key>.json    which code is the one to a key, and who made it
//	packages/<name>.json  what a reference was when it was last asked for
//	scratch/              what is being made; Prune removes what a crash left
//
// Every file appears whole or not at all, synced before it has its name. Nothing
// is locked: a [Store.Prune] beside a [Store.Add] takes no code that an entry is
// about to name, and code that is open stays readable after its name has gone.
package cache

import (
	"context"
	_ "crypto/sha512" // of digests
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/strictjson"
)

// Errors of a Store, wrapped with the place; test with [errors.Is].
var (
	ErrNotFound = errors.New("not in the cache")
	ErrDigest   = errors.New("not the promised bytes")
	ErrOpen     = folder.ErrOpen
)

var limits = strictjson.Limits{Depth: 32, Objects: 5000}

// Default is the folder of this user's cache. It need not be there.
func Default() (string, error) { return folder.Default() }

// Store is a cache. Its methods are safe for concurrent use, and so is the folder
// for any number of processes.
type Store struct {
	dir string
}

// Open opens the cache in a folder, which it makes, readable for its owner alone.
func Open(dir string) (*Store, error) {
	for _, d := range []string{"", folder.Code, folder.Wasm, folder.Entries, folder.Packages, folder.Scratch} {
		if err := private(filepath.Join(dir, d)); err != nil {
			return nil, err
		}
	}
	return &Store{dir: dir}, nil
}

// private makes a folder for its owner alone, or checks that it is one.
func private(dir string) error {
	err := folder.Check(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return folder.Check(dir)
}

// Dir is the folder of the cache.
func (s *Store) Dir() string { return s.dir }

// Scratch makes a folder on the file system of the cache for what is not yet worth
// keeping. The caller removes it.
func (s *Store) Scratch() (dir string, err error) {
	return os.MkdirTemp(s.path(folder.Scratch, ""), "")
}

// Entry says which code belongs to a key. Code of a registry names who vouched
// for it: what is not named was made on this machine.
type Entry struct {
	Key     aot.Key     `json:"key"`
	Config  *aot.Config `json:"config"`            // of the code; its Output is what Store.OpenCode opens
	Vouched *Vouched    `json:"vouched,omitempty"` // nil: compiled here
	Added   time.Time   `json:"added"`
}

// Vouched is who said that code was made of what it claims.
type Vouched struct {
	By       string        `json:"by"`       // name of the signer in the trust policy
	Manifest digest.Digest `json:"manifest"` // of the code in its registry
	Trust    string        `json:"trust"`    // hash of the trust policy that accepted it
}

// Add stores code under a key and returns once both are durable. It reads all of
// code and keeps nothing of it unless it is what the entry's Config promises:
// anything else is ErrDigest.
func (s *Store) Add(ctx context.Context, e Entry, code io.Reader) error {
	if e.Config == nil {
		return fmt.Errorf("%w: an entry without a config", ErrDigest)
	}
	if err := s.put(ctx, folder.Code, e.Config.Output, code); err != nil {
		return err
	}
	if err := s.write(folder.Entries, keyName(e.Key), &e); err != nil {
		return err
	}
	// A Prune that looked before the entry was there may have taken code that
	// was older. The caller adds it again then, as after any other miss.
	if _, err := os.Stat(s.path(folder.Code, hexOf(e.Config.Output.Digest))); err != nil {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return nil
}

// Find returns the entry of a key. Without one, or if its code is gone, the error
// is ErrNotFound.
func (s *Store) Find(k aot.Key) (*Entry, error) {
	var e Entry
	if err := s.read(folder.Entries, keyName(k), &e); err != nil {
		return nil, err
	}
	if e.Key != k || e.Config == nil {
		return nil, fmt.Errorf("%w: %s is of another key", ErrNotFound, keyName(k))
	}
	return &e, nil
}

// OpenCode opens the code of an entry for mapping. The file stays whole for as
// long as it is open, whatever is pruned. The caller closes it.
func (s *Store) OpenCode(e *Entry) (*os.File, error) { return s.open(folder.Code, e.Config.Output) }

// CodePath is where the code of an entry lies, until it is pruned.
func (s *Store) CodePath(e *Entry) string { return s.path(folder.Code, hexOf(e.Config.Output.Digest)) }

// EntryPath is the record of an entry, whose time tells when it was last used.
func (s *Store) EntryPath(e *Entry) string { return s.path(folder.Entries, keyName(e.Key)) }

// AddWasm stores the WebAssembly of a package, as Add does with code.
func (s *Store) AddWasm(ctx context.Context, what aot.Source, wasm io.Reader) error {
	return s.put(ctx, folder.Wasm, what, wasm)
}

// OpenWasm opens the WebAssembly with a digest. The caller closes it.
func (s *Store) OpenWasm(what aot.Source) (*os.File, error) { return s.open(folder.Wasm, what) }

// SetPackage records what is known of a reference: v is any value of JSON, whose
// schema is the caller's.
func (s *Store) SetPackage(reference string, v any) error {
	return s.write(folder.Packages, folder.Record(reference), v)
}

// Package reads into v what SetPackage recorded.
func (s *Store) Package(reference string, v any) error {
	return s.read(folder.Packages, folder.Record(reference), v)
}

// PackagePath is the file of what SetPackage records.
func (s *Store) PackagePath(reference string) string {
	return s.path(folder.Packages, folder.Record(reference))
}

// open opens what has a digest and the size that goes with it.
func (s *Store) open(kind string, what aot.Source) (*os.File, error) {
	name, err := name(what.Digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, what.Digest)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != what.Size) {
		err = fmt.Errorf("%s: %w: %d bytes, want %d", f.Name(), ErrDigest, info.Size(), what.Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// put stores bytes under their digest unless they are there.
func (s *Store) put(ctx context.Context, kind string, what aot.Source, r io.Reader) error {
	name, err := name(what.Digest)
	if err != nil {
		return err
	}
	path := s.path(kind, name)
	f, err := durable.Create(path, 0o400)
	if err != nil {
		return err
	}
	sum := what.Digest.Algorithm().Digester()
	n, err := io.Copy(io.MultiWriter(f, sum.Hash()), io.LimitReader(contextReader{ctx, r}, what.Size+1))
	if got := sum.Digest(); err == nil && (n != what.Size || got != what.Digest) {
		err = fmt.Errorf("%w: %d bytes or more with digest %s; want %d with %s", ErrDigest, n, got, what.Size, what.Digest)
	}
	if err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

func (s *Store) path(kind, name string) string { return filepath.Join(s.dir, kind, name) }

// read reads a record.
func (s *Store) read(kind, name string, v any) error {
	path := s.path(kind, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNotFound, filepath.Join(kind, name))
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, folder.MaxRecord+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(data) > folder.MaxRecord {
		return fmt.Errorf("%s: more than %d bytes: remove it", path, folder.MaxRecord)
	}
	if err := limits.Decode(data, v); err != nil {
		return fmt.Errorf("%s: %w: remove it", path, err)
	}
	return nil
}

// write places a record whole.
func (s *Store) write(kind, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > folder.MaxRecord {
		return fmt.Errorf("%s: a record of %d bytes; at most %d are kept", name, len(data), folder.MaxRecord)
	}
	return durable.WriteFile(s.path(kind, name), data, 0o600)
}

// keyName is the file of an entry: one key has one.
func keyName(k aot.Key) string {
	return folder.Record(strings.Join([]string{k.Source.String(), k.Runtime, k.Version, k.Target.String(), string(k.Tier), k.Profile}, "\x00"))
}

// name is the file name of a digest: its hexadecimal digits, of which the number
// tells the algorithm. What an entry says cannot lead out of the folder.
func name(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrDigest, d, err)
	}
	return d.Encoded(), nil
}

// hexOf is name of a digest that has been checked.
func hexOf(d digest.Digest) string {
	n, err := name(d)
	if err != nil {
		return "invalid"
	}
	return n
}

// contextReader stops when the context does.
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
