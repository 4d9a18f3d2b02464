package registry

import (
	"errors"
	"strings"
)

// A Code is an error identifier of the distribution specification, or one of
// the two that registries share beyond it (TagInvalid, PageInvalid).
type Code string

// The codes. Which HTTP status each has is package ociapi's matter.
const (
	BlobUnknown         Code = "BLOB_UNKNOWN"
	BlobUploadInvalid   Code = "BLOB_UPLOAD_INVALID"
	BlobUploadUnknown   Code = "BLOB_UPLOAD_UNKNOWN"
	DigestInvalid       Code = "DIGEST_INVALID"
	ManifestBlobUnknown Code = "MANIFEST_BLOB_UNKNOWN"
	ManifestInvalid     Code = "MANIFEST_INVALID"
	ManifestUnknown     Code = "MANIFEST_UNKNOWN"
	NameInvalid         Code = "NAME_INVALID"
	NameUnknown         Code = "NAME_UNKNOWN"
	SizeInvalid         Code = "SIZE_INVALID"
	Unauthorized        Code = "UNAUTHORIZED"
	Denied              Code = "DENIED"
	Unsupported         Code = "UNSUPPORTED"
	TooManyRequests     Code = "TOOMANYREQUESTS"

	TagInvalid  Code = "TAG_INVALID"
	PageInvalid Code = "PAGINATION_NUMBER_INVALID"
)

// Reasons that need a status other than their code's usual one. They are found
// in an Error with [errors.Is].
var (
	ErrTooLarge     = errors.New("larger than this registry accepts")
	ErrRange        = errors.New("not the next byte of this upload")
	ErrPrecondition = errors.New("precondition failed")
	ErrInUse        = errors.New("in use")
)

// An Error is a refusal that the caller of a registry is told, in the terms of
// the distribution specification. Errors of any other type are the server's
// own trouble and not for the caller's eyes.
type Error struct {
	Code    Code
	Message string
	Detail  any   // marshalled as JSON; nil for none
	Err     error // cause; may be nil
}

// Error implements error.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors are several refusals of one request, for instance one for each blob
// that a manifest names and the repository lacks.
type Errors []*Error

// Error implements error.
func (e Errors) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap gives the refusals.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, err := range e {
		all[i] = err
	}
	return all
}

// fields is a Detail.
type fields map[string]any
