package policy

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Bounds on expressions. A step of an expression costs 1, and takes about a tenth
// of a microsecond.
const (
	maxExpression = 4 << 10    // characters
	maxNodes      = 1000       // of the syntax tree, macros written out
	maxNesting    = 40         // of parentheses and calls
	maxEstimate   = 50_000_000 // cost at worst, for lists as long as they can be
	maxCost       = 1_000_000  // cost when it runs
	maxRegexp     = 2000       // instructions of a compiled regular expression
)

// A variable is one of the roots of all facts.
type variable struct {
	name string
	typ  *cel.Type
}

var variables = []variable{
	{"pkg", cel.ObjectType("policy.Package")},
	{"principal", cel.ObjectType("policy.PrincipalFacts")},
	{"action", cel.StringType},
	{"file", cel.ObjectType("policy.File")},
	{"report", cel.ObjectType("policy.Report")},
	{"capabilities", cel.ObjectType("policy.Capabilities")},
	{"previous", cel.ObjectType("policy.Previous")},
	{"sbom", cel.ObjectType("policy.SBOM")},
	{"licenses", cel.ObjectType("policy.Licenses")},
	{"vulnerabilities", vulnerabilitiesType},
	{"signatures", signaturesType},
	{"attestations", attestationsType},
	{"refusedSignatures", cel.ListType(cel.ObjectType("policy.RefusedSignature"))},
	{"publisher", cel.StringType},
}

// listsName is the variable of the lists of a policy, which are no facts.
const listsName = "lists"

// celEnv is the environment of all expressions. It fails only if the facts above
// do not fit together, which every test meets.
var celEnv = sync.OnceValue(func() *cel.Env {
	env, err := newEnv()
	if err != nil {
		panic("policy: " + err.Error())
	}
	return env
})

func newEnv() (*cel.Env, error) {
	options := []cel.EnvOption{
		ext.NativeTypes(ext.ParseStructField(fieldName), reflect.TypeFor[Facts]()),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegexp),
		cel.EagerlyValidateDeclarations(true),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateHomogeneousAggregateLiterals()),
		cel.Macros(
			cel.GlobalMacro("imports", 1, namedIn("imports")),
			cel.GlobalMacro("exports", 1, namedIn("exports")),
		),
	}
	options = append(options, cel.Variable(listsName, cel.MapType(cel.StringType, texts)))
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, v.typ))
	}
	for _, f := range functions {
		options = append(options, f.option()...)
	}
	return cel.NewEnv(options...)
}

// fieldName is what expressions call a field of facts: what JSON does, unless the
// field is none of their business.
func fieldName(f reflect.StructField) string {
	if f.Tag.Get("cel") == "-" {
		return "-"
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// namedIn makes imports(p) stand for report.imports.named(p).
func namedIn(list string) cel.MacroFactory {
	return func(h cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *cel.Error) {
		return h.NewMemberCall("named", h.NewSelect(h.NewIdent("report"), list), args[0]), nil
	}
}

// An estimator knows how long lists and texts of facts can be, for the estimate of
// what an expression costs at worst. Texts are taken to be short: what they cost
// beyond that, maxCost bounds. lists are those of the policy.
type estimator struct{ lists map[string][]string }

// longest are the lists of facts that may have more or fewer entries than usual.
var longest = map[string]uint64{
	"imports": maxList, "exports": maxList, "components": maxList, "vulnerabilities": maxList,
	"expressions": maxList, "ids": maxList, "missing": maxList, "other": maxList,
	"notFound": maxList, "notDeclared": maxList, "otherVersion": maxList,
	"licenses": maxComponentLicences, "aliases": maxAliases, "fixed": maxFixed,
	"signatures": maxSignatures, "attestations": maxSignatures, "refusedSignatures": maxSignatures,
}

// usualList is how long lists of facts are taken to be otherwise.
const usualList = 1000

func (e estimator) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.Type() == nil {
		return nil
	}
	size := cost.SizeEstimate{}
	switch path := pathOf(n); n.Type().Kind() {
	case types.StringKind:
		size.Max = 64
	case types.ListKind:
		size.Max = usualList
		if len(path) == 0 {
			return nil
		}
		last := path[len(path)-1]
		if most, ok := longest[last]; ok {
			size.Max = most
		}
		if list, ok := e.lists[last]; ok && len(path) == 2 && path[0] == listsName {
			size.Max = uint64(len(list))
		}
	case types.MapKind:
		size.Max = 100
	case types.DynKind: // of a predicate
		size.Max = maxPredicateValues
	default:
		return nil
	}
	return &size
}

// pathOf gives the names that lead to a node. What a function gave has none: then
// it is the field alone.
func pathOf(n cost.AstNode) []string {
	if path := n.Path(); len(path) > 0 {
		return path
	}
	if e := n.Expr(); e != nil && e.Kind() == ast.SelectKind {
		return []string{e.AsSelect().FieldName()}
	}
	return nil
}

func (estimator) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// fieldsOf gives the names of the fields of a type of facts.
func fieldsOf(typeName string) []string {
	names, _ := celEnv().CELTypeProvider().FindStructFieldNames(typeName)
	slices.Sort(names)
	return names
}

// fieldType is the type of a field, nil if there is none.
func fieldType(typeName, field string) *cel.Type {
	f, ok := celEnv().CELTypeProvider().FindStructFieldType(typeName, field)
	if !ok {
		return nil
	}
	return f.Type
}

// names are what an expression can begin with.
func names() []string {
	list := []string{
		"imports", "exports", listsName,
		"size", "has", "matches", "contains", "startsWith", "endsWith", "all", "exists", "exists_one", "map", "filter",
	}
	for _, v := range variables {
		list = append(list, v.name)
	}
	for _, f := range functions {
		list = append(list, f.name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
