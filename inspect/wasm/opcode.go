package wasm

import "strconv"

// An Opcode is an instruction of the core format: its one byte, or, of an
// instruction of two parts, the first byte shifted left by 16 bits and the
// number after it. [OpMemoryCopy] is 0xfc_000a.
type Opcode uint32

// The opcodes that analyses and the validator tell apart.
const (
	OpUnreachable        Opcode = 0x00
	OpNop                Opcode = 0x01
	OpBlock              Opcode = 0x02
	OpLoop               Opcode = 0x03
	OpIf                 Opcode = 0x04
	OpElse               Opcode = 0x05
	OpTry                Opcode = 0x06
	OpCatch              Opcode = 0x07
	OpThrow              Opcode = 0x08
	OpRethrow            Opcode = 0x09
	OpThrowRef           Opcode = 0x0a
	OpEnd                Opcode = 0x0b
	OpBr                 Opcode = 0x0c
	OpBrIf               Opcode = 0x0d
	OpBrTable            Opcode = 0x0e
	OpReturn             Opcode = 0x0f
	OpCall               Opcode = 0x10
	OpCallIndirect       Opcode = 0x11
	OpReturnCall         Opcode = 0x12
	OpReturnCallIndirect Opcode = 0x13
	OpCallRef            Opcode = 0x14
	OpReturnCallRef      Opcode = 0x15
	OpDelegate           Opcode = 0x18
	OpCatchAll           Opcode = 0x19
	OpDrop               Opcode = 0x1a
	OpSelect             Opcode = 0x1b
	OpSelectTyped        Opcode = 0x1c
	OpTryTable           Opcode = 0x1f
	OpLocalGet           Opcode = 0x20
	OpLocalSet           Opcode = 0x21
	OpLocalTee           Opcode = 0x22
	OpGlobalGet          Opcode = 0x23
	OpGlobalSet          Opcode = 0x24
	OpTableGet           Opcode = 0x25
	OpTableSet           Opcode = 0x26
	OpMemorySize         Opcode = 0x3f
	OpMemoryGrow         Opcode = 0x40
	OpI32Const           Opcode = 0x41
	OpI64Const           Opcode = 0x42
	OpF32Const           Opcode = 0x43
	OpF64Const           Opcode = 0x44
	OpI32Add             Opcode = 0x6a
	OpI32Sub             Opcode = 0x6b
	OpI32Mul             Opcode = 0x6c
	OpI32And             Opcode = 0x71
	OpI32Or              Opcode = 0x72
	OpI32Xor             Opcode = 0x73
	OpI32Shl             Opcode = 0x74
	OpI32ShrS            Opcode = 0x75
	OpI32ShrU            Opcode = 0x76
	OpI32Rotl            Opcode = 0x77
	OpI32Rotr            Opcode = 0x78
	OpI64Add             Opcode = 0x7c
	OpI64Sub             Opcode = 0x7d
	OpI64Mul             Opcode = 0x7e
	OpI64And             Opcode = 0x83
	OpI64Or              Opcode = 0x84
	OpI64Xor             Opcode = 0x85
	OpI64Shl             Opcode = 0x86
	OpI64ShrS            Opcode = 0x87
	OpI64ShrU            Opcode = 0x88
	OpI64Rotl            Opcode = 0x89
	OpI64Rotr            Opcode = 0x8a
	OpRefNull            Opcode = 0xd0
	OpRefIsNull          Opcode = 0xd1
	OpRefFunc            Opcode = 0xd2
	OpRefEq              Opcode = 0xd3
	OpRefAsNonNull       Opcode = 0xd4
	OpBrOnNull           Opcode = 0xd5
	OpBrOnNonNull        Opcode = 0xd6
	OpContNew            Opcode = 0xe0
	OpContBind           Opcode = 0xe1
	OpSuspend            Opcode = 0xe2
	OpResume             Opcode = 0xe3
	OpResumeThrow        Opcode = 0xe4
	OpResumeThrowRef     Opcode = 0xe5
	OpSwitch             Opcode = 0xe6

	OpStructNew           Opcode = prefixGC << 16
	OpStructNewDefault    Opcode = prefixGC<<16 | 0x01
	OpStructGet           Opcode = prefixGC<<16 | 0x02
	OpStructGetS          Opcode = prefixGC<<16 | 0x03
	OpStructGetU          Opcode = prefixGC<<16 | 0x04
	OpStructSet           Opcode = prefixGC<<16 | 0x05
	OpArrayNew            Opcode = prefixGC<<16 | 0x06
	OpArrayNewDefault     Opcode = prefixGC<<16 | 0x07
	OpArrayNewFixed       Opcode = prefixGC<<16 | 0x08
	OpArrayNewData        Opcode = prefixGC<<16 | 0x09
	OpArrayNewElem        Opcode = prefixGC<<16 | 0x0a
	OpArrayGet            Opcode = prefixGC<<16 | 0x0b
	OpArrayGetS           Opcode = prefixGC<<16 | 0x0c
	OpArrayGetU           Opcode = prefixGC<<16 | 0x0d
	OpArraySet            Opcode = prefixGC<<16 | 0x0e
	OpArrayLen            Opcode = prefixGC<<16 | 0x0f
	OpArrayFill           Opcode = prefixGC<<16 | 0x10
	OpArrayCopy           Opcode = prefixGC<<16 | 0x11
	OpArrayInitData       Opcode = prefixGC<<16 | 0x12
	OpArrayInitElem       Opcode = prefixGC<<16 | 0x13
	OpRefTest             Opcode = prefixGC<<16 | 0x14
	OpRefTestNull         Opcode = prefixGC<<16 | 0x15
	OpRefCast             Opcode = prefixGC<<16 | 0x16
	OpRefCastNull         Opcode = prefixGC<<16 | 0x17
	OpBrOnCast            Opcode = prefixGC<<16 | 0x18
	OpBrOnCastFail        Opcode = prefixGC<<16 | 0x19
	OpAnyConvertExtern    Opcode = prefixGC<<16 | 0x1a
	OpExternConvertAny    Opcode = prefixGC<<16 | 0x1b
	OpRefI31              Opcode = prefixGC<<16 | 0x1c
	OpI31GetS             Opcode = prefixGC<<16 | 0x1d
	OpI31GetU             Opcode = prefixGC<<16 | 0x1e
	OpStructNewDesc       Opcode = prefixGC<<16 | 0x20
	OpStructNewDefDesc    Opcode = prefixGC<<16 | 0x21
	OpRefGetDesc          Opcode = prefixGC<<16 | 0x22
	OpRefCastDescEq       Opcode = prefixGC<<16 | 0x23
	OpRefCastDescEqNull   Opcode = prefixGC<<16 | 0x24
	OpBrOnCastDescEq      Opcode = prefixGC<<16 | 0x25
	OpBrOnCastDescEqFail  Opcode = prefixGC<<16 | 0x26
	OpMemoryInit          Opcode = prefixMisc<<16 | 0x08
	OpDataDrop            Opcode = prefixMisc<<16 | 0x09
	OpMemoryCopy          Opcode = prefixMisc<<16 | 0x0a
	OpMemoryFill          Opcode = prefixMisc<<16 | 0x0b
	OpTableInit           Opcode = prefixMisc<<16 | 0x0c
	OpElemDrop            Opcode = prefixMisc<<16 | 0x0d
	OpTableCopy           Opcode = prefixMisc<<16 | 0x0e
	OpTableGrow           Opcode = prefixMisc<<16 | 0x0f
	OpTableSize           Opcode = prefixMisc<<16 | 0x10
	OpTableFill           Opcode = prefixMisc<<16 | 0x11
	OpMemoryDiscard       Opcode = prefixMisc<<16 | 0x12
	OpV128Const           Opcode = prefixVector<<16 | 0x0c
	OpI8x16Shuffle        Opcode = prefixVector<<16 | 0x0d
	OpMemoryAtomicNotify  Opcode = prefixAtomic << 16
	OpAtomicFence         Opcode = prefixAtomic<<16 | 0x03
	opGlobalAtomicGet     Opcode = prefixAtomic<<16 | 0x4f
	opGlobalAtomicCmpxchg Opcode = prefixAtomic<<16 | 0x57
	opTableAtomicGet      Opcode = prefixAtomic<<16 | 0x58
	opTableAtomicCmpxchg  Opcode = prefixAtomic<<16 | 0x5b
	opStructAtomicGet     Opcode = prefixAtomic<<16 | 0x5c
	opStructAtomicCmpxchg Opcode = prefixAtomic<<16 | 0x66
	opArrayAtomicGet      Opcode = prefixAtomic<<16 | 0x67
	opArrayAtomicCmpxchg  Opcode = prefixAtomic<<16 | 0x71
	opRefI31Shared        Opcode = prefixAtomic<<16 | 0x72
)

