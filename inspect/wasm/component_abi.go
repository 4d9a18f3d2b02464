package wasm

// An abi is how values of a type are passed and stored ("Flattening" and
// "Element Size" in CanonicalABI.md).
type abi struct {
	flat  uint64 // the core types, from the lowest bits, flatBits each; above them their number
	size  uint32 // bytes in memory at most, with pointers of 64 bits
	align uint8  // binary logarithm
}

// The core types that a value is flattened to. A pointer or length is i32 or
// i64 as the memory has it.
const (
	flatI32 = iota
	flatI64
	flatF32
	flatF64
	flatPointer

	flatBits  = 3
	flatCount = 56 // the position of the number
)

func flatOf(kinds ...uint64) uint64 {
	var list uint64
	for _, k := range kinds {
		list = flatAppend(list, k)
	}
	return list
}

func flatLen(list uint64) int { return int(list >> flatCount) }

func flatAt(list uint64, i int) uint64 { return list >> (i * flatBits) & (1<<flatBits - 1) }

// flatAppend adds a core type; what does not fit makes the list too long.
func flatAppend(list, kind uint64) uint64 {
	n := flatLen(list)
	if n > maxFlat {
		return list
	}
	return list | kind<<(n*flatBits) + 1<<flatCount
}

func flatConcat(a, b uint64) uint64 {
	if flatLen(b) > maxFlat {
		return b
	}
	for i := range flatLen(b) {
		a = flatAppend(a, flatAt(b, i))
	}
	return a
}

// flatJoin gives the types that hold the values of either list, one by one.
func flatJoin(a, b uint64) uint64 {
	if flatLen(a) > maxFlat || flatLen(b) > maxFlat {
		return (maxFlat + 1) << flatCount
	}
	var list uint64
	for i := range max(flatLen(a), flatLen(b)) {
		switch {
		case i >= flatLen(a):
			list = flatAppend(list, flatAt(b, i))
		case i >= flatLen(b):
			list = flatAppend(list, flatAt(a, i))
		default:
			list = flatAppend(list, joinKinds(flatAt(a, i), flatAt(b, i)))
		}
	}
	return list
}

func joinKinds(a, b uint64) uint64 {
	narrow := func(k uint64) bool { return k == flatI32 || k == flatF32 }
	pointed := func(k uint64) bool { return k == flatPointer || narrow(k) }
	switch {
	case a == b:
		return a
	case narrow(a) && narrow(b):
		return flatI32
	case pointed(a) && pointed(b):
		return flatPointer
	}
	return flatI64
}

var (
	abiPair   = abi{flat: flatOf(flatPointer, flatPointer), size: 16, align: 3}
	abiHandle = abi{flat: flatOf(flatI32), size: 4, align: 2}
)

// abiOf is that of a type with the code op and the parts that t has. The size
// may exceed MaxValueSize, by less than would overflow.
func abiOf(t *TypeDef) (a abi, size uint64) {
	switch t.Op {
	case TypeRecord, TypeTuple:
		return abiRecord(t.Args)
	case TypeVariant, TypeEnum:
		return abiVariant(len(t.Labels), t.Args)
	case TypeOption:
		return abiVariant(2, t.Args)
	case TypeResult:
		return abiVariant(2, t.Args)
	case TypeFixedList:
		return abiRepeat(t.Args[0].abi(), t.Len)
	case TypeFlags:
		a = abiDiscriminant(flagsBytes(len(t.Labels)))
	case TypeList, TypeMap, primString:
		a = abiPair
	case TypeOwn, TypeBorrow, TypeFuture, TypeStream:
		a = abiHandle
	default:
		a = abiPrimitive(t.Op)
	}
	return a, uint64(a.size)
}

// flagsBytes is how many bytes n flags take.
func flagsBytes(n int) int {
	switch {
	case n <= 8:
		return 1
	case n <= 16:
		return 2
	}
	return 4
}

func abiDiscriminant(bytes int) abi {
	a := abi{flat: flatOf(flatI32), size: uint32(bytes)}
	for 1<<a.align < bytes {
		a.align++
	}
	return a
}

func abiPrimitive(op byte) abi {
	switch primitives[op] {
	case "bool", "s8", "u8":
		return abiDiscriminant(1)
	case "s16", "u16":
		return abiDiscriminant(2)
	case "s64", "u64":
		return abi{flat: flatOf(flatI64), size: 8, align: 3}
	case "f32":
		return abi{flat: flatOf(flatF32), size: 4, align: 2}
	case "f64":
		return abi{flat: flatOf(flatF64), size: 8, align: 3}
	}
	return abiHandle // s32, u32, char, error-context
}

func alignTo(n uint64, align uint8) uint64 { return (n + 1<<align - 1) &^ (1<<align - 1) }

