package ociapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry"
)

// putManifest serves end-7, PUT /v2/<name>/manifests/<reference>, also with tag
// parameters: all of them are written, or none.
func (a *api) putManifest(w http.ResponseWriter, r *http.Request, c call) error {
	push := registry.ManifestPush{
		Repo: c.repo, Digest: c.ref.Digest, ContentType: r.Header.Get("Content-Type"), Condition: condition(r.Header),
		Caller: c.caller,
	}
	tags, err := tagParameters(r.URL.Query())
	if err != nil {
		return err
	}
	if push.Tags = tags; c.ref.Tag != "" {
		push.Tags = append([]string{c.ref.Tag}, tags...)
	}
	if push.Content, err = a.readManifest(r); err != nil {
		return err
	}
	pushed, err := a.reg.PushManifest(r.Context(), push)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Location", "/v2/"+c.repo+"/manifests/"+pushed.Digest.String())
	h.Set("Docker-Content-Digest", pushed.Digest.String())
	h.Set("ETag", etag(pushed.Digest))
	if pushed.Subject != "" {
		h.Set("OCI-Subject", pushed.Subject.String())
	}
	for _, tag := range tags {
		h.Add("OCI-Tag", tag)
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// tagParameters are the values of tag, each once and in order.
func tagParameters(q url.Values) ([]string, error) {
	values := q["tag"]
	if len(values) > maxTags {
		return nil, &registry.Error{
			Code: registry.TagInvalid, Message: fmt.Sprintf("more than %d tags in one request", maxTags), Err: errTooManyTags,
		}
	}
	seen := make(map[string]bool, len(values))
	var tags []string
	for _, tag := range values {
		if err := ref.CheckTag(tag); err != nil {
			return nil, invalidTag(err)
		}
		if !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// readManifest reads a body of at most the registry's limit.
func (a *api) readManifest(r *http.Request) ([]byte, error) {
	limit := a.reg.MaxManifest()
	if r.ContentLength > limit {
		return nil, registry.TooLarge(registry.ManifestInvalid, "manifest", limit)
	}
	var body bytes.Buffer
	// What a header promises is not worth megabytes; a manifest is a few kilobytes.
	body.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(r.Body, limit+1)); err != nil {
		return nil, &registry.Error{Code: registry.SizeInvalid, Message: "the body ended before its announced length", Err: err}
	}
	if int64(body.Len()) > limit {
		return nil, registry.TooLarge(registry.ManifestInvalid, "manifest", limit)
	}
	return body.Bytes(), nil
}

// postUpload serves end-4, POST /v2/<name>/blobs/uploads/, and end-11 with a
// blob to mount: a mount that fails becomes an upload, and so does everything
// but a single POST with digest and content.
func (a *api) postUpload(w http.ResponseWriter, r *http.Request, c call) error {
	q := r.URL.Query()
	switch {
	case q.Has("mount"):
		d, mounted, err := a.mount(r, c, q)
		if err != nil {
			return err
		}
		if mounted {
			created(w, c.repo, d)
			return nil
		}
	case q.Has("digest"):
		d, err := parseDigest(q.Get("digest"))
		if err != nil {
			return err
		}
		if err := a.reg.PushBlob(r.Context(), c.repo, d, r.Body, r.ContentLength, c.caller); err != nil {
			return err
		}
		created(w, c.repo, d)
		return nil
	}
	alg, err := algorithm(q)
	if err != nil {
		return err
	}
	id, err := a.reg.StartUpload(c.repo, c.caller, alg)
	if err != nil {
		return err
	}
	progress(w, id, 0)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// mount tries to take a blob from a repository that the caller may read, any
// of them if the query names none.
func (a *api) mount(r *http.Request, c call, q url.Values) (digest.Digest, bool, error) {
	d, err := ref.ParseDigest(q.Get("mount"))
	if err != nil {
		return "", false, nil //nolint:nilerr // the specification goes on with an upload
	}
	from := q.Get("from")
	if from != "" && (ref.CheckName(from) != nil || !a.mayRead(c.caller, from)) {
		return "", false, nil
	}
	mounted, err := a.reg.MountBlob(r.Context(), c.repo, d, from, a.visible(c), registry.Caller{Principal: c.caller})
	return d, mounted, err
}

// algorithm reads digest-algorithm, "" without one.
func algorithm(q url.Values) (digest.Algorithm, error) {
	switch alg := digest.Algorithm(q.Get("digest-algorithm")); alg {
	case "", digest.SHA256, digest.SHA512:
		return alg, nil
	default:
		return "", &registry.Error{
			Code: registry.DigestInvalid, Message: "unsupported digest algorithm",
			Detail: map[string]any{"supported": []digest.Algorithm{digest.SHA256, digest.SHA512}},
		}
	}
}

// patchUpload serves end-5, PATCH <upload>: a chunk with its range, or a stream
// without.
func (a *api) patchUpload(w http.ResponseWriter, r *http.Request, c call) error {
	chunk, err := chunkOf(r)
	if err != nil {
		return a.outOfRange(w, c, err)
	}
	size, err := a.reg.AppendUpload(r.Context(), c.session(), chunk)
	if err != nil {
		return a.outOfRange(w, c, err)
	}
	progress(w, c.session(), size)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// putUpload serves end-6, PUT <upload>?digest=<digest>: the last chunk, if there
// is one, and the end.
func (a *api) putUpload(w http.ResponseWriter, r *http.Request, c call) error {
	d, err := parseDigest(r.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	chunk, err := chunkOf(r)
	if err != nil {
		return a.outOfRange(w, c, err)
	}
	if err := a.reg.FinishUpload(r.Context(), c.session(), d, chunk); err != nil {
		return a.outOfRange(w, c, err)
	}
	created(w, c.repo, d)
	return nil
}

// getUpload serves end-13, GET <upload>: where to go on.
func (a *api) getUpload(w http.ResponseWriter, _ *http.Request, c call) error {
	size, err := a.reg.UploadSize(c.session())
	if err != nil {
		return err
	}
	progress(w, c.session(), size)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// chunkOf reads what a request adds to an upload.
func chunkOf(r *http.Request) (registry.Chunk, error) {
	chunk := registry.Chunk{Body: r.Body, Length: r.ContentLength}
	header := r.Header.Get("Content-Range")
	if header == "" {
		return chunk, nil
	}
	start, end, err := parseContentRange(header)
	if err != nil {
		return chunk, &registry.Error{
			Code: registry.BlobUploadInvalid, Message: "invalid Content-Range, want <start>-<end>",
			Detail: map[string]any{"reason": err.Error()}, Err: registry.ErrRange,
		}
	}
	chunk.Ranged, chunk.Start, chunk.End = true, start, end
	return chunk, nil
}

// outOfRange adds to 416 where the upload is and what it has, so that the client
// can go on. An upload that is not there is told first.
func (a *api) outOfRange(w http.ResponseWriter, c call, err error) error {
	if !errors.Is(err, registry.ErrRange) {
		return err
	}
	size, unknown := a.reg.UploadSize(c.session())
	if unknown != nil {
		return unknown
	}
	progress(w, c.session(), size)
	return err
}

// progress says where an upload is and what it has. The range of nothing is 0-0,
// like that of one byte: the specification has no other way.
func progress(w http.ResponseWriter, id registry.Session, size int64) {
	h := w.Header()
	h.Set("Location", "/v2/"+id.Repo+"/blobs/uploads/"+id.ID)
	h.Set("Range", "0-"+strconv.FormatInt(max(size-1, 0), 10))
	h.Set("Docker-Upload-UUID", id.ID)
}

// created says where a blob is now.
func created(w http.ResponseWriter, repo string, d digest.Digest) {
	h := w.Header()
	h.Set("Location", "/v2/"+repo+"/blobs/"+d.String())
	h.Set("Docker-Content-Digest", d.String())
	w.WriteHeader(http.StatusCreated)
}
