// Package artifact turns WebAssembly into OCI artifacts and back.
//
// [Pack] makes the canonical form, the CNCF Wasm OCI artifact with exactly one
// application/wasm layer; [Package.View] the forms that other consumers want,
// as manifests of their own that name the canonical one as their subject;
// [Unpack] takes the Wasm out of any form in use. Same input, same digest. No
// part needs memory in proportion to the Wasm. docs/spec/artifact.md shows the
// manifests.
package artifact
