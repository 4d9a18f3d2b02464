package hostile

import (
	"iter"
	"slices"
)

// Sound is a small module that has every section and kind of entry, made to be
// damaged.
func Sound() []byte {
	refs := []byte{0x5f, 2, 0x63, 0, 0, 0x7f, 1} // a structure of a reference to type 0 and a mutable i32
	typeSection := section(secType, vec(funcType, []byte{0x60, 1, 0x7f, 1, 0x7f}, cat([]byte{0x4e, 2}, refs, []byte{0x50, 0, 0x5e, 0x78, 1})))
	importSection := section(secImport, vec(
		cat(str("env"), str("f"), []byte{0, 0}),
		cat(str("env"), str("t"), []byte{1, 0x70, 0, 1}),
		cat(str("env"), str("m"), []byte{2, 3, 1, 2}),
		cat(str("env"), str("g"), []byte{3, 0x7f, 0}),
		cat(str("env"), str("e"), []byte{4, 0, 0}),
	))
	code := cat(
		[]byte{0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b, 0x0e, 2, 0, 1, 1, 0x0b, 0x0b},
		[]byte{0x41, 0, 0xfd, 0x0c}, make([]byte, 16), []byte{0xfd, 0x0b, 4, 0},
		[]byte{0x02, 0x40, 0x1f, 0x40, 1, 0x02, 0, 0x08, 0, 0x0b, 0x0b, 0xd0, 0x70, 0x1a, 0xd2, 1, 0x1a},
		[]byte{0x41, 0, 0x41, 0, 0x41, 1, 0xfc, 0x08, 1, 0, 0x41, 0, 0xfe, 0x10, 2, 0, 0x1a},
		[]byte{0x20, 0, 0x10, 1, 0x41, 0, 0x11, 1, 1},
	)
	return module(
		typeSection, importSection,
		section(secFunction, []byte{2, 1, 0}),
		section(secTable, vec([]byte{0x70, 1, 1, 2}, cat([]byte{0x40, 0, 0x70, 0, 1, 0xd2, 1, 0x0b}))),
		section(secMemory, vec([]byte{4, 1})),
		section(secTag, vec([]byte{0, 0})),
		section(secGlobal, vec([]byte{0x7f, 1, 0x23, 0, 0x41, 1, 0x6a, 0x0b}, []byte{0x63, 2, 0, 0xd0, 2, 0x0b})),
		section(secExport, vec(cat(str("run"), []byte{0, 1}), cat(str("memory"), []byte{2, 0}))),
		section(secStart, []byte{2}),
		section(secElement, vec([]byte{0, 0x41, 0, 0x0b, 1, 1}, []byte{1, 0, 1, 2}, []byte{3, 0, 1, 1}, []byte{5, 0x70, 1, 0xd0, 0x70, 0x0b})),
		section(secCount, []byte{2}),
		section(secCode, vec(sized(cat([]byte{1, 1, 0x7f}, code, endOfBody)), body())),
		section(secData, vec(cat([]byte{0, 0x41, 0, 0x0b}, str("hello")), cat([]byte{1}, str("world")))),
		custom("name", []byte{0}, sized(str("sound")), []byte{1}, sized(vec(cat([]byte{1}, str("run")))),
			[]byte{2}, sized(vec(cat([]byte{1}, vec(cat([]byte{0}, str("x"))))))),
		custom("producers", vec(cat(str("language"), vec(cat(str("C"), str("11")))))),
		custom("target_features", vec(append([]byte{'+'}, str("simd128")...))),
	)
}

// SoundComponent is a small component with a module, types, and instances.
func SoundComponent() []byte {
	core := module(oneType, section(secFunction, []byte{1, 0}), section(secExport, vec(cat(str("run"), []byte{0, 0}))),
		section(secCode, vec(emptyBody)))
	return component(
		section(secTypes, vec(
			cat([]byte{0x42, 3, 0x01, 0x72, 1}, str("x"), []byte{0x79, 0x04}, extern("point"), []byte{3, 0, 0},
				[]byte{0x01, 0x40, 1}, str("p"), []byte{1, 1, 0}),
			[]byte{0x40, 0, 1, 0},
			cat([]byte{0x71, 2}, str("a"), []byte{1, 0x73, 0}, str("b"), []byte{0, 0}),
			cat([]byte{0x41, 1, 0x03}, extern("i"), []byte{3, 1}),
		)),
		section(secImports, vec(cat(extern("a:b/c@1.2.3"), []byte{5, 0}))),
		section(secCoreModule, core),
		section(secCoreInstance, vec([]byte{0, 0, 0})),
		section(secAlias, vec(cat([]byte{0, 0, 1, 0}, str("run")), cat([]byte{3, 0, 0}, str("point")))),
		section(secCanon, vec([]byte{0, 0, 0, 0, 1})),
		section(secComponent, component(section(secTypes, []byte{1, 0x6f, 2, 0x7f, 0x73}))),
		section(secInstance, vec([]byte{0, 0, 0}, cat([]byte{1, 1}, extern("run"), []byte{1, 0}))),
		section(secExports, vec(cat(extern("run"), []byte{1, 0, 0}))),
		custom("component-name", []byte{0}, sized(str("sound"))),
		custom("package-docs", []byte("\x01{\"docs\":\"what it is for\"}")),
	)
}

// Truncations gives b cut short at every byte, by the length that is left. The
// slices are only valid until the next.
func Truncations(b []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for n := range b {
			if !yield(n, b[:n:n]) {
				return
			}
		}
	}
}

// Flips gives b with one bit turned over, for every bit of every step-th byte,
// by the number of the bit. The slices are only valid until the next.
func Flips(b []byte, step int) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		b := slices.Clone(b)
		for bit := range 8 * len(b) {
			if bit/8%step != 0 {
				continue
			}
			b[bit/8] ^= 1 << (bit % 8)
			if !yield(bit, b) {
				return
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// Replacements gives b with one byte turned into each of the values that mean
// most to a decoder: the ends of ranges and the beginnings of long numbers.
func Replacements(b []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		b := slices.Clone(b)
		for i, was := range b {
			for _, with := range []byte{0x00, 0x01, 0x7f, 0x80, 0xff} {
				b[i] = with
				if !yield(i, b) {
					return
				}
			}
			b[i] = was
		}
	}
}