// The first bytes of instructions of two parts.
const (
	prefixGC     = 0xfb
	prefixMisc   = 0xfc
	prefixVector = 0xfd
	prefixAtomic = 0xfe
)

// An Imm is the kind of the immediates of an instruction. The comments say which
// fields of [Instr] hold them.
type Imm byte

// The kinds of immediates.
const (
	ImmNone         Imm = iota
	ImmBlock            // Block
	ImmLabel            // X: how many blocks out
	ImmLabels           // of br_table: Targets; X is the default, Y the number of the others
	ImmTryTable         // Block, Catches; Y is the number of clauses
	ImmFunc             // X: function
	ImmCallIndirect     // X: type, Y: table
	ImmTag              // X: tag
	ImmType             // X: type
	ImmTypes            // X, Y: types; of array.copy, destination and source
	ImmTypeTag          // X: type, Y: tag
	ImmTypeField        // X: type, Y: field
	ImmTypeCount        // X: type, Y: number of elements
	ImmTypeData         // X: type, Y: data segment
	ImmTypeElem         // X: type, Y: element segment
	ImmLocal            // X: local
	ImmGlobal           // X: global
	ImmTable            // X: table
	ImmTables           // X: table written, Y: table read
	ImmElem             // X: element segment
	ImmElemTable        // X: element segment, Y: table
	ImmData             // X: data segment
	ImmDataMemory       // X: data segment, Y: memory
	ImmMemory           // X: memory
	ImmMemories         // X: memory written, Y: memory read
	ImmMemArg           // X: memory, Align, Value: offset
	ImmMemArgLane       // X: memory, Align, Value: offset, Y: lane
	ImmI32              // Value, sign-extended
	ImmI64              // Value
	ImmF32              // Value: the 32 bits
	ImmF64              // Value: the 64 bits
	ImmV128             // Bytes: sixteen
	ImmShuffle          // Bytes: sixteen lanes
	ImmLane             // X: lane
	ImmSelect           // Type, X: number of types, which only 1 is valid for
	ImmHeap             // Type: a reference, which may be null where the instruction says so
	ImmCast             // X: label, Type, Type2: from and to
	ImmFence            // a zero byte
	ImmOrderGlobal      // Y: memory order, X: global
	ImmOrderTable       // Y: memory order, X: table
	ImmOrderType        // Y: memory order, X: type
	ImmOrderField       // Value: memory order, X: type, Y: field
	ImmResume           // X: continuation type, Handlers; Y is the number of them
	ImmResumeThrow      // X: continuation type, Value: tag, Handlers; Y is the number of them

	immMore // the byte is a prefix, or no instruction
)

