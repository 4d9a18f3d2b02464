package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/registry/policy"
)

// auditFlags are the flags of audit.
type auditFlags struct {
	policies cli.StringSlice
	modYAML  string
	failOn   string
	out      string
	subject  subjectFlags
	fetch    fetchFlags
	known    advisoryFlags
	trust    trustFlags

	all   bool
	query string
}

// subjectFlags say what a file is that is no package yet.
type subjectFlags struct {
	name, version string
	previous      string
}

func (t *tool) auditCommand() *cli.Command {
	var f auditFlags
	return &cli.Command{
		Name:      "audit",
		Usage:     "say whether Wasm keeps to policies",
		ArgsUsage: "FILE|REF|LAYOUT|FOLDER...",
		Description: `Holds each binary against policies, which are files (wreg's own form, or a
mod.yaml), ready:NAME from the set that comes with wpkg, or registry:NAME from
the default registry. All of their rules are asked, whatever their scope. Below
a FOLDER every file that ends in .wasm is looked at; a LAYOUT without a tag
stands for all of its tags. With --all the registry audits what it stores.

The status is 3 if a rule of mode enforce is violated, or what --fail-on says.
--output takes sarif (2.1.0, for code scanning) and junit besides.

Rules about vulnerabilities need advisories, which are found as scan finds them;
without any such rules are violated. Those about exploited ones need --kev.
Rules about signatures are asked with those that the trust policy believes (wpkg
trust); without one they are violated. A registry's audit takes its own.

   wpkg audit app.wasm -p ready:no-network
   wpkg audit dist -p policy.yaml --output sarif -o audit.sarif
   wpkg audit app.wasm -p ready:no-critical-vulnerabilities --db Go/all.zip
   wpkg audit demo:hello@1.2.0 --mod-yaml mod.yaml --fail-on high
   wpkg audit --all --query 'lang:rust' -p policy.yaml --output json`,
		Flags: append(append(f.fetch.flags(), f.known.flags()...),
			&cli.StringSliceFlag{
				Name: "policy", Aliases: []string{"p"}, Usage: "ask this `POLICY`; may be repeated", Destination: &f.policies, TakesFile: true,
			},
			&cli.StringFlag{Name: "mod-yaml", Usage: "ask this `FILE` of Modsurfer's form", Destination: &f.modYAML, TakesFile: true},
			&cli.StringFlag{
				Name: "fail-on", Value: string(policy.Enforce), Destination: &f.failOn,
				Usage: "end with status 3 from this `LEVEL` on: enforce, warn or audit; critical, high, medium, low or info; or never",
			},
			&cli.StringFlag{Name: "o", Usage: "write the report to this `FILE`", Destination: &f.out, TakesFile: true},
			&cli.StringFlag{Name: "name", Usage: "judge files as the package `REPOSITORY`", Destination: &f.subject.name},
			&cli.StringFlag{Name: "version", Usage: "judge files as this `VERSION`", Destination: &f.subject.version},
			&cli.StringFlag{Name: "previous", Usage: "the version before is this `FILE or REF`, or none", Destination: &f.subject.previous},
			f.trust.policyFlag(),
			&cli.BoolFlag{Name: "all", Usage: "audit the default registry, or what --query chooses", Destination: &f.all, DisableDefaultText: true},
			&cli.StringFlag{Name: "query", Usage: "with --all, only what this `QUERY` of search finds", Destination: &f.query},
		),
		Action: func(c *cli.Context) error {
			if err := f.check(c); err != nil {
				return err
			}
			return t.audit(c.Context, c.Args().Slice(), &f)
		},
	}
}

// check refuses flags and arguments that do not go together.
func (f *auditFlags) check(c *cli.Context) error {
	switch {
	case f.all && c.NArg() > 0:
		return &usageError{text: "audit: --all and arguments: one of them", hint: "--registry names the registry that --all is for"}
	case f.all && (f.subject != subjectFlags{}):
		return usagef("audit: --name, --version and --previous are for files")
	case f.all && (len(f.known.vex.Value()) > 0 || f.known.epss != "" || f.known.kev != ""):
		return usagef("audit: --vex, --epss and --kev are for what is looked at here; a registry has its own")
	case !f.all && f.query != "":
		return &usageError{text: "audit: --query chooses among what a registry stores", hint: "wpkg audit --all --query " + f.query}
	case !f.all:
		if err := arguments(c, 1, -1); err != nil {
			return err
		}
	}
	if len(f.policies.Value()) == 0 && f.modYAML == "" {
		return &usageError{text: "audit: by which policy?", hint: "-p FILE, or -p ready:NAME; wpkg policy ready lists these"}
	}
	if f.subject.name != "" {
		if err := ref.CheckName(repositoryOf(f.subject.name)); err != nil {
			return usagef("--name: %v", err)
		}
	}
	if f.subject.version != "" {
		if _, err := ref.TagOf(f.subject.version); err != nil {
			return usagef("--version: %v", err)
		}
	}
	return nil
}

// repositoryOf reads a package's name as a repository: "ns:name" is "ns/name".
func repositoryOf(name string) string { return strings.ReplaceAll(name, ":", "/") }

func (t *tool) audit(ctx context.Context, args []string, f *auditFlags) error {
	fails, err := thresholdOf(f.failOn)
	if err != nil {
		return err
	}
	sources, err := t.auditSources(ctx, f)
	if err != nil {
		return err
	}
	a := &auditor{tool: t, subject: f.subject, report: auditReport{fails: fails}}
	for _, s := range sources {
		if err := a.use(ctx, s, &f.fetch); err != nil {
			return err
		}
	}
	if f.all {
		err = a.auditRegistry(ctx, f.query)
	} else {
		err = a.auditHere(ctx, args, &f.known, &f.trust)
	}
	if err != nil {
		return err
	}
	if err := t.writeAudit(&a.report, f.out); err != nil {
		return err
	}
	return a.verdict()
}

// auditSources reads the policies that the flags name.
func (t *tool) auditSources(ctx context.Context, f *auditFlags) ([]policySource, error) {
	var sources []policySource
	args := f.policies.Value()
	if f.modYAML != "" {
		args = append(slices.Clone(args), f.modYAML)
	}
	for i, arg := range args {
		s, err := t.policySource(ctx, arg)
		if err != nil {
			return nil, err
		}
		if f.modYAML != "" && i == len(args)-1 {
			p, err := s.parse()
			if err != nil {
				return nil, err
			}
			if p.Checkfile == nil {
				return nil, &usageError{text: fmt.Sprintf("--mod-yaml %s: it is no mod.yaml", arg), hint: "-p " + arg}
			}
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// writeAudit writes the report in the format asked for, to a file or to standard
// output.
func (t *tool) writeAudit(r *auditReport, file string) error {
	if file == "" {
		return t.printAudit(r)
	}
	var b strings.Builder
	to := *t
	to.out = &b
	if err := to.printAudit(r); err != nil {
		return err
	}
	return durable.WriteFile(file, []byte(b.String()), 0o644)
}

func (t *tool) printAudit(r *auditReport) error {
	switch t.format {
	case formatSARIF:
		return r.writeSARIF(t.out)
	case formatJUnit:
		return r.writeJUnit(t.out)
	}
	if err := emitEach(t, r.items, r.rows()); err != nil || t.structured() {
		return err
	}
	if _, err := fmt.Fprintf(t.out, "\n%s\n", r.summary()); err != nil {
		return err
	}
	for _, h := range r.hints() {
		if _, err := fmt.Fprintf(t.out, "hint: %s\n", h); err != nil {
			return err
		}
	}
	return nil
}
