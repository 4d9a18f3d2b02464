package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresVariable names the environment variable with the address of a server
// that tests use instead of starting one. Its user may create schemas.
const PostgresVariable = "WREG_TEST_POSTGRES"

// Postgres returns the address of a new, empty schema, which is dropped when the
// test ends; a new database would take a hundred times as long. The first call
// of a test binary starts a server of its own, with fsync on, reached by a
// socket in a temporary folder; it ends with the test binary, however that
// ends. Names sort by ICU's English rules in it, so that SQL which relies on
// the order of bytes has to say so.
//
// Without PostgreSQL the test fails: passing by skipping would prove nothing.
func Postgres(tb testing.TB) (dsn string) {
	tb.Helper()
	server, err := postgresServer()
	if err != nil {
		tb.Fatal(err)
	}
	name := "wreg_test_" + strings.ToLower(rand.Text())
	if err := execute(server, "CREATE SCHEMA "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := execute(server, "DROP SCHEMA "+name+" CASCADE"); err != nil {
			tb.Error(err)
		}
	})
	return withSchema(server, name)
}

// postgresServer returns the address of the server of this test binary.
var postgresServer = sync.OnceValues(func() (string, error) {
	if dsn := os.Getenv(PostgresVariable); dsn != "" {
		return dsn, nil
	}
	return startPostgres()
})

func execute(dsn, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	if e := conn.Close(ctx); err == nil {
		err = e
	}
	return err
}

// withSchema is an address of libpq in which tables without a schema are those
// of the given one.
func withSchema(dsn, name string) string {
	option := "-csearch_path=" + name
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		q.Set("options", option)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return dsn + " options=" + option
}

// keeper runs the server and waits for the end of its own input, which the
// death of the test binary brings; then it stops the server and cleans up.
const keeper = `exec 3<&0
"$1" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=200 3<&- & server=$!
(read -r _ <&3; kill -INT "$server") &
wait "$server"
rm -rf "$2"`

func startPostgres() (string, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "wreg-postgres-")
	if err != nil {
		return "", err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return "", err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}

	var log lockedBuffer
	cmd := exec.Command("/bin/sh", "-c", keeper, "sh", filepath.Join(bin, "postgres"), dir)
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = dir, attr, &log, &log
	if _, err := cmd.StdinPipe(); err != nil { // open as long as this process lives
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	dsn := "postgres:///postgres?user=postgres&host=" + url.QueryEscape(dir)
	return dsn, ready(dsn, ended, &log)
}

// ready waits until the server answers.
func ready(dsn string, ended <-chan error, log fmt.Stringer) error {
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := execute(dsn, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case end := <-ended:
			return fmt.Errorf("PostgreSQL ended at once (%w):\n%s", end, log)
		case <-deadline:
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		case <-tick.C:
		}
	}
}

// postgresPrograms returns the folder of initdb and postgres. Debian keeps them
// out of PATH.
func postgresPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: run 'apt-get install postgresql' (15 or later), " +
			"or set " + PostgresVariable + " to the address of a server")
	}
	newest := found[0]
	for _, path := range found[1:] {
		if majorOf(path) > majorOf(newest) {
			newest = path
		}
	}
	return filepath.Dir(newest), nil
}

// majorOf is the version in /usr/lib/postgresql/15/bin/initdb, 0 if that is none.
func majorOf(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}

// unprivileged gives dir to the user postgres if this process is root, whom
// PostgreSQL refuses, and says how to run as that user. The processes get a
// group of their own, so that an interrupt on the terminal leaves them to the
// keeper.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, int(uid), int(gid))
}

// A lockedBuffer is what a running process has printed so far.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
