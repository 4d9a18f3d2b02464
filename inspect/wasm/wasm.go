// Package wasm reads the structure of WebAssembly binaries, core modules and
// components: sections, types, imports and exports, and the custom sections in
// which tools describe what they made.
//
// [Decode] reads the declarations of a file and steps over code and data.
// [Parse] takes a file in memory and finds the bodies, segments and names, too;
// [Code] then reads the instructions of a body one by one. [Validate] says
// whether a binary is valid and which features a host needs for it; a
// [Validator] hands each instruction to an analysis in the same pass.
//
// It never runs, compiles or trusts what it reads. Every count is held against
// the bytes that are left and against the bounds of limits.go before anything
// is allocated, and an error says at which byte of the file what was being
// read. What a decode keeps takes at most KeptPerByte times the bytes of the
// file and KeptAnyway more. It imports nothing that could touch a file or a
// network.
package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// A Kind is what a binary holds.
type Kind int

// The kinds of binaries, told apart by the layer field of their header.
const (
	KindModule Kind = iota + 1
	KindComponent
)

func (k Kind) String() string {
	if k == KindComponent {
		return "component"
	}
	return "module"
}

// A Binary is the structure of one module or component.
type Binary struct {
	Kind     Kind
	Offset   int64 // of its magic number, bytes from the start of the file
	Size     int64 // bytes, header included
	Sections []Section

	Module    *Module    // of a module
	Component *Component // of a component

	Metadata Metadata

	// Problems are faults of custom sections, in their order. Those never make
	// a binary invalid (core specification, "Custom Section").
	Problems []*Error

	// Kept is about how many bytes of memory the decode of the whole file keeps,
	// rarely less than it does: whoever has a bound for the file and what is made
	// of it takes the rest. It is 0 of a nested binary.
	Kept int64

	file []byte // the whole file; nil unless parsed from memory
}

// Bytes gives size bytes of the file from offset off on, which counts from the
// start of the file also in a nested binary. They are not to be changed. It is
// nil for a binary that was decoded without its bytes, and for bytes the file
// does not have.
func (b *Binary) Bytes(off, size int64) []byte {
	if off < 0 || size < 0 || off > int64(len(b.file))-size {
		return nil
	}
	return b.file[off : off+size : off+size]
}

// A Section is one section of a binary, undecoded.
type Section struct {
	ID     byte
	Name   string // of a custom section, as it stands in the file
	Offset int64  // of the id byte in the file
	Body   int64  // offset of the contents; of a custom section, of what follows its name
	Size   int64  // bytes from Body to the end of the section
}

// End is the offset of the first byte after the section.
func (s Section) End() int64 { return s.Body + s.Size }

// Decode reads the structure of the binary that r holds in its first size
// bytes. It reads headers and the sections it decodes, and nothing else. Errors
// are an [*Error] around one of the errors of this package, or what r returned.
func Decode(r io.ReaderAt, size int64) (*Binary, error) {
	d := &decoder{r: r, size: size, budget: newBudget(size)}
	return d.all()
}

// Parse is [Decode] for a file in memory, and also finds the bodies of
// functions, the segments, the initialisers and the names of every module in
// it. The result keeps slices of file, which must not change. Instructions are
// not looked at, except in constant expressions.
func Parse(file []byte) (*Binary, error) {
	size := int64(len(file))
	d := &decoder{r: bytes.NewReader(file), file: file, size: size, budget: newBudget(size)}
	return d.all()
}

// Header reports the kind of the binary that begins with head, which must hold
// the first eight bytes; the errors are those of Decode.
func Header(head []byte) (Kind, error) {
	fail := func(off int64, err error) (Kind, error) {
		return 0, &Error{Offset: off, Doing: "header", Err: err}
	}
	const magic = "\x00asm"
	n := min(len(head), len(magic))
	switch {
	case len(head) >= 4 && string(head[:4]) == "\x7fELF":
		return fail(0, ErrPrecompiled)
	case string(head[:n]) != magic[:n] && isText(head):
		return fail(0, ErrText)
	case string(head[:n]) != magic[:n]:
		return fail(0, ErrMagic)
	case len(head) < 8:
		return fail(int64(len(head)), ErrTruncated)
	}
	version := uint16(head[4]) | uint16(head[5])<<8
	layer := uint16(head[6]) | uint16(head[7])<<8
	switch {
	case layer == 0 && version == 1:
		return KindModule, nil
	case layer == 1 && version == componentVersion:
		return KindComponent, nil
	}
	return fail(4, fmt.Errorf("%w %d of layer %d", ErrVersion, version, layer))
}

// componentVersion is the version of the component binary format before its
// standardisation ("Component Definitions" in Binary.md).
const componentVersion = 0x0d

// isText recognises the beginnings of the text format: a parenthesis or a
// comment.
func isText(head []byte) bool {
	for len(head) > 0 && (head[0] == ' ' || head[0] == '\n' || head[0] == '\t' || head[0] == '\r') {
		head = head[1:]
	}
	return len(head) > 1 && (head[0] == '(' || head[0] == ';' && head[1] == ';')
}

// A decoder is the state of one Decode, shared by nested binaries.
type decoder struct {
	r        io.ReaderAt
	file     []byte // all of it, nil if only r has it
	size     int64
	budget   *budget
	sections int // seen so far, at most MaxSections
	share    *componentShare

	// window is the part of the file read last: headers of sections lie close
	// together, and a system call for each is dear.
	window    [4096]byte
	windowOff int64
	windowLen int
}

// all decodes the file.
func (d *decoder) all() (*Binary, error) {
	b, err := d.binary(0, d.size, 0, nil)
	if err != nil {
		return nil, err
	}
	b.Kept = newBudget(d.size).bytes - d.budget.bytes
	return b, nil
}

