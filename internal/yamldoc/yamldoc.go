// Package yamldoc reads YAML that people write: keys that nobody knows are
// refused with the one that was perhaps meant, everything wrong is reported with
// its place, and nothing is larger than its bound. Anchors and aliases are not
// read, so that nothing is ever longer than the file.
package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/internal/near"
	"github.com/wreg-project/wreg/internal/term"
)

// Bounds on what is read.
const (
	MaxItems = 20_000  // of one list
	MaxText  = 8 << 10 // bytes of one text
	MaxFound = 20      // errors that are reported
	maxShown = 60      // bytes of what is quoted in an error
	maxSaid  = 800     // bytes of an error of the YAML reader
)

// ErrTooLarge is of a file beyond the bound on its bytes.
var ErrTooLarge = errors.New("too large")

// An Error says what is wrong and where.
type Error struct {
	In     string // what part of the file it is in, as Document.In says, "" for none
	Line   int    // from 1
	Column int    // in characters, from 1
	Msg    string
	Hint   string // what to write instead, "" if nothing suggests itself
}

// Error gives "12:7: rule built: unknown key "bye" (did you mean by?)".
func (e *Error) Error() string {
	s := strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column) + ": "
	if e.In != "" {
		s += e.In + ": "
	}
	s += e.Msg
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors are all that is wrong with a file, in the order of its reading.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// A Document is YAML that is being read. It collects errors, so that an author
// sees all of them, and gives up at MaxFound.
type Document struct {
	In string // what part is being read, for errors

	lines []string
	errs  Errors
}

// Open reads the one document of source. More than limit bytes are ErrTooLarge; any
// other error is Errors.
func Open(source []byte, limit int) (*Document, *yaml.Node, error) {
	if len(source) > limit {
		return nil, nil, fmt.Errorf("%w: %d bytes are more than %d", ErrTooLarge, len(source), limit)
	}
	d := &Document{}
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

var yamlLine = lazy.Regexp(`^yaml: line (\d+): `)

func yamlError(err error) *Error {
	e := &Error{Line: 1, Column: 1, Msg: term.Clean(err.Error())}
	if m := yamlLine().FindStringSubmatch(e.Msg); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			e.Line = max(line, 1)
		}
		e.Msg = e.Msg[len(m[0]):]
	}
	e.Msg = cut("YAML: "+strings.TrimPrefix(e.Msg, "yaml: "), maxSaid)
	return e
}

