package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// explain gives the facts that broke a rule, with their values: it evaluates the
// condition once more, keeping the value of every step, and follows the steps that
// the result hung on.
func (e *evaluation) explain(r *rule) string {
	program, err := r.condition.traced()
	if err != nil {
		return ""
	}
	_, details, err := program.ContextEval(e.ctx, e.a)
	if err != nil || details == nil {
		return ""
	}
	x := explainer{state: details.State(), walker: walker{local: map[string]int{}, fields: map[string]bool{}}}
	x.because(r.condition.ast.NativeRep().Expr())
	s, _ := cut(strings.Join(x.found, "; "), MaxFact)
	return s
}

// maxFound bounds the facts of one explanation.
const maxFound = 6

type explainer struct {
	state  interpreter.EvalState
	walker walker
	found  []string
}

func (x *explainer) value(e ast.Expr) (ref.Val, bool) {
	v, ok := x.state.Value(e.ID())
	if !ok || v == nil || types.IsUnknownOrError(v) {
		return nil, false
	}
	return v, true
}

// because follows the condition e to what made it true or false.
func (x *explainer) because(e ast.Expr) { x.follow(e, x.operand) }

// follow calls f for the parts of condition e that decided it. CEL looks at the
// operands of && and || from left to right and ends at one that decides, so that
// what stands behind has no value, or, in a loop, that of an earlier turn.
func (x *explainer) follow(e ast.Expr, f func(ast.Expr)) {
	if e.Kind() != ast.CallKind {
		f(e)
		return
	}
	args := e.AsCall().Args()
	switch e.AsCall().FunctionName() {
	case operators.LogicalNot:
		x.follow(args[0], f)
	case operators.LogicalAnd:
		x.junction(args, types.False, f)
	case operators.LogicalOr:
		x.junction(args, types.True, f)
	case operators.Conditional:
		x.follow(args[0], f)
		if v, ok := x.value(args[0]); ok && v == types.True {
			x.follow(args[1], f)
		} else {
			x.follow(args[2], f)
		}
	default:
		f(e)
	}
}

// junction follows the first operand that has the value that decides, or else all.
func (x *explainer) junction(args []ast.Expr, decides ref.Val, f func(ast.Expr)) {
	for _, a := range args {
		if v, ok := x.value(a); ok && v == decides {
			x.follow(a, f)
			return
		}
	}
	for _, a := range args {
		x.follow(a, f)
	}
}

// operand shows the facts in a part of a condition.
func (x *explainer) operand(e ast.Expr) {
	switch e.Kind() {
	case ast.CallKind:
		x.call(e)
	case ast.ComprehensionKind:
		x.comprehension(e)
	default:
		x.fact(e)
	}
}

func (x *explainer) call(e ast.Expr) {
	c := e.AsCall()
	if c.IsMemberFunction() && x.ours(c) {
		return
	}
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	for _, a := range args {
		switch {
		case (a.Kind() == ast.CallKind || a.Kind() == ast.ComprehensionKind) && x.listOf(a):
		case a.Kind() == ast.CallKind:
			x.call(a)
		default:
			x.fact(a)
		}
	}
}

// ours shows what one of our functions found in a list of facts.
func (x *explainer) ours(c ast.CallExpr) bool {
	fact := x.origin(c.Target())
	list, ok := x.value(c.Target())
	if !ok || len(c.Args()) != 1 {
		return false
	}
	arg, ok := x.value(c.Args()[0])
	if !ok && c.Args()[0].Kind() == ast.LiteralKind {
		arg, ok = c.Args()[0].AsLiteral(), true
	}
	if !ok {
		return false
	}
	var found ref.Val
	switch c.FunctionName() {
	case "overlaps":
		found = members(list, arg, true)
	case "within":
		found = members(list, arg, false)
	case "named":
		found = x.firstNamed(list, arg)
	case "satisfies":
		found = licensesBeyond(list, arg)
	}
	verb := " has "
	if fact == "" {
		fact, verb = x.origin(c.Args()[0]), " lacks "
	}
	if found == nil || fact == "" {
		return false
	}
	if l, ok := found.(traits.Lister); ok && l.Size() == types.Int(0) {
		return false
	}
	x.add(fact + verb + show(found, maxHole))
	return true
}

