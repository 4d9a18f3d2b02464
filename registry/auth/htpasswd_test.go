package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func hashOf(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// file is a password file whose time of change moves on with every write.
type file struct {
	testing.TB
	path string
	at   time.Time
}

func newFile(t testing.TB, lines ...string) *file {
	f := &file{t, filepath.Join(t.TempDir(), "htpasswd"), time.Now().Add(-time.Hour)}
	f.write(lines...)
	return f
}

func (f *file) write(lines ...string) {
	f.Helper()
	if err := os.WriteFile(f.path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		f.Fatal(err)
	}
	f.at = f.at.Add(time.Second)
	if err := os.Chtimes(f.path, f.at, f.at); err != nil {
		f.Fatal(err)
	}
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func request(name, password string) *http.Request {
	r := httptest.NewRequest("GET", "/v2/", nil)
	r.SetBasicAuth(name, password)
	return r
}

func TestAuthenticate(t *testing.T) {
	f := newFile(t, "# users", "", "ann:"+hashOf(t, "secret"), "bob:"+hashOf(t, "hunter2")+" \r")
	h, err := OpenHTPasswd(f.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	basic := func(name, password string) string { return request(name, password).Header.Get("Authorization") }
	tests := []struct {
		name, header string
		want         string // principal
		err          error
	}{
		{"no credentials", "", "", nil},
		{"empty credentials, as skopeo sends them", basic("", ""), "", nil},
		{"the right password", basic("ann", "secret"), "ann", nil},
		{"a password from memory", basic("ann", "secret"), "ann", nil},
		{"a line with spaces at its end", basic("bob", "hunter2"), "bob", nil},
		{"a wrong password", basic("ann", "hunter2"), "", ErrCredentials},
		{"an empty password", basic("ann", ""), "", ErrCredentials},
		{"an unknown user", basic("eve", "secret"), "", ErrCredentials},
		{"a name without user", basic("", "secret"), "", ErrCredentials},
		{"a password without end", basic("ann", strings.Repeat("x", 2000)), "", ErrCredentials},
		{"another scheme", "Bearer abc", "", ErrCredentials},
		{"garbage", "Basic %%%", "", ErrCredentials},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/v2/", nil)
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			p, err := h.Authenticate(r)
			if p.Name != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Authenticate(%q) = %q, %v; want %q, %v", tt.header, p.Name, err, tt.want, tt.err)
			}
		})
	}
	if got := h.Challenge(); got != `Basic realm="wreg", charset="UTF-8"` {
		t.Errorf("Challenge() = %s", got)
	}
}

func TestChangedFileCountsAtOnce(t *testing.T) {
	f := newFile(t, "ann:"+hashOf(t, "old"))
	c := &clock{now: time.Now()}
	h, err := OpenHTPasswd(f.path, Options{Clock: c.time})
	if err != nil {
		t.Fatal(err)
	}
	may := func(name, password string, want bool) {
		t.Helper()
		c.pass(2 * lookEvery)
		if _, err := h.Authenticate(request(name, password)); (err == nil) != want {
			t.Errorf("Authenticate(%s, %s) = %v, want success %v", name, password, err, want)
		}
	}
	may("ann", "old", true)
	f.write("ann:"+hashOf(t, "new"), "bob:"+hashOf(t, "x"))
	may("ann", "old", false)
	may("ann", "new", true)
	may("bob", "x", true)
	f.write("bob:" + hashOf(t, "x"))
	may("ann", "new", false)
	f.write("bob:$apr1$nothing$good")
	may("bob", "x", true) // a damaged file leaves the earlier users in place
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	may("bob", "x", true)
}

// Remembered passwords cost no hash, for a while.
func TestMemory(t *testing.T) {
	f := newFile(t, "ann:"+hashOf(t, "secret"))
	c := &clock{now: time.Now()}
	h, err := OpenHTPasswd(f.path, Options{Clock: c.time})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authenticate(request("ann", "secret")); err != nil {
		t.Fatal(err)
	}
	for range cap(h.cpu) { // nothing is left to hash with
		h.cpu <- struct{}{}
	}
	if _, err := h.Authenticate(request("ann", "secret")); err != nil {
		t.Errorf("Authenticate from memory = %v, want success", err)
	}
	c.pass(2 * rememberFor)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Authenticate(request("ann", "secret").WithContext(ctx)); !errors.Is(err, context.Canceled) {
		t.Errorf("Authenticate of what is forgotten = %v, want to wait for a turn until cancelled", err)
	}
}

func TestRefusedFiles(t *testing.T) {
	good := hashOf(t, "x")
	tests := []struct{ name, content, want string }{
		{"no colon", "ann", "line 1: no colon"},
		{"no name", "# c\n:" + good, "line 2: a name has"},
		{"a name with control characters", "a\x01b:" + good, "line 1: a name has"},
		{"MD5", "ann:$apr1$xxxxxxxx$yyyyyyyyyyyyyyyyyyyyyy", "line 1: user ann: the hash is not bcrypt"},
		{"SHA", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "not bcrypt"},
		{"crypt", "ann:rqXexS6ZhobKA", "not bcrypt"},
		{"a password in the clear", "ann:secret", "not bcrypt"},
		{"a hash cut short", "ann:" + good[:40], "line 1: user ann: the bcrypt hash"},
		{"a hash with more behind it", "ann:" + good + "x", "not 60"},
		{"a cost that takes for ever", "ann:$2y$31" + good[6:], "cost 31 is above"},
		{"a user twice", "ann:" + good + "\nann:" + good, "line 2: user ann is there twice"},
		{"a line without end", strings.Repeat("a", 100_000), "too long"},
		{"a file without end", strings.Repeat("#\n", maxFile), "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFile(t, tt.content)
			_, err := OpenHTPasswd(f.path, Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("OpenHTPasswd = %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), good[7:30]) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
	if _, err := OpenHTPasswd(filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("OpenHTPasswd of no file = %v, want it not to exist", err)
	}
}

// Every user that is accepted has a hash that can be checked in finite time.
func FuzzParseHTPasswd(f *testing.F) {
	f.Add([]byte("ann:x"))
	f.Fuzz(func(t *testing.T, content []byte) {
		users, err := parseHTPasswd(content)
		if err != nil {
			return
		}
		for name, hash := range users {
			cost, err := bcrypt.Cost(hash)
			if name == "" || strings.Contains(name, ":") || err != nil || cost > maxCost {
				t.Fatalf("parseHTPasswd(%q) accepts user %q with hash %q", content, name, hash)
			}
		}
		var again strings.Builder
		for name, hash := range users {
			fmt.Fprintf(&again, "%s:%s\n", name, hash)
		}
		if back, err := parseHTPasswd([]byte(again.String())); err != nil || len(back) != len(users) {
			t.Fatalf("%d users written again read as %d, %v", len(users), len(back), err)
		}
	})
}

// A corpus that is not there would pass unnoticed.
func TestSeeds(t *testing.T) {
	seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzParseHTPasswd", "*"))
	if err != nil || len(seeds) != 7 {
		t.Errorf("FuzzParseHTPasswd has %d seeds, %v, want 7", len(seeds), err)
	}
}
