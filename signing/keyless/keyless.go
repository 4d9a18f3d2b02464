// Package keyless signs without a key to keep: a key is made for one signature, a
// certificate authority (Fulcio) vouches for it after an identity token of OpenID
// Connect, a transparency log (Rekor) and a timestamp authority say when.
//
// Which services those are is in a signing configuration, what is believed of
// them in a trusted root: two files of Sigstore's formats, [ReadConfig] and
// [ReadRoot], or those of the public instance, [Public]. A [TokenSource] has the
// identity: [Given] of the command line, [Ambient] of a CI service, [Login] of a
// person. Nothing of a token is ever in an error or shown.
package keyless

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	rekorclient "github.com/sigstore/rekor-tiles/v2/pkg/client"
	"github.com/sigstore/rekor-tiles/v2/pkg/client/write"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// DefaultAudience is whom tokens are for unless the options say otherwise. It is
// what Fulcio takes.
const DefaultAudience = "sigstore"

const (
	defaultTimeout = 30 * time.Second
	// spare is how long a token has to be good for still, to be sent once more.
	spare = 30 * time.Second
)

// Options are what a Signer works with.
type Options struct {
	// Config says which services to ask, as ReadConfig or Public give it.
	Config *root.SigningConfig
	// Root is what the answers are checked against before anyone sees a signature.
	// Without one they are not.
	Root root.TrustedMaterial
	// Tokens has the identity.
	Tokens TokenSource
	// Key signs instead, and nobody vouches for it: only the logs and clocks of Config
	// are asked, and Root and Tokens are for nothing.
	Key sign.Keypair
	// Audience is whom the token is for: DefaultAudience by default.
	Audience string
	// Timeout is of each request to a service: 30 seconds by default.
	Timeout time.Duration
}

// An Error is what did not work on the way to a signature. Hint is what a person
// can do about it, if anything is known.
type Error struct {
	Doing string // "certificate of https://fulcio.example.com"
	Hint  string
	Err   error
}

// maxError bounds what is passed on of the answer of a service, in bytes.
const maxError = 500

func (e *Error) Error() string {
	text := e.Err.Error()
	if len(text) > maxError {
		text = text[:maxError] + "…"
	}
	return e.Doing + ": " + text
}

func (e *Error) Unwrap() error { return e.Err }

// A Signer makes signatures, each with a key and a certificate of its own, for one
// identity: the token is asked for once, and again when it is about to expire. Its
// methods are safe for concurrent use.
type Signer struct {
	o      Options
	fulcio root.Service
	logs   []root.Service
	clocks []root.Service

	mu    sync.Mutex
	token token
}

// New chooses the services, and asks none of them yet. The error is of a
// configuration that no verifiable signature can come of.
func New(o Options) (*Signer, error) {
	if o.Config == nil || o.Tokens == nil && o.Key == nil {
		return nil, errors.New("keyless signing needs a signing configuration and an identity")
	}
	if o.Audience == "" {
		o.Audience = DefaultAudience
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	s := &Signer{o: o}
	if err := s.choose(time.Now()); err != nil {
		return nil, fmt.Errorf("signing configuration: %w", err)
	}
	return s, nil
}

// choose takes from the configuration what it says of services at a time.
func (s *Signer) choose(now time.Time) (err error) {
	c, err := plain(s.o.Config)
	if err != nil {
		return err
	}
	asked := []root.Service{}
	if s.o.Key == nil {
		if s.fulcio, err = root.SelectService(services(c.GetCaUrls()), sign.FulcioAPIVersions, now); err != nil {
			return fmt.Errorf("certificate authority: %w", err)
		}
		asked = append(asked, s.fulcio)
	}
	if s.logs, err = several(c.GetRekorTlogUrls(), c.GetRekorTlogConfig(), sign.RekorAPIVersions, now); err != nil {
		return fmt.Errorf("transparency log: %w", err)
	}
	if s.clocks, err = several(c.GetTsaUrls(), c.GetTsaConfig(), sign.TimestampAuthorityAPIVersions, now); err != nil {
		return fmt.Errorf("timestamp authority: %w", err)
	}
	for _, one := range slices.Concat(asked, s.logs, s.clocks) {
		if err := confidential(one.URL); err != nil {
			return err
		}
	}
	// A certificate is good for minutes, so that something has to say when it was
	// used. Version 2 of Rekor does not.
	if s.o.Key == nil && len(s.clocks) == 0 && (len(s.logs) == 0 || s.logs[0].MajorAPIVersion != 1) {
		return errors.New("it has no timestamp authority, and without one nobody can verify a certificate that has expired")
	}
	return nil
}

// plain is the message behind a configuration, whose methods can be called
// whatever parts of it are missing.
func plain(c *root.SigningConfig) (*trustroot.SigningConfig, error) {
	text, err := c.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return root.NewSigningConfigProtobuf(text)
}

func services(list []*trustroot.Service) []root.Service {
	out := make([]root.Service, len(list))
	for i, s := range list {
		out[i] = root.NewService(s)
	}
	return out
}

func several(
	list []*trustroot.Service, c *trustroot.ServiceConfiguration, versions []uint32, now time.Time,
) ([]root.Service, error) {
	if len(list) == 0 {
		return nil, nil
	}
	how := root.ServiceConfiguration{Selector: c.GetSelector(), Count: c.GetCount()}
	return root.SelectServices(services(list), how, versions, now)
}

// confidential refuses to send tokens and what is not published yet in the clear,
// unless it stays on the machine.
func confidential(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("%s: services are asked by https, or by http on the loopback interface", address)
	}
	return nil
}

