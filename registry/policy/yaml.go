package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on YAML.
const (
	maxSource  = 512 << 10 // bytes
	maxItems   = 20_000    // of one list
	maxString  = 8 << 10   // bytes of one text
	maxProblem = 20        // errors that are reported
)

// A document is YAML that is being read. It collects errors, so that an author
// sees all of them, and gives up at maxProblem.
type document struct {
	lines []string
	errs  Errors
	rule  string // that is being read, for errors
	facts int    // read so far, of test files
}

// open reads the one document of source. Anchors and aliases are refused where
// they are met, so that nothing is ever longer than the file.
func open(source []byte) (*document, *yaml.Node, error) {
	if len(source) > maxSource {
		return nil, nil, fmt.Errorf("%w: %d bytes are more than %d", ErrTooLarge, len(source), maxSource)
	}
	d := &document{}
	if !utf8.Valid(source) {
		return nil, nil, Errors{{Line: 1, Column: 1, Msg: "the file is not text in UTF-8"}}
	}
	d.lines = strings.Split(string(source), "\n")
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var root, second yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return nil, nil, Errors{{Line: 1, Column: 1, Msg: "the file is empty"}}
	case err != nil:
		return nil, nil, Errors{yamlError(err)}
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, nil, Errors{{Line: second.Line, Column: second.Column, Msg: "a second document in one file"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, Errors{yamlError(err)}
	}
	if len(root.Content) != 1 {
		return nil, nil, Errors{{Line: 1, Column: 1, Msg: "the file is empty"}}
	}
	return d, root.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func yamlError(err error) *Error {
	e := &Error{Line: 1, Column: 1, Msg: clean(err.Error())}
	if m := yamlLine.FindStringSubmatch(e.Msg); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			e.Line = max(line, 1)
		}
		e.Msg = e.Msg[len(m[0]):]
	}
	e.Msg, _ = cut("YAML: "+strings.TrimPrefix(e.Msg, "yaml: "), MaxMessage)
	return e
}

