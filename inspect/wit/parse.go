package wit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads WIT text: the files of one package put together, with the
// packages it needs nested or not. Names are not looked up: that a type or an
// interface exists is for those to ask who use it. Errors are a [*SyntaxError].
func Parse(text string) (*Document, error) {
	p := &parser{lexer: lexer{src: text}}
	p.checkText()
	p.src = strings.TrimPrefix(text, "\ufeff")
	p.advance()
	d := p.document()
	if p.err != nil {
		return nil, p.err
	}
	return d, nil
}

// A parser is one token ahead of what has been read. After an error tok is
// tokEnd for good, so that loops end.
type parser struct {
	lexer
	tok token
}

func (p *parser) advance() token {
	t := p.tok
	p.tok = p.next()
	return t
}

// unexpected fails at the next token.
func (p *parser) unexpected(want string) {
	got := p.tok.text
	switch p.tok.kind {
	case tokEnd:
		got = "the end"
	case tokArrow:
		got = "->"
	case tokWord, tokEscaped, tokNumber, tokString:
	default:
		got = string(rune(p.tok.kind))
	}
	p.syntax(p.tok.off, "%s expected, not %q", want, got)
	p.tok = token{off: p.tok.off}
}

// is reports whether the next token is the keyword.
func (p *parser) is(keyword string) bool { return p.tok.kind == tokWord && p.tok.text == keyword }

// skip steps over the keyword if it is next.
func (p *parser) skip(keyword string) bool {
	if !p.is(keyword) {
		return false
	}
	p.advance()
	return true
}

