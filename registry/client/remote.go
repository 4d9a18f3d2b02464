package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/artifact/ref"
)

// Repository is a repository of a registry. Manifests, tags and referrers are
// oras-go's, with bounds and checked names; blobs go through our own transfers,
// which resume. In a registry without the referrers API, referrers are read and
// written by the fallback tags of the specification.
type Repository struct {
	*remote.Repository
	client *Client
}

var _ Target = (*Repository)(nil)

// Repository is the repository name of a registry. Nothing is asked of the
// registry yet.
func (c *Client) Repository(host, name string) (*Repository, error) {
	if err := ref.CheckName(name); err != nil {
		return nil, err
	}
	if err := ref.CheckHost(host); err != nil {
		return nil, err
	}
	at := registry.Reference{Registry: host, Repository: name}
	var warn func(remote.Warning)
	if c.opts.Warn != nil {
		warn = func(w remote.Warning) { c.opts.Warn(host, w.Text) }
	}
	return &Repository{client: c, Repository: &remote.Repository{
		HandleWarning:        warn,
		Client:               c.auth,
		Reference:            at,
		PlainHTTP:            c.plainHTTP(host),
		TagListPageSize:      pageSize,
		TagListMaxPages:      MaxPages,
		ReferrerListMaxPages: MaxPages,
		MaxMetadataBytes:     MaxManifest,
		// Many registries refuse to delete; an index that nobody names is
		// theirs to collect.
		SkipReferrersGC: true,
	}}, nil
}

// Host is the registry's host:port.
func (r *Repository) Host() string { return r.Reference.Registry }

// Name is the repository's name, without the host.
func (r *Repository) Name() string { return r.Reference.Repository }

func (r *Repository) String() string { return r.Host() + "/" + r.Name() }

// url is the address of something in the repository.
func (r *Repository) url(path string) string {
	return scheme(r.PlainHTTP) + "://" + r.Reference.Host() + "/v2/" + r.Name() + "/" + path
}

func scheme(plain bool) string {
	if plain {
		return "http"
	}
	return "https"
}

// Fetch opens the content of d; see Target.
func (r *Repository) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if IsManifest(d) {
		return r.fetchManifest(ctx, d)
	}
	dl, err := r.download(ctx, d)
	if err != nil {
		return nil, err
	}
	return verify(dl, d)
}

// fetchManifest reads a manifest whole: they are small, and a torn one is of no
// use to anybody.
func (r *Repository) fetchManifest(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Size < 0 || d.Size > MaxManifest {
		return nil, fmt.Errorf("manifest %s: %w: %d bytes, more than %d", d.Digest, ErrTooLarge, d.Size, MaxManifest)
	}
	rc, err := r.Manifests().Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	b, err := io.ReadAll(io.LimitReader(rc, d.Size+1))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	if int64(len(b)) != d.Size {
		return nil, fmt.Errorf("manifest %s: %w: %d bytes or more, not %d", d.Digest, ErrDigest, len(b), d.Size)
	}
	return verify(inMemory{bytes.NewReader(b)}, d)
}

// Resolve finds a manifest; see Target. It asks by HEAD, whose refusal has no
// reason in it, so that a refusal is asked for again.
func (r *Repository) Resolve(ctx context.Context, reference string) (ocispec.Descriptor, error) {
	d, err := r.Repository.Resolve(ctx, reference)
	var e *errcode.ErrorResponse
	if !errors.As(err, &e) || len(e.Errors) > 0 {
		return d, err
	}
	req, rerr := http.NewRequestWithContext(auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionPull), http.MethodGet, e.URL.String(), nil)
	if rerr != nil {
		return d, err
	}
	resp, rerr := r.client.auth.Do(req)
	if rerr != nil {
		return d, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != e.StatusCode {
		return d, err
	}
	return d, answer(resp)
}

// Push stores content as d; see Target. A blob that is there already is uploaded
// again: ask Exists first.
func (r *Repository) Push(ctx context.Context, d ocispec.Descriptor, content io.Reader) error {
	if IsManifest(d) {
		return r.Repository.Push(ctx, d, content)
	}
	return r.upload(ctx, d, content, "")
}

// Mount makes the blob d of another repository of this registry one of r's. If
// the registry will not, getContent is uploaded; nil fetches from that
// repository.
func (r *Repository) Mount(ctx context.Context, d ocispec.Descriptor, from string, getContent func() (io.ReadCloser, error)) error {
	if getContent == nil {
		getContent = func() (io.ReadCloser, error) {
			other, err := r.client.Repository(r.Host(), from)
			if err != nil {
				return nil, err
			}
			return other.Fetch(ctx, d)
		}
	}
	return r.mount(ctx, d, from, getContent)
}

// Tags lists tags; see Target. A name outside the specification's grammar is an
// ErrAnswer.
func (r *Repository) Tags(ctx context.Context, last string, fn func([]string) error) error {
	return r.Repository.Tags(ctx, last, func(page []string) error {
		for _, t := range page {
			if err := ref.CheckTag(t); err != nil {
				return fmt.Errorf("tags of %s: %w: %w", r, ErrAnswer, err)
			}
		}
		return fn(page)
	})
}

