// Package instance holds the keys by which an installation signs what it derives.
//
// A [Ring] has one key in use, made on first start and kept beside the blobs, so
// that all servers of the installation share it and a lost database does not
// change it; or the one that the configuration names. Former keys stay listed
// with the time after which nothing was signed by them, since what they signed
// stays where it is. Private halves are never logged and leave by no method but
// Signer's, which signs.
package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/storage/blob"
)

// Folder is where the keys are among the objects of a store, each in one of its
// own: servers that start at the same moment make a key each, none overwrites
// another's, and both keys are listed.
const Folder = "instance/keys"

// Overlap is for how long a key may be in use after another one has taken its
// place: until every server has seen that. Servers call Reload more often.
const Overlap = 10 * time.Minute

// Bounds of what is read.
const (
	maxKeys   = 1000
	maxObject = key.MaxPEM + 1<<10 // bytes
)

// Errors to test for.
var (
	// ErrConfigured is of a rotation where the configuration says which key to use.
	ErrConfigured = errors.New("the configuration names the instance key: change it there")
	// ErrFormat is of an object that is no key.
	ErrFormat = errors.New("not a key of an installation")
)

// A Key is one that this installation signs by, or did.
type Key struct {
	*key.Public
	Created time.Time // when it was made, or seen for the first time

	// NotAfter is the time after which nothing is signed by it, zero for a key that
	// is in use.
	NotAfter time.Time
}

// Options of Open.
type Options struct {
	// Configured gives the key that the configuration names, and is asked again by
	// each Reload; nil keeps the key in the store.
	Configured func() (*key.Private, error)
	Clock      func() time.Time
}

// A Ring is the keys of an installation. Its methods are safe for concurrent use.
type Ring struct {
	objects blob.Objects
	o       Options
	mu      sync.Mutex // of changes
	current atomic.Pointer[state]
}

// state is what was last read.
type state struct {
	signer *key.Private
	keys   []entry
}

// entry is a key as it is stored.
type entry struct {
	Key
	private *key.Private // nil of a former key, and of one that the configuration has
}

func (e *entry) inUse() bool { return e.NotAfter.IsZero() }

// Open reads the keys, and makes one if there is none to sign by.
func Open(ctx context.Context, objects blob.Objects, o Options) (*Ring, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	r := &Ring{objects: objects, o: o}
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("instance key: %w", err)
	}
	return r, nil
}

func (r *Ring) open(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.Configured != nil {
		return r.configured(ctx)
	}
	keys, err := r.read(ctx)
	if err != nil {
		return err
	}
	signer := first(keys)
	if signer == nil {
		if err := r.make(ctx); err != nil {
			return err
		}
		// What another server has made in the same moment may be older.
		if keys, err = r.read(ctx); err != nil {
			return err
		}
		if signer = first(keys); signer == nil {
			return errors.New("it was made, and is not there")
		}
	}
	if err := r.retire(ctx, keys, func(e *entry) bool { return e.private == nil }); err != nil {
		return err
	}
	r.current.Store(&state{signer, keys})
	return nil
}

// first is the key in use: the oldest one, so that all servers agree.
func first(keys []entry) *key.Private {
	for _, e := range keys {
		if e.inUse() && e.private != nil {
			return e.private
		}
	}
	return nil
}

// configured uses the key of the configuration, in place of all others.
func (r *Ring) configured(ctx context.Context) error {
	k, err := r.o.Configured()
	if err != nil {
		return err
	}
	keys, err := r.read(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(e entry) bool { return e.ID() == k.ID() })
	switch {
	case i < 0:
		e := entry{Key: Key{Public: k.Public, Created: r.now()}}
		if err := r.write(ctx, e); err != nil {
			return err
		}
		keys = append(keys, e)
	case !keys[i].inUse():
		keys[i].NotAfter = time.Time{}
		if err := r.write(ctx, keys[i]); err != nil {
			return err
		}
	}
	if err := r.retire(ctx, keys, func(e *entry) bool { return e.ID() != k.ID() }); err != nil {
		return err
	}
	r.current.Store(&state{k, keys})
	return nil
}

// Signer is the key in use.
func (r *Ring) Signer() *key.Private { return r.current.Load().signer }

// Keys are the public halves of all keys, those in use first and then those used
// last.
func (r *Ring) Keys() []Key {
	s := r.current.Load()
	list := make([]Key, len(s.keys))
	for i, e := range s.keys {
		list[i] = e.Key
	}
	slices.SortStableFunc(list, func(a, b Key) int {
		switch {
		case a.NotAfter.IsZero() != b.NotAfter.IsZero():
			if a.NotAfter.IsZero() {
				return -1
			}
			return 1
		default:
			return b.NotAfter.Compare(a.NotAfter)
		}
	})
	return list
}

// Reload sees what other servers, the configuration or a command have changed. If
// it fails, the keys stay as they were.
func (r *Ring) Reload(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.current.Load()
	if r.o.Configured != nil {
		k, err := r.o.Configured()
		if err != nil {
			return fmt.Errorf("instance key: %w", err)
		}
		if k.ID() != last.signer.ID() {
			if err := r.configured(ctx); err != nil {
				return fmt.Errorf("instance key: %w", err)
			}
			return nil
		}
	}
	keys, err := r.read(ctx)
	if err != nil {
		return fmt.Errorf("instance key: %w", err)
	}
	signer := last.signer
	if s := first(keys); r.o.Configured == nil && s != nil {
		signer = s
	}
	r.current.Store(&state{signer, keys})
	return nil
}

