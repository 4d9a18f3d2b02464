package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Metadata is what custom sections tell about a binary. All of it is what a
// tool or an author wrote there; nothing proves it.
type Metadata struct {
	// Name is the module's or component's own name, of the name section.
	Name string

	// BuildID is the contents of the build_id section.
	BuildID []byte

	Producers []Producer
	Features  []Feature

	// The sections of the same names that the component tools write.
	Authors     string
	Description string
	Licenses    string
	Source      string
	Homepage    string
	Revision    string
	Version     string
}

// A Producer is one entry of the producers section: Field is "language",
// "processed-by" or "sdk".
type Producer struct {
	Field   string
	Name    string
	Version string
}

// A Feature is one entry of the target_features section. Prefix is '+' for one
// that is used, '-' for one that must not be.
type Feature struct {
	Prefix byte
	Name   string
}

// custom decodes the custom sections that are known. Their faults are kept as
// problems of b; only what the file itself is to blame for is an error.
func (d *decoder) custom(b *Binary, s Section) error {
	decode, ok := customSections[s.Name]
	if !ok {
		return nil
	}
	doing := "custom section " + s.Name
	if s.Name == "name" || s.Name == "component-name" {
		s.Size = min(s.Size, maxNamePrefix)
	}
	r, err := d.body(doing, s, MaxCustomBytes)
	if err == nil {
		// A decoder that fails leaves what it had, so that one bad entry does
		// not hide the rest.
		decode(r, &b.Metadata)
		err = r.err
	}
	var at *Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrLimit) && d.budget.spent(), !errors.As(err, &at), at.Doing == "file":
		return err
	}
	b.problem(at)
	return nil
}

// problem notes a fault of a custom section.
func (b *Binary) problem(at *Error) {
	if len(b.Problems) < maxProblems {
		b.Problems = append(b.Problems, at)
	}
}

const (
	// maxNamePrefix is how much of a name section is read: the name of the
	// module comes first, and is all that is wanted.
	maxNamePrefix = MaxName + 16

	// maxProblems bounds the faults kept for one binary.
	maxProblems = 100
)

var customSections = map[string]func(*reader, *Metadata){
	"name":            readName,
	"component-name":  readName,
	"build_id":        func(r *reader, m *Metadata) { m.BuildID = r.bytes(int(r.u32())) },
	"producers":       readProducers,
	"target_features": readFeatures,
	"authors":         func(r *reader, m *Metadata) { r.all(&m.Authors) },
	"description":     func(r *reader, m *Metadata) { r.all(&m.Description) },
	"licenses":        func(r *reader, m *Metadata) { r.all(&m.Licenses) },
	"source":          func(r *reader, m *Metadata) { r.all(&m.Source) },
	"homepage":        func(r *reader, m *Metadata) { r.all(&m.Homepage) },
	"revision":        func(r *reader, m *Metadata) { r.all(&m.Revision) },
	"version":         func(r *reader, m *Metadata) { r.all(&m.Version) },
}

// all takes the whole section as a string.
func (r *reader) all(to *string) {
	b := r.bytes(r.left())
	if !utf8.Valid(b) {
		r.fail(0, ErrUTF8)
		return
	}
	*to = strings.TrimSpace(string(b))
}

// readName reads the first subsection if it is the one with the module's name
// (appendix "Name Section" of the core specification, id 0).
func readName(r *reader, m *Metadata) {
	if !r.more() || r.peek() != 0 {
		return
	}
	r.u8()
	r.u32()
	m.Name = r.name()
}

// readProducers reads the section of the tool conventions, ProducersSection.md.
func readProducers(r *reader, m *Metadata) {
	r.each(r.keep(2, 100), func(int) {
		field := r.name()
		n := r.keep(2, MaxItems)
		m.Producers = slices.Grow(m.Producers, n)
		for range n {
			p := Producer{Field: field, Name: r.name(), Version: r.name()}
			if r.err != nil {
				return
			}
			m.Producers = append(m.Producers, p)
		}
	})
}

// readFeatures reads the section of the tool conventions, Linking.md.
func readFeatures(r *reader, m *Metadata) {
	r.each(r.keep(2, MaxItems), func(int) {
		f := Feature{Prefix: r.u8(), Name: r.name()}
		if f.Prefix != '+' && f.Prefix != '-' && f.Prefix != '=' {
			r.fail(r.off, fmt.Errorf("%w 0x%02x before a feature", ErrCode, f.Prefix))
		}
		if r.err == nil {
			m.Features = append(m.Features, f)
		}
	})
}
