package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// memory is a Source of a list, open to callers who are named ann.
type memory struct {
	packages []Package
	open     bool
	err      error
}

func (m memory) View(r *http.Request) (View, error) {
	name, _, ok := r.BasicAuth()
	if ok && name != "ann" {
		return nil, fmt.Errorf("user %s: %w", name, ErrCredentials)
	}
	return memoryView{m, name}, nil
}

type memoryView struct {
	memory
	name string
}

func (v memoryView) Name() string { return v.name }

func (v memoryView) Packages(_ context.Context, after string, limit int) ([]Package, bool, error) {
	var out []Package
	for _, p := range v.packages {
		if p.Name > after && (v.open || v.name != "") {
			out = append(out, p)
		}
	}
	if len(out) > limit {
		return out[:limit], true, v.err
	}
	return out, false, v.err
}

func serve(t *testing.T, o Options, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://reg.example/", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// texts finds the elements of a class, or of a name if there is no dot, and
// gives the text of each. attrs of the same elements come second.
func find(t *testing.T, w *httptest.ResponseRecorder, selector string) (texts []string, attrs []map[string]string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		a := map[string]string{}
		for _, attr := range n.Attr {
			a[attr.Key] = attr.Val
		}
		class, isClass := strings.CutPrefix(selector, ".")
		if isClass && slices.Contains(strings.Fields(a["class"]), class) || !isClass && n.Data == selector {
			var text strings.Builder
			for d := range n.Descendants() {
				if d.Type == html.TextNode {
					text.WriteString(d.Data)
				}
			}
			texts, attrs = append(texts, strings.TrimSpace(text.String())), append(attrs, a)
		}
	}
	return texts, attrs
}

func TestPackagesPage(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	src := memory{open: true, packages: []Package{{Name: "team/app", Tags: 3, Latest: "1.2.3", Updated: at}, {Name: "team/untagged"}}}
	w := serve(t, Options{Source: src, Version: "v9"}, nil)
	if w.Code != 200 || w.Header().Get("Content-Security-Policy") != contentPolicy {
		t.Errorf("GET / = %d with policy %q, want 200 with %q", w.Code, w.Header().Get("Content-Security-Policy"), contentPolicy)
	}
	for selector, want := range map[string][]string{
		"h2":       {"team/app", "team/untagged"},
		".tag":     {"1.2.3"},
		".facts":   {"3 tags · updated 4 March 2026, 05:06 UTC", "0 tags"},
		".command": {"wpkg pull --insecure reg.example/team/app:1.2.3", "oras pull --plain-http reg.example/team/app:1.2.3"},
		".next":    nil,
		"script":   nil,
		"style":    nil,
		"footer":   {"wreg v9, a registry for WebAssembly packages"},
	} {
		if got, _ := find(t, w, selector); !slices.Equal(got, want) {
			t.Errorf("GET /: %s = %q, want %q", selector, got, want)
		}
	}
}

