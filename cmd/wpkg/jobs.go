package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
)

func (t *tool) jobsCommand() *cli.Command {
	var state string
	return &cli.Command{
		Name:  "jobs",
		Usage: "see and settle the work that a registry does after a push",
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list jobs that are not done",
				Description: `A job waits, is leased by a worker, or is dead after too many failures, until
somebody retries or drops it. Jobs that are done are gone.

   wpkg jobs list --state dead`,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "state", Usage: "only those in this `STATE`: waiting, leased or dead", Destination: &state},
				},
				Action: func(c *cli.Context) error {
					if err := arguments(c, 0, 0); err != nil {
						return err
					}
					switch s := wire.JobState(state); s {
					case "", wire.JobWaiting, wire.JobLeased, wire.JobDead:
						return t.listJobs(c.Context, s)
					}
					return usagef("jobs list: --state %s: it is waiting, leased or dead", term.Clean(state))
				},
			},
			t.jobCommand("retry", "do dead or waiting jobs now", "retried", (*client.Catalog).RetryJob),
			t.jobCommand("drop", "forget dead or waiting jobs", "dropped", (*client.Catalog).DropJob),
		},
	}
}

func (t *tool) listJobs(ctx context.Context, state wire.JobState) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	var all wire.JobList
	cursor := ""
	for page := 0; page == 0 || cursor != ""; page++ {
		if page == client.MaxPages {
			return fmt.Errorf("jobs of %s: %w: more than %d pages", c.Host(), client.ErrTooLarge, client.MaxPages)
		}
		res, err := c.Jobs(ctx, state, cursor)
		if err != nil {
			return fmt.Errorf("jobs: %w", err)
		}
		all.Items, all.Counts = append(all.Items, res.Items...), res.Counts
		cursor = res.Next
	}
	rows := [][]string{{"ID", "KIND", "ABOUT", "STATE", "ATTEMPTS", "DUE", "FAILURE"}}
	for _, j := range all.Items {
		rows = append(rows, []string{
			strconv.FormatInt(j.ID, 10), j.Kind, j.Key, string(j.State), strconv.Itoa(j.Attempts), timeText(j.Due), j.Failure,
		})
	}
	if err := emitEach(t, all.Items, rows); err != nil || t.structured() || len(all.Counts) == 0 {
		return err
	}
	rows = [][]string{{"KIND", "WAITING", "LEASED", "DEAD"}}
	for _, n := range all.Counts {
		rows = append(rows, []string{n.Kind, strconv.Itoa(n.Waiting), strconv.Itoa(n.Leased), strconv.Itoa(n.Dead)})
	}
	return t.part(rows)
}

// settled is a job that somebody acted on.
type settled struct {
	ID   int64  `json:"id"`
	Done string `json:"done"` // "retried" or "dropped"
}

func (t *tool) jobCommand(name, usage, done string, act func(*client.Catalog, context.Context, int64) error) *cli.Command {
	return &cli.Command{
		Name:      name,
		Usage:     usage,
		ArgsUsage: "ID...",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			var ids []int64
			for _, arg := range c.Args().Slice() {
				id, err := strconv.ParseInt(arg, 10, 64)
				if err != nil || id < 1 {
					return &usageError{text: fmt.Sprintf("jobs %s %s: it is no id of a job", name, arg), hint: "wpkg jobs list shows them"}
				}
				ids = append(ids, id)
			}
			all, err := t.catalog()
			if err != nil {
				return err
			}
			var list []settled
			rows := [][]string{{"ID", "DONE"}}
			for _, id := range ids {
				if err := act(all, c.Context, id); err != nil {
					return fmt.Errorf("jobs %s %d: %w", name, id, err)
				}
				list = append(list, settled{ID: id, Done: done})
				rows = append(rows, []string{strconv.FormatInt(id, 10), done})
			}
			return emitEach(t, list, rows)
		},
	}
}

func (t *tool) reindexCommand() *cli.Command {
	var everything bool
	return &cli.Command{
		Name:      "reindex",
		Usage:     "have a registry inspect and index packages again",
		ArgsUsage: "[REF]",
		Description: `REF is a package, or one manifest of it by its digest. The registry makes jobs,
which wpkg jobs list shows.

   wpkg reindex demo/app
   wpkg reindex --all`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "everything that the default registry stores", Destination: &everything, DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			if everything == (c.NArg() > 0) {
				return &usageError{text: "reindex: a package or --all", hint: "wpkg reindex REF"}
			}
			return t.inRepository(c, func(at cataloged) error {
				if at.version != "" && at.ref.Digest == "" {
					v, err := at.Version(c.Context, at.repo, at.version)
					if err != nil {
						return fmt.Errorf("reindex %s: %w", at.ref, err)
					}
					at.ref.Digest = v.Digest
				}
				res, err := at.Reindex(c.Context, at.repo, at.ref.Digest)
				if err != nil {
					return fmt.Errorf("reindex: %w", err)
				}
				return t.emit(res, [][]string{{"ENQUEUED"}, {strconv.Itoa(res.Enqueued)}})
			})
		},
	}
}
