package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadPrecedence(t *testing.T) {
	const file = "listen: 127.0.0.1:1000\nlimits:\n  max_blob: 1GiB\n"
	tests := []struct {
		name  string
		file  string
		env   []string
		flags map[string][]string
		want  string // listen
	}{
		{name: "nothing set gives the default", want: "127.0.0.1:5080"},
		{name: "the file overrules the default", file: file, want: "127.0.0.1:1000"},
		{name: "the environment overrules the file", file: file, env: []string{"WREG_LISTEN=127.0.0.1:2000"}, want: "127.0.0.1:2000"},
		{
			name: "a flag overrules the environment", file: file, env: []string{"WREG_LISTEN=127.0.0.1:2000"},
			flags: map[string][]string{"listen": {"127.0.0.1:3000"}}, want: "127.0.0.1:3000",
		},
		{name: "an empty variable is as good as none", file: file, env: []string{"WREG_LISTEN="}, want: "127.0.0.1:1000"},
		{name: "an empty key is as good as none", file: "listen:\n", want: "127.0.0.1:5080"},
		{name: "an empty section is as good as none", file: "limits:\n", want: "127.0.0.1:5080"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Source{Env: tt.env, Flags: tt.flags}
			if tt.file != "" {
				s.File = write(t, tt.file)
			}
			c, _, err := Load(s)
			if err != nil || c.Listen != tt.want {
				t.Errorf("Load(%+v).Listen = %q, %v; want %q", s, c.Listen, err, tt.want)
			}
		})
	}
}

// Every field is reachable by each of its three names.
func TestEveryFieldHasThreeNames(t *testing.T) {
	values := map[string]string{
		"bool": "true", "int": "7", "config.Size": "8MiB", "time.Duration": "7s", "string": "text", "config.DSN": "fs:x", "[]string": "a",
	}
	for _, f := range Fields() {
		t.Run(f.Key, func(t *testing.T) {
			text := values[f.kind.String()]
			if len(f.OneOf) > 0 {
				text = f.OneOf[len(f.OneOf)-1]
			}
			var want Config
			if err := f.set(&want, text); err != nil {
				t.Fatalf("set %s to %q: %v", f.Key, text, err)
			}
			if cmp.Equal(want, Config{}) {
				t.Fatalf("set %s to %q changed nothing", f.Key, text)
			}
			yaml := strings.Replace(f.Key, ".", ":\n  ", 1) + ": " + text + "\n"
			var got Config
			if err := readYAML(&got, "f.yml", []byte(yaml)); err != nil || !cmp.Equal(got, want) {
				t.Errorf("readYAML(%q) = %+v, %v; want %+v", yaml, got, err, want)
			}
			env, unknown := environment([]string{f.Env() + "=" + text})
			if env[f.Env()] != text || unknown != nil {
				t.Errorf("environment(%s=%s) = %v, %v; want it known", f.Env(), text, env, unknown)
			}
		})
	}
}

