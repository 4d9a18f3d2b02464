// Package testenv starts what signing without keys needs, on the loopback
// interface and for one test: an OpenID Connect issuer ([StartIssuer]) in the
// process itself, and around it Sigstore's own Fulcio, Rekor and timestamp
// authority ([StartSigstore]) as `make clients` builds them. Nothing of it asks
// anything outside the machine.
package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// upTime is how long a service may take to answer first.
const upTime = 20 * time.Second

// Ports are free ones of the loopback interface.
func Ports(t testing.TB, n int) []string {
	t.Helper()
	ports := make([]string, n)
	var lc net.ListenConfig
	for i := range ports {
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end, so that none comes twice
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// A service is a program that runs.
type service struct {
	name string
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
	err  error // once done is closed
	stop func()
}

// run starts a program that answers at url, and ends it with the test.
func run(t testing.TB, dir, url, program string, args ...string) *service {
	t.Helper()
	s := &service{name: program, done: make(chan struct{})}
	// It has to outlive the test's context, which ends before the cleanup.
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, &s.out, &s.out
	s.cmd.Env = []string{"HOME=" + dir}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("%v: run `make clients` first", err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	s.stop = sync.OnceFunc(func() {
		_ = s.cmd.Process.Kill() // they keep nothing that matters
		<-s.done
	})
	t.Cleanup(s.stop)
	s.await(t, url)
	return s
}

// await returns when the service answers at url with success.
func (s *service) await(t testing.TB, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := get(ctx, url); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-s.done:
			t.Fatalf("%s ended: %v: %s", s.name, s.err, s.out.String())
		case <-ctx.Done():
			s.stop()
			t.Fatalf("%s does not answer at %s: %s", s.name, url, s.out.String())
		}
	}
}

// get reads what is at url.
func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, resp.Status, text.String())
	}
	return text.Bytes(), nil
}
