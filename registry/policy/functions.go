package policy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/Masterminds/semver/v3"

	"github.com/wreg-project/wreg/internal/glob"
)

// Bounds on what functions take.
const (
	maxGlob    = 512 // bytes of a pattern
	maxVersion = 256 // bytes of a version or range
)

// A function is one of ours that expressions can call.
type function struct {
	name     string
	overload string
	member   bool
	args     []*cel.Type
	result   *cel.Type
	linear   bool    // whether it goes over each argument once, and not over all pairs
	slow     bool    // whether what it does with each character is much more than to compare it
	weight   float64 // what that costs in steps, if it is neither little nor much
	usage    string  // for the documentation
	doc      string
	call     func(args []ref.Val) ref.Val

	// check looks at an argument that is a constant text, when a rule is compiled.
	check func(arg int, text string) error
}

var (
	texts       = cel.ListType(cel.StringType)
	importsType = cel.ListType(cel.ObjectType("policy.Import"))
	exportsType = cel.ListType(cel.ObjectType("policy.Export"))

	vulnerabilitiesType = cel.ListType(cel.ObjectType("policy.Vulnerability"))
	signaturesType      = cel.ListType(cel.ObjectType("policy.Signature"))
	attestationsType    = cel.ListType(cel.ObjectType("policy.Attestation"))
)

