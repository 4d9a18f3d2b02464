package attached

import (
	"bytes"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/sbom/vuln/vex"
	"github.com/wreg-project/wreg/signing/attest"
)

// An Attestation is an in-toto statement about the manifest whose predicate is, or is
// said to be, a document that [Read] reads. One that was verified counts like a
// document that is attached as it is; one with a Problem is listed with it.
type Attestation struct {
	Referrer      digest.Digest // the manifest that carries it
	Blob          digest.Digest // the bundle or envelope
	PredicateType string
	Predicate     []byte // JSON, as it was signed
	By            string // who signed it, as was verified: the name of a key, or the identity of a certificate
	Problem       string // why it was not verified, for people; "" if it was
}

// Attests reports whether statements with a type of predicate are an [Attestation].
func Attests(predicateType string) bool { return kindOfPredicate(predicateType) != unknown }

// kindOfPredicate reads a type of predicate, which may have a version at its end.
func kindOfPredicate(predicateType string) kind {
	switch attest.Name(predicateType) {
	case "cyclonedx":
		return cycloneDX
	case "spdx":
		return spdxKind
	case "openvex":
		return openVEX
	}
	return unknown
}

// attested reads the document of an attestation.
func (r *reader) attested(a Attestation) {
	k := kindOfPredicate(a.PredicateType)
	if k == unknown {
		return
	}
	if r.documents++; r.documents > r.limits.Documents {
		r.omit("there are more than %d documents", r.limits.Documents)
		return
	}
	at := Place{Referrer: a.Referrer, Blob: a.Blob, MediaType: clean(a.PredicateType), Attested: true}
	if a.Problem != "" {
		r.add(at, broken(k, "it is attested, and that is not verified: "+clean(a.Problem)))
		return
	}
	at.By = clean(a.By)
	n := int64(len(a.Predicate))
	switch left := r.limits.Total - r.bytes; {
	case n > r.limits.Bytes:
		r.add(at, broken(k, fmt.Sprintf("it has %d bytes; at most %d are read", n, r.limits.Bytes)))
		return
	case n > left:
		r.omit("the documents have more than %d bytes", r.limits.Total)
		r.add(at, broken(k, fmt.Sprintf("not read: with it the documents have more than %d bytes", r.limits.Total)))
		return
	}
	r.bytes += n
	r.add(at, predicate(a, k))
}

// predicate reads a predicate as a document.
func predicate(a Attestation, k kind) *document {
	if k == cycloneDX {
		// A problem of its statements leaves its components, as of a file.
		if !bytes.HasPrefix(bytes.TrimLeft(a.Predicate, " \t\r\n"), []byte("{")) {
			return broken(k, "the predicate is no JSON object")
		}
		return decodeCycloneDX(a.Predicate)
	}
	v, err := attest.Read(a.PredicateType, a.Predicate)
	if err != nil {
		return broken(k, clean(err.Error()))
	}
	d := &document{}
	if v.SBOM != nil {
		d.sbom = &SBOM{Document: v.SBOM}
	}
	if v.VEX != nil {
		d.vex = &VEX{Document: v.VEX}
	}
	return d
}

// PlaceOf is where the document is that makes a statement of [Attachments.Statements].
// It is false for any other.
func (a *Attachments) PlaceOf(s *vex.Statement) (Place, bool) {
	for _, v := range a.VEX {
		if v.Document == nil {
			continue
		}
		for i := range v.Document.Statements {
			if &v.Document.Statements[i] == s {
				return v.Place, true
			}
		}
	}
	return Place{}, false
}