func TestDefaultsAreTheZeroValue(t *testing.T) {
	c, _, err := Load(Source{})
	if err != nil {
		t.Fatalf("Load(nothing): %v", err)
	}
	if diff := cmp.Diff(Config{}.WithDefaults(), c); diff != "" {
		t.Errorf("zero value with defaults differs from Load(nothing) (-zero +load):\n%s", diff)
	}
	want := Config{Database: "wreg-data/wreg.db", Storage: "fs:wreg-data/blobs", ShutdownGrace: 30 * time.Second}
	got := Config{Database: c.Database, Storage: c.Storage, ShutdownGrace: c.ShutdownGrace}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	moved, _, err := Load(Source{Flags: map[string][]string{"data": {"/srv/wreg"}}})
	if err != nil || moved.Database != "/srv/wreg/wreg.db" || moved.Storage != "fs:/srv/wreg/blobs" {
		t.Errorf("Load(--data /srv/wreg) = %s, %s, %v; want both inside it", moved.Database, moved.Storage, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name  string
		file  string
		env   []string
		flags map[string][]string
		want  []string // parts of the error, all of them
	}{
		{name: "an unknown key, with its line", file: "data: x\nlisten_on: y\n", want: []string{`c.yml:2: unknown key "listen_on"`}},
		{name: "an unknown key in a section", file: "tls:\n  certificate: y\n", want: []string{`c.yml:2: unknown key "tls.certificate"`}},
		{name: "a section's key at the top", file: "limits.max_blob: 3\n  \n", want: []string{`c.yml:1: unknown key "limits.max_blob"`}},
		{name: "a key set twice", file: "data: a\ndata: b\n", want: []string{"c.yml", "data"}},
		{name: "a list where one value belongs", file: "data: [a, b]\n", want: []string{"c.yml:1: data: want one value, got a list"}},
		{name: "an alias", file: "data: &a x\ndatabase: *a\n", want: []string{"c.yml:2", "alias"}},
		{name: "no YAML at all", file: "listen: [", want: []string{"c.yml"}},
		{name: "a list at the top", file: "- listen\n", want: []string{"c.yml:1: want keys with values, got a list"}},
		{name: "a size without sense", env: []string{"WREG_LIMITS_MAX_BLOB=-3"}, want: []string{"WREG_LIMITS_MAX_BLOB", `"-3"`}},
		{name: "a size past 63 bits", env: []string{"WREG_LIMITS_MAX_BLOB=9999999TiB"}, want: []string{"too large"}},
		{name: "an explicit zero", flags: map[string][]string{"limits-max-uploads": {"0"}}, want: []string{"--limits-max-uploads", "above zero"}},
		{
			name: "a word outside the list", flags: map[string][]string{"log-format": {"xml"}},
			want: []string{`--log-format: "xml" is not one of text, json`},
		},
		{
			name: "an attestation that there is not", file: "signing:\n  attest: [vsa, slsa]\n",
			want: []string{`signing.attest: "slsa" is not one of vsa, sbom, vulnerabilities, capabilities, auto, none`},
		},
		{name: "no attestations and one", file: "signing:\n  attest: [none, vsa]\n", want: []string{"signing.attest: none stands alone"}},
		{name: "all attestations and one", file: "signing:\n  attest: [vsa, auto]\n", want: []string{"signing.attest: auto stands alone"}},
		{name: "an attestation twice", file: "signing:\n  attest: [vsa, sbom, vsa]\n", want: []string{"signing.attest: vsa is there twice"}},
		{
			name: "a public address", flags: map[string][]string{"listen": {":5080"}},
			want: []string{"no authentication (auth.htpasswd) or TLS (tls.cert)", "--insecure-public"},
		},
		{
			name: "a public address with authentication and no TLS", flags: map[string][]string{"listen": {"0.0.0.0:1"}, "auth-htpasswd": {"f"}},
			want: []string{"no TLS (tls.cert)"},
		},
		{
			name:  "a public address with TLS and no authentication",
			flags: map[string][]string{"listen": {"[::]:1"}, "tls-cert": {"c"}, "tls-key": {"k"}},
			want:  []string{"no authentication (auth.htpasswd):"},
		},
		{name: "half a key pair", flags: map[string][]string{"tls-cert": {"c"}}, want: []string{"together"}},
		{
			name: "anonymous reading where all is open", flags: map[string][]string{"auth-anonymous-pull": {"*"}},
			want: []string{"auth.anonymous_pull"},
		},
		{
			name: "an administrator where nobody has a name", flags: map[string][]string{"auth-admins": {"ann"}},
			want: []string{"auth.admins"},
		},
		{name: "an unknown storage", flags: map[string][]string{"storage": {"ftp://u:hunter2@h"}}, want: []string{"none of fs:DIR", "u:xxxxx@h"}},
		{
			name: "everything at once", flags: map[string][]string{"listen": {"x"}, "storage": {"y"}, "metrics-listen": {"z"}},
			want: []string{"listen:", "storage:", "metrics.listen:"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Source{Env: tt.env, Flags: tt.flags}
			if tt.file != "" {
				s.File = write(t, tt.file)
			}
			_, _, err := Load(s)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Load(%+v) error = %v; want %q in it", s, err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Load(%+v) error shows a password: %v", s, err)
			}
		})
	}
}

func TestPublicAddressIsAccepted(t *testing.T) {
	for name, flags := range map[string]map[string][]string{
		"by its own flag":                 {"listen": {":5080"}, "insecure-public": {"true"}},
		"with authentication and TLS":     {"listen": {":5080"}, "auth-htpasswd": {"f"}, "tls-cert": {"c"}, "tls-key": {"k"}},
		"when it is loopback after all":   {"listen": {"127.8.9.1:5080"}},
		"when it is IPv6 loopback":        {"listen": {"[::1]:5080"}},
		"when it is called localhost":     {"listen": {"localhost:0"}},
		"with anonymous reading and auth": {"auth-htpasswd": {"f"}, "auth-anonymous-pull": {"team", "public/docs"}},
	} {
		if _, _, err := Load(Source{Flags: flags}); err != nil {
			t.Errorf("%s: Load(%v) = %v, want no error", name, flags, err)
		}
	}
}

