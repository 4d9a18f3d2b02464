package policy

import "unicode/utf8"

// glob reports whether pattern matches all of text: "*" stands for any characters
// but a slash, "**" for any characters, "?" for one character but a slash. Every
// other character stands for itself. The time it takes is bounded by the product
// of the lengths.
func glob(text, pattern string) bool {
	// Where to go on after a mismatch: behind the last star of each kind, with one
	// more character taken by it. A later star takes what an earlier one of its
	// kind could, so that only the last of each is worth going back to.
	type mark struct{ text, pattern int }
	star, deep := mark{-1, -1}, mark{-1, -1}
	t, p := 0, 0
	for t < len(text) || p < len(pattern) {
		if p < len(pattern) {
			switch c := pattern[p]; {
			case c == '*' && p+1 < len(pattern) && pattern[p+1] == '*':
				p += 2
				deep, star = mark{t, p}, mark{-1, -1}
				continue
			case c == '*':
				p++
				star = mark{t, p}
				continue
			case t < len(text) && c == '?' && text[t] != '/':
				_, n := utf8.DecodeRuneInString(text[t:])
				t, p = t+n, p+1
				continue
			case t < len(text) && c == text[t]:
				t, p = t+1, p+1
				continue
			}
		}
		switch {
		case star.text >= 0 && star.text < len(text) && text[star.text] != '/':
			star.text++
			t, p = star.text, star.pattern
		case deep.text >= 0 && deep.text < len(text):
			deep.text++
			t, p = deep.text, deep.pattern
			star = mark{-1, -1}
		default:
			return false
		}
	}
	return true
}
