package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/attached"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/storage/meta"
)

// maxBills is how many files of a version one answer about bills of materials is
// made of.
const maxBills = 64

// A bill is the bill of materials of a file.
type bill struct {
	file ingest.File
	doc  *sbom.Document
}

// billForms are the documents that a bill of materials is written as, by the
// values of the parameter format.
var billForms = map[string]struct {
	mediaType string
	write     func(io.Writer, *sbom.Document) error
}{
	"cyclonedx-json":     {cyclonedx.MediaTypeJSON, writeCycloneDX(cyclonedx.V1_6, cyclonedx.JSON)},
	"cyclonedx-xml":      {cyclonedx.MediaTypeXML, writeCycloneDX(cyclonedx.V1_6, cyclonedx.XML)},
	"cyclonedx-1.7-json": {cyclonedx.MediaTypeJSON, writeCycloneDX(cyclonedx.V1_7, cyclonedx.JSON)},
	"cyclonedx-1.7-xml":  {cyclonedx.MediaTypeXML, writeCycloneDX(cyclonedx.V1_7, cyclonedx.XML)},
	"spdx-json":          {spdx.MediaTypeJSON, writeSPDX(spdx.JSON)},
	"spdx-tag":           {spdx.MediaTypeTagValue, writeSPDX(spdx.TagValue)},
}

// billFormats are the values of the parameter format, in the order of the
// document. Of those with the same media type the first is what Accept means.
var billFormats = []string{
	"wreg", "cyclonedx-json", "cyclonedx-xml", "cyclonedx-1.7-json", "cyclonedx-1.7-xml", "spdx-json", "spdx-tag",
}

func writeCycloneDX(v cyclonedx.Version, f cyclonedx.Format) func(io.Writer, *sbom.Document) error {
	return func(w io.Writer, d *sbom.Document) error {
		return cyclonedx.Write(w, d, cyclonedx.Options{Version: v, Format: f})
	}
}

func writeSPDX(f spdx.Format) func(io.Writer, *sbom.Document) error {
	return func(w io.Writer, d *sbom.Document) error { return spdx.Write(w, d, spdx.Options{Format: f}) }
}

// getSBOM writes the bill of materials of one file.
func (a *API) getSBOM(ctx context.Context, q *request) (answer, error) {
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	bills, _, err := a.bills(ctx, q, d, 1)
	if err != nil {
		return answer{}, err
	}
	if len(bills) == 0 {
		return answer{}, noBill(q, d)
	}
	name := q.text("format")
	if name == "" {
		name = billFormat(q.format)
	}
	form, ok := billForms[name]
	if !ok {
		return writeBill(bills[0].doc, q.format)
	}
	var b bytes.Buffer
	if err := form.write(&b, bills[0].doc); err != nil {
		return answer{}, fmt.Errorf("bill of materials of %s in %s as %s: %w", d, q.repo, name, err)
	}
	return answer{text: b.Bytes(), mediaType: form.mediaType}, nil
}

// billFormat is the format that a media type means.
func billFormat(mediaType string) string {
	for _, name := range billFormats[1:] {
		if billForms[name].mediaType == mediaType {
			return name
		}
	}
	return billFormats[0]
}

// writeBill writes a bill in the form of our own.
func writeBill(d *sbom.Document, mediaType string) (answer, error) {
	got := answer{body: d}
	if err := got.render(); err != nil {
		return got, err
	}
	if mediaType != wire.MediaTypeJSON {
		mediaType = sbom.MediaType
	}
	return answer{text: got.text, mediaType: mediaType}, nil
}

func noBill(q *request, d digest.Digest) error {
	return &wire.Problem{
		Code: wire.CodeNotAnalysed, Detail: fmt.Sprintf("%s@%s has no such file with a bill of materials", wire.PackageName(q.repo), d),
		Hint: "a version that was just pushed is analysed within seconds; its files are listed with it, and only valid WebAssembly has one",
	}
}

// bills are those of the files of a version, of that alone which the parameter
// file names, and whether there are more than most.
func (a *API) bills(ctx context.Context, q *request, d digest.Digest, most int) (list []bill, more bool, err error) {
	files, _, err := a.filesOf(ctx, q.repo, d)
	if err != nil {
		return nil, false, err
	}
	wanted := digest.Digest(q.text("file"))
	for _, f := range files {
		if f.Bill == "" || wanted != "" && wanted != f.Digest {
			continue
		}
		if len(list) == most {
			return list, true, nil
		}
		doc, err := a.Ingest.SBOM(ctx, f)
		if errors.Is(err, meta.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, false, fmt.Errorf("bill of materials of %s in %s: %w", f.Digest, q.repo, err)
		}
		list = append(list, bill{f, doc})
	}
	return list, false, nil
}

