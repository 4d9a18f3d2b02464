package wasm

// Limits of one decode. A file beyond them is refused with ErrLimit: 14 hostile
// bytes must not buy a gigabyte, and real files stay far below.
const (
	// MaxTypes, MaxFunctions, MaxImports, MaxExports, MaxGlobals and MaxTags are
	// the implementation limits of the WebAssembly JavaScript interface
	// ("Limits", appendix of wasm-js-api), which every browser engine enforces.
	MaxTypes     = 1_000_000
	MaxFunctions = 1_000_000
	MaxImports   = 1_000_000
	MaxExports   = 1_000_000
	MaxGlobals   = 1_000_000
	MaxTags      = 1_000_000

	// MaxTables is the interface's limit, too; it has 100 for memories.
	MaxTables   = 100_000
	MaxMemories = 100

	// MaxParams and MaxResults are the interface's bounds of a function type,
	// MaxFields and MaxSupertypes those of the GC types (63 is its bound of the
	// subtyping depth; one declared supertype is all that validates).
	MaxParams     = 1_000
	MaxResults    = 1_000
	MaxFields     = 10_000
	MaxSupertypes = 63

	// MaxItems bounds the entries kept over the whole file, nested binaries
	// included: the largest known module (45 MB, a database engine) has 60,000,
	// and a million of the widest entry is about 100 MB of memory.
	MaxItems = 1_000_000

	// KeptPerByte and KeptAnyway bound, in bytes, what a decode keeps in memory
	// for each byte of the file and besides. They are the memory rule of this
	// project, and the reason why the decoder counts what it keeps: a type or a
	// segment of two or three bytes becomes a structure of fifty. The largest
	// modules known need less than one byte for each of theirs.
	KeptPerByte = 4
	KeptAnyway  = 1 << 20

	// MaxLocals is the interface's bound of the locals of one function, its
	// parameters included.
	MaxLocals = 50_000

	// MaxData is the interface's bound of the data segments of a module, and
	// MaxElements that of the other tools for element segments. Toolchains that
	// write a segment for each object reach 30,000.
	MaxData     = 100_000
	MaxElements = 100_000

	// MaxLabels bounds the labels of one br_table and the clauses of one
	// try_table or resume. It is the interface's bound of the bytes of one
	// function, which is what limits them there.
	MaxLabels = 7_654_321

	// MaxName is the length of one name in bytes, the interface's own number
	// for a module or field name.
	MaxName = 100_000

	// MaxSections counts the sections of the whole file. A core module has at
	// most 14 that are not custom; components interleave theirs, and the
	// largest composition seen has about 3,000.
	MaxSections = 100_000

	// MaxSectionBytes bounds one section whose contents are decoded. Code,
	// data, elements and unknown custom sections are skipped, whatever their
	// size. The largest type or import section seen is under 2 MiB.
	MaxSectionBytes = 32 << 20

	// MaxCustomBytes bounds one decoded custom section; the largest producers
	// section seen has 2 KiB, descriptions are a paragraph.
	MaxCustomBytes = 1 << 20

	// MaxNesting bounds modules and components inside components. Tools that
	// compose components nest one level for each composition; the component
	// tools themselves stop at 100.
	MaxNesting = 64

	// MaxTypeNesting bounds component and instance types inside such types, and
	// the depth to which a type is printed.
	MaxTypeNesting = 64

	// MaxTypeText is the length in bytes at which printed types are cut off
	// with an ellipsis.
	MaxTypeText = 4096
)

// Sizes in bytes of what a decode keeps, for its budget; a test compares them
// with the compiler's. Where a list grows by appending, all that it takes on the
// way is costGrown times its size: append makes room for a quarter more.
const (
	costGrown = 5

	costItem     = 64 // of an entry whose size is not listed
	costSection  = 48 * costGrown
	costType     = 144 // with what a validator has for each, and its map of groups
	costValType  = 4
	costImport   = 40 + 8*costGrown // with a function, global or tag
	costExport   = 24 + 4           // with its place among the names
	costFunction = 4
	costTable    = 32
	costMemory   = 32
	costTag      = 4
	costGlobal   = 8
	costExpr     = 32
	costBody     = 16
	costElement  = 64
	costData     = 56
	costName     = 4
)

