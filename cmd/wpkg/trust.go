package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing/keyref"
	"github.com/wreg-project/wreg/signing/trust"
)

// trustFlags say which trust policy a command obeys.
type trustFlags struct {
	policy string
	skip   bool
}

func (f *trustFlags) policyFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "trust-policy", Usage: "obey the trust policy in `FILE`, before wpkg/trust.yaml in the folder for configuration", Category: "trust",
		Destination: &f.policy, EnvVars: []string{"WPKG_TRUST_POLICY"}, TakesFile: true,
	}
}

// flags are those of commands that fetch packages.
func (f *trustFlags) flags() []cli.Flag {
	return []cli.Flag{f.policyFlag(), &cli.BoolFlag{
		Name: "insecure-skip-verify", Usage: "take the package whatever the trust policy says", Category: "trust", Destination: &f.skip,
		DisableDefaultText: true,
	}}
}

// path is where the policy is; named tells one that was asked for.
func (f *trustFlags) path() (path string, named bool, err error) {
	if f.policy != "" {
		return f.policy, true, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", false, fmt.Errorf("trust policy: %w", err)
	}
	return filepath.Join(dir, "wpkg", "trust.yaml"), false, nil
}

// load reads the policy. Without one it is nil: then nothing has to be signed.
func (f *trustFlags) load() (*trust.Policy, error) {
	path, named, err := f.path()
	if err != nil {
		if _, set := os.LookupEnv("XDG_CONFIG_HOME"); set { // to what is no folder, so that a policy may well be somewhere
			return nil, err
		}
		return nil, nil // no home, no policy
	}
	p, err := trust.Load(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		if _, serr := os.Lstat(path); errors.Is(serr, fs.ErrNotExist) {
			return nil, nil
		}
	}
	return p, err
}

// need is load of commands that do nothing without a policy.
func (f *trustFlags) need() (*trust.Policy, error) {
	p, err := f.load()
	if err == nil && p == nil {
		path, _, _ := f.path()
		err = &hinted{fmt.Errorf("there is no trust policy: %s", path), "wpkg trust init writes one"}
	}
	return p, err
}

// pinFolder is where the signers of first uses are remembered.
func pinFolder() (trust.PinFolder, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		var err error
		if state, err = os.UserHomeDir(); err != nil {
			return trust.PinFolder{}, err
		}
		if runtime.GOOS == "windows" {
			state = filepath.Join(state, "AppData", "Local")
		} else {
			state = filepath.Join(state, ".local", "state")
		}
	}
	return trust.PinFolder{Dir: filepath.Join(state, "wpkg", "pins")}, nil
}

// question asks about a selection under the name that r has: a layout is called
// oci-layout/FOLDER.
func (s selection) question(r ref.Reference) (trust.Question, error) {
	q := trust.Question{Host: r.Host, Repository: r.Repository, Subject: s.desc.Digest}
	if r.Layout != "" {
		dir, err := filepath.Abs(r.Layout)
		if err != nil {
			return q, err
		}
		q.Host, q.Repository = trust.LayoutHost, filepath.Base(dir)
	}
	pins, err := pinFolder()
	q.Pins = pins
	return q, err
}

// trusted is nil if the trust policy allows a selection under the name of r, and
// manifest and config are what is signed; layers are for who reads them. Ask before
// anything of it is written.
func (t *tool) trusted(ctx context.Context, s selection, r ref.Reference, f trustFlags) error {
	_, err := t.judged(ctx, s, r, f)
	return err
}

// judged is trusted with what the trust policy says; nil is nothing.
func (t *tool) judged(ctx context.Context, s selection, r ref.Reference, f trustFlags) (*trust.Result, error) {
	p, err := f.load()
	if p == nil || err != nil {
		return nil, err
	}
	q, err := s.question(r)
	if err != nil {
		return nil, err
	}
	if applies, err := p.Applies(q.Host, q.Repository); !applies && err == nil {
		return nil, nil
	}
	if f.skip {
		fmt.Fprintf(t.err, "%s %s: its signatures are not verified\n", term.Paint(term.Colour(t.err), term.Yellow, "warning:"), s.named())
		return nil, nil
	}
	result, err := trust.Check(ctx, p, client.Signatures(s.Target), q)
	if err == nil {
		err = result.Err()
	}
	if errors.Is(err, trust.ErrRefused) {
		return nil, &hinted{fmt.Errorf("%s: %w", s.named(), err), refusedTrust(q, result, s.named())}
	}
	if err == nil {
		_, err = client.Whole(ctx, s.Target, s.desc, false)
	}
	return &result, err
}