// Rotate makes a new key and takes it into use. The former one stays listed, and
// servers sign by it until they reload, at most for Overlap. The error of an
// installation whose configuration names the key is ErrConfigured.
func (r *Ring) Rotate(ctx context.Context) error {
	if r.o.Configured != nil {
		return ErrConfigured
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.rotate(ctx); err != nil {
		return fmt.Errorf("rotate the instance key: %w", err)
	}
	return nil
}

func (r *Ring) rotate(ctx context.Context) error {
	former, err := r.read(ctx)
	if err != nil {
		return err
	}
	if len(former) >= maxKeys {
		return fmt.Errorf("there are %d former keys in %s, and at most %d are kept: remove the oldest ones", len(former), Folder, maxKeys)
	}
	// The new key is there before the others are given up: there is always one.
	if err := r.make(ctx); err != nil {
		return err
	}
	if err := r.retire(ctx, former, func(*entry) bool { return true }); err != nil {
		return err
	}
	keys, err := r.read(ctx)
	if err != nil {
		return err
	}
	signer := first(keys)
	if signer == nil {
		return errors.New("the new key is not there")
	}
	r.current.Store(&state{signer, keys})
	return nil
}

// retire takes keys out of use. Their private halves are given up.
func (r *Ring) retire(ctx context.Context, keys []entry, which func(*entry) bool) error {
	for i := range keys {
		e := &keys[i]
		if !e.inUse() || !which(e) {
			continue
		}
		e.NotAfter, e.private = r.now().Add(Overlap), nil
		if err := r.write(ctx, *e); err != nil {
			return err
		}
	}
	return nil
}

// make stores a new key, of the algorithm that every tool can verify.
func (r *Ring) make(ctx context.Context) error {
	k, err := key.Generate(key.P256)
	if err != nil {
		return err
	}
	return r.write(ctx, entry{Key{Public: k.Public, Created: r.now()}, k})
}

// now is in whole seconds, as it is stored.
func (r *Ring) now() time.Time { return r.o.Clock().UTC().Truncate(time.Second) }

// name is that of the object of a key: it does not change.
func (e *entry) name() string {
	return fmt.Sprintf("%s/%s-%.16s", Folder, strings.ToLower(e.Created.Format("20060102T150405Z")), e.ID())
}

// Fields in front of the PEM of a key, which readers of PEM pass over.
const (
	fieldCreated  = "created"
	fieldNotAfter = "not-after"
)

func (r *Ring) write(ctx context.Context, e entry) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s: %s\n", fieldCreated, e.Created.Format(time.RFC3339))
	if !e.inUse() {
		fmt.Fprintf(&text, "%s: %s\n", fieldNotAfter, e.NotAfter.Format(time.RFC3339))
	}
	half := e.PEM()
	if e.private != nil {
		var err error
		if half, err = e.private.MarshalPKCS8(); err != nil {
			return err
		}
	}
	text.Write(half)
	return r.objects.PutObject(ctx, e.name(), &text)
}

// read reads all keys, by the time they were made.
func (r *Ring) read(ctx context.Context) ([]entry, error) {
	var names []string
	err := r.objects.ListObjects(ctx, Folder, func(name string, _ int64) error {
		if len(names) == maxKeys {
			return fmt.Errorf("%s holds more than %d keys", Folder, maxKeys)
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	keys := make([]entry, 0, len(names))
	for _, name := range names {
		e, err := r.readOne(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		keys = append(keys, e)
	}
	slices.SortFunc(keys, func(a, b entry) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID(), b.ID())
	})
	return keys, nil
}

func (r *Ring) readOne(ctx context.Context, name string) (entry, error) {
	body, err := r.objects.OpenObject(ctx, name)
	if err != nil {
		return entry{}, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxObject+1))
	if err != nil {
		return entry{}, err
	}
	e, err := parse(text)
	if err == nil && e.name() != name {
		err = fmt.Errorf("%w: it is that of %s", ErrFormat, e.name())
	}
	return e, err
}

// parse reads an object. No error has anything of its content: it may be private.
func parse(text []byte) (entry, error) {
	var e entry
	if len(text) > maxObject {
		return e, fmt.Errorf("%w: more than %d bytes", ErrFormat, maxObject)
	}
	at := bytes.Index(text, []byte("-----BEGIN "))
	if at < 0 {
		return e, fmt.Errorf("%w: there is no PEM in it", ErrFormat)
	}
	for line := range strings.Lines(string(text[:at])) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		to := map[string]*time.Time{fieldCreated: &e.Created, fieldNotAfter: &e.NotAfter}[field]
		if to == nil {
			continue // of a later version
		}
		var err error
		if *to, err = time.Parse(time.RFC3339, value); err != nil {
			return e, fmt.Errorf("%w: %s is no time", ErrFormat, field)
		}
	}
	if e.Created.IsZero() {
		return e, fmt.Errorf("%w: it does not say when it was created", ErrFormat)
	}
	var err error
	if bytes.HasPrefix(text[at:], []byte("-----BEGIN PUBLIC KEY-----")) {
		e.Public, err = key.ParsePublic(text[at:])
	} else if e.private, err = key.ParsePrivate(text[at:]); err == nil {
		e.Public = e.private.Public
	}
	if err != nil {
		return e, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return e, nil
}
