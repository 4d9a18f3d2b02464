package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// catalogOf serves the catalog API by h.
func catalogOf(t *testing.T, h http.HandlerFunc) *Catalog {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(Options{RetryWait: 1}).Catalog(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answerWith answers every request alike.
func answerWith(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestCatalogErrors(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		is      error
		code    wire.Code
	}{
		{
			name:    "a package that is not there",
			handler: answerWith(404, wire.MediaTypeProblem, `{"title":"Not found","code":"not-found"}`), is: ErrNotFound, code: wire.CodeNotFound,
		},
		{name: "a registry of another make", handler: answerWith(404, "text/plain", "404 page not found\n"), is: ErrNoCatalog},
		{name: "a page for every path", handler: answerWith(200, "text/html; charset=utf-8", "<html>"), is: ErrNoCatalog},
		{name: "an answer that is no JSON", handler: answerWith(200, wire.MediaTypeJSON, `{"name":`), is: ErrAnswer},
		{name: "an answer of another shape", handler: answerWith(200, wire.MediaTypeJSON, `[]`), is: ErrAnswer},
		{
			name:    "a problem with parameters to its type",
			handler: answerWith(403, wire.MediaTypeProblem+"; charset=utf-8", `{"title":"No","code":"forbidden"}`), code: wire.CodeForbidden,
		},
		{name: "a refusal that is no problem document", handler: answerWith(403, "text/plain", "no")},
		{name: "a problem that is no JSON", handler: answerWith(400, wire.MediaTypeProblem, "no")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := catalogOf(t, tt.handler).Package(t.Context(), "demo/app")
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Fatalf("Package gives %v, want %v", err, tt.is)
			}
			if tt.is != nil && tt.code == "" {
				return
			}
			refusal, ok := errors.AsType[*CatalogError](err)
			if !ok || refusal.Code != tt.code || refusal.Host == "" || refusal.Status < 400 {
				t.Errorf("Package gives %#v, want a CatalogError of code %q", err, tt.code)
			}
			if got, want := errors.Is(err, ErrNotFound), tt.code == wire.CodeNotFound; got != want {
				t.Errorf("errors.Is(%v, ErrNotFound) = %t", err, got)
			}
		})
	}
}

func TestCatalogAnswersAreBounded(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", wire.MediaTypeJSON)
		io.WriteString(w, `{"name":"`)
		chunk := strings.Repeat("a", 1<<20)
		for {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}
	if _, err := catalogOf(t, endless).Package(t.Context(), "demo/app"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Package of an endless answer gives %v, want ErrTooLarge", err)
	}
}

func TestCatalogListingsEnd(t *testing.T) {
	tests := []struct {
		name string
		next func(cursor string) string
		want []int
		is   error
	}{
		{"pages follow each other", func(c string) string {
			return map[string]string{"": "b", "b": "c", "c": ""}[c]
		}, []int{0, 1, 2}, nil},
		{"a page that is its own next one", func(string) string { return "again" }, []int{0, 1}, ErrAnswer},
		{"pages without end", func(c string) string { return c + "x" }, nil, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page := 0
			c := catalogOf(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", wire.MediaTypeJSON)
				fmt.Fprintf(w, `{"items":[{"id":%d}],"next":%q}`, page, tt.next(r.URL.Query().Get("cursor")))
				page++
			})
			var got []int
			err := eachPage(t.Context(), c, "/things", nil, func(items []struct{ ID int }) error {
				for _, it := range items {
					got = append(got, it.ID)
				}
				return nil
			})
			if !errors.Is(err, tt.is) {
				t.Fatalf("eachPage gives %v, want %v", err, tt.is)
			}
			if diff := cmp.Diff(tt.want, got); tt.want != nil && diff != "" {
				t.Errorf("eachPage (-want +got):\n%s", diff)
			}
		})
	}
}

// Addresses are made of names that people give: nothing in them leads elsewhere.
func TestCatalogRequests(t *testing.T) {
	tests := []struct {
		name string
		ask  func(*Catalog) error
		want string
		body string
	}{
		{"a package of two parts", func(c *Catalog) error {
			_, err := c.Package(t.Context(), "demo/app")
			return err
		}, "GET /api/v1/packages/demo:app", ""},
		{"a version that looks like a path", func(c *Catalog) error {
			_, err := c.Version(t.Context(), "demo/app", "../../x?y#z")
			return err
		}, "GET /api/v1/packages/demo:app/versions/..%2F..%2Fx%3Fy%23z", ""},
		{"an interface with slashes", func(c *Catalog) error {
			_, err := c.Interface(t.Context(), "wasi:http/types@0.2.0")
			return err
		}, "GET /api/v1/interfaces/wasi:http%2Ftypes@0.2.0", ""},
		{"a search", func(c *Catalog) error {
			_, err := c.Search(t.Context(), SearchOptions{Query: "a b", Sort: "size", Limit: 5, Facets: []string{"lang", "host"}, Explain: true})
			return err
		}, "GET /api/v1/search?explain=true&facets=lang%2Chost&limit=5&q=a+b&sort=size", ""},
		{"a yank", func(c *Catalog) error {
			return c.Notice(t.Context(), "demo/app", "1.0.0", Yank, "bad")
		}, "POST /api/v1/packages/demo:app/versions/1.0.0/yank", `{"reason":"bad"}`},
		{"an approval", func(c *Catalog) error {
			_, err := c.Approve(t.Context(), "demo/app", "sha256:ab", "p/r", "fine")
			return err
		}, "POST /api/v1/approvals", `{"package":"demo:app","digest":"sha256:ab","rule":"p/r","reason":"fine"}`},
		{"a reindex of everything", func(c *Catalog) error {
			_, err := c.Reindex(t.Context(), "", "")
			return err
		}, "POST /api/v1/reindex", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got, body string
			c := catalogOf(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Method + " " + r.RequestURI
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				body = string(b)
				w.Header().Set("Content-Type", wire.MediaTypeJSON)
				if err := json.NewEncoder(w).Encode(struct{}{}); err != nil {
					t.Error(err)
				}
			})
			if err := tt.ask(c); err != nil {
				t.Fatal(err)
			}
			if got != tt.want || body != tt.body {
				t.Errorf("it asked %s with %s\nwant %s with %s", got, body, tt.want, tt.body)
			}
		})
	}
}
