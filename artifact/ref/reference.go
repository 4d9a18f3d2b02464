package ref

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// MaxReference bounds a whole reference in bytes: a host and a name of 255
// each, a tag and the longest digest fit several times. It is the usual limit
// of a path, which a layout's folder is.
const MaxReference = 4096

// A Reference names a package, or one version of it, in a registry or in a
// folder with an OCI image layout. At most one of Tag, Digest and Range is set;
// with none of them it names the repository.
type Reference struct {
	Layout string // folder of an image layout; Host and Repository are then empty

	Host       string // "registry.example.com:5000" in lower case, "" only if there was no default
	Repository string

	Tag    string
	Digest digest.Digest

	// Range is a semantic version constraint such as "^1.2", which [Pick]
	// resolves against the tags there are.
	Range string
}

// Defaults complete what a reference leaves out.
type Defaults struct {
	// Registry is the host of references that name none.
	Registry string

	// Prefix is put before the repository of a package identifier:
	// with "wasm/" wasi:http lies in wasm/wasi/http.
	Prefix string
}

// Prefixes that force a kind of reference.
const (
	prefixOCI    = "oci:"
	prefixLayout = "oci-layout:"
)

// Parse reads a reference in one of its forms:
//
//	[oci:][host/]path[:tag|@digest|@range]   the first part is a host if it is
//	                                         localhost or has a dot or a colon
//	oci-layout:folder[:tag|@digest|@range]
//	namespace:name[@version|@range|@digest]  a package identifier, ^1.2 or 1.2.3
//
// A word with one colon and no slash is a package identifier if both of its
// halves are labels ("hello:latest"); oci: makes it a repository with a tag. A
// package identifier without version means the newest. A full version after @
// becomes the tag that it is published under. Errors wrap ErrReference.
func Parse(s string, d Defaults) (Reference, error) {
	r, err := parse(s, d)
	if err != nil {
		return Reference{}, fmt.Errorf("%w %q: %w", ErrReference, clip(s), err)
	}
	return r, nil
}

func parse(s string, d Defaults) (Reference, error) {
	if len(s) > MaxReference {
		return Reference{}, fmt.Errorf("%d bytes, more than %d", len(s), MaxReference)
	}
	if rest, ok := strings.CutPrefix(s, prefixLayout); ok {
		return parseLayout(rest)
	}
	rest, forced := strings.CutPrefix(s, prefixOCI)
	name, at, hasAt := strings.Cut(rest, "@")
	var r Reference
	if ns, pkg, ok := strings.Cut(name, ":"); ok && !forced && isLabel(ns) && isLabel(pkg) {
		r.Host, r.Repository = d.Registry, d.Prefix+ns+"/"+pkg
		if !hasAt {
			r.Range = "*"
		}
	} else {
		r.Host, r.Repository, r.Tag = splitName(name)
		if r.Host == "" {
			r.Host = d.Registry
		} else if err := CheckHost(r.Host); err != nil {
			return r, err
		}
		if strings.HasSuffix(name, ":") {
			return r, fmt.Errorf("%w: it is empty", ErrTag)
		}
	}
	r.Host = strings.ToLower(r.Host) // one registry has one name, whoever remembers something of it
	if err := CheckName(r.Repository); err != nil {
		return r, err
	}
	return r, r.complete(at, hasAt)
}

// complete checks the tag and adds what follows an @.
func (r *Reference) complete(at string, hasAt bool) error {
	if r.Tag != "" {
		if err := CheckTag(r.Tag); err != nil {
			return err
		}
	}
	if !hasAt {
		return nil
	}
	if strings.Contains(at, ":") {
		d, err := ParseDigest(at)
		r.Digest, r.Tag = d, "" // as in container tools, the digest says more
		return err
	}
	if r.Tag != "" {
		return errors.New("both a tag and a version")
	}
	if tag, err := TagOf(at); err == nil {
		r.Tag = tag
		return nil
	}
	if _, err := constraint(at, false); err != nil {
		return err
	}
	r.Range = at
	return nil
}

// splitName splits [host/]path[:tag].
func splitName(s string) (host, path, tag string) {
	path = s
	if first, rest, ok := strings.Cut(s, "/"); ok && IsHost(first) {
		host, path = first, rest
	}
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path, tag = path[:i], path[i+1:]
	}
	return host, path, tag
}

// IsHost tells a host from the first component of a repository: it is localhost, or
// has a dot or a colon. What it says yes to may still be no host: see CheckHost.
func IsHost(s string) bool { return strings.EqualFold(s, "localhost") || strings.ContainsAny(s, ".:[") }

