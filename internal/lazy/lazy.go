// Package lazy makes tables when they are first used. A program that has many
// packages uses few of them in one run, and one that prints its version, none.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp gives the regular expression of expr, which is compiled at the first
// call. That call panics if expr is none, so there has to be a test that makes it.
func Regexp(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
