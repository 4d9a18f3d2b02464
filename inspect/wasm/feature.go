package wasm

import (
	"math/bits"
	"strings"
)

// Features is a set of WebAssembly proposals beyond the first version of the
// specification, as a host must support them to run a binary. The proposals that
// one of them builds on belong to it: a binary with structures needs not only
// "gc" but "function-references" and "reference-types", too.
type Features uint64

// The features, in the order in which they are listed. Those after
// FeatureComponentModel are of the component model.
const (
	FeatureMutableGlobal Features = 1 << iota
	FeatureSaturatingFloatToInt
	FeatureSignExtension
	FeatureReferenceTypes
	FeatureMultiValue
	FeatureBulkMemory
	FeatureSIMD
	FeatureRelaxedSIMD
	FeatureThreads
	FeatureSharedEverything
	FeatureTailCall
	FeatureMultiMemory
	FeatureExceptions
	FeatureLegacyExceptions
	FeatureMemory64
	FeatureExtendedConst
	FeatureFunctionReferences
	FeatureGC
	FeatureMemoryControl
	FeatureCustomPageSizes
	FeatureStackSwitching
	FeatureWideArithmetic
	FeatureCompactImports
	FeatureCustomDescriptors
	FeatureComponentModel
	FeatureCMValues
	FeatureCMAsync
	FeatureCMAsyncStackful
	FeatureCMThreading
	FeatureCMErrorContext
	FeatureCMFixedLengthLists
	FeatureCMGC
	FeatureCMMap
	FeatureCMImplements
	FeatureCM64
	FeatureCMNestedNames

	// featureTags stands for a use of tags that both forms of exceptions know;
	// settle turns it into one of them.
	featureTags
)

var featureNames = [...]string{
	"mutable-global", "saturating-float-to-int", "sign-extension", "reference-types", "multi-value", "bulk-memory", "simd",
	"relaxed-simd", "threads", "shared-everything-threads", "tail-call", "multi-memory", "exceptions", "legacy-exceptions",
	"memory64", "extended-const", "function-references", "gc", "memory-control", "custom-page-sizes", "stack-switching",
	"wide-arithmetic", "compact-imports", "custom-descriptors", "component-model", "cm-values", "cm-async", "cm-async-stackful",
	"cm-threading", "cm-error-context", "cm-fixed-length-lists", "cm-gc", "cm-map", "cm-implements", "cm64", "cm-nested-names",
}

// List gives the names of the features, as engines and tools print them, in the
// order of the constants.
func (f Features) List() []string {
	list := make([]string, 0, bits.OnesCount64(uint64(f)))
	for i, name := range featureNames {
		if f&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// String joins the names by commas.
func (f Features) String() string { return strings.Join(f.List(), ", ") }

// settle completes a set: by the form of exceptions that a module which throws
// or has tags needs, the legacy one if it catches by that and the standard one
// otherwise, and by the proposals that others build on.
func (f Features) settle() Features {
	if f&featureTags != 0 && f&FeatureLegacyExceptions == 0 {
		f |= FeatureExceptions
	}
	f &^= featureTags
	for _, b := range basis {
		if f&b.of != 0 {
			f |= b.needs
		}
	}
	return f
}

// basis lists what proposals build on, the later ones first.
var basis = [...]struct{ of, needs Features }{
	{FeatureCustomDescriptors, FeatureGC},
	{FeatureStackSwitching, FeatureFunctionReferences},
	{FeatureGC, FeatureFunctionReferences},
	{FeatureFunctionReferences, FeatureReferenceTypes},
	{FeatureRelaxedSIMD, FeatureSIMD},
}
