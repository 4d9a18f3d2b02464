package policy

import (
	"context"
	"errors"

	"github.com/wreg-project/wreg/inspect"
)

var errUnfinished = errors.New("policy: under construction")

// A Set is compiled policies. It is safe for concurrent use.
type Set struct{}

// Parse reads a policy in YAML, or a checkfile of Modsurfer, which it tells by its
// key validate. It checks everything but the types of expressions, which is the
// work of Compile. Errors are of type Errors, with lines and columns of source.
func Parse(source []byte) (*Policy, error) { return nil, errUnfinished }

// Compile type-checks the expressions of policies and bounds their cost. All of
// them need different names. Errors are of type Errors.
func Compile(ps ...*Policy) (*Set, error) { return &Set{}, nil }

// Enforces reports whether a rule with mode enforce is about a in repo.
func (s *Set) Enforces(repo string, a Action) bool { return false }

// Needs says which facts the rules about a in repo read.
func (s *Set) Needs(repo string, a Action) Needs { return Needs{} }

// Eval asks all rules about f.Action in f.Package.Repository for their opinion of
// f. When ctx ends, the rules not yet asked count as violated.
func (s *Set) Eval(ctx context.Context, f *Facts) Result { return Result{Outcome: Allowed} }

// ReportFacts takes from rep what rules can use.
func ReportFacts(rep *inspect.Report) Report { return Report{} }

// CapabilityFacts does the same for its capabilities.
func CapabilityFacts(rep *inspect.Report) Capabilities { return Capabilities{} }

// BrokenReport is that of a file of size bytes that inspection refused with err.
func BrokenReport(size int64, err error) Report { return Report{} }

// HashExports fills in the hashes of exported functions of the core module file,
// of which r is the report. Only checkfiles that name hashes need them.
func (r *Report) HashExports(file []byte) error { return errUnfinished }

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

type positions struct{}
