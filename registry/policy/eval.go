package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/interpreter"
)

// Eval asks all rules about f.Action in f.Package.Repository for their opinion of
// f, which has to be of one file: of a package with several, call it for each and
// Merge the results. It does not change f. When ctx ends, the rules not yet asked
// count as violated.
func (s *Set) Eval(ctx context.Context, f *Facts) Result {
	r := Result{Outcome: Allowed, Violations: []Violation{}}
	e := &evaluation{ctx: ctx, f: f, a: &activation{f: f}}
	e.missing = e.gaps()
	s.asked(f.Package.Repository, f.Action, func(p *compiled, rule *rule) {
		if !e.applies(rule) {
			return
		}
		r.Rules++
		e.a.lists = p.lists
		if p.check != nil {
			r.add(e.checkfile(p)...)
		} else if v := e.ask(rule); v != nil {
			r.add(*v)
		}
	})
	r.conclude()
	return r
}

// add keeps violations up to MaxViolations; those that refuse go first if not all
// can stay.
func (r *Result) add(vs ...Violation) {
	for _, v := range vs {
		if len(r.Violations) < MaxViolations {
			r.Violations = append(r.Violations, v)
			continue
		}
		r.Truncated = true
		if v.Mode != Enforce {
			continue
		}
		if i := slices.IndexFunc(r.Violations, func(o Violation) bool { return o.Mode != Enforce }); i >= 0 {
			r.Violations[i] = v
		}
	}
}

// An evaluation is one call of Eval.
type evaluation struct {
	ctx     context.Context
	f       *Facts
	a       *activation
	missing []gap
}

// A gap is a fact that is not known, and why.
type gap struct{ fact, why string }

// applies reports whether a rule is about this kind of file at all.
func (e *evaluation) applies(r *rule) bool {
	return e.f.File.Wasm || e.f.Report != nil || !r.wasm
}

// gaps lists what is not known, so that no rule takes its absence for an answer.
func (e *evaluation) gaps() (list []gap) {
	f := e.f
	add := func(fact, format string, args ...any) { list = append(list, gap{fact, fmt.Sprintf(format, args...)}) }
	missing := func(fact string, is bool, why string) {
		if _, told := f.Unknown[fact]; is && !told {
			add(fact, "%s", why)
		}
	}
	missing("report", f.Report == nil, "the file was not inspected")
	missing("capabilities", f.Capabilities == nil, "the file was not inspected")
	missing("previous", f.Previous == nil, "nobody looked for the previous version")
	missing("sbom", f.SBOM == nil, "nobody looked for what is in the file")
	missing("licenses", f.Licenses == nil, "nobody looked for the licences of what is in the file")
	missing("vulnerabilities", f.Vulnerabilities == nil, "nobody looked for advisories about what is in the file")
	for _, fact := range signatureFacts {
		missing(fact, f.Signatures == nil, "nobody looked for signatures")
	}
	if slices.ContainsFunc(f.Attestations, func(a Attestation) bool { return a.Cut }) {
		add(predicateFact, "one is too long or too deep to be kept")
	}
	if f.Report != nil && !f.Report.Valid {
		for _, name := range unknownIfBroken() {
			add("report."+name, "the file is not valid WebAssembly: %s", f.Report.Problem)
		}
		add("capabilities", "the file is not valid WebAssembly: %s", f.Report.Problem)
	}
	if f.Report != nil && !f.Report.Hashed {
		add(hashedFact, "the hashes of exported functions were not made")
	}
	list = append(list, cutLists("", f.Report, f.Capabilities)...)
	if f.SBOM != nil {
		list = append(list, cutGaps("sbom.", f.SBOM.Truncated)...)
	}
	if f.Licenses != nil {
		list = append(list, cutGaps("licenses.", f.Licenses.Truncated)...)
	}
	if f.Previous != nil && f.Previous.Exists {
		if !f.Previous.Report.Hashed {
			add("previous."+hashedFact, "the hashes of exported functions were not made")
		}
		list = append(list, cutLists("previous.", &f.Previous.Report, &f.Previous.Capabilities)...)
	}
	for fact, why := range f.Unknown {
		add(fact, "%s", clean(why))
	}
	slices.SortFunc(list, func(a, b gap) int { return strings.Compare(a.fact, b.fact) })
	return list
}

