package main

import (
	"encoding/xml"
	"io"
	"slices"

	"github.com/wreg-project/wreg/registry/policy"
)

// The elements of JUnit's XML, as CI servers read it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Failure *junitMessage `xml:"failure"`
		Error   *junitMessage `xml:"error"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes the report as JUnit XML: a suite for each target with a case
// for each rule. What could not be looked at is a suite with one error.
func (r *auditReport) writeJUnit(w io.Writer) error {
	doc := junitSuites{Name: "wpkg audit", Suites: []junitSuite{}}
	for _, a := range r.items {
		s := r.junitSuite(a)
		doc.Tests += s.Tests
		doc.Failures += s.Failures
		doc.Errors += s.Errors
		doc.Suites = append(doc.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *auditReport) junitSuite(a audited) junitSuite {
	s := junitSuite{Name: a.Name, Cases: []junitCase{}}
	file := ""
	if a.file {
		file = a.Name
	}
	if a.Error != "" {
		s.Cases = []junitCase{{
			Name: "audit", Class: "wpkg", File: file,
			Error: &junitMessage{Message: a.Error, Type: "error", Text: a.Error},
		}}
	} else {
		for _, rule := range r.rulesOf(a) {
			s.Cases = append(s.Cases, r.junitCase(a, rule, file))
		}
	}
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		}
	}
	return s
}

// rulesOf are all rules that were asked, with those that a violates and that are
// not in the list, as when a registry audits by itself.
func (r *auditReport) rulesOf(a audited) []auditedRule {
	rules := slices.Clone(r.rules)
	for _, v := range a.Violations {
		rules = slices.DeleteFunc(rules, func(x auditedRule) bool { return x.rule == checkfileRule && x.policy == v.Policy && v.Rule != x.rule })
		if !slices.ContainsFunc(rules, func(x auditedRule) bool { return x.id() == v.ID() }) {
			rules = append(rules, auditedRule{policy: v.Policy, rule: v.Rule, mode: v.Mode, severity: v.Severity})
		}
	}
	return rules
}

// junitCase is one rule. A violation that does not fail the audit is a passed case
// with output, as JUnit knows no warnings.
func (r *auditReport) junitCase(a audited, rule auditedRule, file string) junitCase {
	c := junitCase{Name: rule.rule, Class: rule.policy, File: file}
	for _, v := range a.Violations {
		if v.ID() != rule.id() {
			continue
		}
		text := violationText(v)
		if !r.fails.reached(v) {
			c.Output += text
			continue
		}
		if c.Failure == nil {
			c.Failure = &junitMessage{Message: inFile(v), Type: string(v.Severity)}
		}
		c.Failure.Text += text
	}
	return c
}

func violationText(v policy.Violation) string {
	text := inFile(v) + "\n"
	if v.Fact != "" {
		text += v.Fact + "\n"
	}
	return text
}
