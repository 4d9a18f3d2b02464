package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func generate(t testing.TB, algorithm string) *Private {
	t.Helper()
	k, err := Generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// A key of each kind reads back from each form it is written in, and what it signs
// verifies with its public half, as that is read.
func TestKeysReadBack(t *testing.T) {
	for _, algorithm := range Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			k := generate(t, algorithm)
			text, err := k.MarshalPKCS8()
			if err != nil {
				t.Fatal(err)
			}
			back, err := ParsePrivate(text)
			if err != nil || back.ID() != k.ID() {
				t.Fatalf("ParsePrivate(MarshalPKCS8()) = %v, %v; want key %s", back, err, k.ID())
			}
			pub, err := ParsePublic(k.PEM())
			if err != nil || pub.ID() != k.ID() || pub.Hint() != k.Hint() {
				t.Fatalf("ParsePublic(PEM()) = %v, %v; want key %s", pub, err, k.ID())
			}
			sig, _, err := back.SignData(t.Context(), []byte("data"))
			if err != nil {
				t.Fatal(err)
			}
			v, err := pub.Verifier()
			if err != nil {
				t.Fatal(err)
			}
			if err := v.VerifySignature(strings.NewReader(string(sig)), strings.NewReader("data")); err != nil {
				t.Errorf("the signature does not verify: %v", err)
			}
			if err := v.VerifySignature(strings.NewReader(string(sig)), strings.NewReader("date")); err == nil {
				t.Error("the signature verifies of other data")
			}
		})
	}
}

// The forms of private keys that openssl and ssh-keygen -m PEM write.
func TestParsePrivateForms(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	parameters, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 132, 0, 35})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"SEC 1":                       {block("EC PRIVATE KEY", sec1), "ECDSA P-521"},
		"SEC 1 behind its parameters": {append(block("EC PARAMETERS", parameters), block("EC PRIVATE KEY", sec1)...), "ECDSA P-521"},
		"PKCS #1":                     {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), "RSA 2048"},
		"text in front":               {append([]byte("Key of the release job\n"), block("EC PRIVATE KEY", sec1)...), "ECDSA P-521"},
	} {
		k, err := ParsePrivate(tt.text)
		if err != nil || k.Algorithm() != tt.want {
			t.Errorf("ParsePrivate of %s = %v, %v; want %s", name, k, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that is what has to be refused
	if err != nil {
		t.Fatal(err)
	}
	k := generate(t, P256)
	good, err := k.MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	encrypted := &pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte{1}, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"},
	}
	for name, tt := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":                {nil, ErrFormat},
		"a public key":           {k.PEM(), ErrFormat},
		"two keys":               {append(good[:len(good):len(good)], good...), ErrFormat},
		"more than a key is":     {append(good[:len(good):len(good)], make([]byte, MaxPEM)...), ErrFormat},
		"broken DER":             {block("PRIVATE KEY", []byte{0x30, 0x80}), ErrFormat},
		"RSA of 1024 bits":       {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(small)), ErrFormat},
		"a key of cosign's":      {block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}")), ErrEncrypted},
		"PKCS #8 of PBES2":       {block("ENCRYPTED PRIVATE KEY", []byte{0x30}), ErrEncrypted},
		"openssl's old encoding": {pem.EncodeToMemory(encrypted), ErrEncrypted},
	} {
		if got, err := ParsePrivate(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("ParsePrivate of %s = %v, %v; want %v", name, got, err, tt.want)
		}
	}
	weak, err := x509.MarshalPKIXPublicKey(small.Public())
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd, err := x509.MarshalPKIXPublicKey(p224.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "a private key": good, "RSA of 1024 bits": block("PUBLIC KEY", weak), "P-224": block("PUBLIC KEY", odd),
		"a broken certificate": block("CERTIFICATE", []byte{0x30}),
	} {
		if got, err := ParsePublic(text); !errors.Is(err, ErrFormat) {
			t.Errorf("ParsePublic of %s = %v, %v; want ErrFormat", name, got, err)
		}
	}
	if got, err := Generate("dsa"); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("Generate(dsa) = %v, %v; want ErrAlgorithm", got, err)
	}
}

