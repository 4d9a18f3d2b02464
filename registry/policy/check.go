package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A CheckReport says how a module fails a checkfile, in the form of Modsurfer's
// reports.
type CheckReport struct {
	// Fails are the failed checks by their path in the checkfile,
	// "imports.include.env::log". Names in it come from the module; what cannot be
	// printed is replaced.
	Fails map[string]CheckFail `json:"fails"`

	// Error says why the module could not be held against the file, which is a
	// failure too; "" if it could.
	Error string `json:"error,omitempty"`
}

// OK reports whether the module passes.
func (r CheckReport) OK() bool { return len(r.Fails) == 0 && r.Error == "" }

// A CheckFail is one failed check.
type CheckFail struct {
	Actual         string `json:"actual"`
	Expected       string `json:"expected"`
	Severity       int    `json:"severity"` // 1 to 10
	Classification string `json:"classification"`
}

// Classifications of failed checks, spelled as Modsurfer does.
const (
	ClassABI      = "AbiCompatibilty"
	ClassResource = "ResourceLimit"
	ClassSecurity = "Security"
)

// Check holds the file that r is of against the checkfile. HashExports has to have
// been called if the checkfile names hashes.
func (c *Checkfile) Check(r *Report) CheckReport {
	k := checker{c: c, r: r, fails: map[string]CheckFail{}}
	if err := k.ready(); err != nil {
		return CheckReport{Fails: k.fails, Error: err.Error()}
	}
	k.wasi()
	k.imports()
	k.namespaces()
	k.exports()
	k.sizes()
	return CheckReport{Fails: k.fails}
}

type checker struct {
	c     *Checkfile
	r     *Report
	fails map[string]CheckFail
}

// ready says why the checkfile cannot be answered, if it cannot.
func (k *checker) ready() error {
	switch needs := k.c.needs(); {
	case k.c.URL != "":
		return fmt.Errorf("the checkfile is only the address of another one: %s", clip(k.c.URL))
	case !k.r.Valid:
		return fmt.Errorf("the file is not valid WebAssembly: %s", k.r.Problem)
	case needs.Hashes && !k.r.Hashed:
		return fmt.Errorf("the hashes of exported functions are not known")
	}
	for _, list := range k.r.Truncated {
		if readsOne(k.c.reads(), "report."+list) {
			return fmt.Errorf("the list of %s is too long to be kept, and was cut", list)
		}
	}
	return nil
}

func (c *Checkfile) needs() Needs {
	n := Needs{Report: true}
	for _, f := range c.Exports.Include {
		n.Hashes = n.Hashes || f.Hash != ""
	}
	return n
}

// reads lists the facts that the checkfile asks for.
func (c *Checkfile) reads() []string {
	reads := []string{"report.kind"}
	if c.AllowWASI != nil || c.Imports.Namespace.Include != nil || c.Imports.Namespace.Exclude != nil {
		reads = append(reads, "report.importModules", "report.wasi")
	}
	if i := c.Imports; i.Include != nil || i.Exclude != nil || i.Namespace.Include != nil || i.Namespace.Exclude != nil {
		reads = append(reads, "report.imports")
	}
	if e := c.Exports; e.Max != nil || e.Include != nil || e.Exclude != nil {
		reads = append(reads, "report.exports")
	}
	if c.Complexity != nil {
		reads = append(reads, "report.maxComplexity")
	}
	return reads
}

func (k *checker) fail(path, expected, actual string, severity int, class string) {
	k.fails[clean(path)] = CheckFail{
		Actual: clean(actual), Expected: clean(expected), Severity: min(max(severity, 1), 10), Classification: class,
	}
}

const (
	included = "included"
	excluded = "excluded"
)

func (k *checker) present(path string, severity int) {
	k.fail(path, excluded, included, severity, ClassABI)
}

func (k *checker) absent(path string, severity int) {
	k.fail(path, included, excluded, severity, ClassABI)
}

// wasi checks allow_wasi: every generation counts, in modules and components.
func (k *checker) wasi() {
	if allow := k.c.AllowWASI; allow == nil || *allow {
		return
	}
	uses := k.r.WASI != "none"
	for _, m := range k.r.ImportModules {
		uses = uses || m == "wasi" || strings.HasPrefix(m, "wasi_") || strings.HasPrefix(m, "wasix_") || strings.HasPrefix(m, "wasi:")
	}
	if uses {
		k.fail("allow_wasi", "false", "true", 10, ClassABI)
	}
}

// An extern is an import or export under all the names that a checkfile can use
// for it.
type extern struct {
	label      string // for paths: "env::log", "wasi:cli/stdout@0.2.0"
	names      []string
	namespaces []string
	kind, typ  string
	hash       string
}

func importOf(im Import) extern {
	if im.Module == "" {
		return interfaceOf(im.Name, im.Kind, im.Type)
	}
	return extern{
		label: im.Module + "::" + im.Name, names: []string{im.Name}, namespaces: []string{im.Module}, kind: im.Kind, typ: im.Type,
	}
}

