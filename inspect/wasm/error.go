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
	ErrTooLong     = errors.New("integer representation too long or too large")
	ErrUTF8        = errors.New("malformed UTF-8 encoding")
	ErrOrder       = errors.New("section out of order or twice")
	ErrCode        = errors.New("unknown code")
	ErrMismatch    = errors.New("counts or sizes disagree")
	ErrLimit       = errors.New("limit exceeded")
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