// The vectors of RFC 6979, appendices A.2.5 and A.2.6, message "sample".
func TestSignaturesAreDeterministic(t *testing.T) {
	tests := []struct {
		curve   elliptic.Curve
		x, r, s string
	}{
		{
			curve: elliptic.P256(),
			x:     "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
			r:     "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
			s:     "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
		},
		{
			curve: elliptic.P384(),
			x:     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
			r:     "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
			s:     "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
		},
	}
	for _, tt := range tests {
		t.Run(tt.curve.Params().Name, func(t *testing.T) {
			x, ok := new(big.Int).SetString(tt.x, 16)
			if !ok {
				t.Fatalf("%s is no number", tt.x)
			}
			private, err := ecdsa.ParseRawPrivateKey(tt.curve, x.FillBytes(make([]byte, (tt.curve.Params().BitSize+7)/8)))
			if err != nil {
				t.Fatal(err)
			}
			k, err := NewPrivate(private)
			if err != nil {
				t.Fatal(err)
			}
			sig, _, err := k.SignData(t.Context(), []byte("sample"))
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ R, S *big.Int }
			if _, err := asn1.Unmarshal(sig, &got); err != nil {
				t.Fatal(err)
			}
			if r, s := strings.ToUpper(got.R.Text(16)), strings.ToUpper(got.S.Text(16)); r != tt.r || s != tt.s {
				t.Errorf("SignData(sample) = %s, %s; want %s, %s", r, s, tt.r, tt.s)
			}
		})
	}
	for _, algorithm := range []string{Ed25519, RSA3072} {
		k := generate(t, algorithm)
		a, _, err := k.SignData(t.Context(), []byte("sample"))
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := k.SignData(t.Context(), []byte("sample"))
		if err != nil || string(a) != string(b) {
			t.Errorf("%s: SignData twice = %x and %x, %v; want the same", algorithm, a, b, err)
		}
	}
}

// A key that is somewhere else is asked to sign, and its bytes are not had.
type elsewhere struct{ ed25519.PrivateKey }

func (e elsewhere) Public() crypto.PublicKey { return e.PrivateKey.Public() }

func TestKeysElsewhereAreNotWritten(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewPrivate(elsewhere{private})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := k.MarshalPKCS8(); err == nil {
		t.Errorf("MarshalPKCS8 of a key elsewhere = %s, want an error", text)
	}
}

// ID is what other tools print: openssl pkey -pubin -outform DER | sha256sum.
func TestID(t *testing.T) {
	k, err := ParsePublic([]byte(`-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAXreeeG4r/Gr/mqUGEqLrSu0kYbSL9oL3DfyqPNw+9qk=
-----END PUBLIC KEY-----
`))
	if err != nil {
		t.Fatal(err)
	}
	const want = "e42bdaf5c7b92c8992d3f08204831b8cedf038c5e5bdb70e61e3030248651d9d"
	if got := k.ID(); got != want {
		t.Errorf("ID() = %s, want %s", got, want)
	}
	if sum, err := hex.DecodeString(want); err != nil || len(sum) != len(k.sum) || k.Hint() != "5Cva9ce5LImS0/CCBIMbjO3wOMXlvbcOYeMDAkhlHZ0=" {
		t.Errorf("Hint() = %s", k.Hint())
	}
}

// seeds are the keys that cosign and openssl made for the tests of keyref.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("..", "keyref", "testdata", pattern))
	if err != nil || len(files) < 4 {
		f.Fatalf("%d seeds of %s, %v; want 4", len(files), pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// What is read as a public key is written so that it is read as the same key.
func FuzzParsePublic(f *testing.F) {
	seeds(f, "*.pub")
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParsePublic(text)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("ParsePublic(%q) = %v, want ErrFormat", text, err)
			}
			return
		}
		back, err := ParsePublic(k.PEM())
		if err != nil || back.ID() != k.ID() {
			t.Fatalf("ParsePublic(%q) written and read again = %v, %v; want key %s", text, back, err, k.ID())
		}
		if _, err := k.Verifier(); err != nil {
			t.Fatalf("ParsePublic(%q) gives a key that does not verify: %v", text, err)
		}
	})
}

// What is read as a private key signs, and reads back as the same key.
func FuzzParsePrivate(f *testing.F) {
	seeds(f, "*.key")
	for _, algorithm := range []string{P256, Ed25519} {
		text, err := generate(f, algorithm).MarshalPKCS8()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParsePrivate(text)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrEncrypted) {
				t.Fatalf("ParsePrivate(%q) = %v, want ErrFormat or ErrEncrypted", text, err)
			}
			return
		}
		written, err := k.MarshalPKCS8()
		if err != nil {
			t.Fatalf("ParsePrivate(%q) gives a key that cannot be written: %v", text, err)
		}
		if back, err := ParsePrivate(written); err != nil || back.ID() != k.ID() {
			t.Fatalf("ParsePrivate(%q) written and read again = %v, %v; want key %s", text, back, err, k.ID())
		}
		if _, _, err := k.SignData(t.Context(), text); err != nil {
			t.Fatalf("ParsePrivate(%q) gives a key that does not sign: %v", text, err)
		}
	})
}