func TestUnknownVariablesAreNamed(t *testing.T) {
	_, unknown, err := Load(Source{Env: []string{"WREG_LISTENN=x", "WREG_PORT=tcp://10.0.0.1:80", "HOME=/", "WREG_DATA=d"}})
	if diff := cmp.Diff([]string{"WREG_LISTENN", "WREG_PORT"}, unknown); diff != "" || err != nil {
		t.Errorf("Load: unknown (-want +got):\n%s\nerr %v, want none", diff, err)
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.yml")
	for _, s := range []Source{{File: path}, {Env: []string{"WREG_CONFIG=" + path}}} {
		if _, _, err := Load(s); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("Load(%+v) error = %v; want ErrNotExist naming the file", s, err)
		}
	}
}

func TestDSNHidesSecrets(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"a password in an address", "postgres://u:s3cret@h/db", "postgres://u:xxxxx@h/db"},
		{"a password with an at sign", "postgres://u:s3@cret@h/db", "postgres://u:xxxxx@h/db"},
		{"a password as a parameter", "postgres://h/db?user=u&password=s3cret&x=y", "postgres://h/db?user=u&password=xxxxx&x=y"},
		{"keywords and values", "host=h password='s3 cret' user=u", "host=h password=xxxxx user=u"},
		{"a storage key", "distribution+s3:bucket?secretkey=s3cret", "distribution+s3:bucket?secretkey=xxxxx"},
		{"no secret at all", "wreg-data/wreg.db", "wreg-data/wreg.db"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := DSN(tt.in)
			if got := d.String(); got != tt.want {
				t.Errorf("DSN(%q).String() = %q, want %q", tt.in, got, tt.want)
			}
			var log strings.Builder
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("dsn", d), slog.Any("config", Config{Database: d}))
			shown := fmt.Sprintf("%v %s %q %+v %#v", d, d, d, Config{Database: d}, Config{Storage: d}) + log.String()
			if strings.Contains(shown, "cret") && !strings.Contains(tt.want, "cret") || strings.Contains(shown, "s3cret") {
				t.Errorf("printing and logging %q shows the secret: %s", tt.in, shown)
			}
		})
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		in   string
		want Size
		text string
	}{
		{"4MiB", 4 << 20, "4MiB"}, {"1024", 1024, "1KiB"}, {"10 GB", 10e9, "9765625KiB"}, {"7B", 7, "7"}, {"0", 0, "0"},
	}
	for _, tt := range tests {
		var got Size
		if err := got.UnmarshalText([]byte(tt.in)); err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("Size %q = %d (%s), %v; want %d (%s)", tt.in, got, got, err, tt.want, tt.text)
		}
	}
}

// seeds is how many files testdata/fuzz/FuzzYAML holds: a pattern that matches
// nothing would pass otherwise.
const seeds = 8

func TestSeeds(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzYAML", "*"))
	if err != nil || len(files) != seeds {
		t.Fatalf("%d seeds, %v; want %d", len(files), err, seeds)
	}
}

// What readYAML accepts, written back key by key, reads as the same settings.
func FuzzYAML(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		var c Config
		if err := readYAML(&c, "f.yml", text); err != nil {
			if !strings.HasPrefix(err.Error(), "f.yml:") {
				t.Fatalf("readYAML(%q) error %q does not begin with the file", text, err)
			}
			return
		}
		var back Config
		again := render(&c)
		if err := readYAML(&back, "again.yml", []byte(again)); err != nil || !cmp.Equal(c, back) {
			t.Fatalf("readYAML(%q) = %#v, written %q, read back %#v, %v", text, c, again, back, err)
		}
	})
}

func render(c *Config) string {
	var b strings.Builder
	section := ""
	for _, f := range Fields() {
		v := f.value(c)
		if v.IsZero() {
			continue
		}
		if s := f.Section(); s != section {
			fmt.Fprintf(&b, "%s:\n", s)
			section = s
		}
		indent := strings.Repeat("  ", strings.Count(f.Key, "."))
		name := f.Key[strings.LastIndex(f.Key, ".")+1:]
		switch x := v.Interface().(type) {
		case []string:
			fmt.Fprintf(&b, "%s%s:\n", indent, name)
			for _, s := range x {
				fmt.Fprintf(&b, "%s  - %s\n", indent, quote(s))
			}
		case DSN:
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, quote(string(x)))
		default:
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, quote(fmt.Sprint(x)))
		}
	}
	return b.String()
}

// quote writes s as a double-quoted YAML text.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		if r < ' ' || r == 0x7f || r >= 0x80 {
			fmt.Fprintf(&b, `\U%08x`, r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
