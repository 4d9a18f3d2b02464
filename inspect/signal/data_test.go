package signal

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// random gives n characters of an alphabet, always the same for one seed.
func random(seed uint64, n int, alphabet string) string {
	r := mathrand.New(mathrand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	digits    = "0123456789"
	capitals  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters   = capitals + "abcdefghijklmnopqrstuvwxyz"
	base62    = digits + letters
	base64url = base62 + "-_"
)

// withChecksum adds the checksum of GitHub's and npm's tokens to 30 characters.
func withChecksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var tail [6]byte
	for i := 5; i >= 0; i-- {
		tail[i] = base62[sum%62]
		sum /= 62
	}
	return body + string(tail[:])
}

func testKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Tokens are put together from parts, so that nobody's search for secrets stops
// at this file.
func TestText(t *testing.T) {
	key := testKey(t)
	der := x509.MarshalPKCS1PrivateKey(key)
	block := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	akia := "AK" + "IA" + "QYLPMN5HFIQR7XYA"
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"registry","aud":"all"}`)) + "." + random(3, 43, base64url)
	sample := "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + jwtSample + "iwibmFtZSI6IkpvaG4gRG9lIn0." + random(4, 43, base64url)
	tests := []struct {
		name string
		text string
		id   string
		want int // score, -1 for no signal
	}{
		{"key of AWS", akia, "secret-aws-key", 80},
		{"key of AWS beside its secret half", akia + "\n" + random(1, 40, base62+"+/"), "secret-aws-key", 90},
		{"key of AWS's documentation", "AK" + "IAIOSFODNN7EXAMPLE", "secret-aws-key", -1},
		{"key of AWS in a longer word", "X" + akia, "secret-aws-key", -1},
		{"pattern for keys of AWS", "AK" + "IA[0-9A-Z]{16}", "secret-aws-key", -1},
		{"token of GitHub", "gh" + "p_" + withChecksum(random(5, 30, base62)), "secret-github-token", 95},
		{"token of GitHub with a wrong checksum", "gh" + "p_" + random(6, 36, base62), "secret-github-token", 30},
		{"token of GitHub of one letter", "gh" + "p_" + strings.Repeat("x", 36), "secret-github-token", -1},
		{"fine-grained token of GitHub", "github" + "_pat_" + random(7, 22, base62) + "_" + random(8, 59, base62), "secret-github-token", 95},
		{"token of Slack", "xo" + "xb-204857612345-2048576123456-" + random(9, 24, base62), "secret-slack-token", 90},
		{"prefix of Slack in a name", "xo" + "xb-token-of-the-workspace-here", "secret-slack-token", -1},
		{"webhook of Slack", "https://hooks.slack.com/serv" + "ices/T02468ACE/B13579BDF/" + random(10, 24, base62), "secret-slack-token", 75},
		{"key of Google", "AI" + "za" + random(11, 35, base64url), "secret-google-key", 60},
		{"key of Google, cut", "AI" + "za" + random(11, 30, base64url), "secret-google-key", -1},
		{"live key of Stripe", "sk_" + "live_" + random(12, 24, base62), "secret-stripe-key", 95},
		{"test key of Stripe", "sk_" + "test_" + random(12, 24, base62), "secret-stripe-key", 30},
		{"publishable key of Stripe", "pk_" + "live_" + random(12, 24, base62), "secret-stripe-key", -1},
		{"token of npm", "np" + "m_" + withChecksum(random(13, 30, base62)), "secret-npm-token", 95},
		{"variable of npm", "npm_config_user_agent_and_more_of_this_name", "secret-npm-token", -1},
		{"token of GitLab", "gl" + "pat-" + random(14, 20, base64url), "secret-token", 90},
		{"token of Docker Hub", "dckr" + "_pat_" + random(15, 27, base64url), "secret-token", 90},
		{"key of Azure", "AccountKey" + "=" + random(16, 86, base62) + "==", "secret-token", 90},
		{"private key", block, "secret-private-key", 95},
		{"private key in JSON", strings.ReplaceAll(block, "\n", `\n`), "secret-private-key", 95},
		{"line before a private key", "-----BEGIN RSA PRIVATE KEY-----\x00-----END", "secret-private-key", -1},
		{"public key", strings.ReplaceAll(block, "PRIVATE", "PUBLIC"), "secret-private-key", -1},
		{
			"words where a private key would be", "-----BEGIN PRIVATE KEY----- is the line that " + strings.Repeat("begins it ", 10),
			"secret-private-key", -1,
		},
		{"private key in DER", string(der), "secret-private-key", 85},
		{
			"private key in DER, damaged", strings.Replace(string(der), "\x02\x03\x01\x00\x01", "\x02\x03\x01\x00\x02", 1),
			"secret-private-key", -1,
		},
		{"JSON Web Token", jwt, "secret-jwt", 50},
		{"sample of a JSON Web Token", sample, "secret-jwt", -1},
		{"name that begins like one", "serializePublicKeyJwk.eyJson.something", "secret-jwt", -1},
		{"token in an .npmrc", "//registry.example.org/:_auth" + "Token=" + random(17, 36, base62), "secret-registry-auth", 85},
		{"variable in an .npmrc", "//registry.example.org/:_auth" + "Token=${NPM_TOKEN}", "secret-registry-auth", -1},
		{"password in a URL", "postgres://admin:Xk29vQp1zZ" + "@db.acme.io/main", "secret-url-credentials", 70},
		{"placeholder in a URL", "postgres://user:password@db.acme.io/main", "secret-url-credentials", -1},
		{"format of a URL", "postgres://%s:%s@%s/%s", "secret-url-credentials", -1},
		{"password of a sample host", "http://josh:Xk29vQp1zZ@my.example.com", "secret-url-credentials", -1},
		{"secret that looks random", `client_secret: "9f8a7b3c2d1e4f5a6b7c8d9e0f1a2b3c"`, "secret-assignment", 25},
		{"secret that is a sentence", "secret: the key that nobody knows", "secret-assignment", -1},
		{"secret that is a variable", "password=os.environ.get_password_from", "secret-assignment", -1},
		{"private network", "http://10.20.30.40:8080/status", "private-host", 35},
		{"private name", "https://git.acme.internal/team", "private-host", 30},
		{"metadata service", "http://169.254.169.254/latest/meta-data/", "private-host", 55},
		{"public name", "https://git.acme.io/team", "private-host", -1},
		{"private registry", "https://acme.jfrog.io/artifactory/npm/", "private-registry", 30},
		{"public registry", "https://registry.npmjs.org/", "private-registry", -1},
		{"tunnel", "https://a1b2c3.ngrok.io/take", "drop-host", 55},
		{"onion service", "http://expyuzz4wqqyqhjn.onion/", "drop-host", 55},
		{"name that ends like a tunnel", "https://notngrok.io/", "drop-host", -1},
		{"URL of a bare address", "http://93.184.216.34/x", "address-url", 25},
		{"URL of a documentation address", "http://203.0.113.7/x", "address-url", -1},
		{"URL of this machine", "http://127.0.0.1:8080/", "address-url", -1},
		{"home of a person", "/home/alice/src/main.c", "home-path", 30},
		{"home of a person on macOS", "/Users/alice/src/main.c", "home-path", 30},
		{"home of a person on Windows", `C:\Users\alice\src\main.c`, "home-path", 30},
		{"home of a build service", "/home/runner/work/x/main.c", "home-path", 5},
		{"home of Emscripten", "/home/web_user/", "home-path", -1},
		{"path of a web page", "https://example.com/home/page/", "home-path", -1},
		{"format of a home", "/home/%s/.config", "home-path", -1},
		{"QuickJS", "QuickJS memory usage -- 2025 version", "interpreter", 30},
		{"two marks of Lua", "$LuaVersion: Lua 5.4\x00attempt to call a %s value", "interpreter", 30},
		{"one mark of Lua", "$LuaVersion: Lua 5.4", "interpreter", -1},
		{"wallet", "4" + random(18, 94, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"), "wallet-address", 45},
		{"long word", strings.Repeat("4a", 47) + "b", "wallet-address", -1},
		{"URL of a pool", "stratum+tcp://pool.supportxmr.com:3333", "miner", 90},
		{"method of mining", `{"method": "mining.subscribe"}`, "miner", 30},
		{"name of an algorithm alone", "randomx", "miner", -1},
		{"word with the name of an algorithm", "randomxor stratum", "miner", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := analyse(t, in(tt.text))
			if got := res.score(tt.id); got != tt.want {
				t.Fatalf("score of %s for %q = %d, want %d; signals are %+v", tt.id, tt.text, got, tt.want, res.Signals)
			}
			if s := res.find(tt.id); s != nil && (s.Finds[0].Section != "data" || s.Finds[0].Segment == nil) {
				t.Errorf("%s is at %+v, want a place in the data", tt.id, s.Finds[0].Place)
			}
		})
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	secret := random(20, 30, base62)
	token := "gh" + "p_" + withChecksum(secret)
	password := "Xk29vQp1zZ7w"
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey(t))}))
	lines := strings.Split(block, "\n")
	all := fmt.Sprintf("token %s and https://joe:%s@acme.io/?key=%s and\n%s", token, password, secret, block)
	report := fmt.Sprintf("%+v", analyse(t, in(all)))
	masked := string(Mask([]byte(all)))
	for _, hidden := range []string{secret, secret[:8], password, lines[1], lines[2][:10]} {
		if strings.Contains(report, hidden) {
			t.Errorf("the result shows %q", hidden)
		}
		// A query is no secret to Mask, but what stands in it may be.
		if rest := strings.Replace(masked, "?key="+secret, "", 1); strings.Contains(rest, hidden) {
			t.Errorf("Mask shows %q in %q", hidden, rest)
		}
	}
	if want := token[:4] + "…"; !strings.Contains(report, want) || !strings.Contains(masked, want) {
		t.Errorf("neither the result nor Mask shows %q", want)
	}
	if plain := []byte("nothing to hide"); !bytes.Equal(Mask(plain), plain) {
		t.Errorf("Mask(%q) = %q, want it unchanged", plain, Mask(plain))
	}
}

// A secret of AssemblyScript or .NET has two bytes for each character.
func TestTextOfUTF16(t *testing.T) {
	token := "gh" + "p_" + withChecksum(random(21, 30, base62))
	var b []byte
	for _, c := range []byte("token: " + token) {
		b = append(b, c, 0)
	}
	res := analyse(t, in(string(b)))
	s := res.find("secret-github-token")
	if s == nil {
		t.Fatalf("signals are %+v, want secret-github-token", res.Signals)
	}
	if got, want := s.Finds[0].Offset, int64(bytes.Index(in(string(b)), []byte{'g', 0, 'h', 0})); got != want {
		t.Errorf("offset is %d, want %d", got, want)
	}
}

// A linker that leaves out zeros may put parts of one text into many segments.
func TestTextOverSegments(t *testing.T) {
	token := "gh" + "p_" + withChecksum(random(22, 30, base62))
	b := new(builder)
	for i := range len(token) {
		b.segment(int64(2000+i), token[i:i+1])
	}
	if got := analyse(t, b.bytes()).score("secret-github-token"); got != 95 {
		t.Fatalf("score = %d, want 95", got)
	}
}

// Literals of Rust stand end to end; the addresses in the data tell where one
// begins.
func TestTextBetweenLiterals(t *testing.T) {
	const at = 4096
	before, token, after := "called on a None value", "gh"+"p_"+withChecksum(random(23, 30, base62)), "index out of bounds"
	var table []byte
	for _, a := range []int{at, at + len(before), at + len(before) + len(token)} {
		table = binary.LittleEndian.AppendUint32(table, uint32(a))
	}
	joined := new(builder).segment(at, before+token+after)
	if got := analyse(t, joined.bytes()).score("secret-github-token"); got != -1 {
		t.Errorf("score without addresses = %d, want none", got)
	}
	if got := analyse(t, joined.segment(at+1000, string(table)).bytes()).score("secret-github-token"); got != 95 {
		t.Errorf("score with addresses in the data = %d, want 95", got)
	}
	code := new(builder).segment(at, before+token+after).function(
		[]byte{0x41}, sleb(int64(at+len(before))), []byte{0x1a, 0x41}, sleb(int64(at+len(before)+len(token))), []byte{0x1a})
	if got := analyse(t, code.bytes()).score("secret-github-token"); got != 95 {
		t.Errorf("score with addresses in the code = %d, want 95", got)
	}
}

func noise(n int) string {
	r := mathrand.New(mathrand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func TestEntropy(t *testing.T) {
	tests := []struct {
		name string
		data string
		want int
	}{
		{"random bytes", noise(8192), 6},
		{"many random bytes", noise(400 << 10), 40},
		{"too few random bytes", noise(4000), -1},
		{"text", strings.Repeat("The quick brown fox jumps over the lazy dog. ", 400), -1},
		{"numbers in sequence", func() string {
			var b []byte
			for i := range 4096 {
				b = binary.LittleEndian.AppendUint32(b, uint32(i*i))
			}
			return string(b)
		}(), -1},
		{"powers of five", string(longs([]uint64{0xeef453d6923bd65a, 0x113faa2906a13b3f})) + noise(10_000), -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := new(builder).segment(0, tt.data)
			if got := analyse(t, b.bytes()).score("high-entropy"); got != tt.want {
				t.Fatalf("score = %d, want %d", got, tt.want)
			}
		})
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func TestEmbedded(t *testing.T) {
	le := binary.LittleEndian
	module := string(new(builder).memory().segment(0, "data of the inner module").bytes())
	elf := append([]byte("\x7fELF\x02\x01\x01\x00"), make([]byte, 56)...)
	le.PutUint16(elf[16:], 3)
	le.PutUint16(elf[18:], 62)
	le.PutUint32(elf[20:], 1)
	le.PutUint16(elf[52:], 64)
	mach := append([]byte("\xcf\xfa\xed\xfe"), make([]byte, 28)...)
	le.PutUint32(mach[4:], 12|1<<24)
	le.PutUint32(mach[12:], 2)
	le.PutUint32(mach[16:], 10)
	le.PutUint32(mach[20:], 800)
	pe := append([]byte("PE\x00\x00\x64\x86\x03\x00"), make([]byte, 24)...)
	le.PutUint16(pe[24:], 0x20b)
	zip := "PK\x03\x04\x14\x00\x00\x00\x08\x00" + strings.Repeat("\x01", 16) + "\x05\x00\x00\x00a.txtcontents"
	xz := []byte("\xfd7zXZ\x00\x00\x04\x00\x00\x00\x00")
	le.PutUint32(xz[8:], crc32.ChecksumIEEE(xz[6:8]))
	tests := []struct {
		name string
		data string
		id   string
		want int
	}{
		{"module", module, "embedded-wasm", 50},
		{"header of a module alone", header, "embedded-wasm", -1},
		{"header and no sections", header + "\x63\x63\x63\x63\x63\x63", "embedded-wasm", -1},
		{"ELF", string(elf), "embedded-executable", 75},
		{"magic number of ELF alone", "\x7fELF\x02\x01\x01 is how it begins" + strings.Repeat(" ", 60), "embedded-executable", -1},
		{"PE", string(pe), "embedded-executable", 75},
		{"magic number of PE alone", "PE\x00\x00" + strings.Repeat("\x07", 40), "embedded-executable", -1},
		{"Mach-O", string(mach), "embedded-executable", 75},
		{"magic number of Mach-O alone", "\xcf\xfa\xed\xfe" + strings.Repeat("\x01", 40), "embedded-executable", -1},
		{"Java class", "\xca\xfe\xba\xbe\x00\x00\x00\x41\x00\x22\x0a" + strings.Repeat("\x01", 30), "embedded-executable", 60},
		{"byte code of Lua", "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08", "embedded-executable", 45},
		{"assembly of .NET", "WbIL\x00\x00\x00\x00\x03\x00\x00\x00" + strings.Repeat("\x01", 30), "embedded-executable", 15},
		{"program of WAMR", wamr(), "embedded-executable", 75},
		{"gzip", gzipped("some text that is compressed"), "embedded-archive", 15},
		{"magic number of gzip alone", "\x1f\x8b\x08\xff\xff\xff" + strings.Repeat("\x01", 20), "embedded-archive", -1},
		{"zstd", "\x28\xb5\x2f\xfd\x24\x05\x29\x00\x00hello\x01\x02\x03\x04\x05\x06\x07", "embedded-archive", 15},
		{"magic number of zstd alone", "\x28\xb5\x2f\xfd\xff" + strings.Repeat("\xff", 20), "embedded-archive", -1},
		{"zip", zip, "embedded-archive", 15},
		{"magic number of zip alone", "PK\x03\x04" + strings.Repeat("\xff", 40), "embedded-archive", -1},
		{"xz", string(xz), "embedded-archive", 15},
		{"magic number of xz alone", "\xfd7zXZ\x00" + strings.Repeat("\x01", 20), "embedded-archive", -1},
		{"magic number of 7-Zip alone", "7z\xbc\xaf\x27\x1c\x00\x04" + strings.Repeat("\x01", 30), "embedded-archive", -1},
		{"bzip2", "BZh9\x31\x41\x59\x26\x53\x59\x01\x02\x03\x04", "embedded-archive", 15},
		{"word that begins like bzip2", "BZhello, this is text", "embedded-archive", -1},
	}
	for _, tt := range tests {
		for shift := range 3 {
			t.Run(fmt.Sprintf("%s at %d", tt.name, shift), func(t *testing.T) {
				b := new(builder).segment(512, strings.Repeat("\x05", shift)+tt.data+"\x05\x05")
				if got := analyse(t, b.bytes()).score(tt.id); got != tt.want {
					t.Fatalf("score of %s = %d, want %d", tt.id, got, tt.want)
				}
			})
		}
	}
}

func TestTar(t *testing.T) {
	h := make([]byte, 1024)
	copy(h, "dir/file.txt")
	copy(h[tarMagic:], "ustar\x0000")
	sum := 8 * int(' ')
	for _, c := range h[:512] {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	if got := analyse(t, new(builder).segment(0, string(h)).bytes()).score("embedded-archive"); got != 15 {
		t.Errorf("score of a tar archive = %d, want 15", got)
	}
	h[0]++
	if got := analyse(t, new(builder).segment(0, string(h)).bytes()).score("embedded-archive"); got != -1 {
		t.Errorf("score of one with a wrong checksum = %d, want none", got)
	}
}

// wamr makes the beginning of a file of WAMR's compiler.
func wamr() string {
	b := []byte("\x00aot")
	for _, v := range []uint32{6, 0, 64} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 32)...)
	return string(b) + "x86_64\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x01", 20)
}

func wasmtimeELF(flags uint32) string {
	b := append([]byte("\x7fELF\x02\x01\x01\xc8"), make([]byte, 56)...)
	binary.LittleEndian.PutUint16(b[16:], 1)
	binary.LittleEndian.PutUint16(b[18:], 62)
	binary.LittleEndian.PutUint32(b[20:], 1)
	binary.LittleEndian.PutUint32(b[48:], flags)
	binary.LittleEndian.PutUint16(b[52:], 64)
	return string(b)
}

func TestPrecompiled(t *testing.T) {
	plain := []byte(wasmtimeELF(0))
	plain[7] = 0
	tests := []struct {
		name string
		file string
		want string
	}{
		{"module of wasmtime", wasmtimeELF(1), "module compiled by wasmtime for amd64"},
		{"component of wasmtime", wasmtimeELF(2), "component compiled by wasmtime for amd64"},
		{"module of wasmtime for Pulley", wasmtimeELF(1 | 8), "module compiled by wasmtime for pulley64"},
		{"WAMR", wamr(), "module compiled by wamr 6 for amd64"},
		{"wasmer", "wasmer-universalWASMER\x00\x00\x11\x00\x00\x00\x00\x01\x00\x00", "program compiled by wasmer 17"},
		{"metadata of wasmer", "WASMER\x00\x00\x11\x00\x00\x00\x00\x00\x00\x00", "program compiled by wasmer 17"},
		{"library of wasmer", string(plain) + "\x00WASMER_METADATA\x00", "library compiled by wasmer"},
		{"library of WasmEdge", string(plain) + "\x00version\x00wasm.code\x00wasm.size\x00", "library compiled by wasmedge"},
		{"other library", string(plain), ""},
		{"WebAssembly", header, ""},
		{"text", "\x00aotearoa, the name of a country, not a program", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := Precompiled([]byte(tt.file))
			if ok != (tt.want != "") {
				t.Fatalf("Precompiled = %v, want %v", ok, tt.want != "")
			}
			if !ok {
				return
			}
			s := Merge(f).find("precompiled-file")
			if s == nil || s.Severity != High || s.Finds[0].Evidence != tt.want {
				t.Fatalf("signal is %+v, want %q with severity high", s, tt.want)
			}
		})
	}
}

func TestPrecompiledSections(t *testing.T) {
	tests := []struct {
		name    string
		section []byte
		want    string // part of the evidence, "" for no signal
	}{
		{"of WasmEdge", custom("wasmedge", "\x03\x01\x02native code"), "program compiled by wasmedge 3 for linux/arm64, "},
		{"of WAMR", custom("aot", wamr()), "compiled by wamr 6 for amd64 in section aot"},
		{"of wasmtime", custom("cache", "\x05\x05\x05"+wasmtimeELF(1)), "compiled by wasmtime for amd64 in section cache"},
		{"of wasmer", custom("x", "wasmer-universalWASMER\x00\x00\x11\x00\x00\x00\x00\x01\x00\x00"), "program compiled by wasmer 17"},
		{"of something else", custom("notes", "compiled by wasmedge"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := builder{last: tt.section}
			s := analyse(t, b.bytes()).find("precompiled-section")
			if (s != nil) != (tt.want != "") {
				t.Fatalf("signal is %+v, want one: %v", s, tt.want != "")
			}
			if s != nil && !strings.Contains(s.Finds[0].Evidence, tt.want) {
				t.Fatalf("evidence is %q, want %q in it", s.Finds[0].Evidence, tt.want)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	in := in("see https://user:pw@Example.com:8443/a/b?token=1#x, or HTTP://example.com/a/b.\x00" +
		"mail joe.doe@acme.io or git@github.com\x00www.wikipedia.org\x00server 8.8.4.4 and v1.2.3.4 and 1.3.6.1\x00" +
		"pkg@1.2.3 wasi:cli/run@0.2.0 http://%s/ file:///etc console.community\x00https://[2001:db8::1]/")
	got := analyse(t, in).Endpoints
	for _, tt := range []struct {
		kind string
		list EndpointList
		want []string
	}{
		{"URLs", got.URLs, []string{"HTTP://example.com/a/b", "https://[2001:db8::1]/", "https://example.com:8443/a/b"}},
		{"Hosts", got.Hosts, []string{"example.com", "www.wikipedia.org"}},
		{"Addresses", got.Addresses, []string{"8.8.4.4", "[2001:db8::1]"}},
		{"Emails", got.Emails, []string{"joe.doe@acme.io"}},
	} {
		var values []string
		for _, e := range tt.list.Values {
			values = append(values, e.Value)
		}
		if strings.Join(values, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s are %q, want %q", tt.kind, values, tt.want)
		}
	}
	if h := got.Hosts.Values[0]; h.Count != 2 {
		t.Errorf("%q was counted %d times, want 2", h.Value, h.Count)
	}
}

func TestEndpointsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3 * MaxEndpoints {
		fmt.Fprintf(&b, "https://host%d.example.com/\x00", i)
	}
	got := analyse(t, in(b.String())).Endpoints.Hosts
	if got.Total != 3*MaxEndpoints || len(got.Values) != MaxEndpoints {
		t.Fatalf("Total is %d and %d values are kept, want %d and %d", got.Total, len(got.Values), 3*MaxEndpoints, MaxEndpoints)
	}
}

func TestFindsAreBounded(t *testing.T) {
	s := analyse(t, in(strings.Repeat("/home/alice/x\x00", 1000))).find("home-path")
	if s == nil || s.Count != 1000 || len(s.Finds) != MaxFinds {
		t.Fatalf("signal is %+v, want a count of 1000 and %d finds", s, MaxFinds)
	}
	for i := 1; i < len(s.Finds); i++ {
		if s.Finds[i].Offset <= s.Finds[i-1].Offset {
			t.Fatalf("find %d is at %d, behind %d", i, s.Finds[i].Offset, s.Finds[i-1].Offset)
		}
	}
}

func TestAlgorithmsInData(t *testing.T) {
	prepare()
	for i, table := range tables {
		if table.algo == algoCount {
			continue
		}
		for shift := range 8 {
			data := strings.Repeat("\x03", 16+shift) + string(table.bytes)
			got := analyse(t, new(builder).segment(64, data+"\x03\x03\x03").bytes()).Algorithms
			if len(got) != 1 || got[0].Name != algorithms[table.algo].name || got[0].Tables != 1 {
				t.Errorf("table %d of %s, moved by %d: Algorithms = %+v", i, algorithms[table.algo].name, shift, got)
			}
		}
		broken := bytes.Clone(table.bytes)
		broken[len(broken)-1] ^= 1
		if got := analyse(t, new(builder).segment(64, string(broken)).bytes()).Algorithms; len(got) != 0 {
			t.Errorf("table %d of %s with a wrong end: Algorithms = %+v", i, algorithms[table.algo].name, got)
		}
	}
}

// The tables that are computed, against numbers of their specifications.
func TestTables(t *testing.T) {
	k256, k512 := sha2()
	iv256, iv512 := sha2IV()
	rc := keccak()
	sbox, inv := aes()
	for _, tt := range []struct {
		name      string
		got, want uint64
	}{
		{"SHA-256 K0", uint64(k256[0]), 0x428a2f98},
		{"SHA-256 K63", uint64(k256[63]), 0xc67178f2},
		{"SHA-512 K0", k512[0], 0x428a2f98d728ae22},
		{"SHA-512 K79", k512[79], 0x6c44198c4a475817},
		{"SHA-256 H7", uint64(iv256[7]), 0x5be0cd19},
		{"SHA-512 H0", iv512[0], 0x6a09e667f3bcc908},
		{"Keccak RC1", rc[1], 0x8082},
		{"Keccak RC23", rc[23], 0x8000000080008008},
		{"AES S(0x53)", uint64(sbox[0x53]), 0xed},
		{"AES S(0xed) inverse", uint64(inv[0xed]), 0x53},
		{"MD5 T1", uint64(md5()[0]), 0xd76aa478},
		{"MD5 T64", uint64(md5()[63]), 0xeb86d391},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %#x, want %#x", tt.name, tt.got, tt.want)
		}
	}
}

// Data of a module in a component is placed in the file, and names the module.
func TestPlacesInComponents(t *testing.T) {
	inner := in("/home/alice/x")
	bin := cat([]byte("\x00asm\x0d\x00\x01\x00"), section(1, inner))
	s := analyse(t, bin).find("home-path")
	if s == nil {
		t.Fatal("home-path is missing")
	}
	f := s.Finds[0]
	if want := int64(bytes.Index(bin, []byte("/home"))); f.Offset != want || f.Module != int64(bytes.Index(bin, inner)) {
		t.Fatalf("find is at %d of module %d, want %d of %d", f.Offset, f.Module, want, bytes.Index(bin, inner))
	}
}

func TestEmptyResultHasNoNull(t *testing.T) {
	res := Merge()
	if res.Signals == nil || res.Algorithms == nil || res.Endpoints.URLs.Values == nil {
		t.Fatalf("Merge() = %#v, want empty lists", res)
	}
}

func FuzzData(f *testing.F) {
	for _, seed := range []string{
		"https://u:Xk29vQp1zZ@acme.io/ /home/alice/x", "AK" + "IAQYLPMN5HFIQR7XYA", gzipped("hello"), wamr(),
		wasmtimeELF(1), header + "\x00\x01\x00",
		"-----BEGIN PRIVATE KEY-----\\nMIIEvQ", "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.x", "stratum+tcp://x.onion mining.submit",
		noise(4200), string(unhex("300431")),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bin := new(builder).segment(100, string(data)).bytes()
		res := analyse(t, bin)
		for _, s := range res.Signals {
			if len(s.Finds) == 0 || len(s.Finds) > MaxFinds || s.Count < len(s.Finds) || s.Score < 0 || s.Score > 100 {
				t.Fatalf("signal %+v", s)
			}
			for _, v := range s.Finds {
				if v.Offset < 0 || v.Offset > int64(len(bin)) || len(v.Evidence) > maxEvidence+4 {
					t.Fatalf("find %+v in a file of %d bytes", v, len(bin))
				}
			}
		}
		Mask(data)
		Precompiled(data)
	})
}

func BenchmarkData(b *testing.B) {
	var data []byte
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for len(data) < 1<<20 {
		data = append(data, "called `Option::unwrap()` on a `None` value/home/runner/.cargo/registry/src/x.rs"...)
		for range 40 {
			data = binary.LittleEndian.AppendUint32(data, 1<<20+uint32(r.IntN(4096)))
		}
		data = append(data, make([]byte, 60)...)
		data = append(data, noise(40)...)
	}
	m, err := wasm.Parse(new(builder).segment(1<<20, string(data)).bytes())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Data(m, nil, nil)
	}
}
