package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/cyclonedx"
	"github.com/wreg-project/wreg/sbom/spdx"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
)

// attestFlags are the flags of attest.
type attestFlags struct {
	kind      string
	predicate string
	known     advisoryFlags
	signer    signerFlags
}

// attested is an attestation that was made.
type attested struct {
	Reference     string        `json:"reference"`
	Digest        digest.Digest `json:"digest"` // of the manifest that it is about
	Type          string        `json:"type"`   // short, or the URI
	PredicateType string        `json:"predicateType"`
	Signer        string        `json:"signer"`
	Attestation   digest.Digest `json:"attestation"` // the manifest that carries it
}

func (t *tool) attestCommand() *cli.Command {
	var f attestFlags
	return &cli.Command{
		Name:      "attest",
		Usage:     "sign a statement about a package",
		ArgsUsage: "REF --type TYPE --key KEY",
		Description: `Signs what --predicate says about the manifest that REF names, and attaches it there
as wpkg sign does. The type is a URI or one of
` + strings.Join(attest.Names(), ", ") + `.
A predicate of one of these is held against its format first.

Without --predicate it is made here:
   cyclonedx, spdx   the bill of materials of the binary, as wpkg sbom derives it
   capabilities      what the binary is, needs and may do, as wpkg inspect finds it
   vuln              what advisories say of it, as wpkg scan finds it with --db
   slsaprovenance    how it was built, of the environment of GitHub Actions or GitLab

   wpkg attest demo/app:1.0.0 --type cyclonedx --key release.key
   wpkg attest demo/app:1.0.0 --type vuln --db Go/all.zip --key scanner.key
   wpkg build --provenance app.provenance.json && wpkg push demo/app:1.0.0 app.wasm &&
   wpkg attest demo/app:1.0.0 --type slsaprovenance --predicate app.provenance.json --key release.key`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "type", Usage: "the `TYPE` of the predicate", Destination: &f.kind},
			&cli.StringFlag{Name: "predicate", Usage: "say what is in this `FILE` of JSON", Destination: &f.predicate, TakesFile: true},
		}, f.known.sources(), f.signer.flags()),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			return t.attest(c.Context, c.Args().First(), &f)
		},
	}
}

func (t *tool) attest(ctx context.Context, arg string, f *attestFlags) error {
	if f.kind == "" {
		return &usageError{text: "attest: which type?", hint: "--type " + strings.Join(attest.Names(), ", ") + ", or a URI"}
	}
	predicateType, err := attest.Type(f.kind)
	if err != nil {
		return usagef("--type: %v", err)
	}
	if predicateType == signing.PredicateSignature { // which rules take for more than what is said of a package
		return &usageError{text: "attest: " + predicateType + " is the type of signatures", hint: "wpkg sign makes one"}
	}
	if f.signer.legacy {
		return usagef("attest: --legacy-sig is for signatures; attestations are bundles")
	}
	by, err := t.author(ctx, f.signer)
	if err != nil {
		return err
	}
	s, err := t.selected(ctx, arg)
	if err != nil {
		return err
	}
	st, err := t.predicate(ctx, arg, s, predicateType, f)
	if err != nil {
		return err
	}
	text, err := signing.Sign(ctx, st, by)
	if err != nil {
		return fmt.Errorf("attest %s: %w", s.named(), err)
	}
	at, err := client.Attach(ctx, s.Target, s.desc, text, predicateType)
	if err != nil {
		return fmt.Errorf("attest %s: %w", s.named(), err)
	}
	out := attested{
		Reference: s.named().String(), Digest: s.desc.Digest, Type: attest.Name(predicateType), PredicateType: predicateType,
		Signer: by.name(text), Attestation: at.Digest,
	}
	return t.emit(out, [][]string{
		{"REFERENCE", "DIGEST", "TYPE", "SIGNER", "ATTESTATION"},
		{out.Reference, out.Digest.String(), out.Type, out.Signer, out.Attestation.String()},
	})
}

// predicate is the statement of what is to be said of the package s, which arg
// names.
func (t *tool) predicate(ctx context.Context, arg string, s selection, predicateType string, f *attestFlags) (signing.Statement, error) {
	about := signing.SubjectOf("", s.desc.Digest) // no name: it is as true of a copy
	if f.predicate != "" {
		raw, err := readPredicate(f.predicate)
		if err != nil {
			return signing.Statement{}, err
		}
		st, err := attest.Of(predicateType, raw, about)
		if err != nil {
			return st, fmt.Errorf("%s: %w", f.predicate, err)
		}
		return st, t.ofThis(ctx, arg, f.predicate, raw, predicateType)
	}
	if predicateType == attest.TypeProvenance {
		p, err := attest.CI(os.Getenv)
		if errors.Is(err, attest.ErrNoCI) {
			return signing.Statement{}, &hinted{err, "elsewhere wpkg build --provenance FILE makes one for --predicate"}
		}
		if err != nil {
			return signing.Statement{}, err
		}
		return p.Statement(about)
	}
	derive, ok := map[string]func(context.Context, *wasmFile, *attestFlags, signing.Subject) (signing.Statement, error){
		attest.TypeCycloneDX: t.attestCycloneDX, attest.TypeSPDX: t.attestSPDX,
		attest.TypeCapabilities: t.attestCapabilities, attest.TypeVuln: t.attestScan,
	}[predicateType]
	if !ok {
		return signing.Statement{}, &usageError{
			text: fmt.Sprintf("attest: nothing here makes a predicate of the type %s", term.Clean(f.kind)), hint: "--predicate FILE",
		}
	}
	file, err := t.load(ctx, arg)
	if err != nil {
		return signing.Statement{}, err
	}
	if file.digest != s.desc.Digest.String() { // the tag has moved
		return signing.Statement{}, fmt.Errorf("%s: it is %s now, and was %s", s.named(), file.digest, s.desc.Digest)
	}
	return derive(ctx, file, f, about)
}

