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
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A server is one running process under measurement.
type server struct {
	name  string
	addr  string // host:port
	dir   string
	trace string // strace's output, "" if not traced
	cmd   *exec.Cmd
	pid   int // of the server itself, where cmd is strace
	also  []*server
	done  chan struct{}
}

// start runs the named server on an empty folder and waits until it answers.
func start(ctx context.Context, o options, name, dir string, traced bool) (*server, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{name: name, dir: dir, addr: net.JoinHostPort("127.0.0.1", port), done: make(chan struct{})}
	var args, env []string
	ready := "/v2/"
	switch name {
	case "wreg-sqlite":
		args = []string{filepath.Join(o.bin, "wreg"), "serve", "--listen", s.addr, "--data", filepath.Join(dir, "data"), "--log-level", "warn"}
	case "wreg-postgres":
		db, dsn, err := startPostgres(ctx, filepath.Join(dir, "pg"))
		if err != nil {
			return nil, err
		}
		s.also = append(s.also, db)
		args = []string{
			filepath.Join(o.bin, "wreg"), "serve", "--listen", s.addr, "--data", filepath.Join(dir, "data"),
			"--database", dsn, "--log-level", "warn",
		}
	case "distribution":
		config := filepath.Join(dir, "config.yml")
		if err := os.WriteFile(config, fmt.Appendf(nil, distributionConfig, filepath.Join(dir, "data"), s.addr), 0o600); err != nil {
			return nil, err
		}
		args = []string{o.peer, "serve", config}
		env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	case "nginx":
		config := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, s.addr, filesDir(dir)), 0o600); err != nil {
			return nil, err
		}
		args = []string{"nginx", "-p", dir, "-c", config}
		ready = "/"
	default:
		return nil, fmt.Errorf("no such server")
	}
	if traced {
		s.trace = filepath.Join(dir, "trace")
		args = append([]string{"strace", "-f", "-q", "-e", "trace=fsync,fdatasync,sync_file_range", "-o", s.trace}, args...)
	}
	if err := s.exec(args, env, nil); err != nil {
		s.stop()
		return nil, err
	}
	if err := s.await(ctx, ready); err != nil {
		s.stop()
		return nil, err
	}
	if traced {
		// strace's only child is the server.
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.cmd.Process.Pid, s.cmd.Process.Pid))
		if err == nil {
			s.pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		}
	}
	return s, nil
}

const distributionConfig = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
  cache: {blobdescriptor: inmemory}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: %s}
`

const nginxConfig = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 256; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; root %[3]s; autoindex on; }
}
`

func filesDir(dir string) string { return filepath.Join(dir, "files") }

// exec starts the process, in a group of its own so that stop reaches all of it.
func (s *server) exec(args, env []string, as *syscall.Credential) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = &exec.Cmd{
		Path: path, Args: args, Env: env, Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: as},
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.pid = s.cmd.Process.Pid
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // its exit is expected; await and stop look at done
	}()
	return nil
}

// await returns once the server answers with less than 500.
func (s *server) await(ctx context.Context, path string) error {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+path, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("it ended: %s", s.output())
		case <-deadline.C:
			return fmt.Errorf("no answer in 20 s: %s", s.output())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *server) output() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "output"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}

// stop ends the process and what it needed. A second call does nothing.
func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
			<-s.done
		}
	}
	for _, other := range s.also {
		other.stop()
	}
	s.also = nil
}

// cpu is the processor time that the server has used, without its database.
func (s *server) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, and may hold spaces.
	_, rest, ok := bytes.Cut(b, []byte(") "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("unreadable /proc stat")
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil // USER_HZ is 100 on Linux
}

// peakMemory is the largest resident set so far, in bytes.
func (s *server) peakMemory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		return 0
	}
	var kib int64
	if _, rest, ok := bytes.Cut(b, []byte("VmHWM:")); ok {
		_, _ = fmt.Sscan(string(rest), &kib)
	}
	return kib << 10
}

// allocations is the number of heap objects allocated so far, from the server's
// own metrics; -1 where it does not say.
func (s *server) allocations(ctx context.Context) float64 {
	if s.addr == "" {
		return -1
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+"/metrics", nil)
	if err != nil {
		return -1
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return -1
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			n, err := strconv.ParseFloat(v, 64)
			if err == nil {
				return n
			}
		}
	}
	return -1
}

// syncs counts the traced calls so far.
func (s *server) syncs() (int, error) {
	b, err := os.ReadFile(s.trace)
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range bytes.Lines(b) {
		if bytes.Contains(line, []byte("fsync(")) || bytes.Contains(line, []byte("fdatasync(")) {
			n++
		}
	}
	return n, nil
}

// startPostgres runs a database cluster of its own, durable as by default: that
// in dir, which it makes unless there is one.
func startPostgres(ctx context.Context, dir string) (*server, string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, "", errors.New("PostgreSQL is not installed: apt-get install postgresql")
	}
	bin := found[len(found)-1]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	as, err := postgresUser(dir)
	if err != nil {
		return nil, "", err
	}
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "wreg", "-A", "trust", "--no-locale", "-E", "UTF8")
		initdb.Dir = dir
		initdb.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		if out, err := initdb.CombinedOutput(); err != nil {
			return nil, "", fmt.Errorf("initdb: %w: %s", err, out)
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	s := &server{name: "postgres", dir: dir, addr: "127.0.0.1:" + port, done: make(chan struct{})}
	args := []string{filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir}
	if err := s.exec(args, nil, as); err != nil {
		return nil, "", err
	}
	dsn := fmt.Sprintf("postgres://wreg@127.0.0.1:%s/postgres?sslmode=disable", port)
	for range 200 {
		check := exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-h", "127.0.0.1", "-p", port)
		if check.Run() == nil {
			return s, dsn, nil
		}
		select {
		case <-s.done:
			return nil, "", fmt.Errorf("postgres ended: %s", s.output())
		case <-ctx.Done():
			return nil, "", ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.stop()
	return nil, "", fmt.Errorf("postgres is not ready: %s", s.output())
}

// postgresUser is whom to run PostgreSQL as: it refuses root, so that there it is
// Debian's user postgres, who is given dir.
func postgresUser(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	// Every folder on the way must let it through.
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			return nil, err
		}
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