// docs/spec/policy.md lists the functions, and a test holds it to this.
var functions = []function{
	{
		name: "glob", overload: "glob_string_string",
		usage: "glob(text, pattern)", doc: "whether a text matches a pattern",
		args: []*cel.Type{cel.StringType, cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return globOf(args[0], args[1]) }, check: second(checkGlob),
	},
	{
		name: "named", overload: "imports_named",
		usage: "report.imports.named(pattern)", doc: "whether an import is called like that, see patterns of names",
		member: true, args: []*cel.Type{importsType, cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return importsNamed(args[0], args[1]) }, check: second(checkGlob),
	},
	{
		name: "named", overload: "exports_named",
		usage: "report.exports.named(pattern)", doc: "the same for exports",
		member: true, args: []*cel.Type{exportsType, cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return exportsNamed(args[0], args[1]) }, check: second(checkGlob),
	},
	{
		name: "matching", overload: "texts_matching",
		usage: "list.matching(patterns)", doc: "the texts of a list that match one of some patterns",
		member: true, args: []*cel.Type{texts, texts}, result: texts,
		call: func(args []ref.Val) ref.Val { return filter(args[0], args[1], true) }, check: second(checkGlob),
	},
	{
		name: "except", overload: "texts_except",
		usage: "list.except(patterns)", doc: "the texts of a list that match none of some patterns",
		member: true, args: []*cel.Type{texts, texts}, result: texts,
		call: func(args []ref.Val) ref.Val { return filter(args[0], args[1], false) }, check: second(checkGlob),
	},
	{
		name: "without", overload: "texts_without", linear: true,
		usage: "list.without(list)", doc: "the texts of a list that are not in another one",
		member: true, args: []*cel.Type{texts, texts}, result: texts,
		call: func(args []ref.Val) ref.Val { return members(args[0], args[1], false) },
	},
	{
		name: "common", overload: "texts_common", linear: true,
		usage: "list.common(list)", doc: "the texts of a list that are in another one too",
		member: true, args: []*cel.Type{texts, texts}, result: texts,
		call: func(args []ref.Val) ref.Val { return members(args[0], args[1], true) },
	},
	{
		name: "within", overload: "texts_within", linear: true,
		usage: "list.within(list)", doc: "whether all texts of a list are in another one",
		member: true, args: []*cel.Type{texts, texts}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return within(args[0], args[1]) },
	},
	{
		name: "overlaps", overload: "texts_overlaps", linear: true,
		usage: "list.overlaps(list)", doc: "whether one of the texts of a list is in another one",
		member: true, args: []*cel.Type{texts, texts}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return overlaps(args[0], args[1]) },
	},
	{
		name: "signatures", overload: "imports_signatures", linear: true,
		usage: "report.imports.signatures()", doc: "names and types as texts: `env.log (func (param i32))`",
		member: true, args: []*cel.Type{importsType}, result: texts,
		call: func(args []ref.Val) ref.Val {
			return signatures(args[0], func(im *Import) string { return externSignature(importName(im.Module, im.Name), im.Kind, im.Type) })
		},
	},
	{
		name: "signatures", overload: "exports_signatures", linear: true,
		usage: "report.exports.signatures()", doc: "the same for exports: `_start (func)`",
		member: true, args: []*cel.Type{exportsType}, result: texts,
		call: func(args []ref.Val) ref.Val {
			return signatures(args[0], func(ex *Export) string { return externSignature(ex.Name, ex.Kind, ex.Type) })
		},
	},
	{
		name: "parseSize", overload: "parse_size_string",
		usage: "parseSize(text)", doc: "bytes of a size like `4MB` (powers of 1000) or `4MiB` (of 1024)",
		args: []*cel.Type{cel.StringType}, result: cel.IntType,
		call: func(args []ref.Val) ref.Val { return sizeOf(args[0]) },
		check: func(_ int, text string) error {
			_, err := ParseSize(text)
			return err
		},
	},
	{
		name: "semver.valid", overload: "semver_valid_string", linear: true, slow: true,
		usage: "semver.valid(text)", doc: "whether a text is a semantic version; it may begin with `v`",
		args: []*cel.Type{cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val {
			_, err := semverOf(args[0])
			return types.Bool(err == nil)
		},
	},
	{
		name: "semver.compare", overload: "semver_compare_string_string", linear: true, slow: true,
		usage: "semver.compare(a, b)", doc: "-1, 0 or 1 as version `a` is before, the same as or after `b`",
		args: []*cel.Type{cel.StringType, cel.StringType}, result: cel.IntType,
		call: func(args []ref.Val) ref.Val { return compareVersions(args[0], args[1]) },
		check: func(_ int, text string) error {
			_, err := parseVersion(text)
			return err
		},
	},
	{
		name: "semver.within", overload: "semver_within_string_string", linear: true, slow: true,
		usage: "semver.within(version, range)", doc: "whether a version is in a range like `>=1.2, <2`, `^1.2`, `~1.2.3` or `1.x`",
		args: []*cel.Type{cel.StringType, cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return versionWithin(args[0], args[1]) },
		check: func(arg int, text string) error {
			if arg == 0 {
				_, err := parseVersion(text)
				return err
			}
			_, err := parseRange(text)
			return err
		},
	},
	{
		name: "version.compare", overload: "version_compare_string_string_string", linear: true, weight: 4,
		usage: "version.compare(ecosystem, a, b)", doc: "-1, 0 or 1 as an ecosystem orders two of its versions: `version.compare(c.ecosystem, c.version, \"1.2\")`",
		args: []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, result: cel.IntType,
		call: func(args []ref.Val) ref.Val { return comparePackages(args[0], args[1], args[2]) }, check: firstOf(checkEcosystem),
	},
	{
		name: "version.within", overload: "version_within_string_string_string", linear: true, weight: 4,
		usage: "version.within(ecosystem, version, range)",
		doc:   "whether a version of an ecosystem is in a range like `<1.0.200`, `>=1.2,<2` or `<1.2 || =1.3`",
		args:  []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return packageWithin(args[0], args[1], args[2]) }, check: firstOf(checkEcosystem),
	},
	{
		name: "satisfies", overload: "licence_satisfies", linear: true, weight: 4,
		usage:  "licence.satisfies(allowed)",
		doc:    "whether a user who accepts only some licences or families of them may use something under an SPDX expression",
		member: true, args: []*cel.Type{cel.StringType, texts}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return licenceSatisfies(args[0], args[1]) }, check: second(checkAllowed),
	},
	{
		name: "satisfies", overload: "licenses_satisfies", linear: true, slow: true,
		usage: "licenses.satisfies(allowed)", doc: "the same for the package and all components, as far as `unknown` and `missing` do not tell otherwise; it is false if `unknown` is true",
		member: true, args: []*cel.Type{cel.ObjectType("policy.Licenses"), texts}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return licensesSatisfy(args[0], args[1]) }, check: second(checkAllowed),
	},
	{
		name: "beyond", overload: "licenses_beyond", linear: true, slow: true,
		usage: "licenses.beyond(allowed)", doc: "the expressions that do not satisfy, and what is no expression",
		member: true, args: []*cel.Type{cel.ObjectType("policy.Licenses"), texts}, result: texts,
		call: func(args []ref.Val) ref.Val { return licensesBeyond(args[0], args[1]) }, check: second(checkAllowed),
	},
	{
		name: "vexed", overload: "vulnerabilities_vexed", linear: true,
		usage: "vulnerabilities.vexed()", doc: "those that no VEX statement calls `not_affected` or `fixed`",
		member: true, args: []*cel.Type{vulnerabilitiesType}, result: vulnerabilitiesType,
		call: func(args []ref.Val) ref.Val { return vexed(args[0]) },
	},
	{
		name: "atLeast", overload: "vulnerability_at_least", linear: true,
		usage: "vulnerability.atLeast(rating)", doc: "whether its rating is `low`, `medium`, `high` or `critical`, or graver; `unknown` is none of them",
		member: true, args: []*cel.Type{cel.ObjectType("policy.Vulnerability"), cel.StringType}, result: cel.BoolType,
		call: func(args []ref.Val) ref.Val { return atLeast(args[0], args[1]) }, check: second(checkRating),
	},
	{
		name: "by", overload: "signatures_by",
		usage:  "signatures.by(pattern)",
		doc:    "those whose key has a name like the pattern or, if the pattern has a colon or an @, whose certificate has an identity like it",
		member: true, args: []*cel.Type{signaturesType, cel.StringType}, result: signaturesType,
		call: func(args []ref.Val) ref.Val { return signedBy[Signature](args[0], args[1], nil) }, check: second(checkGlob),
	},
	{
		name: "by", overload: "signatures_by_any",
		usage: "signatures.by(patterns)", doc: "the same for a list of patterns, one of which has to fit",
		member: true, args: []*cel.Type{signaturesType, texts}, result: signaturesType,
		call: func(args []ref.Val) ref.Val { return signedBy[Signature](args[0], args[1], nil) }, check: second(checkGlob),
	},
	{
		name: "by", overload: "signatures_by_issuer",
		usage: "signatures.by(identity, issuer)", doc: "those by certificates whose identity and issuer are like two patterns",
		member: true, args: []*cel.Type{signaturesType, cel.StringType, cel.StringType}, result: signaturesType,
		call: func(args []ref.Val) ref.Val { return signedBy[Signature](args[0], args[1], args[2]) }, check: patterns,
	},
	{
		name: "by", overload: "attestations_by",
		usage: "attestations.by(pattern)", doc: "as of signatures",
		member: true, args: []*cel.Type{attestationsType, cel.StringType}, result: attestationsType,
		call: func(args []ref.Val) ref.Val { return signedBy[Attestation](args[0], args[1], nil) }, check: second(checkGlob),
	},
	{
		name: "by", overload: "attestations_by_any",
		usage: "attestations.by(patterns)", doc: "as of signatures",
		member: true, args: []*cel.Type{attestationsType, texts}, result: attestationsType,
		call: func(args []ref.Val) ref.Val { return signedBy[Attestation](args[0], args[1], nil) }, check: second(checkGlob),
	},
	{
		name: "by", overload: "attestations_by_issuer",
		usage: "attestations.by(identity, issuer)", doc: "as of signatures",
		member: true, args: []*cel.Type{attestationsType, cel.StringType, cel.StringType}, result: attestationsType,
		call: func(args []ref.Val) ref.Val { return signedBy[Attestation](args[0], args[1], args[2]) }, check: patterns,
	},
	{
		name: "of", overload: "attestations_of",
		usage:  "attestations.of(type)",
		doc:    "those with a type of predicate: its URI, or one of the names that `wpkg attest --type` has, `slsaprovenance` or `cyclonedx`",
		member: true, args: []*cel.Type{attestationsType, cel.StringType}, result: attestationsType,
		call: func(args []ref.Val) ref.Val { return attestationsOf(args[0], args[1]) }, check: second(checkPredicateType),
	},
	{
		name: "signers", overload: "signatures_signers", linear: true,
		usage: "signatures.signers()", doc: "who made them, each once: IDs of keys, and identities with their issuers",
		member: true, args: []*cel.Type{signaturesType}, result: texts,
		call: func(args []ref.Val) ref.Val { return signers[Signature](args[0]) },
	},
	{
		name: "signers", overload: "attestations_signers", linear: true,
		usage: "attestations.signers()", doc: "as of signatures",
		member: true, args: []*cel.Type{attestationsType}, result: texts,
		call: func(args []ref.Val) ref.Val { return signers[Attestation](args[0]) },
	},
}

