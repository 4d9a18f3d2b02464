//go:build !unix

package metatest

import "testing"

// measureCPU reports nothing where the standard library cannot ask.
func measureCPU(*testing.B) (report func()) { return func() {} }
