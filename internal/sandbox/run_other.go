//go:build !linux

package sandbox

import (
	"os"
	"os/exec"
)

// What Run can do here.
const (
	limitsFromOutside = false
	ownNamespaces     = false
)

// forbidden tells whether a child could not be started for its namespaces.
func forbidden(error) bool { return false }

// limit does nothing: the child limits itself.
func limit(int, Limits) error { return nil }

func maxRSS(*os.ProcessState) int64 { return 0 }

// wait waits for a child and ends the rest of its session.
func wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	_ = kill(cmd) // fails if nothing is left
	return err
}

// closeInherited does nothing: there is no way to tell what was inherited.
func closeInherited(uintptr) error { return nil }
