//go:build linux && (amd64 || arm64)

// Command start runs programs many times and prints what each run took, for the
// benchmark. Several programs take turns, so that whatever else happens on the
// machine happens to all of them. It is a command of its own because the kernel
// counts the memory of whoever starts a program as the program's: this one has next
// to none.
//
//	start -runs 30 -for 20s [-stdin FILE] PROGRAM [ARGUMENT...] [-- PROGRAM [ARGUMENT...]]...
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// A run is one line of the output.
type run struct {
	Program int           `json:"program"` // of the command line, from 0
	Wall    time.Duration `json:"wallNanoseconds"`
	CPU     time.Duration `json:"cpuNanoseconds"` // user and system, of all threads
	Memory  int64         `json:"residentBytes"`  // at its peak
}

func main() {
	runs := flag.Int("runs", 30, "how often to run each")
	limit := flag.Duration("for", 20*time.Second, "start no further run after this")
	stdin := flag.String("stdin", os.DevNull, "a file for its standard input")
	flag.Parse()
	programs := split(flag.Args())
	if programs == nil || *runs < 1 {
		flag.Usage()
		os.Exit(2)
	}
	begin := time.Now()
	out := json.NewEncoder(os.Stdout)
	for i := range *runs {
		if i > 0 && time.Since(begin) > *limit {
			return
		}
		for k, args := range programs {
			r, err := once(*stdin, args)
			r.Program = k
			if err == nil {
				err = out.Encode(r)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "start:", err)
				os.Exit(1)
			}
		}
	}
}

// split returns the programs of a command line, or nil if one has no name.
func split(args []string) [][]string {
	var programs [][]string
	for {
		i := slices.Index(args, "--")
		if i < 0 {
			i = len(args)
		}
		if i == 0 {
			return nil
		}
		programs = append(programs, args[:i])
		if i == len(args) {
			return programs
		}
		args = args[i+1:]
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
