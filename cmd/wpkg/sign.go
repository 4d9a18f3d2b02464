package main

import (
	"context"
	"encoding/base64"
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
	Signature digest.Digest `json:"signature"`     // the manifest that carries it
	Tag       string        `json:"tag,omitempty"` // of cosign's older form, with --legacy-sig
	Present   bool          `json:"present"`       // it was there already
}

func (t *tool) signCommand() *cli.Command {
	var o signerFlags
	return &cli.Command{
		Name:      "sign",
		Usage:     "sign a package where it lies",
		ArgsUsage: "REF... [--key KEY]",
		Description: `Signs the manifest that REF names, in a registry or an OCI layout, by its digest:
a tag that moves later takes no signature with it. The signature is a Sigstore
bundle that refers to the manifest; wpkg copy takes it along. What the key has
signed already is not signed again.

With --key and --signing-config a log and a clock witness the signature. With
--keyless or --identity-token there is no key to keep: an authority vouches for one
that lives for a moment. Without --signing-config it is Sigstore's public one, and
the signature is public with the identity, for ever.

   wpkg sign demo/app:1.0.0 --key release.key
   wpkg sign demo/app:1.0.0 --identity-token env://TOKEN --signing-config sc.json --trusted-root root.json`,
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

// attach signs the manifest d of t and hangs the signature on it, in each form. What
// is there already is not made again, but for signatures that say when they were.
func (a *author) attach(ctx context.Context, t client.Target, d ocispec.Descriptor) (signed, error) {
	out := signed{Digest: d.Digest}
	there, err := a.present(ctx, t, d.Digest)
	if err != nil {
		return out, err
	}
	if out.Signature, out.Present = there[signing.FormBundle]; !out.Present {
		text, err := a.sign(ctx, d.Digest)
		if err != nil {
			return out, err
		}
		at, err := client.Attach(ctx, t, d, text, signing.PredicateSignature)
		if err != nil {
			return out, err
		}
		out.Signature = at.Digest
	}
	out.Signer = a.name(a.made[d.Digest])
	if !a.legacy {
		return out, nil
	}
	out.Tag = signing.CosignTag(d.Digest, ".sig")
	if _, ok := there[signing.FormCosign]; ok {
		return out, nil
	}
	return out, a.attachCosign(ctx, t, d.Digest)
}

// attachCosign signs the manifest d in cosign's older form.
func (a *author) attachCosign(ctx context.Context, t client.Target, d digest.Digest) error {
	name := ""
	if _, ok := t.(*client.Repository); ok {
		name = t.String()
	}
	payload, err := signing.SimpleSigning(name, d)
	if err != nil {
		return err
	}
	sig, _, err := a.key.SignData(ctx, payload)
	if err != nil {
		return err
	}
	_, err = client.AttachCosign(ctx, t, d, payload, map[string]string{signing.AnnotationSignature: base64.StdEncoding.EncodeToString(sig)})
	return err
}

// present are the manifests with the author's signatures of the manifest d that t
// has already, by their form. A certificate's are not looked for, nor those that go
// to a log.
func (a *author) present(ctx context.Context, t client.Target, d digest.Digest) (map[signing.Form]digest.Digest, error) {
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
	there := map[signing.Form]digest.Digest{}
	for _, f := range found {
		if a.logged && f.Form == signing.FormBundle {
			continue
		}
		if p, err := v.Verify(ctx, d, f); err == nil && p.PredicateType == signing.PredicateSignature {
			there[f.Form] = f.Manifest
		}
	}
	return there, ctx.Err()
}
