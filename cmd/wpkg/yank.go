package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/registry/client"
)

// noticed is what was said about a version.
type noticed struct {
	Reference string `json:"reference"`
	Action    string `json:"action"` // "yank", "unyank", "deprecate" or "undeprecate"
	Reason    string `json:"reason,omitempty"`
}

func (t *tool) yankCommand() *cli.Command {
	return t.noticeCommand(client.Yank, "take a version out of lists and ranges", true,
		`A yanked version is in no list of tags, and no range stands for it; whoever
names its tag or digest still gets it, so that nothing breaks that is built on it.
The reason is shown to them. unyank takes it back.

   wpkg yank demo:hello@1.2.0 --reason 'writes outside of its folder'`)
}

func (t *tool) unyankCommand() *cli.Command {
	return t.noticeCommand(client.Unyank, "take back a yank", false, "")
}

func (t *tool) deprecateCommand() *cli.Command {
	return t.noticeCommand(client.Deprecate, "warn of a version, which stays where it is", true,
		`A deprecated version is listed and resolved as before; info and search show the
reason. undeprecate takes it back.

   wpkg deprecate demo:hello@1.2.0 --reason 'use 2.0.0'`)
}

func (t *tool) undeprecateCommand() *cli.Command {
	return t.noticeCommand(client.Undeprecate, "take back a deprecation", false, "")
}

// noticeCommand says something about one version, with a reason if it is one to
// warn of.
func (t *tool) noticeCommand(a client.NoticeAction, usage string, reasoned bool, description string) *cli.Command {
	var reason string
	cmd := &cli.Command{Name: string(a), Usage: usage, ArgsUsage: "REF", Description: description}
	if reasoned {
		cmd.Flags = []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` for those who use the version", Destination: &reason},
		}
	}
	cmd.Action = func(c *cli.Context) error {
		if err := arguments(c, 1, 1); err != nil {
			return err
		}
		arg := c.Args().First()
		at, err := t.cataloged(c.Context, arg)
		switch {
		case err != nil:
			return err
		case at.version == "" || strings.Contains(at.version, ":"):
			return &usageError{
				text: fmt.Sprintf("%s %s: which version?", a, arg),
				hint: "it is said of a tag; wpkg list " + at.ref.Name() + " shows them",
			}
		case reasoned && strings.TrimSpace(reason) == "":
			return &usageError{text: fmt.Sprintf("%s %s: why?", a, arg), hint: "--reason TEXT tells those who use it"}
		}
		named := at.ref.WithTag(at.version)
		if err := at.Notice(c.Context, at.repo, at.version, a, reason); err != nil {
			return fmt.Errorf("%s %s: %w", a, named, err)
		}
		out := noticed{Reference: named.String(), Action: string(a), Reason: reason}
		return t.emit(out, [][]string{{"ACTION", "REFERENCE", "REASON"}, {out.Action, out.Reference, out.Reason}})
	}
	return cmd
}
