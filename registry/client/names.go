package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/wreg-project/wreg/artifact/ref"
)

// mapping is what a registry says of where its packages lie.
type mapping struct{ host, prefix string }

// Locate says where a registry keeps the package namespace:name: on which host
// and in which repository. The registry may say so itself in
// /.well-known/wasm-pkg/registry.json, as the Wasm package tools define it;
// without that it is repository namespace/name on the same host. The answer is
// remembered for as long as c lives.
func (c *Client) Locate(ctx context.Context, host, namespace, name string) (string, string, error) {
	m, err := c.mapping(ctx, host)
	if err != nil {
		return "", "", err
	}
	return m.host, m.prefix + namespace + "/" + name, nil
}

func (c *Client) mapping(ctx context.Context, host string) (mapping, error) {
	c.mu.Lock()
	m, ok := c.wellKnown[host]
	c.mu.Unlock()
	if ok {
		return m, nil
	}
	m, err := c.askMapping(ctx, host)
	if err != nil {
		return mapping{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wellKnown[host] = m
	return m, nil
}

// askMapping asks once, without credentials. A registry that does not answer, or
// not with 200, has nothing to say; one that says nonsense is an error.
func (c *Client) askMapping(ctx context.Context, host string) (mapping, error) {
	own := mapping{host: host}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	at := scheme(c.plainHTTP(host)) + "://" + host + "/.well-known/wasm-pkg/registry.json"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return own, fmt.Errorf("registry %q: %w", host, err)
	}
	if c.opts.UserAgent != "" {
		req.Header.Set("User-Agent", c.opts.UserAgent)
	}
	resp, err := c.once.Client.Do(req)
	if err != nil {
		return own, ctx.Err()
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return own, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxWellKnown+1))
	if err != nil {
		return own, fmt.Errorf("%s: %w", at, err)
	}
	if len(body) > maxWellKnown {
		return own, fmt.Errorf("%s: %w: more than %d bytes", at, ErrTooLarge, maxWellKnown)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return own, nil // a page for every path
	}
	m, err := parseMapping(body, host)
	if err != nil {
		return own, fmt.Errorf("%s: %w: %w", at, ErrAnswer, err)
	}
	return m, nil
}

// parseMapping reads a registry.json of host.
func parseMapping(body []byte, host string) (mapping, error) {
	var doc struct {
		OCI struct {
			Registry        string `json:"registry"`
			NamespacePrefix string `json:"namespacePrefix"`
		} `json:"oci"`
		// The names before version 0.7 of the package tools.
		Registry        string `json:"ociRegistry"`
		NamespacePrefix string `json:"ociNamespacePrefix"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return mapping{}, err
	}
	m := mapping{host: firstOf(doc.OCI.Registry, doc.Registry, host), prefix: firstOf(doc.OCI.NamespacePrefix, doc.NamespacePrefix)}
	if err := ref.CheckHost(m.host); err != nil {
		return mapping{}, err
	}
	return m, nil
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}
