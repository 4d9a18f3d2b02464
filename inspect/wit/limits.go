package wit

import "errors"

// Limits of this package; what is beyond them is refused with ErrLimit.
const (
	// MaxText bounds a text in bytes, that of one Parse and that of one Print.
	// The largest package of WASI (wasi:http with all it refers to) prints
	// 150 kB.
	MaxText = 8 << 20

	// MaxTypeDepth bounds types inside types, "list<list<u8>>" being two deep.
	// The component tools stop at 100.
	MaxTypeDepth = 100

	// MaxDocs bounds the section package-docs in bytes; that of wasi:http has
	// 40 kB. MaxItems bounds the entries of one decode: types, functions,
	// parameters and fields, after everything that is shared has been taken
	// apart, and never more than 4,096 and a quarter of the file's bytes. WASI
	// has 2,000.
	MaxDocs  = 4 << 20
	MaxItems = 200_000

	// MaxChanges bounds what Compare lists.
	MaxChanges = 10_000

	// maxNames bounds the names of one type that are names of each other, as
	// each use in a row of interfaces adds one; maxPackages does so for packages
	// that use each other.
	maxNames    = 200
	maxPackages = 100

	// maxSections bounds the component-type sections that are read of one module.
	maxSections = 1000
)

// Errors of this package, usually wrapped; test with [errors.Is].
var (
	// ErrNoWIT is for a binary that says nothing in WIT: a core module without
	// a component-type section.
	ErrNoWIT = errors.New("no WIT in this binary")

	// ErrNotWIT is for a component whose interface WIT has no words for.
	ErrNotWIT = errors.New("not expressible in WIT")

	ErrSyntax = errors.New("syntax error")
	ErrLimit  = errors.New("limit exceeded")
)
