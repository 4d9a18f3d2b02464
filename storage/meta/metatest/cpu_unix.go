//go:build unix

package metatest

import (
	"syscall"
	"testing"
	"time"
)

// measureCPU reports the processor time of this process for each operation from
// now to the end of the benchmark.
func measureCPU(b *testing.B) (report func()) {
	before := cpuTime(b)
	return func() {
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
