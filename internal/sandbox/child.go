package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
)

// Rules are what a program wants of its own confinement.
type Rules struct {
	// Limits are put upon it beside those of whoever started it, unless all of
	// them are zero. Only Files, FileBytes, CPU and AddressSpace count.
	Limits Limits
}

// Enter confines this process for good, and tells its parent, if that is [Run].
// It is to be called before a byte from outside is read, and once. Files that
// were left open by whoever started the program are closed.
//
// On Linux, amd64 and arm64, the process then computes, reads and writes what is
// open, starts threads, and does nothing else: system calls that are on no list
// fail with EPERM. Under an emulator, and on kernels without seccomp, Enter
// succeeds without that and says so in its result; Run, which knows whether to
// expect it, then refuses. On other systems only the limits are set, if there
// are any.
//
// An error means that the process may be confined in part, and has to end.
func Enter(r Rules) (Measures, error) {
	var o order
	if text, ok := os.LookupEnv(variable); ok {
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return Measures{}, fmt.Errorf("sandbox: %s: %w", variable, err)
		}
		if err := os.Unsetenv(variable); err != nil {
			return Measures{}, err
		}
	}
	var m Measures
	for _, l := range []*Limits{o.Limits, &r.Limits} {
		if l == nil || *l == (Limits{}) {
			continue
		}
		if err := limitSelf(*l); err != nil {
			return m, fmt.Errorf("sandbox: limit this process: %w", err)
		}
		m.Limits = hasLimits
	}
	var report *os.File
	if o.Report != 0 {
		report = os.NewFile(o.Report, "report")
		defer report.Close()
	}
	if err := closeInherited(o.Report); err != nil {
		return m, fmt.Errorf("sandbox: close what was left open: %w", err)
	}
	if err := confine(&m); err != nil {
		return m, fmt.Errorf("sandbox: %w", err)
	}
	if report != nil {
		if err := json.NewEncoder(report).Encode(m); err != nil {
			return m, fmt.Errorf("sandbox: report: %w", err)
		}
	}
	return m, nil
}
