package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A validModule is what all validators of a module share. It does not change
// once the declarations are checked.
type validModule struct {
	*types
	b        *Binary
	m        *Module
	used     Features
	declared indexSet // functions that ref.func may refer to
	exact    indexSet // imported functions of exactly their type

	// imported counts the imports of each kind, which come first in its index
	// space.
	imported [ExternTag + 1]int
}

// indexSet is a set of indices.
type indexSet []uint64

func newIndexSet(n int) indexSet     { return make(indexSet, (n+63)/64) }
func (b indexSet) set(i uint32)      { b[i/64] |= 1 << (i % 64) }
func (b indexSet) has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }

// setRange sets the indices from from up to to, 64 at a time: eight bytes of a
// body declare 50,000 locals.
func (b indexSet) setRange(from, to uint32) {
	for from < to {
		word, bit := from/64, from%64
		n := min(64-bit, to-from)
		b[word] |= (1<<n - 1) << bit // of n = 64, 1<<n is 0
		from += n
	}
}

// at completes the error of an entry of a section by its place, which is looked
// up only now: the entries kept do not hold it.
func (v *validModule) at(id byte, i int, err error) error {
	if err == nil {
		return nil
	}
	place := &Error{Offset: v.b.Offset, Doing: SectionName(KindModule, id) + " section"}
	for _, s := range v.b.Sections {
		if s.ID == id {
			place = v.entry(s, i)
		}
	}
	var inside *Error // of an expression
	if errors.As(err, &inside) {
		place.Offset, err = inside.Offset, inside.Err
	}
	place.Err = err
	return place
}

// entry reads a section again to find the entry that declares item i.
func (v *validModule) entry(s Section, i int) *Error {
	doing := SectionName(KindModule, s.ID) + " section"
	r := &reader{buf: v.b.file[s.Body:s.End()], base: s.Body, entry: -1, budget: &budget{bytes: 1 << 62}, passing: true}
	if s.ID == SectionStart {
		return &Error{Offset: s.Body, Doing: doing}
	}
	// What has been read is all there already, and need not be twice.
	d := &moduleDecoder{m: &Module{}}
	imports, types := 0, 0
	for k := range d.prepare(r, s.ID) {
		start := r.off
		d.entry(r, s.ID)
		imports, types = imports+len(d.m.Imports), types+len(d.m.Types)
		*d.m = Module{}
		if max(k, imports-1, types-1) >= i {
			return &Error{Offset: s.Body + int64(start), Doing: fmt.Sprintf("%s, entry %d", doing, k)}
		}
	}
	return &Error{Offset: s.Body, Doing: doing}
}

func (v *validModule) checkTypes() error {
	t, used, i, err := checkTypes(v.m.Types)
	v.types, v.used = t, used
	return v.at(SectionType, i, err)
}

func (v *validModule) imports() error {
	for i, im := range v.m.Imports {
		if err := v.importType(im); err != nil {
			return v.at(SectionImport, i, err)
		}
	}
	return nil
}

func (v *validModule) importType(im Import) error {
	switch im.Kind {
	case ExternFunc:
		return v.funcIndex(v.m.Functions[im.Index])
	case ExternTable:
		return v.table(v.m.Tables[im.Index])
	case ExternMemory:
		return v.memory(v.m.Memories[im.Index])
	case ExternGlobal:
		g := v.m.Globals[im.Index]
		if g.Mutable {
			v.used |= FeatureMutableGlobal
		}
		return v.global(g)
	case ExternTag:
		return v.tag(v.m.Tags[im.Index])
	}
	return nil
}

// funcIndex checks that type i is that of a function.
func (v *validModule) funcIndex(i uint32) error {
	switch {
	case int64(i) >= int64(len(v.m.Types)):
		return fmt.Errorf("%w %d", ErrUnknownType, i)
	case v.m.Types[i].Form != FormFunc:
		return fmt.Errorf("%w: type %d is not that of a function", ErrUnknownType, i)
	}
	return nil
}

