package attached

import (
	"net/url"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// A Subject is the package that statements have to be about.
type Subject struct {
	Manifest   digest.Digest // "" if it is not known
	Repository string        // with the host if that is known: "example.org/team/app"
	Tags       []string
}

// maxTags bounds the tags of a Subject that are looked at.
const maxTags = 64

// PURLs are the package URLs that a publisher may call the package by (purl
// specification, type oci): its name, with the repository, and with each tag.
func (s Subject) PURLs() []string {
	if s.Repository == "" {
		return nil
	}
	purl := "pkg:oci/" + url.PathEscape(strings.ToLower(path.Base(s.Repository)))
	if s.Manifest != "" {
		purl += "@" + url.QueryEscape(s.Manifest.String())
	}
	purl += "?repository_url=" + url.QueryEscape(s.Repository)
	list := []string{purl}
	for _, tag := range s.Tags[:min(len(s.Tags), maxTags)] {
		list = append(list, purl+"&tag="+url.QueryEscape(tag))
	}
	return list
}

// Statements gives for each finding about a file of a package the statement that
// holds for it, nil without one; see [vex.Apply]. A statement may name the
// package, by its digest or a package URL; the file, by its SHA-256 or the package
// URL of the component that it is; or the component that has the vulnerability.
// That it is attached to the package is not enough: it may be about others.
func (a *Attachments) Statements(of Subject, file *sbom.Document, findings []scan.Finding) []*vex.Statement {
	docs := make([]*vex.Document, 0, len(a.VEX))
	for _, v := range a.VEX {
		if v.Document != nil {
			docs = append(docs, v.Document)
		}
	}
	products := of.PURLs()
	for _, c := range file.All() {
		if c.Main {
			products = append(products, c.PURL())
		}
	}
	digests := []string{file.Subject.SHA256}
	if of.Manifest.Validate() == nil && of.Manifest.Algorithm() == digest.SHA256 {
		digests = append(digests, of.Manifest.Encoded())
	}
	list := make([]vex.Finding, len(findings))
	for i, f := range findings {
		list[i] = vex.Finding{IDs: f.Names(), Products: products, SHA256: digests, Component: f.PURL}
	}
	return vex.Apply(list, docs...)
}
