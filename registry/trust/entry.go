package trust

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/meta"
)

// Kinds of entries.
const (
	KindKey  = "key"  // a public key in PEM
	KindRoot = "root" // a Sigstore trusted root in JSON
)

// An Origin is who answers for an entry.
type Origin string

// The origins, in the order in which entries are listed.
const (
	OriginConfig   Origin = "config"
	OriginAPI      Origin = "api"
	OriginInstance Origin = "instance"
)

// An Entry is a key or root that is trusted.
type Entry struct {
	Name      string // of a root from the configuration its path
	Kind      string
	Origin    Origin
	ID        string    // SHA-256 in hexadecimal: of a key's SubjectPublicKeyInfo, of a root's text
	Algorithm string    // of a key, for people: "ECDSA P-256"
	Content   []byte    // PEM or JSON
	NotBefore time.Time // of a key: what it signed before is not believed; zero for always
	NotAfter  time.Time // likewise, later
	Author    string    // of what the API added
	Created   time.Time // likewise

	key  *key.Public
	root *root.TrustedRoot
}

// namePattern is the form of names, which rules and people quote.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// parse reads the content of an entry. The error is ErrFormat.
func parse(e Entry) (Entry, error) {
	wrong := func(format string, args ...any) (Entry, error) {
		return Entry{}, fmt.Errorf("%s %.80s: %w: %w", e.Kind, e.Name, ErrFormat, fmt.Errorf(format, args...))
	}
	if len(e.Content) > meta.MaxTrustContent {
		return wrong("more than %d bytes", meta.MaxTrustContent)
	}
	if e.Origin != OriginConfig || e.Kind == KindKey { // roots from files go by their path
		if !namePattern.MatchString(e.Name) || e.Name == Instance {
			return wrong("a name has 1 to 64 lower case letters, digits, dots, dashes and underscores, and is not %s", Instance)
		}
	}
	var err error
	switch e.Kind {
	case KindKey:
		if e.key, err = key.ParsePublic(e.Content); err != nil {
			return wrong("%w", err)
		}
		e.ID, e.Algorithm, e.Content = e.key.ID(), e.key.Algorithm(), e.key.PEM()
		if !e.NotBefore.IsZero() && !e.NotAfter.IsZero() && !e.NotBefore.Before(e.NotAfter) {
			return wrong("it ends at %s, which is not after %s", e.NotAfter.Format(time.RFC3339), e.NotBefore.Format(time.RFC3339))
		}
	case KindRoot:
		if !e.NotBefore.IsZero() || !e.NotAfter.IsZero() {
			return wrong("a root says itself how long what it holds is good")
		}
		if e.root, err = root.NewTrustedRootFromJSON(e.Content); err != nil {
			return wrong("%w", err)
		}
		sum := sha256.Sum256(e.Content)
		e.ID = hex.EncodeToString(sum[:])
	default:
		return wrong("there are keys and roots, and no %.40q", e.Kind)
	}
	return e, nil
}

func fromFile(e Entry, path string) (Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return Entry{}, fmt.Errorf("trusted %s: %w", e.Kind, err)
	}
	defer f.Close()
	if e.Content, err = io.ReadAll(io.LimitReader(f, meta.MaxTrustContent+1)); err != nil {
		return Entry{}, fmt.Errorf("trusted %s: %s: %w", e.Kind, path, err)
	}
	return parse(e)
}

func fromStored(s meta.TrustEntry) (Entry, error) {
	return parse(Entry{
		Name: s.Name, Kind: s.Kind, Origin: OriginAPI, Content: []byte(s.Content), NotBefore: s.NotBefore, NotAfter: s.NotAfter,
		Author: s.Author, Created: s.Created,
	})
}

