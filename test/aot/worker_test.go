//go:build aot

package aot

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/crypto/bcrypt"
	orasauth "oras.land/oras-go/v2/registry/remote/auth"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/provenance"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/test/crash/server"
)

// targets are what the rule of the registry wants.
var targets = []string{"linux/amd64/v1", "linux/amd64/v3", "linux/arm64", variant.Pulley64}

// site is a registry with users, and what wpkg needs to speak to it.
type site struct {
	*testing.T
	dir     string
	host    string
	options server.Options
	server  *server.Server
	catalog *client.Catalog
	client  *client.Client
}

// newSite starts wreg with a rule for demo, the administrator ann, and the workers wes and
// will. Both workers sign by compiler.key, which the registry trusts.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir()}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(s.dir, "htpasswd")
	if err := os.WriteFile(users, fmt.Appendf(nil, "ann:%[1]s\nwes:%[1]s\nwill:%[1]s\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	s.wpkg("ann", "key", "generate", "-o", filepath.Join(s.dir, "compiler"), "--no-password")
	s.options = server.Options{
		Bin: filepath.Join(bin, "wreg"), Data: filepath.Join(s.dir, "data"), Args: []string{
			"--auth-htpasswd", users, "--auth-admins", "ann", "--auth-workers", "wes", "--auth-workers", "will",
			"--trust-keys", "compiler=" + filepath.Join(s.dir, "compiler.pub"), "--aot-compilers", "compiler",
			"--aot-rules", "demo/** = " + strings.Join(targets, " "), "--aot-lease", "5s",
		},
	}
	s.begin()
	s.host = strings.TrimPrefix(s.server.Base, "http://")
	s.options.Args = append(s.options.Args, "--listen", s.host) // where it is found after a restart
	s.client = client.New(client.Options{Credential: func(context.Context, string) (orasauth.Credential, error) {
		return orasauth.Credential{Username: "ann", Password: "secret"}, nil
	}})
	if s.catalog, err = s.client.Catalog(s.host); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ann", "wes", "will"} {
		s.wpkg(user, "login", s.host, "-u", user, "--password-stdin")
	}
	return s
}

func (s *site) begin() {
	s.Helper()
	var err error
	if s.server, err = server.Start(s.Context(), s.options); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(s.server.Kill)
}

// as is wpkg for a user, who has a home.
func (s *site) as(user string, args ...string) *exec.Cmd {
	home := filepath.Join(s.dir, user)
	cmd := exec.Command(filepath.Join(bin, "wpkg"), args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "DOCKER_CONFIG="+home, "WPKG_REGISTRY="+s.host)
	cmd.Stdin = strings.NewReader("secret")
	return cmd
}

func (s *site) wpkg(user string, args ...string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Join(s.dir, user), 0o700); err != nil {
		s.Fatal(err)
	}
	if out, err := s.as(user, args...).CombinedOutput(); err != nil {
		s.Fatalf("wpkg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// push pushes a package of ann's.
func (s *site) push(repo string, wasm []byte) {
	s.Helper()
	file := filepath.Join(s.TempDir(), "app.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		s.Fatal(err)
	}
	s.wpkg("ann", "push", s.host+"/"+repo+":1.0.0", file)
}

// process is a worker that runs.
type process struct {
	cmd    *exec.Cmd
	ended  chan error
	leased chan string // targets of the jobs that it took
	stderr bytes.Buffer

	mu     sync.Mutex
	events map[string]int // by kind
}

// work starts a worker.
func (s *site) work(user string, args ...string) *process {
	s.Helper()
	args = slices.Concat([]string{
		"worker", "--key", filepath.Join(s.dir, "compiler.key"), "--name", user, "--concurrency", "1", "--output", "json",
	}, args)
	p := &process{cmd: s.as(user, args...), ended: make(chan error, 1), leased: make(chan string, 100), events: map[string]int{}}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e struct{ Event, Target string }
			if json.Unmarshal(lines.Bytes(), &e) != nil {
				continue
			}
			p.mu.Lock()
			p.events[e.Event]++
			p.mu.Unlock()
			if e.Event == "leased" {
				p.leased <- e.Target
			}
		}
		p.ended <- p.cmd.Wait()
	}()
	s.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// next waits for the next job that a worker takes, and returns its target.
func (p *process) next(t *testing.T) string {
	t.Helper()
	select {
	case target := <-p.leased:
		return target
	case err := <-p.ended:
		t.Fatalf("worker: %v before it took a job\n%s", err, p.stderr.String())
	}
	return ""
}

func (p *process) count(event string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.events[event]
}

// stop ends a worker and wants it to end well.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := <-p.ended; err != nil {
		t.Errorf("worker after SIGTERM: %v; want status 0\n%s", err, p.stderr.String())
	}
}

// settled waits until no job of the registry is queued or leased.
func (s *site) settled(want int) []wire.AOTJob {
	s.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := s.catalog.AOTJobs(s.Context(), "", "")
		if err != nil {
			s.Fatal(err)
		}
		over := 0
		for _, j := range list.Items {
			if j.State == wire.AOTDone || j.State == wire.AOTFailed {
				over++
			}
		}
		if over == want {
			return list.Items
		}
		select {
		case <-tick.C:
		case <-s.Context().Done():
			s.Fatalf("%d of %d jobs are over: %+v", over, want, list.Items)
		}
	}
}

// bomb is a valid module with a jump table, for each entry of which compilers take
// 600 bytes. A registry does not look at that.
func bomb(entries int) []byte {
	code := []byte{0x00, 0x02, 0x40, 0x41, 0x00, 0x0e} // no locals; block; i32.const 0; br_table
	code = binary.AppendUvarint(code, uint64(entries))
	code = append(code, make([]byte, entries+1)...)
	code = append(code, 0x0b, 0x0b)
	body := append(binary.AppendUvarint(nil, uint64(len(code))), code...)
	section := append([]byte{1}, body...)
	module := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a")
	return append(binary.AppendUvarint(module, uint64(len(section))), section...)
}