// at gives up to n bytes from off on, fewer only at end. They are valid until
// the next call.
func (d *decoder) at(off, end int64, n int) ([]byte, error) {
	if int64(n) > end-off {
		n = int(end - off)
	}
	if d.file != nil {
		return d.file[off : off+int64(n)], nil
	}
	if off < d.windowOff || off+int64(n) > d.windowOff+int64(d.windowLen) {
		want := min(int64(len(d.window)), d.size-off)
		got, err := d.r.ReadAt(d.window[:want], off)
		if got < n {
			return nil, readError(off+int64(got), err)
		}
		d.windowOff, d.windowLen = off, got
	}
	return d.window[off-d.windowOff:][:n], nil
}

// readError turns an early end of the input into ErrTruncated: the caller
// promised more bytes than there are.
func readError(off int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = ErrTruncated
	}
	return &Error{Offset: off, Doing: "file", Err: err}
}

// body reads a section's contents into memory.
func (d *decoder) body(doing string, s Section, maximum int64) (*reader, error) {
	if s.Size > maximum {
		err := fmt.Errorf("%w: %d bytes, more than %d", ErrLimit, s.Size, maximum)
		return nil, &Error{Offset: s.Body, Doing: doing, Err: err}
	}
	return d.reader(doing, s)
}

// reader is body without a bound, for the sections of a file in memory.
func (d *decoder) reader(doing string, s Section) (*reader, error) {
	var buf []byte
	if d.file != nil {
		buf = d.file[s.Body:s.End():s.End()]
	} else {
		buf = make([]byte, s.Size)
		if n, err := d.r.ReadAt(buf, s.Body); n < len(buf) {
			return nil, readError(s.Body+int64(n), err)
		}
	}
	return &reader{buf: buf, base: s.Body, doing: doing, entry: -1, budget: d.budget}, nil
}

// binary decodes the module or component from off to end, which lies in a
// component whose scope is outer, or, with depth 0, is the file.
func (d *decoder) binary(off, end int64, depth int, outer *Scope) (*Binary, error) {
	head, err := d.at(off, end, 8)
	if err != nil {
		return nil, err
	}
	kind, err := Header(head)
	if err != nil {
		var at *Error
		if errors.As(err, &at) {
			at.Offset += off
		}
		return nil, err
	}
	b := &Binary{Kind: kind, Offset: off, Size: end - off, file: d.file}
	var decode func(Section) error
	var finish func() error
	switch kind {
	case KindModule:
		m := &moduleDecoder{decoder: d, m: &Module{Start: -1, DataCount: -1, file: d.file}}
		b.Module, decode, finish = m.m, m.section, m.finish
	case KindComponent:
		c := d.component(depth, outer)
		b.Component, decode, finish = c.c, c.section, c.finish
	}
	for off += 8; off < end; {
		if d.budget.bytes -= costSection; d.budget.bytes < 0 {
			return nil, &Error{Offset: off, Doing: "section header", Err: fmt.Errorf("%w: too many sections", ErrLimit)}
		}
		s, err := d.section(off, end)
		if err != nil {
			return nil, err
		}
		b.Sections = append(b.Sections, s)
		if s.ID == 0 {
			err = d.custom(b, s)
			if err == nil && s.Name == "name" {
				err = d.names(b, s)
			}
		} else {
			err = decode(s)
		}
		if err != nil {
			return nil, err
		}
		off = s.End()
	}
	return b, finish()
}

// section reads the header of the section at off, which ends at end at the
// latest, and the name of a custom one.
func (d *decoder) section(off, end int64) (Section, error) {
	if d.sections++; d.sections > MaxSections {
		err := fmt.Errorf("%w: more than %d sections", ErrLimit, MaxSections)
		return Section{}, &Error{Offset: off, Doing: "section header", Err: err}
	}
	// One byte of id and five of size.
	head, err := d.at(off, end, 6)
	if err != nil {
		return Section{}, err
	}
	r := reader{buf: head, base: off, doing: "section header", entry: -1, budget: d.budget}
	s := Section{ID: r.u8(), Offset: off}
	s.Size = int64(r.u32())
	s.Body = off + int64(r.off)
	if r.err == nil && s.Size > end-s.Body {
		r.fail(1, fmt.Errorf("%w: section of %d bytes, %d left", ErrTruncated, s.Size, end-s.Body))
	}
	if r.err != nil || s.ID != 0 {
		return s, r.err
	}
	return d.customName(s)
}

func (d *decoder) customName(s Section) (Section, error) {
	head, err := d.at(s.Body, s.End(), 5)
	if err != nil {
		return s, err
	}
	r := reader{buf: head, base: s.Body, doing: "name of a custom section", entry: -1, budget: d.budget}
	n := int64(r.u32())
	skip := int64(r.off)
	switch {
	case r.err != nil:
		return s, r.err
	case n > s.Size-skip:
		r.fail(0, ErrTruncated)
		return s, r.err
	case n > MaxName:
		r.fail(0, fmt.Errorf("%w: %d bytes, more than %d", ErrLimit, n, MaxName))
		return s, r.err
	}
	name := make([]byte, n)
	if got, err := d.r.ReadAt(name, s.Body+skip); got < len(name) {
		return s, readError(s.Body+skip+int64(got), err)
	}
	if !utf8.Valid(name) {
		r.fail(0, ErrUTF8)
		return s, r.err
	}
	d.budget.bytes -= n
	s.Name = string(name)
	s.Body += skip + n
	s.Size -= skip + n
	return s, nil
}