func abiRecord(args []TypeRef) (a abi, size uint64) {
	for _, t := range args {
		f := t.abi()
		a.flat = flatConcat(a.flat, f.flat)
		a.align = max(a.align, f.align)
		size = alignTo(size, f.align) + uint64(f.size)
	}
	return a, alignTo(size, a.align)
}

func abiVariant(cases int, args []TypeRef) (a abi, size uint64) {
	bytes := 4
	switch {
	case cases <= 1<<8:
		bytes = 1
	case cases <= 1<<16:
		bytes = 2
	}
	a = abiDiscriminant(bytes)
	var payload abi
	for _, t := range args {
		if !t.Set {
			continue
		}
		c := t.abi()
		payload.flat = flatJoin(payload.flat, c.flat)
		payload.align = max(payload.align, c.align)
		payload.size = max(payload.size, c.size)
	}
	a.flat = flatConcat(a.flat, payload.flat)
	size = alignTo(uint64(bytes), payload.align) + uint64(payload.size)
	a.align = max(a.align, payload.align)
	return a, alignTo(size, a.align)
}

func abiRepeat(elem abi, n uint32) (a abi, size uint64) {
	a.align = elem.align
	for range min(n, maxFlat+1) {
		a.flat = flatConcat(a.flat, elem.flat)
	}
	return a, uint64(elem.size) * uint64(n)
}

// abi is that of the type referred to; what is not known passes for a handle.
func (t TypeRef) abi() abi {
	if d := t.def(); d != nil {
		return d.abi
	}
	return abiHandle
}

// primitiveDefs are the primitive types as definitions of their own.
var primitiveDefs = func() (defs [primBool + 1]*TypeDef) {
	for op := range defs {
		if !primitive(byte(op)) {
			continue
		}
		defs[op] = &TypeDef{Op: byte(op), size: 1, abi: abiPrimitive(byte(op))}
	}
	defs[primString].flags, defs[primString].abi = flagPointer, abiPair
	return defs
}()

// A signature is a core function type in the making.
type signature struct {
	params  []ValType
	results []ValType
}

func appendFlat(list []ValType, flat uint64, pointer ValType) []ValType {
	for i := range flatLen(flat) {
		t := pointer
		switch flatAt(flat, i) {
		case flatI32:
			t = I32
		case flatI64:
			t = I64
		case flatF32:
			t = F32
		case flatF64:
			t = F64
		}
		list = append(list, t)
	}
	return list
}

// flatten gives the core type of a function of type t that is lifted or lowered
// with the options o, and fails if those lack what that takes ("Flattening" and
// "canon lift" in CanonicalABI.md).
func flatten(t *TypeDef, o *canonOptions, lift bool) (sig signature, err error) {
	var params uint64
	for _, p := range t.Args {
		if p.points() {
			// What is passed in lies in memory, which the callee allocates.
			if err := o.need(lift); err != nil {
				return sig, err
			}
		}
		params = flatConcat(params, p.abi().flat)
	}
	most := maxFlat
	if !lift && o.Async {
		most = maxFlatAsync
	}
	if flatLen(params) > most {
		if err := o.need(lift); err != nil {
			return sig, err
		}
		sig.params = append(sig.params, o.pointer)
	} else {
		sig.params = appendFlat(sig.params, params, o.pointer)
	}
	if t.Result.Set && !lift && t.Result.points() {
		if err := o.need(true); err != nil {
			return sig, err
		}
	}
	if o.Async {
		return flattenAsync(t, o, lift, sig)
	}
	return flattenSync(t, o, lift, sig)
}

func flattenSync(t *TypeDef, o *canonOptions, lift bool, sig signature) (signature, error) {
	if !t.Result.Set {
		return sig, nil
	}
	result := t.Result.abi().flat
	if flatLen(result) <= maxFlatResults {
		sig.results = appendFlat(sig.results, result, o.pointer)
		return sig, nil
	}
	if err := o.need(false); err != nil {
		return sig, err
	}
	if lift {
		sig.results = append(sig.results, o.pointer)
	} else {
		sig.params = append(sig.params, o.pointer)
	}
	return sig, nil
}

func flattenAsync(t *TypeDef, o *canonOptions, lift bool, sig signature) (signature, error) {
	result := t.Result
	if !lift {
		sig.results = append(sig.results, I32)
		if result.Set {
			sig.params = append(sig.params, o.pointer)
			return sig, o.need(false)
		}
		return sig, nil
	}
	if o.Callback >= 0 {
		sig.results = append(sig.results, I32)
	}
	if result.Set && (result.points() || flatLen(result.abi().flat) > maxFlat) {
		return sig, o.need(false)
	}
	return sig, nil
}

// points is whether values of the type have parts in memory.
func (t TypeRef) points() bool {
	d := t.def()
	return d != nil && d.flags&flagPointer != 0
}
