package auth

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/wreg-project/wreg/registry/policy"
)

// Bounds of a password file and of what is compared with it.
const (
	maxFile     = 1 << 20 // bytes
	maxUsers    = 10_000
	maxName     = 255  // bytes
	maxPassword = 1024 // bytes; bcrypt itself looks at the first 72
	maxCost     = 16   // about four seconds of CPU a login
)

// How long a verified password is remembered, how many are, and how often the
// file is looked at.
const (
	rememberFor = 5 * time.Minute
	rememberMax = 4096
	lookEvery   = time.Second
)

// Options are the choices of an HTPasswd. The zero value is fine.
type Options struct {
	Realm string           // shown by browsers; "" is wreg
	Log   *slog.Logger     // nil discards
	Clock func() time.Time // nil is time.Now
}

// HTPasswd checks Basic credentials against a file of names and bcrypt hashes,
// as htpasswd -B writes it. A file that changes is read again; one that cannot
// be read leaves the earlier users in place, and a line in the log.
//
// A hash takes tens of milliseconds on purpose, so a verified password is
// remembered for a few minutes, as a keyed hash that is worthless outside of
// the process. A changed or removed entry ends that at once.
type HTPasswd struct {
	path  string
	realm string
	log   *slog.Logger
	now   func() time.Time

	key    []byte        // of the memory
	cpu    chan struct{} // bounds the hashes computed at once
	lookMu sync.Mutex    // held while looking at the file

	mu       sync.RWMutex
	users    map[string][]byte // name → bcrypt hash
	decoy    []byte            // compared with for names that are not there
	stamp    stamp
	looked   time.Time
	verified map[[sha256.Size]byte]time.Time // → when to forget
}

// stamp tells one version of a file from the next.
type stamp struct {
	modified time.Time
	size     int64
}

