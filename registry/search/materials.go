package search

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/licence"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/reach"
	"github.com/wreg-project/wreg/storage/meta"
)

// Materials is what a package is made of, and what is known to be wrong with it.
// It changes without its bytes: advisories come and go, and publishers attach
// bills and VEX documents.
type Materials struct {
	Derived   bool // a bill was derived from a binary
	Complete  bool // and of each binary it is complete for every ecosystem that it names
	Published bool // the publisher attached a bill

	// Components are those that the binaries prove and those that the publisher
	// declares, proven ones first; of others nothing is indexed.
	Components []Component

	// Findings are of those components, without those that a VEX statement rules
	// out.
	Findings []Finding

	// Signers are who signed the package: of a key its name and its id, else the
	// identity of a certificate. Attested are the types of the predicates that
	// somebody attests of it, by their short name and by their URI. Either has only
	// what was verified.
	Signers  []string
	Attested []string
}

// A Component is a part of a package.
type Component struct {
	Ecosystem evidence.Ecosystem
	Name      string   // in the ecosystem
	Version   string   // "" if it is not known
	Licenses  []string // SPDX expressions
}

// A Finding is a vulnerability of a component.
type Finding struct {
	Names    []string // the id and the aliases
	Rating   vuln.Rating
	Reach    reach.Level
	RuledOut bool // it is certain that no affected code can run

	// Informational is set of what is no vulnerability in itself, see
	// [vuln.Advisory]. Such findings have a name to be found by and count as none.
	Informational string
}

// ListedMaterials is what a listing shows of Materials.
type ListedMaterials struct {
	Components int  `json:"components"`          // by name and version
	Complete   bool `json:"complete,omitempty"`  // the binaries hold nothing else
	Published  bool `json:"published,omitempty"` // the publisher attached a bill

	Vulnerabilities VulnerabilityCounts `json:"vulnerabilities"`

	// Truncated says that there is more than is indexed.
	Truncated bool `json:"truncated,omitempty"`
}

// VulnerabilityCounts counts vulnerabilities by the gravest rating that each has
// in any component.
type VulnerabilityCounts struct {
	Critical  int `json:"critical"`
	High      int `json:"high"`
	Medium    int `json:"medium"`
	Low       int `json:"low"`
	None      int `json:"none"`
	Unknown   int `json:"unknown"`   // without a rating
	Reachable int `json:"reachable"` // of all of these
}

// Bounds of the terms about materials. A Go program with a thousand modules
// fits: each component has a term for its name, its package URL and its version.
const (
	maxDependencies = 3200
	maxFindings     = 1500 // ids and aliases
)

// UpdateMaterials is the document with other materials: its terms about them are
// replaced, and so is what its listing says of them. Nothing is inspected for it.
func UpdateMaterials(doc meta.Document, m Materials) (meta.Document, error) {
	var l Listing
	if err := json.Unmarshal(doc.Body, &l); err != nil {
		return meta.Document{}, err
	}
	d := describer{terms: map[string]bool{}, counts: map[string]int{}, listing: l}
	for _, t := range doc.Terms {
		op, _, _ := strings.Cut(t, ":")
		if !slices.Contains(materialOperators, op) {
			d.terms[t] = true
		}
	}
	d.materials(m)
	d.settleTruncated()
	doc.Terms = slices.Sorted(maps.Keys(d.terms))
	doc.Body = d.body()
	return doc, nil
}

// materialOperators are those whose terms follow from Materials.
var materialOperators = []string{"dep", "dep-license", "sbom", "vuln", "vuln-severity", "vuln-reachable", "signed", "signed-by", "attested"}

// materials adds what Materials say, to terms and listing.
func (d *describer) materials(m Materials) {
	d.listing.Materials = nil
	d.signatures(m)
	if !m.Derived && !m.Published {
		return
	}
	d.truncated = false
	l := &ListedMaterials{Complete: m.Derived && m.Complete, Published: m.Published}
	d.bills(m)
	l.Components = d.components(m.Components)
	l.Vulnerabilities = d.findings(m.Findings)
	l.Truncated = d.truncated
	d.listing.Materials = l
}

