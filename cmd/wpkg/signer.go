package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	sigroot "github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/keyless"
)

// signerFlags say who signs, and in which forms.
type signerFlags struct {
	key, token, config, root string
	keyless, device, legacy  bool
}

func (o *signerFlags) flags() []cli.Flag {
	const category = "signing"
	return []cli.Flag{
		&cli.StringFlag{
			Name: "key", Usage: "sign with the private key `KEY`: a file, env://NAME, pkcs11:… or a key service", Category: category,
			Destination: &o.key, TakesFile: true,
		},
		&cli.BoolFlag{
			Name: "keyless", Usage: "sign without a key, for the identity of this CI job or of whom you log in as", Category: category,
			Destination: &o.keyless, DisableDefaultText: true,
		},
		&cli.BoolFlag{
			Name: "device", Usage: "with --keyless, log in by a code, on whichever machine", Category: category, Destination: &o.device,
			DisableDefaultText: true,
		},
		&cli.StringFlag{
			Name: "identity-token", Usage: "the same for the identity of `TOKEN`: the token, env://NAME, a file, or - for standard input",
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
	case o.key == "" && o.token == "" && !o.keyless:
		return &usageError{text: "sign: with which key?", hint: "--key FILE; wpkg key generate makes one, --keyless needs none"}
	case o.key != "" && (o.token != "" || o.keyless):
		return usagef("--key and --keyless or --identity-token are two signers")
	case o.device && (!o.keyless || o.token != ""):
		return usagef("--device goes with --keyless, without --identity-token")
	case o.key == "" && (o.config == "") != (o.root == ""):
		return &usageError{text: "--signing-config and --trusted-root go together", hint: "without both, Sigstore's public instance is asked"}
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
	if o.config != "" || a.key == nil {
		a.Signer, err = t.services(ctx, o, a.key)
	}
	return a, err
}

// services sign, or witness what the key k signs, as a signing configuration says.
func (t *tool) services(ctx context.Context, o signerFlags, k *key.Private) (signing.Signer, error) {
	var with keyless.Options
	err := t.sigstore(ctx, o, &with)
	if err != nil {
		return nil, err
	}
	if k != nil {
		with.Key = k
	} else if with.Tokens, err = t.identity(o, with.Config); err != nil {
		return nil, err
	}
	return keyless.New(with)
}

// sigstore reads which services there are, or asks for those of the public
// instance.
func (t *tool) sigstore(ctx context.Context, o signerFlags, to *keyless.Options) (err error) {
	if o.config == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		c, r, err := keyless.Public(ctx, filepath.Join(cache, "wpkg"))
		if err != nil {
			return err
		}
		t.warn("%s", "the signature goes to Sigstore's public log, with the identity, for ever")
		to.Config, to.Root = c, r
		return nil
	}
	if to.Config, err = keyless.ReadConfig(o.config); err != nil || o.root == "" {
		return err
	}
	r, err := keyless.ReadRoot(o.root)
	if err != nil {
		return err
	}
	to.Root = r
	return nil
}

// identity is whom to sign for: of the token that is given, else of the CI job, else
// of the person, who logs in.
func (t *tool) identity(o signerFlags, c *sigroot.SigningConfig) (keyless.TokenSource, error) {
	if o.token != "" {
		return keyless.Given(o.token), nil
	}
	if !o.device {
		src, _, err := keyless.Ambient()
		if err == nil || !errors.Is(err, keyless.ErrNotAmbient) {
			return src, err
		}
		if !term.IsTerminal(t.in) {
			return nil, &hinted{err, "--identity-token gives one; at a terminal you log in"}
		}
	}
	issuer, err := keyless.Issuer(c)
	if err != nil {
		return nil, err
	}
	login := keyless.Login{Issuer: issuer, Tell: func(line string) { fmt.Fprintln(t.err, term.Clean(line)) }}
	if o.device {
		return login.Device(), nil
	}
	return login.Browser(), nil
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
