package licence

import (
	"fmt"
	"strings"
	"sync"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// A parser descends an expression, a token ahead.
type parser struct {
	text  string
	at    int    // bytes read
	token string // "" at the end
	start int    // of the token
}

// next reads the token that follows: a parenthesis, a slash or a word.
func (p *parser) next() {
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
	p.start = p.at
	if p.at < len(p.text) && strings.IndexByte("()/", p.text[p.at]) >= 0 {
		p.at++
	} else {
		for p.at < len(p.text) && !isSpace(p.text[p.at]) && strings.IndexByte("()/", p.text[p.at]) < 0 {
			p.at++
		}
	}
	p.token = p.text[p.start:p.at]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *parser) fail(err error) error {
	if p.token == "" {
		return fmt.Errorf("byte %d: end: %w", p.start, err)
	}
	return fmt.Errorf("byte %d: %.64q: %w", p.start, p.token, err)
}

// alternatives reads operands of OR, which binds less than AND.
func (p *parser) alternatives(depth int) (*node, error) {
	return p.chain("OR", func() (*node, error) {
		return p.chain("AND", func() (*node, error) { return p.operand(depth) })
	})
}

// chain reads operands as long as the operator stands between them.
func (p *parser) chain(op string, operand func() (*node, error)) (*node, error) {
	var list []*node
	for {
		n, err := operand()
		if err != nil {
			return nil, err
		}
		if list = append(list, n); !strings.EqualFold(p.token, op) && (op != "OR" || p.token != "/") {
			return join(op, list), nil
		}
		p.next()
	}
}

// join makes one node of operands, taking those of the same operator apart.
func join(op string, list []*node) *node {
	if len(list) == 1 {
		return list[0]
	}
	n := &node{op: op}
	for _, o := range list {
		if o.op == op {
			n.operands = append(n.operands, o.operands...)
		} else {
			n.operands = append(n.operands, o)
		}
	}
	return n
}

func (p *parser) operand(depth int) (*node, error) {
	if p.token != "(" {
		return p.licence()
	}
	if depth >= MaxDepth {
		return nil, p.fail(fmt.Errorf("%w: more than %d parentheses deep", ErrLimit, MaxDepth))
	}
	p.next()
	n, err := p.alternatives(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.token != ")" {
		return nil, p.fail(ErrSyntax)
	}
	p.next()
	return n, nil
}

// licence reads an identifier or reference, and the exception after it.
func (p *parser) licence() (*node, error) {
	if p.token == "" || strings.ContainsAny(p.token, "()/") || isOperator(p.token) {
		return nil, p.fail(ErrSyntax)
	}
	n := &node{id: identifier(p.token)}
	if n.id == "" {
		return nil, p.fail(ErrUnknown)
	}
	p.next()
	if !strings.EqualFold(p.token, "WITH") {
		return n, nil
	}
	p.next()
	if n.exception = lists().exceptions[strings.ToLower(p.token)]; n.exception == "" {
		return nil, p.fail(ErrUnknown)
	}
	p.next()
	return n, nil
}

func isOperator(s string) bool {
	return strings.EqualFold(s, "AND") || strings.EqualFold(s, "OR") || strings.EqualFold(s, "WITH")
}

// identifier gives a licence in the case and form of the list, "" if it is not
// in it and no reference.
func identifier(s string) string {
	if isReference(s) {
		return s
	}
	l := lists()
	base, plus := strings.CutSuffix(strings.ToLower(s), "+")
	if id := l.licences[base+"-or-later"]; plus && id != "" {
		return id
	}
	if id := l.licences[base+"-only"]; !plus && id != "" {
		return id // the bare identifiers of the GNU licences are deprecated
	}
	id := l.licences[base]
	if id != "" && plus {
		id += "+"
	}
	return id
}

// isReference reports whether s is a user-defined licence,
// [DocumentRef-x:]LicenseRef-y.
func isReference(s string) bool {
	if rest, ok := strings.CutPrefix(s, "DocumentRef-"); ok {
		document, reference, ok := strings.Cut(rest, ":")
		if !ok || !isIDString(document) {
			return false
		}
		s = reference
	}
	name, ok := strings.CutPrefix(s, "LicenseRef-")
	return ok && isIDString(name)
}

func isIDString(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}) < 0
}

// index has the identifiers of the SPDX lists by their lower case.
type index struct {
	licences, exceptions map[string]string
}

var lists = sync.OnceValue(func() index {
	l := index{map[string]string{}, map[string]string{}}
	for _, id := range spdxlicenses.GetDeprecated() {
		l.licences[strings.ToLower(id)] = id
	}
	for _, id := range spdxlicenses.GetLicenses() {
		l.licences[strings.ToLower(id)] = id
	}
	for _, id := range spdxlicenses.GetExceptions() {
		l.exceptions[strings.ToLower(id)] = id
	}
	return l
})