// Limits of the validation of one function.
const (
	// MaxWork bounds, for each byte of a body, the types that are compared one
	// by one: a call of two bytes may have a thousand operands. It is what keeps
	// validation under a second for each megabyte. Compilers stay below 4.
	MaxWork = 64

	// MaxConstBytes stands for the size of a constant expression in that.
	MaxConstBytes = 4096

	// MaxOperands bounds the operand stack and MaxBlocks the blocks inside each
	// other. The deepest stack seen is of a few hundred operands, and the
	// deepest nesting, from a switch of thousands of cases, of a few thousand
	// blocks.
	MaxOperands = 1 << 16
	MaxBlocks   = 20_000
)

// Limits of components. The rules of the component model are named with their
// document; the rest is what its other tools have, or our own.
const (
	// MaxFlags is the number of flags of one type ("Type Definitions" of
	// Explainer.md), and MaxParts that of fields, cases and so on, where the
	// tools stop.
	MaxFlags = 32
	MaxParts = 10_000

	// MaxFixedList is the length of a list that is fixed, where the tools stop,
	// and MaxValueSize what a value may take in memory, in bytes, so that such a
	// list cannot pass for a value of terabytes (the component suite's
	// max-value-size.wast).
	MaxFixedList = 1 << 30
	MaxValueSize = 1 << 28

	// MaxTypeDepth bounds how deep a type is in levels of types and names in
	// types. The tools have that number for types of values alone; real types
	// reach about 20.
	MaxTypeDepth = 100

	// MaxTypeSize bounds the parts of a type that is written out, with the types
	// it uses in their places. It is the tools' number: a file of a few hundred
	// bytes can describe a type of 2^100 parts.
	MaxTypeSize = 1_000_000

	// MaxComponentWork bounds the steps that the checks of components may take
	// for each byte of the file, and ComponentWorkAnyway those besides. Types
	// that use each other can be made to take many; the real components and
	// packages seen take less than one for five bytes.
	MaxComponentWork    = 4
	ComponentWorkAnyway = 1_000_000

	// maxFlat is how many core types a value may be flattened to before it is
	// passed in memory. Async functions that are lowered pass fewer
	// (MAX_FLAT_PARAMS, MAX_FLAT_ASYNC_PARAMS and MAX_FLAT_RESULTS of
	// CanonicalABI.md).
	maxFlat        = 16
	maxFlatAsync   = 4
	maxFlatResults = 1

	// maxCanonOptions bounds the options of a canonical definition, of which
	// there are ten, and maxAttributes those of a name, of which there are
	// three. None may be repeated.
	maxCanonOptions = 10
	maxAttributes   = 10

	// maxCoreDepth bounds the levels to which core types of two modules are
	// compared, maxPairs how many comparisons are remembered.
	maxCoreDepth = 16
	maxPairs     = 1 << 10
)

// Sizes in bytes of what is kept of a component, for the budget; those of lists
// that grow by appending have a quarter more.
const (
	costTypeDef      = 136
	costTypeRef      = 18 // lists take whole blocks of memory
	costLabel        = 18
	costExtern       = 150 // with what is known of its name
	costNamed        = 170 // of one of a component besides: its place in the lists and its name in maps, which double
	costDeclared     = 250 // of one in a type: its names in maps, and the list, which grows without its length being known
	costScope        = 500 // with the maps of names
	costOrigin       = 90  // with what is known of the entry
	costArgument     = 32
	costInstance     = 130
	costCoreInstance = 90
	costCanon        = 200
	costCoreType     = 40
	costSubType      = 200 // of one in a component: the type itself, and its place in a list that grows
	costCoreItem     = 110
	costModuleType   = 900
	costNested       = 2600 // with what decodes and validates it
	costIndexed      = 48
	costNote         = 60 // of an entry of a map that is needed for one definition
)
