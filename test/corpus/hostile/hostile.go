// Package hostile makes WebAssembly binaries that no tool would: files of few
// bytes that ask for much memory, time or recursion, and damaged forms of sound
// ones.
//
// Each Bomb aims at one thing that a reader might do without thinking: allocate
// by a count, recurse by nesting, expand what refers to itself twice, compare
// everything with everything. The test of this package takes them through the
// decoder, the validator and the report, and holds those to the bounds of the
// design: no panic, memory of four times the input and 1 MiB, a second of CPU
// for each megabyte, and errors that say at which byte.
//
// They are made by code and not kept as files, so that what is wrong with each
// can be read, and its size chosen.
package hostile

import "slices"

// A Bomb is a family of hostile binaries.
type Bomb struct {
	Name string

	// Make gives a binary of about size bytes; one whose size is in its nature,
	// such as a count without entries, may be much smaller.
	Make func(size int) []byte

	// Refused is set if no reader may take the binary for valid.
	Refused bool
}

// Bombs lists all of them.
func Bombs() []Bomb {
	return slices.Concat(counts(), types(), bodies(), segments(), contents(), customs(), symbols(), graphs(), componentTypes(), components())
}

// Padded is a binary behind which comes a custom section of nothing, as many
// times as large. What a reader may do is measured by the size of the file: with
// padding, it is given more to do the same with.
func Padded(bin []byte, times int) []byte {
	if times == 0 {
		return bin
	}
	return append(bin, custom("padding", make([]byte, times*len(bin)))...)
}
