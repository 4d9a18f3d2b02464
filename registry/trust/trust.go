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
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/trust"
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

	// Policy is the path of a trust policy, "" for none. It says who publishes what;
	// its roots and keys are trusted beside the others. Files beside it, which it may
	// name, are followed with it.
	Policy string

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
	if t.o.Policy == "" {
		return paths
	}
	paths = append(paths, t.o.Policy)
	beside, err := os.ReadDir(filepath.Dir(t.o.Policy))
	if err != nil {
		return paths // the policy itself cannot be read either, which is told then
	}
	for _, e := range beside[:min(len(beside), maxBeside)] {
		if !e.IsDir() {
			paths = append(paths, filepath.Join(filepath.Dir(t.o.Policy), e.Name()))
		}
	}
	return paths
}

// maxBeside bounds the files beside a policy that are looked at each second.
const maxBeside = 256

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
	policy, err := t.policy(&all, names)
	if err != nil {
		return nil, err
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
	return newMaterial(all, policy)
}

// policy reads the trust policy, nil if there is none, and adds its keys. A key that
// is named alike elsewhere has to be the same.
func (t *Trust) policy(all *[]Entry, names map[string]bool) (*trust.Policy, error) {
	if t.o.Policy == "" {
		return nil, nil
	}
	p, err := trust.Load(t.o.Policy)
	if err != nil {
		return nil, fmt.Errorf("trust policy: %w", err)
	}
	for _, k := range p.Material().Keys {
		same := slices.ContainsFunc(*all, func(e Entry) bool { return e.Kind == KindKey && e.Name == k.Name && e.ID == k.ID() })
		if same {
			continue
		}
		if names[k.Name] {
			return nil, fmt.Errorf("trust policy %s: key %s: the name is taken by another key", t.o.Policy, k.Name)
		}
		names[k.Name] = true
		*all = append(*all, Entry{
			Name: k.Name, Kind: KindKey, Origin: OriginConfig, ID: k.ID(), Algorithm: k.Algorithm(), Content: k.PEM(),
			NotBefore: k.NotBefore, NotAfter: k.NotAfter, key: k.Public,
		})
	}
	return p, nil
}

// A Material is what signatures are verified against. It does not change.
type Material struct {
	version  string
	entries  []Entry
	keys     []verify.Key
	verifier *verify.Verifier
	policy   *trust.Policy // nil if there is none
}

// Version tells this material from any other, by a hash of all of it.
func (m *Material) Version() string { return m.version }

// Verifier verifies signatures against it.
func (m *Material) Verifier() *verify.Verifier { return m.verifier }

// Publisher says who of those whose signatures were verified stands for a manifest
// of repo, by the name of a key or the identity of a certificate: the first that the
// trust policy counts or, without one, the first whose key was added by name. It is
// "" if nobody does. The keys of the installation, which sign what it finds out,
// publish nothing.
func (m *Material) Publisher(ctx context.Context, repo string, subject digest.Digest, proofs []*verify.Proof) (string, error) {
	others := slices.DeleteFunc(slices.Clone(proofs), func(p *verify.Proof) bool { return p.Key != nil && p.Key.Name == Instance })
	if m.policy == nil {
		for _, p := range others {
			if p.Key != nil && p.PredicateType == signing.PredicateSignature {
				return p.Key.Name, nil
			}
		}
		return "", nil
	}
	r, err := m.policy.Evaluate(ctx, trust.Question{Repository: repo, Subject: subject, Proofs: others})
	if err != nil {
		return "", fmt.Errorf("trust policy: %w", err)
	}
	return r.PublisherName(), nil
}

// Entries are the keys and roots, by where they come from and by name.
func (m *Material) Entries() []Entry { return slices.Clone(m.entries) }