// Fail reports that n is wrong.
func (d *Document) Fail(n *yaml.Node, hint, format string, args ...any) {
	d.report(&Error{Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// FailAt reports that something is wrong at a line and column, from 1, of the value
// of the scalar n.
func (d *Document) FailAt(n *yaml.Node, line, column int, hint, format string, args ...any) {
	line, column = d.At(n, line, column)
	d.report(&Error{Line: line, Column: column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// Full reports whether there are as many errors as are kept.
func (d *Document) Full() bool { return len(d.errs) >= MaxFound }

// Failed reports whether anything was wrong so far.
func (d *Document) Failed() bool { return len(d.errs) > 0 }

func (d *Document) report(e *Error) {
	if !d.Full() {
		e.In = d.In
		d.errs = append(d.errs, e)
	}
}

// Err is what was wrong, of type Errors; nil is nothing.
func (d *Document) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	return d.errs
}

// Is checks that n is of a kind and no alias.
func (d *Document) Is(n *yaml.Node, kind yaml.Kind, what string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.Fail(n, "", "anchors and aliases are not supported")
		return false
	case n.Kind != kind:
		d.Fail(n, "", "this has to be %s", what)
		return false
	}
	return true
}

// A Field reads the value of one key.
type Field struct {
	Name string
	Read func(*yaml.Node)
}

// Mapping reads a mapping with these keys. It reports whether n is one.
func (d *Document) Mapping(n *yaml.Node, fields ...Field) bool {
	if !d.Is(n, yaml.MappingNode, "a mapping with keys") {
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(fields, func(f Field) bool { return f.Name == key.Value })
		switch {
		case key.Kind != yaml.ScalarNode || at < 0:
			d.unknownKey(key, fields)
		case seen[key.Value]:
			d.Fail(key, "", "%s is there twice", key.Value)
		default:
			seen[key.Value] = true
			fields[at].Read(value)
		}
		if d.Full() {
			return true
		}
	}
	return true
}

func (d *Document) unknownKey(key *yaml.Node, fields []Field) {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	hint := "known are " + strings.Join(names, ", ")
	if n := near.Nearest(key.Value, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	d.Fail(key, hint, "unknown key %q", quote(key.Value))
}

// List calls read for each item of a sequence.
func (d *Document) List(n *yaml.Node, limit int, read func(*yaml.Node)) {
	if !d.Is(n, yaml.SequenceNode, "a list") {
		return
	}
	if len(n.Content) > limit {
		d.Fail(n, "", "%d items are more than %d", len(n.Content), limit)
		return
	}
	for _, item := range n.Content {
		read(item)
		if d.Full() {
			return
		}
	}
}

// Text reads a text.
func (d *Document) Text(n *yaml.Node) string {
	switch {
	case !d.Is(n, yaml.ScalarNode, "a text"):
		return ""
	case n.ShortTag() != "!!str":
		d.Fail(n, "put it in quotes", "%s is no text to YAML", quote(n.Value))
		return ""
	case len(n.Value) > MaxText:
		d.Fail(n, "", "%d bytes of text are more than %d", len(n.Value), MaxText)
		return ""
	}
	return n.Value
}

// Texts reads a list of at most limit texts.
func (d *Document) Texts(n *yaml.Node, limit int) []string {
	list := []string{}
	d.List(n, limit, func(item *yaml.Node) { list = append(list, d.Text(item)) })
	return list
}

// Bool reads true or false; nil is neither.
func (d *Document) Bool(n *yaml.Node) *bool {
	var b bool
	if !d.Is(n, yaml.ScalarNode, "true or false") {
		return nil
	}
	if n.ShortTag() != "!!bool" || n.Decode(&b) != nil {
		d.Fail(n, "", "this has to be true or false")
		return nil
	}
	return &b
}

// Number reads a whole number; nil is none.
func (d *Document) Number(n *yaml.Node) *uint32 {
	var v uint32
	if !d.Is(n, yaml.ScalarNode, "a number") {
		return nil
	}
	if n.ShortTag() != "!!int" || n.Decode(&v) != nil {
		d.Fail(n, "", "this has to be a whole number from 0 to 4294967295")
		return nil
	}
	return &v
}

// OneOf reads one of a few words.
func OneOf[T ~string](d *Document, n *yaml.Node, words ...T) T {
	text := d.Text(n)
	if slices.Contains(words, T(text)) || text == "" {
		return T(text)
	}
	var names []string
	for _, w := range words {
		names = append(names, string(w))
	}
	hint := "known are " + strings.Join(names, ", ")
	if near := near.Nearest(text, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	d.Fail(n, hint, "unknown word %q", quote(text))
	return ""
}

var nameForm = lazy.Regexp(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// IsName reports whether s is a name as Name reads it.
func IsName(s string) bool { return nameForm().MatchString(s) }

// Name reads a name: lower-case letters, digits, and between them . _ -, at most
// 63.
func (d *Document) Name(n *yaml.Node) string {
	text := d.Text(n)
	if text != "" && !nameForm().MatchString(text) {
		d.Fail(n, "lower-case letters, digits, and between them . _ -, at most 63", "%q is no name", quote(text))
		return ""
	}
	return text
}

// At gives the place in the source of a place in the value of the scalar n: lines
// and columns count characters from 1.
func (d *Document) At(n *yaml.Node, line, column int) (int, int) {
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
func (d *Document) follow(n *yaml.Node, value []rune) (line, column int) {
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

// quote shortens what is quoted in an error.
func quote(s string) string { return cut(term.Clean(s), maxShown) }

// cut cuts s to n bytes, at the end of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