// second makes a check of the second argument.
func second(check func(string) error) func(int, string) error {
	return func(arg int, text string) error {
		if arg == 1 {
			return check(text)
		}
		return nil
	}
}

// firstOf makes a check of the first argument.
func firstOf(check func(string) error) func(int, string) error {
	return func(arg int, text string) error {
		if arg == 0 {
			return check(text)
		}
		return nil
	}
}

// patterns checks all arguments but the first.
func patterns(arg int, text string) error {
	if arg > 0 {
		return checkGlob(text)
	}
	return nil
}

func checkGlob(pattern string) error {
	if len(pattern) > maxGlob {
		return fmt.Errorf("a pattern of more than %d bytes", maxGlob)
	}
	return nil
}

// option declares the function, with its cost.
func (f function) option() []cel.EnvOption {
	binding := cel.FunctionBinding(func(args ...ref.Val) ref.Val { return f.call(args) })
	switch len(f.args) {
	case 1:
		binding = cel.UnaryBinding(func(a ref.Val) ref.Val { return f.call([]ref.Val{a}) })
	case 2:
		binding = cel.BinaryBinding(func(a, b ref.Val) ref.Val { return f.call([]ref.Val{a, b}) })
	}
	declare, model := cel.Overload, cost.Overload
	if f.member {
		declare, model = cel.MemberOverload, cost.MemberOverload
	}
	return []cel.EnvOption{
		cel.Function(f.name, declare(f.overload, f.args, f.result, binding)),
		cel.CostModel(model(f.overload, cost.ManualCost(f.estimate, f.track))),
	}
}

