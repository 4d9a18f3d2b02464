package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
)

func (t *tool) policyCommand() *cli.Command {
	return &cli.Command{
		Name:  "policy",
		Usage: "write, test and install the policies of a registry",
		Description: `Policies are YAML files of named rules; docs/spec/policy.md has the language.

   wpkg policy ready no-network > no-network.yaml
   wpkg policy test no-network.yaml --passes good.wasm --fails bad.wasm
   wpkg policy dry-run no-network.yaml
   wpkg policy put no-network.yaml`,
		Subcommands: []*cli.Command{
			t.policyReadyCommand(),
			t.policyTestCommand(),
			t.policyListCommand(),
			t.policyGetCommand(),
			t.policyPutCommand(),
			t.policyRmCommand(),
			t.policyVersionsCommand(),
			t.policyDryRunCommand(),
			t.policyDecisionsCommand(),
		},
	}
}

// readyView is what ready says of a policy.
type readyView struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Rules       int    `json:"rules"`
}

func (t *tool) policyReadyCommand() *cli.Command {
	return &cli.Command{
		Name:      "ready",
		Usage:     "list the policies that come with wpkg, or print one",
		ArgsUsage: "[NAME]",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			if c.NArg() > 0 {
				p, err := readyPolicy(c.Args().First())
				if err != nil {
					return err
				}
				_, err = t.out.Write(p.Source)
				return err
			}
			var list []readyView
			rows := [][]string{{"NAME", "DESCRIPTION"}}
			for _, ready := range policy.Ready() {
				p, err := policySource{name: ready.Name, from: readyPrefix + ready.Name, text: ready.Source}.parse()
				if err != nil {
					return err
				}
				v := readyView{Name: ready.Name, Description: p.Description, Rules: len(p.Rules)}
				list = append(list, v)
				rows = append(rows, []string{v.Name, oneLine(v.Description)})
			}
			return emitEach(t, list, rows)
		},
	}
}

// oneLine puts a text into one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (t *tool) policyTestCommand() *cli.Command {
	var passes, fails cli.StringSlice
	return &cli.Command{
		Name:      "test",
		Usage:     "hold a policy against examples",
		ArgsUsage: "POLICY [CASES...]",
		Description: `CASES are files of example facts with what the policy has to say of them; without
any, it is the file beside POLICY whose name ends in .test.yaml, if there is one.
--passes and --fails name real binaries. The status is 3 if one case fails.

   wpkg policy test no-network.yaml
   wpkg policy test no-network.yaml --passes hello.wasm --fails curl.wasm`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{
				Name: "passes", Usage: "this `FILE or REF` has to keep to the policy", Destination: &passes, TakesFile: true,
			},
			&cli.StringSliceFlag{
				Name: "fails", Usage: "this `FILE or REF` has to break a rule of mode enforce", Destination: &fails, TakesFile: true,
			},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			return t.policyTest(c.Context, c.Args().First(), c.Args().Tail(), passes.Value(), fails.Value())
		},
	}
}

func (t *tool) policyTest(ctx context.Context, arg string, files, passes, fails []string) error {
	s, err := t.policySource(ctx, arg)
	if err != nil {
		return err
	}
	p, err := s.parse()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		beside := strings.TrimSuffix(arg, filepath.Ext(arg)) + ".test.yaml"
		if _, err := os.Stat(beside); err == nil {
			files = []string{beside}
		} else if len(passes)+len(fails) == 0 {
			return &usageError{
				text: fmt.Sprintf("policy test %s: by which cases? there is no %s", arg, beside),
				hint: "wpkg policy test POLICY CASES, or --passes FILE and --fails FILE",
			}
		}
	}
	var results policy.Results
	for _, file := range files {
		rs, err := testFile(s, p, file)
		if err != nil {
			return err
		}
		results = append(results, rs...)
	}
	real, err := t.testBinaries(ctx, s, passes, fails)
	if err != nil {
		return err
	}
	return t.printTest(append(results, real...))
}

// testFile holds p against the cases of one file.
func testFile(s policySource, p *policy.Policy, file string) (policy.Results, error) {
	text, err := readSmall(file, maxPolicy)
	if err != nil {
		return nil, err
	}
	cases, err := policy.ParseCases(text)
	if err != nil {
		return nil, policySource{from: file, text: text}.fault(err)
	}
	rs, err := policy.Test(p, cases)
	if err != nil {
		return nil, s.fault(err)
	}
	return rs, nil
}

// testBinaries holds the policy against real binaries.
func (t *tool) testBinaries(ctx context.Context, s policySource, passes, fails []string) (policy.Results, error) {
	if len(passes)+len(fails) == 0 {
		return nil, nil
	}
	a := &auditor{tool: t}
	if err := a.use(ctx, s, &fetchFlags{}); err != nil {
		return nil, err
	}
	var out policy.Results
	for i, arg := range slices.Concat(passes, fails) {
		f, err := t.load(ctx, arg)
		if err != nil {
			return nil, err
		}
		facts, err := a.facts(ctx, f)
		if err != nil {
			return nil, err
		}
		r := policy.CaseResult{Case: arg, Result: a.set.Eval(ctx, facts)}
		switch denied := len(r.Result.Denials()) > 0; {
		case i < len(passes) && denied:
			for _, v := range r.Result.Denials() {
				r.Faults = append(r.Faults, "it has to pass: "+v.Reason())
			}
		case i >= len(passes) && !denied:
			r.Faults = []string{"it has to fail, and no rule of mode enforce is violated"}
		}
		r.Passed = len(r.Faults) == 0
		out = append(out, r)
	}
	return out, nil
}

