package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/sbom"
)

// similarSBOM shows a bill of materials and beside it which packages of the
// registry share functions: a rebuild of something known with other flags looks
// like it, and proves nothing.
func (t *tool) similarSBOM(ctx context.Context, arg string, d *sbom.Document) error {
	at, err := t.cataloged(ctx, arg)
	if err != nil {
		return err
	}
	if err := at.latest(ctx); err != nil {
		return err
	}
	list, err := at.Similar(ctx, at.repo, at.version)
	if err != nil {
		return fmt.Errorf("similar packages of %s: %w", at.ref, err)
	}
	if t.structured() {
		return t.emitValue(struct {
			SBOM    *sbom.Document `json:"sbom"`
			Similar []wire.Similar `json:"similar"`
		}{d, list})
	}
	if err := t.printSBOM(d); err != nil {
		return err
	}
	fmt.Fprintln(t.out)
	if len(list) == 0 {
		_, err := fmt.Fprintln(t.out, "no other package here that you may pull shares functions with it")
		return err
	}
	return term.Table(t.out, similarRows(list))
}

// similarRows lists packages with the part of their own functions that is shared,
// the greatest part first: of a library and of a program that has it among much
// else, the library is what this may be a build of.
func similarRows(list []wire.Similar) [][]string {
	rows := [][]string{{"SIMILAR, NO COMPONENT", "SHARES", "OF FUNCTIONS"}}
	part := func(s wire.Similar) int { return 100 * s.Shared / max(s.Sample, 1) }
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b wire.Similar) int { return part(b) - part(a) })
	for _, s := range list {
		version := s.Version
		if version == "" {
			version = s.Digest.String()
		}
		rows = append(rows, []string{s.Repository + "@" + version, fmt.Sprintf("%d%%", part(s)), fmt.Sprint(s.Functions)})
	}
	return rows
}
