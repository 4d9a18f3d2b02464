package policy

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/yamldoc"
)

// maxSource bounds a file, in bytes.
const maxSource = 512 << 10

// A document is a file that is being read.
type document struct {
	*yamldoc.Document
	facts int // read so far, of test files
}

// open reads the one document of source.
func open(source []byte) (*document, *yaml.Node, error) {
	d, root, err := yamldoc.Open(source, maxSource)
	return &document{Document: d}, root, faults(err)
}

// err is what was wrong, of type Errors.
func (d *document) err() error { return faults(d.Err()) }

// faults says errors of package yamldoc as ours.
func faults(err error) error {
	if errors.Is(err, yamldoc.ErrTooLarge) {
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	found, ok := errors.AsType[yamldoc.Errors](err)
	if !ok {
		return err
	}
	list := make(Errors, len(found))
	for i, e := range found {
		list[i] = &Error{Rule: e.In, Line: e.Line, Column: e.Column, Msg: e.Msg, Hint: e.Hint}
	}
	return list
}
