package wasm

import (
	"fmt"
	"hash/maphash"
)

// types answers questions about the types of a module: which are equal, and
// which are subtypes of which. It is made once and only read afterwards.
//
// Types are equal when the recursive groups they belong to are equal, member
// by member ("Type Equivalence" of the core specification). Of equal types the
// first stands for all: canon maps each index to that one, and a ValType is
// canonical when the index in it is. Canonical types are equal when their
// values are.
type types struct {
	list  []SubType
	canon []uint32

	// sigs are the parameters and results, or fields, of each type, canonical.
	// They share the memory of list where nothing differs.
	sigs []sig

	// spans number the types so that the subtypes of a type lie inside its
	// span: the question is asked for each operand and must not cost a walk.
	spans []span
}

type sig struct {
	list   []ValType
	params uint32
}

func (s sig) ins() []ValType  { return s.list[:s.params:s.params] }
func (s sig) outs() []ValType { return s.list[s.params:] }

type span struct{ first, last uint32 }

// canonical replaces the type index in v by that of the first equal type.
func (t *types) canonical(v ValType) ValType {
	if v&typeConcrete == 0 {
		return v
	}
	return v.withIndex(t.canon[v&typeIndex])
}

// matches is whether a is a subtype of b; both are canonical.
func (t *types) matches(a, b ValType) bool {
	if a == b || a == bottom || a == bottomRef && b.IsRef() {
		return true
	}
	if !a.IsRef() || !b.IsRef() || a&typeNull&^b != 0 {
		return false
	}
	return t.heapMatches(a, b)
}

func (t *types) heapMatches(a, b ValType) bool {
	if t.shared(a) != t.shared(b) {
		return false
	}
	ha, hb := a&(typeConcrete|typeIndex), b&(typeConcrete|typeIndex)
	switch {
	case ha == hb:
		return b&typeExact == 0 || a&typeExact != 0
	case ha&typeConcrete == 0 && hb&typeConcrete == 0:
		return abstractMatches(byte(ha), byte(hb))
	case ha&typeConcrete == 0:
		return byte(ha) == bottomOf(t.list[hb&typeIndex].Form)
	case hb&typeConcrete == 0:
		return abstractMatches(abstractOf(t.list[ha&typeIndex].Form), byte(hb))
	}
	return b&typeExact == 0 && t.extends(uint32(ha&typeIndex), uint32(hb&typeIndex))
}

// extends is whether canonical type a is b or declared below it.
func (t *types) extends(a, b uint32) bool {
	if t.spans != nil {
		at := t.spans[a].first
		return t.spans[b].first <= at && at <= t.spans[b].last
	}
	for a != b { // while the types are being checked; at most MaxSupertypes steps
		super := t.list[a].Super
		if super == NoType {
			return false
		}
		a = t.canon[super]
	}
	return true
}

// number makes the spans.
func (t *types) number() {
	spans := make([]span, len(t.list))
	// Until a type has its place, first is the number of types below it and
	// itself. Supertypes come first in the list, subtypes when it is reversed.
	for i := len(t.list) - 1; i >= 0; i-- {
		if t.canon[i] != uint32(i) {
			continue
		}
		spans[i].first++
		if super := t.list[i].Super; super != NoType {
			spans[t.canon[super]].first += spans[i].first
		}
	}
	next := uint32(0)
	for i := range spans {
		if t.canon[i] != uint32(i) {
			continue
		}
		// Until the end, last is the next place free for a subtype.
		place, size := &next, spans[i].first
		if super := t.list[i].Super; super != NoType {
			place = &spans[t.canon[super]].last
		}
		spans[i] = span{first: *place, last: *place + 1}
		*place += size
	}
	for i := range spans {
		spans[i].last--
	}
	t.spans = spans
}

// shared is whether a reference is to a shared heap type.
func (t *types) shared(v ValType) bool {
	if v&typeConcrete != 0 {
		return t.list[v&typeIndex].Shared
	}
	return v&typeShared != 0
}

// abstractOf is the abstract type right above all types of a form, and bottomOf
// the one below them.
func abstractOf(f Form) byte {
	switch f {
	case FormStruct:
		return HeapStruct
	case FormArray:
		return HeapArray
	case FormCont:
		return HeapCont
	default:
		return HeapFunc
	}
}

func bottomOf(f Form) byte {
	switch f {
	case FormStruct, FormArray:
		return HeapNone
	case FormCont:
		return HeapNoCont
	default:
		return HeapNoFunc
	}
}

