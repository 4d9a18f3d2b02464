package main

import (
	"context"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/keyless"
)

// signerFlags say who signs, and in which forms.
type signerFlags struct {
	key, token, config, root string
	legacy                   bool
}

func (o *signerFlags) flags() []cli.Flag {
	const category = "signing"
	return []cli.Flag{
		&cli.StringFlag{
			Name: "key", Usage: "sign with the private key `KEY`: a file, env://NAME, pkcs11:… or a key service", Category: category,
			Destination: &o.key, TakesFile: true,
		},
		&cli.StringFlag{
			Name: "identity-token", Usage: "sign without a key, for the identity of `TOKEN`: the token, env://NAME, a file, or - for standard input",
			Category: category, Destination: &o.token,
		},
		&cli.StringFlag{
			Name: "signing-config", Usage: "the services for that, and the log that signatures of keys go to, are in `FILE`", Category: category,
			Destination: &o.config, TakesFile: true,
		},
		&cli.StringFlag{
			Name: "trusted-root", Usage: "check what these services answer against `FILE`", Category: category, Destination: &o.root, TakesFile: true,
		},
		&cli.BoolFlag{
			Name: "legacy-sig", Usage: "also write the signature under cosign's tag sha256-….sig", Category: category, Destination: &o.legacy,
			DisableDefaultText: true,
		},
	}
}

// given reports whether any of the flags is set.
func (o *signerFlags) given() bool { return *o != signerFlags{} }

// check refuses flags that do not go together.
func (o *signerFlags) check() error {
	switch {
	case o.key == "" && o.token == "":
		return &usageError{text: "sign: with which key?", hint: "--key FILE; wpkg key generate makes one"}
	case o.key != "" && o.token != "":
		return usagef("--key and --identity-token are two signers")
	case o.key == "" && o.config == "":
		return &usageError{text: "--identity-token without --signing-config", hint: "it names the services that vouch for the identity"}
	case o.legacy && o.key == "":
		return &usageError{
			text: "--legacy-sig without --key", hint: "cosign's older form has no place for what vouches for an identity today; leave it out",
		}
	case o.root != "" && o.config == "":
		return usagef("--trusted-root without --signing-config")
	}
	return nil
}

// An author signs.
type author struct {
	signing.Signer
	key    *key.Private // nil if a certificate vouches for the key
	logged bool         // signatures of the key go to a log
	legacy bool

	made map[digest.Digest][]byte // bundles by what they are of
}

// author opens what the flags name, once for all that is signed.
func (t *tool) author(ctx context.Context, o signerFlags) (*author, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	a := &author{legacy: o.legacy, logged: o.config != "", made: map[digest.Digest][]byte{}}
	var err error
	if o.key != "" {
		if a.key, err = t.openKey(ctx, o.key); err != nil {
			return nil, err
		}
		a.Signer = a.key
	}
	if o.config != "" {
		a.Signer, err = services(o, a.key)
	}
	return a, err
}

// services sign, or witness what the key k signs, as a signing configuration says.
func services(o signerFlags, k *key.Private) (signing.Signer, error) {
	with := keyless.Options{}
	var err error
	if with.Config, err = keyless.ReadConfig(o.config); err != nil {
		return nil, err
	}
	if o.root != "" {
		trusted, err := keyless.ReadRoot(o.root)
		if err != nil {
			return nil, err
		}
		with.Root = trusted
	}
	if k != nil {
		with.Key = k
	} else {
		with.Tokens = keyless.Given(o.token)
	}
	return keyless.New(with)
}

// sign is the signature of the manifest d as a bundle, made once. It names no
// repository: it is as true of a copy.
func (a *author) sign(ctx context.Context, d digest.Digest) ([]byte, error) {
	if text := a.made[d]; text != nil {
		return text, nil
	}
	text, err := signing.Sign(ctx, signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("", d)}, PredicateType: signing.PredicateSignature,
	}, a)
	if err == nil {
		a.made[d] = text
	}
	return text, err
}

// name says for people who signed: the key, or whom the certificate in a bundle is
// of.
func (a *author) name(text []byte) string {
	if a.key != nil {
		return "key " + a.key.ID()
	}
	var b bundle.Bundle
	if b.UnmarshalJSON(text) != nil {
		return ""
	}
	content, err := b.VerificationContent()
	if err != nil || content.Certificate() == nil {
		return ""
	}
	for _, name := range cryptoutils.GetSubjectAlternateNames(content.Certificate()) {
		return name
	}
	return ""
}