// parseLayout splits folder[:tag|@digest|@range]. The folder may contain colons
// and signs itself; only what reads as a tag, digest or version is cut off.
func parseLayout(s string) (Reference, error) {
	r := Reference{Layout: s}
	if i := strings.LastIndexByte(s, '@'); i >= 0 && !strings.ContainsAny(s[i:], `/\`) {
		r.Layout = s[:i]
		if err := r.complete(s[i+1:], true); err != nil {
			return r, err
		}
	} else if i := strings.LastIndexByte(s, ':'); i >= 0 && CheckTag(s[i+1:]) == nil {
		r.Layout, r.Tag = s[:i], s[i+1:]
	}
	if r.Layout == "" {
		return r, errors.New("no folder is named")
	}
	if strings.ContainsRune(r.Layout, 0) {
		return r, errors.New("the folder has a zero byte")
	}
	r.Layout = filepath.Clean(r.Layout)
	return r, nil
}

// Version is what of r selects a version: the digest, the tag or the range, ""
// if nothing does.
func (r Reference) Version() string {
	switch {
	case r.Digest != "":
		return r.Digest.String()
	case r.Tag != "":
		return r.Tag
	}
	return r.Range
}

// Name is r without tag, digest and range: "host/repository" or "oci-layout:folder".
func (r Reference) Name() string {
	switch {
	case r.Layout != "" && strings.ContainsAny(filepath.Base(r.Layout), ":@"):
		return prefixLayout + r.Layout + "/" // so that no part of it is taken for a tag
	case r.Layout != "":
		return prefixLayout + r.Layout
	case r.Host == "":
		return prefixOCI + r.Repository
	}
	return r.Host + "/" + r.Repository
}

// String gives a form that Parse reads as the same reference, whatever the
// defaults, if r names its host.
func (r Reference) String() string {
	switch {
	case r.Digest != "":
		return r.Name() + "@" + r.Digest.String()
	case r.Tag != "":
		return r.Name() + ":" + r.Tag
	case r.Range != "":
		return r.Name() + "@" + r.Range
	}
	return r.Name()
}

// WithTag and WithDigest name one version of the same package.
func (r Reference) WithTag(tag string) Reference {
	r.Tag, r.Digest, r.Range = tag, "", ""
	return r
}

// WithDigest names the manifest with digest d.
func (r Reference) WithDigest(d digest.Digest) Reference {
	r.Tag, r.Digest, r.Range = "", d, ""
	return r
}

// isLabel reports whether s is a label of the package tools in lower case:
// words of letters and digits joined by dashes, the first beginning with a
// letter.
func isLabel(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '-' || strings.Contains(s, "--") {
		return false
	}
	for i := range len(s) {
		if !lowerAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// ErrHost is an unusable registry host.
var ErrHost = errors.New("invalid registry host")

// CheckHost reports whether host is a DNS name or an IP address, of version 6 in
// brackets, with or without a port.
func CheckHost(host string) error {
	fail := func(why string) error { return fmt.Errorf("%w %q: %s", ErrHost, clip(host), why) }
	name, port, err := splitPort(host)
	if err != nil {
		return fail(err.Error())
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '+' || port[0] == '0' {
			return fail("the port is no number from 1 to 65535")
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" {
			return fail("the brackets hold no IP address of version 6")
		}
		return nil
	}
	if name == "" || len(name) > 253 {
		return fail("a name has 1 to 253 bytes")
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isDNSLabel(label) {
			return fail("it is no DNS name")
		}
	}
	return nil
}

func isDNSLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if b := s[i]; !lowerAlnum(b) && (b < 'A' || b > 'Z') && b != '-' {
			return false
		}
	}
	return true
}

// splitPort splits host[:port]; brackets stay.
func splitPort(host string) (name, port string, err error) {
	end := 0
	if strings.HasPrefix(host, "[") {
		if end = strings.IndexByte(host, ']'); end < 0 {
			return "", "", errors.New("a bracket is not closed")
		}
		end++
	} else if end = strings.IndexByte(host, ':'); end < 0 {
		end = len(host)
	}
	if end == len(host) {
		return host, "", nil
	}
	if host[end] != ':' || end+1 == len(host) {
		return "", "", errors.New("a port is missing or out of place")
	}
	return host[:end], host[end+1:], nil
}

// IsLoopback reports whether host, with or without a port, can only be this
// machine, so that plain HTTP is safe: localhost and names below it (RFC 6761),
// 127.0.0.0/8 and ::1.
func IsLoopback(host string) bool {
	name, _, err := splitPort(host)
	if err != nil {
		return false
	}
	name = strings.ToLower(name)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil && a.Unmap().IsLoopback()
}
