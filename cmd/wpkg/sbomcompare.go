package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
)

// maxDeclared bounds a bill of materials of somebody else, in bytes.
const maxDeclared = 64 << 20

// compareSBOM says how what a binary is made of differs from what its publisher
// declares: in a file, or attached to the package.
func (t *tool) compareSBOM(ctx context.Context, f *wasmFile, d *sbom.Document, with string) error {
	declared, err := t.declaration(ctx, f, with)
	if err != nil {
		return err
	}
	diff := sbom.Compare(d, declared)
	if t.structured() {
		return t.emitValue(diff)
	}
	if diff.Empty() {
		_, err := fmt.Fprintln(t.out, "the binary and the declaration agree")
		return err
	}
	return term.Table(t.out, differenceRows(diff))
}

// declaration is what the publisher of f declares.
func (t *tool) declaration(ctx context.Context, f *wasmFile, with string) (*sbom.Document, error) {
	if with != vexAttached {
		return readDeclaration(with)
	}
	a, err := t.attached(ctx, f)
	if err != nil {
		return nil, err
	}
	if a == nil || !a.Published() {
		return nil, &hinted{fmt.Errorf("%s: no bill of materials is attached to it", f.name), "--compare FILE compares with one in a file"}
	}
	return a.Declared(), nil
}

// readDeclaration reads a file in CycloneDX or SPDX.
func readDeclaration(file string) (*sbom.Document, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDeclared+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(data) > maxDeclared:
		return nil, fmt.Errorf("%s: it has more than the %s that can be read", file, sizeText(maxDeclared))
	}
	d, err := cyclonedx.Read(bytes.NewReader(data), cyclonedx.Limits{})
	if errors.Is(err, cyclonedx.ErrFormat) {
		if other, err := spdx.Read(bytes.NewReader(data), spdx.Limits{}); err == nil {
			return other, nil
		} else if !errors.Is(err, spdx.ErrFormat) {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return nil, fmt.Errorf("%s: it is neither CycloneDX nor SPDX", file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// differenceRows lists what one side says and the other does not.
func differenceRows(d *sbom.Difference) [][]string {
	rows := [][]string{{"COMPONENT", "DECLARED", "FOUND", "WHY"}}
	for _, n := range d.NotFound {
		why := n.Reason
		if n.Certain {
			why = strings.TrimSpace("it is not there: " + why)
		}
		rows = append(rows, []string{string(n.Component.Ecosystem) + " " + n.Component.Name, orYes(n.Component.Version), "no", why})
	}
	for _, c := range d.NotDeclared {
		rows = append(rows, []string{string(c.Ecosystem) + " " + c.Name, "no", orYes(componentVersion(c)), componentMethods(c)})
	}
	for _, v := range d.Versions {
		rows = append(rows, []string{
			string(v.Ecosystem) + " " + v.Name, strings.Join(v.Declared, ", "), strings.Join(v.Found, ", "), "other versions",
		})
	}
	return rows
}

// orYes is a version, and yes where none is known.
func orYes(version string) string {
	if version == "" {
		return "yes"
	}
	return version
}
