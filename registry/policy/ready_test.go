package policy

import (
	"os"
	"strings"
	"testing"
)

// Each policy that comes with wreg does what its cases say, and has cases.
func TestReadyPolicies(t *testing.T) {
	list := Ready()
	if len(list) < 16 {
		t.Fatalf("Ready() has %d policies, want at least 16", len(list))
	}
	for _, r := range list {
		t.Run(r.Name, func(t *testing.T) {
			p, err := Parse(r.Source)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != r.Name || r.Description == "" {
				t.Errorf("policy %q has the name %q and description %q", r.Name, p.Name, r.Description)
			}
			source, err := os.ReadFile("testdata/ready/" + r.Name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			cases, err := ParseCases(source)
			if err != nil {
				t.Fatal(err)
			}
			results, err := Test(p, cases)
			if err != nil {
				t.Fatal(err)
			}
			violated := map[string]bool{}
			for _, c := range results {
				if !c.Passed {
					t.Errorf("%s: %s", c.Case, strings.Join(c.Faults, "; "))
				}
				for _, v := range c.Result.Violations {
					violated[v.Rule] = true
				}
			}
			for _, rule := range p.Rules {
				if !violated[rule.Name] {
					t.Errorf("no case violates rule %s", rule.Name)
				}
			}
		})
	}
}

// All of them can be in force at once.
func TestReadyPoliciesCompileTogether(t *testing.T) {
	var ps []*Policy
	for _, r := range Ready() {
		p, err := Parse(r.Source)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	s, err := Compile(ps...)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Enforces("any/repo", Push) {
		t.Error("Enforces(any/repo, push) = false, want true")
	}
	inside := Needs{Report: true, Capabilities: true, Previous: true, SBOM: true, Licenses: true, Vulnerabilities: true, Signatures: true}
	if got, want := s.Needs("any/repo", Push), inside; got != want {
		t.Errorf("Needs(any/repo, push) = %+v, want %+v", got, want)
	}
	if got, want := s.Needs("any/repo", Pull), (Needs{Report: true, Capabilities: true}); got != want {
		t.Errorf("Needs(any/repo, pull) = %+v, want %+v", got, want)
	}
}
