package symbol

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// haskellSuffixes end the labels that GHC makes for a definition.
var haskellSuffixes = [...]string{
	"_info", "_closure", "_con_entry", "_con_info", "_entry", "_ret", "_srt", "_fast", "_slow",
	"_bytes", "_tbl", "_alt", "_dflt", "_static_info", "_info_itable",
}

// isHaskell recognises package_Module_name_suffix in GHC's z-encoding, in which
// the dots of a module are "zi".
func isHaskell(name string) bool {
	if !strings.Contains(name, "zi") && !strings.HasPrefix(name, "ghc") && !strings.Contains(name, "Z") {
		return false
	}
	unit, module, _ := haskellParts(name)
	encoded := strings.Contains(module, "zi") || strings.Contains(unit, "zm") || unit == "base" || unit == "main"
	return haskellSuffix(name) > 0 && encoded
}

// haskellSuffix is the offset of a label's suffix, -1 without one.
func haskellSuffix(name string) int {
	for _, s := range haskellSuffixes {
		if strings.HasSuffix(name, s) {
			return len(name) - len(s)
		}
	}
	return -1
}

// haskellParts splits package, module and the rest, undecoded.
func haskellParts(name string) (unit, module, rest string) {
	unit, rest, _ = strings.Cut(name, "_")
	module, rest, ok := strings.Cut(rest, "_")
	if !ok || unit == "" || module == "" || module[0] < 'A' || module[0] > 'Y' || unit[0] < 'a' || unit[0] > 'z' {
		return "", "", ""
	}
	return unit, module, rest
}

// haskellModule gives "package:Module". A unit's id ends in a hash or in
// "inplace", which are left out.
func haskellModule(name string) string {
	unit, module, _ := haskellParts(name)
	if unit == "" {
		return ""
	}
	return haskellUnit(zDecode(unit)) + ":" + zDecode(module)
}

// haskellUnit cuts the hash off "containers-0.6.7-1a2b…".
func haskellUnit(unit string) string {
	i := strings.LastIndexByte(unit, '-')
	if i <= 0 {
		return unit
	}
	tail := unit[i+1:]
	if tail == "inplace" || len(tail) >= 16 || len(tail) == 4 && isHex(tail) && !allDigits(tail) {
		return unit[:i]
	}
	return unit
}

func haskellText(name string) string {
	unit, module, rest := haskellParts(name)
	if unit == "" {
		return name
	}
	suffix := ""
	if i := haskellSuffix(rest); i > 0 {
		rest, suffix = rest[:i], rest[i+1:]
	}
	text := haskellUnit(zDecode(unit)) + ":" + zDecode(module) + "." + zDecode(rest)
	if suffix != "" {
		text += " (" + suffix + ")"
	}
	return text
}

// zLower and zUpper are the two-letter codes of GHC's z-encoding.
var (
	zLower = map[byte]string{
		'a': "&", 'b': "|", 'c': "^", 'd': "$", 'e': "=", 'g': ">", 'h': "#", 'i': ".", 'l': "<", 'm': "-", 'n': "!", 'p': "+",
		'q': "'", 'r': "\\", 's': "/", 't': "*", 'u': "_", 'v': "%", 'z': "z",
	}
	zUpper = map[byte]string{'L': "(", 'R': ")", 'M': "[", 'N': "]", 'C': ":", 'Z': "Z"}
)

// zDecode undoes GHC's z-encoding. What is no code stays as it is.
func zDecode(s string) string {
	if !strings.ContainsAny(s, "zZ") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != 'z' && s[i] != 'Z' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		text, n := zCode(s[i:])
		b.WriteString(text)
		i += n - 1
	}
	return b.String()
}

// zCode reads the code that s begins with and says how long it is.
func zCode(s string) (text string, n int) {
	next := s[1]
	if s[0] == 'z' {
		if t, ok := zLower[next]; ok {
			return t, 2
		}
		if isDigit(next) { // a character by its number, "z41U"
			return zCharacter(s)
		}
		return "z", 1
	}
	if t, ok := zUpper[next]; ok {
		return t, 2
	}
	if isDigit(next) { // tuples: Z0T is (), Z3T is (,,), Z2H is (#,#)
		return zTuple(s)
	}
	return "Z", 1
}

func zCharacter(s string) (text string, n int) {
	end := strings.IndexByte(s[:min(len(s), 10)], 'U')
	if end < 0 {
		return "z", 1
	}
	code, err := strconv.ParseUint(s[1:end], 16, 32)
	if err != nil || code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
		return "z", 1
	}
	return string(rune(code)), end + 1
}

func zTuple(s string) (text string, n int) {
	size, end := decimal(s, 1)
	if size < 0 || size > 64 || end >= len(s) {
		return "Z", 1
	}
	commas := strings.Repeat(",", max(size-1, 0))
	switch s[end] {
	case 'T':
		return "(" + commas + ")", end + 1
	case 'H':
		return "(#" + commas + "#)", end + 1
	}
	return "Z", 1
}