// refusedTrust says what to do about a refusal.
func refusedTrust(q trust.Question, r trust.Result, at ref.Reference) string {
	if len(r.Pinned) > 0 {
		return fmt.Sprintf("if that is right, wpkg trust forget %s/%s", q.Host, q.Repository)
	}
	return fmt.Sprintf("wpkg verify %s shows what is signed and what is not", at)
}

func (t *tool) trustCommand() *cli.Command {
	return &cli.Command{
		Name:  "trust",
		Usage: "say whose packages to trust, and see why one is",
		Subcommands: []*cli.Command{
			t.trustInitCommand(), t.trustAddCommand(), t.trustTestCommand(), t.trustShowCommand(), t.trustForgetCommand(),
		},
	}
}

// A trustSigner says who is to be trusted.
type trustSigner struct {
	name, key, identity, issuer string
}

func (s *trustSigner) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "key", Usage: "trust the public key in `FILE`", Destination: &s.key, TakesFile: true},
		&cli.StringFlag{Name: "identity", Usage: "trust certificates for `NAME`, in which * stands for anything but a slash", Destination: &s.identity},
		&cli.StringFlag{Name: "issuer", Usage: "that are made for tokens of `URL`", Destination: &s.issuer},
		&cli.StringFlag{Name: "name", Usage: "call the signer `NAME`", Value: "release", Destination: &s.name},
	}
}

// value is the signer as the policy writes it. The key goes into the policy itself,
// so that the file is all there is.
func (s *trustSigner) value(ctx context.Context) (map[string]string, error) {
	switch {
	case s.key != "" && s.identity == "" && s.issuer == "":
		k, err := keyref.Public(ctx, s.key)
		if err != nil {
			return nil, err
		}
		return map[string]string{"key": string(k.PEM())}, nil
	case s.key == "" && s.identity != "" && s.issuer != "":
		return map[string]string{"issuer": s.issuer, "identity": s.identity}, nil
	}
	return nil, usagef("trust: say whom by --key FILE, or by --identity NAME and --issuer URL")
}

// fits is nil if the signer is new to a policy, or only named and there.
func (s *trustSigner) fits(p *trust.Policy) error {
	fresh := s.key != "" || s.identity != "" || s.issuer != ""
	known := slices.ContainsFunc(p.Signers, func(one trust.Signer) bool { return one.Name == s.name })
	switch {
	case fresh && known:
		return &usageError{text: fmt.Sprintf("trust add: there is a signer %s already", s.name), hint: "--name NAME calls this one otherwise"}
	case !fresh && !known:
		return &usageError{text: fmt.Sprintf("trust add: there is no signer %s", s.name), hint: "--key FILE says who that is"}
	}
	return nil
}

const trustHead = `# Whose packages wpkg trusts: pull, copy and verify obey this file. The manual is
# docs/spec/trust.md of wreg.
#
# The first entry of packages that matches a name counts. A name that none matches
# is accepted; "default: deny" refuses it. Every rule of an entry has to be
# satisfied:
#
#   - match: ["prod/**", "registry.example.com/prod/**"]
#     rules:
#     - {name: signed, by: [release]}
#     - {name: built by the workflow, by: [workflow], attestation: slsaprovenance}
#   - {match: "lab/**", pin: first-use}
#   - {match: "**", accept: unsigned}
`

