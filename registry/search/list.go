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

// Values lists the values of an operator that documents which v may see have, in
// byte order: those that begin with prefix and sort after the given one, at most
// limit. next is where to go on, "" at the end; a page may be short, or empty,
// and not be the last. An operator without values is [ErrFacet].
func Values(ctx context.Context, docs meta.Documents, v meta.Visibility, op, prefix, after string, limit int) (
	list []Value, next string, err error,
) {
	o, ok := lookUp(op)
	if !ok || o.column != "" || o.kind == functions {
		return nil, "", fmt.Errorf("%w: %q has no values", ErrFacet, cut(op))
	}
	p := o.prefix() + fold(prefix)
	from := ""
	if after != "" {
		from = o.prefix() + fold(after)
	}
	err = docs.ReadDocuments(ctx, func(docs meta.Documents) error {
		e := &engine{ctx: ctx, docs: docs, v: v}
		looked := 0
		for len(list) < limit {
			page, err := docs.Terms(ctx, p, from, limit-len(list))
			if err != nil {
				return err
			}
			for _, t := range page {
				from = t.Text
				n, err := e.count(t)
				if err != nil {
					return err
				}
				if n > 0 {
					list = append(list, Value{strings.TrimPrefix(t.Text, o.prefix()), n})
				}
			}
			if len(page) == 0 {
				return nil // the end
			}
			if looked += len(page); looked >= maxListed {
				break
			}
		}
		next = strings.TrimPrefix(from, o.prefix())
		return nil
	})
	return list, next, err
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
