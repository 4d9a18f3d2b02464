// Package measure times one call in a process that does nothing else, for the
// benchmark: the process prints the Result, and its parent reads it.
package measure

import (
	"runtime"
	"syscall"
	"time"
)

// A Result is what one call took.
type Result struct {
	CPU       time.Duration `json:"cpuNanoseconds"`     // of all threads, the collector's included
	Elapsed   time.Duration `json:"elapsedNanoseconds"` // by the clock on the wall
	Allocs    uint64        `json:"allocs"`             // objects on Go's heap
	Allocated uint64        `json:"allocatedBytes"`
	Refused   string        `json:"refused,omitempty"` // the error of the call
}

// Do runs f once. The error is one of measuring; f's own is in the Result.
func Do(f func() error) (Result, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, err := cpuTime()
	if err != nil {
		return Result{}, err
	}
	begin := time.Now()
	refused := f()
	r := Result{Elapsed: time.Since(begin)}
	end, err := cpuTime()
	if err != nil {
		return Result{}, err
	}
	runtime.ReadMemStats(&after)
	r.CPU, r.Allocs, r.Allocated = end-cpu, after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	if refused != nil {
		r.Refused = refused.Error()
	}
	return r, nil
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
