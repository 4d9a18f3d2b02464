package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/ref"
)

// tagged is a tag that was set.
type tagged struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
}

func (t *tool) tagCommand() *cli.Command {
	return &cli.Command{
		Name:      "tag",
		Usage:     "give a package another tag",
		ArgsUsage: "REF TAG",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 2, 2); err != nil {
				return err
			}
			tag := c.Args().Get(1)
			if v, err := ref.TagOf(tag); err == nil {
				tag = v // 1.0.0+build is 1.0.0_build
			}
			if err := ref.CheckTag(tag); err != nil {
				return &usageError{text: fmt.Sprintf("tag: %v", err), hint: "a tag has letters, digits, '_', '.' and '-', and begins with none of the last two"}
			}
			s, err := t.selected(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			if err := s.Tag(c.Context, s.desc, tag); err != nil {
				return fmt.Errorf("tag %s as %s: %w", s.named(), tag, err)
			}
			out := tagged{Reference: s.ref.WithTag(tag).String(), Digest: s.desc.Digest.String()}
			return t.emit(out, [][]string{{"REFERENCE", "DIGEST"}, {out.Reference, out.Digest}})
		},
	}
}