// topOf is the top of the hierarchy of an abstract heap type.
func topOf(code byte) byte {
	switch code {
	case HeapFunc, HeapNoFunc:
		return HeapFunc
	case HeapExtern, HeapNoExtern:
		return HeapExtern
	case HeapExn, HeapNoExn:
		return HeapExn
	case HeapCont, HeapNoCont:
		return HeapCont
	}
	return HeapAny
}

// top is a nullable reference to the top of the hierarchy of v.
func (t *types) top(v ValType) ValType {
	code := byte(v)
	if v&typeConcrete != 0 {
		code = abstractOf(t.list[v&typeIndex].Form)
	}
	top := nullRef | ValType(topOf(code))
	if t.shared(v) {
		top |= typeShared
	}
	return top
}

// abstractMatches is whether abstract heap type a is below b or equal to it.
func abstractMatches(a, b byte) bool {
	if a == b {
		return true
	}
	switch a {
	case HeapNone:
		return topOf(b) == HeapAny
	case HeapNoFunc:
		return b == HeapFunc
	case HeapNoExtern:
		return b == HeapExtern
	case HeapNoExn:
		return b == HeapExn
	case HeapNoCont:
		return b == HeapCont
	case HeapI31, HeapStruct, HeapArray:
		return b == HeapEq || b == HeapAny
	case HeapEq:
		return b == HeapAny
	}
	return false
}

// A typeChecker builds a types and checks the type section as it goes.
type typeChecker struct {
	*types
	seed   maphash.Seed
	groups map[uint64]uint32 // hash of a group: the first type of the last one with it
	next   map[uint32]uint32 // and of the one before it with the same hash
	depth  []uint8           // of each type under its supertypes
	key    []byte
	used   Features
}

// checkTypes checks the types of a module. The error is that of the type whose
// index is returned with it.
func checkTypes(list []SubType) (*types, Features, int, error) {
	t := &types{list: list, canon: make([]uint32, len(list)), sigs: make([]sig, len(list))}
	c := &typeChecker{types: t, seed: maphash.MakeSeed(), groups: map[uint64]uint32{}, depth: make([]uint8, len(list))}
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].Group == uint32(start) {
			end++
		}
		if i, err := c.group(start, end); err != nil {
			return nil, 0, i, err
		}
		start = end
	}
	t.number()
	return t, c.used, 0, nil
}

// group checks the types from start to end.
func (c *typeChecker) group(start, end int) (int, error) {
	for i := start; i < end; i++ {
		if err := c.references(i, end); err != nil {
			return i, err
		}
	}
	c.unify(start, end)
	for i := start; i < end; i++ {
		c.sigs[i] = sig{list: c.canonicalList(c.list[i].types), params: c.list[i].params}
	}
	for i := start; i < end; i++ {
		if err := c.subtype(i); err != nil {
			return i, err
		}
		if err := c.descriptors(i, start); err != nil {
			return i, err
		}
	}
	return 0, nil
}

// references checks that the types that type i names come before end, and its
// supertype before itself.
func (c *typeChecker) references(i, end int) error {
	t := &c.list[i]
	for _, v := range t.types {
		v &^= fieldMutable
		switch j := v.TypeIndex(); {
		case j >= end:
			return fmt.Errorf("%w %d", ErrUnknownType, j)
		case j >= i:
			c.used |= FeatureGC // which made types recursive
		}
		c.used |= c.featuresOf(v)
	}
	switch {
	case t.Super != NoType && int64(t.Super) >= int64(i):
		return fmt.Errorf("%w %d as a supertype", ErrUnknownType, t.Super)
	case t.Form == FormCont && int64(t.Cont) >= int64(end):
		return fmt.Errorf("%w %d", ErrUnknownType, t.Cont)
	case t.Form == FormCont && c.list[t.Cont].Form != FormFunc:
		return fmt.Errorf("%w: continuation of type %d, which is no function", ErrType, t.Cont)
	case t.Shared:
		c.used |= FeatureSharedEverything
		for _, v := range t.types {
			if v &^= fieldMutable; v.IsRef() && !c.shared(v) {
				return fmt.Errorf("%w: shared type with %v, which is not", ErrType, v)
			}
		}
	}
	c.form(t)
	return nil
}

// form notes the features that a type needs.
func (c *typeChecker) form(t *SubType) {
	switch t.Form {
	case FormFunc:
		if len(t.Results()) > 1 {
			c.used |= FeatureMultiValue
		}
	case FormStruct, FormArray:
		c.used |= FeatureGC
	case FormCont:
		c.used |= FeatureStackSwitching
	}
	if !t.Final || t.Super != NoType {
		c.used |= FeatureGC
	}
	if t.Descriptor != NoType || t.Describes != NoType {
		c.used |= FeatureCustomDescriptors
	}
}

