package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/yamldoc"
)

// A Set is compiled policies. It is safe for concurrent use.
type Set struct{ policies []*compiled }

// compiled is one policy.
type compiled struct {
	name  string
	scope scope
	lists ref.Val
	rules []*rule

	// check is set for a checkfile, which is asked as a whole.
	check *Checkfile
	rule  *rule // the mode, severity, actions and needs of check
}

// rule is a compiled Rule.
type rule struct {
	policy, name string
	mode         Mode
	severity     Severity
	actions      []Action
	condition    *expr
	want         bool // what condition has to be
	message      message
	reads        []string // facts, of the condition
	needs        Needs
	wasm         bool // whether the condition is about WebAssembly
}

// Compile type-checks the expressions of policies and bounds their cost. All of
// them need different names. Errors are of type Errors.
func Compile(ps ...*Policy) (*Set, error) {
	s := &Set{}
	var errs Errors
	for _, p := range ps {
		c, found := compilePolicy(p)
		if slices.ContainsFunc(s.policies, func(o *compiled) bool { return o.name == p.Name }) {
			found = append(found, &Error{Msg: "another policy has this name"})
		}
		for _, e := range found {
			e.Policy = p.Name
		}
		errs = append(errs, found...)
		s.policies = append(s.policies, c)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return s, nil
}

func compilePolicy(p *Policy) (*compiled, Errors) {
	var errs Errors
	if !yamldoc.IsName(p.Name) {
		errs = append(errs, &Error{Msg: fmt.Sprintf("%q is no name for a policy", clip(p.Name))})
	}
	sc, err := compileScope(p.Scope.Repositories)
	if err != nil {
		errs = append(errs, &Error{Msg: err.Error()})
	}
	c := &compiled{name: p.Name, scope: sc, lists: celLists(p.Lists)}
	for i := range p.Rules {
		r, found := compileRule(p, &p.Rules[i])
		for _, e := range found {
			e.Rule = p.Rules[i].Name
		}
		errs = append(errs, found...)
		c.rules = append(c.rules, r)
	}
	if p.Checkfile != nil {
		if p.Checkfile.URL != "" {
			errs = append(errs, &Error{
				Msg:  "the checkfile is only the address of another one, which is never fetched here",
				Hint: "store the content of " + clip(p.Checkfile.URL),
			})
		}
		c.check = p.Checkfile
		c.rule = &rule{
			policy: p.Name, name: "checkfile", mode: p.Mode, severity: p.Severity, actions: allActions(p.Scope.Actions), needs: p.Checkfile.needs(),
			reads: p.Checkfile.reads(), wasm: true,
		}
	}
	return c, errs
}

func allActions(actions []Action) []Action {
	if len(actions) == 0 {
		return policyActions
	}
	return actions
}

func compileRule(p *Policy, r *Rule) (*rule, Errors) {
	text, want := r.Require, true
	if r.Deny != "" {
		text, want = r.Deny, false
	}
	c := &rule{policy: p.Name, name: r.Name, mode: r.Mode, severity: r.Severity, actions: allActions(r.Actions), want: want}
	condition, errs := compileExpr(text, cel.BoolType, p.Lists)
	r.pos.move(r.pos.condition, errs, 1, 1)
	if len(errs) > 0 {
		return c, errs
	}
	c.condition, c.reads = condition, condition.reads
	c.wasm = slices.ContainsFunc(wasmFacts, func(fact string) bool { return readsOne(c.reads, fact) })
	c.message, errs = compileMessage(r, p.Lists)
	for _, path := range slices.Concat(c.reads, c.message.reads()) {
		c.needs.add(path)
	}
	if readsOne(c.reads, "principal") && slices.Contains(c.actions, Pull) {
		e := &Error{Msg: "the verdict about a pull is the same for everybody, so that a rule about pulls cannot ask who it is"}
		e.Hint = "actions: [push, tag, promote]"
		r.pos.place(r.pos.condition, e)
		errs = append(errs, e)
	}
	return c, errs
}

// wasmFacts are the facts about a file of WebAssembly.
var wasmFacts = []string{"report", "capabilities", "sbom", "licenses", "vulnerabilities"}

// move puts errors at lines and columns of a text, which begins at the given ones
// of the value of n, to those of the file.
func (p positions) move(n *yaml.Node, errs Errors, line, column int) {
	if n == nil {
		return
	}
	for _, e := range errs {
		l, c := line+e.Line-1, e.Column
		if e.Line == 1 {
			c = column + e.Column - 1
		}
		e.Line, e.Column = p.doc.At(n, l, c)
	}
}

// place puts an error to the beginning of n.
func (p positions) place(n *yaml.Node, e *Error) {
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
}

// A message is text with expressions in it.
type message []part

// A part is a text, or an expression if that is set.
type part struct {
	text string
	expr *expr
}

func (m message) reads() (list []string) {
	for _, p := range m {
		if p.expr != nil {
			list = append(list, p.expr.reads...)
		}
	}
	return list
}

// compileMessage reads the message of r. Without one it says what does not hold.
func compileMessage(r *Rule, lists map[string][]string) (message, Errors) {
	if r.Message == "" {
		return message{{text: ownMessage(r)}}, nil
	}
	var m message
	rest, offset, holes := r.Message, 0, 0
	for {
		before, after, ok := strings.Cut(rest, "{{")
		if before != "" {
			m = append(m, part{text: before})
		}
		if !ok {
			return m, nil
		}
		start := offset + len(before) + len("{{")
		line, column := lineColumn(r.Message, start)
		fail := func(msg string) (message, Errors) {
			errs := Errors{{Line: 1, Column: 1, Msg: msg}}
			r.pos.move(r.pos.message, errs, line, column)
			return nil, errs
		}
		text, tail, ok := strings.Cut(after, "}}")
		if holes++; !ok {
			return fail("{{ without }}")
		} else if holes > maxHoles {
			return fail(fmt.Sprintf("more than %d expressions in one message", maxHoles))
		}
		e, errs := compileExpr(text, nil, lists)
		if len(errs) > 0 {
			r.pos.move(r.pos.message, errs, line, column)
			return nil, errs
		}
		m = append(m, part{expr: e})
		rest, offset = tail, start+len(text)+len("}}")
	}
}

// lineColumn gives the place of a byte of text, in characters from 1.
func lineColumn(text string, offset int) (line, column int) {
	before := text[:offset]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

func ownMessage(r *Rule) string {
	if r.Description != "" {
		return strings.TrimSuffix(strings.Join(strings.Fields(r.Description), " "), ".")
	}
	if r.Require != "" {
		return "it does not hold that " + strings.Join(strings.Fields(r.Require), " ")
	}
	return "it must not be that " + strings.Join(strings.Fields(r.Deny), " ")
}

// add notes that the fact at path is read.
func (n *Needs) add(path string) {
	switch root, _, _ := strings.Cut(path, "."); {
	case path == hashedFact:
		n.Hashes = true
	case root == "report":
		n.Report = true
	case root == "capabilities":
		n.Capabilities = true
	case root == "previous":
		n.Previous = true
	case root == "sbom":
		n.SBOM = true
	case root == "licenses":
		n.Licenses = true
	case root == "vulnerabilities":
		n.Vulnerabilities = true
	case slices.Contains(signatureFacts, root):
		n.Signatures = true
	}
}

func (n *Needs) merge(o Needs) {
	n.Report = n.Report || o.Report
	n.Capabilities = n.Capabilities || o.Capabilities
	n.Previous = n.Previous || o.Previous
	n.SBOM = n.SBOM || o.SBOM
	n.Licenses = n.Licenses || o.Licenses
	n.Vulnerabilities = n.Vulnerabilities || o.Vulnerabilities
	n.Hashes = n.Hashes || o.Hashes
	n.Signatures = n.Signatures || o.Signatures
}

// readsOne reports whether one of reads is fact, below it, or holds it.
func readsOne(reads []string, fact string) bool {
	return slices.ContainsFunc(reads, func(r string) bool { return covers(fact, r) || covers(r, fact) })
}

// covers reports whether fact is path or below it.
func covers(path, fact string) bool {
	rest, ok := strings.CutPrefix(fact, path)
	return ok && (rest == "" || rest[0] == '.')
}

// asked calls f for every rule about a in repo, and of checkfiles for one that
// stands for it.
func (s *Set) asked(repo string, a Action, f func(*compiled, *rule)) {
	for _, p := range s.policies {
		if !p.scope.contains(repo) {
			continue
		}
		for _, r := range p.rules {
			if slices.Contains(r.actions, a) {
				f(p, r)
			}
		}
		if p.check != nil && slices.Contains(p.rule.actions, a) {
			f(p, p.rule)
		}
	}
}

// About reports whether any rule, of whichever mode, is about a in repo.
func (s *Set) About(repo string, a Action) bool {
	about := false
	s.asked(repo, a, func(*compiled, *rule) { about = true })
	return about
}

// Enforces reports whether a rule with mode enforce is about a in repo.
func (s *Set) Enforces(repo string, a Action) bool {
	enforces := false
	s.asked(repo, a, func(_ *compiled, r *rule) { enforces = enforces || r.mode == Enforce })
	return enforces
}

// Needs says which facts the rules about a in repo read.
func (s *Set) Needs(repo string, a Action) Needs {
	var n Needs
	s.asked(repo, a, func(_ *compiled, r *rule) { n.merge(r.needs) })
	return n
}

// errTimeout says that nobody waits for the answer any more.
var errTimeout = errors.New("the time for the decision was over")
