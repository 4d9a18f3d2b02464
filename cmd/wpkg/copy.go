package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/trust"
)

// copied says what a copy did.
type copied struct {
	Source    string   `json:"source"`
	Reference string   `json:"reference"`
	Digest    string   `json:"digest"`
	Moved     int64    `json:"moved"` // bytes
	Referrers []string `json:"referrers"`
	Tags      []string `json:"tags,omitempty"` // of cosign's signatures and attestations
	LeftOut   []string `json:"leftOut"`

	Approval digest.Digest `json:"approval,omitempty"` // the manifest that carries the attestation of --approve
	Approver string        `json:"approver,omitempty"`
}

// promotion says that a copy is one, and who approves of it.
type promotion struct {
	on      bool
	approve bool
	by      signerFlags
}

// check refuses flags that do not go together.
func (p *promotion) check(o client.CopyOptions) error {
	switch {
	case p.on && (!o.Signatures || o.Derived):
		return usagef("copy: --promote takes signatures along, and nothing derived")
	case p.approve && !p.on:
		return usagef("copy: --approve is of a promotion: --promote")
	case !p.approve && p.by.given():
		return &usageError{text: "copy: it says by whom to approve, and not to approve", hint: "--promote --approve"}
	case p.by.legacy:
		return usagef("copy: --legacy-sig is for signatures; an approval is an attestation")
	case o.Derived && !o.Referrers:
		return usagef("copy: --derived without --referrers")
	}
	return nil
}

func (t *tool) copyCommand() *cli.Command {
	var o client.CopyOptions
	var promote promotion
	var by trustFlags
	return &cli.Command{
		Name:      "copy",
		Aliases:   []string{"cp"},
		Usage:     "copy a package between registries and layouts",
		ArgsUsage: "SRC DST [--referrers] [--promote]",
		Description: `Copies a manifest or index with all it consists of, byte for byte. DST without a
tag gets the tag of SRC. What is at DST already is not sent again. If the trust
policy has an entry for SRC, its signatures are verified before anything is copied.

Signatures and attestations go along, before the package itself: those that refer
to it and those that cosign keeps under tags. What DST has of these stays.

With --promote a package is taken over from one repository of a registry into
another that takes only what is signed: everything that refers to it goes along
but what the registry makes itself, and a package without any signature is not
tried. Clients that know no signatures push to the first repository, and

   wpkg sign staging/app:1.0.0 --key release.key
   wpkg copy --promote staging/app:1.0.0 prod/app

With --approve whose key it is attests the promotion, from where to where and what
their trust policy made of it: https://wreg.dev/promotion/v1. That is stored before
the package, so that a registry may ask for it.

   wpkg copy --promote --approve --key approver.key staging/app:1.0.0 prod/app`,
		Flags: slices.Concat(by.flags(), promote.by.flags(), []cli.Flag{
			&cli.BoolFlag{
				Name: "signatures", Usage: "copy signatures and attestations too; --signatures=false does not", Value: true, Destination: &o.Signatures,
				DisableDefaultText: true,
			},
			&cli.BoolFlag{
				Name: "referrers", Usage: "also copy what else refers to the package: SBOMs, views", Destination: &o.Referrers,
			},
			&cli.BoolFlag{
				Name: "derived", Usage: "with --referrers, also copy what a wreg computed, such as its reports", Destination: &o.Derived,
			},
			&cli.BoolFlag{
				Name: "promote", Usage: "take a signed package over into another repository of its registry", Destination: &promote.on, DisableDefaultText: true,
			},
			&cli.BoolFlag{
				Name: "approve", Usage: "with --promote, attest that you approve of it", Category: "signing", Destination: &promote.approve,
				DisableDefaultText: true,
			},
		}),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 2, 2); err != nil {
				return err
			}
			if err := promote.check(o); err != nil {
				return err
			}
			o.Referrers = o.Referrers || promote.on
			return t.copy(c, o, promote, by)
		},
	}
}