func cutLists(prefix string, r *Report, c *Capabilities) (list []gap) {
	if r != nil {
		list = cutGaps(prefix+"report.", r.Truncated)
	}
	if c != nil && c.Truncated {
		list = append(list, cutGaps(prefix+"capabilities.", []string{"unknown"})...)
	}
	return list
}

func cutGaps(prefix string, lists []string) (gaps []gap) {
	for _, name := range lists {
		gaps = append(gaps, gap{prefix + name, "the list is too long to be kept, and was cut"})
	}
	return gaps
}

// unknownIfBroken are the fields of reports that a file has to be valid for.
func unknownIfBroken() []string {
	return slices.DeleteFunc(fieldsOf("policy.Report"), func(name string) bool {
		return name == "valid" || name == "problem" || name == "size"
	})
}

// gapIn gives the first of reads that is not known.
func (e *evaluation) gapIn(reads []string) (gap, bool) {
	for _, g := range e.missing {
		// Who reads a whole list does not ask for its details.
		if readsOne(reads, g.fact) && (!isDetail(g.fact) || slices.Contains(reads, g.fact)) {
			return g, true
		}
	}
	return gap{}, false
}

// ask asks one rule; nil says that it holds.
func (e *evaluation) ask(r *rule) *Violation {
	if g, ok := e.gapIn(r.reads); ok {
		v := e.broken(r, fmt.Errorf("%s is not known: %s", g.fact, g.why))
		return &v
	}
	if e.ctx.Err() != nil {
		v := e.broken(r, errTimeout)
		return &v
	}
	got, err := r.condition.holds(e.ctx, e.a)
	switch {
	case err != nil:
		v := e.broken(r, reason(e.ctx, err))
		return &v
	case got == r.want:
		return nil
	}
	v := r.violation(e.f)
	v.Message = e.say(r.message)
	v.Fact = e.explain(r)
	return &v
}

func (r *rule) violation(f *Facts) Violation {
	v := Violation{Policy: r.policy, Rule: r.name, Mode: r.mode, Severity: r.severity, File: clean(f.File.Path)}
	if r.needs.Signatures && (f.Action == Push || f.Action == Tag) {
		v.Hint = hintSigned(f)
	}
	return v
}

// broken is the violation of a rule that could not be evaluated.
func (e *evaluation) broken(r *rule, err error) Violation {
	v := r.violation(e.f)
	v.Error = true
	v.Message, _ = cut("the rule cannot be evaluated: "+clean(err.Error()), MaxMessage)
	return v
}

// reason puts what the evaluator says into words.
func reason(ctx context.Context, err error) error {
	var cancelled interpreter.EvalCancelledError
	switch {
	case ctx.Err() != nil:
		return errTimeout
	case errors.As(err, &cancelled):
		return fmt.Errorf("it takes more than %d steps", maxCost)
	}
	return err
}

// maxHole bounds what one expression adds to a message, in bytes.
const maxHole = 200

// say fills in a message.
func (e *evaluation) say(m message) string {
	var b strings.Builder
	for _, p := range m {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		if g, ok := e.gapIn(p.expr.reads); ok {
			b.WriteString("(" + g.fact + " is not known)")
			continue
		}
		v, err := p.expr.eval(e.ctx, e.a)
		if err != nil {
			b.WriteString("(" + clip(err.Error()) + ")")
			continue
		}
		b.WriteString(tell(v, maxHole))
	}
	s, _ := cut(clean(strings.Join(strings.Fields(b.String()), " ")), MaxMessage)
	return s
}
