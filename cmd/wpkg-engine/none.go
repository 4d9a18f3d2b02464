//go:build !cgo || !(linux || darwin)

// Command wpkg-engine has the WebAssembly engine that wpkg does without. This
// build of it has none: the engine is a library in C.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

func main() {
	fmt.Fprintf(os.Stderr, "wpkg-engine: built for %s/%s without its engine, which needs Linux or macOS, a C compiler and CGO_ENABLED=1\n",
		runtime.GOOS, runtime.GOARCH)
	os.Exit(wire.ExitFailed)
}
