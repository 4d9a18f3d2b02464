package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/internal/glob"
)

// A Scope says what rules are about.
type Scope struct {
	// Repositories are patterns of names: "prod/*" is every name with one more
	// part, "prod/**" is prod and everything below it, "**" is everything. "*"
	// stands for any part of a name between slashes. One that begins with "!"
	// takes away what ones before it said. Without any, everything is in scope.
	Repositories []string `json:"repositories,omitempty"`

	// Actions are among push, tag, pull and promote; without any, all of them.
	Actions []Action `json:"actions,omitempty"`
}

// Actions that policies can be about.
var policyActions = []Action{Push, Tag, Pull, Promote}

// A scope is a Scope made ready for questions.
type scope struct{ patterns []scopePattern }

type scopePattern struct {
	text string
	not  bool
}

// Bounds on scopes.
const (
	maxPatterns = 100
	maxPattern  = 255 // bytes, the length of the longest repository name
)

func compileScope(patterns []string) (scope, error) {
	if len(patterns) > maxPatterns {
		return scope{}, fmt.Errorf("%d patterns are more than %d", len(patterns), maxPatterns)
	}
	var s scope
	for _, p := range patterns {
		text, not := strings.CutPrefix(p, "!")
		if err := checkPattern(text); err != nil {
			return scope{}, fmt.Errorf("pattern %q: %w", p, err)
		}
		s.patterns = append(s.patterns, scopePattern{text, not})
	}
	return s, nil
}

// Contains reports whether a in repo is in scope. A scope that is not valid
// contains everything.
func (s Scope) Contains(repo string, a Action) bool {
	c, err := compileScope(s.Repositories)
	return err != nil || slices.Contains(allActions(s.Actions), a) && c.contains(repo)
}

func checkPattern(p string) error {
	switch {
	case p == "":
		return errors.New("empty")
	case len(p) > maxPattern:
		return fmt.Errorf("longer than %d bytes", maxPattern)
	case strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/"):
		return errors.New("begins or ends with a slash")
	}
	if i := strings.IndexFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._-/*?", r)
	}); i >= 0 {
		return fmt.Errorf("no repository name has a character like %q in it", p[i:i+1])
	}
	return nil
}

// contains reports whether repo is in scope. The last pattern that matches
// decides; if the first one takes away, everything else is in scope. A name that
// cannot be matched within bounds is in scope.
func (s scope) contains(repo string) bool {
	m := glob.New()
	in := len(s.patterns) == 0 || s.patterns[0].not
	for _, p := range s.patterns {
		if in == p.not && m.Name(repo, p.text) {
			in = !p.not
		}
	}
	return in || m.Err() != nil
}