// estimate is the static cost.
func (f function) estimate(e cost.Estimator, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if target != nil {
		args = append([]cost.AstNode{*target}, args...)
	}
	work := cost.FixedSizeEstimate(1)
	for _, a := range args {
		size := estimateArg(e, a)
		if f.linear {
			work = work.Add(size)
		} else {
			work = work.Multiply(size)
		}
	}
	call := &cost.CallEstimate{CostEstimate: work.MultiplyByCostFactor(f.factor()).Add(cost.FixedCostEstimate(1))}
	if f.result.Kind() == types.ListKind {
		size := estimateArg(e, args[0])
		size.Min = 0
		call.ResultSize = &size
	}
	return call
}

// estimateArg is how large an argument may be. Of facts that are objects the licences
// alone are gone through.
func estimateArg(e cost.Estimator, a cost.AstNode) cost.SizeEstimate {
	if t := a.Type(); t != nil && t.Kind() == types.StructKind {
		size := cost.SizeEstimate{Min: 1, Max: 1}
		if t.TypeName() == "policy.Licenses" {
			size.Max = 2 * maxList
		}
		return size
	}
	return cost.AtLeastOneSize(cost.EstimateSize(e, a))
}

func actualSize(v ref.Val) uint64 {
	if l, ok := factOf[Licenses](v); ok {
		return uint64(len(l.Expressions) + len(l.Other))
	}
	return cost.ActualSize(v)
}

// track is what a call costs when it runs.
func (f function) track(args []ref.Val, _ ref.Val) *uint64 {
	work := uint64(1)
	for _, a := range args {
		size := max(1, actualSize(a))
		if f.linear {
			work = cost.SafeAdd(work, size)
		} else {
			work = cost.SafeMultiply(work, size)
		}
	}
	work = cost.SafeAdd(1, cost.SafeMultiplyByFactor(work, f.factor()))
	return &work
}

// factor is the cost of an entry or a pair, in steps of an expression: an entry is
// looked up or copied, a character is only compared.
func (f function) factor() float64 {
	switch {
	case f.weight > 0:
		return f.weight
	case f.slow:
		return 10
	case f.linear:
		return 2
	}
	return 0.1
}

