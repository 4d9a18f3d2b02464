package wasm

// constExpr steps over a constant expression: the instructions that the core
// specification lists under "Constant Expressions", with those of the GC,
// extended-const and custom-descriptors proposals. Anything else is ErrCode.
func (r *reader) constExpr() {
	for r.err == nil {
		switch op := r.u8(); op {
		case 0x0b: // end
			return
		case 0x41: // i32.const
			r.sleb(32)
		case 0x42: // i64.const
			r.sleb(64)
		case 0x43: // f32.const
			r.bytes(4)
		case 0x44: // f64.const
			r.bytes(8)
		case 0x23, 0xd2: // global.get, ref.func
			r.u32()
		case 0xd0: // ref.null
			r.heapType()
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul of i32 and i64
		case 0xfb:
			r.constGC()
		case 0xfd:
			if n := r.u32(); n != 12 { // v128.const
				r.fail(r.off-1, ErrCode)
			}
			r.bytes(16)
		default:
			r.code("an instruction of a constant expression", op)
		}
	}
}

func (r *reader) constGC() {
	start := r.off
	switch r.u32() {
	case 0, 1, 6, 7, 32, 33: // struct.new[_default][_desc], array.new[_default]
		r.u32()
	case 8: // array.new_fixed
		r.u32()
		r.u32()
	case 26, 27, 28: // any.convert_extern, extern.convert_any, ref.i31
	case 30: // ref.i31_shared
	default:
		r.fail(start, ErrCode)
	}
}