// featuresOf gives the features that a value type needs.
func (t *types) featuresOf(v ValType) Features {
	switch v {
	case I32, I64, F32, F64, I8, I16:
		return 0
	case V128:
		return FeatureSIMD
	default: // a reference
	}
	var f Features
	if v&typeShared != 0 {
		f |= FeatureSharedEverything
	}
	if v&typeExact != 0 {
		f |= FeatureCustomDescriptors
	}
	if v&typeConcrete != 0 || v&typeNull == 0 {
		f |= FeatureFunctionReferences
	}
	if v&typeConcrete != 0 {
		return f
	}
	switch byte(v) {
	case HeapFunc, HeapExtern:
		return f | FeatureReferenceTypes
	case HeapExn, HeapNoExn:
		return f | FeatureExceptions | FeatureReferenceTypes
	case HeapCont, HeapNoCont:
		return f | FeatureStackSwitching
	}
	return f | FeatureGC
}

// unify finds out whether the group from start to end equals an earlier one.
func (c *typeChecker) unify(start, end int) {
	h := c.hash(start, end)
	first, ok := c.groups[h]
	for ok {
		if c.equal(int(first), start, end-start) {
			for i := start; i < end; i++ {
				c.canon[i] = first + uint32(i-start)
			}
			return
		}
		first, ok = c.next[first]
	}
	for i := start; i < end; i++ {
		c.canon[i] = uint32(i)
	}
	if earlier, ok := c.groups[h]; ok {
		if c.next == nil {
			c.next = map[uint32]uint32{}
		}
		c.next[uint32(start)] = earlier
	}
	c.groups[h] = uint32(start)
}

// hash is over what equal looks at.
func (c *typeChecker) hash(start, end int) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	key := c.key[:0]
	word := func(n uint64) {
		key = append(key, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32))
	}
	for i := start; i < end; i++ {
		t := &c.list[i]
		word(uint64(t.Form)<<32 | uint64(t.params))
		word(uint64(flag(t.Final)) | uint64(flag(t.Shared))<<1 | uint64(len(t.types))<<2)
		for _, j := range [...]uint32{t.Super, t.Descriptor, t.Describes, t.Cont} {
			word(c.name(j, start))
		}
		for _, v := range t.types {
			if v&typeConcrete == 0 {
				word(uint64(v))
				continue
			}
			word(uint64(v &^ typeIndex))
			word(c.name(uint32(v&typeIndex), start))
		}
		_, _ = h.Write(key) // never fails
		key = key[:0]
	}
	c.key = key
	return h.Sum64()
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// name tells what type j is for a group that begins at start: a member of the
// group by its place there, any other by its canonical index.
func (c *typeChecker) name(j uint32, start int) uint64 {
	switch {
	case j == NoType:
		return 1 << 33
	case int64(j) >= int64(start):
		return 1<<32 | uint64(j-uint32(start))
	}
	return uint64(c.canon[j])
}

// equal compares the groups of n types that begin at a and b.
func (c *typeChecker) equal(a, b, n int) bool {
	if a+n < len(c.list) && c.list[a+n].Group == uint32(a) {
		return false // the group at a is longer
	}
	if c.list[a+n-1].Group != uint32(a) {
		return false // shorter
	}
	for i := range n {
		if !c.sameMember(&c.list[a+i], &c.list[b+i], a, b) {
			return false
		}
	}
	return true
}

func (c *typeChecker) sameMember(s, t *SubType, a, b int) bool {
	same := func(i, j uint32) bool { return c.name(i, a) == c.name(j, b) }
	if s.Form != t.Form || s.Final != t.Final || s.Shared != t.Shared || s.params != t.params || len(s.types) != len(t.types) ||
		!same(s.Super, t.Super) || !same(s.Descriptor, t.Descriptor) || !same(s.Describes, t.Describes) || !same(s.Cont, t.Cont) {
		return false
	}
	for i, v := range s.types {
		w := t.types[i]
		if v&typeConcrete == 0 || w&typeConcrete == 0 {
			if v != w {
				return false
			}
			continue
		}
		if v&^typeIndex != w&^typeIndex || !same(uint32(v&typeIndex), uint32(w&typeIndex)) {
			return false
		}
	}
	return true
}

// canonicalList is list with canonical types, list itself if all are.
func (t *types) canonicalList(list []ValType) []ValType {
	for i, v := range list {
		if t.canonical(v) == v {
			continue
		}
		made := make([]ValType, len(list))
		copy(made, list[:i])
		for j := i; j < len(list); j++ {
			made[j] = t.canonical(list[j])
		}
		return made
	}
	return list
}

