package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a query.
const (
	MaxQuery   = 2000 // bytes
	MaxClauses = 64
	MaxDepth   = 16  // of parentheses and negations
	maxValue   = 600 // bytes of one value
)

// A SyntaxError says what is wrong with a query, and where.
type SyntaxError struct {
	Column  int // of the character at fault, counted from 1
	Message string
	Hint    string // what to write instead, "" if nothing comes to mind
}

func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("query, column %d: %s", e.Column, e.Message)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Query is what to look for. It is made by [Parse] and does not change.
type Query struct {
	text string
	root node // nil for everything
}

// String is the query as it was written.
func (q *Query) String() string {
	if q == nil {
		return ""
	}
	return q.text
}

// A node is a part of a query.
type node interface{ where() span }

// A span is where a node stands in the query, in bytes.
type span struct{ from, to int }

func (s span) where() span { return s }

type (
	// allOf and anyOf have two parts or more.
	allOf struct {
		span
		parts []node
	}
	anyOf struct {
		span
		parts []node
	}
	notOf struct {
		span
		part node
	}
	// A termNode matches documents that have all of the terms, or any of them, or,
	// of one that begins, any term that goes on.
	termNode struct {
		span
		op     operator
		terms  []string
		any    bool
		begins bool
		words  []string // of a search for words
		whole  []string // the identifiers they are of, in order
	}
	// A rangeNode matches documents whose column has a value from low to high.
	rangeNode struct {
		span
		op        operator
		low, high int64
	}
	// A functionNode matches documents that contain a function.
	functionNode struct {
		span
		hash uint64
	}
	// A versionsNode matches documents with a component at a version of a range.
	versionsNode struct {
		span
		ranges []versionRange
	}
)

// Parse reads a query. Errors are [*SyntaxError]s. An empty query matches
// everything.
func Parse(q string) (*Query, error) {
	p := &parser{text: q}
	if len(q) > MaxQuery {
		return nil, p.fail(MaxQuery, fmt.Sprintf("the query is longer than %d bytes", MaxQuery), "")
	}
	if i := invalidAt(q); i >= 0 {
		return nil, p.fail(i, "not valid UTF-8, or a control character", "")
	}
	p.space()
	if p.at == len(q) {
		return &Query{text: q}, nil
	}
	root, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if p.at < len(q) { // only a parenthesis ends a list early
		return nil, p.fail(p.at, "a closing parenthesis without an opening one", "")
	}
	return &Query{text: q, root: root}, nil
}

// invalidAt is where text has something that is no text, or -1.
func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return i
			}
		}
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return i
		}
	}
	return -1
}

// A parser reads a query from at on.
type parser struct {
	text    string
	at      int
	depth   int
	clauses int
}

// fail makes an error at a byte of the query.
func (p *parser) fail(at int, message, hint string) *SyntaxError {
	return &SyntaxError{Column: utf8.RuneCountInString(p.text[:min(at, len(p.text))]) + 1, Message: message, Hint: hint}
}

func (p *parser) rest() string { return p.text[p.at:] }

func (p *parser) space() {
	p.at = len(p.text) - len(strings.TrimLeftFunc(p.rest(), unicode.IsSpace))
}

// ends reports whether a list ends here.
func (p *parser) ends() bool { return p.at == len(p.text) || p.text[p.at] == ')' }

