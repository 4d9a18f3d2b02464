package wasm

import (
	"errors"
	"fmt"
)

// Errors of a decode, always inside an [*Error] that says where; test with
// [errors.Is].
var (
	ErrMagic       = errors.New("not a WebAssembly binary")
	ErrPrecompiled = errors.New("precompiled code (ELF), not WebAssembly; publish the .wasm it was made from")
	ErrText        = errors.New("WebAssembly text, not a binary; assemble it first")
	ErrVersion     = errors.New("unknown binary version")
	ErrTruncated   = errors.New("unexpected end")
	ErrTooLong     = errors.New("integer representation too long")
	ErrTooLarge    = errors.New("integer too large")
	ErrUTF8        = errors.New("malformed UTF-8 encoding")
	ErrOrder       = errors.New("section out of order or twice")
	ErrCode        = errors.New("unknown code")
	ErrOpcode      = errors.New("illegal opcode")
	ErrMismatch    = errors.New("counts or sizes disagree")
	ErrLimit       = errors.New("limit exceeded")
)

// Errors of validation, in the words of the specification's tests, and wrapped
// like those of a decode. The wrapping error names the types or the index.
var (
	ErrType            = errors.New("type mismatch")
	ErrUnknownType     = errors.New("unknown type")
	ErrUnknownFunc     = errors.New("unknown function")
	ErrUnknownTable    = errors.New("unknown table")
	ErrUnknownMemory   = errors.New("unknown memory")
	ErrUnknownGlobal   = errors.New("unknown global")
	ErrUnknownTag      = errors.New("unknown tag")
	ErrUnknownLocal    = errors.New("unknown local")
	ErrUnknownLabel    = errors.New("unknown label")
	ErrUnknownData     = errors.New("unknown data segment")
	ErrUnknownElem     = errors.New("unknown elem segment")
	ErrUnknownField    = errors.New("unknown field")
	ErrDataCount       = errors.New("data count section required")
	ErrAlignment       = errors.New("alignment must not be larger than natural")
	ErrOffset          = errors.New("offset out of range")
	ErrLane            = errors.New("invalid lane index")
	ErrArity           = errors.New("invalid result arity")
	ErrConstExpr       = errors.New("constant expression required")
	ErrImmutable       = errors.New("immutable")
	ErrUninitialized   = errors.New("uninitialized local")
	ErrUndeclared      = errors.New("undeclared function reference")
	ErrDuplicateExport = errors.New("duplicate export name")
	ErrStart           = errors.New("start function")
	ErrSubType         = errors.New("sub type does not match super type")
	ErrArrayType       = errors.New("array types do not match")
	ErrDescriptor      = errors.New("descriptor")
	ErrRange           = errors.New("size minimum must not be greater than maximum")
	ErrMemorySize      = errors.New("memory size")
	ErrTableSize       = errors.New("table size")
	ErrPageSize        = errors.New("invalid custom page size")
	ErrShared          = errors.New("shared memory must have a maximum")
	ErrRethrow         = errors.New("invalid rethrow label")
)

// An Error says what was wrong and where. Offset counts bytes from the start of
// the file, nested modules included, so that a hex dump shows the place.
type Error struct {
	Offset int64
	Doing  string // what was being read, "import section, entry 12"
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d (0x%x): %v", e.Doing, e.Offset, e.Offset, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
