//go:build interop

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/test/testenv"
)

// predicateType is of the attestations that the matrix makes.
const predicateType = "https://example.com/predicate/v1"

// A cell is one way to sign: who, with what, in which form, and what.
type cell struct{ by, with, form, what string }

func (c cell) String() string { return c.by + " " + c.with + " " + c.form + " " + c.what }

var (
	tools = []string{"wpkg", "cosign2", "cosign3"}
	withs = []string{"key", "ed25519", "keyless"} // a key is of P-256 unless it says otherwise
	forms = []string{"bundle", "legacy"}
	whats = []string{"signature", "attestation"}
)

// An exception is what does not work, why, and what the program says then. The
// test fails as well when it begins to work, so that the list stays true. "*" is
// everything.
type exception struct {
	cell
	verifier string // "": it cannot even be made; "cosign*" is both versions
	attested bool   // only where wreg attests whatever is there
	why      string
	says     string // "": there is no way to ask for it
}

var exceptions = []exception{
	{
		cell: cell{"cosign2", "keyless", "bundle", "*"}, says: "hashedrekord",
		why: "cosign 2 sends the log an entry of kind dsse, which Rekor 2 does not take any more",
	},
	{
		cell: cell{"wpkg", "keyless", "legacy", "*"},
		why:  "the older form has no place for timestamps, without which Rekor 2 proves no time",
	},
	{
		cell: cell{"cosign2", "keyless", "legacy", "*"},
		why:  "the older form is logged by Rekor 1 only, which needs Trillian and MySQL",
	},
	{cell: cell{"cosign3", "keyless", "legacy", "*"}, why: "likewise"},
	{cell: cell{"wpkg", "*", "legacy", "attestation"}, why: "wpkg writes attestations as bundles only"},
	{
		cell: cell{"cosign2", "ed25519", "*", "*"}, verifier: "wpkg", says: "no signature can be verified",
		why: "cosign signs by Ed25519ph and verifies by Ed25519 (RFC 8032), which wpkg does both; a key is for one of them",
	},
	{cell: cell{"cosign3", "ed25519", "*", "*"}, verifier: "wpkg", says: "no signature can be verified", why: "likewise"},
	{
		cell: cell{"cosign2", "ed25519", "*", "*"}, verifier: "cosign*", says: "no matching",
		why: "for the same reason cosign does not verify what it has signed itself; what wpkg has signed it does",
	},
	{cell: cell{"cosign3", "ed25519", "*", "*"}, verifier: "cosign*", says: "no matching", why: "likewise"},
	{
		cell: cell{"*", "*", "legacy", "*"}, verifier: "cosign2", attested: true, says: "accepted signatures do not match threshold",
		why: "cosign 2 reads the tags only where no bundle hangs, and wreg's own attestations are bundles: the default makes way for the tags",
	},
}

func (e exception) is(c cell, verifier string, attested bool) bool {
	match := func(pattern, s string) bool { return pattern == "*" || pattern == s }
	return match(e.by, c.by) && match(e.with, c.with) && match(e.form, c.form) && match(e.what, c.what) &&
		(e.verifier == verifier || e.verifier == "cosign*" && strings.HasPrefix(verifier, "cosign")) && (attested || !e.attested)
}

func (m *matrix) exception(c cell, verifier string) *exception {
	i := slices.IndexFunc(exceptions, func(e exception) bool { return e.is(c, verifier, m.attested) })
	if i < 0 {
		return nil
	}
	return &exceptions[i]
}

// A matrix is where everything is signed and verified.
type matrix struct {
	reg   registry
	sh    *shell
	stack *testenv.Sigstore
	bin   map[string]string
	token string

	attested bool // wreg attests what it knows of every package, whatever hangs there
}

// attestations are all that a server can be told to make of every package.
const attestations = "vsa,sbom,vulnerabilities,capabilities"

