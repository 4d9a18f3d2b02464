//go:build pkcs11key

package keyref

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	softHSM = "/usr/lib/softhsm/libsofthsm2.so"
	pin     = "98765432"
)

// newToken makes a token of SoftHSM with an EC and an RSA key.
func newToken(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", filepath.Join(dir, "tokens"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", config)
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v (make setup installs it)\n%s", name, args, err, out)
		}
	}
	run("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", pin, "--so-pin", "12345678")
	for _, k := range [][]string{{"EC:prime256v1", "ec", "01"}, {"EC:secp384r1", "ec384", "02"}, {"rsa:2048", "rsa", "03"}} {
		run("pkcs11-tool", "--module", softHSM, "--token-label", "release", "--login", "--pin", pin, "--keypairgen", "--key-type", k[0],
			"--label", k[1], "--id", k[2])
	}
}

// Keys in a token sign, and what they sign verifies with the public half. All of it
// is one test, since the library reads the token's configuration once.
func TestTokens(t *testing.T) {
	quiet(t)
	for _, name := range pinVariables {
		t.Setenv(name, "")
	}
	newToken(t)
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte(pin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	module := "module-path=" + softHSM
	for _, tt := range []struct{ name, reference, algorithm string }{
		{"by label", "pkcs11:token=release;object=ec?" + module + "&pin-value=" + pin, "ECDSA P-256"},
		{"by id", "pkcs11:token=release;id=%02?" + module + "&pin-value=" + pin, "ECDSA P-384"},
		{"RSA, PIN in a file", "pkcs11:token=release;object=rsa;type=private?" + module + "&pin-source=file:" + file, "RSA 2048"},
		{"PIN asked for", "pkcs11:token=release;object=ec?" + module, "ECDSA P-256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := Open(t.Context(), tt.reference, Options{Pass: answer(pin)})
			if err != nil || k.Algorithm() != tt.algorithm {
				t.Fatalf("Open(%s) = %v, %v; want a key of %s", display(tt.reference), k, err, tt.algorithm)
			}
			sig, _, err := k.SignData(t.Context(), []byte("data"))
			if err != nil {
				t.Fatal(err)
			}
			v, err := k.Verifier()
			if err != nil {
				t.Fatal(err)
			}
			if err := v.VerifySignature(strings.NewReader(string(sig)), strings.NewReader("data")); err != nil {
				t.Errorf("the signature of %s does not verify: %v", tt.name, err)
			}
		})
	}
	for _, tt := range []struct{ name, reference, says string }{
		{"an absent key", "pkcs11:token=release;object=none?" + module + "&pin-value=" + pin, "was not found"},
		{"an absent token", "pkcs11:token=none;object=ec?" + module + "&pin-value=" + pin, "could not find PKCS#11 token"},
		{"no PIN and nobody to ask", "pkcs11:token=release;object=ec?" + module, "WPKG_PKCS11_PIN"},
		{"an absent library", "pkcs11:token=release;object=ec?module-path=/absent.so&pin-value=" + pin, "absent.so"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(t.Context(), tt.reference, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), pin) {
				t.Errorf("Open(%s) = %v; want an error that says %q and no PIN", display(tt.reference), err, tt.says)
			}
		})
	}
}

func TestParseTokenURI(t *testing.T) {
	slot := 7
	got, err := parseTokenURI("pkcs11:slot-id=7;id=%01%ff;object=a%20key?module-path=/m.so&pin-value=1%3b2")
	want := &tokenURI{slot: &slot, id: "\x01\xff", object: "a key", module: "/m.so", pin: "1;2"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tokenURI{})); err != nil || diff != "" {
		t.Fatalf("parseTokenURI: %v (-want +got)\n%s", err, diff)
	}
	for _, reference := range []string{
		"pkcs11:", "pkcs11:token=T?module-path=/m.so", "pkcs11:token=T;object=O", "pkcs11:token=T;object=O?module-path=m.so",
		"pkcs11:object=O?module-path=/m.so", "pkcs11:token=T;serial=1;object=O?module-path=/m.so", "pkcs11:token=T;token=U;object=O?module-path=/m.so",
		"pkcs11:token=%zz;object=O?module-path=/m.so", "pkcs11:token;object=O?module-path=/m.so", "pkcs11:slot-id=-1;object=O?module-path=/m.so",
		"pkcs11:token=T;object=O;type=cert?module-path=/m.so", "pkcs11:token=T;object=O;colour=red?module-path=/m.so&pin-value=1234",
	} {
		if got, err := parseTokenURI(reference); !errors.Is(err, ErrReference) || strings.Contains(err.Error(), "1234") {
			t.Errorf("parseTokenURI(%s) = %+v, %v; want ErrReference without the PIN", reference, got, err)
		}
	}
}
