//go:build cgo && (linux || darwin)

package engine

// #include "capi.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// ErrArgument is the error of an argument that is not what a function takes.
var ErrArgument = errors.New("argument does not fit")

// Invoke calls the export s.Invoke with s.Args, but for the first, which is the
// name of the program, and returns what it returns, written as numbers. A
// function takes and returns numbers only, in components also booleans. Of a
// component, a function within an instance is named "instance#function". The
// errors are those of [Code.Run], and ErrArgument. A guest that exits is an error
// for [Exit].
func (c *Code) Invoke(s *wire.Spec) ([]string, error) {
	st, err := c.open(s, s.Args)
	if err != nil {
		return nil, err
	}
	defer st.close()
	args := s.Args[min(1, len(s.Args)):]
	if c.component != nil {
		return st.invokeComponent(s.Invoke, args)
	}
	return st.invokeModule(s.Invoke, args)
}

// Exit tells the status of a guest that exited within [Code.Invoke].
func Exit(err error) (status int, exited bool) {
	e, ok := errors.AsType[exit](err)
	return int(e), ok
}

// number is a type of number by its name in text and its bits, of which f32 and
// f64 are floats, and u8 to u64 have no sign.
type number struct {
	name string
	bits int
}

// parse reads a number as bits: a float as IEEE 754, an integer with its sign
// extended. Integers of i32 and i64 are read with sign or without.
func (n number) parse(s string) (uint64, error) {
	var v uint64
	var err error
	switch n.name[0] {
	case 'b':
		var b bool
		if b, err = strconv.ParseBool(s); b {
			v = 1
		}
	case 'f':
		var f float64
		if f, err = strconv.ParseFloat(s, n.bits); n.bits == 32 {
			v = uint64(math.Float32bits(float32(f)))
		} else {
			v = math.Float64bits(f)
		}
	case 'u':
		v, err = strconv.ParseUint(s, 0, n.bits)
	default:
		var i int64
		i, err = strconv.ParseInt(s, 0, n.bits)
		v = uint64(i)
		if err != nil && n.name[0] == 'i' {
			v, err = strconv.ParseUint(s, 0, n.bits)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%q: %w: it is no %s", s, ErrArgument, n.name)
	}
	return v, nil
}

// format writes a number of which v has the bits, and maybe others above.
func (n number) format(v uint64) string {
	switch n.name[0] {
	case 'b':
		return strconv.FormatBool(v&1 == 1)
	case 'f':
		if n.bits == 32 {
			return strconv.FormatFloat(float64(math.Float32frombits(uint32(v))), 'g', -1, 32)
		}
		return strconv.FormatFloat(math.Float64frombits(v), 'g', -1, 64)
	case 'u':
		return strconv.FormatUint(v<<(64-n.bits)>>(64-n.bits), 10)
	}
	return strconv.FormatInt(int64(v<<(64-n.bits))>>(64-n.bits), 10)
}

// core are the types of numbers of modules, by WASMTIME_I32 and so on.
var core = []number{{"i32", 32}, {"i64", 64}, {"f32", 32}, {"f64", 64}}

func (st *store) invokeModule(name string, args []string) ([]string, error) {
	instance, err := st.instantiate()
	if err != nil {
		return nil, err
	}
	f, found := st.function(&instance, name)
	if !found {
		return nil, fmt.Errorf("%w: it exports no function %q; %s", ErrEntry, name, st.callable(&instance))
	}
	ty := C.wasmtime_func_type(st.ctx, &f)
	defer C.wasm_functype_delete(ty)
	params, err := coreTypes(C.wasm_functype_params(ty))
	if err != nil {
		return nil, err
	}
	returned, err := coreTypes(C.wasm_functype_results(ty))
	if err != nil {
		return nil, err
	}
	in, err := parseAll(name, params, args)
	if err != nil {
		return nil, err
	}
	if initialize, found := st.function(&instance, "_initialize"); found && name != "_initialize" {
		if err := st.call(&initialize, nil, nil); err != nil {
			return nil, err
		}
	}
	values, results := make([]C.wasmtime_val_t, len(in)), make([]C.wasmtime_val_t, len(returned))
	for i, v := range in {
		values[i].kind = kindOfCore(params[i])
		*(*uint64)(unsafe.Pointer(&values[i].of)) = v
	}
	if err := st.call(&f, values, results); err != nil {
		return nil, err
	}
	out := make([]string, len(results))
	for i := range results {
		out[i] = returned[i].format(*(*uint64)(unsafe.Pointer(&results[i].of)))
	}
	return out, nil
}

func kindOfCore(n number) C.uint8_t {
	for i, c := range core {
		if c == n {
			return C.uint8_t(i)
		}
	}
	panic("a type that coreTypes does not return")
}

func coreTypes(v *C.wasm_valtype_vec_t) ([]number, error) {
	var all []number
	for _, t := range unsafe.Slice(v.data, v.size) {
		kind := C.wasm_valtype_kind(t)
		if int(kind) >= len(core) {
			return nil, fmt.Errorf("%w: it takes or returns what is not a number", ErrArgument)
		}
		all = append(all, core[kind])
	}
	return all, nil
}

// parseAll reads the arguments of a function.
func parseAll(name string, params []number, args []string) ([]uint64, error) {
	if len(params) != len(args) {
		var types []string
		for _, p := range params {
			types = append(types, p.name)
		}
		return nil, fmt.Errorf("%w: %s(%s) takes %d, not %d", ErrArgument, name, strings.Join(types, ", "), len(params), len(args))
	}
	values := make([]uint64, len(args))
	for i, p := range params {
		v, err := p.parse(args[i])
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// interfaceTypes are the types of numbers of components, by the kind of their
// type; values have kinds of their own.
var interfaceTypes = [...]struct {
	number
	value C.uint8_t
}{
	C.WASMTIME_COMPONENT_VALTYPE_BOOL: {number{"bool", 1}, C.WASMTIME_COMPONENT_BOOL},
	C.WASMTIME_COMPONENT_VALTYPE_S8:   {number{"s8", 8}, C.WASMTIME_COMPONENT_S8},
	C.WASMTIME_COMPONENT_VALTYPE_S16:  {number{"s16", 16}, C.WASMTIME_COMPONENT_S16},
	C.WASMTIME_COMPONENT_VALTYPE_S32:  {number{"s32", 32}, C.WASMTIME_COMPONENT_S32},
	C.WASMTIME_COMPONENT_VALTYPE_S64:  {number{"s64", 64}, C.WASMTIME_COMPONENT_S64},
	C.WASMTIME_COMPONENT_VALTYPE_U8:   {number{"u8", 8}, C.WASMTIME_COMPONENT_U8},
	C.WASMTIME_COMPONENT_VALTYPE_U16:  {number{"u16", 16}, C.WASMTIME_COMPONENT_U16},
	C.WASMTIME_COMPONENT_VALTYPE_U32:  {number{"u32", 32}, C.WASMTIME_COMPONENT_U32},
	C.WASMTIME_COMPONENT_VALTYPE_U64:  {number{"u64", 64}, C.WASMTIME_COMPONENT_U64},
	C.WASMTIME_COMPONENT_VALTYPE_F32:  {number{"f32", 32}, C.WASMTIME_COMPONENT_F32},
	C.WASMTIME_COMPONENT_VALTYPE_F64:  {number{"f64", 64}, C.WASMTIME_COMPONENT_F64},
}

func (st *store) invokeComponent(name string, args []string) ([]string, error) {
	export := st.named(name)
	if export == nil {
		return nil, fmt.Errorf("%w: the component exports no function %q", ErrEntry, name)
	}
	defer C.wasmtime_component_export_index_delete(export)
	f, err := st.componentFunction(export)
	if err != nil {
		return nil, err
	}
	ty := C.wasmtime_component_func_type(&f, st.ctx)
	defer C.wasmtime_component_func_type_delete(ty)
	var params []number
	var values []C.wasmtime_component_val_t
	for i := range C.wasmtime_component_func_type_param_count(ty) {
		var text *C.char
		var size C.size_t
		var t C.wasmtime_component_valtype_t
		C.wasmtime_component_func_type_param_nth(ty, i, &text, &size, &t)
		n, kind, err := interfaceType(&t)
		if err != nil {
			return nil, err
		}
		params, values = append(params, n), append(values, C.wasmtime_component_val_t{kind: kind})
	}
	var returned []number
	var t C.wasmtime_component_valtype_t
	if C.wasmtime_component_func_type_result(ty, &t) {
		n, _, err := interfaceType(&t)
		if err != nil {
			return nil, err
		}
		returned = append(returned, n)
	}
	in, err := parseAll(name, params, args)
	if err != nil {
		return nil, err
	}
	for i, v := range in {
		*(*uint64)(unsafe.Pointer(&values[i].of)) = v
	}
	results := make([]C.wasmtime_component_val_t, len(returned))
	if err := st.componentCall(&f, values, results); err != nil {
		return nil, err
	}
	out := make([]string, len(results))
	for i := range results {
		out[i] = returned[i].format(*(*uint64)(unsafe.Pointer(&results[i].of)))
	}
	return out, nil
}

// named is the index of a function by its name, or by "instance#function".
func (st *store) named(name string) *C.wasmtime_component_export_index_t {
	instance, function, within := strings.Cut(name, "#")
	if !within {
		return st.index(nil, name)
	}
	outer := st.index(nil, instance)
	if outer == nil {
		return nil
	}
	defer C.wasmtime_component_export_index_delete(outer)
	return st.index(outer, function)
}

// interfaceType tells what number a type is, and the kind of its values. It
// frees the type.
func interfaceType(t *C.wasmtime_component_valtype_t) (number, C.uint8_t, error) {
	defer C.wasmtime_component_valtype_delete(t)
	if int(t.kind) >= len(interfaceTypes) {
		return number{}, 0, fmt.Errorf("%w: it takes or returns what is neither a number nor a boolean", ErrArgument)
	}
	n := interfaceTypes[t.kind]
	return n.number, n.value, nil
}
