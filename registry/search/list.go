package search

import (
	"context"
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/storage/meta"
)

// maxListed bounds the terms that one call of Values looks at.
const maxListed = 2000

// Value is a value of an operator with how many documents have it.
type Value struct {
	Value     string
	Documents int64
}

// A Place is where a page of values ended: behind the value After, "" for none, and
// behind Skip further ones. Those the caller may not see, so they are counted and not
// named.
type Place struct {
	After string `json:"a,omitempty"`
	Skip  int    `json:"n,omitempty"`
}

// maxSkip bounds Place.Skip. Each of them is read again to get to the place.
const maxSkip = 1 << 20

// Values lists the values of an operator that documents which v may see have, in
// byte order: those that begin with prefix and come after the place, at most limit.
// next is where to go on, the zero Place at the end; a page may be short, or empty,
// and not be the last. An operator without values is [ErrFacet], a place that no page
// ended at [ErrCursor].
func Values(ctx context.Context, docs meta.Documents, v meta.Visibility, op, prefix string, after Place, limit int) (
	list []Value, next Place, err error,
) {
	o, ok := lookUp(op)
	if !ok || o.column != "" || o.kind == functions {
		return nil, Place{}, fmt.Errorf("%w: %q has no values", ErrFacet, cut(op))
	}
	if after.Skip < 0 || after.Skip > maxSkip {
		return nil, Place{}, fmt.Errorf("%w: %d values to skip", ErrCursor, after.Skip)
	}
	err = docs.ReadDocuments(ctx, func(docs meta.Documents) error {
		l := lister{engine: engine{ctx: ctx, docs: docs, v: v}, op: o.prefix(), prefix: o.prefix() + fold(prefix)}
		more, err := l.seek(after)
		for looked := 0; err == nil && more && len(l.list) < limit && looked < maxListed; {
			var n int
			n, err = l.page(limit - len(l.list))
			looked, more = looked+n, n > 0
		}
		if list = l.list; more && l.place.Skip <= maxSkip {
			next = l.place
		}
		return err
	})
	return list, next, err
}

// A lister goes through the values of one operator.
type lister struct {
	engine
	op, prefix string // how the terms of the operator begin, and those that are listed

	from  string // the last term that was looked at
	place Place  // of from
	list  []Value
}

// seek goes to a place, and reports whether there may be something behind it.
func (l *lister) seek(to Place) (bool, error) {
	if l.place = to; to.After != "" {
		l.from = l.op + fold(to.After)
	}
	for left := to.Skip; left > 0; {
		page, err := l.docs.Terms(l.ctx, l.prefix, l.from, min(left, maxListed))
		if err != nil || len(page) == 0 {
			return false, err
		}
		l.from = page[len(page)-1].Text
		left -= len(page)
	}
	return true, nil
}

// page looks at the next terms, at most limit, and gives how many there were.
func (l *lister) page(limit int) (int, error) {
	page, err := l.docs.Terms(l.ctx, l.prefix, l.from, limit)
	if err != nil {
		return 0, err
	}
	for _, t := range page {
		n, err := l.count(t)
		if err != nil {
			return 0, err
		}
		l.from = t.Text
		if n == 0 {
			l.place.Skip++
			continue
		}
		value := strings.TrimPrefix(t.Text, l.op)
		l.list, l.place = append(l.list, Value{value, n}), Place{After: value}
	}
	return len(page), nil
}

// count is how many documents that the caller may see have a term.
func (e *engine) count(t meta.Term) (int64, error) {
	if e.v.Everything {
		return t.Documents, nil
	}
	seen, err := e.visible()
	if err != nil {
		return 0, err
	}
	b, err := e.docs.Postings(e.ctx, []string{t.Text})
	if err != nil {
		return 0, err
	}
	return int64(b.AndCardinality(seen)), nil
}

// Count is how many documents that v may see have a value of an operator.
func Count(ctx context.Context, docs meta.Documents, v meta.Visibility, op, value string) (int64, error) {
	o, ok := lookUp(op)
	if !ok || o.column != "" || o.kind == functions {
		return 0, fmt.Errorf("%w: %q has no values", ErrFacet, cut(op))
	}
	var n int64
	err := docs.ReadDocuments(ctx, func(docs meta.Documents) error {
		e := &engine{ctx: ctx, docs: docs, v: v}
		b, err := docs.Postings(ctx, []string{term(o.prefix(), fold(value))})
		if err != nil {
			return err
		}
		seen, err := e.visible()
		n = int64(b.AndCardinality(seen))
		return err
	})
	return n, err
}