// valType checks that a type refers to none that does not exist.
func (v *validModule) valType(t ValType) error {
	if i := t.TypeIndex(); i >= len(v.m.Types) {
		return fmt.Errorf("%w %d", ErrUnknownType, i)
	}
	v.used |= v.featuresOf(t)
	return nil
}

func (v *validModule) functions() error {
	imported := v.m.Imported()
	for i, t := range v.m.Functions[imported:] {
		if err := v.funcIndex(t); err != nil {
			return v.at(SectionFunction, i, err)
		}
	}
	return nil
}

func (v *validModule) table(t TableType) error {
	if t.Elem != FuncRef {
		if err := v.valType(t.Elem); err != nil {
			return err
		}
		v.used |= FeatureReferenceTypes
	}
	if err := t.check(); err != nil {
		return err
	}
	if t.Is64 {
		v.used |= FeatureMemory64
	} else if t.Min > 1<<32-1 || t.HasMax && t.Max > 1<<32-1 {
		return fmt.Errorf("%w: more than 2^32-1 elements", ErrTableSize)
	}
	if t.Shared {
		v.used |= FeatureSharedEverything
		if !v.shared(v.canonical(t.Elem)) {
			return fmt.Errorf("%w: shared table of %v, which is not", ErrType, t.Elem)
		}
	}
	return nil
}

// check compares the two bounds.
func (l Limits) check() error {
	if l.HasMax && l.Min > l.Max {
		return fmt.Errorf("%w: %d and %d", ErrRange, l.Min, l.Max)
	}
	return nil
}

func (v *validModule) memory(t MemoryType) error {
	if t.PageSize != 1 && t.PageSize != DefaultPageSize {
		return fmt.Errorf("%w: %d bytes", ErrPageSize, t.PageSize)
	}
	if err := t.check(); err != nil {
		return err
	}
	limit := uint64(1<<32) / t.PageSize
	if t.PageSize == 1 {
		limit = 1<<32 - 1
	}
	if t.Is64 {
		v.used |= FeatureMemory64
		limit = 1<<64 - 1
		if t.PageSize == DefaultPageSize {
			limit = 1 << 48
		}
	}
	if t.Min > limit || t.HasMax && t.Max > limit {
		return fmt.Errorf("%w must be at most %d pages of %d bytes", ErrMemorySize, limit, t.PageSize)
	}
	if t.Shared {
		v.used |= FeatureThreads
		if !t.HasMax {
			return ErrShared
		}
	}
	return nil
}

func (v *validModule) memories() error {
	imported := v.imported[ExternMemory]
	for i, t := range v.m.Memories[imported:] {
		if err := v.memory(t); err != nil {
			return v.at(SectionMemory, i, err)
		}
	}
	if len(v.m.Memories) > 1 {
		v.used |= FeatureMultiMemory
	}
	return nil
}

func (v *validModule) global(g GlobalType) error {
	if g.Shared {
		v.used |= FeatureSharedEverything
	}
	if err := v.valType(g.Type); err != nil {
		return err
	}
	if g.Shared && g.Type.IsRef() && !v.shared(v.canonical(g.Type)) {
		return fmt.Errorf("%w: shared global of %v, which is not", ErrType, g.Type)
	}
	return nil
}

// tag checks the type of a tag. Only those that continuations suspend with may
// have results.
func (v *validModule) tag(i uint32) error {
	v.used |= featureTags
	if err := v.funcIndex(i); err != nil {
		return err
	}
	if len(v.m.Types[i].Results()) > 0 {
		v.used |= FeatureStackSwitching
	}
	return nil
}

func (v *validModule) tags() error {
	imported := v.imported[ExternTag]
	for i, t := range v.m.Tags[imported:] {
		if err := v.tag(t); err != nil {
			return v.at(SectionTag, i, err)
		}
	}
	return nil
}

