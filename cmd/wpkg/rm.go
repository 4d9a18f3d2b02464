package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/urfave/cli/v2"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
)

// removed is what was deleted.
type removed struct {
	Reference string `json:"reference"`
	Removed   string `json:"removed"` // "tag" or "manifest"
}

func (t *tool) rmCommand() *cli.Command {
	var yes bool
	return &cli.Command{
		Name:      "rm",
		Usage:     "delete a tag, or a package by its digest",
		ArgsUsage: "REF",
		Description: `REF ends in a tag or digest. A tag goes alone, and its package stays reachable by
its digest; a digest goes with all of its tags.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", Destination: &yes},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			r, err := t.reference(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			if r.Tag == "" && r.Digest == "" {
				return &usageError{text: fmt.Sprintf("rm: %s: which version?", c.Args().First()), hint: "wpkg list " + r.Name() + " shows them"}
			}
			if !yes {
				if err := t.confirm("delete " + r.String() + "?"); err != nil {
					return err
				}
			}
			return t.rm(c, r)
		},
	}
}

func (t *tool) rm(c *cli.Context, r ref.Reference) error {
	target, err := t.target(c.Context, r, false)
	if err != nil {
		return err
	}
	out := removed{Reference: r.String(), Removed: "tag"}
	if r.Digest == "" {
		err = target.Untag(c.Context, r.Tag)
	} else {
		out.Removed = "manifest"
		d, rerr := target.Resolve(c.Context, r.Digest.String())
		if err = rerr; err == nil {
			err = target.Delete(c.Context, d)
		}
	}
	var answer *errcode.ErrorResponse
	switch {
	case errors.Is(err, client.ErrNotFound):
		return absent(c.Context, target, r, r.Version(), err)
	case errors.As(err, &answer) && r.Digest == "" &&
		(answer.StatusCode == http.StatusMethodNotAllowed || answer.StatusCode == http.StatusBadRequest):
		return &hinted{fmt.Errorf("rm %s: %w", r, err), "the registry does not delete tags; rm with the digest deletes the package with all of its tags"}
	case err != nil:
		return fmt.Errorf("rm %s: %w", r, err)
	}
	return t.emit(out, [][]string{{"REMOVED", "REFERENCE"}, {out.Removed, out.Reference}})
}

// confirm asks on the terminal. Without one there is nobody to ask.
func (t *tool) confirm(question string) error {
	if !term.IsTerminal(t.in) {
		return &usageError{text: question + " nobody is there to ask", hint: "--yes says yes"}
	}
	fmt.Fprintf(t.err, "%s [y/N] ", term.Clean(question))
	answer, err := bufio.NewReader(t.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}
