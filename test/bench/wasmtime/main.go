//go:build cgo

// Command wasmtime validates a core module with wasmtime and says what that
// took, for the benchmark. It is a command of its own because wasmtime comes
// with cgo and a library of 30 MB.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/wreg-project/wreg/test/bench/measure"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wasmtime FILE")
		os.Exit(2)
	}
	result, err := validate(os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wasmtime:", err)
		os.Exit(1)
	}
}

func validate(file string) (measure.Result, error) {
	bin, err := os.ReadFile(file)
	if err != nil {
		return measure.Result{}, err
	}
	config := wasmtime.NewConfig()
	for _, enable := range []func(bool){
		config.SetWasmThreads, config.SetWasmReferenceTypes, config.SetWasmSIMD, config.SetWasmRelaxedSIMD, config.SetWasmBulkMemory,
		config.SetWasmMultiValue, config.SetWasmMultiMemory, config.SetWasmMemory64, config.SetWasmTailCall,
		config.SetWasmFunctionReferences, config.SetWasmGC, config.SetWasmWideArithmetic,
	} {
		enable(true)
	}
	engine := wasmtime.NewEngineWithConfig(config)
	// The first call starts the engine's threads.
	if err := wasmtime.ModuleValidate(engine, []byte("\x00asm\x01\x00\x00\x00")); err != nil {
		return measure.Result{}, fmt.Errorf("an empty module: %w", err)
	}
	return measure.Do(func() error { return wasmtime.ModuleValidate(engine, bin) })
}