// Referrers lists referrers; see Target.
func (r *Repository) Referrers(ctx context.Context, d ocispec.Descriptor, artifactType string, fn func([]ocispec.Descriptor) error) error {
	return r.Repository.Referrers(ctx, d, artifactType, func(page []ocispec.Descriptor) error {
		for _, x := range page {
			if _, err := ref.ParseDigest(x.Digest.String()); err != nil {
				return fmt.Errorf("referrers of %s: %w: %w", d.Digest, ErrAnswer, err)
			}
		}
		return fn(page)
	})
}

// Predecessors is Referrers under the name that oras-go has for it.
func (r *Repository) Predecessors(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	return ReferrersOf(ctx, r, d, "")
}

// Tag points tag at d. The manifest goes over the wire twice, as the
// specification has no other way.
func (r *Repository) Tag(ctx context.Context, d ocispec.Descriptor, tag string) error {
	if err := ref.CheckTag(tag); err != nil {
		return err
	}
	b, err := ReadAll(ctx, r, d, MaxManifest)
	if err != nil {
		return err
	}
	return r.PutManifest(ctx, d, b, tag)
}

// PutManifest stores a manifest under a tag or digest.
func (r *Repository) PutManifest(ctx context.Context, d ocispec.Descriptor, content []byte, reference string) error {
	return r.PushReference(ctx, d, bytes.NewReader(content), reference)
}

// Untag deletes a tag by its name (end-9 of the specification with a tag). Some
// registries only delete manifests, and answer with an error.
func (r *Repository) Untag(ctx context.Context, tag string) error {
	if err := ref.CheckTag(tag); err != nil {
		return err
	}
	ctx = auth.AppendRepositoryScope(ctx, r.Reference, auth.ActionDelete)
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.url("manifests/"+tag), nil)
	if err != nil {
		return err
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("%s:%s: %w: %w", r, tag, ErrNotFound, answer(resp))
	default:
		return answer(resp)
	}
}

// Repositories calls fn with the names of a registry's repositories that sort
// after last, page by page.
func (c *Client) Repositories(ctx context.Context, host, last string, fn func([]string) error) error {
	reg, err := c.registry(host)
	if err != nil {
		return err
	}
	pages := 0
	return reg.Repositories(ctx, last, func(page []string) error {
		if pages++; pages > MaxPages {
			return fmt.Errorf("catalog of %s: %w: more than %d pages", host, ErrTooLarge, MaxPages)
		}
		for _, name := range page {
			if err := ref.CheckName(name); err != nil {
				return fmt.Errorf("catalog of %s: %w: %w", host, ErrAnswer, err)
			}
		}
		return fn(page)
	})
}

// Ping asks whether a registry answers and lets the caller in.
func (c *Client) Ping(ctx context.Context, host string) error {
	reg, err := c.registry(host)
	if err != nil {
		return err
	}
	return reg.Ping(ctx)
}

func (c *Client) registry(host string) (*remote.Registry, error) {
	reg, err := remote.NewRegistry(host)
	if err != nil {
		return nil, err
	}
	reg.Client = c.auth
	reg.PlainHTTP = c.plainHTTP(host)
	reg.RepositoryListPageSize = pageSize
	reg.MaxMetadataBytes = MaxManifest
	return reg, nil
}

// answer reads an error answer of a registry, at most 64 KiB of it.
func answer(resp *http.Response) error {
	e := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body) == nil {
		e.Errors = body.Errors
	}
	return e
}

// errBroken marks an answer that broke off.
var errBroken = errors.New("connection lost")

// passing reports whether err may be gone at the next attempt: a broken or
// stalled connection, or a server that is overloaded. What was refused stays
// refused.
func passing(err error) bool {
	for _, final := range []error{
		ErrAnswer, ErrDigest, ErrNotFound, ErrTooLarge, errSource, context.Canceled, context.DeadlineExceeded,
		http.ErrSchemeMismatch, ErrSilent,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	var (
		answered *errcode.ErrorResponse
		name     *net.DNSError
		cert     *tls.CertificateVerificationError
		sent     *url.Error
	)
	switch {
	case errors.As(err, &answered):
		return overloaded(answered.StatusCode)
	case errors.As(err, &name), errors.As(err, &cert), refused(err):
		return false
	default:
		return errors.As(err, &sent) || errors.Is(err, errBroken)
	}
}

// overloaded reports whether a server that answers with status may do better later.
func overloaded(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Away reports whether err is of a registry that does not answer, or not now, so
// that somebody who has time may ask again in a while. What it refused stays
// refused, and so does a certificate that is not its own.
func Away(err error) bool {
	if said, ok := errors.AsType[*CatalogError](err); ok {
		return overloaded(said.Status)
	}
	_, unknown := errors.AsType[*net.DNSError](err)
	return unknown || refused(err) || errors.Is(err, ErrStalled) || passing(err)
}

// refused reports whether nobody listens at the other end. In the middle of a
// transfer that may pass: the server is being restarted.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// inMemory is content that was read already.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
