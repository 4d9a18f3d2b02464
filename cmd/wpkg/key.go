package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/keyref"
)

// keyHelp says what keys are named by, to people.
const keyHelp = `A key is a FILE in PEM, plain or as cosign encrypts it; env://NAME, the same in a
variable of the environment; and, where wpkg was built for them (-tags pkcs11key,kms),
pkcs11:token=T;object=O?module-path=P, awskms://, gcpkms://, azurekms:// or
hashivault://. The pass phrase of a file is taken from WPKG_KEY_PASSWORD or
COSIGN_PASSWORD; if neither is set, it is asked for.`

func (t *tool) keyCommand() *cli.Command {
	return &cli.Command{
		Name:        "key",
		Usage:       "make and show keys that sign packages",
		Description: keyHelp,
		Subcommands: []*cli.Command{t.keyGenerateCommand(), t.keyImportCommand(), t.keyPublicCommand()},
	}
}

// keyView is a key as commands show it.
type keyView struct {
	ID        string `json:"id"` // SHA-256 of the SubjectPublicKeyInfo, in hexadecimal
	Algorithm string `json:"algorithm"`
	Private   string `json:"private,omitempty"` // file that was written
	Public    string `json:"public,omitempty"`  // likewise
	PEM       string `json:"pem,omitempty"`
}

// newKeyFlags are those of commands that write a key.
type newKeyFlags struct {
	prefix     string
	noPassword bool
}

func (f *newKeyFlags) flags(prefix string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "o", Usage: "write `PREFIX`.key and PREFIX.pub; " + prefix, Destination: &f.prefix, TakesFile: true},
		&cli.BoolFlag{
			Name: "no-password", Usage: "encrypt with the empty pass phrase: who has the file has the key", Destination: &f.noPassword,
			DisableDefaultText: true,
		},
	}
}

func (t *tool) keyGenerateCommand() *cli.Command {
	var f newKeyFlags
	var algorithm string
	return &cli.Command{
		Name:  "generate",
		Usage: "make a new key",
		Description: `PREFIX.key is the private key, encrypted as cosign does it, which opens it too;
PREFIX.pub is the public one. Files that exist are never overwritten. The pass
phrase is taken from WPKG_KEY_PASSWORD or COSIGN_PASSWORD; if neither is set, it is
asked for, twice.`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{
				Name: "algorithm", Value: key.P256, Usage: "`KIND` of key: " + strings.Join(key.Algorithms(), ", "), Destination: &algorithm,
			},
		}, f.flags("by default wpkg")...),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			if f.prefix == "" {
				f.prefix = "wpkg"
			}
			return t.writeKey(f, func() (*key.Private, error) {
				k, err := key.Generate(algorithm)
				if errors.Is(err, key.ErrAlgorithm) {
					return nil, usagef("--algorithm %v", err)
				}
				return k, err
			})
		},
	}
}

func (t *tool) keyImportCommand() *cli.Command {
	var f newKeyFlags
	return &cli.Command{
		Name:      "import",
		Usage:     "encrypt a key that other tools made",
		ArgsUsage: "FILE",
		Description: `FILE is a private key in PEM: PKCS #8, SEC 1 or PKCS #1. It stays as it is; what is
written is as key generate has it.

   openssl ecparam -name prime256v1 -genkey -noout -out old.pem
   wpkg key import old.pem -o release`,
		Flags: f.flags("by default the name of FILE without its extension"),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			file := c.Args().First()
			if f.prefix == "" {
				f.prefix = strings.TrimSuffix(file, filepath.Ext(file))
			}
			return t.writeKey(f, func() (*key.Private, error) { return t.openKey(c.Context, file) })
		},
	}
}

