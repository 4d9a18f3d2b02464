// A program with a runtime of its own.
package main

import (
	"fmt"
	"os"
)

func main() {
	b, err := os.ReadFile("/data/file")
	fmt.Printf("%q %s %v\n", os.Args, b, err)
	os.Exit(4)
}
