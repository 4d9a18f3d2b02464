//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/crypto/bcrypt"

	"github.com/wreg-project/wreg/internal/testenv"
)

func TestPackagesSurviveARestart(t *testing.T) {
	data := dataFolder(t)
	p := start(t, data)
	p.push("team/app", "1.0.0", "layer one")
	p.stop()
	if log, _ := p.text(); !strings.Contains(log, "msg=stopped") || !strings.Contains(log, "running without authentication") {
		t.Errorf("log lacks a line about the end or the missing authentication:\n%s", log)
	}

	p = start(t, data)
	manifest := p.want(200, "GET", "/v2/team/app/manifests/1.0.0", nil)
	if got := manifest.header.Get("Docker-Content-Digest"); got != digest.FromString(manifest.body).String() {
		t.Errorf("digest %s of manifest %s, want %s", got, manifest.body, digest.FromString(manifest.body))
	}
	layer := digest.FromString("layer one").String()
	if blob := p.want(200, "GET", "/v2/team/app/blobs/"+layer, nil); blob.body != "layer one" {
		t.Errorf("GET blob = %q, want %q", blob.body, "layer one")
	}
	if page := p.want(200, "GET", "/", nil); !strings.Contains(page.body, "team/app:1.0.0") {
		t.Errorf("GET / lacks the package:\n%s", page.body)
	}
	p.want(404, "GET", "/nothing", nil)
	metrics := p.want(200, "GET", "/metrics", nil).body
	for _, want := range []string{
		`wreg_http_requests_total{code="200",endpoint="blob",method="GET"} 1`, "wreg_journal_lag_entries", "wreg_uploads_open 0",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("GET /metrics lacks %s:\n%s", want, metrics)
		}
	}
	known := p.want(200, "GET", "/.well-known/wasm-pkg/registry.json", nil).body
	want := fmt.Sprintf(`{"oci":{"namespacePrefix":"","registry":%q},"preferredProtocol":"oci"}`, strings.TrimPrefix(p.URL, "http://"))
	if strings.TrimSpace(known) != want {
		t.Errorf("GET registry.json = %s, want %s", known, want)
	}
	p.stop()
}

// Every storage and database that can be named serves a push, a restart and a
// check.
func TestDrivers(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name string
		args []string
	}{
		{"distribution's files", []string{"--storage", "distribution+filesystem:" + filepath.Join(dir, "files") + "?maxthreads=50"}},
		{"an SQLite file elsewhere", []string{"--database", "sqlite:" + filepath.Join(dir, "new", "meta.db")}},
		{"PostgreSQL", []string{"--database", testenv.Postgres(t)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := dataFolder(t)
			p := start(t, data, tt.args...)
			p.push("team/app", "1.0.0", "layer one")
			p.want(200, "GET", "/readyz", nil)
			p.stop()
			p = start(t, data, tt.args...)
			p.want(200, "GET", "/v2/team/app/manifests/1.0.0", nil)
			p.want(200, "GET", "/v2/team/app/blobs/"+digest.FromString("layer one").String(), nil)
			p.stop()
			wantOK(t, append([]string{"fsck", "--data", data}, tt.args...)...)
			wantOK(t, append([]string{"doctor", "--data", data}, tt.args...)...)
		})
	}
}

func TestMemoryStorageForgets(t *testing.T) {
	p := start(t, dataFolder(t), "--storage", "mem:")
	p.push("team/app", "1.0.0", "layer one")
	p.want(200, "GET", "/v2/team/app/manifests/1.0.0", nil)
	p.stop()
}