// keyword reads one of the words that stand between clauses.
func (p *parser) keyword(word string) bool {
	rest, ok := strings.CutPrefix(p.rest(), word)
	if !ok {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(rest); rest != "" && !unicode.IsSpace(r) && r != '(' && r != ')' {
		return false
	}
	p.at += len(word)
	p.space()
	return true
}

// alternatives reads "a b OR c".
func (p *parser) alternatives() (node, error) {
	from := p.at
	var parts []node
	for {
		part, err := p.conjunction()
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if !p.keyword("OR") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return &anyOf{span{from, p.end()}, parts}, nil
}

// end is where the text that was read ends, without white space.
func (p *parser) end() int { return len(strings.TrimRightFunc(p.text[:p.at], unicode.IsSpace)) }

// conjunction reads "a b -c".
func (p *parser) conjunction() (node, error) {
	from := p.at
	var parts []node
	for {
		if p.ends() || strings.HasPrefix(p.rest(), "OR") && p.peekOr() {
			return nil, p.fail(p.at, "something to look for is missing here", `quote "OR" to look for the word`)
		}
		part, err := p.negation()
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		p.space()
		p.keyword("AND")
		if p.ends() || p.peekOr() {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return &allOf{span{from, p.end()}, parts}, nil
}

func (p *parser) peekOr() bool {
	at := p.at
	defer func() { p.at = at }()
	return p.keyword("OR")
}

func (p *parser) negation() (node, error) {
	from := p.at
	negated := p.keyword("NOT")
	if !negated && p.text[p.at] == '-' {
		negated = true
		p.at++
	}
	if !negated {
		return p.primary()
	}
	if p.ends() || unicode.IsSpace(rune(p.text[p.at])) {
		return nil, p.fail(from, "nothing stands behind the negation", `write "-" right before what is not wanted, or quote it`)
	}
	if err := p.descend(from); err != nil {
		return nil, err
	}
	part, err := p.negation()
	p.depth--
	if err != nil {
		return nil, err
	}
	return &notOf{span{from, p.end()}, part}, nil
}

func (p *parser) descend(from int) error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail(from, fmt.Sprintf("more than %d parentheses and negations within one another", MaxDepth), "")
	}
	return nil
}

func (p *parser) primary() (node, error) {
	if p.text[p.at] != '(' {
		return p.clause()
	}
	from := p.at
	if err := p.descend(from); err != nil {
		return nil, err
	}
	p.at++
	p.space()
	n, err := p.alternatives()
	p.depth--
	if err != nil {
		return nil, err
	}
	if p.at == len(p.text) {
		return nil, p.fail(from, "this parenthesis is not closed", "")
	}
	p.at++
	return n, nil
}

// A value is what stands behind an operator, or by itself.
type value struct {
	at     int // in bytes of the query
	text   string
	quoted bool
}

// clause reads "word", "op:value" or either with quotes.
func (p *parser) clause() (node, error) {
	from := p.at
	if p.clauses++; p.clauses > MaxClauses {
		return nil, p.fail(from, fmt.Sprintf("more than %d things to look for", MaxClauses), "")
	}
	name := ""
	if i := strings.IndexFunc(p.rest(), func(r rune) bool { return !isOperatorRune(r) }); i > 0 && p.rest()[i] == ':' {
		name = p.rest()[:i]
	}
	op, known := lookUp(strings.ToLower(name))
	if name != "" {
		if !known {
			return nil, p.unknown(from, name)
		}
		p.at += len(name) + 1
	} else {
		op, _ = lookUp("text")
	}
	v, err := p.value(op, name != "")
	if err != nil {
		return nil, err
	}
	n, err := p.node(op, v, span{from, p.at})
	if err != nil {
		return nil, err
	}
	p.space()
	return n, nil
}

func isOperatorRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-' || r == '_'
}

func (p *parser) unknown(at int, name string) error {
	hint := fmt.Sprintf("quote it to look for the words: \"%s:…\"", cut(name))
	if near := nearest(strings.ToLower(name)); near != "" {
		hint = "did you mean " + near + ":?"
	}
	return p.fail(at, fmt.Sprintf("there is no operator %q", cut(name)), hint)
}

// cut bounds what an error repeats.
func cut(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

func (p *parser) value(op operator, named bool) (value, error) {
	v := value{at: p.at}
	if strings.HasPrefix(p.rest(), `"`) {
		text, quoted, ok := strings.Cut(p.rest()[1:], `"`)
		if !ok {
			return v, p.fail(p.at, "this quote is not closed", "")
		}
		p.at = len(p.text) - len(quoted)
		v.text, v.quoted = text, true
		if r, _ := utf8.DecodeRuneInString(quoted); quoted != "" && !unicode.IsSpace(r) && r != ')' {
			return v, p.fail(p.at, "a space is missing behind the quote", "")
		}
	} else {
		end := strings.IndexFunc(p.rest(), func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' || r == '"' })
		if end < 0 {
			end = len(p.rest())
		}
		v.text = p.rest()[:end]
		p.at += end
		if p.at < len(p.text) && (p.text[p.at] == '(' || p.text[p.at] == '"') {
			return v, p.fail(p.at, "a space is missing here", "a value with spaces or parentheses goes in quotes as a whole")
		}
	}
	switch {
	case strings.TrimSpace(v.text) == "" && named:
		return v, p.fail(v.at, fmt.Sprintf("%s: needs a value right behind it", op.name), example(op))
	case strings.TrimSpace(v.text) == "":
		return v, p.fail(v.at, "nothing stands between the quotes", "")
	case len(v.text) > maxValue:
		return v, p.fail(v.at, fmt.Sprintf("a value of more than %d bytes", maxValue), "")
	}
	return v, nil
}

// example shows how an operator is used.
func example(op operator) string {
	switch op.kind {
	case sizes:
		return "for example size:<1MB or size:100KB..2MB"
	case counts:
		return "for example pulls:>100"
	case dates:
		return "for example updated:>2026-01-01"
	case digests:
		return "for example " + op.name + ":sha256:0123456789abcdef*"
	case functions:
		return "for example function:sha256:0123456789abcdef0123456789abcdef"
	case names:
		return "for example " + op.name + ":wasi:http/types or " + op.name + ":wasi:sockets/*"
	case dependencies:
		return "for example " + op.name + ":pkg:cargo/serde, " + op.name + ":pkg:cargo/serde@<1.0.200 or " + op.name + ":serde"
	case values, words:
	}
	return "for example " + op.name + ":word"
}

// node makes a node of an operator and its value.
func (p *parser) node(op operator, v value, s span) (node, error) {
	switch op.kind {
	case sizes, counts, dates:
		low, high, err := p.interval(op, v)
		if err != nil {
			return nil, err
		}
		return &rangeNode{s, op, low, high}, nil
	case functions:
		hash, err := p.hash(v)
		if err != nil {
			return nil, err
		}
		return &functionNode{s, hash}, nil
	case dependencies:
		return p.dependency(op, v, s)
	case values, words, names, digests:
	}
	n := &termNode{span: s, op: op}
	text, begins, err := p.beginning(v)
	if err != nil {
		return nil, err
	}
	n.begins = begins
	switch op.kind {
	case words:
		err = p.wordTerms(n, v, text)
	case digests:
		err = p.digestTerm(n, v, text)
	default:
		err = p.valueTerm(n, v, text)
	}
	return n, err
}

// beginning cuts the * off a value that ends in one.
func (p *parser) beginning(v value) (text string, begins bool, err error) {
	text = v.text
	if !v.quoted {
		text, begins = strings.CutSuffix(text, "*")
		if i := strings.IndexByte(text, '*'); i >= 0 {
			return "", false, p.fail(v.at+i, "* stands only at the end of a value", "quote a value that has a * in it")
		}
		if text == "" {
			return "", false, p.fail(v.at, "* alone matches everything", "leave it out, or write the beginning of a value before it")
		}
	}
	return text, begins, nil
}

func (p *parser) valueTerm(n *termNode, v value, text string) error {
	folded := fold(text)
	if n.begins && n.op.kind == names && (strings.HasSuffix(folded, "/") || strings.HasSuffix(folded, ":")) {
		// Documents have a term for it: no need to go through all that begin so.
		n.begins = false
		folded += "*"
	}
	return p.setTerm(n, v, folded)
}

func (p *parser) setTerm(n *termNode, v value, folded string) error {
	if !n.begins {
		n.terms = []string{term(n.op.prefix(), folded)}
		return nil
	}
	if len(n.op.prefix())+len(folded) > keptOf {
		return p.fail(v.at, fmt.Sprintf("a beginning of more than %d bytes", keptOf-len(n.op.prefix())), "write less before the *")
	}
	n.terms = []string{n.op.prefix() + folded}
	return nil
}

// wordTerms looks for the parts of identifiers, or, of one in quotes, for itself.
// The beginning of a word is looked for as it stands.
func (p *parser) wordTerms(n *termNode, v value, text string) error {
	if n.begins {
		folded := fold(text)
		if utf8.RuneCountInString(folded) < 2 {
			return p.fail(v.at, "one character before * matches too much", "write at least two")
		}
		return p.setTerm(n, v, folded)
	}
	tokens(text, func(whole string, parts []string) bool {
		n.whole = append(n.whole, whole)
		if v.quoted && len(whole) <= maxWord {
			n.words = append(n.words, whole)
		} else {
			n.words = append(n.words, parts...)
		}
		return len(n.words) <= MaxClauses
	})
	switch {
	case len(n.words) == 0:
		return p.fail(v.at, "there is no word in this", "words have letters or digits")
	case len(n.words) > MaxClauses:
		return p.fail(v.at, fmt.Sprintf("more than %d words", MaxClauses), "")
	}
	slices.Sort(n.words)
	n.words = slices.Compact(n.words)
	for _, w := range n.words {
		n.terms = append(n.terms, term(n.op.prefix(), w))
	}
	return nil
}

func (p *parser) digestTerm(n *termNode, v value, text string) error {
	text = fold(text)
	algorithm, hex, ok := strings.Cut(text, ":")
	if !ok {
		algorithm, hex = "sha256", text
	}
	if algorithm != "sha256" && algorithm != "sha512" || !isHex(hex) {
		return p.fail(v.at, fmt.Sprintf("%q is no digest", cut(text)), example(n.op))
	}
	const digits = 32 // in the index: see shorten
	full := map[string]int{"sha256": 64, "sha512": 128}[algorithm]
	switch {
	case len(hex) > full || len(hex) < full && !n.begins:
		return p.fail(v.at, fmt.Sprintf("a %s digest has %d digits, this has %d", algorithm, full, len(hex)), "end it with * to write fewer")
	case len(hex) >= digits:
		n.begins, hex = false, hex[:digits]
	case len(hex) < 4:
		return p.fail(v.at, "so few digits match too much", "write at least four")
	}
	return p.setTerm(n, v, algorithm+":"+hex)
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// hash reads a normalised hash, of which the index knows the first 64 bits.
func (p *parser) hash(v value) (uint64, error) {
	hex := strings.TrimPrefix(fold(v.text), "sha256:")
	if !isHex(hex) || len(hex) < 16 || len(hex) > 64 {
		return 0, p.fail(v.at, fmt.Sprintf("%q is no hash of a function", cut(v.text)),
			"it is the normalised hash that reports show, of 32 hexadecimal digits")
	}
	hash, err := strconv.ParseUint(hex[:16], 16, 64)
	if err != nil {
		return 0, p.fail(v.at, err.Error(), "")
	}
	return hash, nil
}

// Infinity: no value of a column is beyond.
const (
	lowest  = -1 << 63
	highest = 1<<63 - 1
)

// interval reads "<1MB", "1MB..2MB", "..2MB" or "1MB", and the same with dates
// and numbers. Both ends belong to it.
func (p *parser) interval(op operator, v value) (low, high int64, err error) {
	low, high = lowest, highest
	text := strings.TrimSpace(v.text)
	if left, right, ok := strings.Cut(text, ".."); ok {
		if left == "" && right == "" {
			return 0, 0, p.fail(v.at, "a range without ends", example(op))
		}
		if left != "" {
			if low, _, err = p.point(op, v, left); err != nil {
				return 0, 0, err
			}
		}
		if right != "" {
			if _, high, err = p.point(op, v, right); err != nil {
				return 0, 0, err
			}
		}
		if low > high {
			return 0, 0, p.fail(v.at, "a range whose end comes before its beginning", "turn it round")
		}
		return low, high, nil
	}
	for _, sign := range []string{"<=", ">=", "<", ">", "="} {
		rest, ok := strings.CutPrefix(text, sign)
		if !ok {
			continue
		}
		from, to, err := p.point(op, v, rest)
		if err != nil {
			return 0, 0, err
		}
		switch sign {
		case "<=":
			return lowest, to, nil
		case "<":
			return lowest, from - 1, nil
		case ">=":
			return from, highest, nil
		case ">":
			return to + 1, highest, nil
		}
		return from, to, nil
	}
	return p.point(op, v, text)
}

// point reads one number or date. A date is all the seconds of its day, month or
// year.
func (p *parser) point(op operator, v value, text string) (from, to int64, err error) {
	text = strings.TrimSpace(text)
	if op.kind == dates {
		from, to, ok := instant(text)
		if !ok {
			return 0, 0, p.fail(v.at, fmt.Sprintf("%q is no date", cut(text)), "write 2026-01-31, 2026-01, 2026 or 2026-01-31T12:00:00Z")
		}
		return from, to, nil
	}
	n, ok := quantity(text, op.kind == sizes)
	if !ok {
		hint := "write a number such as 100"
		if op.kind == sizes {
			hint = "write a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB"
		}
		return 0, 0, p.fail(v.at, fmt.Sprintf("%q is no number", cut(text)), hint)
	}
	return n, n, nil
}

var layouts = []struct {
	layout              string
	years, months, days int
}{
	{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {time.DateOnly, 0, 0, 1},
}

// instant gives the first and the last second of a date.
func instant(text string) (from, to int64, ok bool) {
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err == nil {
		return t.Unix(), t.Unix(), true
	}
	for _, l := range layouts {
		if t, err := time.Parse(l.layout, text); err == nil {
			return t.Unix(), t.AddDate(l.years, l.months, l.days).Unix() - 1, true
		}
	}
	return 0, 0, false
}

var units = []struct {
	name  string
	bytes float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1},
}

// quantity reads a number that is not negative, with a unit if it is a size.
func quantity(text string, size bool) (int64, bool) {
	text = strings.ToLower(text)
	unit := 1.0
	if size {
		for _, u := range units {
			if rest, ok := strings.CutSuffix(text, u.name); ok {
				text, unit = strings.TrimSpace(rest), u.bytes
				break
			}
		}
	}
	if strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }) >= 0 || len(text) > 20 {
		return 0, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && unit == 1 {
		return n, n < highest
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f*unit >= 1<<62 || !size {
		return 0, false
	}
	return int64(f * unit), true
}
