package wasm

import "fmt"

// stackSwitching checks the instructions of the proposal of that name, by the
// section "Instructions" of its explainer.
func (v *Validator) stackSwitching(in *Instr) {
	if in.Op == OpSuspend {
		if tag, ok := v.tag(in.X); ok {
			v.popList(tag.ins())
			v.pushList(tag.outs())
		}
		return
	}
	f, ok := v.cont(in.X)
	if !ok {
		return
	}
	switch in.Op {
	case OpContNew:
		v.refToType(v.module.list[in.X].Cont)
		v.push(v.module.canonical(refTo(in.X)))
	case OpContBind:
		v.contBind(in, f)
	case OpSwitch:
		v.contSwitch(in, f)
	default:
		v.resume(in, f)
	}
}

// cont gives what a continuation of type i takes and leaves.
func (v *Validator) cont(i uint32) (sig, bool) {
	if !v.typeIndex(i, FormCont) {
		return sig{}, false
	}
	return v.module.sigs[v.module.list[i].Cont], true
}

func (v *Validator) contBind(in *Instr, f sig) {
	bound, ok := v.cont(in.Y)
	if !ok {
		return
	}
	n := len(f.ins()) - len(bound.ins())
	v.spend(len(f.list))
	if n < 0 || !v.module.allMatch(bound.ins(), f.ins()[n:]) || !v.module.allMatch(f.outs(), bound.outs()) {
		v.fail(fmt.Errorf("%w: continuation types %d and %d", ErrType, in.X, in.Y))
		return
	}
	v.refToType(in.X)
	v.popList(f.ins()[:n])
	v.push(v.module.canonical(refTo(in.Y)))
}

func (v *Validator) resume(in *Instr, f sig) {
	for h := range in.Handlers() {
		v.handles(h, f)
	}
	v.refToType(in.X)
	switch in.Op {
	case OpResume:
		v.popList(f.ins())
	case OpResumeThrow:
		v.popList(v.exception(uint32(in.Value)))
	case OpResumeThrowRef:
		v.expect(ExnRef)
	default: // the others do not come here
	}
	v.pushList(f.outs())
}

// handles checks a clause of resume: a label takes what the tag suspends with,
// and the rest of the continuation.
func (v *Validator) handles(h Handler, f sig) {
	tag, ok := v.tag(h.Tag)
	if !ok || v.err != nil {
		return
	}
	if h.Switch {
		if len(tag.ins()) > 0 || !v.module.allMatch(tag.outs(), f.outs()) {
			v.fail(fmt.Errorf("%w: tag %d cannot be switched to", ErrType, h.Tag))
		}
		return
	}
	label := v.label(v.target(h.Label))
	n := len(label) - 1
	if n < 0 || label[n].TypeIndex() < 0 {
		v.fail(fmt.Errorf("%w: label %d takes no continuation", ErrType, h.Label))
		return
	}
	rest, ok := v.cont(uint32(label[n].TypeIndex()))
	if !ok {
		return
	}
	v.spend(len(label) + len(rest.list))
	if !v.module.allMatch(tag.ins(), label[:n]) || !v.module.allMatch(rest.ins(), tag.outs()) || !v.module.allMatch(f.outs(), rest.outs()) {
		v.fail(fmt.Errorf("%w: label %d does not take what tag %d suspends with", ErrType, h.Label, h.Tag))
	}
}

// contSwitch checks switch: the last operand of the continuation is another
// one, to which the present one is handed.
func (v *Validator) contSwitch(in *Instr, f sig) {
	tag, ok := v.tag(in.Y)
	if !ok {
		return
	}
	n := len(f.ins()) - 1
	if len(tag.ins()) > 0 || n < 0 || f.ins()[n].TypeIndex() < 0 {
		v.fail(fmt.Errorf("%w: continuation type %d or tag %d", ErrType, in.X, in.Y))
		return
	}
	other, ok := v.cont(uint32(f.ins()[n].TypeIndex()))
	if !ok {
		return
	}
	v.spend(len(f.list) + len(other.list))
	if !v.module.allMatch(f.outs(), tag.outs()) || !v.module.allMatch(tag.outs(), other.outs()) {
		v.fail(fmt.Errorf("%w: results of tag %d", ErrType, in.Y))
	}
	v.refToType(in.X)
	v.popList(f.ins()[:n])
	v.pushList(other.ins())
}
