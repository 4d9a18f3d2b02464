package verify

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/signing"
)

// A Cached verifies as its Verifier does, and remembers the results: proofs and
// refusals, both of which depend on the bytes alone. What is trusted is fixed in a
// Verifier, so that other material needs another Cached. Its methods are safe for
// concurrent use. Proofs are shared, and must not be changed.
type Cached struct {
	verifier *Verifier
	most     int // bytes

	mu     sync.Mutex
	sum    int // bytes
	recent *list.List
	known  map[[sha256.Size]byte]*list.Element
}

// result is one element of recent.
type result struct {
	key   [sha256.Size]byte
	proof *Proof
	err   error
}

// NewCached makes a Cached that keeps about at most that many bytes, of which a
// proof without a predicate takes one or two thousand. What was not asked for for
// longest goes first.
func NewCached(v *Verifier, bytes int) *Cached {
	return &Cached{verifier: v, most: bytes, recent: list.New(), known: map[[sha256.Size]byte]*list.Element{}}
}

// Verify is Verifier.Verify.
func (c *Cached) Verify(ctx context.Context, subject digest.Digest, f signing.Found) (*Proof, error) {
	k := keyOf(subject, f)
	if r := c.get(k); r != nil {
		return r.proof, r.err
	}
	p, err := c.verifier.Verify(ctx, subject, f)
	if err == nil || errors.Is(err, ErrRefused) { // and not that of ctx
		c.put(&result{k, p, err})
	}
	return p, err
}

func (c *Cached) get(k [sha256.Size]byte) *result {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.known[k]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*result)
}

func (c *Cached) put(r *result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[r.key] != nil || r.size() > c.most {
		return
	}
	c.known[r.key] = c.recent.PushFront(r)
	for c.sum += r.size(); c.sum > c.most; {
		last := c.recent.Back()
		old := c.recent.Remove(last).(*result)
		delete(c.known, old.key)
		c.sum -= old.size()
	}
}

// size is about what a result takes, in bytes.
func (r *result) size() int {
	n := 1 << 10
	if r.proof != nil {
		n += len(r.proof.Predicate) + 1<<10
	}
	if r.err != nil {
		n += len(r.err.Error())
	}
	return n
}

// keyOf is a hash of all that a result depends on.
func keyOf(subject digest.Digest, f signing.Found) (k [sha256.Size]byte) {
	h := sha256.New()
	for _, s := range []string{string(subject), string(f.Form), string(f.Manifest), f.Type, f.Problem} {
		field(h, []byte(s))
	}
	field(h, f.Content)
	for _, name := range slices.Sorted(maps.Keys(f.Annotations)) {
		field(h, []byte(name))
		field(h, []byte(f.Annotations[name]))
	}
	h.Sum(k[:0])
	return k
}

// field hashes one with its length, so that none runs into the next.
func field(h hash.Hash, b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	h.Write(n[:])
	h.Write(b)
}
