package vex

import (
	"slices"
	"strings"

	packageurl "github.com/package-url/packageurl-go"
)

// A Finding is a vulnerability that was found in something.
type Finding struct {
	IDs       []string // of the vulnerability, aliases included
	Products  []string // package URLs of what it was found in: the file, the package
	SHA256    []string // of the same: the file, the manifest; hexadecimal
	Component string   // package URL of the component that has it
}

// Apply gives for each finding the statement that holds for it, the latest of
// those that match, nil without one. Of statements of one time the last counts,
// in the order of the documents. A statement about the component itself, as its
// own author makes them, matches as one about the product does.
func Apply(findings []Finding, docs ...*Document) []*Statement {
	m := matcher{purls: map[string]*packageurl.PackageURL{}}
	byID := map[string][]*claim{}
	for _, d := range docs {
		for i := range d.Statements {
			c := &claim{Statement: &d.Statements[i]}
			for _, id := range slices.Compact(slices.Sorted(slices.Values(append([]string{c.Vulnerability}, c.Aliases...)))) {
				byID[id] = append(byID[id], c)
			}
		}
	}
	found := make([]*Statement, len(findings))
	for i := range findings {
		f := m.finding(&findings[i])
		for _, id := range findings[i].IDs {
			for _, c := range byID[id] {
				if (found[i] == nil || !c.Time.Before(found[i].Time)) && m.holds(c, f) {
					found[i] = c.Statement
				}
			}
		}
	}
	return found
}

// A claim is a statement with what its products are called, once somebody asked.
type claim struct {
	*Statement
	products []pattern
}

// A pattern is a product as statements name it. A package URL without a version
// stands for all versions, and qualifiers that it has must be the same.
type pattern struct {
	texts  [2]string // the package URL and the identifier as written
	purls  [2]*packageurl.PackageURL
	sha256 string // "" if neither a hash nor a name says it; lower case
	parts  []pattern
}

// A target is a finding that was taken apart.
type target struct {
	component name
	products  []name
	sha256    []string // lower case
}

// A name is a package URL of a finding.
type name struct {
	text string
	purl *packageurl.PackageURL // nil if it is none
}

// A matcher reads each package URL once, however many statements have it: a
// document may have a hundred thousand about one vulnerability.
type matcher struct {
	purls map[string]*packageurl.PackageURL
}

func (m *matcher) purl(s string) *packageurl.PackageURL {
	if !strings.HasPrefix(s, "pkg:") {
		return nil
	}
	p, known := m.purls[s]
	if !known {
		if read, err := packageurl.FromString(s); err == nil {
			p = &read
		}
		m.purls[s] = p
	}
	return p
}

func (m *matcher) finding(f *Finding) target {
	t := target{component: name{f.Component, m.purl(f.Component)}}
	for _, s := range f.Products {
		if s != "" {
			t.products = append(t.products, name{s, m.purl(s)})
		}
	}
	for _, s := range f.SHA256 {
		if s != "" {
			t.sha256 = append(t.sha256, strings.ToLower(s))
		}
	}
	return t
}

func (m *matcher) patterns(products []Product) []pattern {
	list := make([]pattern, len(products))
	for i, p := range products {
		list[i] = pattern{texts: [2]string{p.PURL, p.ID}, sha256: strings.ToLower(p.SHA256), parts: m.patterns(p.Parts)}
		for j, s := range list[i].texts {
			list[i].purls[j] = m.purl(s)
			if list[i].sha256 == "" {
				list[i].sha256 = digestIn(s)
			}
		}
	}
	return list
}

// digestIn is the digest that is the version in a name, as in
// "example.org/app@sha256:…" or "pkg:oci/app@sha256%3A…", "" if there is none. It
// is the identity, whatever else the name says, since a copy elsewhere is the same.
func digestIn(s string) string {
	s, _, _ = strings.Cut(s, "?")
	at := strings.LastIndexByte(s, '@')
	if at <= 0 {
		return ""
	}
	version := strings.Replace(strings.ToLower(s[at+1:]), "%3a", ":", 1)
	if hex, ok := strings.CutPrefix(version, "sha256:"); ok {
		return hex
	}
	return ""
}

// holds reports whether a product of the statement is that of the finding.
func (m *matcher) holds(c *claim, t target) bool {
	if c.products == nil {
		c.products = m.patterns(c.Products)
	}
	return slices.ContainsFunc(c.products, func(p pattern) bool {
		if p.is(t.component) {
			return true
		}
		same := p.sha256 != "" && slices.Contains(t.sha256, p.sha256) || slices.ContainsFunc(t.products, p.is)
		return same && (len(p.parts) == 0 || slices.ContainsFunc(p.parts, func(part pattern) bool { return part.is(t.component) }))
	})
}

// is reports whether the product is what a package URL names.
func (p pattern) is(n name) bool {
	if n.text == "" {
		return false
	}
	for i, s := range p.texts {
		if s == n.text || p.purls[i] != nil && n.purl != nil && covers(p.purls[i], n.purl) {
			return true
		}
	}
	return false
}

func covers(pattern, purl *packageurl.PackageURL) bool {
	if pattern.Name != purl.Name || pattern.Type != purl.Type || pattern.Namespace != purl.Namespace ||
		pattern.Version != "" && pattern.Version != purl.Version || pattern.Subpath != "" && pattern.Subpath != purl.Subpath {
		return false
	}
	for _, q := range pattern.Qualifiers {
		if !slices.Contains(purl.Qualifiers, q) {
			return false
		}
	}
	return true
}
