package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of the work for one query.
const (
	MaxExpansion = 1000 // terms that one beginning stands for
	maxLayerHits = 1000 // blobs with one function
	maxWhy       = 3    // terms of a Match
)

// Search answers a request from the index. Besides those of the database its
// errors are [*SyntaxError], for a query that stands for too many terms, and
// [ErrCursor].
func Search(ctx context.Context, index Index, req Request) (Result, error) {
	var res Result
	o, err := newOrder(req)
	if err != nil {
		return res, err
	}
	facets, err := facetOperators(req.Facets)
	if err != nil {
		return res, err
	}
	expanded, err := expandVersions(ctx, index, req.Query)
	if err != nil {
		return res, err
	}
	err = index.ReadDocuments(ctx, func(docs meta.Documents) error {
		e := &engine{ctx: ctx, docs: docs, v: req.Visibility, q: req.Query, explain: req.Explain, expanded: expanded}
		found, err := e.find()
		if err != nil {
			return err
		}
		res.Count, res.CountIsLeast = capped(found.GetCardinality())
		res.Plan = e.plan
		if res.Facets, err = e.facets(facets, found); err != nil {
			return err
		}
		res.Hits, res.Next, err = e.page(o, found)
		return err
	})
	return res, err
}

// capped is a count as it is shown.
func capped(n uint64) (count int, least bool) {
	if n > MaxCount {
		return MaxCount, true
	}
	return int(n), false
}

// An engine answers one query.
type engine struct {
	ctx     context.Context
	docs    meta.Documents
	v       meta.Visibility
	q       *Query
	explain bool
	plan    []Step
	seen    *roaring.Bitmap // all that the caller may see, once it was needed
	leaves  []leaf

	expanded map[*versionsNode][]string // terms of ranges
}

// A leaf is a clause that matched by terms, for explaining hits.
type leaf struct {
	node    node
	terms   []string // any of them, or all of a search for words
	negated bool
}

// visible is the set of documents that the caller may see. It is not to be
// changed.
func (e *engine) visible() (*roaring.Bitmap, error) {
	if e.seen != nil {
		return e.seen, nil
	}
	var err error
	if e.v.Everything {
		e.seen, err = e.docs.AllDocuments(e.ctx)
		return e.seen, err
	}
	e.seen, err = e.docs.Postings(e.ctx, withinTerms(e.v))
	return e.seen, err
}

func withinTerms(v meta.Visibility) []string {
	var terms []string
	for _, ns := range v.Namespaces {
		if ns != "" {
			terms = append(terms, term("within:", fold(ns)))
		}
	}
	return terms
}

// find is the set of all hits.
func (e *engine) find() (*roaring.Bitmap, error) {
	var within *roaring.Bitmap // nil: all are visible
	if !e.v.Everything {
		var err error
		if within, err = e.visible(); err != nil {
			return nil, err
		}
	}
	if e.q == nil || e.q.root == nil {
		return e.visible()
	}
	return e.eval(e.q.root, within, false)
}

// eval is the set of documents of within that match a node. within is not
// changed, and nil means everything.
func (e *engine) eval(n node, within *roaring.Bitmap, negated bool) (*roaring.Bitmap, error) {
	var b *roaring.Bitmap
	var err error
	how, terms := "", 0
	place := len(e.plan)
	switch n := n.(type) {
	case *allOf:
		how = "and"
		b, err = e.evalAll(n, within, negated)
	case *anyOf:
		how = "or"
		b = roaring.New()
		for _, part := range n.parts {
			p, err := e.eval(part, within, negated)
			if err != nil {
				return nil, err
			}
			b.Or(p)
		}
	case *notOf:
		how = "not"
		b, err = e.evalNot(n, within, negated)
	case *termNode:
		how = "terms"
		b, terms, err = e.evalTerms(n, within, negated)
	case *functionNode:
		how = "function"
		b, terms, err = e.evalFunction(n, within, negated)
	case *versionsNode:
		how = "versions"
		terms = len(e.expanded[n])
		e.leaves = append(e.leaves, leaf{node: n, terms: e.expanded[n], negated: negated})
		b, err = e.docs.Postings(e.ctx, e.expanded[n])
		b = clipTo(b, within)
	case *rangeNode:
		how = "range"
		if b, err = e.docs.InRange(e.ctx, n.op.column, n.low, n.high, within); err == nil {
			e.leaves = append(e.leaves, leaf{node: n, negated: negated})
		}
	default:
		panic(fmt.Sprintf("search: a node of type %T", n))
	}
	if err != nil {
		return nil, err
	}
	if e.explain {
		s := Step{Clause: e.clause(n), How: how}
		if e.v.Everything || !expands(n) {
			s.Terms = terms // else it would tell what documents have that the caller may not see
		}
		s.Count, s.CountIsLeast = capped(b.GetCardinality())
		e.plan = slices.Insert(e.plan, place, s)
	}
	return b, nil
}