func (d *document) fail(n *yaml.Node, hint, format string, args ...any) {
	d.report(&Error{Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

func (d *document) report(e *Error) {
	if len(d.errs) < maxProblem {
		e.Rule = d.rule
		d.errs = append(d.errs, e)
	}
}

// err is what was wrong, sorted by place.
func (d *document) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	return d.errs
}

// is checks that n is of a kind and no alias.
func (d *document) is(n *yaml.Node, kind yaml.Kind, what string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fail(n, "", "anchors and aliases are not supported")
		return false
	case n.Kind != kind:
		d.fail(n, "", "this has to be %s", what)
		return false
	}
	return true
}

// A field reads the value of one key.
type field struct {
	name string
	read func(*yaml.Node)
}

// mapping reads a mapping with these keys. It reports whether n is one.
func (d *document) mapping(n *yaml.Node, fields ...field) bool {
	if !d.is(n, yaml.MappingNode, "a mapping with keys") {
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		switch {
		case key.Kind != yaml.ScalarNode || at < 0:
			d.unknownKey(key, fields)
		case seen[key.Value]:
			d.fail(key, "", "%s is there twice", key.Value)
		default:
			seen[key.Value] = true
			fields[at].read(value)
		}
		if len(d.errs) >= maxProblem {
			return true
		}
	}
	return true
}

func (d *document) unknownKey(key *yaml.Node, fields []field) {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	hint := "known are " + strings.Join(names, ", ")
	if n := nearest(key.Value, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	d.fail(key, hint, "unknown key %q", clip(key.Value))
}

// list calls read for each item of a sequence.
func (d *document) list(n *yaml.Node, limit int, read func(*yaml.Node)) {
	if !d.is(n, yaml.SequenceNode, "a list") {
		return
	}
	if len(n.Content) > limit {
		d.fail(n, "", "%d items are more than %d", len(n.Content), limit)
		return
	}
	for _, item := range n.Content {
		read(item)
		if len(d.errs) >= maxProblem {
			return
		}
	}
}

// text reads a text.
func (d *document) text(n *yaml.Node) string {
	switch {
	case !d.is(n, yaml.ScalarNode, "a text"):
		return ""
	case n.ShortTag() != "!!str":
		d.fail(n, "put it in quotes", "%s is no text to YAML", clip(n.Value))
		return ""
	case len(n.Value) > maxString:
		d.fail(n, "", "%d bytes of text are more than %d", len(n.Value), maxString)
		return ""
	}
	return n.Value
}

func (d *document) texts(n *yaml.Node, limit int) []string {
	list := []string{}
	d.list(n, limit, func(item *yaml.Node) { list = append(list, d.text(item)) })
	return list
}

func (d *document) bool(n *yaml.Node) *bool {
	var b bool
	if !d.is(n, yaml.ScalarNode, "true or false") {
		return nil
	}
	if n.ShortTag() != "!!bool" || n.Decode(&b) != nil {
		d.fail(n, "", "this has to be true or false")
		return nil
	}
	return &b
}

func (d *document) number(n *yaml.Node) *uint32 {
	var v uint32
	if !d.is(n, yaml.ScalarNode, "a number") {
		return nil
	}
	if n.ShortTag() != "!!int" || n.Decode(&v) != nil {
		d.fail(n, "", "this has to be a whole number from 0 to 4294967295")
		return nil
	}
	return &v
}

// oneOf reads one of a few words.
func oneOf[T ~string](d *document, n *yaml.Node, words ...T) T {
	text := d.text(n)
	if slices.Contains(words, T(text)) || text == "" {
		return T(text)
	}
	var names []string
	for _, w := range words {
		names = append(names, string(w))
	}
	hint := "known are " + strings.Join(names, ", ")
	if near := nearest(text, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	d.fail(n, hint, "unknown word %q", clip(text))
	return ""
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// name reads the name of a policy or rule.
func (d *document) name(n *yaml.Node) string {
	text := d.text(n)
	if text != "" && !nameForm.MatchString(text) {
		d.fail(n, "lower-case letters, digits, and between them . _ -, at most 63", "%q is no name", clip(text))
		return ""
	}
	return text
}

// at gives the place in the source of a place in the value of the scalar n: lines
// and columns count characters from 1.
func (d *document) at(n *yaml.Node, line, column int) (int, int) {
	value := []rune(n.Value)
	offset := 0
	for ; line > 1 && offset < len(value); offset++ {
		if value[offset] == '\n' {
			line--
		}
	}
	offset = min(offset+column-1, len(value))
	return d.follow(n, value[:offset])
}

// follow walks through the source of n until what it stands for is value. It
// knows what YAML does to line breaks, quotes and escapes.
func (d *document) follow(n *yaml.Node, value []rune) (line, column int) {
	c := &cursor{lines: d.lines, line: n.Line - 1, column: n.Column - 1}
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		c.column++
	case yaml.LiteralStyle, yaml.FoldedStyle:
		c.column = 0
		c.line++
		c.blank()
	default:
	}
	for _, r := range value {
		c.step(r, n.Style)
	}
	if len(value) > 0 && (value[len(value)-1] == '\n' || n.Style&yaml.FoldedStyle != 0) {
		c.blank()
	}
	return c.line + 1, c.column + 1
}

// A cursor is a place in a file, from 0.
type cursor struct {
	lines        []string
	line, column int
}

func (c *cursor) rest() []rune {
	if c.line >= len(c.lines) {
		return nil
	}
	runes := []rune(strings.TrimSuffix(c.lines[c.line], "\r"))
	return runes[min(c.column, len(runes)):]
}

// blank goes over white space and ends of lines.
func (c *cursor) blank() {
	for c.line < len(c.lines) {
		rest := c.rest()
		n := 0
		for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t') {
			n++
		}
		c.column += n
		if n < len(rest) || c.line+1 >= len(c.lines) {
			return
		}
		c.line, c.column = c.line+1, 0
	}
}

// step goes over the source of one character of a value.
func (c *cursor) step(r rune, style yaml.Style) {
	rest := c.rest()
	space := r == ' ' || r == '\n' || r == '\t'
	switch {
	case len(rest) == 0 && space, len(rest) > 0 && space && strings.TrimSpace(string(rest)) == "" && style&yaml.LiteralStyle == 0:
		c.blank()
	case len(rest) == 0:
		c.blank()
		c.column++
	case style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\':
		c.column += escapeLength(rest)
	case style&yaml.SingleQuotedStyle != 0 && r == '\'':
		c.column += 2
	default:
		c.column++
	}
}

// escapeLength is how many characters an escape of YAML has.
func escapeLength(rest []rune) int {
	if len(rest) < 2 {
		return 1
	}
	switch rest[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