// interfaceOf knows "wasi:cli/stdout@0.2.0" also without its version, as "stdout",
// and as what is in the namespaces "wasi:cli" and of its own name.
func interfaceOf(name, kind, typ string) extern {
	e := extern{label: name, names: []string{name}, kind: kind, typ: typ}
	bare, ver, versioned := strings.Cut(name, "@")
	pkg, item, ok := strings.Cut(bare, "/")
	if !ok || !strings.Contains(pkg, ":") {
		return e
	}
	e.names = append(e.names, bare, item)
	e.namespaces = []string{name, bare, pkg}
	if versioned {
		e.names = append(e.names, item+"@"+ver)
		e.namespaces = append(e.namespaces, pkg+"@"+ver)
	}
	return e
}

// is reports whether f means e, whatever its type.
func (e extern) is(f CheckFunction) bool {
	return slices.Contains(e.names, f.Name) && (f.Namespace == nil || slices.Contains(e.namespaces, *f.Namespace))
}

// counts reports whether e is one of those that lists of functions are about: all
// that a component has, and the functions of a module.
func (k *checker) counts(e extern) bool { return e.kind == "func" || k.r.Kind != "module" }

// An index finds the functions of a checkfile by name.
type index map[string][]CheckFunction

func indexOf(list []CheckFunction) index {
	x := index{}
	for _, f := range list {
		x[f.Name] = append(x[f.Name], f)
	}
	return x
}

// find gives those that mean e.
func (x index) find(e extern) (list []CheckFunction) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(e.names))) {
		for _, f := range x[name] {
			if e.is(f) {
				list = append(list, f)
			}
		}
	}
	return list
}

func (k *checker) imports() {
	c := k.c.Imports
	include, exclude := indexOf(c.Include), indexOf(c.Exclude)
	for _, im := range k.r.Imports {
		e := importOf(im)
		if c.Include != nil && k.counts(e) {
			if items := include.find(e); len(items) == 0 {
				k.present("imports.include."+e.label, 10)
			} else {
				k.types("imports.include."+e.label, e, items)
			}
		}
		for _, f := range exclude.find(e) {
			label := f.Name
			if f.Namespace != nil {
				label = *f.Namespace + "::" + f.Name
			}
			k.present("imports.exclude."+label, 5)
		}
	}
}

func (k *checker) namespaces() {
	c := k.c.Imports.Namespace
	if c.Include == nil && c.Exclude == nil {
		return
	}
	type both struct{ namespace, name string }
	have, functions := map[string]bool{}, map[both]extern{}
	for _, im := range k.r.Imports {
		e := importOf(im)
		for _, ns := range e.namespaces {
			have[ns] = true
			functions[both{ns, im.Name}] = e
		}
	}
	for _, ns := range c.Include {
		path := "imports.namespace.include." + ns.Name
		if !have[ns.Name] {
			k.absent(path, 8)
		}
		for _, f := range ns.Functions {
			if e, ok := functions[both{ns.Name, f.Name}]; ok {
				k.types(path+"::"+f.Name, e, []CheckFunction{f})
			} else {
				k.absent(path+"::"+f.Name, 8)
			}
		}
	}
	for _, ns := range c.Exclude {
		path := "imports.namespace.exclude." + ns.Name
		if have[ns.Name] {
			k.present(path, 10)
		}
		for _, f := range ns.Functions {
			if _, ok := functions[both{ns.Name, f.Name}]; ok {
				k.present(path+"::"+f.Name, 10)
			}
		}
	}
}

func (k *checker) exports() {
	c := k.c.Exports
	byName := map[string]extern{}
	functions := 0
	for _, ex := range k.r.Exports {
		e := extern{label: ex.Name, names: []string{ex.Name}, kind: ex.Kind, typ: ex.Type}
		if k.r.Kind != "module" {
			e = interfaceOf(ex.Name, ex.Kind, ex.Type)
		}
		e.hash = ex.Hash
		if k.counts(e) {
			functions++
		}
		for _, name := range e.names {
			byName[name] = e
		}
	}
	if c.Max != nil && int64(functions) > int64(*c.Max) {
		over := float64(functions) - float64(*c.Max)
		severity := int(min(10, math.Ceil(over/float64(max(*c.Max, 1))*10)))
		k.fail("exports.max", fmt.Sprintf("<= %d", *c.Max), strconv.Itoa(functions), severity, ClassSecurity)
	}
	for _, f := range c.Include {
		e, ok := byName[f.Name]
		if !ok {
			k.absent("exports.include."+f.Name, 10)
		} else {
			k.types("exports.include."+f.Name, e, []CheckFunction{f})
		}
		if f.Hash != "" && e.hash != f.Hash {
			k.fail("exports.hash."+f.Name, f.Hash, orNone(e.hash), 7, ClassABI)
		}
	}
	for _, f := range c.Exclude {
		if _, ok := byName[f.Name]; ok {
			k.present("exports.exclude."+f.Name, 5)
		}
	}
}

