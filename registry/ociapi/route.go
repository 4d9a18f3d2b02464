package ociapi

import (
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
)

// A call is a request's method and path, read and checked.
type call struct {
	end    string // the specification's name of the end-point, for logs
	repo   string // "" for the base and the catalogue
	action policy.Action
	caller policy.Principal
	serve  func(*api, http.ResponseWriter, *http.Request, call) error

	ref    registry.Reference // of a manifest
	digest digest.Digest      // of a blob or a subject
	upload string             // id of an upload
}

// session names the upload that a call is about.
func (c call) session() registry.Session {
	return registry.Session{Repo: c.repo, Owner: c.caller, ID: c.upload}
}

// endCatalog names the end-point that the specification reserves without a
// number.
const endCatalog = "catalog"

// A route is what one method does at one kind of path.
type route struct {
	method string
	end    string
	action policy.Action
	serve  func(*api, http.ResponseWriter, *http.Request, call) error
}

type routes []route

var (
	baseRoutes = routes{
		{http.MethodGet, "end-1", policy.Pull, (*api).getBase},
		{http.MethodHead, "end-1", policy.Pull, (*api).getBase},
	}
	catalogRoutes = routes{
		{http.MethodGet, endCatalog, policy.Pull, (*api).getCatalog},
		{http.MethodHead, endCatalog, policy.Pull, (*api).getCatalog},
	}
	blobRoutes = routes{
		{http.MethodGet, "end-2", policy.Pull, (*api).getBlob},
		{http.MethodHead, "end-2", policy.Pull, (*api).getBlob},
		{http.MethodDelete, "end-10", policy.Delete, (*api).deleteBlob},
	}
	manifestRoutes = routes{
		{http.MethodGet, "end-3", policy.Pull, (*api).getManifest},
		{http.MethodHead, "end-3", policy.Pull, (*api).getManifest},
		{http.MethodPut, "end-7", policy.Push, (*api).putManifest},
		{http.MethodDelete, "end-9", policy.Delete, (*api).deleteManifest},
	}
	uploadsRoutes = routes{
		{http.MethodPost, "end-4", policy.Push, (*api).postUpload},
	}
	uploadRoutes = routes{
		{http.MethodPatch, "end-5", policy.Push, (*api).patchUpload},
		{http.MethodPut, "end-6", policy.Push, (*api).putUpload},
		{http.MethodGet, "end-13", policy.Push, (*api).getUpload},
		{http.MethodHead, "end-13", policy.Push, (*api).getUpload},
		{http.MethodDelete, "end-14", policy.Push, (*api).deleteUpload},
	}
	tagsRoutes = routes{
		{http.MethodGet, "end-8", policy.Pull, (*api).getTags},
		{http.MethodHead, "end-8", policy.Pull, (*api).getTags},
	}
	referrersRoutes = routes{
		{http.MethodGet, "end-12", policy.Pull, (*api).getReferrers},
		{http.MethodHead, "end-12", policy.Pull, (*api).getReferrers},
	}
)

// pick gives the route of method, or 405 with the methods there are.
func (rs routes) pick(method string) (route, error) {
	allow := make([]string, len(rs))
	for i, r := range rs {
		if r.method == method {
			return r, nil
		}
		allow[i] = r.method
	}
	return route{}, &methodError{allow}
}

// errNoEndpoint is what a path below /v2/ gets that is none of the
// specification's.
var errNoEndpoint = &registry.Error{Code: registry.NameUnknown, Message: "no such end-point"}

// parse reads a decoded path. Names have slashes and may contain every word
// that end-points are made of, so it reads from the end: the last one or two
// components say what is asked, what is left in front is the name.
func parse(method, path string) (call, error) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case path == "/v2", ok && rest == "":
		return call{}.at(method, baseRoutes)
	case !ok:
		return call{}, errNoEndpoint
	case rest == "_catalog":
		return call{}.at(method, catalogRoutes)
	}
	front, last := cutLast(rest)
	name, kind := cutLast(front)
	if last == "uploads" && kind == "blobs" { // without the slash that the specification ends it with
		front, kind, last = name+"/blobs", "uploads", ""
		name = front
	}
	var c call
	var rs routes
	var err error
	switch {
	case kind == "tags" && last == "list":
		rs = tagsRoutes
	case kind == "manifests":
		rs = manifestRoutes
		c.ref, err = parseReference(method, last)
	case kind == "blobs":
		rs = blobRoutes
		c.digest, err = parseDigest(last)
	case kind == "referrers":
		rs = referrersRoutes
		c.digest, err = parseDigest(last)
	case kind == "uploads" && strings.HasSuffix("/"+name, "/blobs"):
		name = strings.TrimSuffix(strings.TrimSuffix(name, "blobs"), "/")
		rs = uploadRoutes
		if c.upload = last; last == "" {
			rs = uploadsRoutes
		}
	default:
		return call{}, errNoEndpoint
	}
	if nerr := ref.CheckName(name); nerr != nil {
		return c, &registry.Error{
			Code: registry.NameInvalid, Message: "invalid repository name", Detail: map[string]any{"reason": nerr.Error()},
		}
	}
	c.repo = name
	c, merr := c.at(method, rs)
	if merr != nil {
		return c, merr
	}
	return c, err
}

// cutLast splits at the last slash.
func cutLast(s string) (before, last string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

func (c call) at(method string, rs routes) (call, error) {
	r, err := rs.pick(method)
	c.end, c.action, c.serve = r.end, r.action, r.serve
	return c, err
}

func parseDigest(s string) (digest.Digest, error) {
	d, err := ref.ParseDigest(s)
	if err != nil {
		return "", &registry.Error{Code: registry.DigestInvalid, Message: "invalid digest", Detail: map[string]any{"reason": err.Error()}}
	}
	return d, nil
}

// parseReference reads a tag or digest. What cannot be a tag is asked for in
// vain rather than wrongly, unless somebody wants to write it.
func parseReference(method, s string) (registry.Reference, error) {
	if strings.Contains(s, ":") {
		d, err := parseDigest(s)
		return registry.Reference{Digest: d}, err
	}
	if err := ref.CheckTag(s); err != nil {
		if method == http.MethodPut {
			return registry.Reference{}, invalidTag(err)
		}
		return registry.Reference{}, &registry.Error{
			Code: registry.ManifestUnknown, Message: "manifest unknown to this repository", Detail: map[string]any{"reason": err.Error()},
		}
	}
	return registry.Reference{Tag: s}, nil
}

func invalidTag(err error) error {
	return &registry.Error{Code: registry.TagInvalid, Message: "invalid tag", Detail: map[string]any{"reason": err.Error()}}
}
