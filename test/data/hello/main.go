// Command hello is the package that the demonstration builds and publishes.
package main

import "fmt"

func main() { fmt.Println("hello from WebAssembly") }
