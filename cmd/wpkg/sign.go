package main

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/verify"
)

// signed is a signature that a package has.
type signed struct {
	Reference string        `json:"reference"`
	Digest    digest.Digest `json:"digest"` // what is signed
	Signer    string        `json:"signer"`
	Signature digest.Digest `json:"signature"` // the manifest that carries it
	Present   bool          `json:"present"`   // it was there already
}

func (t *tool) signCommand() *cli.Command {
	var o signerFlags
	return &cli.Command{
		Name:      "sign",
		Usage:     "sign a package where it lies",
		ArgsUsage: "REF... --key KEY",
		Description: `Signs the manifest that REF names, in a registry or an OCI layout, by its digest:
a tag that moves later takes no signature with it. The signature is a Sigstore
bundle that refers to the manifest; wpkg copy takes it along. What the key has
signed already is not signed again.

   wpkg key generate -o release.key
   wpkg sign demo/app:1.0.0 --key release.key`,
		Flags: o.flags(),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			return t.sign(c.Context, c.Args().Slice(), o)
		},
	}
}

// sign signs the packages that args name. All are looked up before the first is
// signed: a name that is wrong stops everything.
func (t *tool) sign(ctx context.Context, args []string, o signerFlags) error {
	by, err := t.author(ctx, o)
	if err != nil {
		return err
	}
	var all []selection
	for _, arg := range args {
		s, err := t.selected(ctx, arg)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	var done []signed
	for _, s := range all {
		one, err := by.attach(ctx, s.Target, s.desc)
		if err != nil {
			return fmt.Errorf("sign %s: %w", s.named(), err)
		}
		one.Reference = s.named().String()
		done = append(done, one)
	}
	return emitEach(t, done, signedRows(done))
}

func signedRows(list []signed) [][]string {
	rows := [][]string{{"REFERENCE", "DIGEST", "SIGNER", "SIGNATURE"}}
	for _, s := range list {
		rows = append(rows, []string{s.Reference, s.Digest.String(), s.Signer, s.Signature.String()})
	}
	return rows
}

// attach signs the manifest d of t and hangs the signature on it.
func (a *author) attach(ctx context.Context, t client.Target, d ocispec.Descriptor) (signed, error) {
	out := signed{Digest: d.Digest}
	there, err := a.present(ctx, t, d.Digest)
	if err != nil {
		return out, err
	}
	if there != nil {
		out.Signer, out.Signature, out.Present = a.name(nil), there.Manifest, true
		return out, nil
	}
	text, err := a.sign(ctx, d.Digest)
	if err != nil {
		return out, err
	}
	at, err := client.Attach(ctx, t, d, text, signing.PredicateSignature)
	if err != nil {
		return out, err
	}
	out.Signer, out.Signature = a.name(text), at.Digest
	return out, nil
}

// present is the author's signature of the manifest d that t has already, nil if
// it has none. Those of certificates are made anew: each says when it was.
func (a *author) present(ctx context.Context, t client.Target, d digest.Digest) (*signing.Found, error) {
	if a.key == nil {
		return nil, nil
	}
	v, err := verify.New(verify.Material{Keys: []verify.Key{{Public: a.key.Public}}})
	if err != nil {
		return nil, err
	}
	found, err := signing.Find(ctx, client.Signatures(t), d)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.Form != signing.FormBundle {
			continue
		}
		if p, err := v.Verify(ctx, d, f); err == nil && p.PredicateType == signing.PredicateSignature {
			return &f, nil
		}
	}
	return nil, ctx.Err()
}