// firstNamed gives the first import or export that a pattern matches, nil if none
// does.
func (x *explainer) firstNamed(list, pattern ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	if _, text := pattern.(types.String); !ok || !text {
		return nil
	}
	adapter := celEnv().CELTypeAdapter()
	for i := range min(int(l.Size().(types.Int)), maxList) {
		entry := l.Get(types.Int(i))
		named := types.False
		switch fact := entry.Value().(type) {
		case Import:
			named, _ = importsNamed(adapter.NativeToValue([]Import{fact}), pattern).(types.Bool)
		case Export:
			named, _ = exportsNamed(adapter.NativeToValue([]Export{fact}), pattern).(types.Bool)
		}
		if named {
			return entry
		}
	}
	return nil
}

// listOf shows a list that was computed from a fact, in place of the whole fact:
// what a filter or a function on lists left over.
func (x *explainer) listOf(e ast.Expr) bool {
	v, ok := x.value(e)
	if !ok {
		return false
	}
	list, ok := v.(traits.Lister)
	if !ok || list.Size() == types.Int(0) {
		return false
	}
	fact := x.origin(e)
	if fact == "" {
		return false
	}
	x.add(fact + " has " + show(v, maxHole))
	return true
}

// comprehension shows the entry that a loop stopped at, or else what it went over.
func (x *explainer) comprehension(e ast.Expr) {
	c := e.AsComprehension()
	fact := x.origin(c.IterRange())
	whole, ok := x.value(e)
	if fact == "" || !ok {
		x.fact(c.IterRange())
		return
	}
	// Loops of all and exists end at the entry that decides: the last step that
	// was evaluated is about it.
	decided := whole == types.False && isAll(c) || whole == types.True && isExists(c)
	if entry, ok := x.lastEntry(c); decided && ok {
		x.add(fact + " has " + show(entry, maxHole))
		return
	}
	x.fact(c.IterRange())
}

func isAll(c ast.ComprehensionExpr) bool    { return literal(c.AccuInit(), types.True) }
func isExists(c ast.ComprehensionExpr) bool { return literal(c.AccuInit(), types.False) }

func literal(e ast.Expr, v ref.Val) bool {
	return e.Kind() == ast.LiteralKind && e.AsLiteral() == v
}

// lastEntry looks for the entry that the loop was at in its last turn: the first
// one whose fields have the values that decided then.
func (x *explainer) lastEntry(c ast.ComprehensionExpr) (ref.Val, bool) {
	step := c.LoopStep()
	if step.Kind() != ast.CallKind || len(step.AsCall().Args()) != 2 {
		return nil, false
	}
	fields := map[string]ref.Val{}
	var whole ref.Val
	x.follow(step.AsCall().Args()[1], func(e ast.Expr) {
		ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
			v, ok := x.value(e)
			switch {
			case !ok:
			case e.Kind() == ast.IdentKind && e.AsIdent() == c.IterVar():
				whole = v
			case e.Kind() == ast.SelectKind && e.AsSelect().Operand().Kind() == ast.IdentKind && e.AsSelect().Operand().AsIdent() == c.IterVar():
				fields[e.AsSelect().FieldName()] = v
			}
		}))
	})
	if whole != nil || len(fields) == 0 {
		return whole, whole != nil
	}
	v, _ := x.value(c.IterRange())
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, false
	}
	for i := range min(int(list.Size().(types.Int)), maxList) {
		if entry := list.Get(types.Int(i)); hasFields(entry, fields) {
			return entry, true
		}
	}
	return nil, false
}

func hasFields(entry ref.Val, fields map[string]ref.Val) bool {
	object, ok := entry.(traits.Indexer)
	if !ok {
		return false
	}
	for name, v := range fields {
		if object.Get(types.String(name)).Equal(v) != types.True {
			return false
		}
	}
	return true
}

// fact shows a fact, or the facts inside of what is none.
func (x *explainer) fact(e ast.Expr) {
	if name := x.name(e); name != "" {
		if v, ok := x.value(e); ok {
			x.add(name + ": " + show(v, maxHole))
		}
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		x.fact(e.AsSelect().Operand())
	case ast.CallKind:
		x.call(e)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			x.fact(item)
		}
	case ast.ComprehensionKind:
		x.comprehension(e)
	default:
	}
}

// name gives the name of the fact that e is, "" if it is none.
func (x *explainer) name(e ast.Expr) string {
	path, _ := x.walker.path(e)
	return path
}

// origin gives the fact that the list e was computed from.
func (x *explainer) origin(e ast.Expr) string {
	switch e.Kind() {
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			return x.origin(e.AsCall().Target())
		}
	case ast.ComprehensionKind:
		return x.origin(e.AsComprehension().IterRange())
	default:
		return x.name(e)
	}
	return ""
}

func (x *explainer) add(text string) {
	if len(x.found) < maxFound && !slices.Contains(x.found, text) {
		x.found = append(x.found, text)
	}
}
