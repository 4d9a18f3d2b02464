//go:build linux && (amd64 || arm64)

// Command start runs a program many times and prints what each run took, for the
// benchmark. It is a command of its own because the kernel counts the memory of
// whoever starts a program as the program's: this one has next to none.
//
//	start -runs 30 -for 20s [-stdin FILE] PROGRAM [ARGUMENT...]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"
)

// A run is one line of the output.
type run struct {
	Wall   time.Duration `json:"wallNanoseconds"`
	CPU    time.Duration `json:"cpuNanoseconds"` // user and system, of all threads
	Memory int64         `json:"residentBytes"`  // at its peak
}

func main() {
	runs := flag.Int("runs", 30, "how often to run it")
	limit := flag.Duration("for", 20*time.Second, "start no further run after this")
	stdin := flag.String("stdin", os.DevNull, "a file for its standard input")
	flag.Parse()
	if flag.NArg() == 0 || *runs < 1 {
		flag.Usage()
		os.Exit(2)
	}
	begin := time.Now()
	out := json.NewEncoder(os.Stdout)
	for i := range *runs {
		if i > 0 && time.Since(begin) > *limit {
			return
		}
		r, err := once(*stdin, flag.Args())
		if err == nil {
			err = out.Encode(r)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "start:", err)
			os.Exit(1)
		}
	}
}

// once times one run, from before its process exists until it is gone.
func once(stdin string, args []string) (run, error) {
	in, err := os.Open(stdin)
	if err != nil {
		return run{}, err
	}
	defer in.Close()
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return run{}, err
	}
	defer out.Close()
	begin := time.Now()
	p, err := os.StartProcess(args[0], args, &os.ProcAttr{Files: []*os.File{in, out, os.Stderr}})
	if err != nil {
		return run{}, err
	}
	state, err := p.Wait()
	r := run{Wall: time.Since(begin)}
	if err != nil {
		return run{}, err
	}
	if !state.Success() {
		return run{}, fmt.Errorf("%s: %s", args[0], state)
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return run{}, fmt.Errorf("%s: the system tells nothing of it", args[0])
	}
	r.CPU, r.Memory = state.UserTime()+state.SystemTime(), usage.Maxrss<<10
	return r, nil
}
