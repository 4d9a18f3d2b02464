package policy

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/internal/yamldoc"
)

// Bounds on policies.
const (
	maxRules = 200
	maxHoles = 8 // expressions in a message
	maxLists = 50
)

var listForm = lazy.Regexp(`^[a-zA-Z][a-zA-Z0-9_]{0,39}$`)

// positions say where a rule stands in its source.
type positions struct {
	doc                          *document
	name, condition, message, on *yaml.Node
}

// Parse reads a policy in YAML, or a checkfile of Modsurfer, which it tells by its
// key validate. It checks everything but the expressions, which is the work of
// Compile. What is wrong with the content is of type Errors, with lines and columns
// of source; a file that is too long is ErrTooLarge.
func Parse(source []byte) (*Policy, error) {
	d, root, err := open(source)
	if err != nil {
		return nil, err
	}
	p := &Policy{Mode: Enforce, Severity: Medium}
	if isCheckfile(root) {
		p.Checkfile = d.checkfile(root)
	} else {
		d.policy(root, p)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return p, nil
}

func isCheckfile(root *yaml.Node) bool {
	if root.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value == "validate" {
			return true
		}
	}
	return false
}

func (d *document) policy(root *yaml.Node, p *Policy) {
	var rules *yaml.Node
	ok := d.Mapping(
		root,
		yamldoc.Field{Name: "name", Read: func(n *yaml.Node) { p.Name = d.Name(n) }},
		yamldoc.Field{Name: "description", Read: func(n *yaml.Node) { p.Description = d.Text(n) }},
		yamldoc.Field{Name: "mode", Read: func(n *yaml.Node) { p.Mode = d.mode(n) }},
		yamldoc.Field{Name: "severity", Read: func(n *yaml.Node) { p.Severity = d.severity(n) }},
		yamldoc.Field{Name: "scope", Read: func(n *yaml.Node) { d.scope(n, &p.Scope) }},
		yamldoc.Field{Name: "lists", Read: func(n *yaml.Node) { p.Lists = d.lists(n) }},
		yamldoc.Field{Name: "rules", Read: func(n *yaml.Node) { rules = n }},
	)
	switch {
	case !ok:
		return
	case rules == nil && d.Failed():
		return
	case rules == nil:
		d.Fail(root, "", "a policy has rules, and this one has none")
		return
	}
	d.List(rules, maxRules, func(n *yaml.Node) { d.readRule(n, p) })
	if len(p.Rules) == 0 && !d.Failed() {
		d.Fail(rules, "", "a policy has rules, and this one has none")
	}
}

func (d *document) mode(n *yaml.Node) Mode { return yamldoc.OneOf(d.Document, n, Enforce, Warn, Audit) }

func (d *document) severity(n *yaml.Node) Severity {
	return yamldoc.OneOf(d.Document, n, Info, Low, Medium, High, Critical)
}

func (d *document) actions(n *yaml.Node) []Action {
	var list []Action
	d.List(n, len(policyActions), func(item *yaml.Node) {
		if a := yamldoc.OneOf(d.Document, item, policyActions...); a != "" {
			list = append(list, a)
		}
	})
	if len(list) == 0 {
		d.Fail(n, "leave the key out for all actions", "a rule about no action does nothing")
	}
	return list
}

func (d *document) scope(n *yaml.Node, s *Scope) {
	d.Mapping(
		n,
		yamldoc.Field{Name: "repositories", Read: func(n *yaml.Node) {
			s.Repositories = d.Texts(n, maxPatterns)
			if _, err := compileScope(s.Repositories); err != nil {
				d.Fail(n, "patterns look like team/*, team/** and !team/trial/**", "%v", err)
			}
		}},
		yamldoc.Field{Name: "actions", Read: func(n *yaml.Node) { s.Actions = d.actions(n) }},
	)
}

// lists reads the named lists.
func (d *document) lists(n *yaml.Node) map[string][]string {
	lists := map[string][]string{}
	if !d.Is(n, yaml.MappingNode, "a mapping of names to lists") {
		return lists
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case len(lists) == maxLists:
			d.Fail(key, "", "more than %d lists", maxLists)
			return lists
		case key.Kind != yaml.ScalarNode || !listForm().MatchString(key.Value):
			d.Fail(key, "letters, digits and _, at most 40, beginning with a letter", "%q is no name for a list", clip(key.Value))
		case lists[key.Value] != nil:
			d.Fail(key, "", "%s is there twice", key.Value)
		default:
			lists[key.Value] = d.Texts(n.Content[i+1], yamldoc.MaxItems)
		}
	}
	return lists
}

func (d *document) readRule(n *yaml.Node, p *Policy) {
	r := Rule{Mode: p.Mode, Severity: p.Severity, Actions: p.Scope.Actions, pos: positions{doc: d, on: n}}
	d.In = ruleName(n)
	defer func() { d.In = "" }()
	condition := func(text *string) func(*yaml.Node) {
		return func(n *yaml.Node) { *text, r.pos.condition = d.Text(n), n }
	}
	ok := d.Mapping(
		n,
		yamldoc.Field{Name: "name", Read: func(n *yaml.Node) { r.Name, r.pos.name = d.Name(n), n }},
		yamldoc.Field{Name: "description", Read: func(n *yaml.Node) { r.Description = d.Text(n) }},
		yamldoc.Field{Name: "require", Read: condition(&r.Require)},
		yamldoc.Field{Name: "deny", Read: condition(&r.Deny)},
		yamldoc.Field{Name: "message", Read: func(n *yaml.Node) { r.Message, r.pos.message = d.Text(n), n }},
		yamldoc.Field{Name: "mode", Read: func(n *yaml.Node) { r.Mode = d.mode(n) }},
		yamldoc.Field{Name: "severity", Read: func(n *yaml.Node) { r.Severity = d.severity(n) }},
		yamldoc.Field{Name: "actions", Read: func(n *yaml.Node) { r.Actions = d.actions(n) }},
	)
	if !ok {
		return
	}
	switch {
	case r.pos.name == nil:
		d.Fail(n, "", "the rule has no name")
	case slices.ContainsFunc(p.Rules, func(o Rule) bool { return o.Name == r.Name }) && r.Name != "":
		d.Fail(r.pos.name, "", "another rule has this name")
	}
	if (r.Require == "") == (r.Deny == "") && !d.Failed() {
		d.Fail(n, "", "a rule has either require or deny")
	}
	if len(r.Actions) == 0 {
		r.Actions = slices.Clone(policyActions)
	}
	p.Rules = append(p.Rules, r)
}

// ruleName looks for the name before the rule is read, for errors in it.
func ruleName(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "name" && yamldoc.IsName(n.Content[i+1].Value) {
			return n.Content[i+1].Value
		}
	}
	return ""
}