// readPredicate reads a file of at most attest.MaxPredicate bytes.
func readPredicate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, attest.MaxPredicate+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return raw, nil
}

// ofThis refuses provenance by wpkg build of another file than the package has.
func (t *tool) ofThis(ctx context.Context, arg, name string, raw []byte, predicateType string) error {
	view, err := attest.Read(predicateType, raw)
	if err != nil || view.Provenance == nil || view.Provenance.BuildDefinition.BuildType != attest.BuildWpkg {
		return err
	}
	file, err := t.load(ctx, arg)
	if err != nil {
		return err
	}
	got := sha256Of(file.data)
	for _, b := range view.Provenance.RunDetails.Byproducts {
		if want := b.Digest["sha256"]; b.MediaType == wasmType && want != got["sha256"] {
			return fmt.Errorf("%s: it is about %s with SHA-256 %s, and the package has a file with %s", name, term.Clean(b.Name), want, got["sha256"])
		}
	}
	return nil
}

// wasmType is the media type of the file that a provenance by wpkg build is about.
const wasmType = "application/wasm"

func sha256Of(data []byte) map[string]string {
	sum := sha256.Sum256(data)
	return map[string]string{"sha256": hex.EncodeToString(sum[:])}
}

func (t *tool) attestCycloneDX(_ context.Context, file *wasmFile, _ *attestFlags, about signing.Subject) (signing.Statement, error) {
	d, err := file.sbom()
	if err != nil {
		return signing.Statement{}, err
	}
	return attest.CycloneDX(d, cyclonedx.Options{}, about)
}

func (t *tool) attestSPDX(_ context.Context, file *wasmFile, _ *attestFlags, about signing.Subject) (signing.Statement, error) {
	d, err := file.sbom()
	if err != nil {
		return signing.Statement{}, err
	}
	return attest.SPDX(d, spdx.Options{}, about)
}

func (t *tool) attestCapabilities(_ context.Context, file *wasmFile, _ *attestFlags, about signing.Subject) (signing.Statement, error) {
	rep, err := inspect.Inspect(file.data, inspect.Options{Strings: -1})
	if err != nil {
		return signing.Statement{}, file.fault(err)
	}
	c := attest.Capabilities{
		Inspector: attest.Inspector{URI: attest.ProgramURI, Version: version.Get().Version},
		Binaries:  []attest.Binary{attest.BinaryOf(rep, "", sha256Of(file.data))},
	}
	return c.Statement(about)
}

// attestScan says what the advisories of --db say. What VEX documents state is for
// who reads it to take into account.
func (t *tool) attestScan(ctx context.Context, file *wasmFile, f *attestFlags, about signing.Subject) (signing.Statement, error) {
	started, err := creationTime()
	if err != nil {
		return signing.Statement{}, err
	}
	fixed := !started.IsZero()
	if !fixed {
		started = time.Now()
	}
	m, err := t.newMatcher(ctx, &f.known)
	if err != nil {
		return signing.Statement{}, err
	}
	defer m.close()
	b, err := wasm.Parse(file.data)
	if err != nil {
		return signing.Statement{}, file.fault(err)
	}
	d, err := sbom.Extract(b, sbom.Options{Name: file.name})
	if err != nil {
		return signing.Statement{}, file.fault(err)
	}
	found, _, err := m.match(ctx, d, scan.CodeOf(b), nil)
	if err != nil {
		return signing.Statement{}, err
	}
	finished := started
	if !fixed {
		finished = time.Now()
	}
	parameters := []string{}
	for _, path := range f.known.paths() {
		parameters = append(parameters, "--db="+path)
	}
	database, err := advisoriesDigest(f.known.paths())
	if err != nil {
		return signing.Statement{}, err
	}
	s := attest.Scan{
		Invocation: attest.Invocation{Parameters: parameters},
		Scanner:    attest.Scanner{URI: attest.ProgramURI, Version: version.Get().Version, DB: attest.ScanDB{Version: database}},
		Metadata:   attest.ScanTimes{Started: started.UTC(), Finished: finished.UTC()},
	}
	if err := s.SetResult(attest.ScanResult{Files: []attest.ScannedFile{{Digest: sha256Of(file.data), Report: *found}}}); err != nil {
		return signing.Statement{}, err
	}
	return s.Statement(about)
}

// advisoriesDigest is the digest of the file that advisories were read from, or of
// several behind each other; "" if one of them is a folder.
func advisoriesDigest(paths []string) (string, error) {
	if len(paths) == 0 {
		return "", nil
	}
	h := sha256.New()
	for _, path := range paths {
		if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
			return "", err
		}
		if err := copyFile(h, path); err != nil {
			return "", err
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = io.Copy(w, f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
