// Package early starts a package that ran before while the rest of wpkg is not yet
// initialised. wpkg links what verifies signatures, whose initialisers take several
// milliseconds in every process, and a package that runs again needs none of it.
//
// It is initialised early because it imports little: "the list of all packages is
// sorted by import path, and repeatedly the first package in it whose imports are
// all initialised is initialised" (Go specification, "Program initialization"). A
// test in test/arch watches that it stays so; docs/adr/0014-known-packages-start-early.md
// has the reasons.
package early

import (
	"os"

	"github.com/wreg-project/wreg/artifact/run/again"
)

func init() { again.Start(os.Args) }
