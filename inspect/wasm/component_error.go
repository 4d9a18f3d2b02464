package wasm

import "errors"

// Errors of the validation of components, besides those of modules that fit.
var (
	ErrUnknownModule    = errors.New("unknown module")
	ErrUnknownComponent = errors.New("unknown component")
	ErrUnknownInstance  = errors.New("unknown instance")
	ErrUnknownValue     = errors.New("unknown value")
	ErrUnknownExport    = errors.New("unknown export")
	ErrOuter            = errors.New("invalid outer alias")
	ErrName             = errors.New("invalid name")
	ErrConflict         = errors.New("name conflicts with another")
	ErrMissing          = errors.New("missing argument or export")
	ErrDefinition       = errors.New("invalid type definition")
	ErrResource         = errors.New("invalid use of a resource")
	ErrVisible          = errors.New("uses a type that has no name outside")
	ErrOption           = errors.New("invalid canonical option")
	ErrUsed             = errors.New("value is not used exactly once")
)
