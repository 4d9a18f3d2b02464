// Package trust says whether what is proved of a package is enough.
//
// A [Policy] is read from a file: whom to believe, and which packages have to be
// signed or attested by whom. [Check] finds the signatures of a manifest, verifies
// them and asks the policy; [Policy.Evaluate] asks about what was verified before.
// A [Result] says which rule was satisfied by which signature, or why none was.
//
// Everything fails closed: a package that an entry with rules is about is allowed
// only if every rule is satisfied by verified signatures, whatever a source hides,
// cuts off or answers with an error. docs/spec/trust.md is the manual of the file.
package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/glob"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/notation"
	"github.com/wreg-project/wreg/signing/verify"
)

// A Policy is a file that was read. It is safe for concurrent use, and its fields
// must not be changed.
type Policy struct {
	Default  Default   `json:"default"` // for packages that no entry is about
	Roots    []string  `json:"roots"`   // as the file names them
	Signers  []Signer  `json:"signers"`
	Packages []Package `json:"packages"`

	// Compilers are the signers whose native code is loaded, unless an entry names
	// others; DeniedVersions are those of wasmtime whose code is not, as "39.0.1" or
	// as "39.0", which is all of 39.0.x.
	Compilers      []string `json:"compilers,omitempty"`
	DeniedVersions []string `json:"deniedVersions,omitempty"`

	material verify.Material
	logs     bool // whether the roots have transparency logs
	verifier *verify.Verifier
	version  string
	files    []string
}

// A Default says what becomes of packages that no entry is about.
type Default string

// The defaults.
const (
	Accept Default = "accept"
	Deny   Default = "deny"
)

// A Signer is somebody who is believed, by key or by certificate.
type Signer struct {
	Name string `json:"name"`

	Key       *key.Public `json:"-"`                   // nil for certificates
	KeyID     string      `json:"keyId,omitempty"`     // of Key
	NotBefore time.Time   `json:"notBefore,omitzero"`  // of what Key signed
	NotAfter  time.Time   `json:"notAfter,omitzero"`   // likewise
	Issuer    string      `json:"issuer,omitempty"`    // of the OpenID Connect token, exact or a pattern
	Identity  string      `json:"identity,omitempty"`  // e-mail address or URI, exact or a pattern; "" is any that Where allows
	Where     string      `json:"where,omitempty"`     // expression over the claims of the certificate
	Algorithm string      `json:"algorithm,omitempty"` // of Key, for people

	// Notation is what the subject of a certificate has to have in it, or "*", of
	// signatures of Notation. Only these are the signer's then, and Issuer is the
	// subject of the root behind verify.IssuerX509.
	Notation string `json:"notation,omitempty"`

	subject notation.Subject // of Notation
	where   *expr
}

// A Package is an entry: what has to be true of the packages that it is about.
type Package struct {
	Match    []string `json:"match"`
	Unsigned bool     `json:"unsigned,omitempty"` // accepted without a look at signatures
	Nothing  bool     `json:"nothing,omitempty"`  // refused without one
	Pin      bool     `json:"pin,omitempty"`      // who signed first has to sign again
	Rules    []Rule   `json:"rules"`

	// Compilers replace those of the policy for these packages: nil does not, and a
	// list without a name is nobody.
	Compilers []string `json:"compilers,omitzero"`
}

// A Rule wants signatures, or attestations, by some of the signers.
type Rule struct {
	Name  string   `json:"name"`
	By    []string `json:"by"`    // signers
	Count int      `json:"count"` // how many different ones

	Attestation string      `json:"attestation,omitempty"` // type of the predicate; "" wants a signature
	Where       string      `json:"where,omitempty"`       // expression over predicate and signer
	Log         Requirement `json:"log,omitempty"`
	Timestamp   Requirement `json:"timestamp,omitempty"`

	where *expr
}

// A Requirement of a rule. Without one, an entry in a transparency log is required
// of signatures with certificates if the roots have logs, and of no others; and a
// time is not required but by certificates, which nobody believes without.
type Requirement string

// The requirements.
const (
	Required Requirement = "required"
	Optional Requirement = "optional"
)

// Version is different for policies that may decide differently: a hash over the
// file and all that it names, in hexadecimal.
func (p *Policy) Version() string { return p.version }

// Files are the policy's own file and those that it names, as [Load] opened them.
// While all of them have the same content, so has its Version.
func (p *Policy) Files() []string { return slices.Clone(p.files) }

