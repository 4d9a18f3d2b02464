//go:build interop

// Package interop runs real clients against a real wreg, and wpkg against
// another registry. `make interop` builds what it needs.
package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// top is the folder of go.mod.
var top = filepath.Join("..", "..")

// A registry is a running server of some kind.
type registry struct {
	host string // host:port
}

func (r registry) ref(name string) string { return r.host + "/" + name }

// startWreg runs the built wreg on its embedded default, with everything that is
// optional switched on by args.
func startWreg(t *testing.T, args ...string) registry {
	t.Helper()
	addr := freeAddr(t)
	start(t, addr, append([]string{
		program(t, "bin", "wreg"), "serve", "--listen", addr, "--data", filepath.Join(t.TempDir(), "data"), "--log-level", "warn",
	}, args...)...)
	return registry{addr}
}

// startDistribution runs distribution's own registry binary.
func startDistribution(t *testing.T) registry {
	t.Helper()
	addr, dir := freeAddr(t), t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %s}\n", filepath.Join(dir, "data"), addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	start(t, addr, client(t, "registry"), "serve", config)
	return registry{addr}
}

// start runs a server until the test ends and returns when it answers.
func start(t *testing.T, addr string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("%s did not end on SIGTERM: %s", args[0], out.String())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if resp, err := http.Get("http://" + addr + "/v2/"); err == nil {
			resp.Body.Close()
			return
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("%s ended: %v: %s", args[0], err, out.String())
		case <-tick.C:
		}
	}
	t.Fatalf("%s does not answer on %s", args[0], addr)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// program is one of ours, built by `make build`.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(top, dir, name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run `make build clients` first", err)
	}
	return path
}

// client is a program of tools/clients or tools/scanner, built by `make clients`.
func client(t *testing.T, name string) string {
	return program(t, filepath.Join(".cache", "clients"), name)
}

// A shell runs programs in one folder with a home of its own, so that no
// credential or setting of the machine plays a part.
type shell struct {
	t   *testing.T
	dir string
	env []string
}

func newShell(t *testing.T, env ...string) *shell {
	t.Helper()
	dir := t.TempDir()
	return &shell{t: t, dir: dir, env: append(append(os.Environ(),
		"HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir, "DOCKER_CONFIG="+dir, "REGISTRY_AUTH_FILE=", "NO_COLOR=1"), env...)}
}

// run returns what the program wrote to standard output; it has to succeed.
func (s *shell) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}

// fails returns the program's error; it has to fail.
func (s *shell) fails(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err == nil {
		s.t.Fatalf("%s succeeded, want an error: %s", strings.Join(args, " "), out)
	}
	return err.Error()
}

func (s *shell) try(args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.dir, s.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), errors.Join(err, errors.New(strings.TrimSpace(stdout.String()+stderr.String())))
	}
	return stdout.String(), nil
}

// file is a path in the shell's folder.
func (s *shell) file(name string) string { return filepath.Join(s.dir, name) }

// wasm writes a small real module, unlike every other one by its custom section.
func (s *shell) wasm(name string) []byte {
	s.t.Helper()
	// (module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
	//   (memory (export "memory") 1) (func (export "_start")))
	module := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x08\x02\x60\x01\x7f\x00\x60\x00\x00" +
		"\x02\x24\x01\x16wasi_snapshot_preview1\x09proc_exit\x00\x00" +
		"\x03\x02\x01\x01" + "\x05\x03\x01\x00\x01" +
		"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x01" +
		"\x0a\x04\x01\x02\x00\x0b")
	module = append(module, 0, byte(len(name)+1), byte(len(name)))
	module = append(module, name...)
	if err := os.WriteFile(s.file(name), module, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return module
}

// pushed is what wpkg push says.
type pushed struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
}

// push packs and pushes a module with wpkg and returns its reference's answer.
func (s *shell) push(ref string, args ...string) pushed {
	s.t.Helper()
	s.wasm("module.wasm")
	out := s.run(append([]string{program(s.t, "bin", "wpkg"), "push", "--output", "json", ref, "module.wasm"}, args...)...)
	var p pushed
	if err := json.Unmarshal([]byte(out), &p); err != nil || p.Digest == "" {
		s.t.Fatalf("wpkg push printed %q: %v", out, err)
	}
	return p
}

func (s *shell) read(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(s.file(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func contains(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s = %q, want %q in it", what, got, want)
	}
}
