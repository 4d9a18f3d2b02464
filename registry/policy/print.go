package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// cut shortens s to at most n bytes, without breaking a character, and marks that
// by "…".
func cut(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	n = max(n-len("…"), 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…", true
}

// clean replaces what could do something to a terminal or log: names come out of
// other people's files.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}

// A printer prints values of expressions for people, in bounded length.
type printer struct {
	b     strings.Builder
	limit int // bytes
}

func (p *printer) full() bool { return p.b.Len() > p.limit }

func (p *printer) String() string {
	s, _ := cut(p.b.String(), p.limit)
	return s
}

// show prints a value of an expression, texts in quotes.
func show(v ref.Val, limit int) string {
	p := &printer{limit: limit}
	p.value(v, true, 0)
	return p.String()
}

// tell prints a value as a part of a sentence: texts, also those in a list,
// without quotes.
func tell(v ref.Val, limit int) string {
	p := &printer{limit: limit}
	p.value(v, false, 0)
	return p.String()
}

// maxDepth bounds how deep values are printed.
const maxDepth = 4

func (p *printer) value(v ref.Val, quoted bool, depth int) {
	if depth > maxDepth {
		p.b.WriteString("…")
		return
	}
	switch v := v.(type) {
	case types.String:
		s, _ := cut(string(v), p.limit)
		if quoted {
			p.b.WriteString(strconv.Quote(s))
		} else {
			p.b.WriteString(clean(s))
		}
	case types.Bool, types.Int, types.Uint, types.Double:
		fmt.Fprint(&p.b, v.Value())
	case types.Null:
		p.b.WriteString("null")
	case traits.Lister:
		p.list(v, quoted, depth)
	case traits.Mapper:
		p.mapping(v, depth)
	default:
		p.object(v, depth == 0)
	}
}

func (p *printer) list(v traits.Lister, quoted bool, depth int) {
	if depth > 0 || quoted {
		p.b.WriteByte('[')
		defer p.b.WriteByte(']')
	}
	n, _ := v.Size().(types.Int)
	if n == 0 && !quoted {
		p.b.WriteString("none")
	}
	for i := types.Int(0); i < n && !p.full(); i++ {
		if i > 0 {
			p.b.WriteString(", ")
		}
		p.value(v.Get(i), quoted, depth+1)
	}
}

func (p *printer) mapping(v traits.Mapper, depth int) {
	type entry struct {
		key   string
		value ref.Val
	}
	var list []entry
	for it := v.Iterator(); it.HasNext() == types.True && len(list) < p.limit; {
		key := it.Next()
		list = append(list, entry{fmt.Sprint(key.Value()), v.Get(key)})
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	p.b.WriteByte('{')
	for i, e := range list {
		if p.full() {
			break
		}
		if i > 0 {
			p.b.WriteString(", ")
		}
		p.b.WriteString(strconv.Quote(e.key) + ": ")
		p.value(e.value, true, depth+1)
	}
	p.b.WriteByte('}')
}

// object prints facts: of an import what it is called, and its type if it stands
// alone; of what is in a file its package URL.
func (p *printer) object(v ref.Val, alone bool) {
	switch o := v.Value().(type) {
	case Import:
		p.extern(alone, o.Type, o.Module, o.Name)
	case Export:
		p.extern(alone, o.Type, o.Name)
	case Component:
		p.extern(alone, o.Class, o.PURL)
	case Vulnerability:
		p.extern(alone, o.Rating+", "+o.Reach, o.ID, o.PURL)
	default:
		text, err := json.Marshal(o)
		if err != nil {
			text = []byte(v.Type().TypeName())
		}
		s, _ := cut(clean(string(text)), p.limit)
		p.b.WriteString(s)
	}
}

// extern prints the names of something, and what it is if it stands alone.
func (p *printer) extern(alone bool, typ string, names ...string) {
	var quoted []string
	for _, n := range names {
		if n != "" || len(names) == 1 {
			s, _ := cut(n, p.limit)
			quoted = append(quoted, strconv.Quote(s))
		}
	}
	p.b.WriteString(strings.Join(quoted, " "))
	if alone && typ != "" {
		s, _ := cut(clean(typ), p.limit)
		p.b.WriteString(" " + s)
	}
}
