// Package host tells what the machine at hand is. It asks the processor when a
// program starts that links it, and a question to a processor that is virtual
// takes microseconds, so that wpkg-engine does without.
package host

import (
	"runtime"

	"golang.org/x/sys/cpu"

	"github.com/wreg-project/wreg/artifact/variant"
)

// Target is the target that this machine runs best. Of one for which no native code
// is made it is the system and the architecture all the same, so that a message
// can name them; such a machine runs portable bytecode if it has 64 bits.
//
// On amd64 the level is the highest of which the processor and the operating
// system have every feature that [golang.org/x/sys/cpu] can tell, which is all of
// the list of the x86-64 psABI (version 1.0, section 3.1.1) but LAHF-SAHF of v2
// and F16C, LZCNT and MOVBE of v3. No processor has the others without those. A
// virtual machine may hide them; the runtime then refuses to load the code.
func Target() variant.Target {
	t := variant.Target{OS: runtime.GOOS, Arch: runtime.GOARCH}
	if t.Arch == "amd64" {
		t.Level = level(features{
			v2: cpu.X86.HasCX16 && cpu.X86.HasPOPCNT && cpu.X86.HasSSE3 && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41 && cpu.X86.HasSSE42,
			v3: cpu.X86.HasAVX && cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasBMI2 && cpu.X86.HasFMA && cpu.X86.HasOSXSAVE,
		})
	}
	return t
}

// features tells whether a processor has what each level adds to the one before.
type features struct{ v2, v3 bool }

// level is the highest one of which nothing is missing, in it or in those below.
func level(f features) string {
	switch {
	case f.v2 && f.v3:
		return "v3"
	case f.v2:
		return "v2"
	}
	return "v1"
}
