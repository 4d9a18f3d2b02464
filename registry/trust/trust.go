// Package trust holds what a server verifies signatures against: Sigstore trusted
// roots and public keys, from files that the configuration names and from what
// administrators add over the API, beside the keys of the installation itself.
//
// A [Trust] follows all of these. What it has at a moment is a [Material], whose
// version is that of its content: servers with the same roots and keys agree on
// it, and what was verified against another one has to be verified again.
// signing/verify says what a signature proves, and signing/trust whether that is
// enough; both are the same code in clients.
package trust

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/meta"
)

// Errors to test for.
var (
	// ErrFormat is of a key, a root or a name that cannot be used.
	ErrFormat = errors.New("not a key or root that can be used")
	// ErrConfigured is of an entry whose name the configuration has.
	ErrConfigured = errors.New("the configuration has an entry of this name")
)

// Instance is what keys of the installation are called.
const Instance = "instance"

// Every is how often Run looks for changes.
const Every = time.Second

// Options of Open. Meta is required.
type Options struct {
	Roots []string // paths of Sigstore trusted roots, JSON
	Keys  []string // public keys: NAME=PATH of one in PEM

	Meta meta.DB // has what was added over the API
	// Own are the keys of the installation, former ones too; nil for none. They are
	// called Instance, and are good for ever: their private halves were never
	// elsewhere. It answers from memory.
	Own func() []*key.Public
	Log *slog.Logger // nil discards
}

// A Trust is what is trusted now. Its methods are safe for concurrent use.
type Trust struct {
	o       Options
	current atomic.Pointer[Material]

	mu     sync.Mutex // of reading it again
	seen   state
	failed string // what was logged last
}

// state tells whether something changed, without reading it.
type state struct {
	files    map[string]stamp
	revision int64
	own      string
}

func (s state) equal(o state) bool {
	return s.revision == o.revision && s.own == o.own && maps.Equal(s.files, o.files)
}

// stamp tells one version of a file from the next; it is zero for one that is not
// there.
type stamp struct {
	modified int64
	size     int64
}

// Open reads everything once. What the configuration names has to be there and be
// sound; of what the API added, that which is not is left out and logged.
func Open(ctx context.Context, o Options) (*Trust, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Own == nil {
		o.Own = func() []*key.Public { return nil }
	}
	t := &Trust{o: o}
	return t, t.Refresh(ctx)
}

// Current is what is trusted now.
func (t *Trust) Current() *Material { return t.current.Load() }

// Refresh reads what changed since it was read last. If that cannot be used the
// error says so, and what was trusted before stays.
func (t *Trust) Refresh(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	// States are taken first: what changes while it is read is read again.
	now, err := t.state(ctx)
	if err != nil || t.current.Load() != nil && now.equal(t.seen) {
		return err
	}
	m, err := t.read(ctx)
	if err != nil {
		return err
	}
	t.seen = now
	last := t.current.Swap(m)
	if last != nil && last.version != m.version {
		t.o.Log.LogAttrs(ctx, slog.LevelInfo, "other signatures are trusted now", slog.String("version", m.version), slog.Int("keys", len(m.keys)))
	}
	return nil
}

// Run calls Refresh until ctx ends.
func (t *Trust) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.follow(ctx)
		}
	}
}

// follow logs an error once, not each second.
func (t *Trust) follow(ctx context.Context) {
	err := t.Refresh(ctx)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == t.failed || ctx.Err() != nil {
		return
	}
	if t.failed = text; err != nil {
		t.o.Log.LogAttrs(ctx, slog.LevelWarn, "trusted keys and roots not read, the last ones stay in force", slog.Any("err", err))
	}
}

func (t *Trust) state(ctx context.Context) (state, error) {
	s := state{files: map[string]stamp{}}
	for _, path := range t.paths() {
		if info, err := os.Stat(path); err == nil {
			s.files[path] = stamp{info.ModTime().UnixNano(), info.Size()}
		}
	}
	var ids []string
	for _, k := range t.o.Own() {
		ids = append(ids, k.ID())
	}
	slices.Sort(ids)
	s.own = strings.Join(ids, " ")
	var err error
	if s.revision, err = t.o.Meta.TrustRevision(ctx); err != nil {
		return s, fmt.Errorf("revision of trusted keys and roots: %w", err)
	}
	return s, nil
}

// paths are the files that the configuration names.
func (t *Trust) paths() []string {
	paths := slices.Clone(t.o.Roots)
	for _, k := range t.o.Keys {
		if _, path, ok := strings.Cut(k, "="); ok {
			paths = append(paths, path)
		}
	}
	return paths
}

// read makes the material of all that there is.
func (t *Trust) read(ctx context.Context) (*Material, error) {
	var all []Entry
	for _, path := range t.o.Roots {
		e, err := fromFile(Entry{Name: path, Kind: KindRoot, Origin: OriginConfig}, path)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	names := map[string]bool{Instance: true}
	for _, k := range t.o.Keys {
		name, path, ok := strings.Cut(k, "=")
		if !ok {
			return nil, fmt.Errorf("trusted key %.80q: want NAME=PATH", k)
		}
		if names[name] {
			return nil, fmt.Errorf("trusted key %s: the name is taken", name)
		}
		names[name] = true
		e, err := fromFile(Entry{Name: name, Kind: KindKey, Origin: OriginConfig}, path)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	stored, err := t.o.Meta.TrustEntries(ctx)
	if err != nil {
		return nil, fmt.Errorf("trusted keys and roots: %w", err)
	}
	for _, s := range stored {
		e, err := fromStored(s)
		if err == nil && names[e.Name] {
			err = ErrConfigured
		}
		if err != nil {
			t.o.Log.LogAttrs(ctx, slog.LevelWarn, "trusted key or root left out", slog.String("name", s.Name), slog.Any("err", err))
			continue
		}
		all = append(all, e)
	}
	for _, k := range t.o.Own() {
		all = append(all, Entry{Name: Instance, Kind: KindKey, Origin: OriginInstance, ID: k.ID(), Algorithm: k.Algorithm(), Content: k.PEM(), key: k})
	}
	return newMaterial(all)
}

// A Material is what signatures are verified against. It does not change.
type Material struct {
	version  string
	entries  []Entry
	keys     []verify.Key
	verifier *verify.Verifier
}

// Version tells this material from any other, by a hash of all of it.
func (m *Material) Version() string { return m.version }

// Verifier verifies signatures against it.
func (m *Material) Verifier() *verify.Verifier { return m.verifier }

// Entries are the keys and roots, by where they come from and by name.
func (m *Material) Entries() []Entry { return slices.Clone(m.entries) }
