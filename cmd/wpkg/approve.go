package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

func (t *tool) approveCommand() *cli.Command {
	var rule, reason string
	var withdraw bool
	return &cli.Command{
		Name:      "approve",
		Usage:     "let a package pass in spite of a rule",
		ArgsUsage: "REF",
		Description: `An approval is of a digest. REF names it, or the tag under which it was refused
and is kept in quarantine. Once it is approved, pushing it again succeeds.
Without --rule it is of every rule. --withdraw ends an approval; approvals lists
those in force.

   wpkg quarantine list
   wpkg approve demo/app@sha256:… --rule no-network/sockets --reason 'reviewed, ticket 1234'`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "rule", Usage: "of this rule, `POLICY/RULE`", Destination: &rule},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` that is kept with the approval", Destination: &reason},
			&cli.BoolFlag{Name: "withdraw", Usage: "end the approval", Destination: &withdraw, DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			arg := c.Args().First()
			if !withdraw && strings.TrimSpace(reason) == "" {
				return &usageError{text: fmt.Sprintf("approve %s: why?", arg), hint: "--reason TEXT is kept with the approval"}
			}
			at, err := t.cataloged(c.Context, arg)
			if err != nil {
				return err
			}
			d, err := refused(c.Context, at)
			if err != nil {
				return err
			}
			if withdraw {
				if err := at.Withdraw(c.Context, at.repo, d, rule); err != nil {
					return fmt.Errorf("approve --withdraw %s: %w", arg, err)
				}
				gone := wire.Approval{Package: wire.PackageName(at.repo), Repository: at.repo, Digest: d, Rule: rule}
				return t.emit(gone, approvalRows([]wire.Approval{gone}))
			}
			a, err := at.Approve(c.Context, at.repo, d, rule, reason)
			if err != nil {
				return fmt.Errorf("approve %s: %w", arg, err)
			}
			return t.emit(a, approvalRows([]wire.Approval{*a}))
		},
	}
}

// refused is the digest that a reference names, by itself or by a tag under which
// something lies in quarantine or is stored.
func refused(ctx context.Context, at cataloged) (digest.Digest, error) {
	if at.ref.Digest != "" {
		return at.ref.Digest, nil
	}
	var newest wire.Quarantine
	err := at.Quarantine(ctx, func(page []wire.Quarantine) error {
		for _, q := range page {
			if q.Repository == at.repo && (at.version == "" || slices.Contains(q.Tags, at.version)) && q.Created.After(newest.Created) {
				newest = q
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("quarantine: %w", err)
	}
	if newest.Digest != "" {
		return newest.Digest, nil
	}
	if at.version != "" {
		if v, err := at.Version(ctx, at.repo, at.version); err == nil {
			return v.Digest, nil
		}
	}
	return "", &hinted{
		fmt.Errorf("%s: nothing of that name is in quarantine or stored", at.ref),
		"wpkg quarantine list shows what was refused",
	}
}

func approvalRows(list []wire.Approval) [][]string {
	rows := [][]string{{"NAME", "DIGEST", "RULE", "BY", "WHEN", "REASON"}}
	for _, a := range list {
		rule := a.Rule
		if rule == "" {
			rule = "(every rule)"
		}
		rows = append(rows, []string{a.Repository, a.Digest.String(), rule, a.By, timeText(a.Time), a.Reason})
	}
	return rows
}

// timeText is a time to the minute, "" for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

func (t *tool) approvalsCommand() *cli.Command {
	return &cli.Command{
		Name:      "approvals",
		Usage:     "list the approvals in force",
		ArgsUsage: "[REPO]",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			list := []wire.Approval{}
			add := func(page []wire.Approval) error {
				list = append(list, page...)
				return nil
			}
			err := t.inRepository(c, func(at cataloged) error { return at.Approvals(c.Context, at.repo, add) })
			if err != nil {
				return fmt.Errorf("approvals: %w", err)
			}
			return emitEach(t, list, approvalRows(list))
		},
	}
}

// inRepository asks the registry of the first argument about that package, or
// without one the default registry about all.
func (t *tool) inRepository(c *cli.Context, ask func(cataloged) error) error {
	if c.NArg() > 0 {
		at, err := t.cataloged(c.Context, c.Args().First())
		if err != nil {
			return err
		}
		return ask(at)
	}
	all, err := t.catalog()
	if err != nil {
		return err
	}
	return ask(cataloged{Catalog: all})
}

func (t *tool) quarantineCommand() *cli.Command {
	return &cli.Command{
		Name:  "quarantine",
		Usage: "see what policies refused",
		Subcommands: []*cli.Command{{
			Name:  "list",
			Usage: "list what was refused and is kept for approvers",
			Action: func(c *cli.Context) error {
				if err := arguments(c, 0, 0); err != nil {
					return err
				}
				return t.quarantine(c.Context)
			},
		}},
	}
}

func (t *tool) quarantine(ctx context.Context) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	list, rows := []wire.Quarantine{}, [][]string{{"NAME", "TAGS", "DIGEST", "BY", "REFUSED", "UNTIL"}}
	err = c.Quarantine(ctx, func(page []wire.Quarantine) error {
		for _, q := range page {
			rows = append(rows, []string{
				q.Repository, strings.Join(q.Tags, " "), q.Digest.String(), q.Uploader, timeText(q.Created), timeText(q.Until),
			})
		}
		list = append(list, page...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return emitEach(t, list, rows)
}