func orNone(s string) string {
	if s == "" {
		return "<NONE>"
	}
	return s
}

func (k *checker) sizes() {
	if limit := k.c.MaxSize; limit > 0 && k.r.Size > limit {
		k.fail("size.max", fmt.Sprintf("<= %d", limit), strconv.FormatInt(k.r.Size, 10), int(min(k.r.Size/limit, 10)), ClassResource)
	}
	c := k.c.Complexity
	if c == nil {
		return
	}
	got := k.r.MaxComplexity
	if risk := Risk(got); c.MaxRisk == riskLow && risk != riskLow || c.MaxRisk == riskMedium && risk == riskHigh {
		limit := int64(maxLow)
		if c.MaxRisk == riskMedium {
			limit = maxMedium
		}
		k.fail("complexity.max_risk", "<= "+c.MaxRisk, risk, int(min(got/limit, 10)), ClassResource)
	}
	if c.MaxScore != nil && got > int64(*c.MaxScore) {
		severity := int(min(got/int64(max(*c.MaxScore, 1)), 10))
		k.fail("complexity.max_score", fmt.Sprintf("<= %d", *c.MaxScore), strconv.FormatInt(got, 10), severity, ClassResource)
	}
}

// types checks the type of e: one of items has to fit.
func (k *checker) types(path string, e extern, items []CheckFunction) {
	params, results, ok := signature(e.typ)
	ok = ok && k.r.Kind == "module" // checkfiles have no words for the types of components
	fits := func(want, got []string) bool { return want == nil || ok && slices.Equal(want, got) }
	for _, f := range items {
		if fits(f.Params, params) && fits(f.Results, results) {
			return
		}
	}
	f := items[0]
	actual := func(got []string) string {
		if !ok {
			return e.kind + " " + e.typ
		}
		return list(got)
	}
	if !fits(f.Params, params) {
		k.fail(path+".params", list(f.Params), actual(params), 8, ClassABI)
	}
	if !fits(f.Results, results) {
		k.fail(path+".results", list(f.Results), actual(results), 8, ClassABI)
	}
}

func list(types []string) string { return "[" + strings.Join(types, ", ") + "]" }

// signature takes the type of a function apart: "(func (param i32 (ref null 3))
// (result i64))". Of anything else, and of a type that is cut, it is not ok.
func signature(text string) (params, results []string, ok bool) {
	rest, ok := strings.CutPrefix(text, "(func")
	rest, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed || strings.Contains(text, "…") {
		return nil, nil, false
	}
	params, results = []string{}, []string{}
	for _, group := range groups(rest) {
		inner, closed := strings.CutSuffix(group, ")")
		types, isParam := strings.CutPrefix(inner, "(param")
		if isParam {
			params = append(params, groups(types)...)
			continue
		}
		types, isResult := strings.CutPrefix(inner, "(result")
		if !closed || !isResult {
			return nil, nil, false
		}
		results = append(results, groups(types)...)
	}
	return params, results, true
}

// groups splits text at the spaces that are in no parentheses.
func groups(text string) (list []string) {
	depth, start := 0, 0
	for i, r := range text + " " {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ' ':
			if depth == 0 {
				if i > start {
					list = append(list, text[start:i])
				}
				start = i + 1
			}
		}
	}
	return list
}

// checkfile asks the checkfile of a policy.
func (e *evaluation) checkfile(p *compiled) []Violation {
	if g, ok := e.gapIn(p.rule.reads); ok {
		return []Violation{e.broken(p.rule, fmt.Errorf("%s is not known: %s", g.fact, g.why))}
	}
	report := p.check.Check(e.f.Report)
	if report.Error != "" {
		return []Violation{e.broken(p.rule, fmt.Errorf("%s", report.Error))}
	}
	var list []Violation
	for _, path := range slices.Sorted(maps.Keys(report.Fails)) {
		fail := report.Fails[path]
		v := p.rule.violation(e.f)
		v.Rule = family(path)
		v.Severity = severityOf(fail.Severity)
		v.Message, _ = cut(fmt.Sprintf("%s has to be %s", path, fail.Expected), MaxMessage)
		v.Fact, _ = cut(fmt.Sprintf("%s: %s", path, fail.Actual), MaxFact)
		list = append(list, v)
		if len(list) > MaxViolations {
			break
		}
	}
	return list
}

// families are the checks of a checkfile as approvals name them.
var families = []string{
	"imports.namespace.include", "imports.namespace.exclude", "imports.include", "imports.exclude",
	"exports.max", "exports.include", "exports.exclude", "exports.hash", "size.max",
	"complexity.max_risk", "complexity.max_score", "allow_wasi",
}

func family(path string) string {
	for _, f := range families {
		if strings.HasPrefix(path, f) {
			return f
		}
	}
	return path
}

func severityOf(n int) Severity {
	switch {
	case n <= 3:
		return Low
	case n <= 6:
		return Medium
	case n <= 8:
		return High
	}
	return Critical
}
