package aot

import (
	"fmt"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// Limits of what is given to a compiler. Each stands for an amount of time or
// memory that was measured to grow with it: a compiler takes 600 bytes for every
// target of a br_table, and 5 KB for every function, however short.
const (
	MaxInput     = 64 << 20  // bytes of the file
	MaxFunctions = 200_000   // defined in all modules of the file
	MaxCode      = 32 << 20  // bytes of all code sections
	MaxBody      = 4 << 20   // bytes of one function
	MaxTargets   = 1_000_000 // of all br_table instructions; a real bundler has 283,115
)

// Counts is what the limits are about, over all modules of a file.
type Counts struct {
	Kind      wasm.Kind // of the file
	Functions int64
	Code      int64 // bytes
	Body      int64 // bytes of the largest function
	Targets   int64 // of br_table, the default ones too
}

// Check decides whether a file may be given to a compiler, before that sees a
// byte of it. It has to be within the limits, with all modules that lie in a
// component, and valid by our own reading, so that what is wrong is said here and
// not found by the compiler. Time and memory grow with the file alone, as of
// everything in package wasm.
//
// Errors are ErrLimit, with what there is, what the limit is and where that was
// seen, and ErrInput for what is no valid WebAssembly, around a *[wasm.Error].
func Check(file []byte) (Counts, error) {
	var n Counts
	if len(file) > MaxInput {
		return n, fmt.Errorf("%w: the file has %d bytes, at most %d are compiled", ErrLimit, len(file), MaxInput)
	}
	b, err := wasm.Parse(file)
	if err != nil {
		return n, fmt.Errorf("%w: %w", ErrInput, err)
	}
	n.Kind = b.Kind
	if err := n.add(b); err != nil {
		return n, err
	}
	if _, err := wasm.Validate(b); err != nil {
		return n, fmt.Errorf("%w: %w", ErrInput, err)
	}
	return n, nil
}

// add counts what is in a binary and in those inside it, which the decoder lets
// nest so deep and no deeper.
func (n *Counts) add(b *wasm.Binary) error {
	if m := b.Module; m != nil {
		return n.addModule(b, m)
	}
	for _, list := range [][]*wasm.Binary{b.Component.Modules, b.Component.Components} {
		for _, nested := range list {
			if err := n.add(nested); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Counts) addModule(b *wasm.Binary, m *wasm.Module) error {
	n.Functions += int64(len(m.Code))
	n.Code += m.CodeSize
	if err := within(n.Functions, MaxFunctions, "functions", b.Offset); err != nil {
		return err
	}
	if err := within(n.Code, MaxCode, "bytes of code", b.Offset); err != nil {
		return err
	}
	for _, body := range m.Code {
		n.Body = max(n.Body, body.Size)
		if err := within(body.Size, MaxBody, "bytes in one function", body.Offset); err != nil {
			return err
		}
	}
	return n.addTargets(b, m)
}

// addTargets counts the targets of jump tables. It gives up where there are too
// many, and at an instruction that makes no sense: the validator says what that
// is.
func (n *Counts) addTargets(b *wasm.Binary, m *wasm.Module) error {
	var (
		code  wasm.Code
		in    wasm.Instr
		table = wasm.OpSet{wasm.OpBrTable: true}
	)
	for _, body := range m.Code {
		code.Reset(b, body)
		for code.Seek(&table, &in) {
			if in.Op != wasm.OpBrTable {
				continue // one of the rare ones, at which Seek stops too
			}
			for range in.Targets() {
				n.Targets++
			}
			if err := within(n.Targets, MaxTargets, "targets of br_table", in.Offset); err != nil {
				return err
			}
		}
		if err := code.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrInput, err)
		}
	}
	return nil
}

func within(n, limit int64, what string, at int64) error {
	if n <= limit {
		return nil
	}
	return fmt.Errorf("%w: %d %s at byte %d, at most %d are compiled", ErrLimit, n, what, at, limit)
}