func (t *tool) printTest(rs policy.Results) error {
	rows := [][]string{{"CASE", "PASSED", "FAULT"}}
	for _, r := range rs {
		if r.Passed {
			rows = append(rows, []string{r.Case, "yes"})
		}
		for _, fault := range r.Faults {
			rows = append(rows, []string{r.Case, "no", fault})
		}
	}
	if err := emitEach(t, rs, rows); err != nil {
		return err
	}
	if !rs.Passed() {
		return errFinding
	}
	return nil
}

func (t *tool) policyListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the policies in force in a registry",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			return t.listPolicies(func(all *client.Catalog, add func([]wire.Policy) error) error { return all.Policies(c.Context, add) })
		},
	}
}

func (t *tool) policyVersionsCommand() *cli.Command {
	return &cli.Command{
		Name:      "versions",
		Usage:     "list all versions of a policy, newest first",
		ArgsUsage: "NAME",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			return t.listPolicies(func(all *client.Catalog, add func([]wire.Policy) error) error {
				return all.PolicyVersions(c.Context, c.Args().First(), add)
			})
		},
	}
}

func (t *tool) listPolicies(ask func(*client.Catalog, func([]wire.Policy) error) error) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	list := []wire.Policy{}
	err = ask(c, func(page []wire.Policy) error {
		list = append(list, page...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	rows := [][]string{{"NAME", "VERSION", "BY", "WHEN", "STATE"}}
	for _, p := range list {
		state := ""
		if p.Deleted {
			state = "removed"
		}
		rows = append(rows, []string{p.Name, strconv.FormatInt(p.Version, 10), p.Author, timeText(p.Created), state})
	}
	return emitEach(t, list, dropEmpty(rows, "STATE"))
}

func (t *tool) policyGetCommand() *cli.Command {
	var number int64
	return &cli.Command{
		Name:      "get",
		Usage:     "print the text of a policy of a registry",
		ArgsUsage: "NAME",
		Flags: []cli.Flag{
			&cli.Int64Flag{Name: "version", Usage: "an earlier version by its `NUMBER`", Destination: &number},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			p, err := t.getPolicy(c.Context, c.Args().First(), number)
			if err != nil {
				return err
			}
			if t.structured() {
				return t.emitValue(p)
			}
			_, err = io.WriteString(t.out, term.CleanLines(p.Source))
			return err
		},
	}
}

// getPolicy reads a policy, the current version if number is 0.
func (t *tool) getPolicy(ctx context.Context, name string, number int64) (*wire.Policy, error) {
	c, err := t.catalog()
	if err != nil {
		return nil, err
	}
	if number == 0 {
		p, err := c.Policy(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", name, err)
		}
		return p, nil
	}
	var found *wire.Policy
	err = c.PolicyVersions(ctx, name, func(page []wire.Policy) error {
		for _, p := range page {
			if p.Version == number {
				found = &p
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	if found == nil {
		return nil, &hinted{fmt.Errorf("policy %s: it has no version %d", name, number), "wpkg policy versions " + name + " lists them"}
	}
	return found, nil
}

func (t *tool) policyPutCommand() *cli.Command {
	var name string
	return &cli.Command{
		Name:      "put",
		Usage:     "install a policy in a registry, or a new version of it",
		ArgsUsage: "FILE|ready:NAME",
		Description: `The name is the one in the file, else that of the file. The policy is in force for
what is pushed from now on; what is stored is judged again, which takes a moment.
wpkg policy dry-run tells before what it would refuse.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "install it as `NAME`", Destination: &name},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			s, err := t.policySource(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			p, err := s.parse()
			if err != nil {
				return err
			}
			if _, err := policy.Compile(p); err != nil {
				return s.fault(err)
			}
			if name == "" {
				name = p.Name
			}
			all, err := t.catalog()
			if err != nil {
				return err
			}
			stored, err := all.PutPolicy(c.Context, name, string(s.text))
			if err != nil {
				return fmt.Errorf("policy put %s: %w", name, err)
			}
			return t.emit(stored, [][]string{{"NAME", "VERSION"}, {stored.Name, strconv.FormatInt(stored.Version, 10)}})
		},
	}
}

func (t *tool) policyRmCommand() *cli.Command {
	return &cli.Command{
		Name:      "rm",
		Usage:     "put a policy of a registry out of force; its versions stay",
		ArgsUsage: "NAME",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			name := c.Args().First()
			all, err := t.catalog()
			if err != nil {
				return err
			}
			if err := all.DeletePolicy(c.Context, name); err != nil {
				return fmt.Errorf("policy rm %s: %w", name, err)
			}
			out := removed{Reference: name, Removed: "policy"}
			return t.emit(out, [][]string{{"REMOVED", "NAME"}, {out.Removed, out.Reference}})
		},
	}
}

func (t *tool) policyDryRunCommand() *cli.Command {
	var req wire.DryRunRequest
	return &cli.Command{
		Name:      "dry-run",
		Usage:     "say what a policy would refuse of what a registry stores",
		ArgsUsage: "[FILE|ready:NAME|registry:NAME]",
		Description: `Unlike audit --all it keeps to the scope of the policy and to one action. Without
an argument it is about all policies in force. The status is 3 if something would
be refused.

   wpkg policy dry-run no-network.yaml
   wpkg policy dry-run registry:no-network --action push --query 'lang:rust'`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "action", Usage: "judge this `ACTION`: push, tag, pull or promote; pull by default", Destination: &req.Action},
			&cli.StringFlag{Name: "query", Usage: "only what this `QUERY` of search finds", Destination: &req.Query},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			name := ""
			if stored, ok := strings.CutPrefix(c.Args().First(), registryPrefix); ok {
				req.Name = stored
			} else if c.NArg() > 0 {
				s, err := t.policySource(c.Context, c.Args().First())
				if err != nil {
					return err
				}
				p, err := s.parse()
				if err != nil {
					return err
				}
				req.Source, name = string(s.text), p.Name
			}
			return t.dryRun(c.Context, req, name)
		},
	}
}

// dryRun asks for a verdict on what is stored, by the policy called name, or with
// "" by those in the request.
func (t *tool) dryRun(ctx context.Context, req wire.DryRunRequest, name string) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	a := &auditor{tool: t, report: auditReport{fails: threshold{name: string(policy.Enforce), mode: policy.Enforce}}}
	req.Limit = auditPage
	err = a.pages(c, req.Query, func(cursor string) (*wire.AuditResult, error) {
		req.Cursor = cursor
		return c.DryRun(ctx, req)
	}, func(f wire.Finding) {
		item := auditedVersion(c.Host(), f)
		item.Violations = violations(f.Violations, name)
		a.report.add(item)
	})
	if err != nil {
		return fmt.Errorf("policy dry-run: %w", err)
	}
	a.report.passed = a.scanned - a.skipped - len(a.report.items)
	if err := t.printAudit(&a.report); err != nil {
		return err
	}
	return a.verdict()
}

// maxDecisions bounds --limit of decisions, which is the bound of a page.
const maxDecisions = 1000

func (t *tool) policyDecisionsCommand() *cli.Command {
	var outcome string
	var limit int
	return &cli.Command{
		Name:      "decisions",
		Usage:     "list what the policies of a registry decided, newest first",
		ArgsUsage: "[REPO|REF]",
		Description: `A decision is of a push, a tag, or a verdict on what is stored, with the rules that
were violated and the facts that broke them.

   wpkg policy decisions --outcome deny
   wpkg policy decisions demo/app --output json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "outcome", Usage: "only what was as bad as `OUTCOME`: allow, warn or deny", Destination: &outcome},
			&cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Value: 50, Usage: "show at most `N`", Destination: &limit},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			f := client.DecisionFilter{Outcome: wire.Verdict(outcome)}
			switch {
			case limit < 1 || limit > maxDecisions:
				return usagef("policy decisions: --limit %d: it is from 1 to %d", limit, maxDecisions)
			case !slices.Contains([]wire.Verdict{"", wire.VerdictAllow, wire.VerdictWarn, wire.VerdictDeny}, f.Outcome):
				return usagef("policy decisions: --outcome %s: it is allow, warn or deny", term.Clean(outcome))
			}
			return t.inRepository(c, func(at cataloged) error {
				f.Repo, f.Digest = at.repo, at.ref.Digest
				if at.version != "" && f.Digest == "" {
					v, err := at.Version(c.Context, at.repo, at.version)
					if err != nil {
						return fmt.Errorf("policy decisions %s: %w", at.ref, err)
					}
					f.Digest = v.Digest
				}
				page, err := at.Decisions(c.Context, f, limit, "")
				if err != nil {
					return fmt.Errorf("policy decisions: %w", err)
				}
				return emitEach(t, page.Items, decisionRows(page.Items))
			})
		},
	}
}

func decisionRows(list []wire.Decision) [][]string {
	rows := [][]string{{"WHEN", "ACTION", "OUTCOME", "NAME", "TAGS", "DIGEST", "BY", "WHY"}}
	for _, d := range list {
		why := ""
		if len(d.Violations) > 0 {
			why = reasonText(d.Violations[0])
			if n := len(d.Violations) - 1; n > 0 {
				why += fmt.Sprintf(" (and %d more)", n)
			}
		}
		rows = append(rows, []string{
			timeText(d.Time), d.Action, string(d.Outcome), d.Repository, strings.Join(d.Tags, " "), shortDigest(d.Digest.String()),
			d.Principal, clip(why, maxMessageCell),
		})
	}
	return rows
}
