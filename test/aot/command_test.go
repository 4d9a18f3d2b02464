//go:build aot && soak

package aot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/command"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/artifact/variant/host"
	"github.com/wreg-project/wreg/inspect/precompiled"
)

// commandLine is the real command line of wasmtime: that of make compilers, or the
// one that WASMTIME names. It is made the one on the PATH.
func commandLine(t *testing.T) string {
	t.Helper()
	path := os.Getenv("WASMTIME")
	if path == "" {
		path = "../../.cache/compilers/bin/wasmtime"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v (make compilers builds it)", err)
	}
	t.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
	return path
}

// What the real wasmtime compiles for every target is what was asked for, is
// recorded as what it is, and runs in wasmtime. wpkg-engine makes the very same, and
// loads it, or says that it is of another version.
func TestRealWasmtime(t *testing.T) {
	path := commandLine(t)
	c, err := command.Find(aot.Runtime)
	if err != nil {
		t.Fatal(err)
	}
	support, err := c.Support(t.Context())
	if err != nil || support.Path != path {
		t.Fatalf("Support = %+v, %v; want that of %s", support, err, path)
	}
	ids := here.ids(t)
	t.Logf("wasmtime %s, and %s in wpkg-engine", support.Version, ids.Wasmtime)
	compat := map[string]string{} // by target
	for _, name := range []string{"c", "rust"} {
		for _, s := range support.Targets {
			g, target := allGuests(t)[name], s.Target.String()
			t.Run(name+" for "+target, func(t *testing.T) {
				if s.Why != "" {
					t.Fatalf("Support says of %s: %s; want that it can", target, s.Why)
				}
				config, code := madeBy(t, c, g, s.Target)
				if config.Compiler.Version != support.Version {
					t.Errorf("the version is %s; want %s", config.Compiler.Version, support.Version)
				}
				holds(t, g, config, s.Target, code)
				if id := compat[target]; id != "" && id != config.CompatID {
					t.Errorf("the compat id is %s; want that of another program, %s", config.CompatID, id)
				}
				compat[target] = config.CompatID
				if _, again := madeBy(t, c, g, s.Target); !bytes.Equal(code, again) {
					t.Errorf("compiled twice it has %d and %d bytes, which differ", len(code), len(again))
				}
				if s.Target.RunsOn(host.Target()) {
					runsIn(t, path, g, s.Target, code)
				}
				for _, m := range []machine{here, arm64} {
					if own, err := variant.Parse(m.ids(t).Host); err != nil {
						t.Fatal(err)
					} else if s.Target.RunsOn(own) {
						loads(t, m, g, s.Target, code, support.Version == ids.Wasmtime)
					}
				}
			})
		}
	}
	for target, id := range compat {
		for other, same := range compat {
			if target != other && id == same {
				t.Errorf("%s and %s have one compat id, %s", target, other, id)
			}
		}
	}
}

// madeBy compiles a guest.
func madeBy(t *testing.T, c *command.Compiler, g guest, target variant.Target) (*aot.Config, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), g.name)
	if err := os.WriteFile(path, g.wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var code bytes.Buffer
	job := aot.Job{Wasm: f, Size: int64(len(g.wasm)), Digest: digest.FromBytes(g.wasm), Target: target}
	config, err := c.Compile(t.Context(), job, &code)
	if err != nil {
		t.Fatalf("Compile(%s) for %s = %v", g.name, target, err)
	}
	if err := config.Check(); err != nil {
		t.Errorf("Check of the config = %v", err)
	}
	return config, code.Bytes()
}

// holds wants code to say of itself what the config says.
func holds(t *testing.T, g guest, config *aot.Config, target variant.Target, code []byte) {
	t.Helper()
	got, ok := precompiled.Read(bytes.NewReader(code), int64(len(code)))
	if !ok {
		t.Fatalf("Read of %d bytes knows no native code", len(code))
	}
	sum := sha256.Sum256(got.Settings)
	if id := "sha256:" + hex.EncodeToString(sum[:]); config.CompatID != id || len(got.Settings) == 0 {
		t.Errorf("the compat id is %s; want %s, of %d bytes of settings", config.CompatID, id, len(got.Settings))
	}
	// wasmtime 36 writes its version in full, and 39 the first number alone.
	major, _, _ := strings.Cut(config.Compiler.Version, ".")
	if got.Runtime != aot.Runtime || got.Form != g.kind || got.Version != major && got.Version != config.Compiler.Version {
		t.Errorf("Read = %s; want a %s by wasmtime %s", got, g.kind, config.Compiler.Version)
	}
	if got.OS != target.OS || got.Arch != target.Arch && got.Arch != target.String() {
		t.Errorf("Read = %s for %s/%s; want one for %s", got, got.OS, got.Arch, target)
	}
	flags, want := slices.Sorted(slices.Values(got.Flags)), slices.Sorted(slices.Values(config.Target.ISAFlags))
	if !slices.Equal(flags, want) {
		t.Errorf("Read says it uses %q; want %q", flags, want)
	}
}

// runsIn wants wasmtime to run code. With a time limit it runs what is interrupted
// by epochs, and only then.
func runsIn(t *testing.T, path string, g guest, target variant.Target, code []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), g.name)
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--allow-precompiled", "-W", "timeout=60s"}
	if target == variant.Portable {
		args = append(args, "--target", "pulley64")
	}
	cmd := exec.CommandContext(t.Context(), path, slices.Concat(args, []string{file}, g.args)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	status := 0
	if err := cmd.Run(); err != nil {
		exited, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		status = exited.ExitCode()
	}
	if out.String() != g.stdout || status != g.status {
		t.Errorf("wasmtime run %s, made for %s: status %d, %q, %s; want %d, %q",
			g.name, target, status, out.String(), &errOut, g.status, g.stdout)
	}
}

// loads wants wpkg-engine on m to run code of its own version, and to make the same,
// and to say of other code why it does not run it.
func loads(t *testing.T, m machine, g guest, target variant.Target, code []byte, own bool) {
	t.Helper()
	if own {
		m.runs(t, g, code, target.String())
		if made := m.compile(t, g.wasm, target.String()); !bytes.Equal(code, made) {
			t.Errorf("wasmtime makes %d bytes, and wpkg-engine on %s makes %d, which differ", len(code), m.name, len(made))
		}
		return
	}
	const why = "the code is of another version of wasmtime"
	out, stderr, status := m.run(t, g, code, target.String())
	if status != wire.ExitFailed || out != "" || !strings.Contains(stderr, why) {
		t.Errorf("run %s, made for %s, on %s: status %d, %q, %q; want %d and %q",
			g.name, target, m.name, status, out, stderr, wire.ExitFailed, why)
	}
}
