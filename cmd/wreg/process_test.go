//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// Tests run wreg as a process of its own: this test binary, told by a variable
// to be wreg.
const beWreg = "WREG_TEST_BE_WREG"

func TestMain(m *testing.M) {
	if os.Getenv(beWreg) != "" {
		_ = os.Unsetenv(beWreg) // wreg warns about variables it does not know
		main()
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// process is a running wreg serve.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	URL  string // http://127.0.0.1:PORT
	Side string // likewise of the metrics listener, "" without one

	mu     sync.Mutex
	log    bytes.Buffer
	change chan struct{} // closed and replaced when log grows
	ended  chan struct{}
	err    error // of the process, once ended
}

// command is wreg with args, under the given program or on its own.
func command(ctx context.Context, under []string, args ...string) *exec.Cmd {
	all := append(append([]string{}, under...), os.Args[0])
	all = append(all, args...)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Env = append(os.Environ(), beWreg+"=1")
	return cmd
}

// start runs wreg serve over the folder data and waits until it serves.
func start(t *testing.T, data string, args ...string) *process {
	t.Helper()
	return startUnder(t, nil, data, args...)
}

func startUnder(t *testing.T, under []string, data string, args ...string) *process {
	t.Helper()
	p := &process{t: t, change: make(chan struct{}), ended: make(chan struct{})}
	p.cmd = command(context.Background(), under, append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0"}, args...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace keeps signals to itself: signal the group
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(p, stderr) // ends with the process
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	scheme := "http"
	if strings.Contains(p.waitLog("msg=serving"), "tls=true") {
		scheme = "https"
	}
	p.URL = scheme + "://" + p.logged(`msg=serving address=(\S+)`)
	return p
}

// Write collects the log.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.change)
	p.change = make(chan struct{})
	return p.log.Write(b)
}

func (p *process) text() (string, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String(), p.change
}

// waitLog waits for a line that has the text, and returns it.
func (p *process) waitLog(text string) string {
	p.t.Helper()
	limit := time.After(patience)
	for {
		log, change := p.text()
		for line := range strings.Lines(log) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
		select {
		case <-change:
		case <-p.ended:
			if now, _ := p.text(); now == log {
				p.t.Fatalf("wreg ended (%v) without %q in its log:\n%s", p.err, text, log)
			}
		case <-limit:
			p.t.Fatalf("no %q in the log after %s:\n%s", text, patience, log)
		}
	}
}

func (p *process) logged(pattern string) string {
	p.t.Helper()
	log, _ := p.text()
	m := regexp.MustCompile(pattern).FindStringSubmatch(log)
	if m == nil {
		p.t.Fatalf("no %s in the log:\n%s", pattern, log)
	}
	return m[1]
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end and returns how the process ended.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		log, _ := p.text()
		p.t.Fatalf("wreg still runs after %s:\n%s", patience, log)
		return nil
	}
}

// stop ends the server as a service manager does.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		log, _ := p.text()
		p.t.Fatalf("wreg ended with %v after SIGTERM:\n%s", err, log)
	}
}

func (p *process) kill() {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may just have ended
		<-p.ended
	}
}

// answer is a response, read.
type answer struct {
	status int
	body   string
	header http.Header
}

// do sends a request, changed by the functions given.
func (p *process) do(method, path string, body io.Reader, change ...func(*http.Request)) (answer, error) {
	p.t.Helper()
	url := path
	if !strings.HasPrefix(path, "http") {
		url = p.URL + path
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, body)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // redirects are answers too
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text), resp.Header}, err
}

// want is do with a status that has to be.
func (p *process) want(status int, method, path string, body io.Reader, change ...func(*http.Request)) answer {
	p.t.Helper()
	a, err := p.do(method, path, body, change...)
	if err != nil || a.status != status {
		log, _ := p.text()
		p.t.Fatalf("%s %s = %d %s, %v; want %d; log:\n%s", method, path, a.status, a.body, err, status, log)
	}
	return a
}

func kind(mediaType string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Content-Type", mediaType) }
}

func as(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

const imageManifest = "application/vnd.oci.image.manifest.v1+json"

// push pushes a package of one layer as a curl user would.
func (p *process) push(repo, tag, layer string, change ...func(*http.Request)) {
	p.t.Helper()
	const config = "{}"
	for _, content := range []string{config, layer} {
		p.want(201, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromString(content).String(), strings.NewReader(content),
			append(change, kind("application/octet-stream"))...)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":%d},`+
		`"layers":[{"mediaType":"application/octet-stream","digest":%q,"size":%d}]}`,
		imageManifest, digest.FromString(config), len(config), digest.FromString(layer), len(layer))
	p.want(201, "PUT", "/v2/"+repo+"/manifests/"+tag, strings.NewReader(manifest), append(change, kind(imageManifest))...)
}

// wreg runs an offline command to its end.
func wreg(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(ctx, nil, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("wreg %q: %v", args, err)
	} else if ok {
		code = exit.ExitCode()
	}
	return out.String(), errs.String(), code
}

// wantOK is wreg with status 0.
func wantOK(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := wreg(t, args...)
	if code != 0 {
		t.Fatalf("wreg %q = status %d, want 0\nstdout: %s\nstderr: %s", args, code, out, errs)
	}
	return out
}

// wantRefusal is wreg with another status, and with words on standard error.
func wantRefusal(t *testing.T, code int, words string, args ...string) {
	t.Helper()
	out, errs, got := wreg(t, args...)
	if got != code || !strings.Contains(errs, words) {
		t.Fatalf("wreg %q = status %d, want %d and %q on standard error\nstdout: %s\nstderr: %s", args, got, code, words, out, errs)
	}
}

func dataFolder(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data")
}

// freeAddress is one that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