func (t *tool) trustInitCommand() *cli.Command {
	var f trustFlags
	var who trustSigner
	var roots, match, compilers cli.StringSlice
	return &cli.Command{
		Name:  "init",
		Usage: "write a trust policy with one signer",
		Description: `The policy goes to wpkg/trust.yaml in the folder for configuration, or where
--trust-policy says; one that is there stays. From then on wpkg pull and wpkg copy
take only packages that the signer signed.

   wpkg trust init --key release.pub --match 'prod/**'
   wpkg trust init --identity 'https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*' \
     --issuer https://token.actions.githubusercontent.com --root trusted_root.json`,
		Flags: append(
			who.flags(), f.policyFlag(),
			&cli.StringSliceFlag{Name: "root", Usage: "believe certificates by the trusted root in `FILE`", Destination: &roots, TakesFile: true},
			&cli.StringSliceFlag{
				Name: "compiler", Usage: "load native code that the public key in `FILE` attests; may be repeated", Destination: &compilers,
				TakesFile: true,
			},
			&cli.StringSliceFlag{Name: "match", Usage: "packages whose names match `PATTERN`; all without", Destination: &match},
		),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			signer, err := who.value(c.Context)
			if err != nil {
				return err
			}
			patterns := match.Value()
			if len(patterns) == 0 {
				patterns = []string{"**"}
			}
			files := []string{}
			for _, r := range roots.Value() {
				if r, err = filepath.Abs(r); err != nil {
					return err
				}
				files = append(files, filepath.ToSlash(r))
			}
			signers := map[string]map[string]string{who.name: signer}
			names, err := addCompilers(c.Context, signers, compilers.Value())
			if err != nil {
				return err
			}
			doc := struct {
				Version   int                          `yaml:"version"`
				Roots     []string                     `yaml:"roots,omitempty"`
				Signers   map[string]map[string]string `yaml:"signers"`
				Packages  []any                        `yaml:"packages"`
				Compilers []string                     `yaml:"compilers,omitempty"`
			}{1, files, signers, []any{trustEntry(patterns, who.name)}, names}
			path, _, err := f.path()
			if err != nil {
				return err
			}
			return t.writeTrust(path, trustHead, doc, true)
		},
	}
}

// addCompilers adds signers by their keys and returns their names: compiler,
// compiler-2 and so on.
func addCompilers(ctx context.Context, signers map[string]map[string]string, files []string) ([]string, error) {
	var names []string
	for i, file := range files {
		s := trustSigner{key: file}
		signer, err := s.value(ctx)
		if err != nil {
			return nil, err
		}
		name := "compiler"
		if i > 0 {
			name = fmt.Sprintf("compiler-%d", i+1)
		}
		if signers[name] != nil {
			return nil, usagef("trust init: --name %s is how a compiler is called", name)
		}
		signers[name] = signer
		names = append(names, name)
	}
	return names, nil
}

// trustEntry is an entry as the policy writes it.
func trustEntry(patterns []string, signer string) any {
	return map[string]any{"match": patterns, "rules": []any{map[string]any{"name": "signed", "by": []string{signer}}}}
}

// writeTrust writes a policy that can be read, and says what it is.
func (t *tool) writeTrust(path, head string, doc any, fresh bool) error {
	var b bytes.Buffer
	b.WriteString(head)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(doc), e.Close()); err != nil {
		return err
	}
	if _, err := os.Lstat(path); fresh && !errors.Is(err, fs.ErrNotExist) {
		return &hinted{fmt.Errorf("%s: there is a trust policy already", path), "wpkg trust add adds to it"}
	}
	dir := filepath.Dir(path)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// What cannot be read again is not written: a broken policy stops every pull.
	if _, err := trust.Parse(b.Bytes(), trust.Options{Open: func(name string, limit int64) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, filepath.FromSlash(name))
		}
		return readSmall(name, limit)
	}}); err != nil {
		return fmt.Errorf("trust policy: %w", err)
	}
	if err := durable.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return err
	}
	return t.emit(map[string]string{"path": path}, [][]string{{"TRUST POLICY"}, {path}})
}

func (t *tool) trustAddCommand() *cli.Command {
	var f trustFlags
	var who trustSigner
	return &cli.Command{
		Name:      "add",
		Usage:     "add an entry to the trust policy",
		ArgsUsage: "PATTERN... [--key FILE | --identity NAME --issuer URL] [--name NAME]",
		Description: `The entry goes before those that are there, so that it counts where it matches.
Without --key and --identity, --name is a signer that the policy has.

   wpkg trust add 'team/**' --name team --key team.pub`,
		Flags: append(who.flags(), f.policyFlag()),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, -1); err != nil {
				return err
			}
			p, err := f.need()
			if err != nil {
				return err
			}
			if err := who.fits(p); err != nil {
				return err
			}
			path, _, err := f.path()
			if err != nil {
				return err
			}
			text, err := readSmall(path, trust.MaxSource)
			if err != nil {
				return err
			}
			var doc yaml.Node
			if err := yaml.Unmarshal(text, &doc); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if who.key != "" || who.identity != "" || who.issuer != "" {
				signer, err := who.value(c.Context)
				if err != nil {
					return err
				}
				var n yaml.Node
				if err := n.Encode(signer); err != nil {
					return err
				}
				signers := child(doc.Content[0], "signers", yaml.MappingNode)
				signers.Content = append(signers.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: who.name}, &n)
			}
			var entry yaml.Node
			if err := entry.Encode(trustEntry(c.Args().Slice(), who.name)); err != nil {
				return err
			}
			packages := child(doc.Content[0], "packages", yaml.SequenceNode)
			packages.Content = append([]*yaml.Node{&entry}, packages.Content...)
			return t.writeTrust(path, "", &doc, false)
		},
	}
}