// each calls f with the texts of list until f returns false.
func each(list ref.Val, f func(string) bool) {
	if s, ok := list.Value().([]string); ok {
		for _, text := range s {
			if !f(text) {
				return
			}
		}
		return
	}
	l, ok := list.(traits.Lister)
	if !ok {
		return
	}
	n, _ := l.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		if text, ok := l.Get(i).(types.String); ok && !f(string(text)) {
			return
		}
	}
}

func set(list ref.Val) map[string]bool {
	m := map[string]bool{}
	each(list, func(s string) bool {
		m[s] = true
		return true
	})
	return m
}

func listOf(texts []string) ref.Val { return types.NewStringList(types.DefaultTypeAdapter, texts) }

// members gives the texts of list that are in other, or that are not.
func members(list, other ref.Val, in bool) ref.Val {
	have, kept := set(other), []string{}
	each(list, func(s string) bool {
		if have[s] == in {
			kept = append(kept, s)
		}
		return true
	})
	return listOf(kept)
}

func within(list, other ref.Val) ref.Val {
	have, all := set(other), true
	each(list, func(s string) bool {
		all = have[s]
		return all
	})
	return types.Bool(all)
}

func overlaps(list, other ref.Val) ref.Val {
	have, some := set(other), false
	each(list, func(s string) bool {
		some = have[s]
		return !some
	})
	return types.Bool(some)
}

// filter gives the texts of list that match one of the patterns, or that match none.
func filter(list, patterns ref.Val, match bool) ref.Val {
	var globs []string
	each(patterns, func(s string) bool {
		globs = append(globs, s)
		return true
	})
	for _, p := range globs {
		if err := checkGlob(p); err != nil {
			return types.WrapErr(err)
		}
	}
	m, kept := glob.New(), []string{}
	each(list, func(s string) bool {
		matched := false
		for _, p := range globs {
			if !m.Step() {
				return false
			}
			if matched = matchesExtern(m, s, p); matched {
				break
			}
		}
		if matched == match {
			kept = append(kept, s)
		}
		return true
	})
	if err := m.Err(); err != nil {
		return types.WrapErr(err)
	}
	return listOf(kept)
}

// matches runs a question about one pattern within bounds.
func matches(pattern ref.Val, ask func(m *glob.Matcher, pattern string) bool) ref.Val {
	p := string(pattern.(types.String))
	if err := checkGlob(p); err != nil {
		return types.WrapErr(err)
	}
	m := glob.New()
	ok := ask(m, p)
	if err := m.Err(); err != nil {
		return types.WrapErr(err)
	}
	return types.Bool(ok)
}

func globOf(text, pattern ref.Val) ref.Val {
	return matches(pattern, func(m *glob.Matcher, p string) bool { return m.Match(string(text.(types.String)), p) })
}

// extern matches the name of an interface, which a pattern without a version
// means in every version.
func matchesExtern(m *glob.Matcher, name, pattern string) bool {
	if m.Match(name, pattern) {
		return true
	}
	if strings.Contains(pattern, "@") {
		return false
	}
	bare, _, ok := strings.Cut(name, "@")
	return ok && strings.Contains(bare, ":") && m.Match(bare, pattern)
}

// importsNamed reports whether one of imports has a name that matches. What is
// imported from a module has two: that of the module, and both, with a dot between.
func importsNamed(imports, pattern ref.Val) ref.Val {
	return matches(pattern, func(m *glob.Matcher, p string) bool {
		found := false
		last := ""
		eachOf(imports, func(im *Import) bool {
			switch {
			case !m.Step():
			case im.Module == "":
				found = matchesExtern(m, im.Name, p)
			default:
				found = im.Module != last && m.Match(im.Module, p) || m.Match(im.Module+"."+im.Name, p)
			}
			last = im.Module
			return !found && m.Err() == nil
		})
		return found
	})
}

func exportsNamed(exports, pattern ref.Val) ref.Val {
	return matches(pattern, func(m *glob.Matcher, p string) bool {
		found := false
		eachOf(exports, func(ex *Export) bool {
			found = m.Step() && matchesExtern(m, ex.Name, p)
			return !found && m.Err() == nil
		})
		return found
	})
}

func importName(module, name string) string {
	if module == "" {
		return name
	}
	return module + "." + name
}