// Packages in Go, C and Rust get code for every target, by workers that race, die
// and lose their registry; a package that is too much for the compiler gets the
// reason. What they made is picked, verified and run as on a client's machine.
func TestWorkersServeARegistry(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all := allGuests(t)
	for name, g := range all {
		s.push("demo/"+name, g.wasm)
	}

	// A worker that is killed leaves its lease, and is not missed.
	killed := s.work("wes", "--target", "linux/arm64")
	if target := killed.next(t); target != "linux/arm64" {
		t.Errorf("the worker for linux/arm64 took a job for %s", target)
	}
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-killed.ended
	workers := []*process{s.work("wes"), s.work("will")}
	workers[0].next(t)
	workers[1].next(t)

	// They sit out that the registry is away.
	s.server.Kill()
	s.begin()
	s.push("demo/bomb", bomb(aot.MaxTargets))

	jobs := s.settled(len(targets) * 4)
	for _, j := range jobs {
		if strings.HasSuffix(j.Repository, "/bomb") {
			if want := "limit: a limit was reached: "; j.State != wire.AOTFailed || !strings.HasPrefix(j.Failure, want) || j.Attempts != 1 {
				t.Errorf("%s for %s: %s after %d attempts, %q; want it failed after one, %q", j.Repository, j.Target, j.State, j.Attempts, j.Failure, want)
			}
		} else if j.State != wire.AOTDone {
			t.Errorf("%s for %s: %s, %q; want it done", j.Repository, j.Target, j.State, j.Failure)
		}
	}
	for i, p := range workers {
		p.stop(t)
		if p.count("done") == 0 || p.count("failed")+p.count("done")+p.count("lost") != p.count("leased") {
			t.Errorf("worker %d: %v; want some jobs done, and each that was leased told of\n%s", i, p.events, p.stderr.String())
		}
		if said := p.stderr.String(); strings.Contains(said, "secret") || strings.Contains(said, "/leases/") {
			t.Errorf("worker %d tells secrets:\n%s", i, said)
		}
	}
	for name, g := range all {
		s.runsEverywhere(name, g)
	}
}

// runsEverywhere reads the code of a package as a client does, which trusts
// compiler.pub and nobody else, and runs it on each machine.
func (s *site) runsEverywhere(name string, g guest) {
	s.Helper()
	ctx := s.Context()
	repo, err := s.client.Repository(s.host, "demo/"+name)
	if err != nil {
		s.Fatal(err)
	}
	subject, err := repo.Resolve(ctx, "1.0.0")
	if err != nil {
		s.Fatal(err)
	}
	refs, err := client.ReferrersOf(ctx, repo, subject, aot.ArtifactType(aot.Runtime))
	if err != nil {
		s.Fatal(err)
	}
	list, ignored := aot.List(refs)
	if len(list) != len(targets) || len(ignored) != 0 {
		s.Fatalf("%s has %d pieces of native code, and %v; want %d", name, len(list), ignored, len(targets))
	}
	codes, compat := map[string][]byte{}, map[string]string{}
	for _, l := range list {
		v, err := aot.Read(ctx, repo, l.Descriptor, aot.Expected{Subject: subject.Digest, Source: digest.FromBytes(g.wasm)})
		if err != nil {
			s.Fatalf("read the code of %s for %s: %v", name, l.Target, err)
		}
		s.attested(ctx, repo, v)
		var code bytes.Buffer
		if err := v.WriteCode(ctx, repo, &code); err != nil {
			s.Fatalf("read the code of %s for %s: %v", name, l.Target, err)
		}
		codes[l.Target.String()], compat[l.Target.String()] = code.Bytes(), v.Config.CompatID
		if emulated := l.Target.Arch == "arm64"; v.Config.Builder.Emulated != emulated {
			s.Errorf("the builder of %s for %s: %+v; want emulated %t", name, l.Target, v.Config.Builder, emulated)
		}
	}
	for _, on := range []machine{here, emulated("Haswell"), emulated("qemu64"), arm64} {
		picked := on.picks(s.T, g, codes, compat)
		on.runs(s.T, g, codes[picked], picked)
	}
	here.runs(s.T, g, codes[variant.Pulley64], variant.Pulley64)
	s.wpkg("ann", "aot", "verify", s.host+"/demo/"+name+":1.0.0", "--target", variant.Pulley64) // makes the same again
}

// attested wants one attestation of code, by compiler.key.
func (s *site) attested(ctx context.Context, repo client.Target, v *aot.Variant) {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "compiler.pub"))
	if err != nil {
		s.Fatal(err)
	}
	public, err := key.ParsePublic(text)
	if err != nil {
		s.Fatal(err)
	}
	by, err := verify.New(verify.Material{Keys: []verify.Key{{Name: "compiler", Public: public}}})
	if err != nil {
		s.Fatal(err)
	}
	found, err := signing.Find(ctx, client.Signatures(repo), v.Manifest.Digest)
	if err != nil || len(found) == 0 {
		s.Fatalf("signatures of %s: %d, %v; want the compiler's", v.Manifest.Digest, len(found), err)
	}
	for _, f := range found {
		p, err := by.Verify(ctx, v.Manifest.Digest, f)
		if err != nil {
			s.Errorf("verify %s: %v", f.Manifest, err)
			continue
		}
		if err := provenance.Check(p.PredicateType, p.Predicate, v, "https://wreg.dev/worker"); err != nil {
			s.Errorf("provenance of %s: %v", v.Manifest.Digest, err)
		}
	}
}
