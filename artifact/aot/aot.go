// Package aot is about native code made of WebAssembly ahead of time: who
// compiles it ([Compiler]), within which limits ([Check]), and how it lies in a
// registry ([Pack], [Read]) as a referrer of the package it was made of.
//
// Loading such code is running it: nothing in it can be verified by looking.
// It is therefore loaded only if it was made here, or if a compiler that the
// user trusts has signed that it was made of the very bytes the package has.
package aot

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/variant"
)

// Profile names the one set of settings that [Runtime] compiles and loads with:
// the defaults of the runtime, with interruption by epochs on, so that every
// guest can be stopped. What was made with other settings does not load.
const Profile = "wreg-v1"

// Media types and artifact types. Those of other runtimes are made by
// [ArtifactType].
const (
	MediaTypeConfig = "application/vnd.wreg.aot.config.v1+json"
	MediaTypeCode   = "application/vnd.wasmtime.cwasm.v1"

	// Runtime is the name of the runtime whose code wpkg runs itself.
	Runtime = "wasmtime"
)

// ArtifactType is the artifactType of manifests with code for a runtime.
func ArtifactType(runtime string) string { return "application/vnd.wreg.aot." + runtime + ".v1" }

// Annotations of such a manifest, which a registry copies into its list of
// referrers, so that one request is enough to choose.
const (
	AnnotationRuntime        = "io.wreg.aot.runtime"
	AnnotationRuntimeVersion = "io.wreg.aot.runtime-version"
	AnnotationPlatform       = "io.wreg.aot.platform" // variant.Target
	AnnotationProfile        = "io.wreg.aot.profile"
	AnnotationCompatID       = "io.wreg.aot.compat-id"
	AnnotationSource         = "io.wreg.aot.source" // digest of the layer it was made of
	AnnotationTier           = "io.wreg.aot.tier"
)

// Tier is how hard a compiler tries.
type Tier string

// Optimising is what everything is compiled with first. Fast takes linear time
// and makes larger and slower code; what is too much for the first gets it.
const (
	Optimising Tier = "optimising"
	Fast       Tier = "fast"
)

// Errors of compilers, beside those of reading and writing. Each is wrapped with
// what happened.
var (
	ErrUnsupported = errors.New("this machine cannot compile for it")
	ErrInput       = errors.New("the compiler refuses the module")
	ErrLimit       = errors.New("a limit was reached")
	ErrCrashed     = errors.New("the compiler crashed")
)

// A Compiler makes native code, always in a child process within limits.
type Compiler interface {
	// Runtime is the name of the runtime that loads the code, "wasmtime".
	Runtime() string
	// Support tells what it can do on this machine, and of what it cannot, why.
	// The error is of a compiler that is not there at all.
	Support(ctx context.Context) (*Support, error)
	// Compile writes the code made of a module or component to out.
	Compile(ctx context.Context, j Job, out io.Writer) (*Config, error)
}

// Support is what a compiler can do.
type Support struct {
	Version string          // of the runtime, in full: "39.0.1"
	Path    string          // of the program that compiles
	Targets []TargetSupport // those it knows
}

// TargetSupport is whether a compiler can compile for a target here.
type TargetSupport struct {
	Target variant.Target
	Why    string // it cannot; "" if it can
}

// Job is what to compile.
type Job struct {
	Wasm   *os.File // read from its beginning to its end
	Size   int64
	Digest digest.Digest // of Wasm, recorded as the source
	Target variant.Target

	// Tier is the one to compile by, and no other. "" is the optimising one, and the
	// fast one for what is too much for that.
	Tier Tier
}

// Config is the config of a manifest with native code, all that is known of it.
// docs/spec/aot.md describes the fields.
type Config struct {
	Source   Source   `json:"source"`
	Compiler By       `json:"compiler"`
	Target   Made     `json:"target"`
	CompatID string   `json:"compatId,omitempty"` // sha256 of what the runtime compares; for wasmtime see docs/spec/aot.md
	Output   Source   `json:"output"`             // the code, not compressed
	Builder  *Builder `json:"builder,omitempty"`
}

// Source is a file by its digest.
type Source struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// By is the compiler and how it was told to compile.
type By struct {
	Runtime string   `json:"runtime"`
	Version string   `json:"version"`
	Engine  string   `json:"engine,omitempty"` // "cranelift"
	Tier    Tier     `json:"tier"`
	Profile string   `json:"profile,omitempty"`
	Flags   []string `json:"flags,omitempty"` // of the command, for runtimes other than wasmtime
}

// Made is what the code was made for.
type Made struct {
	Platform string   `json:"platform"` // variant.Target
	Triple   string   `json:"triple,omitempty"`
	ISAFlags []string `json:"isaFlags,omitempty"`
}

// Builder is who compiled, where.
type Builder struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Emulated bool   `json:"emulated,omitempty"`
}

// Key identifies a variant: two compilations with the same key make the same
// bytes.
type Key struct {
	Source  digest.Digest
	Runtime string
	Version string
	Target  variant.Target
	Tier    Tier
	Profile string
}
