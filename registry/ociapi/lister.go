package ociapi

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/storage/meta"
)

const indexType = "application/vnd.oci.image.index.v1+json"

// getTags serves end-8, GET /v2/<name>/tags/list. Without n it gives all tags
// at once: some clients ask once and follow no Link.
func (a *api) getTags(w http.ResponseWriter, r *http.Request, c call) error {
	q := r.URL.Query()
	limit, last, err := pageOf(q)
	if err != nil {
		return err
	}
	tags, more, err := a.reg.Tags(r.Context(), c.repo, last, limit)
	if err != nil {
		return err
	}
	if more {
		linkNext(w, "/v2/"+c.repo+"/tags/list", url.Values{"n": {q.Get("n")}, "last": {tags[len(tags)-1]}})
	}
	return writeJSON(w, r, "application/json", struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{c.repo, notNil(tags)})
}

// getCatalog serves GET /v2/_catalog, which the specification reserves: the
// repositories that the caller may see.
func (a *api) getCatalog(w http.ResponseWriter, r *http.Request, c call) error {
	q := r.URL.Query()
	limit, last, err := pageOf(q)
	if err != nil {
		return err
	}
	names, more, err := a.reg.Repositories(r.Context(), a.visible(c), last, limit)
	if err != nil {
		return err
	}
	if more {
		linkNext(w, "/v2/_catalog", url.Values{"n": {q.Get("n")}, "last": {names[len(names)-1]}})
	}
	return writeJSON(w, r, "application/json", struct {
		Repositories []string `json:"repositories"`
	}{notNil(names)})
}

func (a *api) visible(c call) meta.Visibility {
	everything, namespaces := a.access.Namespaces(c.caller)
	return meta.Visibility{Everything: everything, Namespaces: namespaces}
}

// wireDescriptor is an entry of a referrers listing.
type wireDescriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       digest.Digest     `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

// getReferrers serves end-12, GET /v2/<name>/referrers/<digest>: an index of the
// manifests with that subject, none if nobody refers to it.
func (a *api) getReferrers(w http.ResponseWriter, r *http.Request, c call) error {
	q := r.URL.Query()
	artifactType := strings.ReplaceAll(q.Get("artifactType"), " ", "+") // a bare + in a query means a space, which no type has
	var after digest.Digest
	if last := q.Get("last"); last != "" {
		var err error
		if after, err = parseDigest(last); err != nil {
			return err
		}
	}
	var list []meta.Referrer
	var more bool
	if registry.Printable(artifactType) { // nothing has a type that is not
		var err error
		if list, more, err = a.reg.Referrers(r.Context(), c.repo, c.digest, artifactType, after); err != nil {
			return err
		}
	}
	if artifactType != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if more {
		next := url.Values{"last": {list[len(list)-1].Digest.String()}}
		if artifactType != "" {
			next.Set("artifactType", artifactType)
		}
		linkNext(w, "/v2/"+c.repo+"/referrers/"+c.digest.String(), next)
	}
	manifests := make([]wireDescriptor, len(list))
	for i, e := range list {
		manifests[i] = wireDescriptor{e.MediaType, e.Digest, e.Size, e.ArtifactType, e.Annotations}
	}
	return writeJSON(w, r, indexType, struct {
		SchemaVersion int              `json:"schemaVersion"`
		MediaType     string           `json:"mediaType"`
		Manifests     []wireDescriptor `json:"manifests"`
	}{2, indexType, manifests})
}

// pageOf reads n and last. Without n there is no limit.
func pageOf(q url.Values) (limit int, last string, err error) {
	last = q.Get("last")
	if len(last) > ref.MaxName || !registry.Printable(last) {
		return 0, "", pageInvalid("last", last)
	}
	if !q.Has("n") {
		return registry.All, last, nil
	}
	n, err := position(q.Get("n"))
	if err != nil {
		return 0, "", pageInvalid("n", q.Get("n"))
	}
	return int(min(n, math.MaxInt32)), last, nil
}

func pageInvalid(parameter, value string) error {
	if len(value) > 80 {
		value = value[:80]
	}
	return &registry.Error{
		Code: registry.PageInvalid, Message: "invalid " + parameter + " of a page", Detail: map[string]any{parameter: value},
	}
}

// linkNext points to the next page (RFC 8288).
func linkNext(w http.ResponseWriter, path string, q url.Values) {
	w.Header().Set("Link", "<"+path+"?"+q.Encode()+`>; rel="next"`)
}

// notNil makes an empty list out of none, which JSON would call null.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func writeJSON(w http.ResponseWriter, r *http.Request, mediaType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h["Content-Type"] = []string{mediaType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that is gone needs no error
	}
	return nil
}
