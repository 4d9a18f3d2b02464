package attest

import (
	"bytes"
	"encoding/json"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/signing"
)

// CycloneDX is the statement of a bill of materials, in JSON whatever the options
// say.
func CycloneDX(d *sbom.Document, o cyclonedx.Options, subjects ...signing.Subject) (signing.Statement, error) {
	o.Format = cyclonedx.JSON
	var b bytes.Buffer
	if err := cyclonedx.Write(&b, d, o); err != nil {
		return signing.Statement{}, err
	}
	return statement(TypeCycloneDX, json.RawMessage(b.Bytes()), subjects)
}

// SPDX is the statement of a bill of materials, in JSON whatever the options say.
func SPDX(d *sbom.Document, o spdx.Options, subjects ...signing.Subject) (signing.Statement, error) {
	o.Format = spdx.JSON
	var b bytes.Buffer
	if err := spdx.Write(&b, d, o); err != nil {
		return signing.Statement{}, err
	}
	return statement(TypeSPDX, json.RawMessage(b.Bytes()), subjects)
}