func TestALostDatabaseIsRebuilt(t *testing.T) {
	data := dataFolder(t)
	p := start(t, data)
	p.push("team/app", "1.0.0", "layer one")
	p.push("team/app", "2.0.0", "layer two")
	p.want(202, "DELETE", "/v2/team/app/manifests/2.0.0", nil)
	tags := p.want(200, "GET", "/v2/team/app/tags/list", nil).body
	p.stop()

	for _, name := range []string{"wreg.db", "wreg.db-wal", "wreg.db-shm"} {
		if err := os.Remove(filepath.Join(data, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	wantRefusal(t, 1, "wreg rebuild", "serve", "--data", data, "--listen", "127.0.0.1:0")
	var rebuilt struct{ Sequence int64 }
	out := wantOK(t, "rebuild", "--data", data, "--check-blobs", "--output", "json")
	if err := json.Unmarshal([]byte(out), &rebuilt); err != nil || rebuilt.Sequence == 0 {
		t.Errorf("wreg rebuild = %s, %v; want the last sequence", out, err)
	}
	wantRefusal(t, 1, "empty", "rebuild", "--data", data)

	p = start(t, data)
	if got := p.want(200, "GET", "/v2/team/app/tags/list", nil).body; got != tags {
		t.Errorf("tags after rebuild = %s, want %s", got, tags)
	}
	wantRefusal(t, 1, "another wreg uses this", "fsck", "--data", data)
	p.stop()
	wantOK(t, "gc", "--data", data)
	var checked struct {
		Findings []any
		Result   struct {
			OK    bool
			Blobs int
		}
	}
	out = wantOK(t, "fsck", "--data", data, "--output", "json")
	if err := json.Unmarshal([]byte(out), &checked); err != nil || !checked.Result.OK || checked.Result.Blobs != 3 {
		t.Errorf("wreg fsck = %s, %v; want ok with 3 blobs", out, err)
	}
}

// What docs/ops/running.md says about backups: the storage of a running server,
// objects first, is one.
func TestACopyOfTheStorageIsABackup(t *testing.T) {
	data, restored := dataFolder(t), dataFolder(t)
	p := start(t, data)
	p.push("team/app", "1.0.0", "layer one")
	poll(t, "written journal", func() bool {
		return strings.Contains(p.want(200, "GET", "/metrics", nil).body, "\nwreg_journal_lag_entries 0\n")
	})
	for _, dir := range []string{"objects", "blobs"} {
		if err := os.CopyFS(filepath.Join(restored, "blobs", dir), os.DirFS(filepath.Join(data, "blobs", dir))); err != nil {
			t.Fatal(err)
		}
	}
	manifest := p.want(200, "GET", "/v2/team/app/manifests/1.0.0", nil).body
	p.stop()
	wantOK(t, "rebuild", "--data", restored, "--check-blobs")
	wantOK(t, "fsck", "--data", restored)
	p = start(t, restored)
	if got := p.want(200, "GET", "/v2/team/app/manifests/1.0.0", nil).body; got != manifest {
		t.Errorf("manifest from the backup = %s, want %s", got, manifest)
	}
	p.stop()
}

func TestFsckFindsDamage(t *testing.T) {
	data := dataFolder(t)
	p := start(t, data)
	p.push("team/app", "1.0.0", "layer one")
	p.stop()
	d := digest.FromString("layer one")
	path := filepath.Join(data, "blobs", "blobs", "sha256", d.Encoded()[:2], d.Encoded())
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("layer 0ne"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"table", "json"} {
		out, errs, code := wreg(t, "fsck", "--data", data, "--output", output)
		if code != exitFinding || !strings.Contains(out, d.String()) || !strings.Contains(errs, "fsck found 1 errors") {
			t.Errorf("wreg fsck --output %s of a damaged blob = status %d, want %d naming it\n%s%s", output, code, exitFinding, out, errs)
		}
		if output == "json" && !json.Valid([]byte(out)) {
			t.Errorf("wreg fsck --output json wrote no JSON: %s", out)
		}
	}
}

// slowUpload begins a PUT whose body the caller goes on writing, and returns
// once the server handles it.
func slowUpload(t *testing.T, p *process) (body *io.PipeWriter, done chan answer) {
	t.Helper()
	location := p.want(202, "POST", "/v2/team/app/blobs/uploads/", nil).header.Get("Location")
	r, w := io.Pipe()
	done = make(chan answer, 1)
	go func() {
		a, err := p.do("PUT", strings.TrimPrefix(location, p.URL)+"?digest="+digest.FromString("first second").String(), r,
			kind("application/octet-stream"))
		if err != nil {
			a.body = err.Error()
		}
		done <- a
	}()
	if _, err := w.Write([]byte("first ")); err != nil {
		t.Fatal(err)
	}
	poll(t, "a running request", func() bool {
		a, err := p.do("GET", p.Side+"/metrics", nil)
		return err == nil && strings.Contains(a.body, "wreg_http_requests_running 1")
	})
	return w, done
}

// poll waits until a condition holds that nobody announces.
func poll(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("no %s after %s", what, patience)
		}
	}
}

// withMetrics starts a server with a second listener, on a port found free.
func withMetrics(t *testing.T, args ...string) *process {
	t.Helper()
	side := freeAddress(t)
	p := start(t, dataFolder(t), append(args, "--metrics-listen", side)...)
	p.Side = "http://" + side
	p.want(404, "GET", "/metrics", nil) // the main address has none now
	return p
}

func TestShutdownFinishesARunningUpload(t *testing.T) {
	p := withMetrics(t)
	body, done := slowUpload(t, p)
	p.signal(syscall.SIGTERM)
	p.waitLog("shutting down")
	poll(t, "refused connection", func() bool {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := c.Get(p.URL + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err != nil
	})
	if a := p.want(503, "GET", p.Side+"/readyz", nil); !strings.Contains(a.body, "shutting down") {
		t.Errorf("GET /readyz while shutting down = %s, want it to say so", a.body)
	}
	if _, err := body.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.status != 201 {
		t.Errorf("PUT that ran during the shutdown = %d %s, want 201", a.status, a.body)
	}
	if err := p.wait(); err != nil {
		t.Errorf("wreg ended with %v, want status 0", err)
	}
}

func TestShutdownCutsOffAfterTheGrace(t *testing.T) {
	p := withMetrics(t, "--shutdown-grace", "50ms")
	body, done := slowUpload(t, p)
	p.stop()
	_ = body.Close() // the client waits for its own body before it says that the connection is gone
	if a := <-done; a.status == 201 {
		t.Errorf("PUT that outlived the grace = %d, want it cut off", a.status)
	}
	p.waitLog("requests cut off")
}

func TestAKilledServerIsRepaired(t *testing.T) {
	side := freeAddress(t)
	data := dataFolder(t)
	p := start(t, data, "--metrics-listen", side)
	p.Side = "http://" + side
	p.push("team/app", "1.0.0", "layer one")
	body, done := slowUpload(t, p)
	poll(t, "begun upload", func() bool {
		left, err := os.ReadDir(filepath.Join(data, "blobs", "uploads"))
		return err == nil && len(left) > 0
	})
	p.kill()
	_ = body.Close()
	<-done
	p = start(t, data)
	if line := p.waitLog("repaired what an interruption left"); !strings.Contains(line, "repaired.uploads=1") {
		t.Errorf("log says %s, want one upload removed", line)
	}
	p.want(200, "GET", "/v2/team/app/manifests/1.0.0", nil)
	p.stop()
	wantOK(t, "fsck", "--data", data)
}

func TestAuthentication(t *testing.T) {
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(users, fmt.Appendf(nil, "ann:%s\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, filepath.Join(dir, "data"), "--auth-htpasswd", users, "--auth-anonymous-pull", "public,docs")
	ann := as("ann", "secret")
	p.push("public/app", "1.0.0", "layer one", ann)
	p.push("private/app", "1.0.0", "layer two", ann)

	p.want(200, "GET", "/v2/public/app/manifests/1.0.0", nil)
	p.want(401, "GET", "/v2/private/app/manifests/1.0.0", nil)
	p.want(401, "GET", "/v2/private/none/manifests/1.0.0", nil)
	p.want(401, "POST", "/v2/public/app/blobs/uploads/", nil)
	p.want(200, "GET", "/v2/private/app/manifests/1.0.0", nil, ann)
	p.want(401, "GET", "/", nil, as("ann", "wrong"))
	if page := p.want(200, "GET", "/", nil).body; !strings.Contains(page, "public/app") || strings.Contains(page, "private/app") {
		t.Errorf("page for strangers, want public/app only:\n%s", page)
	}
	if page := p.want(200, "GET", "/", nil, ann).body; !strings.Contains(page, "public/app") || !strings.Contains(page, "private/app") {
		t.Errorf("page for ann, want both packages:\n%s", page)
	}
	p.want(401, "GET", "/login", nil)
	p.want(303, "GET", "/login", nil, ann)
	// Passwords keep strangers out, so any host name is fine.
	p.want(200, "GET", "/healthz", nil, func(r *http.Request) { r.Host = "registry.example" })
	p.stop()
	if log, _ := p.text(); strings.Contains(log, "without authentication") || strings.Contains(log, "secret") {
		t.Errorf("log has a warning or a password that does not belong there:\n%s", log)
	}
}

func TestWebPagesOfOthersAreKeptOut(t *testing.T) {
	p := start(t, dataFolder(t))
	p.want(421, "GET", "/v2/", nil, func(r *http.Request) { r.Host = "rebound.example" })
	p.want(403, "POST", "/v2/a/blobs/uploads/", nil, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
	a := p.want(405, "OPTIONS", "/v2/", nil, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") })
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("Access-Control-Allow-Origin = %q, want none", got)
	}
	p.stop()
}

func TestServesTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pool := x509.NewCertPool()
	pool.AddCert(testenv.WriteKeyPair(t, "wreg", cert, key))
	p := start(t, filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("GET %s/v2/ = %d by %s, want 200 by HTTP/2", p.URL, resp.StatusCode, resp.Proto)
	}
	c.CloseIdleConnections()
	p.stop()
}

func TestStartRefusals(t *testing.T) {
	taken := start(t, dataFolder(t))
	address := strings.TrimPrefix(taken.URL, "http://")
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes")
	if err := os.WriteFile(notes, []byte("ann:plaintext\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yml := filepath.Join(dir, "wreg.yml")
	if err := os.WriteFile(yml, []byte("data: "+filepath.Join(dir, "data")+"\nlissen: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	free := func(args ...string) []string {
		return append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0"}, args...)
	}
	tests := []struct {
		name  string
		args  []string
		code  int
		words string
	}{
		{"a public address", []string{"serve", "--data", data, "--listen", "0.0.0.0:0"}, 1, "--insecure-public"},
		{"an address in use", []string{"serve", "--data", data, "--listen", address}, 1, "hint: another program listens there"},
		{"a missing htpasswd", free("--auth-htpasswd", filepath.Join(dir, "none")), 1, "auth.htpasswd: "},
		{"an htpasswd without bcrypt", free("--auth-htpasswd", notes), 1, "htpasswd -B"},
		{"a broken configuration", []string{"serve", "--config", yml}, 1, `wreg.yml:2: unknown key "lissen"`},
		{"an unknown flag", []string{"serve", "--lissen", "x"}, 2, "lissen"},
		{"an unknown command", []string{"server"}, 2, `there is no command "server"`},
		{"an argument too many", []string{"serve", "now"}, 2, `serve takes no argument "now"`},
		{"an unknown output", []string{"fsck", "--data", data, "--output", "xml"}, 2, `--output "xml"`},
		{"an unknown shell", []string{"completion", "tcsh"}, 2, "bash, zsh or fish"},
		{"an unknown storage driver", free("--storage", "distribution+none:x"), 1, "none"},
		{"a certificate that is none", free("--tls-cert", notes, "--tls-key", notes), 1, notes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantRefusal(t, tt.code, tt.words, tt.args...) })
	}
	taken.stop()
}

func TestOtherCommands(t *testing.T) {
	data := dataFolder(t)
	tests := []struct {
		name string
		args []string
		want string // in the output
	}{
		{"version names the build", []string{"version"}, "wreg devel"},
		{"no command shows the help", nil, "COMMANDS:"},
		{"serve --help lists every setting", []string{"serve", "--help"}, "--limits-stall-timeout"},
		{"a pending migration is listed", []string{"migrate", "--data", data, "--dry-run"}, "0001"},
		{"a migration is run", []string{"migrate", "--data", data}, "0001"},
		{"and then there is none left", []string{"migrate", "--data", data}, "up to date"},
		{"the doctor finds nothing", []string{"doctor", "--data", data}, "a durable write takes"},
		{"the doctor speaks JSON", []string{"doctor", "--data", data, "--output", "json"}, `"state": "ok"`},
		{"a dry run of gc changes nothing", []string{"gc", "--data", data, "--dry-run"}, "nothing was changed"},
		{"bash completes", []string{"completion", "bash"}, "complete -F _wreg wreg"},
		{"zsh completes", []string{"completion", "zsh"}, "#compdef wreg"},
		{"fish completes", []string{"completion", "fish"}, "complete -c wreg"},
		{"the scripts get commands", []string{"--generate-bash-completion"}, "rebuild"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := wantOK(t, tt.args...); !strings.Contains(out, tt.want) {
				t.Errorf("wreg %q lacks %q:\n%s", tt.args, tt.want, out)
			}
		})
	}
	if out := bufio.NewScanner(strings.NewReader(wantOK(t, "fsck", "--data", data, "--quick"))); !out.Scan() {
		t.Error("wreg fsck --quick says nothing")
	}
}

func TestTheDoctorFindsWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := wreg(t, "doctor", "--data", file)
	if code != exitFinding || !strings.Contains(out, "is not a folder") || !strings.Contains(errs, "would not work") {
		t.Errorf("wreg doctor over a file = status %d, want %d\n%s%s", code, exitFinding, out, errs)
	}
}
