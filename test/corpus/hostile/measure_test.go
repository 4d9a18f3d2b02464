package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cost is what a call took.
type cost struct {
	cpu       time.Duration // of the whole process: workers and collector included
	allocated int64         // bytes in all, freed or not; no more can have been in use
}

// costOf runs f once. Nothing else may run in the process.
func costOf(t *testing.T, f func()) cost {
	t.Helper()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := processorTime(t)
	f()
	c := cost{cpu: processorTime(t) - begin}
	runtime.ReadMemStats(&after)
	c.allocated = int64(after.TotalAlloc - before.TotalAlloc)
	return c
}

// peakEnv tells a process that it has to measure a peak, and of what.
const peakEnv = "HOSTILE_PEAK"

func TestMain(m *testing.M) {
	if what := os.Getenv(peakEnv); what != "" {
		f, err := measured(what)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(peakOf(f))
		return
	}
	os.Exit(m.Run())
}

// peak runs a case in a process of its own and gives the most bytes that it had
// in use at a time. What the collector counts as alive is exact only if nothing
// runs beside it, and that is chosen when a process starts.
func peak(t *testing.T, what string) int64 {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), peakEnv+"="+what, "GODEBUG=gcstoptheworld=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("measuring the peak of %q: %v", what, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		t.Fatalf("measuring the peak of %q: %v", what, err)
	}
	return n
}

// peakOf runs f and gives the most that it had in use at a time, objects and
// stacks.
//
// The heap's size at a moment says little, since it holds what the collector has
// not found yet. Here the collector runs whenever the heap has grown by a
// fiftieth, and each time says what it found alive. So the result is exact to a
// few hundredths and does not depend on the machine, only takes longer.
func peakOf(f func()) int64 {
	debug.SetGCPercent(2)
	runtime.GC()
	base := inUse()
	var most atomic.Int64
	var watch func()
	watch = func() {
		most.Store(max(most.Load(), inUse()))
		// The next collection finds this object dead and so calls again.
		runtime.AddCleanup(new([16]byte), func(int) { watch() }, 0)
	}
	watch()
	f()
	runtime.GC()
	return max(most.Load(), inUse()) - base
}

// inUse is what the last collection found alive, and the stacks.
func inUse() int64 {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sink keeps an object from being allocated on a stack.
var sink []byte

const kept, passing = 8 << 20, 1 << 30

// sample keeps 8 MiB while a gigabyte passes through.
func sample() {
	keep := make([]byte, kept)
	for range passing / (64 << 10) {
		sink = make([]byte, 64<<10)
	}
	sink = nil
	runtime.KeepAlive(keep)
}

// The measures are believed only if they see what is there.
func TestMeasuresSeeWhatHappens(t *testing.T) {
	if c := costOf(t, sample); c.allocated < passing || c.allocated > passing+2*kept {
		t.Errorf("costOf saw %d bytes allocated, want %d and little more", c.allocated, passing+kept)
	}
	if n := peak(t, "sample"); n < kept || n > kept+kept/16 {
		t.Errorf("peakOf saw %d bytes in use, want %d and little more", n, kept)
	}
	rounds := 0
	c := costOf(t, func() {
		for begin := time.Now(); time.Since(begin) < 50*time.Millisecond; {
			rounds++
		}
	})
	if c.cpu < time.Millisecond {
		t.Errorf("costOf saw %v of CPU in %d rounds, want about 50ms", c.cpu, rounds)
	}
}
