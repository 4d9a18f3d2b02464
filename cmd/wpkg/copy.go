package main

import (
	"fmt"
	"strconv"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/registry/client"
)

// copied says what a copy did.
type copied struct {
	Source    string   `json:"source"`
	Reference string   `json:"reference"`
	Digest    string   `json:"digest"`
	Moved     int64    `json:"moved"` // bytes
	Referrers []string `json:"referrers"`
	LeftOut   []string `json:"leftOut"`
}

func (t *tool) copyCommand() *cli.Command {
	var o client.CopyOptions
	return &cli.Command{
		Name:      "copy",
		Aliases:   []string{"cp"},
		Usage:     "copy a package between registries and layouts",
		ArgsUsage: "SRC DST [--referrers]",
		Description: `Copies a manifest or index with all it consists of, byte for byte. DST without a
tag gets the tag of SRC. What is at DST already is not sent again.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "referrers", Usage: "also copy what refers to the package: signatures, SBOMs, views", Destination: &o.Referrers,
			},
			&cli.BoolFlag{
				Name: "derived", Usage: "with --referrers, also copy what a wreg computed, such as its reports", Destination: &o.Derived,
			},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 2, 2); err != nil {
				return err
			}
			if o.Derived && !o.Referrers {
				return usagef("copy: --derived without --referrers")
			}
			return t.copy(c, o)
		},
	}
}

func (t *tool) copy(c *cli.Context, o client.CopyOptions) error {
	from, to := c.Args().Get(0), c.Args().Get(1)
	if isFile(from) {
		return &usageError{text: "copy: " + from + " is a file", hint: fmt.Sprintf("wpkg push %s %s", to, from)}
	}
	dst, err := t.reference(c.Context, to)
	if err != nil {
		return err
	}
	if dst.Range != "" && dst.Range != "*" {
		return usagef("copy: %s: a range names many versions", to)
	}
	src, err := t.selected(c.Context, from)
	if err != nil {
		return err
	}
	switch {
	case dst.Digest != "" && dst.Digest != src.desc.Digest:
		return fmt.Errorf("%s is %s, not %s", src.named(), src.desc.Digest, dst.Digest)
	case dst.Digest != "":
	case dst.Tag == "" && src.tag != "":
		dst = dst.WithTag(src.tag)
	case dst.Tag == "":
		dst = dst.WithDigest(src.desc.Digest)
	}
	target, err := t.target(c.Context, dst, true)
	if err != nil {
		return err
	}
	if dst.Tag != "" {
		o.Tags = []string{dst.Tag}
	}
	progress, stop := t.progress(c.Context)
	defer stop()
	o.Progress = progress
	got, err := client.Copy(c.Context, src.Target, src.desc.Digest.String(), target, o)
	stop()
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", src.named(), dst, err)
	}
	out := copied{
		Source: src.ref.String(), Reference: dst.String(), Digest: got.Root.Digest.String(), Moved: got.Moved,
		Referrers: digests(got.Referrers), LeftOut: digests(got.LeftOut),
	}
	rows := [][]string{{"REFERENCE", "DIGEST", "MOVED"}, {out.Reference, out.Digest, sizeText(out.Moved)}}
	if o.Referrers {
		rows[0] = append(rows[0], "REFERRERS")
		rows[1] = append(rows[1], strconv.Itoa(len(out.Referrers)))
	}
	return t.emit(out, rows)
}

func digests(ds []ocispec.Descriptor) []string {
	out := []string{}
	for _, d := range ds {
		out = append(out, d.Digest.String())
	}
	return out
}
