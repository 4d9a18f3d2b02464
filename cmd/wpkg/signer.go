package main

import (
	"context"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
)

// signerFlags say who signs.
type signerFlags struct {
	key string
}

func (o *signerFlags) flags() []cli.Flag {
	const category = "signing"
	return []cli.Flag{
		&cli.StringFlag{
			Name: "key", Usage: "sign with the private key `KEY`: a file, env://NAME, pkcs11:… or a key service", Category: category,
			Destination: &o.key, TakesFile: true,
		},
	}
}

// An author signs.
type author struct {
	signing.Signer
	key *key.Private // nil if a certificate vouches for the key
}

// author opens what the flags name, once for all that is signed.
func (t *tool) author(ctx context.Context, o signerFlags) (*author, error) {
	if o.key == "" {
		return nil, &usageError{text: "sign: with which key?", hint: "--key FILE; wpkg key generate makes one"}
	}
	k, err := t.openKey(ctx, o.key)
	if err != nil {
		return nil, err
	}
	return &author{Signer: k, key: k}, nil
}

// sign is the signature of the manifest d as a bundle. It names no repository: it
// is as true of a copy.
func (a *author) sign(ctx context.Context, d digest.Digest) ([]byte, error) {
	return signing.Sign(ctx, signing.Statement{
		Subject: []signing.Subject{signing.SubjectOf("", d)}, PredicateType: signing.PredicateSignature,
	}, a)
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