// expands reports whether the index says which terms a node stands for.
func expands(n node) bool {
	switch n := n.(type) {
	case *termNode:
		return n.begins
	case *versionsNode, *functionNode:
		return true
	}
	return false
}

func (e *engine) clause(n node) string {
	s := n.where()
	return e.q.text[s.from:s.to]
}

// evalAll begins with what is cheap, and asks for ranges only of what is left.
func (e *engine) evalAll(n *allOf, within *roaring.Bitmap, negated bool) (*roaring.Bitmap, error) {
	parts := slices.Clone(n.parts)
	slices.SortStableFunc(parts, func(a, b node) int { return cmp.Compare(cost(a), cost(b)) })
	for _, part := range parts {
		b, err := e.eval(part, within, negated)
		if err != nil {
			return nil, err
		}
		within = b
		if within.IsEmpty() && !e.explain {
			break
		}
	}
	return within, nil
}

func cost(n node) int {
	switch n.(type) {
	case *termNode, *functionNode, *versionsNode:
		return 0
	case *anyOf, *allOf:
		return 1
	case *notOf:
		return 2
	}
	return 3
}

func (e *engine) evalNot(n *notOf, within *roaring.Bitmap, negated bool) (*roaring.Bitmap, error) {
	if within == nil {
		var err error
		if within, err = e.visible(); err != nil {
			return nil, err
		}
	}
	b, err := e.eval(n.part, within, !negated)
	if err != nil {
		return nil, err
	}
	return roaring.AndNot(within, b), nil
}

func (e *engine) evalTerms(n *termNode, within *roaring.Bitmap, negated bool) (*roaring.Bitmap, int, error) {
	terms := n.terms
	if n.begins {
		var err error
		if terms, err = e.expand(n); err != nil {
			return nil, 0, err
		}
	}
	e.leaves = append(e.leaves, leaf{node: n, terms: terms, negated: negated})
	if n.begins || n.any || len(terms) == 1 {
		b, err := e.docs.Postings(e.ctx, terms)
		return clipTo(b, within), len(terms), err
	}
	for _, t := range terms {
		b, err := e.docs.Postings(e.ctx, []string{t})
		if err != nil {
			return nil, 0, err
		}
		if within = clipTo(b, within); within.IsEmpty() {
			break
		}
	}
	return within, len(terms), nil
}

// clipTo makes b a subset of within, which it leaves as it is.
func clipTo(b, within *roaring.Bitmap) *roaring.Bitmap {
	if b != nil && within != nil {
		b.And(within)
	}
	return b
}

// expand lists the terms that a beginning stands for.
func (e *engine) expand(n *termNode) ([]string, error) {
	found, err := e.docs.Terms(e.ctx, n.terms[0], "", MaxExpansion+1)
	if err != nil {
		return nil, err
	}
	if len(found) > MaxExpansion {
		p := parser{text: e.q.text}
		return nil, p.fail(n.from, fmt.Sprintf("more than %d terms begin with %q", MaxExpansion, cut(n.terms[0])), "write more before the *")
	}
	terms := make([]string, 0, len(found))
	for _, t := range found {
		terms = append(terms, t.Text)
	}
	if n.op.kind == names {
		terms = outermost(terms)
	}
	return terms, nil
}

// outermost leaves out names that are part of another one in the list: whatever
// has "imports:wasi:http/types" also has "imports:wasi:http/*".
func outermost(terms []string) []string {
	var groups []string
	for _, t := range terms {
		if strings.HasSuffix(t, "*") {
			groups = append(groups, strings.TrimSuffix(t, "*"))
		}
	}
	return slices.DeleteFunc(terms, func(t string) bool {
		return slices.ContainsFunc(groups, func(g string) bool { return len(t) > len(g)+1 && strings.HasPrefix(t, g) })
	})
}

func (e *engine) evalFunction(n *functionNode, within *roaring.Bitmap, negated bool) (*roaring.Bitmap, int, error) {
	layers, err := e.docs.LayersWithFunction(e.ctx, n.hash, maxLayerHits)
	if err != nil {
		return nil, 0, err
	}
	terms := make([]string, len(layers))
	for i, l := range layers {
		terms[i] = term("layer:", shorten(l))
	}
	e.leaves = append(e.leaves, leaf{node: n, terms: terms, negated: negated})
	b, err := e.docs.Postings(e.ctx, terms)
	return clipTo(b, within), len(terms), err
}