// child is the value of a key, which is added if it is not there.
func child(mapping *yaml.Node, name string, kind yaml.Kind) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	n := &yaml.Node{Kind: kind}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, n)
	return n
}

func (t *tool) trustTestCommand() *cli.Command {
	var f trustFlags
	return &cli.Command{
		Name:      "test",
		Usage:     "say what the trust policy makes of a package, and why",
		ArgsUsage: "REF",
		Description: `Nothing is fetched but signatures, and no signer is pinned. The exit status is 3 if
the policy refuses the package.`,
		Flags: []cli.Flag{f.policyFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			p, err := f.need()
			if err != nil {
				return err
			}
			s, err := t.selected(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			return t.verify(c.Context, s, p, false)
		},
	}
}

func (t *tool) trustShowCommand() *cli.Command {
	var f trustFlags
	return &cli.Command{
		Name:  "show",
		Usage: "show the trust policy",
		Flags: []cli.Flag{f.policyFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			p, err := f.need()
			if err != nil || t.structured() {
				return errors.Join(err, t.emitShown(p))
			}
			rows := [][]string{{"PACKAGES", "HAVE TO BE"}}
			for _, e := range p.Packages {
				for i, line := range trustLines(e) {
					match := ""
					if i == 0 {
						match = strings.Join(e.Match, " ")
					}
					rows = append(rows, []string{match, line})
				}
			}
			rows = append(rows, []string{"all others", map[trust.Default]string{trust.Accept: "anything", trust.Deny: "nothing"}[p.Default]})
			if len(p.Compilers) > 0 {
				rows = append(rows, []string{"native code", "attested by " + strings.Join(p.Compilers, " or ")})
			}
			if err := term.Table(t.out, rows); err != nil {
				return err
			}
			fmt.Fprintln(t.out)
			rows = [][]string{{"SIGNER", "IS", "BY"}}
			for _, s := range p.Signers {
				if s.Key != nil {
					rows = append(rows, []string{s.Name, "key " + s.KeyID, s.Algorithm})
				} else {
					rows = append(rows, []string{s.Name, s.Identity, s.Issuer})
				}
			}
			return term.Table(t.out, rows)
		},
	}
}

// emitShown writes a policy for programs; nil is none.
func (t *tool) emitShown(p *trust.Policy) error {
	if p == nil {
		return nil
	}
	return t.emitValue(p)
}

// trustLines say what an entry wants, a line for each rule.
func trustLines(e trust.Package) []string {
	var lines []string
	for _, r := range e.Rules {
		lines = append(lines, r.Wants())
	}
	switch {
	case e.Unsigned:
		lines = append(lines, "anything")
	case e.Nothing:
		lines = append(lines, "nothing")
	case e.Pin:
		lines = append(lines, "signed by who signed first")
	}
	switch {
	case len(e.Compilers) > 0:
		lines = append(lines, "native code attested by "+strings.Join(e.Compilers, " or "))
	case e.Compilers != nil:
		lines = append(lines, "native code made here")
	}
	return lines
}

func (t *tool) trustForgetCommand() *cli.Command {
	return &cli.Command{
		Name:        "forget",
		Usage:       "forget who signed a package first",
		ArgsUsage:   "HOST/PATH",
		Description: "The next use of the package pins who signs it then.",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			pins, err := pinFolder()
			if err != nil {
				return err
			}
			host, path, _ := strings.Cut(c.Args().First(), "/")
			err = pins.Forget(trust.Name(host, path))
			if errors.Is(err, trust.ErrNotPinned) {
				err = &hinted{err, "a package is named with its registry here: HOST/PATH"}
			}
			return err
		},
	}
}
