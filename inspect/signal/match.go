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

// A stop is a literal and where in it the pair of bytes is that it is found by.
type stop struct {
	*literal
	at int
}

// pairs gives, for each two bytes, the index into stops of the literals that are
// found by them, 0 for none. Each is found by the rarest pair it has, so that most
// text costs one look-up for each byte.
var (
	pairs [1 << 16]uint16
	stops [][]stop
)

// common are the pairs that are frequent in the text of programs, without regard
// to case, the most frequent ones first. They were counted over the real
// binaries of test/corpus.
const common = "erinatteonrentoraltirotaenlearstesdeiomeedodseraancotothitngpericteclidaastrnandetunis.rcaomsihenea.icss" +
	"exncgensvamailnocelortlaveeas_eeace_rsampafillidelotprharrchoudiptmp_1emimopckyputryadultyefigurolocfopl" +
	"aprmblusrurnabnipot_ueld_sieowgiofcriaagbetsaibiuc_cshrckelu.cumduipbunvhoegxp__zeivtumoosmiclttsoife.ay" +
	"lt_pr_hisuui12d_tneveprgsp10_z/supxtscciiztcubquoocs11/e/ifedbppfazndos.lyff.._tsambbaey19.1./l/irbowivi" +
	"m_jsrdnn14srsygo_agrkdl_t.mu_rcu/.e=_i00c/nu_e.26d::20n_13obtb_2r.lshtfue/gnynpuew--dd/r16s/_fgh"

func prepareLiterals() {
	literals := makeLiterals()
	stops = make([][]stop, 1)
	for i := range literals {
		l := &literals[i]
		at := l.rarest()
		for _, k := range l.pairs(at) {
			if pairs[k] == 0 {
				pairs[k] = uint16(len(stops))
				stops = append(stops, nil)
			}
			stops[pairs[k]] = append(stops[pairs[k]], stop{l, at})
		}
	}
}

// rarest gives where in the literal its rarest pair is.
func (l *literal) rarest() int {
	best, at := -1, 0
	for i := range len(l.text) - 1 {
		rank := len(common)
		for k := 0; k < len(common); k += 2 {
			if common[k] == lower(l.text[i]) && common[k+1] == lower(l.text[i+1]) {
				rank = k
				break
			}
		}
		if rank > best {
			best, at = rank, i
		}
	}
	return at
}

// pairs lists the pair at a place of the literal, in all cases if case means
// nothing.
func (l *literal) pairs(at int) []int {
	variants := func(c byte) []byte {
		if l.fold && upper(c) != c {
			return []byte{c, upper(c)}
		}
		return []byte{c}
	}
	var list []int
	for _, a := range variants(l.text[at]) {
		for _, b := range variants(l.text[at+1]) {
			list = append(list, int(a)|int(b)<<8)
		}
	}
	return list
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
		for _, l := range stops[k] {
			if start := i - l.at; start >= 0 && has(b[start:], l.literal) {
				next = max(next, l.do(s, start))
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