// Options make a key and have what vouches for it: see signing.Signer. The token
// is asked for here, the services while the bundle is made.
func (s *Signer) Options(ctx context.Context) (sign.Keypair, sign.BundleOptions, error) {
	if s.o.Key != nil {
		o, err := s.witnesses(ctx)
		return s.o.Key, o, err
	}
	raw, err := s.identity(ctx)
	if err != nil {
		return nil, sign.BundleOptions{}, err
	}
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, sign.BundleOptions{}, fmt.Errorf("key for one signature: %w", err)
	}
	o, err := s.witnesses(ctx)
	if err != nil {
		return nil, sign.BundleOptions{}, err
	}
	o.CertificateProvider = s.authority(ctx)
	o.CertificateProviderOptions = &sign.CertificateProviderOptions{IDToken: raw}
	o.TrustedRoot = s.o.Root
	return pair, o, nil
}

// witnesses are the clocks and logs of one signature.
func (s *Signer) witnesses(ctx context.Context) (sign.BundleOptions, error) {
	o := sign.BundleOptions{Context: ctx}
	for _, one := range s.clocks {
		o.TimestampAuthorities = append(o.TimestampAuthorities, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{
			URL: one.URL, Timeout: s.o.Timeout, Transport: &transport{ctx: ctx, doing: "timestamp of " + one.URL},
		}))
	}
	for _, one := range s.logs {
		l, err := s.log(one)
		if err != nil {
			return sign.BundleOptions{}, err
		}
		o.TransparencyLogs = append(o.TransparencyLogs, l)
	}
	return o, nil
}

// Ready makes sure that there is an identity to sign for: it asks for a token
// unless the one at hand is good for a while. A source that gives the same token
// each time is ready until that expires. Who signs with a key is always ready.
func (s *Signer) Ready(ctx context.Context) error {
	if s.o.Key != nil {
		return nil
	}
	_, err := s.identity(ctx)
	return err
}

// identity is a token that is good for a while.
func (s *Signer) identity(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.good(time.Now().Add(spare)) {
		return s.token.raw, nil
	}
	raw, err := s.o.Tokens.Token(ctx, s.o.Audience)
	if err != nil {
		return "", err
	}
	t, err := parseToken(raw)
	if err != nil {
		return "", err
	}
	if now := time.Now(); !t.good(now) {
		return "", &Error{
			Doing: "identity token",
			Hint:  "they are good for minutes: a file that is renewed is read again for each, and the service of a CI job asked again",
			Err:   fmt.Errorf("it expired at %s, and it is %s", t.expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)),
		}
	}
	s.token = t
	return t.raw, nil
}

// authority asks Fulcio for certificates.
func (s *Signer) authority(ctx context.Context) sign.CertificateProvider {
	doing := "certificate of " + s.fulcio.URL
	return &authority{doing, sign.NewFulcio(&sign.FulcioOptions{
		BaseURL: s.fulcio.URL, Timeout: s.o.Timeout, Transport: &transport{ctx: ctx, doing: doing, hint: fulcioHint},
	})}
}

func fulcioHint(status int) string {
	if status >= 400 && status < 500 {
		return "the authority has to know the issuer of the token and its audience, and the token has to be a fresh one"
	}
	return ""
}

type authority struct {
	doing string
	sign.CertificateProvider
}

func (a *authority) GetCertificate(ctx context.Context, pair sign.Keypair, o *sign.CertificateProviderOptions) ([]byte, error) {
	der, err := a.CertificateProvider.GetCertificate(ctx, pair, o)
	return der, doing(a.doing, err)
}

// log writes to a transparency log.
func (s *Signer) log(one root.Service) (sign.Transparency, error) {
	o := &sign.RekorOptions{BaseURL: one.URL, Timeout: s.o.Timeout, Version: one.MajorAPIVersion}
	what := "entry in the log " + one.URL
	if one.MajorAPIVersion > 1 { // whose client else has a time-out of its own
		client, err := write.NewWriter(one.URL, rekorclient.WithTimeout(s.o.Timeout))
		if err != nil {
			return nil, doing(what, err)
		}
		o.ClientV2 = client
	}
	return &log{what, sign.NewRekor(o)}, nil
}

type log struct {
	doing string
	sign.Transparency
}

func (l *log) GetTransparencyLogEntry(ctx context.Context, pem []byte, b *protobundle.Bundle) error {
	return doing(l.doing, l.Transparency.GetTransparencyLogEntry(ctx, pem, b))
}

// doing says what err came of, unless it says so itself.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	if said, ok := errors.AsType[*Error](err); ok {
		return said
	}
	return &Error{Doing: what, Err: err}
}
