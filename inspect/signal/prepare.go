package signal

import "sync"

// prepare makes the tables that bytes and numbers are looked up in, when the
// first binary is looked at: that takes 7 ms, and most commands of a program that
// has this package look at none.
var prepare = sync.OnceFunc(func() {
	prepareLiterals()
	prepareNumbers()
	prepareTables()
	prepareEntropy()
})
