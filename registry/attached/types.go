package attached

import (
	"mime"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
)

// A kind is a family of documents that one reader takes.
type kind int

const (
	unknown kind = iota
	cycloneDX
	spdxKind
	openVEX
)

// kinds are the media types in use. Those behind the first of a kind are not
// registered anywhere and are written by tools nevertheless: cosign has
// text/spdx+json, and OpenVEX never settled on one.
var kinds = map[string]kind{
	cyclonedx.MediaTypeJSON:     cycloneDX,
	cyclonedx.MediaTypeXML:      cycloneDX,
	"application/vnd.cyclonedx": cycloneDX,

	spdx.MediaTypeJSON:     spdxKind,
	spdx.MediaTypeTagValue: spdxKind,
	"text/spdx+json":       spdxKind,

	MediaTypeOpenVEX:           openVEX,
	"application/openvex+json": openVEX,
	"application/vex+json":     openVEX,
	"text/vex+json":            openVEX,
	"text/vex":                 openVEX,
}

// MediaTypeOpenVEX is what tools mostly call OpenVEX; none is registered.
const MediaTypeOpenVEX = "application/vnd.openvex+json"

// kindOf reads a media type, which may have parameters such as a version.
func kindOf(mediaType string) kind {
	if base, _, err := mime.ParseMediaType(mediaType); err == nil {
		mediaType = base
	}
	return kinds[strings.ToLower(mediaType)]
}

// Concerns reports whether a referrer may have a document that [Read] reads, by
// its artifact type and the media types of its layers: its arrival changes what is
// known of its subject, and so does its deletion.
func Concerns(artifactType string, layers ...string) bool {
	for _, t := range append(layers, artifactType) {
		if kindOf(t) != unknown {
			return true
		}
	}
	return false
}

// annotationDerived is on what a wreg computed by itself, and prefixDerived begins
// the media types that only a wreg writes; see registry.AnnotationDerived.
const (
	annotationDerived = "io.wreg.derived"
	prefixDerived     = "application/vnd.wreg."
)

// derived reports whether a referrer is no publisher's word. Whoever writes the
// annotation by hand takes back what he says.
func derived(d ocispec.Descriptor) bool {
	_, ok := d.Annotations[annotationDerived]
	return ok || strings.HasPrefix(d.ArtifactType, prefixDerived)
}