// accept steps over the sign if it is next.
func (p *parser) accept(kind byte) bool {
	if p.tok.kind != kind || p.err != nil {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(kind byte, want string) token {
	if p.tok.kind != kind {
		p.unexpected(want)
		return token{}
	}
	return p.advance()
}

func (p *parser) sign(c byte) { p.expect(c, strconv.Quote(string(rune(c)))) }

// atName reports whether a name is next: a word that is no keyword, or escaped.
func (p *parser) atName() bool {
	return p.tok.kind == tokEscaped || p.tok.kind == tokWord && !reserved(p.tok.text)
}

// reserved tells the keywords from words that are escaped for no need.
func reserved(w string) bool { return keywords[w] && w != "float32" && w != "float64" }

func (p *parser) name() string {
	if !p.atName() {
		p.unexpected("a name")
		return ""
	}
	return p.advance().text
}

// document reads the text up to its end.
func (p *parser) document() *Document {
	d := &Document{Package: &Package{}}
	pkg := d.Package
	for first := true; p.err == nil && p.tok.kind != tokEnd; first = false {
		docs := p.tok.docs
		if p.is("package") {
			n := p.packageName()
			if first && p.accept(';') {
				pkg.Name, pkg.Docs = n, cleanDocs(docs)
				continue
			}
			d.Nested = append(d.Nested, &Package{Name: n, Docs: cleanDocs(docs)})
			p.braces(func() { p.declaration(d.Nested[len(d.Nested)-1]) })
			continue
		}
		p.declaration(pkg)
	}
	return d
}

// packageName reads "package ns:name@version".
func (p *parser) packageName() PackageName {
	p.advance()
	n := PackageName{Namespace: p.name()}
	p.sign(':')
	n.Name = p.name()
	n.Version = p.at()
	return n
}

// at reads "@version" if it is there.
func (p *parser) at() string {
	if p.tok.kind != '@' || p.err != nil {
		return ""
	}
	v := p.version()
	p.advance()
	return v
}

// braces reads items up to the closing brace.
func (p *parser) braces(item func()) {
	p.sign('{')
	for p.err == nil && p.tok.kind != '}' && p.tok.kind != tokEnd {
		item()
	}
	p.sign('}')
}

// list reads items parted by commas up to the closing sign.
func (p *parser) list(end byte, item func()) {
	for p.err == nil && p.tok.kind != end {
		item()
		if !p.accept(',') {
			break
		}
	}
	p.sign(end)
}

// declaration reads an interface, a world or a use outside of both.
func (p *parser) declaration(pkg *Package) {
	m := p.meta()
	switch {
	case p.skip("interface"):
		i := &Interface{Meta: m, Name: p.name()}
		p.braces(func() { p.interfaceItem(i) })
		pkg.Interfaces = append(pkg.Interfaces, i)
	case p.skip("world"):
		w := &World{Meta: m, Name: p.name()}
		p.braces(func() { p.worldItem(w) })
		w.Imports = functionsLast(w.Imports)
		pkg.Worlds = append(pkg.Worlds, w)
	case p.skip("use"):
		u := TopUse{Meta: m.gates(), Path: p.path()}
		if p.skip("as") {
			u.As = p.name()
		}
		p.sign(';')
		pkg.Uses = append(pkg.Uses, u)
	default:
		p.unexpected(`"interface", "world", "use" or "package"`)
	}
}

func functionsLast(all []Extern) []Extern {
	if len(all) == 0 {
		return nil
	}
	isFunction := func(e Extern) int {
		if e.Func != nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b Extern) int { return isFunction(a) - isFunction(b) })
	return all
}

// meta reads the gates before an item, whose comments stand before them.
func (p *parser) meta() Meta {
	m := Meta{Docs: cleanDocs(p.tok.docs)}
	for p.accept('@') {
		gate := p.name()
		p.sign('(')
		switch gate {
		case "since":
			m.Since = p.gate("version")
		case "deprecated":
			m.Deprecated = p.gate("version")
		case "unstable":
			m.Unstable = p.gate("feature")
		case "external-id":
			m.ExternalID = p.unquote(p.expect(tokString, "a string"))
		default:
			p.syntax(p.tok.off, "unknown gate %q", gate)
		}
		p.sign(')')
	}
	return m
}

// gate reads "version = 1.2.3" or "feature = name".
func (p *parser) gate(key string) string {
	if !p.skip(key) {
		p.unexpected(strconv.Quote(key))
		return ""
	}
	if key == "feature" {
		p.sign('=')
		return p.name()
	}
	if p.tok.kind != '=' {
		p.unexpected(`"="`)
		return ""
	}
	v := p.version()
	p.advance()
	return v
}

func (p *parser) path() Path {
	id := p.name()
	if !p.accept(':') {
		return Path{Name: id}
	}
	return p.pathIn(id)
}

// pathIn reads what follows "ns:".
func (p *parser) pathIn(namespace string) Path {
	pkg := PackageName{Namespace: namespace, Name: p.name()}
	p.sign('/')
	to := Path{Name: p.name()}
	pkg.Version = p.at()
	to.Package = pkg
	return to
}

func (p *parser) interfaceItem(i *Interface) {
	m := p.meta()
	switch {
	case p.is("use"):
		i.Uses = append(i.Uses, p.use(m))
	case p.atName():
		i.Funcs = append(i.Funcs, p.namedFunc(m, FuncFree))
	default:
		if t := p.typeDef(m); t != nil {
			i.Types = append(i.Types, t)
		} else {
			p.unexpected("a type, a function or \"use\"")
		}
	}
}

func (p *parser) use(m Meta) Use {
	p.advance()
	u := Use{Meta: m.gates(), Path: p.path()}
	p.sign('.')
	p.sign('{')
	p.list('}', func() {
		n := UseName{Name: p.name()}
		if p.skip("as") {
			n.As = p.name()
		}
		u.Names = append(u.Names, n)
	})
	p.sign(';')
	return u
}

func (p *parser) worldItem(w *World) {
	m := p.meta()
	switch {
	case p.is("use"):
		w.Uses = append(w.Uses, p.use(m))
	case p.skip("import"):
		w.Imports = append(w.Imports, p.extern(m))
	case p.skip("export"):
		w.Exports = append(w.Exports, p.extern(m))
	case p.skip("include"):
		w.Includes = append(w.Includes, p.include(m))
	default:
		if t := p.typeDef(m); t != nil {
			w.Types = append(w.Types, t)
		} else {
			p.unexpected(`a type, "import", "export", "use" or "include"`)
		}
	}
}

func (p *parser) include(m Meta) Include {
	i := Include{Meta: m.gates(), Path: p.path()}
	if !p.skip("with") {
		p.sign(';')
		return i
	}
	p.sign('{')
	p.list('}', func() {
		n := UseName{Name: p.name()}
		if !p.skip("as") {
			p.unexpected(`"as"`)
		}
		n.As = p.name()
		i.Names = append(i.Names, n)
	})
	return i
}

// extern reads what is imported or exported. "a: b" is an interface under
// another name, and "a:b/c" one by its path.
func (p *parser) extern(m Meta) Extern {
	id := p.name()
	if !p.accept(':') {
		p.sign(';')
		return Extern{Meta: m, Path: Path{Name: id}}
	}
	switch {
	case p.is("func") || p.is("async"):
		f := p.function(&Func{Name: id, Meta: m})
		p.sign(';')
		return Extern{Name: id, Func: f}
	case p.skip("interface"):
		i := &Interface{}
		p.braces(func() { p.interfaceItem(i) })
		return Extern{Meta: m, Name: id, Interface: i}
	}
	e := Extern{Meta: m}
	second := p.name()
	switch {
	case p.accept('/'):
		e.Path = Path{Package: PackageName{Namespace: id, Name: second}, Name: p.name()}
		e.Path.Package.Version = p.at()
	case p.accept(':'):
		e.Name, e.Path = id, p.pathIn(second)
	default:
		e.Name, e.Path = id, Path{Name: second}
	}
	p.sign(';')
	return e
}

// typeDef reads a type definition, or gives nil if none is next.
func (p *parser) typeDef(m Meta) *TypeDef {
	t := &TypeDef{Kind: DefKind(p.tok.text), Meta: m}
	if p.tok.kind != tokWord {
		return nil
	}
	switch t.Kind {
	case DefType:
		p.advance()
		t.Name = p.name()
		p.sign('=')
		t.Type = p.typ(0)
		p.sign(';')
	case DefResource:
		p.advance()
		t.Name = p.name()
		if !p.accept(';') {
			p.braces(func() { t.Funcs = append(t.Funcs, p.resourceFunc()) })
		}
	case DefRecord, DefVariant, DefEnum, DefFlags:
		p.advance()
		t.Name = p.name()
		p.sign('{')
		p.list('}', func() { t.Items = append(t.Items, p.item(t.Kind)) })
	default:
		return nil
	}
	return t
}

// item reads a field, case or flag.
func (p *parser) item(kind DefKind) Item {
	i := Item{Docs: cleanDocs(p.tok.docs), Name: p.name()}
	switch {
	case kind == DefRecord:
		p.sign(':')
		i.Type = p.typ(0)
	case kind == DefVariant && p.accept('('):
		i.Type = p.typ(0)
		p.sign(')')
	}
	return i
}

func (p *parser) resourceFunc() *Func {
	m := p.meta()
	if !p.skip("constructor") {
		return p.namedFunc(m, FuncMethod)
	}
	f := p.parameters(&Func{Kind: FuncConstructor, Meta: m})
	p.sign(';')
	return f
}

// namedFunc reads "name: func();", in a resource also "name: static func();".
func (p *parser) namedFunc(m Meta, kind FuncKind) *Func {
	f := &Func{Kind: kind, Meta: m, Name: p.name()}
	p.sign(':')
	if kind == FuncMethod && p.skip("static") {
		f.Kind = FuncStatic
	}
	p.function(f)
	p.sign(';')
	return f
}

func (p *parser) function(f *Func) *Func {
	f.Async = p.skip("async")
	if !p.skip("func") {
		p.unexpected(`"func"`)
	}
	return p.parameters(f)
}

func (p *parser) parameters(f *Func) *Func {
	p.sign('(')
	p.list(')', func() {
		a := Param{Name: p.name()}
		p.sign(':')
		a.Type = p.typ(0)
		f.Params = append(f.Params, a)
	})
	if p.accept(tokArrow) {
		f.Result = p.typ(0)
	}
	return f
}

// typ reads a type. In case of an error it gives some type, never nil.
func (p *parser) typ(depth int) *Type {
	if depth >= MaxTypeDepth {
		p.fail(p.tok.off, fmt.Errorf("%w: types nested deeper than %d", ErrLimit, MaxTypeDepth))
	}
	if p.atName() {
		return &Type{Kind: KindName, Name: p.name()}
	}
	t := &Type{Kind: Kind(p.tok.text)}
	if p.tok.kind != tokWord || p.err != nil {
		p.unexpected("a type")
		return t
	}
	if prim := primitives[t.Kind]; prim != nil {
		p.advance()
		return prim
	}
	switch t.Kind {
	case KindOwn, KindBorrow:
		p.advance()
		p.sign('<')
		t.Name = p.name()
		p.sign('>')
	case KindList, KindMap, KindTuple, KindOption:
		p.advance()
		p.sign('<')
		p.arguments(t, depth)
	case KindResult, KindStream, KindFuture:
		p.advance()
		if p.accept('<') {
			p.arguments(t, depth)
		}
		for t.Kind == KindResult && len(t.Args) < 2 {
			t.Args = append(t.Args, nil)
		}
	default:
		p.unexpected("a type")
	}
	return t
}

// maxArguments are the most types a constructor takes; a tuple takes any number.
var maxArguments = map[Kind]int{KindList: 1, KindFixedList: 1, KindOption: 1, KindMap: 2, KindResult: 2, KindStream: 1, KindFuture: 1}

// arguments reads the types between angle brackets, the first sign of which has
// been read.
func (p *parser) arguments(t *Type, depth int) {
	off := p.tok.off
	if t.Kind == KindTuple {
		p.list('>', func() { t.Args = append(t.Args, p.typ(depth+1)) })
		return
	}
	for {
		if t.Kind == KindResult && len(t.Args) == 0 && p.accept('_') {
			t.Args = append(t.Args, nil)
		} else {
			t.Args = append(t.Args, p.typ(depth+1))
		}
		if !p.accept(',') {
			break
		}
		if t.Kind == KindList && p.tok.kind == tokNumber {
			p.length(t)
			break
		}
	}
	p.sign('>')
	n, most := len(t.Args), maxArguments[t.Kind]
	onlyGap := t.Kind == KindResult && n == 1 && t.Args[0] == nil
	if p.err == nil && (n > most || onlyGap || t.Kind == KindMap && n < most) {
		p.syntax(off, "%d types for %s", n, t.Kind)
	}
}

// length reads the length of a list that has a fixed one.
func (p *parser) length(t *Type) {
	n := p.advance()
	v, err := strconv.ParseUint(n.text, 10, 32)
	if err != nil {
		p.syntax(n.off, "%s is no length of a list", n.text)
	}
	t.Kind, t.Len = KindFixedList, uint32(v)
}

// unquote gives what a string literal stands for.
func (p *parser) unquote(t token) string {
	if p.err != nil {
		return ""
	}
	s := t.text[1 : len(t.text)-1]
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		n := 1
		switch c := s[i]; c {
		case '"', '\'', '\\':
			b = append(b, c)
		case 't', 'n', 'r':
			b = append(b, map[byte]byte{'t': '\t', 'n': '\n', 'r': '\r'}[c])
		case 'u':
			end := strings.IndexByte(s[i:], '}')
			v, err := uint64(0), error(nil)
			if end > 2 && s[i+1] == '{' {
				v, err = strconv.ParseUint(strings.ReplaceAll(s[i+2:i+end], "_", ""), 16, 32)
			} else {
				end, err = 1, strconv.ErrSyntax
			}
			if err != nil || !utf8.ValidRune(rune(v)) {
				p.syntax(t.off+i, "no character after \\u")
				return ""
			}
			b = utf8.AppendRune(b, rune(v))
			n = end + 1
		default:
			v, err := strconv.ParseUint(s[i:min(i+2, len(s))], 16, 8)
			if err != nil || i+2 > len(s) {
				p.syntax(t.off+i, "unknown escape \\%c", c)
				return ""
			}
			b = append(b, byte(v))
			n = 2
		}
		i += n - 1
	}
	if !utf8.Valid(b) {
		p.syntax(t.off, "malformed UTF-8 in a string")
	}
	return string(b)
}
