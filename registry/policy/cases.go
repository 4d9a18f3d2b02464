package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/yamldoc"
)

// A Case is an example of facts and what a policy is to say of them.
type Case struct {
	Name  string `json:"name"`
	Facts Facts  `json:"facts"`

	// Outcome is the expected one. Violations, unless nil, are the names of the
	// rules that are to be violated, in any order; Messages are texts that have to
	// occur in the message or fact of some violation.
	Outcome    Outcome  `json:"outcome"`
	Violations []string `json:"violations"`
	Messages   []string `json:"messages"`

	Line int `json:"-"` // of the source
}

// A CaseResult is what became of one case.
type CaseResult struct {
	Case   string   `json:"case"`
	Line   int      `json:"line"` // of the source
	Passed bool     `json:"passed"`
	Faults []string `json:"faults,omitempty"` // one sentence each
	Result Result   `json:"result"`
}

// Results are those of a test file, in its order.
type Results []CaseResult

// Passed reports whether all cases did.
func (rs Results) Passed() bool {
	return !slices.ContainsFunc(rs, func(r CaseResult) bool { return !r.Passed })
}

const (
	maxCases = 500
	maxLevel = 16 // of facts inside of facts
	maxFacts = 200_000
)

// ParseCases reads a test file: a list of cases, and under facts what all of them
// have in common. In a case everything that is not given is empty, but for the
// action, which is push, the repository, which is example/app, the validity of a
// report, and that there is no previous version. Errors are as those of Parse.
func ParseCases(source []byte) ([]Case, error) {
	d, root, err := open(source)
	if err != nil {
		return nil, err
	}
	var common, cases *yaml.Node
	d.Mapping(
		root,
		yamldoc.Field{Name: "facts", Read: func(n *yaml.Node) { common = n }},
		yamldoc.Field{Name: "cases", Read: func(n *yaml.Node) { cases = n }},
	)
	var list []Case
	if cases != nil {
		d.List(cases, maxCases, func(n *yaml.Node) { list = append(list, d.readCase(n, common)) })
	}
	if len(list) == 0 && !d.Failed() {
		d.Fail(root, "", "there are no cases in the file")
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return list, nil
}

func (d *document) readCase(n, common *yaml.Node) Case {
	c := Case{Line: n.Line}
	facts := map[string]any{}
	if common != nil {
		facts = d.tree(common)
	}
	d.Mapping(
		n,
		yamldoc.Field{Name: "name", Read: func(n *yaml.Node) { c.Name = d.Text(n) }},
		yamldoc.Field{Name: "facts", Read: func(n *yaml.Node) { lay(facts, d.tree(n)) }},
		yamldoc.Field{Name: "outcome", Read: func(n *yaml.Node) { c.Outcome = yamldoc.OneOf(d.Document, n, Allowed, Warned, Denied) }},
		yamldoc.Field{Name: "violations", Read: func(n *yaml.Node) { c.Violations = d.Texts(n, maxRules) }},
		yamldoc.Field{Name: "messages", Read: func(n *yaml.Node) { c.Messages = d.Texts(n, maxRules) }},
	)
	switch {
	case d.Failed():
		return c
	case c.Name == "":
		d.Fail(n, "", "the case has no name")
		return c
	case c.Outcome == "":
		d.Fail(n, "", "the case %q has no outcome", clip(c.Name))
		return c
	}
	if err := c.Facts.fill(facts); err != nil {
		d.Fail(n, "", "case %q: %v", clip(c.Name), err)
	}
	return c
}

// fill takes facts from a tree, with what is understood in tests.
func (f *Facts) fill(tree map[string]any) error {
	if report, ok := tree["report"].(map[string]any); ok {
		if _, said := report["valid"]; !said {
			report["valid"] = true
		}
		if _, said := report["wasi"]; !said {
			report["wasi"] = "none"
		}
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(f); err != nil {
		return factError(err)
	}
	if f.Action == "" {
		f.Action = Push
	}
	if f.Package.Repository == "" {
		f.Package.Repository = "example/app"
	}
	if f.Report != nil || f.Capabilities != nil || f.SBOM != nil || f.Licenses != nil || f.Vulnerabilities != nil {
		f.File.Wasm = true
		f.Report = cmpOr(f.Report, &Report{Valid: true, WASI: "none"})
		f.Capabilities = cmpOr(f.Capabilities, &Capabilities{})
	}
	f.Previous = cmpOr(f.Previous, &Previous{})
	f.SBOM, f.Licenses = cmpOr(f.SBOM, &SBOM{}), cmpOr(f.Licenses, &Licenses{})
	if f.Vulnerabilities == nil {
		f.Vulnerabilities = []Vulnerability{}
	}
	if f.Signatures == nil {
		f.Signatures = []Signature{}
	}
	return nil
}

func cmpOr[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// factError puts an error of encoding/json into the words of facts.
func factError(err error) error {
	if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("fact %s cannot be a %s", typed.Field, typed.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		var all []string
		for _, v := range variables {
			all = append(append(all, v.name), fieldsBelow(v.typ, 0)...)
		}
		if hint := didYouMean(name, all); hint != "" {
			return fmt.Errorf("there is no fact called %s (%s)", clip(name), hint)
		}
		return fmt.Errorf("there is no fact called %s", clip(name))
	}
	return err
}

// tree gives a mapping as Go values, an empty one of what is none.
func (d *document) tree(n *yaml.Node) map[string]any {
	m, ok := d.any(n, 0).(map[string]any)
	switch {
	case ok:
		return m
	case !d.Failed():
		d.Fail(n, "", "facts are a mapping of names to facts")
	}
	return map[string]any{}
}

func (d *document) any(n *yaml.Node, level int) any {
	switch d.facts++; {
	case level > maxLevel:
		d.Fail(n, "", "more than %d levels", maxLevel)
		return nil
	case d.facts > maxFacts:
		if d.facts == maxFacts+1 {
			d.Fail(n, "", "the facts of all cases together are more than %d", maxFacts)
		}
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		if d.Is(n, yaml.MappingNode, "") {
			for i := 0; i+1 < len(n.Content); i += 2 {
				m[n.Content[i].Value] = d.any(n.Content[i+1], level+1)
			}
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		d.List(n, yamldoc.MaxItems, func(n *yaml.Node) { list = append(list, d.any(n, level+1)) })
		return list
	default:
	}
	var v any
	if !d.Is(n, yaml.ScalarNode, "a fact") {
		return nil
	}
	switch n.ShortTag() {
	case "!!str":
		return d.Text(n)
	case "!!int", "!!float", "!!bool", "!!null":
		if err := n.Decode(&v); err != nil {
			d.Fail(n, "", "%s", clip(err.Error()))
		}
	default:
		d.Fail(n, "put it in quotes", "%s is no fact to YAML", clip(n.Value))
	}
	return v
}

// lay puts the entries of top over those of base: mappings are laid over each
// other, everything else takes the place of what was there.
func lay(base, top map[string]any) {
	for name, v := range top {
		below, ok := base[name].(map[string]any)
		if above, both := v.(map[string]any); ok && both {
			lay(below, above)
			continue
		}
		base[name] = v
	}
}

// Test holds p against cases. It fails if p does not compile.
func Test(p *Policy, cases []Case) (Results, error) {
	named := *p
	if named.Name == "" {
		named.Name = "policy"
	}
	s, err := Compile(&named)
	if err != nil {
		return nil, err
	}
	results := make(Results, 0, len(cases))
	for i := range cases {
		c := &cases[i]
		r := CaseResult{Case: c.Name, Line: c.Line, Result: s.Eval(context.Background(), &c.Facts)}
		r.Faults = c.faults(r.Result)
		r.Passed = len(r.Faults) == 0
		results = append(results, r)
	}
	return results, nil
}

// faults says what is not as expected.
func (c *Case) faults(r Result) (faults []string) {
	fail := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if r.Outcome != c.Outcome {
		fail("the outcome is %s, and was to be %s", r.Outcome, c.Outcome)
	}
	violated, said := map[string]bool{}, []string{}
	for _, v := range r.Violations {
		violated[v.Rule] = true
		said = append(said, v.Message, v.Fact)
	}
	if c.Violations != nil {
		got, want := slices.Sorted(maps.Keys(violated)), sorted(c.Violations)
		if !slices.Equal(got, want) {
			fail("violated are %q, and were to be %q", got, want)
		}
	}
	for _, m := range c.Messages {
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, m) }) {
			fail("no message or fact says %q", m)
		}
	}
	if len(faults) > 0 {
		for _, v := range r.Violations {
			fail("it says: %s", v.Reason())
		}
	}
	return faults
}
