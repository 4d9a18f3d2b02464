package cyclonedx

import (
	cdx "github.com/CycloneDX/cyclonedx-go"
)

// The properties under which a file says what CycloneDX has no field for. They
// are documented API: other tools may read them.
const (
	// propClass is "proven", "inferred" or "named" of each component. Only a proven
	// component has a package URL: scanners take one without a version for every
	// version and would report each advisory the package ever had.
	propClass = "io.wreg:class"

	// propPURL is the package URL of a component that must not be matched blindly:
	// an inferred or named one, or a copy inside something else (propPart).
	propPURL = "io.wreg:purl"

	// propEcosystem and propName are the identity in our own terms, which does not
	// always follow from group and name.
	propEcosystem = "io.wreg:ecosystem"
	propName      = "io.wreg:name"

	// propRequirement and propRequiredBy say why a component is inferred. The
	// versionRange of 1.7 is not for it: that is for components outside.
	propRequirement = "io.wreg:requirement"
	propRequiredBy  = "io.wreg:required-by"

	// propPart is what the component is a copy inside of, as "std".
	propPart = "io.wreg:part"

	// propExternal is "true" of what the linker looks for outside of the binary. 1.7
	// has isExternal for it, which cyclonedx-go v0.12 writes against the XML schema.
	propExternal = "io.wreg:external"

	propMain     = "io.wreg:main"     // "true" of the module or crate that the binary is
	propChecksum = "io.wreg:checksum" // as the ecosystem writes it; h1 sums are no hash of a file
	propReplaces = "io.wreg:replaces" // of Go: what a replace line put this one in the place of
	propCommit   = "io.wreg:commit"
	propSource   = "io.wreg:source"   // where the source is, if that is no URL
	propRevision = "io.wreg:revision" // of the file's source, as its author states it

	// propPath, propKind, propOffset and propSize say which module or component of
	// the file a component stands for; offset and size in bytes.
	propPath   = "io.wreg:path"
	propKind   = "io.wreg:kind"
	propOffset = "io.wreg:offset"
	propSize   = "io.wreg:size"

	// propCompleteness is "ecosystem: complete: reason" or "ecosystem: incomplete:
	// reason" of a module or component; compositions have no place for a reason.
	propCompleteness = "io.wreg:completeness"

	// propOmitted is how many modules and components within were not looked at.
	propOmitted = "io.wreg:omitted"

	propRole = "io.wreg:role" // of a tool that took part in the build
)

// A propertyList leaves empty values out.
type propertyList []cdx.Property

func (l *propertyList) add(name, value string) {
	if value = clean(value); value != "" {
		*l = append(*l, cdx.Property{Name: name, Value: value})
	}
}

// list is nil if there are none, as the encoders want it.
func (l propertyList) list() *[]cdx.Property {
	if len(l) == 0 {
		return nil
	}
	return (*[]cdx.Property)(&l)
}
