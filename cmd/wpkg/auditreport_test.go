package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/wreg-project/wreg/registry/policy"
)

// exampleReport has a target of every outcome, and text that a format could
// stumble over.
func exampleReport(t *testing.T, failOn string) *auditReport {
	t.Helper()
	fails, err := thresholdOf(failOn)
	if err != nil {
		t.Fatal(err)
	}
	r := &auditReport{fails: fails, rules: []auditedRule{
		{policy: "net", rule: "no-sockets", description: "Sockets are for proxies.", mode: policy.Enforce, severity: policy.High},
		{policy: "net", rule: "small", mode: policy.Warn, severity: policy.Low},
	}}
	sockets := policy.Violation{
		Policy: "net", Rule: "no-sockets", Mode: policy.Enforce, Severity: policy.High,
		Message: "it opens sockets", Fact: `capabilities.reachable: ["net-connect"]`,
	}
	small := policy.Violation{
		Policy: "net", Rule: "small", Mode: policy.Warn, Severity: policy.Low,
		Message: "it is large", Fact: "report.size: 5242880", File: "bin/a.wasm",
	}
	r.add(audited{
		Name: "dist/a b.wasm", file: true, Size: 8, Digest: "sha256:" + strings.Repeat("a", 64),
		Violations: []policy.Violation{sockets, small},
	})
	r.add(audited{Name: "dist/clean.wasm", file: true, Size: 8})
	r.add(audited{
		Name: "127.0.0.1:5080/demo/app:1.0.0", Package: "demo:app", Version: "1.0.0", Digest: "sha256:" + strings.Repeat("b", 64),
		Tags: []string{"1.0.0"}, Violations: []policy.Violation{small},
	})
	r.add(audited{Name: "dist/gone.wasm", file: true, Error: "dist/gone.wasm: no such file\x1b[2J <&>"})
	return r
}

func TestAuditReportsAreAsBefore(t *testing.T) {
	r := exampleReport(t, "enforce")
	write := map[string]func(*bytes.Buffer) error{
		"audit.sarif": func(b *bytes.Buffer) error { return r.writeSARIF(b) },
		"audit.junit": func(b *bytes.Buffer) error { return r.writeJUnit(b) },
		"audit.json":  func(b *bytes.Buffer) error { return (&tool{out: b, format: formatJSON}).printAudit(r) },
		"audit.table": func(b *bytes.Buffer) error { return (&tool{out: b, format: formatTable}).printAudit(r) },
	}
	for name, write := range write {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

func TestSARIFIsValid(t *testing.T) {
	for _, r := range []*auditReport{exampleReport(t, "enforce"), exampleReport(t, "low"), {}} {
		var b bytes.Buffer
		if err := r.writeSARIF(&b); err != nil {
			t.Fatal(err)
		}
		doc, err := readSARIF(b.Bytes())
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		for _, run := range doc.Runs {
			for _, res := range run.Results {
				if got := *run.Tool.Driver.Rules[res.RuleIndex].ID; got != *res.RuleID {
					t.Errorf("result of %s has the index of rule %s", *res.RuleID, got)
				}
				place := res.Locations[0].PhysicalLocation.ArtifactLocation
				if got := *run.Artifacts[place.Index].Location.URI; got != *place.URI {
					t.Errorf("location %s has the index of artifact %s", *place.URI, got)
				}
			}
		}
		for right, wrong := range map[string]string{
			`"version": "2.1.0"`: `"version": 2.1`,
			`"ruleIndex": 0`:     `"ruleIndex": -2`,
			`"level": "error"`:   `"level": "grave"`,
			`"startLine": 1`:     `"startOfLine": 1`,
		} {
			broken := bytes.Replace(b.Bytes(), []byte(right), []byte(wrong), 1)
			if _, err := readSARIF(broken); err == nil && !bytes.Equal(broken, b.Bytes()) {
				t.Errorf("the validator takes %s", wrong)
			}
		}
	}
}

// readSARIF reads a log with go-sarif, with which the schema of OASIS comes.
func readSARIF(text []byte) (*sarif.Report, error) {
	known := json.NewDecoder(bytes.NewReader(text))
	known.DisallowUnknownFields()
	if err := known.Decode(&sarif.Report{}); err != nil {
		return nil, err
	}
	doc, err := sarif.FromBytes(text)
	if err != nil {
		return nil, err
	}
	// It validates what it would write itself, and it would write these, which may
	// be absent, as empty.
	for _, run := range doc.Runs {
		run.Language, run.Tool.Driver.Language, run.NewlineSequences = "en-US", "en-US", []string{"\n"}
	}
	return doc, doc.Validate()
}

func TestJUnitCounts(t *testing.T) {
	var b bytes.Buffer
	if err := exampleReport(t, "low").writeJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var doc junitSuites
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Tests != 7 || doc.Failures != 3 || doc.Errors != 1 || len(doc.Suites) != 4 {
		t.Errorf("%d tests, %d failures, %d errors in %d suites; want 7, 3, 1 in 4", doc.Tests, doc.Failures, doc.Errors, len(doc.Suites))
	}
}

func TestThresholds(t *testing.T) {
	tests := []struct {
		name     string
		failOn   string
		mode     policy.Mode
		severity policy.Severity
		want     bool
	}{
		{"an enforced rule by default", "enforce", policy.Enforce, policy.Info, true},
		{"a warning by default", "enforce", policy.Warn, policy.Critical, false},
		{"a warning if warnings fail", "warn", policy.Warn, policy.Low, true},
		{"an enforced rule if warnings fail", "warn", policy.Enforce, policy.Low, true},
		{"a note if warnings fail", "warn", policy.Audit, policy.Critical, false},
		{"a note if notes fail", "audit", policy.Audit, policy.Info, true},
		{"a severity that is named", "high", policy.Audit, policy.High, true},
		{"a severity above", "high", policy.Warn, policy.Critical, true},
		{"a severity below", "high", policy.Enforce, policy.Medium, false},
		{"never", "never", policy.Enforce, policy.Critical, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := thresholdOf(tt.failOn)
			if err != nil {
				t.Fatal(err)
			}
			v := policy.Violation{Mode: tt.mode, Severity: tt.severity}
			if got := at.reached(v); got != tt.want {
				t.Errorf("%s reached by %s %s = %t, want %t", tt.failOn, tt.mode, tt.severity, got, tt.want)
			}
			v.Approved = true
			if at.reached(v) {
				t.Errorf("%s reached by an approved violation", tt.failOn)
			}
		})
	}
	if _, err := thresholdOf("sometimes"); err == nil {
		t.Error("thresholdOf(sometimes) is no error")
	}
}