// facets counts the values of operators among the hits.
func (e *engine) facets(ops []operator, found *roaring.Bitmap) ([]Facet, error) {
	if e.v.Everything && (e.q == nil || e.q.root == nil) {
		found = nil // everything: that is counted already
	}
	var out []Facet
	for _, op := range ops {
		counts, err := e.docs.CountTerms(e.ctx, op.prefix(), found, FacetValues)
		if err != nil {
			return nil, err
		}
		f := Facet{Operator: op.name, Values: make([]FacetValue, 0, len(counts))}
		for _, c := range counts {
			v := FacetValue{Value: strings.TrimPrefix(c.Text, op.prefix())}
			v.Count, v.CountIsLeast = capped(uint64(c.Documents))
			f.Values = append(f.Values, v)
		}
		out = append(out, f)
	}
	return out, nil
}

// page reads one page of the hits, with what explains them.
func (e *engine) page(o *order, found *roaring.Bitmap) ([]Hit, string, error) {
	positions, next, err := o.page(e, found)
	if err != nil {
		return nil, "", err
	}
	ids := make([]uint32, len(positions))
	for i, p := range positions {
		ids[i] = p.Number
	}
	ds, err := e.docs.DocumentsByID(e.ctx, ids)
	if err != nil {
		return nil, "", err
	}
	// The sets were made of what the caller may see. That each document is, by
	// its own name, costs nothing to ask once more.
	ds = slices.DeleteFunc(ds, func(d meta.Document) bool { return !sees(e.v, d.Repo) })
	why, err := e.why(ds)
	if err != nil {
		return nil, "", err
	}
	hits := make([]Hit, len(ds))
	for i, d := range ds {
		hits[i] = Hit{Repo: d.Repo, Digest: d.Digest, Size: d.Size, Updated: d.Updated, Pulls: d.Pulls, Body: d.Body, Why: why[i]}
	}
	return hits, next, nil
}

func sees(v meta.Visibility, repo string) bool {
	return v.Everything || slices.ContainsFunc(v.Namespaces, func(ns string) bool {
		return ns != "" && (repo == ns || strings.HasPrefix(repo, ns+"/"))
	})
}

// why says for each document which clauses it matches, and by which terms.
func (e *engine) why(ds []meta.Document) ([][]Match, error) {
	ids := make([]uint32, len(ds))
	for i, d := range ds {
		ids[i] = d.Number
	}
	var wanted []string
	for _, l := range e.leaves {
		wanted = append(wanted, l.terms...)
	}
	slices.Sort(wanted)
	have, err := e.docs.TermsOf(e.ctx, ids, slices.Compact(wanted))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(e.leaves, func(a, b leaf) int { return cmp.Compare(a.node.where().from, b.node.where().from) })
	out := make([][]Match, len(ds))
	for i, d := range ds {
		for _, l := range e.leaves {
			if m, ok := e.match(l, d, have[i]); ok {
				out[i] = append(out[i], m)
			}
		}
	}
	return out, nil
}

// match says how a document matches a clause, if it does. have are those of its
// terms that some clause looks for, in byte order.
func (e *engine) match(l leaf, d meta.Document, have []string) (Match, bool) {
	terms, matches := l.match(d, have)
	if l.negated {
		return Match{Clause: "-" + e.clause(l.node)}, !matches
	}
	return Match{Clause: e.clause(l.node), Terms: terms[:min(len(terms), maxWhy)]}, matches
}

func (l leaf) match(d meta.Document, have []string) (terms []string, matches bool) {
	if r, ok := l.node.(*rangeNode); ok {
		v, text := columnValue(r.op.column, d)
		return []string{r.op.name + ":" + text}, r.low <= v && v <= r.high
	}
	for _, t := range l.terms {
		if _, found := slices.BinarySearch(have, t); found {
			terms = append(terms, t)
		}
	}
	if t, ok := l.node.(*termNode); ok && !t.begins && !t.any {
		return terms, len(terms) == len(l.terms)
	}
	return terms, len(terms) > 0
}

// columnValue is a document's value, as it is compared and as it is shown.
func columnValue(c meta.Column, d meta.Document) (int64, string) {
	switch c {
	case meta.ColumnSize:
		return d.Size, strconv.FormatInt(d.Size, 10)
	case meta.ColumnPulls:
		return d.Pulls, strconv.FormatInt(d.Pulls, 10)
	default:
		return d.Updated.Unix(), d.Updated.UTC().Format(time.RFC3339)
	}
}

// facetOperators are those asked for.
func facetOperators(names []string) ([]operator, error) {
	if len(names) > MaxFacets {
		return nil, fmt.Errorf("%w: more than %d", ErrFacet, MaxFacets)
	}
	var ops []operator
	for _, name := range names {
		op, ok := lookUp(name)
		if !ok || !op.facet {
			return nil, fmt.Errorf("%w: %q is none of %s", ErrFacet, cut(name), strings.Join(FacetOperators(), ", "))
		}
		ops = append(ops, op)
	}
	return ops, nil
}
