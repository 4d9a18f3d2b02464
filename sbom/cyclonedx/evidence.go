package cyclonedx

import (
	"math"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// techniques are the methods in the words of CycloneDX (evidence.identity).
var techniques = map[evidence.Method]cdx.EvidenceIdentityTechnique{
	evidence.Auditable:   cdx.EvidenceIdentityTechniqueManifestAnalysis,
	evidence.BuildInfo:   cdx.EvidenceIdentityTechniqueManifestAnalysis,
	evidence.Manifest:    cdx.EvidenceIdentityTechniqueManifestAnalysis,
	evidence.SourcePath:  cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.Symbol:      cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.Literal:     cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.Banner:      cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.SourceID:    cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.Link:        cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.Interface:   cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.Producer:    cdx.EvidenceIdentityTechniqueBinaryAnalysis,
	evidence.FileSystem:  cdx.EvidenceIdentityTechniqueFilename,
	evidence.Dependency:  cdx.EvidenceIdentityTechniqueOther,
	evidence.Declaration: cdx.EvidenceIdentityTechniqueAttestation,
}

// proof writes the evidence: what of the identity it shows, how, and where. A
// proven component is shown by its package URL, any other by its name alone.
func proof(c *evidence.Component, class evidence.Class, purl, path string) *cdx.Evidence {
	if len(c.Evidence) == 0 {
		return nil
	}
	identity := cdx.EvidenceIdentity{Field: cdx.EvidenceIdentityFieldTypeName, ConcludedValue: clean(c.Name)}
	if purl != "" {
		identity.Field, identity.ConcludedValue = cdx.EvidenceIdentityFieldTypePURL, purl
	}
	identity.Confidence = confidence(c.Confidence())
	methods := make([]cdx.EvidenceIdentityMethod, 0, len(c.Evidence))
	var places []cdx.EvidenceOccurrence
	for _, e := range c.Evidence {
		methods = append(methods, method(e, class, c))
		if e.Offset >= 0 && e.Offset <= math.MaxInt32 {
			places = append(places, occurrence(e, path))
		}
	}
	identity.Methods = &methods
	out := &cdx.Evidence{Identity: &cdx.EvidenceIdentityChoice{Identities: &[]cdx.EvidenceIdentity{identity}}}
	if len(places) > 0 {
		out.Occurrences = &places
	}
	return out
}

func method(e evidence.Evidence, class evidence.Class, c *evidence.Component) cdx.EvidenceIdentityMethod {
	technique, ok := techniques[e.Method]
	if !ok {
		technique = cdx.EvidenceIdentityTechniqueOther
	}
	value := string(e.Method)
	switch {
	case class == evidence.Inferred && len(c.RequiredBy) > 0:
		value += ": required by " + strings.Join(c.RequiredBy, ", ")
	case e.Text != "":
		value += ": " + e.Text
	}
	return cdx.EvidenceIdentityMethod{Technique: technique, Confidence: confidence(e.Confidence), Value: clean(value)}
}

// occurrence is a place in the file. The offset counts from its start, in bytes,
// also within a nested module; location says which module and section that is.
func occurrence(e evidence.Evidence, path string) cdx.EvidenceOccurrence {
	location := strings.TrimPrefix(path+":"+e.Section, ":")
	if location == "" {
		location = "file"
	}
	offset := int(e.Offset)
	o := cdx.EvidenceOccurrence{Location: clean(location), Offset: &offset, AdditionalContext: clean(e.Text)}
	if e.Method == evidence.Symbol {
		o.Symbol, o.AdditionalContext = o.AdditionalContext, ""
	}
	return o
}

// confidence keeps two decimals, since XML Schema's decimals have no exponent.
func confidence(f float64) *float32 {
	if math.IsNaN(f) {
		f = 0
	}
	c := float32(math.Round(min(max(f, 0), 1)*100) / 100)
	return &c
}
