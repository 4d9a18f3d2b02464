package policy

import (
	"slices"
	"strings"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/licence"
)

// Bounds on what is told of one component.
const (
	maxComponentLicences = 4
	maxComponentText     = 4 << 20 // bytes of the texts of all components
)

// ClassDeclared is the class of components that only a publisher names.
const ClassDeclared = "declared"

// SBOMFacts takes from d, what was derived from one file, and from what its
// publisher declares what rules can use. declared is nil if no publisher's bill of
// materials is attached. diff is what [sbom.Compare] says of the two: of a package
// with several files the caller compares what is declared with all of them
// together, and gives the same to each; if it is nil, d alone is compared.
//
// A declared component that the file has, in whatever class, lends it its licences
// and is not listed a second time.
func SBOMFacts(d, declared *sbom.Document, diff *sbom.Difference) *SBOM {
	s := &SBOM{Components: []Component{}, Complete: complete(d), Publisher: declared != nil}
	s.components(d, declared)
	if declared != nil && diff == nil {
		diff = sbom.Compare(d, declared)
	}
	s.compare(diff)
	return s
}

// complete reports whether the units of d list all that is in them. Interfaces do
// not count: every component names all of them, whatever else is in it.
func complete(d *sbom.Document) bool {
	stated := false
	for u := range d.Units() {
		if u.Omitted > 0 {
			return false
		}
		for _, c := range u.Completeness {
			switch {
			case c.Ecosystem == evidence.WIT:
			case !c.Complete:
				return false
			default:
				stated = true
			}
		}
	}
	return stated
}

// components lists those of both documents, each once.
func (s *SBOM) components(d, declared *sbom.Document) {
	var list []Component
	at := map[string]int{}
	add := func(c *evidence.Component, class string) {
		one := Component{
			PURL: c.PURL(), Ecosystem: string(c.Ecosystem), Name: c.Name, Version: c.Version, Class: class, Part: c.Part,
			Licenses: licencesOf(c.Licenses),
		}
		key := one.PURL + "\x00" + one.Part
		i, known := at[key]
		switch {
		case !known:
			at[key] = len(list)
			list = append(list, one)
			return
		case rank(class) < rank(list[i].Class):
			list[i].Class = class
		}
		list[i].Licenses = licencesOf(slices.Concat(list[i].Licenses, one.Licenses))
	}
	for _, c := range d.All() {
		if !c.Main {
			add(c, string(c.Class))
		}
	}
	if declared != nil {
		for _, c := range declared.All() {
			if !c.Main {
				add(c, ClassDeclared)
			}
		}
	}
	slices.SortStableFunc(list, Component.compare)
	b := budget{maxList, maxComponentText}
	for _, c := range list {
		if !b.take(append([]string{c.PURL, c.Name, c.Version}, c.Licenses...)...) {
			s.Truncated = append(s.Truncated, "components")
			break
		}
		s.Components = append(s.Components, c)
	}
}

// rank orders classes, the surest first.
func rank(class string) int {
	return slices.Index([]string{string(evidence.Proven), string(evidence.Inferred), string(evidence.Named), ClassDeclared}, class)
}

func (c Component) compare(o Component) int {
	for _, pair := range [...][2]string{{c.Ecosystem, o.Ecosystem}, {c.Name, o.Name}, {c.Version, o.Version}, {c.Part, o.Part}} {
		if n := strings.Compare(pair[0], pair[1]); n != 0 {
			return n
		}
	}
	return 0
}

// licencesOf makes a bounded list of the licences that are stated of a component:
// what is more than there is room for becomes one expression, or a text that is
// none if some of it is.
func licencesOf(stated []string) []string {
	list := []string{}
	for _, text := range stated {
		text = normalised(text)
		if text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	if len(list) <= maxComponentLicences {
		return list
	}
	rest, all := licence.Join(list[maxComponentLicences-1:])
	if !all || len(rest) > maxText {
		rest, _ = cut(strings.Join(list[maxComponentLicences-1:], ", "), maxText)
	}
	return append(list[:maxComponentLicences-1:maxComponentLicences-1], rest)
}

// normalised is a licence expression in its normal form, and what is none cleaned
// and cut. That nothing is said, as SPDX documents do, is "".
func normalised(text string) string {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "NOASSERTION") {
		return ""
	}
	if expression, err := licence.Normalise(text); err == nil {
		return expression
	}
	text, _ = cut(clean(text), maxText)
	return text
}