func (t *tool) copy(c *cli.Context, o client.CopyOptions, promote promotion, by trustFlags) error {
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
	if promote.on {
		if err := promotable(c.Context, src, dst); err != nil {
			return err
		}
	}
	// A layout has no name of its own that a policy is about: what comes out of one
	// is held to what it becomes.
	name := src.ref
	if name.Layout != "" {
		name = dst
	}
	judged, err := t.judged(c.Context, src, name, by)
	if err != nil {
		return err
	}
	target, err := t.target(c.Context, dst, true)
	if err != nil {
		return err
	}
	if dst.Tag != "" {
		o.Tags = []string{dst.Tag}
	}
	var out copied
	if promote.approve {
		approval, by, err := t.approval(c.Context, src, dst, promote.by, judged)
		if err != nil {
			return err
		}
		out.Approver = by
		o.Before = func(ctx context.Context) error {
			at, err := client.Attach(ctx, target, src.desc, approval, attest.TypePromotion)
			out.Approval = at.Digest
			return err
		}
	}
	progress, stop := t.progress(c.Context)
	defer stop()
	o.Progress = progress
	got, err := client.Copy(c.Context, src.Target, src.desc.Digest.String(), target, o)
	stop()
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", src.named(), dst, err)
	}
	out.Source, out.Reference, out.Digest, out.Moved = src.ref.String(), dst.String(), got.Root.Digest.String(), got.Moved
	out.Referrers, out.LeftOut, out.Tags = digests(got.Referrers), digests(got.LeftOut), got.Tags
	rows := [][]string{{"REFERENCE", "DIGEST", "MOVED"}, {out.Reference, out.Digest, sizeText(out.Moved)}}
	if n := len(out.Referrers) + len(got.Tags); o.Referrers || n > 0 {
		rows[0] = append(rows[0], "REFERRERS")
		rows[1] = append(rows[1], strconv.Itoa(n))
	}
	if out.Approval != "" {
		rows[0], rows[1] = append(rows[0], "APPROVED BY"), append(rows[1], out.Approver)
	}
	return t.emit(out, rows)
}

// approval signs that somebody approves of src being taken over to dst, and says
// who. judged is what their trust policy says, nil for nothing.
func (t *tool) approval(ctx context.Context, src selection, dst ref.Reference, f signerFlags, judged *trust.Result) ([]byte, string, error) {
	at, err := creationTime()
	if err != nil {
		return nil, "", err
	}
	if at.IsZero() {
		at = time.Now()
	}
	by, err := t.author(ctx, f)
	if err != nil {
		return nil, "", err
	}
	about := signing.SubjectOf("", src.desc.Digest)
	p := attest.Promotion{
		From:   attest.Place{Registry: src.ref.Host, Repository: src.ref.Repository, Tag: src.tag},
		To:     attest.Place{Registry: dst.Host, Repository: dst.Repository, Tag: dst.Tag},
		Digest: about.Digest, ApprovedOn: at.UTC().Truncate(time.Second),
	}
	if by.key != nil {
		p.Approver = by.key.ID()
	}
	if judged != nil {
		p.Policy = &attest.PromotionPolicy{Version: judged.Policy, Result: attest.Passed, Reason: judged.Reason}
	}
	st, err := p.Statement(about)
	if err != nil {
		return nil, "", err
	}
	text, err := signing.Sign(ctx, st, by)
	if err != nil {
		return nil, "", fmt.Errorf("approve %s: %w", src.named(), err)
	}
	return text, by.name(text), nil
}

// promotable refuses what --promote is not for.
func promotable(ctx context.Context, src selection, dst ref.Reference) error {
	switch {
	case src.ref.Layout != "" || dst.Layout != "" || src.ref.Host != dst.Host:
		return usagef("copy: --promote is between repositories of one registry: %s and %s are not", src.named(), dst)
	case src.ref.Repository == dst.Repository:
		return &usageError{text: fmt.Sprintf("copy: --promote from %s to itself", src.ref.Name()), hint: "wpkg tag gives it another tag"}
	}
	found, err := signing.Find(ctx, client.Signatures(src.Target), src.desc.Digest)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return &hinted{fmt.Errorf("%s: nobody has signed it", src.named()), fmt.Sprintf("wpkg sign %s --key KEY", src.named())}
	}
	return nil
}

func digests(ds []ocispec.Descriptor) []string {
	out := []string{}
	for _, d := range ds {
		out = append(out, d.Digest.String())
	}
	return out
}