// subtype checks type i against its declared supertype.
func (c *typeChecker) subtype(i int) error {
	t := &c.list[i]
	if t.Super == NoType {
		return nil
	}
	super := &c.list[t.Super]
	switch {
	case super.Final:
		return fmt.Errorf("%w: type %d has the final type %d above it", ErrSubType, i, t.Super)
	case !c.composite(i, int(t.Super)):
		return fmt.Errorf("%w: type %d and type %d", ErrSubType, i, t.Super)
	case c.depth[t.Super] >= MaxSupertypes:
		return fmt.Errorf("%w: more than %d supertypes above each other", ErrLimit, MaxSupertypes)
	}
	c.depth[i] = c.depth[t.Super] + 1
	return nil
}

// composite is whether type i has what type j has ("Composite Types" under
// "Matching").
func (c *typeChecker) composite(i, j int) bool {
	a, b := &c.list[i], &c.list[j]
	if a.Form != b.Form || a.Shared != b.Shared {
		return false
	}
	if a.Form == FormCont {
		return c.extends(c.canon[a.Cont], c.canon[b.Cont])
	}
	if a.Form == FormFunc {
		return c.allMatch(c.sigs[j].ins(), c.sigs[i].ins()) && c.allMatch(c.sigs[i].outs(), c.sigs[j].outs())
	}
	fields, above := c.sigs[i].list, c.sigs[j].list
	if len(fields) < len(above) {
		return false
	}
	for k, f := range above {
		if !c.fieldMatches(fields[k], f) {
			return false
		}
	}
	return true
}

// fieldMatches compares two fields of a type and its supertype: what can be
// written must have the same type.
func (t *types) fieldMatches(a, b ValType) bool {
	if a == b {
		return true
	}
	return a&fieldMutable == 0 && b&fieldMutable == 0 && t.matches(a, b)
}

func (t *types) allMatch(a, b []ValType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !t.matches(a[i], b[i]) {
			return false
		}
	}
	return true
}

// descriptors checks the clauses of the custom-descriptors proposal ("Custom
// Descriptor Definitions" of its overview).
func (c *typeChecker) descriptors(i, start int) error {
	t := &c.list[i]
	group := func(j uint32) bool {
		return int64(j) < int64(len(c.list)) && c.list[j].Group == uint32(start)
	}
	if t.Form != FormStruct && t.Descriptor != NoType {
		return fmt.Errorf("described type must be a struct: %w %d", ErrDescriptor, t.Descriptor)
	}
	if t.Form != FormStruct && t.Describes != NoType {
		return fmt.Errorf("%w type must be a struct: type %d", ErrDescriptor, i)
	}
	if t.Descriptor != NoType {
		switch {
		case !group(t.Descriptor):
			return fmt.Errorf("%w type is outside rec group: type %d", ErrDescriptor, t.Descriptor)
		case c.list[t.Descriptor].Describes != uint32(i):
			return fmt.Errorf("type is not described by its %w: type %d", ErrDescriptor, i)
		}
	}
	if t.Describes != NoType {
		switch {
		case !group(t.Describes):
			return fmt.Errorf("described type is outside rec group: %w %d", ErrDescriptor, i)
		case int64(t.Describes) >= int64(i):
			return fmt.Errorf("forward use of described type: %w %d", ErrDescriptor, i)
		case c.list[t.Describes].Descriptor != uint32(i):
			return fmt.Errorf("described type is not described by %w: type %d", ErrDescriptor, i)
		}
	}
	if t.Super == NoType {
		return nil
	}
	return c.superDescriptors(i)
}

// superDescriptors checks that descriptors and what they describe have their
// supertypes in step.
func (c *typeChecker) superDescriptors(i int) error {
	t, super := &c.list[i], &c.list[c.list[i].Super]
	above := func(j uint32) uint32 {
		if s := c.list[j].Super; s != NoType {
			return c.canon[s]
		}
		return NoType
	}
	switch {
	case super.Descriptor != NoType && (t.Descriptor == NoType || above(t.Descriptor) != c.canon[super.Descriptor]):
		return fmt.Errorf("%w: %w of type %d does not match that of type %d", ErrSubType, ErrDescriptor, i, t.Super)
	case (super.Describes == NoType) != (t.Describes == NoType):
		return fmt.Errorf("%w: only one of type %d and type %d is a %w", ErrSubType, i, t.Super, ErrDescriptor)
	case super.Describes != NoType && above(t.Describes) != c.canon[super.Describes]:
		return fmt.Errorf("%w: what %w %d describes does not match type %d", ErrSubType, ErrDescriptor, i, t.Super)
	}
	return nil
}