func TestCommandsFitTheConnection(t *testing.T) {
	src := memory{open: true, packages: []Package{{Name: "a", Tags: 1, Latest: "1"}}}
	tests := []struct {
		name   string
		change func(*http.Request)
		want   []string
	}{
		{
			"loopback needs no flag of wpkg", func(r *http.Request) { r.Host = "127.0.0.1:5080" },
			[]string{"wpkg pull 127.0.0.1:5080/a:1", "oras pull --plain-http 127.0.0.1:5080/a:1"},
		},
		{
			"TLS needs no flag", func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
			[]string{"wpkg pull reg.example/a:1", "oras pull reg.example/a:1"},
		},
		{
			"TLS of a proxy needs none either", func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") },
			[]string{"wpkg pull reg.example/a:1", "oras pull reg.example/a:1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := find(t, serve(t, Options{Source: src}, tt.change), ".command"); !slices.Equal(got, tt.want) {
				t.Errorf("commands = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPaging(t *testing.T) {
	src := memory{open: true}
	for i := range 2*perPage + 1 {
		src.packages = append(src.packages, Package{Name: fmt.Sprintf("p&%03d", i), Tags: 1, Latest: "1"})
	}
	address, seen := "/", 0
	for range 4 {
		w := serve(t, Options{Source: src}, func(r *http.Request) { r.URL, _ = r.URL.Parse(address) })
		names, _ := find(t, w, "h2")
		seen += len(names)
		_, next := find(t, w, ".next")
		if len(next) == 0 {
			address = ""
			break
		}
		address = next[0]["href"]
	}
	if seen != len(src.packages) || address != "" {
		t.Errorf("following the next links shows %d packages and ends at %q, want %d and the last page", seen, address, len(src.packages))
	}
}

func TestHostileContentIsEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	src := memory{open: true, packages: []Package{{Name: "a" + evil, Tags: 1, Latest: evil}}}
	for name, change := range map[string]func(*http.Request){
		"in names":     nil,
		"in the host":  func(r *http.Request) { r.Host = evil },
		"in the query": func(r *http.Request) { r.URL.RawQuery = "after=z" + strings.ReplaceAll(evil, `"`, "%22") },
	} {
		w := serve(t, Options{Source: src}, change)
		if scripts, _ := find(t, w, "script"); scripts != nil || w.Code != 200 {
			t.Errorf("hostile text %s: %d with scripts %q:\n%s", name, w.Code, scripts, w.Body)
		}
	}
}

func TestWhatThereIsWhenThereIsNothing(t *testing.T) {
	one := []Package{{Name: "a", Tags: 1, Latest: "1"}}
	const challenge = `Basic realm="wreg"`
	tests := []struct {
		name   string
		o      Options
		change func(*http.Request)
		status int
		h1     string
	}{
		{name: "an empty registry says how to push", o: Options{Source: memory{open: true}}, status: 200, h1: "No packages yet"},
		{
			name: "a stranger is asked to log in", o: Options{Source: memory{packages: one}, Challenge: challenge}, status: 200,
			h1: "Nothing to see without logging in",
		},
		{
			name: "a user sees packages", o: Options{Source: memory{packages: one}, Challenge: challenge},
			change: func(r *http.Request) { r.SetBasicAuth("ann", "x") }, status: 200, h1: "Packages",
		},
		{
			name: "wrong credentials are asked again", o: Options{Source: memory{packages: one}, Challenge: challenge},
			change: func(r *http.Request) { r.SetBasicAuth("bob", "x") }, status: 401,
		},
		{
			name: "the login page asks", o: Options{Source: memory{}, Challenge: challenge},
			change: func(r *http.Request) { r.URL.Path = "/login" }, status: 401,
		},
		{
			name: "the login page leads back", o: Options{Source: memory{}, Challenge: challenge},
			change: func(r *http.Request) { r.URL.Path = "/login"; r.SetBasicAuth("ann", "x") }, status: 303,
		},
		{
			name: "without passwords there is no login page", o: Options{Source: memory{}},
			change: func(r *http.Request) { r.URL.Path = "/login" }, status: 404, h1: "There is no such page",
		},
		{
			name: "another address is not found", o: Options{Source: memory{}},
			change: func(r *http.Request) { r.URL.Path = "/nothing/here" }, status: 404, h1: "There is no such page",
		},
		{
			name: "writing is not allowed", o: Options{Source: memory{}},
			change: func(r *http.Request) { r.Method, r.URL.Path = "POST", "/nothing" }, status: 405,
		},
		{
			name: "a name that is too long is no page", o: Options{Source: memory{}},
			change: func(r *http.Request) { r.URL.RawQuery = "after=" + strings.Repeat("a", 256) }, status: 404, h1: "There is no such page",
		},
		{
			name: "past the last package there is a way back", o: Options{Source: memory{open: true}},
			change: func(r *http.Request) { r.URL.RawQuery = "after=z" }, status: 200, h1: "No more packages",
		},
		{name: "a failing source is a 500", o: Options{Source: memory{err: errors.New("secret cause")}}, status: 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Log = slog.New(slog.DiscardHandler)
			w := serve(t, tt.o, tt.change)
			h1, _ := find(t, w, "h1")
			if w.Code != tt.status || strings.Join(h1, "|") != tt.h1 || strings.Contains(w.Body.String(), "secret cause") {
				t.Errorf("status %d, h1 %q; want %d, %q:\n%s", w.Code, h1, tt.status, tt.h1, w.Body)
			}
			if got := w.Header().Get("WWW-Authenticate"); (got != "") != (tt.status == 401) {
				t.Errorf("status %d with WWW-Authenticate %q", w.Code, got)
			}
		})
	}
}

// Everything a page loads is there.
func TestPagesLoadWhatExists(t *testing.T) {
	o := Options{Source: memory{open: true}}
	w := serve(t, o, nil)
	_, links := find(t, w, "link")
	_, images := find(t, w, "img")
	var addresses []string
	for _, l := range links {
		addresses = append(addresses, l["href"])
	}
	for _, i := range images {
		addresses = append(addresses, i["src"])
	}
	if len(addresses) < 3 {
		t.Fatalf("page loads %q, want a style sheet and icons", addresses)
	}
	for _, a := range append(addresses, "/favicon.ico") {
		got := serve(t, o, func(r *http.Request) { r.URL.Path = a })
		if got.Code != 200 || got.Body.Len() == 0 || strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
			t.Errorf("GET %s = %d %s, %d bytes; want 200 and a file", a, got.Code, got.Header().Get("Content-Type"), got.Body.Len())
		}
	}
}