func (t *tool) keyPublicCommand() *cli.Command {
	return &cli.Command{
		Name:        "public",
		Usage:       "print the public key of a key",
		ArgsUsage:   "KEY",
		Description: keyHelp,
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			k, err := t.publicKey(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			if t.structured() {
				return t.emitValue(keyView{ID: k.ID(), Algorithm: k.Algorithm(), PEM: string(k.PEM())})
			}
			fmt.Fprintf(t.err, "%s, ID %s\n", k.Algorithm(), k.ID())
			_, err = t.out.Write(k.PEM())
			return err
		},
	}
}

// openKey opens a private key, and asks on the terminal for its pass phrase.
func (t *tool) openKey(ctx context.Context, reference string) (*key.Private, error) {
	o := keyref.Options{Warn: func(text string) { t.warn("%s", text) }}
	if term.IsTerminal(t.in) {
		o.Pass = t.secret
	}
	k, err := keyref.Open(ctx, reference, o)
	if _, inEnv := keyref.EnvPass(); errors.Is(err, keyref.ErrPass) && o.Pass == nil && !inEnv {
		return nil, &hinted{err, "the pass phrase is read from WPKG_KEY_PASSWORD, or asked for on a terminal"}
	}
	return k, err
}

// publicKey opens a public key; if only an encrypted private one is there, it asks
// for the pass phrase.
func (t *tool) publicKey(ctx context.Context, reference string) (*key.Public, error) {
	k, err := keyref.Public(ctx, reference)
	if !errors.Is(err, key.ErrEncrypted) {
		return k, err
	}
	private, err := t.openKey(ctx, reference)
	if err != nil {
		return nil, err
	}
	return private.Public, nil
}

// writeKey writes a key that get gives to two new files. Whether they may be
// written is known before anyone is asked for anything.
func (t *tool) writeKey(f newKeyFlags, get func() (*key.Private, error)) error {
	private, public := f.prefix+".key", f.prefix+".pub"
	for _, file := range []string{private, public} {
		if _, err := os.Lstat(file); err == nil {
			return keyExists(&fs.PathError{Op: "write", Path: file, Err: fs.ErrExist})
		}
	}
	k, err := get()
	if err != nil {
		return err
	}
	pass, err := t.newPass(f.noPassword)
	if err != nil {
		return err
	}
	text, err := keyref.Encrypt(k, pass)
	if err != nil {
		return err
	}
	if err := durable.WriteNew(private, text, 0o600); err != nil {
		return keyExists(err)
	}
	if err := durable.WriteNew(public, k.PEM(), 0o644); err != nil { // whoever finds no public key would not use the private one
		return errors.Join(keyExists(err), durable.Remove(private))
	}
	return t.emit(keyView{ID: k.ID(), Algorithm: k.Algorithm(), Private: private, Public: public}, [][]string{
		{"PRIVATE", "PUBLIC", "ALGORITHM", "ID"}, {private, public, k.Algorithm(), k.ID()},
	})
}

func keyExists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return &hinted{err, "keys are never overwritten; -o PREFIX writes others"}
	}
	return err
}

// newPass is the pass phrase for a new key, asked for twice since what is typed is
// not seen.
func (t *tool) newPass(none bool) ([]byte, error) {
	if none {
		return nil, nil
	}
	if pass, ok := keyref.EnvPass(); ok {
		return pass, nil
	}
	pass, err := t.secret("New pass phrase")
	if errors.Is(err, errNoTerminal) {
		return nil, &hinted{fmt.Errorf("new pass phrase: %w", err), "it is read from WPKG_KEY_PASSWORD; --no-password does without"}
	}
	if err != nil {
		return nil, fmt.Errorf("new pass phrase: %w", err)
	}
	if len(pass) == 0 {
		return nil, &hinted{errors.New("the pass phrase is empty"), "--no-password does without"}
	}
	again, err := t.secret("The same again")
	if err != nil {
		return nil, fmt.Errorf("new pass phrase: %w", err)
	}
	if !bytes.Equal(pass, again) {
		return nil, errors.New("the pass phrases differ")
	}
	return pass, nil
}