// tables checks the defined tables and their initial values.
func (v *Validator) tables() error {
	mod := v.module
	imported := mod.imported[ExternTable]
	for i, t := range mod.m.Tables[imported:] {
		err := mod.table(t)
		init := mod.m.TableInits[i]
		switch {
		case err != nil:
		case init.Offset != 0:
			// The section comes before that of globals, so only imported ones exist.
			err = v.constExpr(init.Offset, t.Elem, mod.imported[ExternGlobal])
		case !t.Elem.Nullable():
			err = fmt.Errorf("%w: table of %v without an initial value", ErrType, t.Elem)
		}
		if err != nil {
			return mod.at(SectionTable, i, err)
		}
	}
	if len(mod.m.Tables) > 1 {
		mod.used |= FeatureReferenceTypes
	}
	return nil
}

// initialisers checks the defined globals, of which each may refer to those
// before it.
func (v *Validator) initialisers() error {
	mod := v.module
	imported := mod.imported[ExternGlobal]
	for i, g := range mod.m.Globals[imported:] {
		err := mod.global(g)
		if err == nil {
			err = v.constExpr(mod.m.Inits[i].Offset, g.Type, imported+i)
		}
		if err != nil {
			return mod.at(SectionGlobal, i, err)
		}
	}
	return nil
}

// constExpr checks the constant expression at off, which is to give a value of
// type want and may refer to the first globals.
func (v *Validator) constExpr(off int64, want ValType, globals int) error {
	v.begin(MaxConstBytes)
	v.constant, v.globals = true, globals
	v.code.r = reader{buf: v.module.b.file[off:], base: off, entry: -1, budget: &v.code.limit}
	v.code.b, v.code.limit = v.module.b, budget{bytes: 1 << 62}
	v.locals.reset()
	v.open(OpBlock, BlockType{Index: -1, Type: v.module.canonical(want)})
	for v.err == nil && len(v.blocks) > 0 && v.code.Next(&v.in) {
		if v.in.Op != OpEnd && !v.in.Op.constant() {
			v.fail(fmt.Errorf("%w, not %v", ErrConstExpr, v.in.Op))
			break
		}
		v.constOp()
		v.step(&v.in)
	}
	v.constant = false
	v.module.used |= v.used
	v.used = 0
	return v.finish(off + 1)
}

// constOp checks what holds for an instruction in constant expressions only.
func (v *Validator) constOp() {
	switch v.in.Op {
	case OpGlobalGet:
		switch {
		case int64(v.in.X) >= int64(v.globals):
			v.fail(fmt.Errorf("%w %d", ErrUnknownGlobal, v.in.X))
		case v.module.m.Globals[v.in.X].Mutable:
			v.fail(fmt.Errorf("%w: global %d is mutable", ErrConstExpr, v.in.X))
		case int(v.in.X) >= v.module.imported[ExternGlobal]:
			v.used |= FeatureGC // which lets globals refer to defined ones
		}
	case OpRefFunc:
		if int64(v.in.X) < int64(len(v.module.m.Functions)) {
			v.module.declared.set(v.in.X)
		}
	case OpI32Add, OpI32Sub, OpI32Mul, OpI64Add, OpI64Sub, OpI64Mul:
		v.used |= FeatureExtendedConst
	default: // nothing that does not hold in code
	}
}

func (v *validModule) exports() error {
	for i, ex := range v.m.Exports {
		if err := v.export(ex); err != nil {
			return v.at(SectionExport, i, err)
		}
	}
	if i := v.duplicate(); i >= 0 {
		return v.at(SectionExport, i, fmt.Errorf("%w %q", ErrDuplicateExport, v.m.Exports[i].Name))
	}
	return nil
}

func (v *validModule) export(ex Export) error {
	i := int64(ex.Index)
	switch ex.Kind {
	case ExternFunc:
		if i >= int64(len(v.m.Functions)) {
			return fmt.Errorf("%w %d", ErrUnknownFunc, i)
		}
		v.declared.set(ex.Index)
	case ExternTable:
		if i >= int64(len(v.m.Tables)) {
			return fmt.Errorf("%w %d", ErrUnknownTable, i)
		}
	case ExternMemory:
		if i >= int64(len(v.m.Memories)) {
			return fmt.Errorf("%w %d", ErrUnknownMemory, i)
		}
	case ExternGlobal:
		if i >= int64(len(v.m.Globals)) {
			return fmt.Errorf("%w %d", ErrUnknownGlobal, i)
		}
		if v.m.Globals[i].Mutable {
			v.used |= FeatureMutableGlobal
		}
	case ExternTag:
		if i >= int64(len(v.m.Tags)) {
			return fmt.Errorf("%w %d", ErrUnknownTag, i)
		}
	}
	return nil
}