// opInfo is what the tables know about an instruction. The parts that are needed
// for every instruction of a file lie together, and the size is a power of two.
type opInfo struct {
	feature Features
	imm     Imm

	// size is, of an access to memory, the logarithm of its width in bytes,
	// which is the largest alignment; of an access to a lane the number of
	// lanes; and of ImmHeap 1 if the type is that of a nullable reference.
	size uint8

	// pops and push are sig in the form the validator uses, as codes of types;
	// fixed says that there is one.
	fixed bool
	npop  uint8
	npush uint8
	pops  [4]uint8
	push  [2]uint8

	name string // in the text format; "" where there is no instruction

	// sig is the signature of an instruction whose operands and results are
	// always the same: operands, a colon, results; see letters. It is empty
	// for those that the validator treats one by one.
	sig string

	_ [8]byte
}

// info finds the entry of op in the tables, nil if there is none.
func (op Opcode) info() *opInfo {
	var table []opInfo
	switch op >> 16 {
	case 0:
		table = plainOps[:]
	case prefixGC:
		table = gcOps[:]
	case prefixMisc:
		table = miscOps[:]
	case prefixVector:
		table = vectorOps[:]
	case prefixAtomic:
		table = atomicOps[:]
	default:
		return nil
	}
	if i := int(op & 0xffff); i < len(table) && table[i].name != "" {
		return &table[i]
	}
	return nil
}

// String gives the name of the text format, "i32.add", and of a code that is no
// instruction its number.
func (op Opcode) String() string {
	if info := op.info(); info != nil {
		return info.name
	}
	return "opcode 0x" + strconv.FormatUint(uint64(op), 16)
}

// letters are the types in the signatures of the tables. The address of an
// access has the type that the memory says.
var letters = [...]uint8{'a': 0, 'i': I32Code, 'l': I64Code, 'f': F32Code, 'd': F64Code, 'v': V128Code}

func init() {
	for _, table := range [][]opInfo{plainOps[:], gcOps[:], miscOps[:], vectorOps[:], atomicOps[:]} {
		for i := range table {
			table[i].compile()
		}
	}
	for i := range plainOps {
		if plainOps[i].name == "" {
			plainOps[i].imm = immMore
		}
	}
}

// compile turns the signature into types.
func (o *opInfo) compile() {
	for i := range len(o.sig) {
		switch c := o.sig[i]; {
		case c == ':':
			o.fixed = true
		case o.fixed:
			o.push[o.npush] = letters[c]
			o.npush++
		default:
			o.pops[o.npop] = letters[c]
			o.npop++
		}
	}
}
