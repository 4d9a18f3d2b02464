// Package licence reads, normalises and judges licence expressions as the SPDX
// specification writes them (version 2.3, annex D).
//
// The list of identifiers, and which later versions one allows, come from
// go-spdx. The expression is parsed and weighed here: go-spdx multiplies an
// expression out before it compares, so that a short one with forty choices
// never ends.
package licence

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"
)

// What an expression from outside may be.
const (
	MaxLength = 4096 // bytes
	MaxDepth  = 64   // of parentheses
)

// Errors of Parse, wrapped with the place in the expression.
var (
	ErrSyntax  = errors.New("not a licence expression")
	ErrUnknown = errors.New("not an identifier of the SPDX licence list")
	ErrLimit   = errors.New("licence expression beyond a limit")
)

// An Expression is a parsed licence expression. The zero value is none.
type Expression struct {
	root *node
}

// A node is a licence (op is ""), or two or more operands.
type node struct {
	op        string // "AND" or "OR"
	operands  []*node
	id        string // with "+" if that was written and is no part of another identifier
	exception string
}

// Parse reads an expression. Identifiers and operators may be in any case, and a
// slash between licences, as crates wrote it before 2015, is an OR.
func Parse(s string) (Expression, error) {
	if len(s) > MaxLength {
		return Expression{}, fmt.Errorf("%w: %d bytes, at most %d", ErrLimit, len(s), MaxLength)
	}
	p := parser{text: s}
	p.next()
	root, err := p.alternatives(0)
	if err != nil {
		return Expression{}, err
	}
	if p.token != "" {
		return Expression{}, p.fail(ErrSyntax)
	}
	return Expression{root}, nil
}

// Normalise gives the normal form of an expression: identifiers as the list
// writes them, GPL-2.0+ as GPL-2.0-or-later, and no needless parentheses.
func Normalise(s string) (string, error) {
	e, err := Parse(s)
	if err != nil {
		return "", err
	}
	return e.String(), nil
}

// Join makes one expression of several that all hold, as the licences of the
// parts of one file do. What does not parse is left out and reported by false.
func Join(list []string) (expression string, all bool) {
	var parts []*node
	all = true
	for _, s := range list {
		e, err := Parse(s)
		if err != nil {
			all = false
			continue
		}
		parts = append(parts, e.root)
	}
	if len(parts) == 0 {
		return "", all
	}
	return Expression{join("AND", parts)}.String(), all
}

// String is the normal form.
func (e Expression) String() string {
	if e.root == nil {
		return ""
	}
	return e.root.text("")
}

func (n *node) text(outer string) string {
	if n.op == "" {
		if n.exception != "" {
			return n.id + " WITH " + n.exception
		}
		return n.id
	}
	parts := make([]string, len(n.operands))
	for i, o := range n.operands {
		parts[i] = o.text(n.op)
	}
	s := strings.Join(parts, " "+n.op+" ")
	if outer == "AND" && n.op == "OR" {
		return "(" + s + ")"
	}
	return s
}

// Licences are the licences an expression names, each with its exception, sorted
// and once each.
func (e Expression) Licences() []string {
	var list []string
	e.each(func(n *node) { list = append(list, n.text("")) })
	slices.Sort(list)
	return slices.Compact(list)
}

// each visits the leaves. The depth of a tree is bounded by MaxDepth.
func (e Expression) each(visit func(*node)) {
	var walk func(n *node)
	walk = func(n *node) {
		if n.op == "" {
			visit(n)
			return
		}
		for _, o := range n.operands {
			walk(o)
		}
	}
	if e.root != nil {
		walk(e.root)
	}
}

// Allowed are the licences that a user accepts. It is not safe for concurrent use.
type Allowed struct {
	families []Family
	ids      map[string]bool
	leaves   []*node
	later    map[string]bool // answers about licences that are allowed as another version
}

// Allow reads what a user accepts. An entry is one licence, with an exception if it
// is to cover one, where "Apache-1.0+" also allows later versions; or the name of a
// [Family].
func Allow(list []string) (*Allowed, error) {
	allowed := &Allowed{ids: map[string]bool{}, later: map[string]bool{}}
	for _, a := range list {
		if f := Family(a); slices.Contains(All, f) {
			allowed.families = append(allowed.families, f)
			continue
		}
		e, err := Parse(a)
		if err != nil {
			return nil, fmt.Errorf("allowed licence %q: %w", a, err)
		}
		if e.root.op != "" {
			return nil, fmt.Errorf("allowed licence %q: %w: one licence is wanted", a, ErrSyntax)
		}
		allowed.ids[e.String()] = true
		allowed.leaves = append(allowed.leaves, e.root)
	}
	return allowed, nil
}

// Satisfy reports whether the user may use something under an expression: of an OR
// one side must be allowed, of an AND both.
func (a *Allowed) Satisfy(e Expression) bool { return e.root != nil && a.node(e.root) }

func (a *Allowed) node(n *node) bool {
	switch n.op {
	case "AND":
		return !slices.ContainsFunc(n.operands, func(o *node) bool { return !a.node(o) })
	case "OR":
		return slices.ContainsFunc(n.operands, a.node)
	}
	text := n.text("")
	return slices.Contains(a.families, FamilyOf(n.id)) || a.ids[text] || a.version(n, text)
}

// version reports whether n is allowed as another version of the same licence.
// go-spdx knows the order of versions, and takes 100 µs to say so: only what can
// be ordered goes there, and only once.
func (a *Allowed) version(n *node, text string) bool {
	if ok, known := a.later[text]; known {
		return ok
	}
	var ids []string
	for _, l := range a.leaves {
		if (n.orLater() || l.orLater()) && stem(n.id) == stem(l.id) {
			ids = append(ids, l.text(""))
		}
	}
	if len(ids) == 0 {
		return false // go-spdx takes an empty list for an error
	}
	ok, err := spdxexp.Satisfies(text, ids)
	a.later[text] = ok && err == nil
	return a.later[text]
}

// orLater reports whether a licence allows later versions of itself.
func (n *node) orLater() bool {
	return strings.HasSuffix(n.id, "+") || strings.HasSuffix(n.id, "-or-later")
}

// stem is what all versions of a licence have in common.
func stem(id string) string {
	if i := strings.IndexAny(id, "0123456789"); i >= 0 {
		return id[:i]
	}
	return strings.TrimSuffix(id, "+")
}
