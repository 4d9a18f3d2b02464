// Package near finds the word that was perhaps meant.
package near

import "strings"

// Nearest gives the one of names that is most like s, "" if none is.
func Nearest(s string, names []string) string {
	best, least := "", min(3, 1+len(s)/3)
	for _, n := range names {
		if strings.EqualFold(n, s) {
			return n
		}
		if d := Distance(s, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// Distance counts the letters to insert, remove or change, and the neighbours to
// swap, to make b of a. Words of more than 64 bytes are like nothing.
func Distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b)
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			changed := row[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			next[j] = min(changed, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
