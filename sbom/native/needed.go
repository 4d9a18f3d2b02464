package native

import (
	"encoding/binary"
	"strings"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// The subsection of dylink.0 that lists the libraries that must be loaded
// before the module (tool conventions, "Dynamic Linking").
const dylinkNeeded = 2

// maxNeeded bounds the libraries that a module may want.
const maxNeeded = 1024

// sureLink is less than one: the file name need not be the library's.
const sureLink = 0.8

// needed adds the shared libraries that the module's dylink.0 section lists, by
// file name. A faulty section ends the list.
func needed(b *wasm.Binary, c *evidence.Collector) {
	for _, s := range b.Sections {
		if s.ID != wasm.SectionCustom || s.Name != "dylink.0" {
			continue
		}
		r := leb{b: b.Bytes(s.Body, s.Size), at: s.Body}
		for len(r.b) > 0 && !r.bad {
			kind := r.u32()
			sub := r.take(r.u32())
			if kind == dylinkNeeded {
				neededNames(sub, c)
			}
		}
	}
}

func neededNames(r leb, c *evidence.Collector) {
	for n := min(r.u32(), maxNeeded); n > 0 && !r.bad; n-- {
		name := r.take(r.u32())
		if r.bad {
			return
		}
		file := string(name.b)
		c.Add(evidence.Component{
			Ecosystem: evidence.Generic, Name: strings.TrimSuffix(strings.TrimSuffix(file, ".wasm"), ".so"), Class: evidence.Named,
			Evidence: []evidence.Evidence{{
				Method: evidence.Link, Section: "dylink.0", Offset: name.at, Text: file, Confidence: sureLink,
			}},
		})
	}
}

// leb reads numbers and lengths; after a fault it is bad and gives nothing.
type leb struct {
	b   []byte
	at  int64 // of b, bytes from the start of the file
	bad bool
}

func (r *leb) u32() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b, r.at = r.b[n:], r.at+int64(n)
	return uint32(v)
}

// take gives the next n bytes.
func (r *leb) take(n uint32) leb {
	if int64(n) > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return leb{bad: true}
	}
	part := leb{b: r.b[:n], at: r.at}
	r.b, r.at = r.b[n:], r.at+int64(n)
	return part
}
