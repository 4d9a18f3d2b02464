package keyref

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/signing/internal/cosign"
	"github.com/wreg-project/wreg/signing/key"
)

const phrase = "open sesame" // of the keys in testdata

// quiet takes away what the environment says of pass phrases.
func quiet(t *testing.T) {
	t.Helper()
	for _, name := range passVariables {
		t.Setenv(name, "") // so that it is put back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(pass string) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return []byte(pass), nil }
}

// plain writes a new key in PEM with a mode.
func plain(t *testing.T, mode fs.FileMode) (path string, k *key.Private) {
	t.Helper()
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "plain.key")
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path, k
}

func TestOpenKeysOfCosign(t *testing.T) {
	tests := []struct {
		name, file, algorithm string
		env                   map[string]string
		pass                  func(string) ([]byte, error)
	}{
		{name: "ECDSA, asked for", file: "cosign", algorithm: "ECDSA P-256", pass: answer(phrase)},
		{name: "Ed25519, in cosign's variable", file: "cosign-ed", algorithm: "Ed25519", env: map[string]string{"COSIGN_PASSWORD": phrase}},
		{
			name: "RSA, our variable before cosign's and before the question", file: "cosign-rsa", algorithm: "RSA 2048",
			env: map[string]string{"WPKG_KEY_PASSWORD": phrase, "COSIGN_PASSWORD": "something else"}, pass: answer("wrong"),
		},
		{name: "an empty pass phrase where nobody can be asked", file: "cosign-nopass", algorithm: "ECDSA P-256"},
		{
			name: "an empty pass phrase in the environment", file: "cosign-nopass", algorithm: "ECDSA P-256",
			env: map[string]string{"COSIGN_PASSWORD": ""}, pass: answer("wrong"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			quiet(t)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			file := filepath.Join("testdata", tt.file)
			k, err := Open(t.Context(), file+".key", Options{Pass: tt.pass})
			if err != nil {
				t.Fatalf("Open(%s.key) = %v", file, err)
			}
			pub, err := Public(t.Context(), file+".pub")
			if err != nil {
				t.Fatalf("Public(%s.pub) = %v", file, err)
			}
			if k.ID() != pub.ID() || k.Algorithm() != tt.algorithm {
				t.Fatalf("Open(%s.key) = %s %s, want %s %s", file, k.Algorithm(), k.ID(), tt.algorithm, pub.ID())
			}
		})
	}
}

func TestOpenPlainKeys(t *testing.T) {
	quiet(t)
	path, want := plain(t, 0o600)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("A_KEY", string(text))
	for _, reference := range []string{path, "env://A_KEY"} {
		got, err := Open(t.Context(), reference, Options{Warn: func(text string) { t.Errorf("Open(%s) warns: %s", reference, text) }})
		if err != nil || got.ID() != want.ID() {
			t.Fatalf("Open(%s) = %v, %v; want %s", reference, got, err, want.ID())
		}
		pub, err := Public(t.Context(), reference)
		if err != nil || pub.ID() != want.ID() {
			t.Fatalf("Public(%s) = %v, %v; want %s", reference, pub, err, want.ID())
		}
	}
}

func TestOpenWarnsOfKeysThatOthersMayRead(t *testing.T) {
	quiet(t)
	path, _ := plain(t, 0o640)
	for _, tt := range []struct {
		reference string
		want      bool
	}{{path, true}, {filepath.Join("testdata", "cosign-nopass.key"), false}} {
		var warned string
		if _, err := Open(t.Context(), tt.reference, Options{Warn: func(text string) { warned += text }}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(warned, "chmod 600"); got != tt.want {
			t.Errorf("Open(%s) warns %q; want a warning: %t", tt.reference, warned, tt.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	quiet(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(p224)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := cosign.Encrypt(der, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("nobody is there")
	block := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	tests := []struct {
		name, reference string
		pass            func(string) ([]byte, error)
		want            error
		says            string
	}{
		{name: "nothing", want: ErrReference, says: "empty"},
		{name: "an absent file", reference: filepath.Join(dir, "absent.key"), want: fs.ErrNotExist, says: "absent.key"},
		{name: "a folder", reference: dir, says: "directory"},
		{name: "an unset variable", reference: "env://NO_SUCH_KEY_HERE", want: ErrReference, says: "the environment has no NO_SUCH_KEY_HERE"},
		{name: "an unknown scheme", reference: "k8s://ns/key", want: ErrReference, says: "there are files, env://"},
		{name: "a wrong pass phrase", reference: filepath.Join("testdata", "cosign.key"), pass: answer("guess"), want: ErrPass, says: "cosign.key"},
		{
			name: "a person who does not answer", reference: filepath.Join("testdata", "cosign.key"),
			pass: func(string) ([]byte, error) { return nil, gone }, want: gone,
		},
		{name: "a public key", reference: filepath.Join("testdata", "cosign.pub"), want: key.ErrFormat, says: "where a private key should be"},
		{name: "no PEM", reference: write("text.key", "hello"), want: key.ErrFormat, says: "no PEM"},
		{name: "a file without end", reference: "/dev/zero", want: key.ErrFormat, says: "65537 bytes"},
		{name: "a curve that signs no packages", reference: write("p224.key", block("PRIVATE KEY", der)), want: key.ErrFormat, says: "P-224"},
		{name: "such a curve, encrypted", reference: write("odd.key", string(odd)), want: key.ErrFormat, says: "P-224"},
		{
			name: "encrypted PKCS #8", reference: write("pbes2.key", block("ENCRYPTED PRIVATE KEY", der)),
			want: key.ErrEncrypted, says: "openssl pkey",
		},
		{name: "a box that is no box", reference: write("box.key", block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}"))), want: ErrPass},
		{
			name: "a box that takes a gigabyte to open", want: ErrPass, says: "unsupported scrypt parameters",
			reference: write("large.key", block("ENCRYPTED SIGSTORE PRIVATE KEY",
				[]byte(`{"kdf":{"name":"scrypt","params":{"N":1048576,"r":8,"p":1},"salt":"AA=="},"cipher":{"name":"nacl/secretbox"}}`))),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := Open(t.Context(), tt.reference, Options{Pass: tt.pass})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Open(%s) = %v, %v; want %v that says %q", tt.reference, k, err, tt.want, tt.says)
			}
		})
	}
}

func TestPublicRefuses(t *testing.T) {
	quiet(t)
	for _, tt := range []struct {
		reference string
		want      error
	}{
		{filepath.Join("testdata", "README.md"), key.ErrFormat},
		{filepath.Join("testdata", "cosign.key"), key.ErrEncrypted},
		{"", ErrReference},
		{filepath.Join("testdata", "absent"), fs.ErrNotExist},
	} {
		if k, err := Public(t.Context(), tt.reference); !errors.Is(err, tt.want) {
			t.Errorf("Public(%q) = %v, %v; want %v", tt.reference, k, err, tt.want)
		}
	}
}
