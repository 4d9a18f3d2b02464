package cyclonedx

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	packageurl "github.com/package-url/packageurl-go"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/licence"
)

// maxText bounds a text in the output, in bytes.
const maxText = 2048

// clean makes a text fit for any encoding: XML has no control characters, and a
// name of a megabyte serves nobody.
func clean(s string) string { return evidence.Clean(s, maxText) }

// cleanVersion is clean for versions, of which the schemas allow 1,024
// characters.
func cleanVersion(s string) string { return evidence.Clean(s, evidence.MaxVersion) }

// A builder fills one bill of materials.
type builder struct {
	bom   *cdx.BOM
	refs  Refs
	taken map[string]int // how often a reference was asked for
	root  string         // reference of the file
}

// maxUnits bounds the nesting of modules and components that is written.
const maxUnits = 256

// errNested is a tree of modules that no file has.
var errNested = errors.New("modules and components are nested too deeply")

// ref makes a reference unique.
func (b *builder) ref(s string) string {
	for {
		b.taken[s]++
		if n := b.taken[s]; n > 1 {
			s += "~" + strconv.Itoa(n)
			continue
		}
		return s
	}
}

// file fills in the subject and everything in it.
func (b *builder) file(d *sbom.Document) error {
	s := d.Subject
	subject := cdx.Component{
		BOMRef: b.ref(subjectRef(s)), Type: cdx.ComponentTypeApplication, MIMEType: "application/wasm",
		Name: cmp.Or(clean(s.Name), "unnamed"), Version: cleanVersion(s.Version), Description: clean(s.Metadata.Description),
	}
	if hash, err := hex.DecodeString(s.SHA256); err == nil && len(hash) == 32 {
		subject.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: strings.ToLower(s.SHA256)}}
		subject.PackageURL = packageurl.NewPackageURL(string(evidence.Generic), "", subject.Name, subject.Version,
			packageurl.Qualifiers{{Key: "checksum", Value: "sha256:" + strings.ToLower(s.SHA256)}}, "").ToString()
	}
	if authors := clean(s.Metadata.Authors); authors != "" {
		subject.Authors = &[]cdx.OrganizationalContact{{Name: authors}}
	}
	if s.Metadata.Licenses != "" {
		subject.Licenses = licences([]string{s.Metadata.Licenses})
	}
	var props propertyList
	props.add(propRevision, s.Metadata.Revision)
	subject.ExternalReferences = links(&props,
		link{cdx.ERTypeVCS, s.Metadata.Source, ""}, link{cdx.ERTypeWebsite, s.Metadata.Homepage, ""})
	b.root = subject.BOMRef
	parts, err := b.unit(d.Root, b.root, &props, 0)
	if err != nil {
		return err
	}
	subject.Properties = props.list()
	b.bom.Metadata.Component = &subject
	b.bom.Components = parts
	return nil
}

// subjectRef is a reference that stays apart from those of other files when
// bills of materials are merged.
func subjectRef(s sbom.Subject) string {
	if len(s.SHA256) < 12 {
		return "wasm"
	}
	return "wasm-" + clean(s.SHA256[:12])
}