// Material is the roots and keys of the policy, for who verifies with others too.
func (p *Policy) Material() verify.Material {
	m := p.material
	m.Keys = slices.Clone(m.Keys)
	return m
}

// Verifier verifies with the roots and keys of the policy.
func (p *Policy) Verifier() *verify.Verifier { return p.verifier }

// Applies reports whether signatures decide about a package: an entry with rules,
// or one that pins, is about it. An error says that it cannot be told, which is
// to be taken for yes.
func (p *Policy) Applies(host, repository string) (bool, error) {
	e, _, err := p.entry(host, repository)
	return e != nil && !e.Unsigned || e == nil && p.Default == Deny, err
}

// entry is the first entry about a package, and the pattern that says so; nil is
// none.
func (p *Policy) entry(host, repository string) (*Package, string, error) {
	m := glob.New()
	for i := range p.Packages {
		pattern, ok, err := matching(m, p.Packages[i].Match, hostName(host), repository)
		if ok || err != nil {
			return &p.Packages[i], pattern, errors.Join(err, m.Err())
		}
	}
	return nil, "", m.Err()
}

// hostName is a host as patterns name it: in lower case, and without the port that it
// has anyway, so that nobody comes around an entry by writing it.
func hostName(host string) string {
	port := ":443"
	if ref.IsLoopback(host) { // which is spoken to without TLS
		port = ":80"
	}
	return strings.TrimSuffix(strings.ToLower(host), port)
}

// matching gives the pattern that takes a package in. The last one that matches
// decides; one that begins with "!" takes out. One that begins with a registry is
// of that registry's packages. Who wrote it may have meant repositories of that
// name in any registry, or did not think of somebody who would make one: so it is
// an error if only these match.
func matching(m *glob.Matcher, patterns []string, host, repository string) (by string, in bool, err error) {
	for _, pattern := range patterns {
		text, not := strings.CutPrefix(pattern, "!")
		whole, path := host != "" && m.Name(host+"/"+repository, text), m.Name(repository, text)
		switch registry, ok := registryOf(text); {
		case ok && path && !whole:
			const format = "pattern %q is of the registry %s, and %s is a repository of that name: */%s would be of both"
			return pattern, false, fmt.Errorf(format, pattern, registry, repository, text)
		case whole || path:
			in, by = !not, pattern
		}
	}
	return by, in, nil
}

// LayoutHost is the host of questions about OCI layouts in folders.
const LayoutHost = "oci-layout"

// registryOf is the registry, or what stands for layouts, that a pattern begins with,
// by the grammar of references.
func registryOf(pattern string) (string, bool) {
	first, _, ok := strings.Cut(pattern, "/")
	return first, ok && (ref.IsHost(first) || first == LayoutHost)
}

// signer is the signer with a name, nil if there is none.
func (p *Policy) signer(name string) *Signer {
	if i := slices.IndexFunc(p.Signers, func(s Signer) bool { return s.Name == name }); i >= 0 {
		return &p.Signers[i]
	}
	return nil
}

// prepare makes what questions need, once everything was read.
func (p *Policy) prepare(roots []root.TrustedMaterial, keys []verify.Key) error {
	p.material.Keys = slices.Clone(keys)
	for i := range p.Signers {
		if s := &p.Signers[i]; s.Key != nil {
			p.material.Keys = append(p.material.Keys, verify.Key{Name: s.Name, Public: s.Key, NotBefore: s.NotBefore, NotAfter: s.NotAfter})
		}
	}
	if len(roots) > 0 {
		p.material.Root = root.TrustedMaterialCollection(roots)
		p.logs = len(p.material.Root.RekorLogs()) > 0
	}
	var err error
	if p.verifier, err = verify.New(p.material); err != nil {
		return fmt.Errorf("trust policy: %w", err)
	}
	return nil
}

// A hasher makes versions. Each part is written with its length, so that no two
// different lists of parts are the same bytes.
type hasher struct{ parts []string }

func (h *hasher) add(parts ...string) { h.parts = append(h.parts, parts...) }

func (h *hasher) sum() string {
	w := sha256.New()
	for _, part := range h.parts {
		_, _ = fmt.Fprintf(w, "%d:", len(part))
		_, _ = io.WriteString(w, part)
	}
	return hex.EncodeToString(w.Sum(nil))
}
