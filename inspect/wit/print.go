package wit

import (
	"fmt"
	"strconv"
	"strings"
)

// Print gives the document as WIT text in the order and form of the component
// tools: the package first, the ones it refers to nested after it. A text
// longer than MaxText is ErrLimit.
func Print(d *Document) (string, error) {
	p := &printer{max: MaxText}
	p.document(d)
	if p.full {
		return "", fmt.Errorf("%w: text of more than %d bytes", ErrLimit, MaxText)
	}
	return p.b.String(), nil
}

func (p *printer) document(d *Document) {
	p.pkg(d.Package, true)
	for i, n := range d.Nested {
		if i > 0 {
			p.raw("\n\n")
		}
		p.pkg(n, false)
	}
}

// A printer writes lines with indentation, and nothing more once it is full.
type printer struct {
	b      strings.Builder
	indent int
	bol    bool // at the beginning of a line
	items  bool // whether the block has something before which a line is left free
	max    int  // bytes
	full   bool
}

func (p *printer) raw(s string) {
	if p.full || p.b.Len()+len(s) > p.max {
		p.full = true
		return
	}
	p.b.WriteString(s)
}

// add writes parts of a line.
func (p *printer) add(parts ...string) {
	if p.bol {
		p.bol = false
		for range p.indent {
			p.raw("  ")
		}
	}
	for _, s := range parts {
		p.raw(s)
	}
}

// line writes the parts and ends the line.
func (p *printer) line(parts ...string) {
	p.add(parts...)
	p.newline()
}

func (p *printer) newline() {
	p.raw("\n")
	p.bol = true
}

// block writes what body writes between braces.
func (p *printer) block(body func()) {
	p.line(" {")
	p.indent++
	outer := p.items
	p.items = false
	body()
	p.items = outer
	p.indent--
	p.line("}")
}

// item leaves a line free before every item but the first of a block.
func (p *printer) item() {
	if p.items {
		p.newline()
	}
	p.items = true
}

// name escapes a keyword.
func name(s string) string {
	if keywords[s] {
		return "%" + s
	}
	return s
}

// packagePath is the package name with escapes, without version.
func packagePath(n PackageName) string { return name(n.Namespace) + ":" + name(n.Name) }

func path(p Path) string {
	if p.Package == (PackageName{}) {
		return name(p.Name)
	}
	s := packagePath(p.Package) + "/" + name(p.Name)
	if p.Package.Version != "" {
		s += "@" + p.Package.Version
	}
	return s
}

func (p *printer) pkg(pkg *Package, outermost bool) {
	p.docs(pkg.Docs)
	named := pkg.Name != (PackageName{})
	if named {
		p.add("package ", packagePath(pkg.Name))
		if pkg.Name.Version != "" {
			p.add("@", pkg.Name.Version)
		}
	}
	switch {
	case !outermost:
		p.block(func() { p.contents(pkg, false) })
	case named:
		p.line(";")
		p.newline()
		p.contents(pkg, true)
	default:
		p.contents(pkg, true)
	}
}

func (p *printer) contents(pkg *Package, outermost bool) {
	for _, u := range pkg.Uses {
		p.meta(u.gates())
		p.add("use ", path(u.Path))
		p.as(u.As)
		p.line(";")
	}
	if outermost && len(pkg.Uses) > 0 {
		p.newline()
	}
	for _, i := range pkg.Interfaces {
		p.meta(i.Meta)
		p.add("interface ", name(i.Name))
		p.block(func() { p.contentsOf(i) })
		if outermost {
			p.newline()
		}
	}
	for _, w := range pkg.Worlds {
		p.meta(w.Meta)
		p.add("world ", name(w.Name))
		p.block(func() { p.world(w) })
	}
}

func (p *printer) contentsOf(i *Interface) {
	p.uses(i.Uses)
	p.types(i.Types)
	for _, f := range i.Funcs {
		p.item()
		p.function(f)
	}
}

func (p *printer) world(w *World) {
	for _, i := range w.Includes {
		p.meta(i.gates())
		p.add("include ", path(i.Path))
		if len(i.Names) == 0 {
			p.line(";")
		} else {
			p.add(" with { ")
			p.names(i.Names)
			p.line(" }")
		}
		p.items = true
	}
	functions := len(w.Imports)
	for n, e := range w.Imports {
		if e.Func != nil {
			functions = n
			break
		}
		p.extern("import ", e)
		p.items = true
	}
	p.uses(w.Uses)
	p.types(w.Types)
	for _, e := range w.Imports[functions:] {
		p.extern("import ", e)
		p.items = true
	}
	if len(w.Exports) > 0 {
		p.item()
	}
	for _, e := range w.Exports {
		p.extern("export ", e)
	}
}

func (p *printer) extern(keyword string, e Extern) {
	switch {
	case e.Func != nil:
		p.meta(e.Func.Meta)
		p.add(keyword, name(e.Name), ": ")
		p.signature(e.Func)
		p.line(";")
	case e.Interface != nil:
		p.meta(e.Meta)
		p.add(keyword, name(e.Name), ": interface")
		p.block(func() { p.contentsOf(e.Interface) })
	default:
		p.meta(e.Meta)
		p.add(keyword)
		if e.Name != "" {
			p.add(name(e.Name), ": ")
		}
		p.line(path(e.Path), ";")
	}
}

