package signal

import (
	"github.com/wreg-project/wreg/inspect/text"
)

// A literal is a string to stop at in text. Do looks at what is around byte i of
// the text, where the literal begins, and gives the byte from which to go on,
// at least i+1.
type literal struct {
	text string
	fold bool // case means nothing; text is in lower case
	do   func(s *scanner, i int) int
}

// pairs gives, for each two bytes, the index into candidates of the literals
// that begin with them, 0 for none. Text has few of these pairs, so that most
// of it costs one look-up for each byte.
var (
	pairs      [1 << 16]uint16
	candidates [][]*literal
)

func init() {
	literals := makeLiterals()
	candidates = make([][]*literal, 1)
	for i := range literals {
		l := &literals[i]
		add := func(a, b byte) {
			k := int(a) | int(b)<<8
			if pairs[k] == 0 {
				pairs[k] = uint16(len(candidates))
				candidates = append(candidates, nil)
			}
			candidates[pairs[k]] = append(candidates[pairs[k]], l)
		}
		a, b := l.text[0], l.text[1]
		add(a, b)
		if l.fold {
			ua, ub := upper(a), upper(b)
			if ua != a {
				add(ua, b)
			}
			if ub != b {
				add(a, ub)
			}
			if ua != a && ub != b {
				add(ua, ub)
			}
		}
	}
}

func makeLiterals() []literal {
	list := []literal{
		{text: "://", do: (*scanner).url},
		{text: "-----BEGIN ", do: (*scanner).pem},
		{text: "eyJ", do: (*scanner).jwt},
		{text: "/home/", do: (*scanner).unixHome},
		{text: "/Users/", do: (*scanner).unixHome},
		{text: `:\users\`, fold: true, do: (*scanner).windowsHome},
	}
	for _, t := range tokens {
		for _, prefix := range t.prefixes {
			list = append(list, literal{text: prefix, do: func(s *scanner, i int) int { return s.token(t, len(prefix), i) }})
		}
	}
	for _, key := range registryKeys {
		list = append(list, literal{text: key, do: func(s *scanner, i int) int { return s.registryAuth(len(key), i) }})
	}
	for _, key := range secretWords {
		list = append(list, literal{text: key, fold: true, do: func(s *scanner, i int) int { return s.assignment(len(key), i) }})
	}
	for n, in := range interpreters {
		for h, mark := range in.marks {
			list = append(list, literal{text: mark, do: func(s *scanner, i int) int { return s.engine(n, h, i) }})
		}
	}
	for h, words := range minerWords {
		for _, word := range words {
			list = append(list, literal{text: word, fold: true, do: func(s *scanner, i int) int {
				s.hint(minerHint(h), i, len(word))
				return i + 1
			}})
		}
	}
	for d := byte('0'); d <= '9'; d++ {
		list = append(list, literal{text: string([]byte{d, '.'}), do: (*scanner).address})
	}
	for _, tld := range domains {
		list = append(list, literal{text: tld, do: func(s *scanner, i int) int { return s.domain(len(tld), i) }})
	}
	for c := byte('0'); c <= 'z'; c++ {
		if isAlnum(c) {
			list = append(list, literal{text: string([]byte{c, '@'}), do: (*scanner).email})
		}
	}
	return list
}

// text looks at the text of the span.
func (s *scanner) text() {
	for r := range s.span.Runs(text.UsualRun) {
		s.run, s.b = r, s.span.Bytes[r.Start:r.End]
		if r.Encoding == text.UTF16 {
			s.wide = s.span.AppendUTF8(s.wide[:0], r)
			s.b = s.wide
		}
		s.match()
		s.wallets()
		if s.each != nil {
			s.pointers.Cut(s.span, r, text.UsualRun, func(piece text.Run) bool {
				s.each(s.span, piece)
				return true
			})
		}
	}
}

// match stops at the literals in the text of the run.
func (s *scanner) match() {
	b := s.b
	for i := 0; i+1 < len(b); {
		k := pairs[uint16(b[i])|uint16(b[i+1])<<8]
		if k == 0 {
			i++
			continue
		}
		next := i + 1
		for _, l := range candidates[k] {
			if has(b[i:], l) {
				next = max(next, l.do(s, i))
			}
		}
		i = next
	}
}

func has(b []byte, l *literal) bool {
	if len(b) < len(l.text) {
		return false
	}
	if !l.fold {
		return string(b[:len(l.text)]) == l.text
	}
	for i := range len(l.text) {
		if lower(b[i]) != l.text[i] {
			return false
		}
	}
	return true
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 0x20
	}
	return c
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 0x20
	}
	return c
}

// begins reports whether a word can begin at byte i: behind no character of
// words, or where the program says that a literal begins.
func (s *scanner) begins(i int) bool {
	return i == 0 || !isWordByte(s.b[i-1]) || s.literalAt(i)
}

// ends reports whether a word can end before byte i.
func (s *scanner) ends(i int) bool {
	return i >= len(s.b) || !isWordByte(s.b[i]) || s.literalAt(i)
}

func (s *scanner) literalAt(i int) bool {
	return s.run.Encoding == text.UTF8 && s.pointers.Begins(s.span, s.run.Start+i)
}

// limit is where the literal ends that covers byte i, at most i+most.
func (s *scanner) limit(i, most int) int {
	end := min(len(s.b), i+most)
	if s.run.Encoding == text.UTF8 {
		short := s.run
		short.End = s.run.Start + end
		end = s.pointers.End(s.span, short, s.run.Start+i) - s.run.Start
	}
	return end
}

// The classes of characters that tokens are made of.
const (
	digit = 1 << iota
	upperCase
	lowerCase
	hexDigit  // in lower case
	base32    // upper case and 2 to 7
	underline // _
	dash      // -
	dot       // .
	b64Extra  // + / =
	base58    // letters and digits without 0, O, I and l

	alpha  = upperCase | lowerCase
	alnum  = alpha | digit
	urlB64 = alnum | dash | underline
	stdB64 = alnum | b64Extra
)

var charClass = func() (t [256]uint16) {
	set := func(chars string, class uint16) {
		for i := range len(chars) {
			t[chars[i]] |= class
		}
	}
	const az, AZ, d09 = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	set(az, lowerCase)
	set(AZ, upperCase)
	set(d09, digit)
	set(d09+"abcdef", hexDigit)
	set(AZ+"234567", base32)
	set("_", underline)
	set("-", dash)
	set(".", dot)
	set("+/=", b64Extra)
	set("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", base58)
	return t
}()

func isAlnum(c byte) bool    { return charClass[c]&alnum != 0 }
func isWordByte(c byte) bool { return charClass[c]&(alnum|underline) != 0 }

// while gives the end of the characters of a class from i on, at most end.
func (s *scanner) while(i, end int, class uint16) int {
	end = min(end, len(s.b))
	for i < end && charClass[s.b[i]]&class != 0 {
		i++
	}
	return i
}

// back gives the beginning of the characters of a class before i, at most most
// of them.
func (s *scanner) back(i, most int, class uint16) int {
	floor := max(0, i-most)
	for i > floor && charClass[s.b[i-1]]&class != 0 {
		i--
	}
	return i
}
