package hostile

// A Burden is a valid module that costs a compiler far more than its size
// suggests.
type Burden struct {
	Name string
	Make func() []byte
	Long bool // it takes the optimising compiler of wasmtime seconds or a gigabyte
}

// Burdens lists modules that were measured to be a burden to wasmtime, each in a
// size that takes no long time and in one that does.
func Burdens() []Burden {
	return []Burden{
		{Name: "loops in 300 loops", Make: func() []byte { return NestedLoops(300) }},
		{Name: "loops in 1,000 loops", Make: func() []byte { return NestedLoops(1000) }, Long: true},
		{Name: "loops in 5,000 loops", Make: func() []byte { return NestedLoops(5000) }, Long: true},
		{Name: "3,000 values at once", Make: func() []byte { return Pressure(3000) }},
		{Name: "20,000 values at once", Make: func() []byte { return Pressure(20_000) }, Long: true},
		{Name: "60,000 values at once", Make: func() []byte { return Pressure(60_000) }, Long: true},
		{Name: "a jump table of 50,000", Make: func() []byte { return BranchTable(50_000) }},
		{Name: "a jump table of 1,000,000", Make: func() []byte { return BranchTable(1_000_000) }, Long: true},
		{Name: "10,000 functions", Make: func() []byte { return Functions(10_000) }},
		{Name: "200,000 functions", Make: func() []byte { return Functions(200_000) }, Long: true},
		{Name: "20,000 calls in a function", Make: func() []byte { return Calls(20_000) }},
		{Name: "2,000,000 calls in a function", Make: func() []byte { return Calls(2_000_000) }, Long: true},
		{Name: "a long way straight on", Make: func() []byte { return Straight(200_000) }},
		{Name: "4 MB straight on", Make: func() []byte { return Straight(4_000_000) }, Long: true},
		{Name: "blocks in 10,000 blocks", Make: func() []byte { return DeepBlocks(10_000) }},
	}
}

// Instructions of the burdens.
const (
	opBlock, opLoop, opEnd      = 0x02, 0x03, 0x0b
	opBrIf, opBrTable           = 0x0d, 0x0e
	opCall, opDrop              = 0x10, 0x1a
	opLocalGet, opLocalSet      = 0x20, 0x21
	opI32Load, opI32Const       = 0x28, 0x41
	opI32Add                    = 0x6a
	emptyBlock, typeI32    byte = 0x40, 0x7f
)

// NestedLoops is a function of n loops inside each other that all use the same
// 64 locals: the allocation of registers takes time that grows faster than the
// square of n.
func NestedLoops(n int) []byte {
	const locals = 64
	var open, shut []byte
	local := func(i int) byte { return byte(i % locals) }
	for i := range n {
		open = append(open, opLoop, emptyBlock, opLocalGet, local(i), opLocalGet, local(i*7+1), opI32Add, opLocalSet, local(i*13+2))
		shut = append(shut, opLocalGet, local(i*5+3), opBrIf, 0, opEnd)
	}
	code := sized(cat([]byte{1, locals, typeI32}, open, shut, endOfBody))
	return module(oneType, section(secFunction, []byte{1, 0}), section(secCode, vec(code)))
}

// Pressure is a function that has n values on its stack at once, each loaded from
// memory, so that none can be computed again in place of being kept.
func Pressure(n int) []byte {
	var code []byte
	for i := range n {
		code = append(append(code, opI32Const, 0, opI32Load, 2), leb(4*i)...)
	}
	for range n - 1 {
		code = append(code, opI32Add)
	}
	return withMemory(append(code, opDrop))
}

// BranchTable is a jump table of n targets, the default one included: a compiler
// keeps hundreds of bytes for each.
func BranchTable(n int) []byte {
	labels := make([]byte, n)
	for i := range labels {
		labels[i] = byte(i % 2)
	}
	code := cat([]byte{opBlock, emptyBlock, opBlock, emptyBlock, opI32Const, 0, opI32Load, 2, 0, opBrTable}, leb(n-1), labels, []byte{opEnd, opEnd})
	return withMemory(code)
}

// withMemory is a module of one function and a page of memory.
func withMemory(code []byte) []byte {
	return module(oneType, section(secFunction, []byte{1, 0}), oneMemory, section(secCode, vec(body(code))))
}

// Functions is a module of n functions that do nothing.
func Functions(n int) []byte { return functions(n, always(emptyBody...)) }

// Calls is a function that calls another one n times.
func Calls(n int) []byte {
	code := make([]byte, 0, 2*n)
	for range n {
		code = append(code, opCall, 1)
	}
	return module(oneType, section(secFunction, []byte{2, 0, 0}), section(secCode, vec(body(code), emptyBody)))
}

// Straight is a function of at least size bytes of arithmetic without a branch.
func Straight(size int) []byte {
	code := []byte{1, 1, typeI32}
	for i := 0; len(code) < size; i++ {
		code = append(code, opLocalGet, 0, opI32Const, byte(i%64), opI32Add, opLocalSet, 0)
	}
	return module(oneType, section(secFunction, []byte{1, 0}), section(secCode, vec(sized(append(code, opEnd)))))
}

// DeepBlocks is a function of n blocks inside each other, with a way out of each.
func DeepBlocks(n int) []byte {
	var open, shut []byte
	for i := range n {
		open = append(open, opBlock, emptyBlock)
		shut = append(append(append(shut, opI32Const, 0, opBrIf), leb(i%(n-i))...), opEnd)
	}
	return bodyOf(open, shut)
}

// InComponent is a component that holds modules and does nothing with them.
func InComponent(modules ...[]byte) []byte {
	var sections []byte
	for _, m := range modules {
		sections = append(sections, section(1, m)...)
	}
	return component(sections)
}
