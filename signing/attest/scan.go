package attest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/signing"
)

// A Scan is a record of a search for vulnerabilities (cosign, "Vulnerability Scan
// Record Attestation").
type Scan struct {
	Invocation Invocation `json:"invocation"`
	Scanner    Scanner    `json:"scanner"`
	Metadata   ScanTimes  `json:"metadata"`
}

// An Invocation says who started a scan.
type Invocation struct {
	Parameters any    `json:"parameters"` // a list of texts, as a rule
	URI        string `json:"uri"`
	EventID    string `json:"event_id"`
	BuilderID  string `json:"builder.id"`
}

// A Scanner is what searched, and what it found in a form of its own: ours is a
// ScanResult.
type Scanner struct {
	URI     string          `json:"uri"`
	Version string          `json:"version"`
	DB      ScanDB          `json:"db"`
	Result  json.RawMessage `json:"result"`
}

// A ScanDB is what was known of vulnerabilities. LastUpdate is a field of ours.
type ScanDB struct {
	URI        string    `json:"uri"`
	Version    string    `json:"version"`
	LastUpdate time.Time `json:"lastUpdate,omitzero"`
}

// ScanTimes say when a scan was.
type ScanTimes struct {
	Started  time.Time `json:"scanStartedOn"`
	Finished time.Time `json:"scanFinishedOn"`
}

// A ScanResult is the result of our scanner.
type ScanResult struct {
	SchemaVersion int           `json:"schemaVersion"` // 1
	Files         []ScannedFile `json:"files"`
}

// A ScannedFile is one binary of a package with what was found in it.
type ScannedFile struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"` // of the file, hexadecimal by algorithm
	scan.Report
}

// SetResult makes r the result of the scan. Lists are never null in JSON.
func (s *Scan) SetResult(r ScanResult) error {
	r.SchemaVersion = 1
	files := make([]ScannedFile, len(r.Files))
	for i, f := range r.Files {
		if f.Findings == nil {
			f.Findings = []scan.Finding{}
		}
		if f.Possible == nil {
			f.Possible = []scan.Finding{}
		}
		files[i] = f
	}
	r.Files = files
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("vuln: %w", err)
	}
	s.Scanner.Result = raw
	return nil
}

// Statement is the statement of the scan. The error of one without a result or
// times is ErrFormat.
func (s *Scan) Statement(subjects ...signing.Subject) (signing.Statement, error) {
	if len(s.Scanner.Result) == 0 || string(s.Scanner.Result) == "null" {
		return signing.Statement{}, fmt.Errorf("vuln: %w: scanner.result is missing", ErrFormat)
	}
	if err := s.check(); err != nil {
		return signing.Statement{}, err
	}
	out := *s
	if out.Invocation.Parameters == nil {
		out.Invocation.Parameters = []string{}
	}
	return statement(TypeVuln, out, subjects)
}

// check demands what every record has. Those of others may lack a result: cosign's
// own examples do.
func (s *Scan) check() error {
	switch {
	case s.Metadata.Started.IsZero():
		return fmt.Errorf("vuln: %w: metadata.scanStartedOn is missing", ErrFormat)
	case s.Metadata.Finished.IsZero():
		return fmt.Errorf("vuln: %w: metadata.scanFinishedOn is missing", ErrFormat)
	}
	return nil
}