// newMatrix starts a wreg, which attests what it knows of every package or, by
// default, of those that are not signed by cosign's tags alone.
func newMatrix(t *testing.T, attested bool) *matrix {
	var args []string
	if attested {
		args = []string{"--signing-attest", attestations}
	}
	m := &matrix{
		attested: attested, reg: startWreg(t, args...), sh: newShell(t, "COSIGN_PASSWORD=a phrase", "COSIGN_YES=true"), stack: startSigstore(t),
		bin: map[string]string{"wpkg": program(t, "bin", "wpkg"), "cosign2": client(t, "cosign"), "cosign3": client(t, "cosign-v3")},
	}
	m.token = m.stack.Issuer.Mint(t, nil)
	m.sh.run(m.bin["cosign2"], "generate-key-pair")
	m.sh.run(m.bin["wpkg"], "key", "generate", "-o", "ed25519", "--algorithm", "ed25519")
	m.sh.run(m.bin["wpkg"], "key", "generate", "-o", "other")
	if err := os.WriteFile(m.sh.file("predicate.json"), []byte(`{"said": "so"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// ref is the package that a cell is of.
func (m *matrix) ref(c cell) string { return m.reg.ref(strings.ReplaceAll(c.String(), " ", "-")) }

// sign has the program of the cell sign a package.
func (m *matrix) sign(c cell, of string) error {
	args := []string{m.bin[c.by], "sign"}
	if c.what == "attestation" {
		args = []string{m.bin[c.by], "attest", "--predicate", "predicate.json", "--type", predicateType}
	}
	if c.by == "wpkg" {
		args = append(args, "--output", "json")
	} else {
		args = append(args, "--yes", "--allow-http-registry")
	}
	switch {
	case c.with != "keyless":
		args = append(args, "--key", c.file()+".key")
		if c.by != "wpkg" {
			args = append(args, "--tlog-upload=false")
		}
		if c.by == "cosign3" {
			args = append(args, "--use-signing-config=false")
		}
	case c.form == "bundle":
		args = append(args, "--identity-token", m.token, "--signing-config", m.stack.SigningConfig)
		if c.by != "cosign2" {
			args = append(args, "--trusted-root", m.stack.TrustedRoot)
		}
	}
	switch {
	case c.by == "wpkg" && c.form == "legacy":
		args = append(args, "--legacy-sig")
	case c.by == "cosign2" && c.form == "bundle":
		args = append(args, "--new-bundle-format")
	case c.by == "cosign3" && c.form == "legacy":
		args = append(args, "--new-bundle-format=false")
	}
	out, err := m.sh.try(append(args, of)...)
	if err != nil || c.by != "wpkg" || c.form != "legacy" {
		return err
	}
	// wpkg writes the older form beside a bundle, which everybody would look at first.
	var one struct{ Signature string }
	if err := json.Unmarshal([]byte(out), &one); err != nil {
		return fmt.Errorf("wpkg sign printed %q: %w", out, err)
	}
	name, _, _ := strings.Cut(of, "@")
	_, err = m.sh.try(m.bin["wpkg"], "rm", "--yes", name+"@"+one.Signature)
	return err
}

// cosignVerifies has one of cosign's versions verify what a cell signed.
func (m *matrix) cosignVerifies(version string, c cell, of string) error {
	args := []string{m.bin[version], "verify", "--allow-http-registry"}
	if c.what == "attestation" {
		args = []string{m.bin[version], "verify-attestation", "--type", predicateType, "--allow-http-registry"}
	}
	if c.with != "keyless" {
		args = append(args, "--key", c.file()+".pub", "--insecure-ignore-tlog=true")
	} else {
		args = append(args, "--certificate-identity", "alice@example.com", "--certificate-oidc-issuer", m.stack.Issuer.URL, "--use-signed-timestamps")
	}
	switch {
	case version == "cosign2" && c.form == "bundle":
		args = append(args, "--new-bundle-format")
	case version == "cosign3" && c.form == "legacy" && m.attested:
		args = append(args, "--new-bundle-format=false")
	}
	args = append(args, "--trusted-root", m.stack.TrustedRoot)
	_, err := m.sh.try(append(args, of)...)
	return err
}

// wpkgVerifies has wpkg verify what a cell signed, and wants one signature of the
// cell's form, signer and predicate to count; and none of who has not signed.
func (m *matrix) wpkgVerifies(c cell, of string) error {
	verify := func(signer ...string) (string, error) {
		args := append([]string{m.bin["wpkg"], "verify", "--output", "json"}, signer...)
		if c.what == "attestation" {
			args = append(args, "--type", predicateType)
		}
		return m.sh.try(append(args, of)...)
	}
	signer := []string{"--key", c.file() + ".pub"}
	other := []string{"--key", "other.pub"}
	if c.with == "keyless" {
		by := func(identity string) []string {
			return []string{
				"--certificate-identity", identity, "--certificate-oidc-issuer", m.stack.Issuer.URL, "--trusted-root", m.stack.TrustedRoot,
			}
		}
		signer, other = by("alice@example.com"), by("mallory@example.com")
	}
	text, err := verify(signer...)
	if err != nil {
		return err
	}
	var said struct {
		Allowed bool
		Rules   []struct{ By []counted }
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		return fmt.Errorf("wpkg verify printed %q: %w", text, err)
	}
	if !said.Allowed || len(said.Rules) != 1 || !slices.ContainsFunc(said.Rules[0].By, c.made) {
		return fmt.Errorf("none of what counts is what was made: %s", text)
	}
	if text, err := verify(other...); exitStatus(err) != 3 {
		return fmt.Errorf("wpkg verify takes it for another's: %s, %w", text, err)
	}
	return nil
}

// counted is a signature that counts, as wpkg verify prints it.
type counted struct {
	Form, PredicateType string
	Principal           struct{ Key, Identity string }
	Time                string
	LogIndex            *int64
}

// made reports whether a signature is what the cell made.
func (c cell) made(got counted) bool {
	form, predicate := "bundle", signing.PredicateSignature
	if c.form == "legacy" {
		form = "cosign"
	}
	if c.what == "attestation" {
		predicate = predicateType
	}
	by := got.Principal.Key != "" && got.LogIndex == nil
	if c.with == "keyless" {
		by = got.Principal.Identity == "alice@example.com" && got.LogIndex != nil && got.Time != ""
	}
	return by && got.Form == form && got.PredicateType == predicate
}

// exitStatus is the status of a program that ended with err.
func exitStatus(err error) int {
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return ended.ExitCode()
	}
	return 0
}

// file is the name of the cell's key, without its ending.
func (c cell) file() string {
	if c.with == "ed25519" {
		return "ed25519"
	}
	return "cosign"
}

func (m *matrix) verify(verifier string, c cell, of string) error {
	if verifier == "wpkg" {
		return m.wpkgVerifies(c, of)
	}
	return m.cosignVerifies(verifier, c, of)
}

// Everyone verifies what everyone signs, in every form, but for the exceptions;
// and does so when the services that took part have ended.
func TestSigningMatrix(t *testing.T) {
	for name, attested := range map[string]bool{"beside attestations of every package": true, "by default": false} {
		t.Run(name, func(t *testing.T) {
			m := newMatrix(t, attested)
			made := m.make(t)
			unsigned := m.reg.ref("unsigned") + "@" + m.sh.push(m.reg.ref("unsigned:1.0.0")).Digest
			m.stack.Stop()
			for _, verifier := range tools {
				for _, with := range withs {
					c := cell{"nobody", with, "bundle", "signature"}
					if err := m.verify(verifier, c, unsigned); err == nil {
						t.Errorf("%s verifies what nobody signed with a %s", verifier, with)
					}
				}
			}
			for c := range cells() {
				of, ok := made[c]
				if !ok {
					continue
				}
				for _, verifier := range tools {
					t.Run(c.String()+" verified by "+verifier, func(t *testing.T) { m.check(t, verifier, c, of) })
				}
			}
		})
	}
}

// make pushes a package for each cell and signs it.
func (m *matrix) make(t *testing.T) map[cell]string {
	t.Helper()
	made := map[cell]string{}
	for c := range cells() {
		out := m.exception(c, "")
		if out != nil && out.says == "" {
			continue
		}
		of := m.ref(c) + "@" + m.sh.push(m.ref(c)+":1.0.0").Digest
		switch err := m.sign(c, of); {
		case out == nil && err != nil:
			t.Errorf("%s: %v", c, err)
		case out == nil:
			made[c] = of
		case err == nil:
			t.Errorf("%s works, and should not, for %s", c, out.why)
		case !strings.Contains(err.Error(), out.says):
			t.Errorf("%s: %v; want %q, for %s", c, err, out.says, out.why)
		}
	}
	m.reg.settle(t) // until wreg's own attestations are there
	return made
}

// check verifies one cell.
func (m *matrix) check(t *testing.T, verifier string, c cell, of string) {
	err, out := m.verify(verifier, c, of), m.exception(c, verifier)
	switch {
	case out == nil && err != nil:
		t.Errorf("%s by %s: %v", c, verifier, err)
	case out != nil && err == nil:
		t.Errorf("%s by %s works, and should not, for %s", c, verifier, out.why)
	case out != nil && !strings.Contains(err.Error(), out.says):
		t.Errorf("%s by %s: %v; want %q, for %s", c, verifier, err, out.says, out.why)
	}
}

// cells are all ways to sign.
func cells() func(yield func(cell) bool) {
	return func(yield func(cell) bool) {
		for _, by := range tools {
			for _, with := range withs {
				for _, form := range forms {
					for _, what := range whats {
						if !yield(cell{by, with, form, what}) {
							return
						}
					}
				}
			}
		}
	}
}
