// Package differential compares our validation of WebAssembly with wasmtime's,
// on the binaries of the specification's suite and on mutations of them. It is
// a package of its own because wasmtime comes with cgo, which no product of
// this module needs.
package differential