// externSignature is name and type of an import or export in one text:
// "env.log (func (param i32))", "memory (memory 1 2)".
func externSignature(name, kind, typ string) string {
	if strings.HasPrefix(typ, "("+kind) {
		return name + " " + typ
	}
	return strings.TrimSuffix(name+" "+kind+" "+typ, " ")
}

func signatures[T any](list ref.Val, of func(*T) string) ref.Val {
	texts := []string{}
	eachOf(list, func(fact *T) bool {
		texts = append(texts, of(fact))
		return true
	})
	return listOf(texts)
}

// eachOf calls f with the facts of a list until f returns false.
func eachOf[T any](list ref.Val, f func(*T) bool) {
	if facts, ok := list.Value().([]T); ok {
		for i := range facts {
			if !f(&facts[i]) {
				return
			}
		}
		return
	}
	l, ok := list.(traits.Lister)
	if !ok {
		return
	}
	n, _ := l.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		if fact, ok := factOf[T](l.Get(i)); ok && !f(fact) {
			return
		}
	}
}

// kept gives the facts of a list that fits says true of.
func kept[T any](list ref.Val, fits func(*T) bool) ref.Val {
	l, ok := list.(traits.Lister)
	if !ok {
		return types.NewErr("no list of facts")
	}
	some := []ref.Val{}
	n, _ := l.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		one := l.Get(i)
		if fact, ok := factOf[T](one); ok && fits(fact) {
			some = append(some, one)
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, some)
}

// factOf gives the fact that a value of an expression is.
func factOf[T any](v ref.Val) (*T, bool) {
	switch fact := v.Value().(type) {
	case T:
		return &fact, true
	case *T:
		return fact, fact != nil
	}
	return nil, false
}

// ParseSize reads a size as people write it: bytes, or a number and a unit, of
// which kB, MB, GB, TB, also without the B, are powers of 1000, and KiB, MiB, GiB,
// TiB powers of 1024. Case and a space between do not matter.
func ParseSize(text string) (int64, error) {
	bad := fmt.Errorf("%q is no size like 4MB or 512KiB", clip(text))
	s := strings.ToLower(strings.TrimSpace(text))
	i := len(s)
	for i > 0 && (s[i-1] < '0' || s[i-1] > '9') && s[i-1] != '.' {
		i--
	}
	unit, ok := sizeUnits[strings.TrimSpace(s[i:])]
	number := strings.TrimSpace(s[:i])
	if !ok || number == "" || len(number) > 20 || strings.Trim(number, "0123456789.") != "" {
		return 0, bad
	}
	if !strings.Contains(number, ".") {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n > math.MaxInt64/unit {
			return 0, bad
		}
		return n * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f*float64(unit) > 1<<62 {
		return 0, bad
	}
	return int64(f * float64(unit)), nil
}

var sizeUnits = map[string]int64{
	"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}

// clip shortens a text for an error.
func clip(s string) string {
	s, _ = cut(clean(s), 60)
	return s
}

func sizeOf(text ref.Val) ref.Val {
	n, err := ParseSize(string(text.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(n)
}

func semverOf(v ref.Val) (*semver.Version, error) { return parseVersion(string(v.(types.String))) }

// parseVersion reads a semantic version, which may begin with "v".
func parseVersion(text string) (*semver.Version, error) {
	if len(text) > maxVersion {
		return nil, errors.New("longer than a version may be")
	}
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil {
		return nil, fmt.Errorf("%q is no semantic version", clip(text))
	}
	return v, nil
}

func parseRange(text string) (*semver.Constraints, error) {
	if len(text) > maxVersion {
		return nil, errors.New("longer than a range may be")
	}
	c, err := semver.NewConstraint(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no range of versions", clip(text))
	}
	return c, nil
}

func compareVersions(a, b ref.Val) ref.Val {
	x, err := semverOf(a)
	if err != nil {
		return types.WrapErr(err)
	}
	y, err := semverOf(b)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(x.Compare(y))
}

func versionWithin(v, r ref.Val) ref.Val {
	x, err := semverOf(v)
	if err != nil {
		return types.WrapErr(err)
	}
	c, err := parseRange(string(r.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Bool(c.Check(x))
}
