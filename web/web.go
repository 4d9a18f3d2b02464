// Package web is the pages of wreg for people. Each page is a folder with its
// template and style; base.html is around all of them. They need no script,
// load nothing from elsewhere, and show a caller what a Source lets that caller
// see.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

//go:embed base.html packages notfound static
var files embed.FS

// The policy of every page. Styles come from /static/, scripts do not exist.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Options of New.
type Options struct {
	Source Source       // required
	Log    *slog.Logger // nil discards

	// Challenge is the WWW-Authenticate header by which a browser asks its user for
	// a password; "" if the server knows no passwords.
	Challenge string

	// Version is shown at the foot of each page.
	Version string
}

type site struct {
	Options
	style     []byte
	styleName string
	packages  *template.Template
	notFound  *template.Template
}

// New makes the handler of all pages, to be mounted at /.
func New(o Options) (http.Handler, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &site{Options: o}
	var err error
	if s.packages, err = page("packages"); err != nil {
		return nil, err
	}
	if s.notFound, err = page("notfound"); err != nil {
		return nil, err
	}
	for _, name := range []string{"static/base.css", "packages/packages.css"} {
		css, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s.style = append(s.style, css...)
	}
	sum := sha256.Sum256(s.style)
	s.styleName = "/static/web." + hex.EncodeToString(sum[:6]) + ".css"

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePackages)
	mux.HandleFunc("GET /login", s.serveLogin)
	mux.HandleFunc("GET "+s.styleName, s.serveStyle)
	mux.HandleFunc("GET /favicon.ico", s.serveIcon)
	mux.HandleFunc("GET /static/icon.svg", s.serveIcon)
	mux.HandleFunc("/", s.serveNotFound)
	return mux, nil
}

// page parses base.html with the template of one page.
func page(name string) (*template.Template, error) {
	return template.New("base.html").ParseFS(files, "base.html", name+"/"+name+".html")
}

// frame is what base.html shows around every page.
type frame struct {
	Title   string
	Style   string // address of the style sheet
	Viewer  string // "" for anonymous
	Login   bool   // logging in is possible
	Version string
	Page    any
}

func (s *site) render(w http.ResponseWriter, r *http.Request, status int, t *template.Template, f frame) {
	f.Style, f.Version, f.Login = s.styleName, s.Version, s.Challenge != ""
	var b bytes.Buffer
	if err := t.Execute(&b, f); err != nil {
		s.fail(w, r, fmt.Errorf("page %q: %w", f.Title, err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Authorization")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = b.WriteTo(w) // the visitor has left
	}
}

// fail answers what the visitor cannot help.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	s.Log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("path", r.URL.Path), slog.Any("err", err))
	http.Error(w, "The server cannot show this page now.", http.StatusInternalServerError)
}

// view is the visitor's view. A nil view has been answered.
func (s *site) view(w http.ResponseWriter, r *http.Request) View {
	v, err := s.Source.View(r)
	switch {
	case err == nil:
		return v
	case errors.Is(err, ErrCredentials):
		s.challenge(w)
	default:
		s.fail(w, r, err)
	}
	return nil
}

func (s *site) challenge(w http.ResponseWriter) {
	if s.Challenge != "" {
		w.Header().Set("WWW-Authenticate", s.Challenge)
	}
	http.Error(w, "Log in to see this page.", http.StatusUnauthorized)
}

// serveLogin makes the browser ask for a password, and leads back.
func (s *site) serveLogin(w http.ResponseWriter, r *http.Request) {
	if s.Challenge == "" {
		s.serveNotFound(w, r)
		return
	}
	v := s.view(w, r)
	if v == nil {
		return
	}
	if v.Name() == "" {
		s.challenge(w)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) serveNotFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "There is nothing here to write to; packages are pushed to /v2/.", http.StatusMethodNotAllowed)
		return
	}
	s.render(w, r, http.StatusNotFound, s.notFound, frame{Title: "Not found"})
}

func (s *site) serveStyle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // the name has the content's hash
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.style))
}

func (s *site) serveIcon(w http.ResponseWriter, r *http.Request) {
	icon, err := files.ReadFile("static/icon.svg")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(icon))
}

// plain reports whether the visitor came over plain HTTP, as far as we or the
// proxy before us know, and whether over loopback.
func plain(r *http.Request) (insecure, loopback bool) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	loopback = strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
	return r.TLS == nil && r.Header.Get("X-Forwarded-Proto") != "https", loopback
}
