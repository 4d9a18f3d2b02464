package trust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/wreg-project/wreg/internal/near"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/signing/verify"
)

// Bounds on expressions. A step costs 1, and takes about a tenth of a microsecond.
const (
	maxExpression  = 4 << 10 // characters
	maxNodes       = 1000    // of the syntax tree, macros written out
	maxNesting     = 40      // of parentheses and calls
	maxCost        = 1_000_000
	maxRegexp      = 2000 // instructions of a compiled regular expression
	interruptEvery = 200  // steps of a loop, before it looks whether anybody still waits
)

// An environment is what expressions of one kind may name.
type environment struct {
	env   *cel.Env
	names []string
}

// signerEnv is of expressions about certificates.
var signerEnv = sync.OnceValue(func() *environment {
	return newEnvironment(map[string]*cel.Type{
		"identity": cel.StringType, "issuer": cel.StringType, "claims": cel.MapType(cel.StringType, cel.StringType),
	})
})

// ruleEnv is of expressions about attestations.
var ruleEnv = sync.OnceValue(func() *environment {
	return newEnvironment(map[string]*cel.Type{
		"identity": cel.StringType, "issuer": cel.StringType, "claims": cel.MapType(cel.StringType, cel.StringType), "key": cel.StringType,
		"predicate": cel.DynType, "predicateType": cel.StringType,
		"host": cel.StringType, "repository": cel.StringType, "digest": cel.StringType,
	})
})

// newEnvironment fails only if its variables do not fit together, which every test
// meets.
func newEnvironment(variables map[string]*cel.Type) *environment {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.EagerlyValidateDeclarations(true),
		ext.Strings(),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateHomogeneousAggregateLiterals()),
	}
	e := &environment{names: []string{
		"size", "has", "matches", "contains", "startsWith", "endsWith", "all", "exists", "exists_one", "map", "filter",
	}}
	for name, t := range variables {
		options = append(options, cel.Variable(name, t))
		e.names = append(e.names, name)
	}
	slices.Sort(e.names)
	var err error
	if e.env, err = cel.NewEnv(options...); err != nil {
		panic("trust: " + err.Error())
	}
	return e
}

// An expr is a compiled condition.
type expr struct {
	program   cel.Program
	predicate bool // whether it asks for the predicate
}

// A fault is something wrong with an expression, at a line and column of it, from 1.
type fault struct {
	Line, Column int
	Msg, Hint    string
}

// compile compiles a condition.
func (e *environment) compile(text string) (*expr, []fault) {
	checked, issues := e.env.Compile(text)
	if issues.Err() != nil {
		return nil, e.faults(issues)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) && !checked.OutputType().IsExactType(cel.DynType) {
		return nil, []fault{{Line: 1, Column: 1, Msg: fmt.Sprintf("the expression is of type %s, and has to be bool", checked.OutputType())}}
	}
	if found := checkClaims(checked.NativeRep()); len(found) > 0 {
		return nil, found
	}
	program, err := e.env.Program(
		checked, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptEvery), cel.EvalOptions(cel.OptOptimize),
	)
	if err != nil {
		return nil, []fault{{Line: 1, Column: 1, Msg: err.Error()}}
	}
	return &expr{program: program, predicate: reads(checked.NativeRep(), "predicate")}, nil
}

// faults puts what the compiler found into our words.
func (e *environment) faults(issues *cel.Issues) []fault {
	var list []fault
	for _, i := range issues.Errors() {
		f := fault{Line: max(i.Location.Line(), 1), Column: max(i.Location.Column()+1, 1), Msg: term.Clean(i.Message)}
		f.Msg = strings.TrimSuffix(f.Msg, " (in container '')")
		f.Msg = strings.TrimPrefix(f.Msg, "Syntax error: ")
		if before, _, ok := strings.Cut(f.Msg, " expecting {"); ok {
			f.Msg = strings.ReplaceAll(before, "'<EOF>'", "end of the expression")
		}
		f.Msg, _, _ = strings.Cut(f.Msg, " (did you mean ")
		if _, name, ok := strings.Cut(f.Msg, "undeclared reference to '"); ok {
			name = strings.TrimSuffix(name, "'")
			f.Hint = meant(name, e.names)
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		list = []fault{{Line: 1, Column: 1, Msg: term.Clean(issues.Err().Error())}}
	}
	return list
}

func meant(name string, names []string) string {
	if n := near.Nearest(name, names); n != "" && n != name {
		return "did you mean " + n + "?"
	}
	return ""
}

// claimNames are the claims that a certificate can have.
var claimNames = sync.OnceValue(func() (list []string) {
	for f := range reflect.TypeFor[certificate.Extensions]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		list = append(list, name)
	}
	return list
})

// checkClaims refuses claims that no certificate has: an expression over a claim
// that is misspelt would never hold.
func checkClaims(a *ast.AST) (list []fault) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind {
			return
		}
		of, name := e.AsSelect().Operand(), e.AsSelect().FieldName()
		if of.Kind() != ast.IdentKind || of.AsIdent() != "claims" || slices.Contains(claimNames(), name) {
			return
		}
		at := a.SourceInfo().GetStartLocation(e.ID())
		list = append(list, fault{
			Line: max(at.Line(), 1), Column: max(at.Column()+1, 1), Msg: fmt.Sprintf("certificates have no claim %.80q", name),
			Hint: meant(name, claimNames()),
		})
	}))
	return list
}

// reads reports whether an expression names a variable.
func reads(a *ast.AST, name string) (found bool) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.IdentKind && e.AsIdent() == name
	}))
	return found
}

// holds gives the value of the condition. An error is no answer: what it asks for
// is not there, or it takes too long.
func (e *expr) holds(ctx context.Context, values map[string]any) (bool, error) {
	v, _, err := e.program.ContextEval(ctx, values)
	var cancelled interpreter.EvalCancelledError
	switch {
	case err != nil && ctx.Err() != nil:
		return false, ctx.Err()
	case errors.As(err, &cancelled):
		return false, fmt.Errorf("it takes more than %d steps", maxCost)
	case err != nil:
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it gives a %s, not true or false", v.Type().TypeName())
	}
	return bool(b), nil
}

// values are the variables of a proof.
func (e *expr) values(q *Question, p *verify.Proof) (map[string]any, error) {
	v := map[string]any{
		"identity": "", "issuer": "", "claims": map[string]string{}, "key": "", "predicate": nil, "predicateType": p.PredicateType,
		"host": q.Host, "repository": q.Repository, "digest": q.Subject.String(),
	}
	if p.Key != nil {
		v["key"] = p.Key.ID
	}
	if c := p.Certificate; c != nil {
		v["identity"], v["issuer"] = c.Identity, c.Issuer
		claims, err := claimsOf(c)
		if err != nil {
			return nil, err
		}
		v["claims"] = claims
	}
	if e.predicate && len(p.Predicate) > 0 {
		var predicate any
		if err := json.Unmarshal(p.Predicate, &predicate); err != nil {
			return nil, fmt.Errorf("predicate: %w", err)
		}
		v["predicate"] = predicate
	}
	return v, nil
}

// claimsOf gives the claims that a certificate has by their names.
func claimsOf(c *verify.Certificate) (map[string]string, error) {
	text, err := json.Marshal(c.Claims)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	claims := map[string]string{}
	if err := json.Unmarshal(text, &claims); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return claims, nil
}