// duplicate finds the first export whose name another one before it has, -1 if
// there is none.
func (v *validModule) duplicate() int {
	order := make([]uint32, len(v.m.Exports))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if c := strings.Compare(v.m.Exports[a].Name, v.m.Exports[b].Name); c != 0 {
			return c
		}
		return int(a) - int(b)
	})
	first := -1
	for k := 1; k < len(order); k++ {
		a, b := order[k-1], order[k]
		if v.m.Exports[a].Name == v.m.Exports[b].Name && (first < 0 || int(b) < first) {
			first = int(b)
		}
	}
	return first
}

func (v *validModule) start() error {
	i := v.m.Start
	if i < 0 {
		return nil
	}
	if i >= int64(len(v.m.Functions)) {
		return v.at(SectionStart, 0, fmt.Errorf("%w %d", ErrUnknownFunc, i))
	}
	if t := &v.m.Types[v.m.Functions[i]]; len(t.Params())+len(t.Results()) > 0 {
		return v.at(SectionStart, 0, fmt.Errorf("%w %d has parameters or results", ErrStart, i))
	}
	return nil
}

func (v *Validator) elements() error {
	mod := v.module
	for i := range mod.m.Elems {
		if err := v.element(&mod.m.Elems[i]); err != nil {
			return mod.at(SectionElement, i, err)
		}
	}
	return nil
}

func (v *Validator) element(s *Element) error {
	mod := v.module
	if s.exprs {
		if err := mod.valType(s.Type); err != nil {
			return err
		}
	}
	if s.Mode != SegmentActive {
		mod.used |= FeatureBulkMemory
	} else {
		if int64(s.Table) >= int64(len(mod.m.Tables)) {
			return fmt.Errorf("%w %d", ErrUnknownTable, s.Table)
		}
		t := mod.m.Tables[s.Table]
		if !mod.matches(mod.canonical(s.Type), mod.canonical(t.Elem)) {
			return fmt.Errorf("%w: segment of %v for a table of %v", ErrType, s.Type, t.Elem)
		}
		if err := v.constExpr(s.expr, t.address(), len(mod.m.Globals)); err != nil {
			return err
		}
	}
	return v.entries(s)
}

// entries checks the contents of an element segment.
func (v *Validator) entries(s *Element) error {
	m := v.module.m
	r := m.at(s.Offset, s.Size)
	for range s.Count {
		if s.exprs {
			off := r.base + int64(r.off)
			r.constExpr()
			if err := v.constExpr(off, s.Type, len(m.Globals)); err != nil {
				return err
			}
			continue
		}
		f := r.u32()
		if int64(f) >= int64(len(m.Functions)) {
			return fmt.Errorf("%w %d", ErrUnknownFunc, f)
		}
		v.module.declared.set(f)
	}
	return r.err
}

func (v *Validator) data() error {
	for i := range v.module.m.Data {
		if err := v.segment(&v.module.m.Data[i]); err != nil {
			return v.module.at(SectionData, i, err)
		}
	}
	return nil
}

func (v *Validator) segment(s *Data) error {
	mod := v.module
	if s.Mode != SegmentActive {
		mod.used |= FeatureBulkMemory
		return nil
	}
	if int64(s.Memory) >= int64(len(mod.m.Memories)) {
		return fmt.Errorf("%w %d", ErrUnknownMemory, s.Memory)
	}
	return v.constExpr(s.expr, mod.m.Memories[s.Memory].address(), len(mod.m.Globals))
}

// address is the type of addresses of a memory and of positions in a table.
func (l Limits) address() ValType {
	if l.Is64 {
		return I64
	}
	return I32
}
