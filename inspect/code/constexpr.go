package code

import "iter"

// A constRef is a function or global that a constant expression mentions.
type constRef struct {
	index  uint32
	global bool
}

// references yields what constant expressions that stand one after another in
// buf refer to. They must be of the instructions that the core specification
// lists under "Constant Expressions"; at anything else it ends.
func references(buf []byte) iter.Seq[constRef] {
	return func(yield func(constRef) bool) {
		s := scanner{buf}
		for len(s.buf) > 0 {
			switch op := s.u8(); op {
			case 0x41, 0x42: // i32.const, i64.const
				s.leb()
			case 0x43: // f32.const
				s.skip(4)
			case 0x44: // f64.const
				s.skip(8)
			case 0x23, 0xd2: // global.get, ref.func
				if !yield(constRef{uint32(s.leb()), op == 0x23}) {
					return
				}
			case 0xd0: // ref.null
				if b := s.u8(); b == 0x62 || b == 0x65 { // exact, shared
					s.leb()
				} else if b >= 0x80 {
					s.leb()
				}
			case 0x0b, 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // end; add, sub, mul
			case 0xfb:
				s.aggregate()
			case 0xfd: // v128.const
				s.leb()
				s.skip(16)
			case 0xfe: // ref.i31_shared
				s.leb()
			default:
				return
			}
		}
	}
}

// A scanner steps over bytes whose form has been checked before.
type scanner struct{ buf []byte }

func (s *scanner) skip(n int) { s.buf = s.buf[min(n, len(s.buf)):] }

func (s *scanner) u8() (b byte) {
	if len(s.buf) > 0 {
		b = s.buf[0]
	}
	s.skip(1)
	return b
}

func (s *scanner) leb() (v uint64) {
	for shift := 0; len(s.buf) > 0; shift += 7 {
		b := s.u8()
		v |= uint64(b&0x7f) << min(shift, 63)
		if b < 0x80 {
			break
		}
	}
	return v
}

// aggregate steps over an instruction of the GC proposal.
func (s *scanner) aggregate() {
	switch s.leb() {
	case 0, 1, 6, 7, 32, 33: // struct.new, array.new and their kin
		s.leb()
	case 8: // array.new_fixed
		s.leb()
		s.leb()
	}
}
