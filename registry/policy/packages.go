package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/licence"
	"github.com/wreg-project/wreg/sbom/version"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// ecosystems are those whose versions have an order.
var ecosystems = []evidence.Ecosystem{
	evidence.Cargo, evidence.Go, evidence.NPM, evidence.PyPI, evidence.Gem, evidence.Hackage, evidence.NuGet, evidence.Composer, evidence.Generic,
	evidence.WIT,
}

func checkEcosystem(text string) error {
	if !slices.Contains(ecosystems, evidence.Ecosystem(text)) {
		return fmt.Errorf("%q is no ecosystem: they are %s", clip(text), listed(ecosystems))
	}
	return nil
}

// listed writes words for an error.
func listed[T ~string](words []T) string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return strings.Join(list, ", ")
}

// packageVersion reads a version of an ecosystem.
func packageVersion(ecosystem, text ref.Val) (version.Version, error) {
	eco := string(ecosystem.(types.String))
	if err := checkEcosystem(eco); err != nil {
		return version.Version{}, err
	}
	v, err := version.Parse(evidence.Ecosystem(eco), string(text.(types.String)))
	if err != nil {
		return version.Version{}, fmt.Errorf("%q is no version of %s", clip(string(text.(types.String))), eco)
	}
	return v, nil
}

// comparePackages orders two versions of an ecosystem.
func comparePackages(ecosystem, a, b ref.Val) ref.Val {
	x, err := packageVersion(ecosystem, a)
	if err != nil {
		return types.WrapErr(err)
	}
	y, err := packageVersion(ecosystem, b)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(x.Compare(y))
}

// packageWithin reports whether a version is in a range. One that is not known is
// an error, as it might be.
func packageWithin(ecosystem, v, in ref.Val) ref.Val {
	if _, err := packageVersion(ecosystem, v); err != nil {
		return types.WrapErr(err)
	}
	eco, text := string(ecosystem.(types.String)), string(in.(types.String))
	r, err := version.ParseRange(evidence.Ecosystem(eco), text)
	if err != nil {
		return types.WrapErr(fmt.Errorf("%q is no range of versions of %s", clip(text), eco))
	}
	return types.Bool(r.Contains(string(v.(types.String))))
}

// maxAllowed bounds what a user accepts: there are some seven hundred licences.
const maxAllowed = 1000

func checkAllowed(text string) error {
	if _, err := licence.Allow([]string{text}); err != nil {
		return fmt.Errorf("%q is neither one licence nor a family of them: these are %s", clip(text), listed(licence.All))
	}
	return nil
}

func allowedOf(list ref.Val) (*licence.Allowed, error) {
	var all []string
	each(list, func(s string) bool {
		all = append(all, s)
		return len(all) <= maxAllowed
	})
	if len(all) > maxAllowed {
		return nil, fmt.Errorf("more than %d licences are allowed", maxAllowed)
	}
	return licence.Allow(all)
}

// licenceSatisfies reports whether an expression keeps to what is allowed. What is
// no expression does not.
func licenceSatisfies(expression, allowed ref.Val) ref.Val {
	a, err := allowedOf(allowed)
	if err != nil {
		return types.WrapErr(err)
	}
	e, err := licence.Parse(string(expression.(types.String)))
	return types.Bool(err == nil && a.Satisfy(e))
}

func licensesSatisfy(licenses, allowed ref.Val) ref.Val {
	a, err := allowedOf(allowed)
	if err != nil {
		return types.WrapErr(err)
	}
	l, ok := factOf[Licenses](licenses)
	return types.Bool(ok && !l.Unknown && len(l.beyond(a)) == 0)
}

func licensesBeyond(licenses, allowed ref.Val) ref.Val {
	a, err := allowedOf(allowed)
	if err != nil {
		return types.WrapErr(err)
	}
	l, ok := factOf[Licenses](licenses)
	if !ok {
		return listOf([]string{})
	}
	return listOf(append(l.beyond(a), l.Other...))
}

// beyond are the expressions that do not satisfy.
func (l *Licenses) beyond(a *licence.Allowed) []string {
	list := []string{}
	for _, text := range l.Expressions {
		if e, err := licence.Parse(text); err != nil || !a.Satisfy(e) {
			list = append(list, text)
		}
	}
	return list
}

// vexed leaves out what does not concern the package, as somebody states.
func vexed(list ref.Val) ref.Val {
	return kept(list, func(v *Vulnerability) bool { return v.VEX != string(vex.NotAffected) && v.VEX != string(vex.Fixed) })
}

// ratings are those that something can be held against.
var ratings = []vuln.Rating{vuln.Low, vuln.Medium, vuln.High, vuln.Critical}

func checkRating(text string) error {
	if !slices.Contains(ratings, vuln.Rating(text)) {
		return fmt.Errorf("%q is no rating: they are %s", clip(text), listed(ratings))
	}
	return nil
}

func atLeast(v, rating ref.Val) ref.Val {
	text := string(rating.(types.String))
	if err := checkRating(text); err != nil {
		return types.WrapErr(err)
	}
	fact, ok := factOf[Vulnerability](v)
	return types.Bool(ok && vuln.Rating(fact.Rating).AtLeast(vuln.Rating(text)))
}
