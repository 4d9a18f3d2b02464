package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/wreg-project/wreg/internal/near"
)

// An expr is a compiled expression.
type expr struct {
	ast     *cel.Ast
	program cel.Program
	reads   []string // facts it asks for: "report.imports", sorted

	// traced is the same program, keeping the value of each step; it is made when
	// first something has to be explained.
	traced func() (cel.Program, error)
}

// interruptEvery is after how many steps of a loop an expression looks whether
// nobody waits for it any more.
const interruptEvery = 200

// compileExpr compiles text, whose result has to be of type want unless that is
// nil. Errors lie at lines and columns of text.
// lists are those of the policy.
func compileExpr(text string, want *cel.Type, lists map[string][]string) (*expr, Errors) {
	env := celEnv()
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, celErrors(issues, nil)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, celErrors(issues, parsed)
	}
	if want != nil && !checked.OutputType().IsExactType(want) {
		return nil, Errors{{Line: 1, Column: 1, Msg: fmt.Sprintf("the expression is of type %s, and has to be %s", checked.OutputType(), want)}}
	}
	native := checked.NativeRep()
	if errs := inspectExpr(native, lists); len(errs) > 0 {
		return nil, errs
	}
	estimate, err := env.EstimateCost(checked, estimator{lists})
	if err != nil {
		return nil, Errors{{Line: 1, Column: 1, Msg: err.Error()}}
	}
	if estimate.Max > maxEstimate {
		return nil, Errors{{
			Line: 1, Column: 1, Msg: fmt.Sprintf("the expression could take %d steps, more than %d", estimate.Max, maxEstimate),
			Hint: "a loop inside a loop over imports or exports: use imports(pattern), or functions on lists",
		}}
	}
	limits := []cel.ProgramOption{cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptEvery)}
	program, err := env.Program(checked, append(limits, cel.EvalOptions(cel.OptOptimize))...)
	if err != nil {
		return nil, Errors{{Line: 1, Column: 1, Msg: err.Error()}}
	}
	return &expr{
		ast: checked, program: program, reads: readsOf(native.Expr()),
		traced: sync.OnceValues(func() (cel.Program, error) {
			return env.Program(checked, append(limits, cel.EvalOptions(cel.OptTrackState))...)
		}),
	}, nil
}

// eval gives the value of the expression.
func (e *expr) eval(ctx context.Context, a *activation) (ref.Val, error) {
	v, _, err := e.program.ContextEval(ctx, a)
	return v, err
}

// holds gives the value of a condition.
func (e *expr) holds(ctx context.Context, a *activation) (bool, error) {
	v, err := e.eval(ctx, a)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the expression gives a %s, not true or false", v.Type().TypeName())
	}
	return bool(b), nil
}

// An activation gives the values of the variables.
type activation struct {
	f     *Facts
	lists ref.Val // of the policy
}

// celLists makes lists of a policy ready for expressions.
func celLists(lists map[string][]string) ref.Val {
	return celEnv().CELTypeAdapter().NativeToValue(lists)
}

var noFacts = struct {
	report       Report
	capabilities Capabilities
	previous     Previous
	sbom         SBOM
	licenses     Licenses
}{}

func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "pkg":
		return &a.f.Package, true
	case "principal":
		return &a.f.Principal, true
	case "action":
		return types.String(a.f.Action), true
	case "file":
		return &a.f.File, true
	case "report":
		return cmpOr(a.f.Report, &noFacts.report), true
	case "capabilities":
		return cmpOr(a.f.Capabilities, &noFacts.capabilities), true
	case "previous":
		return cmpOr(a.f.Previous, &noFacts.previous), true
	case "sbom":
		return cmpOr(a.f.SBOM, &noFacts.sbom), true
	case "licenses":
		return cmpOr(a.f.Licenses, &noFacts.licenses), true
	case "vulnerabilities":
		return a.f.Vulnerabilities, true
	case "signatures":
		return a.f.Signatures, true
	case "attestations":
		return a.f.Attestations, true
	case "refusedSignatures":
		return a.f.RefusedSignatures, true
	case "publisher":
		return types.String(a.f.Publisher), true
	case listsName:
		return a.lists, true
	}
	return nil, false
}

func (a *activation) Parent() cel.Activation { return nil }

