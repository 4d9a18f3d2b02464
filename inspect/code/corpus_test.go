package code

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func BenchmarkCorpus(b *testing.B) {
	files, _ := filepath.Glob("../../.cache/corpus/*.wasm")
	for _, file := range files {
		b.Run(filepath.Base(file), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			bin, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			parsed, err := wasm.Parse(bin)
			if err != nil {
				b.Fatal(err)
			}
			if parsed.Module == nil {
				return
			}
			var decode, visit, finish time.Duration
			var instrs int64
			for b.Loop() {
				t0 := cpu()
				instrs = decodeAll(parsed)
				decode += cpu() - t0
				bl := NewBuilder(parsed)
				w := bl.Worker()
				t0 = cpu()
				var c wasm.Code
				var in wasm.Instr
				for i, body := range parsed.Module.Code {
					c.Reset(parsed, body)
					w.Begin(i)
					for c.Next(&in) {
						w.Visit(&in)
					}
					w.End()
				}
				visit += cpu() - t0
				t0 = cpu()
				bl.Finish()
				finish += cpu() - t0
			}
			n := float64(b.N)
			per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / n / float64(instrs) }
			b.ReportMetric(per(decode), "decode-ns/instr")
			b.ReportMetric(per(visit-decode), "visit-ns/instr")
			b.ReportMetric(float64(visit-decode)/n/float64(parsed.Module.Defined), "visit-ns/func")
			b.ReportMetric(float64(instrs)/float64(parsed.Module.Defined), "instr/func")
			b.ReportMetric(float64(finish.Milliseconds())/n, "finish-ms")
			b.ReportMetric(float64(parsed.Module.CodeSize)/1e6/(decode.Seconds()/n), "decode-MB/s")
		})
	}
}

// cpu is the time that this thread has computed for: the machine may be busy.
func cpu() time.Duration {
	var u syscall.Rusage
	const thread = 1
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func decodeAll(b *wasm.Binary) int64 {
	var c wasm.Code
	var in wasm.Instr
	n := int64(0)
	for _, body := range b.Module.Code {
		c.Reset(b, body)
		for c.Next(&in) {
			n++
		}
	}
	return n
}
