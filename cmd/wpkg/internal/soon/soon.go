// Package soon does what can be done before the larger part of wpkg is initialised:
// it keeps the collector away from the start, and says which wpkg this is. It comes
// later than package early, for package runtime/debug does, whose path sorts behind
// most others (Go specification, "Program initialization"). A test in test/arch
// watches how much is initialised before it; docs/adr/0013-start-of-the-client.md has
// the reasons.
package soon

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/wreg-project/wreg/internal/version"
)

func init() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		if _, err := fmt.Println("wpkg " + version.Get().String()); err == nil {
			os.Exit(0)
		} // else main fails at it too, and says why
	}
	collectLate()
}

// collectLate lets the heap grow to 32 MB before the collector runs for the first
// time; then all is as it was. The initialisers alone leave nearly the 4 MB at which
// it would run, and most commands end before there is anything to collect.
func collectLate() {
	percent := debug.SetGCPercent(800)
	if percent < 0 || percent > 800 { // as GOGC says
		debug.SetGCPercent(percent)
		return
	}
	// It has a pointer, so that it is not kept together with other small things.
	runtime.AddCleanup(new(*int), func(percent int) { debug.SetGCPercent(percent) }, percent)
}