// readsOf lists the facts that e asks for: the longest chain of fields from each
// variable, sorted, each once.
func readsOf(e ast.Expr) []string {
	w := walker{local: map[string]int{}, fields: map[string]bool{}}
	w.walk(e)
	for _, d := range details {
		if w.fields[d.field] && readsOne(w.reads, d.of) {
			w.reads = append(w.reads, d.fact)
		}
	}
	slices.Sort(w.reads)
	return slices.Compact(w.reads)
}

// A walker collects facts. local counts the loops around that have a variable of
// that name.
type walker struct {
	local  map[string]int
	reads  []string
	fields map[string]bool // that are asked for, of whatever
}

// hashedFact stands for the hashes of exports among the facts that are read.
const hashedFact = "report.hashed"

// details are fields of the entries of lists that can be unknown while the list is
// known: only a rule that asks for the field asks for the fact. Nothing else in the
// facts has a field of that name.
var details = []struct{ field, of, fact string }{
	{"hash", "report.exports", hashedFact},
	{"hash", "previous.report.exports", "previous." + hashedFact},
	{"kev", "vulnerabilities", "vulnerabilities.kev"},
	{"epss", "vulnerabilities", "vulnerabilities.epss"},
	{"predicate", "attestations", predicateFact},
}

func isDetail(fact string) bool {
	return slices.ContainsFunc(details, func(d struct{ field, of, fact string }) bool { return d.fact == fact })
}

func (w *walker) walk(e ast.Expr) {
	if e.Kind() == ast.SelectKind {
		w.fields[e.AsSelect().FieldName()] = true
	}
	if path, ok := w.path(e); ok {
		w.reads = append(w.reads, path)
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		w.walk(e.AsSelect().Operand())
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			w.walk(c.Target())
		}
		for _, a := range c.Args() {
			w.walk(a)
		}
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			w.walk(x)
		}
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			w.walk(x.AsMapEntry().Key())
			w.walk(x.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		w.walk(c.IterRange())
		vars := []string{c.IterVar(), c.IterVar2(), c.AccuVar()}
		w.walk(c.AccuInit())
		for _, v := range vars {
			w.local[v]++
		}
		for _, x := range []ast.Expr{c.LoopCondition(), c.LoopStep(), c.Result()} {
			w.walk(x)
		}
		for _, v := range vars {
			w.local[v]--
		}
	case ast.IdentKind, ast.LiteralKind, ast.StructKind, ast.UnspecifiedExprKind:
	}
}

// path gives the fact that e is, as "report.imports".
func (w *walker) path(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if w.local[name] > 0 {
			return "", false
		}
		for _, v := range variables {
			if v.name == name {
				return name, true
			}
		}
	case ast.SelectKind:
		if base, ok := w.path(e.AsSelect().Operand()); ok {
			return base + "." + e.AsSelect().FieldName(), true
		}
	default:
	}
	return "", false
}

// inspectExpr refuses what types allow and policies do not need, looks whether the
// lists that are named are there, and at the constants that our functions are
// called with.
func inspectExpr(a *ast.AST, lists map[string][]string) Errors {
	var errs Errors
	fail := func(e ast.Expr, format string, args ...any) {
		line, column := position(a, e.ID())
		errs = append(errs, &Error{Line: line, Column: column, Msg: fmt.Sprintf(format, args...)})
	}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.StructKind:
			fail(e, "facts cannot be made: %s{…}", e.AsStruct().TypeName())
		case ast.SelectKind:
			of, name := e.AsSelect().Operand(), e.AsSelect().FieldName()
			if _, ok := lists[name]; of.Kind() == ast.IdentKind && of.AsIdent() == listsName && !ok {
				fail(e, "the policy has no list called %s", name)
				errs[len(errs)-1].Hint = didYouMean(name, slices.Sorted(maps.Keys(lists)))
			}
		case ast.CallKind:
			overloads := a.GetOverloadIDs(e.ID())
			for _, f := range functions {
				if f.check != nil && slices.Contains(overloads, f.overload) {
					checkConstants(e.AsCall(), f, fail)
				}
			}
		default:
		}
	}))
	return errs
}

