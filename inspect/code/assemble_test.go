package code

import (
	"encoding/binary"
	"slices"
)

// module assembles a module of sections.
func module(sections ...[]byte) []byte {
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), slices.Concat(sections...))
}

func section(id byte, contents []byte) []byte { return sized([]byte{id}, contents) }

// custom assembles a custom section.
func custom(name string, contents []byte) []byte {
	return section(0, cat(sized(nil, []byte(name)), contents))
}

// vec assembles a vector.
func vec(entries ...[]byte) []byte {
	return append(leb(uint64(len(entries))), slices.Concat(entries...)...)
}

// body assembles an entry of the code section without locals.
func body(code []byte) []byte { return sized(nil, append([]byte{0}, code...)) }

func sized(head, contents []byte) []byte {
	return append(append(head, leb(uint64(len(contents)))...), contents...)
}

func leb(v uint64) []byte { return binary.AppendUvarint(nil, v) }

func op(b ...byte) []byte { return b }

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }
