package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/keyref"
	"github.com/wreg-project/wreg/signing/trust"
	"github.com/wreg-project/wreg/signing/verify"
)

// verified is what a policy makes of a package.
type verified struct {
	Reference string        `json:"reference"`
	Digest    digest.Digest `json:"digest"`
	Read      int64         `json:"read"` // bytes of the package that were held against their digests
	trust.Result
}

// verifyFlags say by whom a package has to be signed.
type verifyFlags struct {
	trustFlags
	key, identity, issuer, root, predicate string
	signaturesOnly                         bool
}

func (f *verifyFlags) flags() []cli.Flag {
	const category = "instead of the trust policy"
	return []cli.Flag{
		f.policyFlag(),
		&cli.StringFlag{Name: "key", Usage: "signed by the public key in `FILE`", Category: category, Destination: &f.key, TakesFile: true},
		&cli.StringFlag{
			Name: "certificate-identity", Usage: "signed by `NAME`, in which * stands for anything but a slash", Category: category, Destination: &f.identity,
		},
		&cli.StringFlag{
			Name: "certificate-oidc-issuer", Usage: "whom the token of `URL` is of", Category: category, Destination: &f.issuer,
		},
		&cli.StringFlag{
			Name: "trusted-root", Usage: "believe certificates, logs and clocks by `FILE`", Category: category, Destination: &f.root, TakesFile: true,
		},
		&cli.StringFlag{
			Name: "type", Usage: "attested with a predicate of `TYPE`, as slsaprovenance or a URI", Category: category, Destination: &f.predicate,
		},
		&cli.BoolFlag{
			Name: "signatures-only", Usage: "leave the bytes of the package to who fetches them", Destination: &f.signaturesOnly,
			DisableDefaultText: true,
		},
	}
}

// choose makes a policy of flags; without any it is the trust policy.
func (f *verifyFlags) choose(ctx context.Context) (*trust.Policy, error) {
	byKey, byName := f.key != "", f.identity != "" || f.issuer != ""
	switch {
	case !byKey && !byName && f.root == "" && f.predicate == "":
		return f.need()
	case byKey == byName:
		return nil, usagef("verify: say by whom: --key FILE, or --certificate-identity NAME and --certificate-oidc-issuer URL")
	case byName && (f.identity == "" || f.issuer == ""):
		return nil, usagef("verify: --certificate-identity and --certificate-oidc-issuer go together")
	case byName && f.root == "":
		return nil, usagef("verify: --certificate-identity needs --trusted-root FILE")
	}
	if f.predicate != "" {
		if _, err := attest.Type(f.predicate); err != nil {
			return nil, usagef("--type: %v", err)
		}
	}
	type rule struct {
		Name        string   `yaml:"name"`
		By          []string `yaml:"by"`
		Attestation string   `yaml:"attestation,omitempty"`
	}
	type entry struct {
		Match string `yaml:"match"`
		Rules []rule `yaml:"rules"`
	}
	o := trust.Options{Open: readSmall}
	doc := map[string]any{
		"version":  1,
		"packages": []entry{{Match: "**", Rules: []rule{{Name: "as asked for", By: []string{"signer"}, Attestation: f.predicate}}}},
	}
	if byKey {
		k, err := keyref.Public(ctx, f.key)
		if err != nil {
			return nil, err
		}
		o.Keys = []verify.Key{{Name: "signer", Public: k}}
	} else {
		doc["signers"] = map[string]any{"signer": map[string]string{"issuer": f.issuer, "identity": f.identity}}
	}
	if f.root != "" {
		doc["roots"] = []string{f.root}
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil, err
	}
	p, err := trust.Parse(text, o)
	if found, ok := errors.AsType[trust.Errors](err); ok { // places in a file that nobody wrote
		return nil, errors.New(found[0].Msg)
	}
	return p, err
}

func (t *tool) verifyCommand() *cli.Command {
	var f verifyFlags
	return &cli.Command{
		Name:      "verify",
		Usage:     "verify who signed a package",
		ArgsUsage: "REF [--key FILE | --certificate-identity NAME --certificate-oidc-issuer URL --trusted-root FILE]",
		Description: `Without flags, REF is held to the trust policy, as wpkg pull does. Nothing is asked
but where the package lies: logs and clocks have signed what is needed. What is
refused is shown with the reason of each signature, and the exit status is 3.

A signature is of the digest of the manifest, which names all else by digest. So
manifest, config and layers are read as well and held against these.

   wpkg verify prod/app:1.0.0 --key release.pub
   wpkg verify prod/app:1.0.0 --type slsaprovenance --key builder.pub`,
		Flags: f.flags(),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			p, err := f.choose(c.Context)
			if err != nil {
				return err
			}
			s, err := t.selected(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			return t.verify(c.Context, s, p, !f.signaturesOnly)
		},
	}
}

// verify shows what a policy makes of a package, and pins nothing. With content, the
// bytes of a package that is allowed have to be what is signed. A package that the
// policy does not want signed was not verified, which is an error.
func (t *tool) verify(ctx context.Context, s selection, p *trust.Policy, content bool) error {
	q, err := s.question(s.ref)
	if err != nil {
		return err
	}
	if pins, ok := q.Pins.(trust.PinFolder); ok {
		q.Pins = pins.Peek()
	}
	r, err := trust.Check(ctx, p, client.Signatures(s.Target), q)
	if err != nil {
		return err
	}
	if applies, err := p.Applies(q.Host, q.Repository); err == nil && !applies {
		return &hinted{fmt.Errorf("%s: %s: nothing was verified", s.named(), r.Reason), "wpkg verify --key FILE verifies without a policy"}
	}
	out := verified{Reference: s.named().String(), Digest: s.desc.Digest, Result: r}
	if r.Allowed && content {
		if out.Read, err = client.Whole(ctx, s.Target, s.desc, true); err != nil {
			return fmt.Errorf("%s: its signatures are good, and its content is not what they are of: %w", s.named(), err)
		}
	}
	if err := t.emit(out, verifiedRows(r)); err != nil {
		return err
	}
	if err := r.Err(); err != nil {
		if len(r.Pinned) > 0 {
			return &hinted{fmt.Errorf("%s: %w", s.named(), err), refusedTrust(q, r, s.named())}
		}
		return fmt.Errorf("%s: %w", s.named(), err)
	}
	return nil
}

// predicateText says what was signed: "signature", or what was attested.
func predicateText(predicateType string) string {
	if predicateType == signing.PredicateSignature {
		return "signature"
	}
	return attest.Name(predicateType)
}

// verifiedRows show each signature: those that count by rule, then those that do
// not, and why.
func verifiedRows(r trust.Result) [][]string {
	rows := [][]string{{"RULE", "SIGNER", "WHO", "TYPE", "TIME", "LOG", "DOES NOT COUNT BECAUSE"}}
	for _, rule := range r.Rules {
		for _, c := range rule.By {
			at, index := "", ""
			if c.Time != nil {
				at = c.Time.UTC().Format(time.RFC3339)
			}
			if c.LogIndex != nil {
				index = fmt.Sprint(*c.LogIndex)
			}
			rows = append(rows, []string{rule.Name, c.Signer, c.Principal.String(), predicateText(c.PredicateType), at, index, ""})
		}
		for _, m := range rule.Missed {
			rows = append(rows, []string{rule.Name, "", m.Principal.String(), "", "", "", m.Reason})
		}
		if len(rule.By)+len(rule.Missed) == 0 {
			rows = append(rows, []string{rule.Name, "", "", "", "", "", "nothing that can be verified is signed"})
		}
	}
	for _, one := range r.Pinned {
		rows = append(rows, []string{"first use", "", one.String(), "", "", "", ""})
	}
	for _, one := range r.Refused {
		rows = append(rows, []string{"", "", term.Clean(string(one.Form)) + " " + one.Manifest.String(), "", "", "", one.Reason})
	}
	for _, column := range []string{"SIGNER", "TYPE", "TIME", "LOG", "DOES NOT COUNT BECAUSE"} {
		rows = dropEmpty(rows, column)
	}
	return rows
}
