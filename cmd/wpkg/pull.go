package main

import (
	"fmt"
	"path"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry/client"
)

// pulled is where a package went.
type pulled struct {
	Reference string `json:"reference"`
	Tag       string `json:"tag,omitempty"`
	Digest    string `json:"digest"`
	Path      string `json:"path"`
	Size      int64  `json:"size"` // bytes of the file
}

func (t *tool) pullCommand() *cli.Command {
	var to, target string
	var trust trustFlags
	return &cli.Command{
		Name:      "pull",
		Usage:     "write the Wasm of a package to a file",
		ArgsUsage: "REF [-o PATH]",
		Description: `REF names a tag, a digest, or a range: demo:hello@^1.2. Without any, the newest
release is pulled. The file appears when all of it is there and verified; what
was there before is replaced. If the trust policy has an entry for the package, its
signatures are verified before anything is written.

With --variant it is the native code for a target, as wpkg compile --push leaves it
beside the package: only if a compiler of the trust policy attests it.`,
		Flags: append(
			trust.flags(),
			&cli.StringFlag{Name: "variant", Usage: "write the native code for `TARGET` instead: linux/amd64/v3", Destination: &target},
			&cli.StringFlag{Name: "o", Usage: "write to the file or folder `PATH`; by default the current folder", Destination: &to},
		),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			if target != "" {
				return t.pullVariant(c.Context, c.Args().First(), target, to, &trust)
			}
			s, err := t.selected(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			if err := t.trusted(c.Context, s, s.ref, trust); err != nil {
				return err
			}
			progress, stop := t.progress(c.Context)
			defer stop()
			got, err := artifact.Unpack(c.Context, client.Watch(s, progress), s.desc, artifact.UnpackOptions{
				Path: to, Name: path.Base(s.ref.Repository),
			})
			stop()
			if err != nil {
				return fmt.Errorf("%s: %w", s.named(), err)
			}
			out := pulled{Reference: s.ref.String(), Tag: s.tag, Digest: s.desc.Digest.String(), Path: got.Path, Size: got.Size}
			return t.emit(out, [][]string{{"FILE", "SIZE", "REFERENCE", "DIGEST"}, {out.Path, sizeText(out.Size), s.named().String(), out.Digest}})
		},
	}
}
