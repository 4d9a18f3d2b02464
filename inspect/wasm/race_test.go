//go:build race

package wasm

// detector is how much the race detector is allowed to add to times and memory.
const detector = 20
