package policy

// A Case is an example of facts and what a policy is to say of them.
type Case struct {
	Name  string `json:"name"`
	Facts Facts  `json:"facts"`

	// Outcome is the expected one. Violations, unless nil, are the names of the
	// rules that are to be violated, in any order; Messages are texts that have to
	// occur in the message or fact of some violation.
	Outcome    Outcome  `json:"outcome"`
	Violations []string `json:"violations"`
	Messages   []string `json:"messages"`

	Line int `json:"-"` // of the source
}

// A CaseResult is what became of one case.
type CaseResult struct {
	Case   string   `json:"case"`
	Passed bool     `json:"passed"`
	Faults []string `json:"faults,omitempty"` // one sentence each
	Result Result   `json:"result"`
}

// Results are those of a test file, in its order.
type Results []CaseResult

// Passed reports whether all cases did.
func (rs Results) Passed() bool {
	for _, r := range rs {
		if !r.Passed {
			return false
		}
	}
	return true
}
