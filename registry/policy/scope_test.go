package policy

import (
	"strings"
	"testing"
)

func TestScope(t *testing.T) {
	tests := []struct {
		name     string
		patterns []string
		repo     string
		want     bool
	}{
		{"without patterns everything is in scope", nil, "any", true},
		{"one level", []string{"prod/*"}, "prod/app", true},
		{"not two", []string{"prod/*"}, "prod/app/x", false},
		{"all levels", []string{"prod/**"}, "prod/app/x", true},
		{"all levels, and the name itself", []string{"prod/**"}, "prod", true},
		{"a longer name is another one", []string{"prod/**"}, "production/x", false},
		{"an exception", []string{"prod/**", "!prod/trial/**"}, "prod/trial/x", false},
		{"an exception to the exception", []string{"prod/**", "!prod/trial/**", "prod/trial/real"}, "prod/trial/real", true},
		{"exceptions alone are from everything", []string{"!trial/**"}, "prod/x", true},
		{"and take away", []string{"!trial/**"}, "trial/x", false},
		{"everything", []string{"**"}, "a/b/c", true},
		{"the last one decides", []string{"!a/**", "a/b"}, "a/b", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := compileScope(tt.patterns)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.contains(tt.repo); got != tt.want {
				t.Errorf("scope %q contains %q = %v, want %v", tt.patterns, tt.repo, got, tt.want)
			}
		})
	}
}

// What cannot be decided is held to the policy.
func TestScopeContainsWhatItCannotMatch(t *testing.T) {
	if s := (scope{patterns: []scopePattern{{text: "**a*b"}}}); !s.contains(strings.Repeat("a", 1<<12)) {
		t.Error("a name that cannot be matched is out of scope, want in scope")
	}
}
