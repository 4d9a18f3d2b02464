// Package attached reads what publishers say of a package by attaching it to the
// manifest as referrers: bills of materials in CycloneDX or SPDX, and VEX
// statements in OpenVEX or CycloneDX.
//
// [Read] looks through the referrers of one manifest, of any [Source]: a
// repository over the network or in a folder, as package client has them, or one
// of this server's own, by package attached/stored. What a wreg derived by itself
// is no publisher's word and is left out. In signed attestations it reads the
// documents that its caller has verified, each an [Attestation].
//
// Whoever may push into a repository writes these documents. They are bounded,
// what is wrong with one is kept beside it and hides no other, and nothing in them
// is more than a claim: components are declared, not proven, and a VEX statement
// takes no finding away but is shown with it.
package attached

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/sbom/vuln/vex"
)

// A Source has the content of one repository; a client.Target is one.
type Source interface {
	// Fetch opens the manifest or blob d. What is not there is errdef.ErrNotFound of
	// oras-go. The caller closes it.
	Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error)

	// Referrers calls fn with the manifests whose subject is d, page by page, until
	// it fails; its error is returned, perhaps wrapped. An empty artifactType means
	// all. Descriptors have artifact type and annotations of the manifest.
	Referrers(ctx context.Context, d ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error
}

// Limits bound what is read about one manifest. A zero field is its default.
type Limits struct {
	Listed    int   // referrers of any kind that are listed; default 1,000
	Referrers int   // manifests of them that are opened, those of a known type first; default 64
	Documents int   // documents in them; default 64
	Bytes     int64 // of one document; default 8 MiB
	Total     int64 // bytes of all of them; default 32 MiB
}

func (l Limits) defaults() Limits {
	return Limits{
		Listed: cmp.Or(l.Listed, 1000), Referrers: cmp.Or(l.Referrers, 64), Documents: cmp.Or(l.Documents, 64),
		Bytes: cmp.Or(l.Bytes, 8<<20), Total: cmp.Or(l.Total, 32<<20),
	}
}

// Attachments are what publishers attached to one manifest, in the order of the
// digests of the referrers and of the layers in them, and then what they attest.
type Attachments struct {
	SBOMs []SBOM
	VEX   []VEX

	// Omitted says, for people, what was not looked at; "" if everything was. What is
	// not there may then be claimed nevertheless.
	Omitted string
}

// A Place is where a document was found.
type Place struct {
	Referrer  digest.Digest // the manifest
	Blob      digest.Digest // the document; "" if the manifest cannot be read
	MediaType string        // that tells what it is: of the layer, else of the artifact; of an attestation the type of its predicate
	Title     string        // the name of the file, "" if the layer has none

	// Attested tells a document that somebody signed from one that is attached as it
	// is. By is who that was, as was verified; "" if it was not.
	Attested bool
	By       string
}

// An SBOM is a bill of materials. It has a Document or a Problem.
type SBOM struct {
	Place
	Document *sbom.Document
	Problem  string // why it cannot be read, for people
}

// A VEX is a list of statements about vulnerabilities. It has a Document or a
// Problem. A CycloneDX file that has both components and statements is an SBOM as
// well.
type VEX struct {
	Place
	Document *vex.Document
	Problem  string // why it cannot be read, for people
}

// Published reports whether a bill of materials is attached that can be read.
func (a *Attachments) Published() bool {
	return slices.ContainsFunc(a.SBOMs, func(s SBOM) bool { return s.Document != nil })
}

// Problems are what is wrong with documents, each with the place.
func (a *Attachments) Problems() []Problem {
	var list []Problem
	for _, s := range a.SBOMs {
		if s.Problem != "" {
			list = append(list, Problem{s.Place, s.Problem})
		}
	}
	for _, v := range a.VEX {
		if v.Problem != "" {
			list = append(list, Problem{v.Place, v.Problem})
		}
	}
	return list
}

// A Problem is what is wrong with a document.
type Problem struct {
	Place
	Text string // for people
}

// Declared puts the bills of materials together into one, whose components are in
// one list, for [sbom.Compare]; nil if there is none that can be read.
func (a *Attachments) Declared() *sbom.Document {
	var c evidence.Collector
	n := 0
	for _, s := range a.SBOMs {
		if s.Document == nil {
			continue
		}
		n++
		for _, found := range s.Document.All() {
			c.Add(*found)
		}
	}
	if n == 0 {
		return nil
	}
	return &sbom.Document{
		SchemaVersion: sbom.SchemaVersion, MediaType: sbom.MediaType,
		Root: &sbom.Unit{Kind: "module", Components: c.Components(), Tools: []sbom.Tool{}, Completeness: []sbom.Completeness{}},
	}
}