func checkConstants(c ast.CallExpr, f function, fail func(e ast.Expr, format string, args ...any)) {
	args := c.Args()
	if f.member {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	for i, arg := range args {
		list := []ast.Expr{arg}
		if arg.Kind() == ast.ListKind {
			list = arg.AsList().Elements()
		}
		for _, e := range list {
			if e.Kind() != ast.LiteralKind {
				continue
			}
			if text, ok := e.AsLiteral().(types.String); ok {
				if err := f.check(i, string(text)); err != nil {
					fail(e, "%s: %v", f.name, err)
				}
			}
		}
	}
}

// position gives line and column of a node, from 1, in characters.
func position(a *ast.AST, id int64) (line, column int) {
	loc := a.SourceInfo().GetStartLocation(id)
	return max(loc.Line(), 1), max(loc.Column()+1, 1)
}

// celErrors turns what the compiler found into our errors, with hints. parsed is
// nil if the text was not even parsed.
func celErrors(issues *cel.Issues, parsed *cel.Ast) Errors {
	var errs Errors
	for _, e := range issues.Errors() {
		err := &Error{Line: max(e.Location.Line(), 1), Column: max(e.Location.Column()+1, 1), Msg: clean(e.Message)}
		err.Msg = strings.TrimSuffix(err.Msg, " (in container '')")
		err.Msg = strings.TrimPrefix(err.Msg, "Syntax error: ")
		if before, _, ok := strings.Cut(err.Msg, " expecting {"); ok {
			err.Msg = strings.Replace(strings.Replace(before, "mismatched input", "unexpected", 1), "'<EOF>'", "end of the expression", 1)
		}
		err.Msg, _, _ = strings.Cut(err.Msg, " (did you mean ") // hints are ours
		err.Msg, _ = cut(err.Msg, MaxMessage)
		err.Hint = hint(err.Msg, e.ExprID, parsed)
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = Errors{{Line: 1, Column: 1, Msg: clean(issues.Err().Error())}}
	}
	return errs
}

// hint says what somebody may have meant.
func hint(msg string, id int64, parsed *cel.Ast) string {
	quoted := func(prefix string) (string, bool) {
		rest, ok := strings.CutPrefix(msg, prefix)
		name, _, closed := strings.Cut(rest, "'")
		return name, ok && closed
	}
	if strings.Contains(msg, "reserved identifier: package") {
		return "facts about the package are called pkg"
	}
	name, ok := quoted("undeclared reference to '")
	list := names()
	if !ok {
		if name, ok = quoted("undefined field '"); !ok {
			return ""
		}
		list = fieldsAround(parsed, id, name)
	}
	return didYouMean(name, list)
}

func didYouMean(name string, list []string) string {
	if n := near.Nearest(name, list); n != "" && n != name {
		return "did you mean " + n + "?"
	}
	return ""
}

// fieldsAround gives the fields of what field name of node id was looked for in,
// or, if that is the variable of a loop, all there are.
func fieldsAround(parsed *cel.Ast, id int64, name string) []string {
	var all []string
	found := ""
	for _, v := range variables {
		all = append(all, fieldsBelow(v.typ, 0)...)
	}
	if parsed == nil {
		return all
	}
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == name && (e.ID() == id || found == "") {
			if path, ok := (&walker{}).path(e.AsSelect().Operand()); ok {
				found = path
			}
		}
	}))
	if t := typeOfPath(found); t != nil && t.Kind() == types.StructKind {
		return fieldsOf(t.TypeName())
	}
	return all
}

func typeOfPath(path string) *cel.Type {
	parts := strings.Split(path, ".")
	var t *cel.Type
	for _, v := range variables {
		if v.name == parts[0] {
			t = v.typ
		}
	}
	for _, field := range parts[1:] {
		if t == nil || t.Kind() != types.StructKind {
			return nil
		}
		t = fieldType(t.TypeName(), field)
	}
	return t
}

// fieldsBelow gives the fields of a type and of those it is made of.
func fieldsBelow(t *cel.Type, depth int) []string {
	for t.Kind() == types.ListKind {
		t = t.Parameters()[0]
	}
	if t.Kind() != types.StructKind || depth > 4 {
		return nil
	}
	var list []string
	for _, f := range fieldsOf(t.TypeName()) {
		list = append(append(list, f), fieldsBelow(fieldType(t.TypeName(), f), depth+1)...)
	}
	return list
}