// signatures adds who signed the package and what is attested of it.
func (d *describer) signatures(m Materials) {
	d.add("signed", strconv.FormatBool(len(m.Signers) > 0), maxOther)
	for _, s := range m.Signers {
		d.add("signed-by", s, maxOther)
	}
	for _, a := range m.Attested {
		d.add("attested", a, maxOther)
	}
}

// bills adds which bills of materials there are.
func (d *describer) bills(m Materials) {
	if m.Derived {
		d.add("sbom", "derived", maxOther)
		if m.Complete {
			d.add("sbom", "complete", maxOther)
		}
	}
	if m.Published {
		d.add("sbom", "publisher", maxOther)
	}
}

// components adds terms of components and counts them.
func (d *describer) components(list []Component) int {
	type key struct {
		purl, version string
	}
	seen := make(map[key]bool, len(list))
	for i := range list {
		c := &list[i]
		purl := dependency(c.Ecosystem, c.Name)
		if seen[key{purl, c.Version}] {
			continue
		}
		seen[key{purl, c.Version}] = true
		if d.full("dep", maxDependencies) {
			continue // but counted
		}
		d.add("dep", purl[:strings.IndexByte(purl, '/')+1]+"*", maxDependencies)
		d.add("dep", purl, maxDependencies)
		d.add("dep", c.Name, maxDependencies)
		if c.Version != "" {
			d.add("dep", purl+"@"+c.Version, maxDependencies)
		}
		for _, expression := range c.Licenses {
			d.componentLicense(expression)
		}
	}
	return len(seen)
}

// componentLicense adds the licences that an expression names. What is no
// expression is a name of its own.
func (d *describer) componentLicense(expression string) {
	e, err := licence.Parse(expression)
	if err != nil {
		d.add("dep-license", clip(expression), maxOther)
		return
	}
	for _, name := range e.Licences() {
		id, _, _ := strings.Cut(name, " ") // without its exception
		d.add("dep-license", id, maxOther)
	}
}

// findings adds terms of findings and counts vulnerabilities.
func (d *describer) findings(list []Finding) VulnerabilityCounts {
	type worst struct {
		rating    vuln.Rating
		reachable bool
	}
	all := map[string]worst{}
	for i := range list {
		f := &list[i]
		for _, name := range f.Names {
			d.add("vuln", name, maxFindings)
		}
		if len(f.Names) == 0 || f.Informational != "" {
			continue
		}
		d.add("vuln-severity", ratingName(f.Rating), maxOther)
		reachable := ReachName(f.Reach, f.RuledOut)
		d.add("vuln-reachable", reachable, maxOther)
		w := all[f.Names[0]]
		if f.Rating != "" && (w.rating == "" || f.Rating.AtLeast(w.rating)) {
			w.rating = f.Rating
		}
		w.reachable = w.reachable || reachable == "true"
		all[f.Names[0]] = w
	}
	var counts VulnerabilityCounts
	for _, w := range all {
		*counts.of(w.rating)++
		if w.reachable {
			counts.Reachable++
		}
	}
	return counts
}

func (c *VulnerabilityCounts) of(r vuln.Rating) *int {
	switch r {
	case vuln.Critical:
		return &c.Critical
	case vuln.High:
		return &c.High
	case vuln.Medium:
		return &c.Medium
	case vuln.Low:
		return &c.Low
	case vuln.None:
		return &c.None
	}
	return &c.Unknown
}

func ratingName(r vuln.Rating) string {
	if r == "" {
		return "unknown"
	}
	return string(r)
}

// ReachName says whether affected code can be reached: "true", "false" if that is
// ruled out, else "unknown".
func ReachName(level reach.Level, ruledOut bool) string {
	switch {
	case ruledOut:
		return "false"
	case level == reach.Reachable:
		return "true"
	}
	return "unknown"
}

// dependency is a component without a version as terms have it: a package URL in
// which nothing is escaped, with the name in the form by which advisories know it.
func dependency(eco evidence.Ecosystem, name string) string {
	name = vuln.Name(eco, name)
	if eco == evidence.WIT {
		eco, name = evidence.Generic, strings.Replace(name, ":", "/", 1)
	}
	return purlScheme + string(eco) + "/" + name
}
