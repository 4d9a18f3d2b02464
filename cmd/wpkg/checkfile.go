package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/registry/policy"
)

// checked is what a checkfile says of one binary: Modsurfer's report, and its
// name.
type checked struct {
	Name string `json:"name"`
	policy.CheckReport
}

// checkAll holds binaries against a checkfile. One that fails it is an error.
func (t *tool) checkAll(ctx context.Context, args []string, file string, fetch *fetchFlags) error {
	s, err := t.policySource(ctx, file)
	if err != nil {
		return err
	}
	check, err := readCheckfile(ctx, s, fetch)
	if err != nil {
		return err
	}
	a := &auditor{tool: t}
	a.needs.Hashes = slices.ContainsFunc(check.Exports.Include, func(f policy.CheckFunction) bool { return f.Hash != "" })
	var list []checked
	bad := 0
	for _, arg := range args {
		f, err := t.load(ctx, arg)
		if err != nil {
			return err
		}
		r, _, err := a.inspectFacts(f)
		if err != nil {
			return err
		}
		c := checked{Name: f.name, CheckReport: check.Check(r)}
		if !c.OK() {
			bad++
		}
		list = append(list, c)
	}
	if err := emitEach(t, list, checkRows(list)); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d do not keep to %s", bad, len(list), file)
	}
	return nil
}

// readCheckfile reads a mod.yaml, or what its url stands for.
func readCheckfile(ctx context.Context, s policySource, fetch *fetchFlags) (*policy.Checkfile, error) {
	for range 2 {
		p, err := s.parse()
		switch {
		case err != nil:
			return nil, err
		case p.Checkfile == nil:
			return nil, &usageError{text: s.from + ": it is no mod.yaml: it has no key validate", hint: "wpkg audit takes policies of any form"}
		case p.Checkfile.URL == "":
			return p.Checkfile, nil
		}
		if s, err = fetch.replace(ctx, s, p.Checkfile.URL); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s: it leads on to another url", s.from)
}

func checkRows(list []checked) [][]string {
	rows := [][]string{{"STATUS", "NAME", "PROPERTY", "EXPECTED", "ACTUAL", "CLASSIFICATION", "SEVERITY"}}
	for _, c := range list {
		switch {
		case c.Error != "":
			rows = append(rows, []string{"FAIL", c.Name, "", "", c.Error})
		case c.OK():
			rows = append(rows, []string{"PASS", c.Name})
		}
		for _, at := range slices.Sorted(maps.Keys(c.Fails)) {
			f := c.Fails[at]
			rows = append(rows, []string{"FAIL", c.Name, at, f.Expected, f.Actual, f.Classification, strings.Repeat("|", min(f.Severity, 10))})
		}
	}
	return rows
}