// newMaterial makes a verifier of entries that are parsed.
func newMaterial(all []Entry, policy *trust.Policy) (*Material, error) {
	order := []Origin{OriginConfig, OriginAPI, OriginInstance}
	slices.SortStableFunc(all, func(a, b Entry) int {
		return cmp.Or(slices.Index(order, a.Origin)-slices.Index(order, b.Origin), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	m := &Material{entries: all, policy: policy}
	var trusted verify.Material
	var roots root.TrustedMaterialCollection
	var parts []string
	for _, e := range all {
		switch e.Kind {
		case KindKey:
			m.keys = append(m.keys, verify.Key{Name: e.Name, Public: e.key, NotBefore: e.NotBefore, NotAfter: e.NotAfter})
			parts = append(parts, fmt.Sprintf("key %s %s %d %d", e.Name, e.ID, e.NotBefore.UnixMicro(), e.NotAfter.UnixMicro()))
		case KindRoot:
			roots = append(roots, e.root)
			parts = append(parts, "root "+e.ID)
		}
	}
	if policy != nil {
		m := policy.Material()
		if m.Root != nil {
			roots = append(roots, m.Root)
		}
		trusted.Notation = m.Notation
		parts = append(parts, "policy "+policy.Version())
	}
	trusted.Keys = m.keys
	if len(roots) > 0 {
		trusted.Root = roots
	}
	var err error
	if m.verifier, err = verify.New(trusted); err != nil {
		return nil, fmt.Errorf("trusted keys and roots: %w", err)
	}
	slices.Sort(parts) // the same wherever each of them came from
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	m.version = hex.EncodeToString(sum[:])
	return m, nil
}

// Event is the kind of the events that tell of changes over the API. Their detail
// is a Change.
const Event = "trust"

// A Change is what somebody did to the entries of the API.
type Change struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	ID        string    `json:"id"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	Removed   bool      `json:"removed,omitempty"`
}

// Put stores an entry of the API in place of an earlier one of its name, with an
// event, and trusts it from then on; created is false if it replaced one. The
// errors are ErrFormat, ErrConfigured, and meta.ErrConflict if there are too many.
func (t *Trust) Put(ctx context.Context, s meta.TrustEntry) (e Entry, created bool, err error) {
	for _, t := range []*time.Time{&s.NotBefore, &s.NotAfter, &s.Created} {
		*t = t.Truncate(time.Microsecond) // as it is stored
	}
	if e, err = fromStored(s); err != nil {
		return Entry{}, false, err
	}
	for _, other := range t.Current().entries {
		if other.Origin == OriginConfig && other.Name == s.Name {
			return Entry{}, false, fmt.Errorf("%s: %w", s.Name, ErrConfigured)
		}
	}
	s.Content = string(e.Content)
	err = t.o.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		_, err := stored(ctx, tx, s.Name)
		if created = errors.Is(err, meta.ErrNotFound); err != nil && !created {
			return err
		}
		if err := t.fits(ctx, tx, e); err != nil {
			return err
		}
		if err := tx.PutTrust(ctx, s); err != nil {
			return err
		}
		return putEvent(ctx, tx, s.Author, s.Created, Change{Name: e.Name, Kind: e.Kind, ID: e.ID, NotBefore: e.NotBefore, NotAfter: e.NotAfter})
	})
	if err != nil {
		return Entry{}, false, err
	}
	return e, created, t.Refresh(ctx)
}

// fits checks that there are no more keys with e than a verifier takes, so that no
// change over the API keeps another one from being read.
func (t *Trust) fits(ctx context.Context, r meta.TrustReader, e Entry) error {
	if e.Kind != KindKey {
		return nil
	}
	all, err := r.TrustEntries(ctx)
	if err != nil {
		return err
	}
	n := 1
	for _, s := range all {
		if s.Kind == KindKey && s.Name != e.Name {
			n++
		}
	}
	for _, other := range t.Current().entries {
		if other.Kind == KindKey && other.Origin != OriginAPI {
			n++
		}
	}
	if n > maxKeys {
		return fmt.Errorf("key %s: %w: there are %d already", e.Name, meta.ErrConflict, maxKeys)
	}
	return nil
}

// maxKeys leaves room for keys that the installation gets later.
const maxKeys = verify.MaxKeys - 32

// Remove removes an entry of the API, with an event. The error is meta.ErrNotFound
// if there is none.
func (t *Trust) Remove(ctx context.Context, name, by string, at time.Time) error {
	err := t.o.Meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		s, err := stored(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := tx.DeleteTrust(ctx, name); err != nil {
			return err
		}
		c := Change{Name: name, Kind: s.Kind, Removed: true}
		if e, err := fromStored(s); err == nil { // else another version of the program stored it
			c.ID = e.ID
		}
		return putEvent(ctx, tx, by, at, c)
	})
	if err != nil {
		return err
	}
	return t.Refresh(ctx)
}

// stored is the entry of the API with a name, meta.ErrNotFound if there is none.
func stored(ctx context.Context, r meta.TrustReader, name string) (meta.TrustEntry, error) {
	all, err := r.TrustEntries(ctx)
	if err != nil {
		return meta.TrustEntry{}, err
	}
	i := slices.IndexFunc(all, func(s meta.TrustEntry) bool { return s.Name == name })
	if i < 0 {
		return meta.TrustEntry{}, fmt.Errorf("%w: trusted key or root %.80q", meta.ErrNotFound, name)
	}
	return all[i], nil
}

func putEvent(ctx context.Context, tx meta.Tx, by string, at time.Time, c Change) error {
	detail, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("event of %s: %w", c.Name, err)
	}
	return tx.PutEvent(ctx, meta.Event{Time: at, Kind: Event, Actor: by, Detail: detail})
}
