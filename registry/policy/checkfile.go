package policy

// A Checkfile is a mod.yaml of Modsurfer. All its fields are read; where they mean
// something else here, docs/spec/policy.md says so.
type Checkfile struct {
	// URL names a file that takes the place of this one. It is never fetched here;
	// a checkfile that has one checks nothing until its content is put in its place,
	// and Compile refuses it.
	URL string `json:"url,omitempty"`

	AllowWASI  *bool            `json:"allow_wasi,omitempty"`
	Imports    CheckImports     `json:"imports,omitzero"`
	Exports    CheckExports     `json:"exports,omitzero"`
	Size       CheckSize        `json:"size,omitzero"`
	Complexity *CheckComplexity `json:"complexity,omitempty"`
}

// CheckImports are conditions on imports.
type CheckImports struct {
	Include   []CheckFunction `json:"include,omitempty"` // nothing else may be imported
	Exclude   []CheckFunction `json:"exclude,omitempty"` // none of them may
	Namespace CheckNamespaces `json:"namespace,omitzero"`
}

// CheckNamespaces are conditions on the modules that are imported from.
type CheckNamespaces struct {
	Include []CheckNamespace `json:"include,omitempty"` // each has to be imported from
	Exclude []CheckNamespace `json:"exclude,omitempty"` // none may be
}

// A CheckNamespace is a module that is imported from.
type CheckNamespace struct {
	Name      string          `json:"name"`
	Functions []CheckFunction `json:"functions,omitempty"`
}

// A CheckFunction is a function that is imported or exported. Params and Results
// are nil where nothing is said of them, which is not the same as none.
type CheckFunction struct {
	Namespace *string   `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	Params    *[]string `json:"params,omitempty"`  // "I32", "F64", …
	Results   *[]string `json:"results,omitempty"` // the same
	Hash      string    `json:"hash,omitempty"`    // of an export: hexadecimal SHA-256
}

// CheckExports are conditions on exports.
type CheckExports struct {
	Max     *uint32         `json:"max,omitempty"`
	Include []CheckFunction `json:"include,omitempty"`
	Exclude []CheckFunction `json:"exclude,omitempty"`
}

// CheckSize bounds the file.
type CheckSize struct {
	Max string `json:"max,omitempty"` // "4MB"

	bytes int64
}

// CheckComplexity bounds how intricate functions are.
type CheckComplexity struct {
	MaxRisk  string  `json:"max_risk,omitempty"` // "low", "medium", "high"
	MaxScore *uint32 `json:"max_score,omitempty"`
}

// A CheckReport says how a module fails a checkfile, in the form of Modsurfer's
// reports.
type CheckReport struct {
	// Fails are the failed checks by their path in the checkfile,
	// "imports.include.env::log".
	Fails map[string]CheckFail `json:"fails"`

	// Error says why the module could not be held against the file, which is a
	// failure too; "" if it could.
	Error string `json:"error,omitempty"`
}

// OK reports whether the module passes.
func (r CheckReport) OK() bool { return len(r.Fails) == 0 && r.Error == "" }

// A CheckFail is one failed check.
type CheckFail struct {
	Actual         string `json:"actual"`
	Expected       string `json:"expected"`
	Severity       int    `json:"severity"` // 1 to 10
	Classification string `json:"classification"`
}

// Classifications of failed checks, spelled as Modsurfer does.
const (
	ClassABI      = "AbiCompatibilty"
	ClassResource = "ResourceLimit"
	ClassSecurity = "Security"
)
