package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/version"
)

// fetchFlags say how the address in a mod.yaml is followed. Modsurfer followed it
// without any condition; here the content has to be pinned.
type fetchFlags struct {
	sha256 string
	local  bool
}

func (f *fetchFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "url-sha256", Usage: "follow the url of a mod.yaml, whose content has this `HASH`", Destination: &f.sha256,
		},
		&cli.BoolFlag{
			Name: "url-local", Usage: "also if the url is on this machine or a private network", Destination: &f.local, DisableDefaultText: true,
		},
	}
}

// Errors of fetching.
var (
	errUnpinned = errors.New("its content is not pinned")
	errPin      = errors.New("its content is not what was pinned")
	errAddress  = errors.New("the address is not allowed")
)

// replace is the text that the url of a mod.yaml stands for.
func (f *fetchFlags) replace(ctx context.Context, s policySource, at string) (policySource, error) {
	where := fmt.Sprintf("%s: url %s", s.from, at)
	want := strings.ToLower(strings.TrimPrefix(f.sha256, "sha256:"))
	if want == "" {
		return s, &hinted{
			fmt.Errorf("%s: %w, so it is not fetched", where, errUnpinned),
			"look at it, and pin it by --url-sha256 HASH",
		}
	}
	if b, err := hex.DecodeString(want); err != nil || len(b) != sha256.Size {
		return s, usagef("--url-sha256 %s: it is no SHA-256 of %d hexadecimal digits", f.sha256, 2*sha256.Size)
	}
	text, err := f.get(ctx, at)
	if err != nil {
		return s, fmt.Errorf("%s: %w", where, err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
		return s, fmt.Errorf("%s: %w: it is %s", where, errPin, got)
	}
	return policySource{name: s.name, from: at, text: text}, nil
}

// get fetches at most maxPolicy bytes by HTTPS from the host of at and no other.
func (f *fetchFlags) get(ctx context.Context, at string) ([]byte, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%w: it has to be https://HOST/PATH", errAddress)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "wpkg/"+version.Get().Version)
	resp, err := f.client(u.Host).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxPolicy {
		return nil, fmt.Errorf("it has more than %d bytes", maxPolicy)
	}
	return b, nil
}

// client speaks to one host. Addresses are checked when they are dialled, so that
// no name can change its mind in between.
func (f *fetchFlags) client(host string) *http.Client {
	dialer := &net.Dialer{Timeout: 15 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if f.local {
			return nil
		}
		return checkPublic(address)
	}}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = dialer.DialContext
	t.MaxResponseHeaderBytes = 64 << 10
	t.ResponseHeaderTimeout = 15 * time.Second
	t.DisableKeepAlives = true
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		switch {
		case req.URL.Scheme != "https" || req.URL.Host != host:
			return fmt.Errorf("%w: it leads on to %s://%s", errAddress, req.URL.Scheme, req.URL.Host)
		case len(via) >= 5:
			return fmt.Errorf("%w: it leads on and on", errAddress)
		}
		return nil
	}}
}

// checkPublic refuses addresses of this machine and of private networks.
func checkPublic(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, errAddress)
	}
	ip := ap.Addr().Unmap()
	inside := func(p netip.Prefix) bool { return p.Contains(ip) }
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(innerSpace, inside) {
		return fmt.Errorf("%w: %s is on this machine or a private network; --url-local allows that", errAddress, ip)
	}
	return nil
}

// innerSpace are further addresses that lead inside, or stand for others that do.
var innerSpace = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),  // carriers' networks, and clouds' (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),   // protocols (RFC 6890)
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks (RFC 2544)
	netip.MustParsePrefix("64:ff9b::/96"),   // an IPv4 address behind NAT64 (RFC 6052)
	netip.MustParsePrefix("64:ff9b:1::/48"), // the same in private (RFC 8215)
	netip.MustParsePrefix("2002::/16"),      // an IPv4 address behind 6to4 (RFC 3056)
}
