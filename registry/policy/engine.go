package policy

import (
	"errors"
)

var errUnfinished = errors.New("policy: under construction")

// ParseCases reads a test file.
func ParseCases(source []byte) ([]Case, error) { return nil, errUnfinished }

// Test holds p against cases. It fails if p does not compile.
func Test(p *Policy, cases []Case) (Results, error) { return nil, errUnfinished }

// Check holds a file against the checkfile, whatever its mode and scope.
func (c *Checkfile) Check(r *Report, caps *Capabilities) CheckReport { return CheckReport{} }

// Generate writes a policy of that name which r and c pass, and which pins what
// they say: imports, exports, capabilities, size with a margin of a tenth. It
// fails if r is cut or not valid.
func Generate(name string, r *Report, c *Capabilities) ([]byte, error) { return nil, errUnfinished }

// GenerateCheckfile does the same in the form of Modsurfer's mod.yaml. The hashes
// of exports are pinned if r has them.
func GenerateCheckfile(r *Report) ([]byte, error) { return nil, errUnfinished }

// ReadyPolicy is one of the policies that come with wreg.
type ReadyPolicy struct {
	Name   string
	Source []byte
}

// Ready are the policies that come with wreg, by name.
func Ready() []ReadyPolicy { return nil }