// attachments are what publishers attached to a version, or attest of it.
func (a *API) attachments(ctx context.Context, repo string, m meta.Manifest) (*attached.Attachments, error) {
	if a.Ingest == nil {
		return &attached.Attachments{}, nil
	}
	got, err := a.Ingest.Attachments(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("attached to %s in %s: %w", m.Digest, repo, err)
	}
	return got, nil
}

// problemsOf says what is wrong with what is attached.
func problemsOf(at *attached.Attachments) (list []string) {
	for _, p := range at.Problems() {
		list = append(list, fmt.Sprintf("%s: %s", or(p.Title, p.Blob.String(), p.Referrer.String()), p.Text))
	}
	if at.Omitted != "" {
		list = append(list, at.Omitted)
	}
	return list
}

// publishedDocuments lists what is attached and attested.
func publishedDocuments(at *attached.Attachments, vex bool) (list []wire.PublishedDocument) {
	add := func(kind string, p attached.Place, problem string) {
		list = append(list, wire.PublishedDocument{
			Kind: kind, Manifest: p.Referrer, Blob: p.Blob, Type: p.MediaType, Title: p.Title, Attested: p.Attested, AttestedBy: p.By, Problem: problem,
		})
	}
	for _, s := range at.SBOMs {
		add("sbom", s.Place, s.Problem)
	}
	if !vex {
		return list
	}
	for _, v := range at.VEX {
		add("vex", v.Place, v.Problem)
	}
	return list
}

// getSBOMDifference holds the bills of a version's files against what its
// publisher declares.
func (a *API) getSBOMDifference(ctx context.Context, q *request) (answer, error) {
	m, err := a.manifest(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	bills, more, err := a.bills(ctx, q, m.Digest, maxBills)
	if err != nil {
		return answer{}, err
	}
	if len(bills) == 0 {
		return answer{}, noBill(q, m.Digest)
	}
	at, err := a.attachments(ctx, q.repo, m)
	if err != nil {
		return answer{}, err
	}
	out := wire.SBOMDifference{
		Package: wire.PackageName(q.repo), Digest: m.Digest, Published: at.Published(), Problems: problemsOf(at),
		Documents: publishedDocuments(at, false),
		NotFound:  []wire.NotFound{}, NotDeclared: []wire.Component{}, Versions: []wire.VersionDifference{},
	}
	declared := at.Declared()
	if declared == nil {
		return found(out)
	}
	diff := sbom.Compare(together(bills, more), declared)
	for _, c := range diff.NotFound {
		out.NotFound = append(out.NotFound, wire.NotFound{
			Component: wireComponent(c.Component, advisories.Declared), Certain: c.Certain, Reason: c.Reason,
		})
	}
	for _, c := range diff.NotDeclared {
		out.NotDeclared = append(out.NotDeclared, wireComponent(c, string(c.Class)))
	}
	for _, v := range diff.Versions {
		out.Versions = append(out.Versions, wire.VersionDifference{
			Ecosystem: string(v.Ecosystem), Name: v.Name, Declared: notNil(v.Declared), Found: notNil(v.Found),
		})
	}
	return found(out)
}

// together is one document of the bills of several files. If there are more files,
// it says that something is left out.
func together(bills []bill, more bool) *sbom.Document {
	if len(bills) == 1 && !more {
		return bills[0].doc
	}
	root := &sbom.Unit{Kind: "module"}
	for _, b := range bills {
		root.Units = append(root.Units, b.doc.Root)
	}
	if more {
		root.Omitted = 1
	}
	return &sbom.Document{SchemaVersion: sbom.SchemaVersion, MediaType: sbom.MediaType, Root: root}
}

// wireComponent is a component that is known by the bill of a class.
func wireComponent(c evidence.Component, class string) wire.Component {
	return wire.Component{
		PURL: c.PURL(), Ecosystem: string(c.Ecosystem), Name: c.Name, Version: c.Version, Class: class, Part: c.Part,
	}
}