func (s *SBOM) compare(diff *sbom.Difference) {
	s.NotFound, s.NotDeclared, s.OtherVersion = []string{}, []string{}, []string{}
	if diff == nil {
		return
	}
	var notFound, notDeclared, other []string
	for _, n := range diff.NotFound {
		if n.Certain {
			notFound = append(notFound, n.Component.PURL())
		}
	}
	for _, c := range diff.NotDeclared {
		notDeclared = append(notDeclared, c.PURL())
	}
	for _, v := range diff.Versions {
		other = append(other, evidence.Component{Ecosystem: v.Ecosystem, Name: v.Name}.PURL())
	}
	s.NotFound = bounded(&s.Truncated, "notFound", notFound)
	s.NotDeclared = bounded(&s.Truncated, "notDeclared", notDeclared)
	s.OtherVersion = bounded(&s.Truncated, "otherVersion", other)
}

// bounded copies texts as far as they fit, and notes the name of a list that is cut.
func bounded(truncated *[]string, name string, texts []string) []string {
	b := newBudget()
	list := make([]string, 0, min(len(texts), maxList))
	for _, s := range texts {
		if !b.take(s) {
			*truncated = append(*truncated, name)
			break
		}
		list = append(list, s)
	}
	return list
}

// LicenseFacts takes from what is known of a package the terms that it and its
// components are under. annotation is that of the manifest,
// org.opencontainers.image.licenses, "" without one; the metadata of the file then
// takes its place. s is what SBOMFacts made of the same documents.
func LicenseFacts(annotation string, d *sbom.Document, s *SBOM) *Licenses {
	l := &Licenses{}
	c := licenceCollector{expressions: map[string]bool{}, ids: map[string]bool{}, families: map[string]bool{}, other: map[string]bool{}}
	own := annotation
	if strings.TrimSpace(own) == "" && d != nil {
		own = d.Subject.Metadata.Licenses
	}
	l.Declared = c.add(normalised(own))
	var missing []string
	for _, one := range s.Components {
		for _, text := range one.Licenses {
			c.add(text)
		}
		lists := one.Class == string(evidence.Proven) || one.Class == ClassDeclared
		if lists && len(one.Licenses) == 0 && one.Part == "" && one.Ecosystem != string(evidence.WIT) {
			missing = append(missing, one.PURL)
		}
	}
	l.Missing = bounded(&l.Truncated, "missing", missing)
	l.Expressions = bounded(&l.Truncated, "expressions", keys(c.expressions))
	l.IDs = bounded(&l.Truncated, "ids", keys(c.ids))
	l.Families = keys(c.families)
	l.Other = bounded(&l.Truncated, "other", keys(c.other))
	l.Unknown = l.Declared == "" || len(l.Other) > 0
	if slices.Contains(s.Truncated, "components") {
		l.Truncated = []string{"missing", "expressions", "ids", "families", "other", "unknown"}
	}
	return l
}

// A licenceCollector puts the licences of a package together.
type licenceCollector struct {
	expressions, ids, families, other map[string]bool
}

// add adds what was stated in one place, and gives it if it is an expression.
func (c *licenceCollector) add(text string) string {
	if text == "" || c.expressions[text] {
		return text
	}
	e, err := licence.Parse(text)
	if err != nil {
		c.other[text] = true
		return ""
	}
	c.expressions[text] = true
	for _, id := range e.Licences() {
		c.ids[id] = true
	}
	for _, f := range e.Families() {
		c.families[string(f)] = true
	}
	return text
}

func keys(m map[string]bool) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
