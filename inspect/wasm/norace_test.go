//go:build !race

package wasm

const detector = 1
