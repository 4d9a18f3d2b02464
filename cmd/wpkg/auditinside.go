package main

import (
	"context"
	"errors"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// readAdvisories reads what rules about vulnerabilities need, if there are any.
// Without advisories the audit goes on, and such rules say so.
func (a *auditor) readAdvisories(ctx context.Context, f *advisoryFlags) error {
	if !a.needs.Vulnerabilities {
		return nil
	}
	m, err := a.newMatcher(ctx, f)
	if errors.Is(err, errNoAdvisories) && len(f.paths()) == 0 {
		a.noAdvisories = "there are no advisories; --db names some"
		return nil
	}
	a.matcher = m
	return err
}

// closeAdvisories is for whoever called readAdvisories.
func (a *auditor) closeAdvisories() {
	if a.matcher != nil {
		a.matcher.close()
	}
}

// An inside is what is known of what a binary is made of.
type inside struct {
	file     *wasmFile
	binary   *wasm.Binary
	derived  *sbom.Document
	attached *attached.Attachments // nil if nothing is, or it cannot be read
	declared *sbom.Document        // by the publisher; nil if nothing is
}

// insideFacts find out what a binary is made of, as far as rules ask.
func (a *auditor) insideFacts(ctx context.Context, f *wasmFile, facts *policy.Facts) error {
	if !a.needs.Documents() {
		return nil
	}
	in, err := lookInside(f)
	if err != nil {
		for _, name := range []string{"sbom", "licenses", "vulnerabilities"} {
			facts.Unknown[name] = message(err)
		}
		return nil
	}
	if err := a.readAttached(ctx, in, facts); err != nil {
		return err
	}
	facts.SBOM = policy.SBOMFacts(in.derived, in.declared, nil)
	facts.Licenses = policy.LicenseFacts(facts.Package.Annotations[artifact.AnnotationLicenses], in.derived, facts.SBOM)
	if a.needs.Vulnerabilities {
		return a.vulnerabilityFacts(ctx, in, facts)
	}
	return nil
}

// lookInside derives the bill of materials of a binary.
func lookInside(f *wasmFile) (*inside, error) {
	b, err := wasm.Parse(f.data)
	if err != nil {
		return nil, f.fault(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: f.name})
	if err != nil {
		return nil, f.fault(err)
	}
	return &inside{file: f, binary: b, derived: d}, nil
}

// readAttached reads what the publisher attached to the package; there is nothing
// that a file could have attached.
func (a *auditor) readAttached(ctx context.Context, in *inside, facts *policy.Facts) (err error) {
	if in.file.from == nil {
		return nil
	}
	if in.attached, err = a.attached(ctx, in.file); err != nil {
		return err
	}
	unknown := "what is attached to it cannot be read"
	if in.attached != nil {
		in.declared, unknown = in.attached.Declared(), in.attached.Omitted
	}
	if unknown != "" {
		for _, name := range []string{"publisher", "notFound", "notDeclared", "otherVersion"} {
			facts.Unknown["sbom."+name] = unknown
		}
	}
	return nil
}

// vulnerabilityFacts find out what advisories say about a binary.
func (a *auditor) vulnerabilityFacts(ctx context.Context, in *inside, facts *policy.Facts) error {
	if a.matcher == nil {
		facts.Unknown["vulnerabilities"] = a.noAdvisories
		return nil
	}
	derived, declared, err := a.matcher.match(ctx, in.derived, scan.CodeOf(in.binary), in.attached)
	if err != nil {
		return err
	}
	facts.Vulnerabilities, err = policy.VulnerabilityFacts(policy.Scanned{
		Derived: derived, Declared: declared,
		Stated: func(found []scan.Finding) []*vex.Statement { return in.stated(a.matcher.stated, found) },
	})
	if err != nil {
		facts.Unknown["vulnerabilities"] = err.Error()
	}
	if a.matcher.kev == nil {
		facts.Unknown["vulnerabilities.kev"] = "there is no list of vulnerabilities that have been used; --kev names CISA's"
	}
	if a.matcher.epss == nil {
		facts.Unknown["vulnerabilities.epss"] = "there are no scores; --epss names FIRST's"
	}
	return nil
}

// stated gives for each finding the statement that holds for it and is believed, nil
// without one.
func (in *inside) stated(known *statements, found []scan.Finding) []*vex.Statement {
	list := make([]*vex.Statement, len(found))
	products, digests := productsOf(in.file, in.derived), digestsOf(in.derived.Subject.SHA256, in.file.digest)
	for i, f := range known.apply(products, digests, found, in.attached) {
		if st := f.Statement; st != nil && st.believed {
			list[i] = &vex.Statement{Status: st.Status, Justification: st.Justification, Text: st.Text}
		}
	}
	return list
}