// OpenHTPasswd reads the password file at path.
func OpenHTPasswd(path string, o Options) (*HTPasswd, error) {
	h := &HTPasswd{
		path: path, realm: o.Realm, log: o.Log, now: o.Clock,
		key: make([]byte, sha256.Size), cpu: make(chan struct{}, max(1, runtime.GOMAXPROCS(0))),
		verified: map[[sha256.Size]byte]time.Time{},
	}
	if h.realm == "" {
		h.realm = "wreg"
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	if _, err := rand.Read(h.key); err != nil {
		return nil, fmt.Errorf("key of the password memory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return h, h.load(stamp{info.ModTime(), info.Size()})
}

// Challenge implements Authenticator.
func (h *HTPasswd) Challenge() string {
	return fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", h.realm)
}

// Authenticate implements Authenticator. An empty name with an empty password
// counts as no credentials: some clients send that when they have none.
func (h *HTPasswd) Authenticate(r *http.Request) (policy.Principal, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return policy.Principal{}, nil
	}
	name, password, ok := r.BasicAuth()
	switch {
	case !ok:
		return policy.Principal{}, fmt.Errorf("%w: the Authorization header is not Basic", ErrCredentials)
	case name == "" && password == "":
		return policy.Principal{}, nil
	case len(name) > maxName || len(password) > maxPassword:
		return policy.Principal{}, fmt.Errorf("%w: too long", ErrCredentials)
	}
	h.look()
	if err := h.verify(r.Context(), name, password); err != nil {
		return policy.Principal{}, err
	}
	return policy.Principal{Name: name}, nil
}

func (h *HTPasswd) verify(ctx context.Context, name, password string) error {
	h.mu.RLock()
	hash, there := h.users[name]
	if !there {
		hash = h.decoy
	}
	h.mu.RUnlock()
	id := h.remember(name, password, hash)
	if there && h.remembers(id) {
		return nil
	}
	select {
	case h.cpu <- struct{}{}:
		defer func() { <-h.cpu }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if there && h.remembers(id) { // by a request that was before this one in the queue
		return nil
	}
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	if err != nil || !there {
		return ErrCredentials
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.verified) >= rememberMax {
		clear(h.verified)
	}
	h.verified[id] = h.now().Add(rememberFor)
	return nil
}

// remember names a verified password, in a way that tells nothing about it and
// changes with the user's entry.
func (h *HTPasswd) remember(name, password string, hash []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, h.key)
	var size [4]byte
	for _, part := range []string{name, password} {
		binary.BigEndian.PutUint32(size[:], uint32(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	mac.Write(hash)
	var id [sha256.Size]byte
	mac.Sum(id[:0])
	return id
}

func (h *HTPasswd) remembers(id [sha256.Size]byte) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	until, ok := h.verified[id]
	return ok && h.now().Before(until)
}

// look reads the file again if it is another one than before.
func (h *HTPasswd) look() {
	now := h.now()
	h.mu.RLock()
	soon := now.Sub(h.looked) < lookEvery
	h.mu.RUnlock()
	if soon || !h.lookMu.TryLock() {
		return
	}
	defer h.lookMu.Unlock()
	info, err := os.Stat(h.path)
	if err == nil {
		h.mu.Lock()
		h.looked = now
		same := h.stamp == stamp{info.ModTime(), info.Size()}
		h.mu.Unlock()
		if same {
			return
		}
		err = h.load(stamp{info.ModTime(), info.Size()})
	}
	if err != nil {
		h.mu.Lock()
		h.looked = now
		h.mu.Unlock()
		h.log.LogAttrs(context.Background(), slog.LevelError, "password file not read again, earlier users stay", slog.Any("err", err))
		return
	}
	h.log.LogAttrs(context.Background(), slog.LevelInfo, "password file read again")
}

// load reads the file. One that is wrong is remembered too, so that it is not
// read over and over until it changes.
func (h *HTPasswd) load(s stamp) error {
	users, err := readFile(h.path)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stamp, h.looked = s, h.now()
	if err != nil {
		return fmt.Errorf("%s: %w", h.path, err)
	}
	cost := bcrypt.DefaultCost
	for _, hash := range users {
		cost, _ = bcrypt.Cost(hash) // parse has seen that it has one
		break
	}
	decoy, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), cost)
	if err != nil {
		return fmt.Errorf("%s: %w", h.path, err)
	}
	h.users, h.decoy = users, decoy
	return nil
}

func readFile(path string) (map[string][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return parseHTPasswd(content)
}

// parseHTPasswd reads lines of name:hash. Empty lines and those that begin with
// # do not count.
func parseHTPasswd(content []byte) (map[string][]byte, error) {
	users := map[string][]byte{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d: no colon between name and hash", n)
		case name == "" || len(name) > maxName || !printable(name):
			return nil, fmt.Errorf("line %d: a name has 1 to %d printable characters", n, maxName)
		case users[name] != nil:
			return nil, fmt.Errorf("line %d: user %s is there twice", n, name)
		case len(users) == maxUsers:
			return nil, fmt.Errorf("line %d: more than %d users", n, maxUsers)
		}
		if err := checkHash(hash); err != nil {
			return nil, fmt.Errorf("line %d: user %s: %w", n, name, err)
		}
		users[name] = []byte(hash)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("a line is too long: %w", err)
	}
	return users, nil
}

func checkHash(hash string) error {
	if !strings.HasPrefix(hash, "$2a$") && !strings.HasPrefix(hash, "$2b$") && !strings.HasPrefix(hash, "$2y$") {
		return errors.New("the hash is not bcrypt, which alone is accepted: write it with htpasswd -B")
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return fmt.Errorf("the bcrypt hash is damaged: %w", err)
	}
	if len(hash) != 60 {
		return fmt.Errorf("the bcrypt hash has %d characters, not 60", len(hash))
	}
	if cost > maxCost {
		return fmt.Errorf("bcrypt cost %d is above %d and would take seconds a login", cost, maxCost)
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return false
		}
	}
	return true
}
