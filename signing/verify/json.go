package verify

import "fmt"

// Bounds of JSON.
const (
	maxDepth  = 128
	maxValues = 4096 // in a bundle, whose statement is one string
)

// shallow refuses JSON that nests deeper than maxDepth or has more than values
// values (0: any number), before readers see it that recurse, or make much of
// little.
func shallow(text []byte, values int) error {
	depth, n, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			n++
			if depth++; depth > maxDepth {
				return fmt.Errorf("the JSON nests deeper than %d at byte %d", maxDepth, i)
			}
		case c == '}' || c == ']':
			depth--
		case c == ',':
			n++
		}
		if values > 0 && n > values {
			return fmt.Errorf("the JSON has more than %d values at byte %d", values, i)
		}
	}
	return nil
}
