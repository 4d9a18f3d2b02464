package wasm

import (
	"errors"
	"fmt"
	"testing"
)

// stride thins the suite out to seeds: with all of it, a run of ten seconds would
// end before the fuzzing begins.
const stride = 12

// seed adds small binaries of the suite.
func seed(f *testing.F) {
	f.Helper()
	seeds := 0
	for i, s := range suite(f, "core-spec.zip", coreCases) {
		if i%stride == 0 && len(s.data) <= 2000 {
			f.Add(s.data)
			seeds++
		}
	}
	if seeds < 350 {
		f.Fatalf("%d seeds, want at least 350", seeds)
	}
}

// parseBounded is Parse, held to the memory rule: all that it allocates, garbage
// included, and some constants of the runtime.
func parseBounded(t *testing.T, in []byte) (*Binary, error) {
	t.Helper()
	var b *Binary
	var err error
	used := allocated(func() { b, err = Parse(in) })
	if limit := uint64(len(in))*KeptPerByte + KeptAnyway + 64<<10; used > limit {
		t.Fatalf("Parse of %d bytes allocates %d, more than %d", len(in), used, limit)
	}
	checkError(t, err, len(in))
	return b, err
}

// Whatever the bytes, instructions follow each other and end where the body
// does, or at an error inside it, and reading the segments and names of a module
// ends.
func FuzzCode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := parseBounded(t, in)
		if err != nil || b.Module == nil {
			return
		}
		var c Code
		for _, body := range b.Module.Code {
			readBody(t, b, &c, body)
		}
		for i := range b.Module.Elems {
			s := &b.Module.Elems[i]
			n := 0
			for k, fn := range b.Module.ElementFuncs(s) {
				if k != n || fn < -1 {
					t.Fatalf("entry %d of element segment %d is %d at %d", n, i, fn, k)
				}
				n++
			}
			if n != s.Count {
				t.Fatalf("element segment %d has %d entries, gives %d", i, s.Count, n)
			}
		}
		for i, s := range b.Module.Data {
			if b.Bytes(s.Offset, s.Size) == nil {
				t.Fatalf("data segment %d lies outside the file: %+v", i, s)
			}
		}
	})
}

func readBody(t *testing.T, b *Binary, c *Code, body Body) {
	t.Helper()
	var in Instr
	c.Reset(b, body)
	next := int64(-1)
	set := OpSet{OpCall: true, OpI32Const: true}
	var seek sought
	for c.Next(&in) {
		if in.Op < 256 && set[in.Op] {
			seek.add(&in)
		}
		if next >= 0 && in.Offset != next || in.End <= in.Offset || in.End > body.Offset+body.Size {
			t.Fatalf("%v from byte %d to %d follows one that ends at %d", in.Op, in.Offset, in.End, next)
		}
		next = in.End
		_ = describe(&in)
	}
	seek.err = fmt.Sprint(c.Err())
	if got := seekAll(b, body, &set); got != seek {
		t.Fatalf("Seek finds %+v, Next %+v", got, seek)
	}
	var at *Error
	switch err := c.Err(); {
	case err == nil && next >= 0 && next != body.Offset+body.Size:
		t.Fatalf("instructions end at byte %d of a body that ends at %d", next, body.Offset+body.Size)
	case err != nil && (!errors.As(err, &at) || at.Offset < body.Offset || at.Offset > body.Offset+body.Size):
		t.Fatalf("error %v outside the body from byte %d to %d", err, body.Offset, body.Offset+body.Size)
	}
}

// Whatever the bytes, Validate ends, says where an error is, and says the same
// on one core and on several; what it accepts, a visitor sees all of.
func FuzzValidate(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := parseBounded(t, in)
		if err != nil {
			return
		}
		used, err := Validate(b)
		checkError(t, err, len(in))
		if b.Kind == KindComponent {
			return
		}
		one, alone := validateAlone(b)
		if (err == nil) != (alone == nil) || err != nil && err.Error() != alone.Error() || err == nil && one != used {
			t.Fatalf("Validate = %v, %v; body by body %v, %v", used, err, one, alone)
		}
	})
}

// validateAlone checks the bodies one after the other with a visitor.
func validateAlone(b *Binary) (Features, error) {
	v, err := NewValidator(b)
	if err != nil {
		return 0, err
	}
	for i, body := range b.Module.Code {
		end := int64(0)
		if err := v.Body(i, func(in *Instr) { end = in.End }); err != nil {
			return 0, err
		}
		if end != body.Offset+body.Size {
			return 0, errors.New("the visitor did not see the end")
		}
	}
	return v.Features(), nil
}

// Whatever a name section holds, each name that is listed is found by its index,
// and nothing else fails than the section.
func FuzzNames(f *testing.F) {
	seeds := 0
	for i, s := range suite(f, "core-spec.zip", coreCases) {
		b, err := Parse(s.data)
		if err != nil || i%stride != 0 {
			continue
		}
		for _, section := range b.Sections {
			if section.Name == "name" && section.Size < 300 {
				f.Add(b.Bytes(section.Body, section.Size))
				seeds++
			}
		}
	}
	if seeds < 80 {
		f.Fatalf("%d seeds, want at least 80", seeds)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := parseBounded(t, module(big(0, append([]byte("\x04name"), in...))))
		if err != nil {
			if !errors.Is(err, ErrLimit) {
				t.Fatalf("Parse = %v", err)
			}
			return
		}
		n := &b.Module.Names
		last, count := int64(-1), 0
		for i, name := range n.Funcs() {
			if got := n.Func(i); got != name {
				t.Fatalf("Func(%d) = %q; the list has %q", i, got, name)
			}
			if int64(i) <= last {
				t.Fatalf("function %d is listed after %d", i, last)
			}
			last = int64(i)
			count++
			for local, name := range n.Locals(i) {
				_, _ = local, name
			}
			n.Label(i, 0)
			n.Field(i, 0)
		}
		if count != n.CountFuncs() {
			t.Fatalf("%d functions listed, CountFuncs = %d", count, n.CountFuncs())
		}
	})
}
