package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wreg-project/wreg/signing/trust"
)

// A verdict is remembered with the policy that gave it, for as long as that says: not
// with one that was written while the package was fetched, and not beyond the end of a
// signature.
func TestAVerdictHoldsNoLongerThanItsReasons(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"} {
		t.Setenv(name, dir)
	}
	wpkg := func(args ...string) (int, string) {
		var out bytes.Buffer
		status := execute(t.Context(), append([]string{"wpkg", "--quiet"}, args...), strings.NewReader(""), &out, &out)
		return status, out.String()
	}
	good := pushSigned(t, wpkg)
	var fetched atomic.Pointer[func()]
	host := start(cleanup{t}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if then := fetched.Load(); then != nil && strings.HasSuffix(r.URL.Path, good.digest[partLayer].String()) {
			(*then)()
		}
		good.ServeHTTP(w, r)
	}))
	at := host + "/demo/hello:1.0.0"
	store, err := openCache()
	if err != nil {
		t.Fatal(err)
	}
	f := &programFlags{pull: pullMissing}
	tl := &tool{out: io.Discard, err: io.Discard, quiet: true}
	words, err := tl.words(at, f)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (*program, error) {
		p := &program{name: at, tool: tl, flags: f, store: store}
		if p.remember(words) {
			return p, nil
		}
		return p, p.ask(t.Context(), at, words, false, f)
	}
	path := filepath.Join(dir, "wpkg", "trust.yaml")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Error(err)
		}
	}

	stricter := func() { write([]byte("version: 1\ndefault: deny\n")) }
	fetched.Store(&stricter)
	if _, err := ask(); err != nil {
		t.Fatalf("program, while the policy becomes stricter = %v, want what it was before", err)
	}
	fetched.Store(nil)
	if p, err := ask(); !errors.Is(err, trust.ErrRefused) {
		t.Fatalf("program under the stricter policy = %+v, %v; want ErrRefused", p, err)
	}

	write(before)
	p, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		until time.Time
		want  bool
	}{
		{"for ever", time.Time{}, true},
		{"for an hour", time.Now().Add(time.Hour), true},
		{"until a moment ago", time.Now().Add(-time.Second), false},
	} {
		p.Until = tt.until
		if err := store.SetPackage(words, &p.known); err != nil {
			t.Fatal(err)
		}
		if got := (&program{store: store}).remember(words); got != tt.want {
			t.Errorf("remember of a verdict that holds %s = %v, want %v", tt.name, got, tt.want)
		}
	}
}
