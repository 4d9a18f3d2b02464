// Package advisories is what a registry knows of vulnerabilities: the records of
// feeds in its database, and what they say about the files that it has.
//
// A [Source] gives stored records to sbom/vuln. [Scan] makes the rows of a blob,
// components and findings, and is the only thing that does: what is pushed before
// an advisory comes has the same rows as what is pushed after it. An [Importer]
// writes feeds into the database, and [Source.Affected] lists the files that a
// change of advisories may concern, by an indexed join over components.
// docs/spec/advisories.md is the manual.
package advisories

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/storage/meta"
)

// DefaultCache is how many bytes of records a [Source] keeps parsed, counted as
// they are stored.
const DefaultCache = 32 << 20

// Options of [New]. The zero value is the default.
type Options struct {
	Cache int64 // bytes, DefaultCache if it is 0
}

// A Source is the advisories of a database. Its methods are safe for concurrent
// use.
type Source struct {
	db    meta.DB
	cache cache
}

var _ vuln.Source = (*Source)(nil)

// New makes a Source over a database.
func New(db meta.DB, o Options) *Source {
	if o.Cache <= 0 {
		o.Cache = DefaultCache
	}
	return &Source{db: db, cache: cache{most: o.Cache, entries: map[string]*list.Element{}}}
}

// Advisories implements [vuln.Source]. It reads the state of the database as it
// is: whoever writes what follows from it compares meta.Advisories.AdvisoryRevision
// with what it was before, in the transaction that writes.
func (s *Source) Advisories(ctx context.Context, packages []vuln.Package) ([]*vuln.Advisory, error) {
	wanted := make([]meta.EcosystemPackage, 0, len(packages))
	for _, p := range packages {
		wanted = append(wanted, meta.EcosystemPackage{Ecosystem: string(p.Ecosystem), Name: p.Name})
	}
	refs, err := s.db.AdvisoryRefs(ctx, wanted)
	if err != nil {
		return nil, err
	}
	var (
		all     []*vuln.Advisory
		missing []string
		seen    = make(map[string]bool, len(refs))
	)
	for _, r := range refs {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		if a := s.cache.get(r.ID, r.Revision); a != nil {
			all = append(all, a)
		} else {
			missing = append(missing, r.ID)
		}
	}
	// A common package is in a thousand records: they are read some at a time.
	for ids := range slices.Chunk(missing, readBatch) {
		read, err := s.read(ctx, ids)
		if err != nil {
			return nil, err
		}
		all = append(all, read...)
	}
	return all, nil
}

// readBatch is how many records are in memory twice, as stored and parsed.
const readBatch = 256

// read reads records by their ids; those that are gone are left out.
func (s *Source) read(ctx context.Context, ids []string) ([]*vuln.Advisory, error) {
	rows, err := s.db.AdvisoriesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := make([]*vuln.Advisory, 0, len(rows))
	for _, row := range rows {
		a, err := decode(row)
		if err != nil {
			return nil, err
		}
		s.cache.put(a, row.Revision, int64(len(row.Body)))
		all = append(all, a)
	}
	return all, nil
}

func decode(row meta.Advisory) (*vuln.Advisory, error) {
	var a vuln.Advisory
	if err := json.Unmarshal(row.Body, &a); err != nil {
		return nil, fmt.Errorf("stored advisory %s: %w", row.ID, err)
	}
	return &a, nil
}

// A cache keeps the records that were used last. A record is good for one
// revision, so that nobody has to say when it has changed.
type cache struct {
	most int64 // bytes

	mu      sync.Mutex
	size    int64
	entries map[string]*list.Element // by id
	order   list.List                // of entry, the one used last in front
}

type entry struct {
	advisory *vuln.Advisory
	revision int64
	size     int64
}

func (c *cache) get(id string, revision int64) *vuln.Advisory {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[id]
	if e == nil {
		return nil
	}
	known := e.Value.(entry)
	if known.revision != revision {
		return nil
	}
	c.order.MoveToFront(e)
	return known.advisory
}

func (c *cache) put(a *vuln.Advisory, revision, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.most {
		return
	}
	if e := c.entries[a.ID]; e != nil {
		if e.Value.(entry).revision > revision {
			return // somebody read a later state
		}
		c.remove(e)
	}
	c.entries[a.ID] = c.order.PushFront(entry{a, revision, size})
	for c.size += size; c.size > c.most; {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(e *list.Element) {
	old := c.order.Remove(e).(entry)
	delete(c.entries, old.advisory.ID)
	c.size -= old.size
}
