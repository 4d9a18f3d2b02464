package web

import (
	"net/http"
	"net/url"
)

const (
	perPage  = 50
	maxAfter = 255 // bytes, the longest name of a repository
)

// packagesPage is what packages/packages.html shows.
type packagesPage struct {
	Packages []Package
	Host     string
	WpkgFlag string // " --insecure" where wpkg needs it
	OrasFlag string // " --plain-http" where oras needs it
	After    string
	Next     string // address of the next page, "" on the last
	Hidden   bool   // an anonymous visitor might see more after logging in
}

// servePackages is GET /: the packages that the visitor may pull, 50 a page.
func (s *site) servePackages(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	if len(after) > maxAfter {
		s.serveNotFound(w, r)
		return
	}
	v := s.view(w, r)
	if v == nil {
		return
	}
	packages, more, err := v.Packages(r.Context(), after, perPage)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p := packagesPage{Packages: packages, Host: r.Host, After: after, Hidden: v.Name() == "" && s.Challenge != ""}
	if insecure, loopback := plain(r); insecure {
		p.OrasFlag = " --plain-http"
		if !loopback {
			p.WpkgFlag = " --insecure"
		}
	}
	if more && len(packages) > 0 {
		p.Next = "/?" + url.Values{"after": {packages[len(packages)-1].Name}}.Encode()
	}
	s.render(w, r, http.StatusOK, s.packages, frame{Title: "Packages", Viewer: v.Name(), Page: p})
}