// unit gives the parts of a module or component: its own components, then what
// is nested in it. Properties of the unit are added to props.
func (b *builder) unit(u *sbom.Unit, ref string, props *propertyList, depth int) (*[]cdx.Component, error) {
	if depth > maxUnits {
		return nil, fmt.Errorf("%.64q: %w", u.Path, errNested)
	}
	props.add(propPath, u.Path)
	props.add(propKind, u.Kind)
	props.add(propOffset, strconv.FormatInt(u.Offset, 10))
	props.add(propSize, strconv.FormatInt(u.Size, 10))
	for _, c := range u.Completeness {
		state := "incomplete"
		if c.Complete {
			state = "complete"
		}
		props.add(propCompleteness, string(c.Ecosystem)+": "+state+": "+c.Reason)
	}
	if u.Omitted > 0 {
		props.add(propOmitted, strconv.Itoa(u.Omitted))
	}
	b.compose(u, ref)
	b.tools(u, ref)

	parts := make([]cdx.Component, 0, len(u.Components)+len(u.Units))
	own := make([]string, len(u.Components))
	for i := range u.Components {
		c := &u.Components[i]
		own[i] = b.ref(ref + "#" + componentRef(c))
		b.refs[c] = own[i]
		parts = append(parts, b.component(c, own[i], u.Path))
	}
	b.depend(u.Edges, own)
	for _, nested := range u.Units {
		part, err := b.nested(nested, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return &parts, nil
}

// nested is a module or component inside the file.
func (b *builder) nested(u *sbom.Unit, depth int) (cdx.Component, error) {
	c := cdx.Component{
		// Not a library: scanners look for advisories about those.
		Type: cdx.ComponentTypeFile, MIMEType: "application/wasm",
		Name: cmp.Or(clean(u.Name), clean(u.Path), "unnamed"),
	}
	c.BOMRef = b.ref(b.root + "/" + clean(u.Path))
	var props propertyList
	parts, err := b.unit(u, c.BOMRef, &props, depth)
	if err != nil {
		return cdx.Component{}, err
	}
	c.Components, c.Properties = parts, props.list()
	return c, nil
}

// componentRef tells the components of one unit apart and stays the same from
// run to run.
func componentRef(c *evidence.Component) string {
	ref := string(c.Ecosystem) + "/" + c.Name
	if c.Version != "" {
		ref += "@" + c.Version
	}
	if c.Class != evidence.Proven {
		ref += "?" + string(c.Class)
	}
	if c.Part != "" {
		ref += "?in=" + c.Part
	}
	return clean(ref)
}

// compose states how complete the list of a unit is. It is complete only if
// that of every ecosystem is; the properties tell them apart.
func (b *builder) compose(u *sbom.Unit, ref string) {
	aggregate := cdx.CompositionAggregateUnknown
	if len(u.Completeness) > 0 {
		aggregate = cdx.CompositionAggregateComplete
	}
	if u.Omitted > 0 {
		aggregate = cdx.CompositionAggregateIncomplete
	}
	for _, c := range u.Completeness {
		if !c.Complete {
			aggregate = cdx.CompositionAggregateIncomplete
		}
	}
	if b.bom.Compositions == nil {
		b.bom.Compositions = &[]cdx.Composition{}
	}
	*b.bom.Compositions = append(*b.bom.Compositions, cdx.Composition{
		Aggregate: aggregate, Assemblies: &[]cdx.BOMReference{cdx.BOMReference(ref)},
	})
}

// tools states under formulation what took part in the build of a unit.
func (b *builder) tools(u *sbom.Unit, ref string) {
	if len(u.Tools) == 0 {
		return
	}
	list := make([]cdx.Component, 0, len(u.Tools))
	for _, t := range u.Tools {
		var props propertyList
		props.add(propRole, t.Role)
		list = append(list, cdx.Component{
			Type: cdx.ComponentTypeApplication, Name: cmp.Or(clean(t.Name), "unnamed"), Version: cleanVersion(t.Version), Properties: props.list(),
		})
	}
	var props propertyList
	props.add(propPath, cmp.Or(u.Path, "/"))
	if b.bom.Formulation == nil {
		b.bom.Formulation = &[]cdx.Formula{}
	}
	*b.bom.Formulation = append(*b.bom.Formulation, cdx.Formula{
		BOMRef: b.ref(ref + "#build"), Components: &list, Properties: props.list(),
	})
}

// depend states who requires whom. A component without an entry is one whose
// dependencies are unknown (specification, dependencies).
func (b *builder) depend(edges []sbom.Edge, own []string) {
	targets := map[int][]string{}
	for _, e := range edges {
		if e.From >= 0 && e.To >= 0 && e.From < len(own) && e.To < len(own) && e.From != e.To {
			targets[e.From] = append(targets[e.From], own[e.To])
		}
	}
	for i, ref := range own {
		list := targets[i]
		if len(list) == 0 {
			continue
		}
		slices.Sort(list)
		list = slices.Compact(list)
		if b.bom.Dependencies == nil {
			b.bom.Dependencies = &[]cdx.Dependency{}
		}
		*b.bom.Dependencies = append(*b.bom.Dependencies, cdx.Dependency{Ref: ref, Dependencies: &list})
	}
}

// component writes one find.
func (b *builder) component(c *evidence.Component, ref, path string) cdx.Component {
	out := cdx.Component{BOMRef: ref, Type: cdx.ComponentTypeLibrary, Version: cleanVersion(c.Version)}
	out.Group, out.Name = names(c)
	var props propertyList
	class := cmp.Or(c.Class, evidence.Proven)
	props.add(propClass, string(class))
	props.add(propEcosystem, string(c.Ecosystem))
	if out.Group != "" {
		props.add(propName, c.Name)
	}
	if purl := c.PURL(); class == evidence.Proven && c.Version != "" && c.Part == "" && len(purl) <= maxText {
		out.PackageURL = clean(purl)
	} else {
		props.add(propPURL, purl)
	}
	if class == evidence.Inferred {
		out.Version = "" // a Requirement is none
		out.Scope = cdx.ScopeOptional
	}
	if isExternal(c) {
		props.add(propExternal, "true")
	}
	props.add(propRequirement, c.Requirement)
	for _, by := range c.RequiredBy {
		props.add(propRequiredBy, by)
	}
	props.add(propPart, c.Part)
	if c.Main {
		props.add(propMain, "true")
	}
	props.add(propChecksum, c.Checksum)
	props.add(propReplaces, c.Replaces)
	props.add(propCommit, c.Commit)
	out.ExternalReferences = links(&props, link{cdx.ERTypeVCS, c.Source, c.Commit})
	out.Licenses = licences(c.Licenses)
	out.Evidence = proof(c, class, out.PackageURL, path)
	out.Properties = props.list()
	return out
}

// names parts the group from the name where the ecosystem has groups. A Go
// module's path is one name.
func names(c *evidence.Component) (group, name string) {
	name = c.Name
	switch c.Ecosystem {
	case evidence.NPM, evidence.Composer:
		if i := strings.IndexByte(name, '/'); i > 0 {
			group, name = name[:i], name[i+1:]
		}
	case evidence.WIT:
		if before, after, ok := strings.Cut(name, ":"); ok {
			group, name = before, after
		}
	default: // the others have no groups
	}
	return clean(group), cmp.Or(clean(name), "unnamed")
}

// isExternal reports whether the linker looks for the component outside of the
// binary.
func isExternal(c *evidence.Component) bool {
	return len(c.Evidence) > 0 && !slices.ContainsFunc(c.Evidence, func(e evidence.Evidence) bool { return e.Method != evidence.Link })
}

// licences writes one expression if all can be read, and otherwise each by its
// own, by name if need be.
func licences(list []string) *cdx.Licenses {
	if len(list) == 0 {
		return nil
	}
	declared := cdx.LicenseAcknowledgementDeclared
	if expression, all := licence.Join(list); all && expression != "" {
		return &cdx.Licenses{{Expression: expression, Acknowledgement: &declared}}
	}
	var out cdx.Licenses
	for _, l := range list {
		if name := clean(l); name != "" {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: name, Acknowledgement: declared}})
		}
	}
	if len(out) == 0 {
		return nil
	}
	return &out
}

// A link is an address that may turn out to be none.
type link struct {
	kind    cdx.ExternalReferenceType
	address string
	commit  string
}

// links gives those that are addresses on the web; others become properties.
func links(props *propertyList, list ...link) *[]cdx.ExternalReference {
	var out []cdx.ExternalReference
	for _, l := range list {
		u, err := url.Parse(l.address)
		web := err == nil && len(l.address) <= maxText && u.Host != "" && slices.Contains([]string{"http", "https", "git", "ssh"}, u.Scheme)
		if !web {
			props.add(propSource, l.address)
			continue
		}
		ref := cdx.ExternalReference{Type: l.kind, URL: u.String()}
		if l.commit != "" {
			ref.Comment = "commit " + clean(l.commit)
		}
		out = append(out, ref)
	}
	if len(out) == 0 {
		return nil
	}
	return &out
}