func (p *printer) uses(uses []Use) {
	for _, u := range uses {
		p.items = true
		p.meta(u.gates())
		p.add("use ", path(u.Path), ".{")
		p.names(u.Names)
		p.line("};")
	}
}

func (p *printer) names(names []UseName) {
	for i, n := range names {
		if i > 0 {
			p.add(", ")
		}
		p.add(name(n.Name))
		p.as(n.As)
	}
}

func (p *printer) as(as string) {
	if as != "" {
		p.add(" as ", name(as))
	}
}

func (p *printer) types(types []*TypeDef) {
	for _, t := range types {
		p.item()
		p.meta(t.Meta)
		p.add(string(t.Kind), " ", name(t.Name))
		switch {
		case t.Kind == DefType:
			p.add(" = ")
			p.typ(t.Type, 0)
			p.line(";")
		case t.Kind == DefResource && len(t.Funcs) == 0:
			p.line(";")
		case t.Kind == DefResource:
			p.block(func() {
				for _, f := range t.Funcs {
					p.function(f)
				}
			})
		default:
			p.block(func() { p.fields(t) })
		}
	}
}

func (p *printer) fields(t *TypeDef) {
	for _, i := range t.Items {
		p.docs(i.Docs)
		p.add(name(i.Name))
		switch {
		case t.Kind == DefRecord:
			p.add(": ")
			p.typ(i.Type, 0)
		case i.Type != nil:
			p.add("(")
			p.typ(i.Type, 0)
			p.add(")")
		}
		p.line(",")
	}
}

// function writes a function that is named, or a constructor.
func (p *printer) function(f *Func) {
	p.meta(f.Meta)
	switch f.Kind {
	case FuncConstructor:
	case FuncStatic:
		p.add(name(f.Name), ": static ")
	case FuncFree, FuncMethod:
		p.add(name(f.Name), ": ")
	}
	p.signature(f)
	p.line(";")
}

func (p *printer) signature(f *Func) {
	if f.Async {
		p.add("async ")
	}
	if f.Kind == FuncConstructor {
		p.add("constructor(")
	} else {
		p.add("func(")
	}
	for i, a := range f.Params {
		if i > 0 {
			p.add(", ")
		}
		p.add(name(a.Name), ": ")
		p.typ(a.Type, 0)
	}
	p.add(")")
	if f.Result != nil {
		p.add(" -> ")
		p.typ(f.Result, 0)
	}
}

// String gives the type as WIT text; beyond a few kB the rest is "…".
func (t *Type) String() string {
	p := &printer{max: maxTypeText}
	p.typ(t, 0)
	if p.full {
		p.b.WriteString("…")
	}
	return p.b.String()
}

const maxTypeText = 4096

// typ writes a type. Types share their parts: what bounds the work is that
// nothing is written, and then nothing read, once the text is full.
func (p *printer) typ(t *Type, depth int) {
	if t == nil {
		p.add("_")
		return
	}
	if p.full || depth > MaxTypeDepth {
		p.full = true
		return
	}
	switch t.Kind {
	case KindName:
		p.add(name(t.Name))
	case KindOwn, KindBorrow:
		p.add(string(t.Kind), "<", name(t.Name), ">")
	case KindFixedList:
		p.add("list<")
		p.typ(t.Args[0], depth+1)
		p.add(", ", strconv.FormatUint(uint64(t.Len), 10), ">")
	default:
		p.add(string(t.Kind))
		args := t.Args
		for len(args) > 0 && args[len(args)-1] == nil {
			args = args[:len(args)-1] // "result<a, _>" is not written
		}
		for i, a := range args {
			p.add([]string{"<", ", "}[min(i, 1)])
			p.typ(a, depth+1)
		}
		if len(args) > 0 || t.Kind == KindTuple {
			p.add([]string{"<>", ">"}[min(len(args), 1)])
		}
	}
}

func (p *printer) meta(m Meta) {
	p.docs(m.Docs)
	if m.Since != "" {
		p.line("@since(version = ", m.Since, ")")
	}
	if m.Unstable != "" {
		p.line("@unstable(feature = ", name(m.Unstable), ")")
	}
	if m.Deprecated != "" {
		p.line("@deprecated(version = ", m.Deprecated, ")")
	}
	if m.ExternalID != "" {
		p.line(`@external-id("`, escape(m.ExternalID), `")`)
	}
}

func (p *printer) docs(docs string) {
	if docs == "" {
		return
	}
	for line := range strings.SplitSeq(docs, "\n") {
		if line == "" {
			p.line("///")
		} else {
			p.line("/// ", line)
		}
	}
}

// escape writes the inside of a string literal; all but plain characters as
// escapes, so that nothing in it can change how a terminal shows the rest.
func escape(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\\' || c == '"':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == ' ' || c > ' ' && c < 0x7f && (isLetter(c) || isDigit(c) || strings.ContainsRune("-_./:", c)):
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		default:
			fmt.Fprintf(&b, `\u{%x}`, c)
		}
	}
	return b.String()
}

func isLetter(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c rune) bool  { return c >= '0' && c <= '9' }
