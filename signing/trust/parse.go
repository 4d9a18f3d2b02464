package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sigstore/sigstore-go/pkg/root"
	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/near"
	"github.com/wreg-project/wreg/internal/yamldoc"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/notation"
	"github.com/wreg-project/wreg/signing/verify"
)

// Bounds of a policy.
const (
	MaxSource   = 256 << 10 // bytes of the file
	maxRoot     = 4 << 20   // bytes of a trusted root
	maxRoots    = 8
	maxSigners  = verify.MaxKeys
	maxPackages = 500
	maxRules    = 32 // of an entry
	maxPatterns = 100
	maxPattern  = 512 // bytes
	maxDenied   = 100
)

// Errors is what is wrong with a policy, with lines and columns.
type Errors = yamldoc.Errors

// ErrTooLarge is of a file beyond the bounds.
var ErrTooLarge = yamldoc.ErrTooLarge

// Options say what Parse reads with.
type Options struct {
	// Open gives the content of a file that the policy names, at most limit bytes
	// of it. Nil is a policy that may name none.
	Open func(name string, limit int64) ([]byte, error)
	// Keys are believed in addition to those that the policy names, and rules may
	// name them as signers.
	Keys []verify.Key
	// Roots are trusted in addition to those that the policy names.
	Roots []root.TrustedMaterial
	// RootVersion stands for Roots in the version of the policy.
	RootVersion string
}

// Load reads a policy and the files that it names, which are relative to it. What
// is wrong with its content is of type Errors.
func Load(path string) (*Policy, error) {
	source, err := read(path, MaxSource)
	if err != nil {
		return nil, fmt.Errorf("trust policy: %w", err)
	}
	files := []string{path}
	p, err := Parse(source, Options{Open: func(name string, limit int64) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), filepath.FromSlash(name))
		}
		files = append(files, name)
		return read(name, limit)
	}})
	if err != nil {
		return nil, fmt.Errorf("trust policy %s: %w", path, err)
	}
	p.files = files
	return p, nil
}

func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrTooLarge, limit)
	}
	return text, nil
}

// Parse reads a policy and compiles its expressions. What is wrong with its content
// is of type Errors; a file that is too long is ErrTooLarge.
func Parse(source []byte, o Options) (*Policy, error) {
	doc, node, err := yamldoc.Open(source, MaxSource)
	if err != nil {
		return nil, err
	}
	r := &reader{Document: doc, opts: o, p: &Policy{Default: Accept, Roots: []string{}, Signers: []Signer{}, Packages: []Package{}}}
	r.hash.add("trust 1", string(source), o.RootVersion)
	r.roots = slices.Clone(o.Roots)
	for _, k := range o.Keys {
		r.hash.add(k.Name, k.ID(), k.NotBefore.UTC().String(), k.NotAfter.UTC().String())
		r.p.Signers = append(r.p.Signers, Signer{
			Name: k.Name, KeyID: k.ID(), Algorithm: k.Algorithm(), Key: k.Public, NotBefore: k.NotBefore, NotAfter: k.NotAfter,
		})
	}
	r.policy(node)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := r.p.prepare(r.roots, nil); err != nil {
		return nil, err
	}
	r.p.version = r.hash.sum()
	return r.p, nil
}

// A reader reads one policy.
type reader struct {
	*yamldoc.Document
	opts  Options
	p     *Policy
	roots []root.TrustedMaterial
	hash  hasher
}

func (r *reader) policy(n *yaml.Node) {
	var version, packages, signers, compilers *yaml.Node
	ok := r.Mapping(
		n,
		yamldoc.Field{Name: "version", Read: func(n *yaml.Node) { version = n }},
		yamldoc.Field{Name: "default", Read: func(n *yaml.Node) { r.p.Default = yamldoc.OneOf(r.Document, n, Accept, Deny) }},
		yamldoc.Field{Name: "roots", Read: func(n *yaml.Node) { r.List(n, maxRoots, r.root) }},
		yamldoc.Field{Name: "signers", Read: func(n *yaml.Node) { signers = n }},
		yamldoc.Field{Name: "packages", Read: func(n *yaml.Node) { packages = n }},
		yamldoc.Field{Name: "compilers", Read: func(n *yaml.Node) { compilers = n }},
		yamldoc.Field{Name: "deniedVersions", Read: func(n *yaml.Node) { r.p.DeniedVersions = r.versions(n) }},
	)
	switch {
	case !ok:
		return
	case version == nil:
		r.Fail(n, "version: 1", "the policy does not say its version")
		return
	}
	if v := r.Number(version); v != nil && *v != 1 {
		r.Fail(version, "version: 1", "version %d is not known", *v)
		return
	}
	if signers != nil {
		r.signers(signers)
	}
	if compilers != nil {
		r.p.Compilers = r.names(compilers)
	}
	if packages != nil {
		r.List(packages, maxPackages, r.entry)
	}
}

// versions reads versions of wasmtime, whole or the beginning of one.
func (r *reader) versions(n *yaml.Node) []string {
	list := r.Texts(n, maxDenied)
	for _, v := range list {
		if !r.Failed() && (len(v) > 64 || strings.Trim(v, "0123456789.") != "" || strings.Trim(v, ".") != v || v == "") {
			r.Fail(n, "\"39.0.1\", or \"39.0\" for all of 39.0.x", "%.80q is no version of wasmtime", v)
		}
	}
	return list
}

// file reads a file that the policy names.
func (r *reader) file(n *yaml.Node, name string, limit int64) []byte {
	if r.opts.Open == nil {
		r.Fail(n, "put the content here", "a file cannot be read here: %.80q", name)
		return nil
	}
	text, err := r.opts.Open(name, limit)
	if err != nil {
		r.Fail(n, "", "%v", err)
		return nil
	}
	r.hash.add(name, string(text))
	return text
}

func (r *reader) root(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		r.store(n)
		return
	}
	name := r.Text(n)
	if name == "" {
		return
	}
	text := r.file(n, name, maxRoot)
	if text == nil {
		return
	}
	tr, err := root.NewTrustedRootFromJSON(text)
	if err != nil {
		r.Fail(n, "it is a trusted_root.json, as cosign trusted-root create writes it", "%s is no trusted root: %v", name, err)
		return
	}
	r.roots = append(r.roots, tr)
	r.p.Roots = append(r.p.Roots, name)
}

// Kinds of roots of Notation's signatures, as Notation calls its trust stores.
type store string

const (
	storeCA        store = "ca"
	storeAuthority store = "signingAuthority"
	storeTSA       store = "tsa"
)

// store reads certificates by which signatures of Notation are believed.
func (r *reader) store(n *yaml.Node) {
	var file *yaml.Node
	kind := storeCA
	ok := r.Mapping(
		n,
		yamldoc.Field{Name: "notation", Read: func(n *yaml.Node) { file = n }},
		yamldoc.Field{Name: "store", Read: func(n *yaml.Node) {
			kind = yamldoc.OneOf(r.Document, n, storeCA, storeAuthority, storeTSA)
		}},
	)
	if !ok || file == nil {
		r.Fail(n, "{notation: FILE}", "the root does not say which certificates")
		return
	}
	name := r.Text(file)
	if name == "" {
		return
	}
	text := r.file(file, name, maxRoot)
	if text == nil {
		return
	}
	certs, err := notation.ParseCertificates(text)
	if err != nil {
		r.Fail(file, "certificates in PEM", "%s: %v", name, err)
		return
	}
	to := map[store]*[]*x509.Certificate{
		storeCA: &r.p.material.Notation.CA, storeAuthority: &r.p.material.Notation.Authority, storeTSA: &r.p.material.Notation.TSA,
	}[kind]
	if to == nil {
		return // it is no kind that there is, which was reported
	}
	if *to = append(*to, certs...); len(*to) > notation.MaxRoots {
		r.Fail(n, "", "more than %d certificates of the store %s", notation.MaxRoots, kind)
	}
	r.hash.add("store", string(kind))
	r.p.Roots = append(r.p.Roots, name)
}

func (r *reader) signers(n *yaml.Node) {
	if !r.Is(n, yaml.MappingNode, "a mapping of names to signers") {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		switch {
		case len(r.p.Signers) >= maxSigners:
			r.Fail(name, "", "more than %d signers", maxSigners)
			return
		case name.Kind != yaml.ScalarNode || !yamldoc.IsName(name.Value):
			r.Name(name)
		case r.p.signer(name.Value) != nil:
			r.Fail(name, "", "%s is there twice", name.Value)
		default:
			r.In = "signer " + name.Value
			r.signer(name, n.Content[i+1])
			r.In = ""
		}
		if r.Full() {
			return
		}
	}
}

func (r *reader) signer(name, n *yaml.Node) {
	s := Signer{Name: name.Value}
	var where *yaml.Node
	ok := r.Mapping(
		n,
		yamldoc.Field{Name: "key", Read: func(n *yaml.Node) { r.key(n, &s) }},
		yamldoc.Field{Name: "notBefore", Read: func(n *yaml.Node) { s.NotBefore = r.time(n) }},
		yamldoc.Field{Name: "notAfter", Read: func(n *yaml.Node) { s.NotAfter = r.time(n) }},
		yamldoc.Field{Name: "notation", Read: func(n *yaml.Node) { r.subject(n, &s) }},
		yamldoc.Field{Name: "issuer", Read: func(n *yaml.Node) { s.Issuer = r.pattern(n) }},
		yamldoc.Field{Name: "identity", Read: func(n *yaml.Node) { s.Identity = r.pattern(n) }},
		yamldoc.Field{Name: "where", Read: func(n *yaml.Node) { s.Where, where = r.Text(n), n }},
	)
	if !ok || r.Failed() {
		return
	}
	byCertificate := s.Issuer != "" || s.Identity != "" || s.Notation != "" || where != nil
	everybody := strings.Trim(s.Issuer, "*") == ""
	switch {
	case s.Key != nil && byCertificate:
		r.Fail(n, "make two signers of it", "a signer has either a key, or what a certificate has to say")
	case s.Key == nil && !byCertificate:
		r.Fail(n, "key: FILE, or issuer: URL and identity: NAME", "the signer has neither a key nor an identity")
	case s.Notation != "" && s.Identity != "":
		r.Fail(n, "notation: SUBJECT is the identity", "a signer has either notation or identity")
	case s.Notation == "*" && everybody:
		r.Fail(n, "notation: O=Acme, or issuer: \"x509:CN=Acme Root,O=Acme\"", "whose certificates count has to be named, or who certifies them")
	case s.Notation != "" && len(r.p.material.Notation.CA)+len(r.p.material.Notation.Authority) == 0:
		r.Fail(n, "roots: [{notation: FILE}]", "no root is one of Notation's signatures, so that none is believed")
	case s.Notation != "":
	case s.Key == nil && everybody:
		r.Fail(n, "issuer: https://token.actions.githubusercontent.com", "who vouches for the identity has to be named")
	case s.Key == nil && s.Identity == "" && where == nil:
		r.Fail(n, "identity: NAME", "an issuer alone is everybody who has an account there")
	case s.Key == nil && (!s.NotBefore.IsZero() || !s.NotAfter.IsZero()):
		r.Fail(n, "certificates say themselves when they are good", "notBefore and notAfter are for keys")
	}
	if where != nil {
		s.where = r.compile(signerEnv, where)
	}
	r.p.Signers = append(r.p.Signers, s)
}

// subject reads what the subject of a certificate has to have in it.
func (r *reader) subject(n *yaml.Node, s *Signer) {
	if s.Notation = r.Text(n); s.Notation == "" || s.Notation == "*" {
		return
	}
	var err error
	if s.subject, err = notation.ParseSubject(s.Notation); err != nil {
		r.Fail(n, "notation: C=US, ST=WA, O=Acme", "%v", err)
	}
}

func (r *reader) key(n *yaml.Node, s *Signer) {
	text := []byte(r.Text(n))
	if len(text) == 0 {
		return
	}
	if !strings.HasPrefix(string(text), "-----BEGIN") {
		if text = r.file(n, string(text), key.MaxPEM); text == nil {
			return
		}
	}
	k, err := key.ParsePublic(text)
	if err != nil {
		r.Fail(n, "a public key in PEM, or the name of a file with one", "%v", err)
		return
	}
	s.Key, s.KeyID, s.Algorithm = k, k.ID(), k.Algorithm()
}

// time reads a time of RFC 3339, which YAML takes for a timestamp of its own.
func (r *reader) time(n *yaml.Node) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.Fail(n, "2026-01-31T00:00:00Z", "this has to be a time")
	}
	return t
}

// pattern reads a text in which "*" stands for something.
func (r *reader) pattern(n *yaml.Node) string {
	text := r.Text(n)
	if len(text) > maxPattern {
		r.Fail(n, "", "%d bytes are more than %d", len(text), maxPattern)
		return ""
	}
	return text
}

func (r *reader) entry(n *yaml.Node) {
	e := Package{Rules: []Rule{}}
	var accept, rules, compilers *yaml.Node
	ok := r.Mapping(
		n,
		yamldoc.Field{Name: "match", Read: func(n *yaml.Node) { e.Match = r.patterns(n) }},
		yamldoc.Field{Name: "rules", Read: func(n *yaml.Node) { rules = n }},
		yamldoc.Field{Name: "compilers", Read: func(n *yaml.Node) { compilers = n }},
		yamldoc.Field{Name: "pin", Read: func(n *yaml.Node) { e.Pin = yamldoc.OneOf(r.Document, n, "first-use") != "" }},
		yamldoc.Field{Name: "accept", Read: func(n *yaml.Node) {
			accept = n
			what := yamldoc.OneOf(r.Document, n, "unsigned", "nothing")
			e.Unsigned, e.Nothing = what == "unsigned", what == "nothing"
		}},
	)
	if !ok {
		return
	}
	if rules != nil {
		r.List(rules, maxRules, func(n *yaml.Node) { r.rule(n, &e) })
	}
	if compilers != nil {
		e.Compilers = r.names(compilers)
	}
	switch {
	case r.Failed():
	case len(e.Match) == 0:
		r.Fail(n, "match: prod/**", "the entry does not say which packages it is about")
	case accept != nil && (rules != nil || e.Pin):
		r.Fail(accept, "", "an entry has either accept, or rules and pin")
	case e.Nothing && compilers != nil:
		r.Fail(compilers, "", "nothing of these packages is accepted, native code neither")
	case accept == nil && len(e.Rules) == 0 && !e.Pin:
		r.Fail(n, "rules, pin: first-use, accept: unsigned or accept: nothing", "the entry does not say what has to be true of the packages")
	}
	r.p.Packages = append(r.p.Packages, e)
}

// patterns reads one pattern or a list of them.
func (r *reader) patterns(n *yaml.Node) []string {
	var list []string
	if n.Kind == yaml.ScalarNode {
		list = []string{r.Text(n)}
	} else {
		list = r.Texts(n, maxPatterns)
	}
	for _, p := range list {
		if err := checkPattern(strings.TrimPrefix(p, "!")); err != nil && !r.Failed() {
			r.Fail(n, "patterns look like team/*, registry.example.com/prod/** and !team/trial/**", "pattern %.80q: %v", p, err)
		}
	}
	if len(list) > 0 && strings.HasPrefix(list[0], "!") {
		r.Fail(n, "what is it an exception from?", "the first pattern takes away")
	}
	return list
}

// checkPattern refuses what matches no reference: what somebody wanted signed would be
// taken unsigned.
func checkPattern(p string) error {
	registry, named := registryOf(p)
	path := p
	if named {
		path = p[len(registry)+1:]
	}
	switch {
	case p == "":
		return errors.New("empty")
	case len(p) > maxPattern:
		return fmt.Errorf("longer than %d bytes", maxPattern)
	case strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/") || strings.Contains(p, "//"):
		return errors.New("begins or ends with a slash, or has two together")
	case registry == LayoutHost && named: // folders have any names
		return nil
	case strings.ContainsAny(path, "@: \t\r\n"):
		return errors.New("a pattern is of names, without tag, digest and spaces")
	}
	if named {
		if err := checkRegistry(registry); err != nil {
			return err
		}
	}
	return only(path, "._-/*")
}

// checkRegistry refuses what matches no registry.
func checkRegistry(p string) error {
	switch {
	case strings.ToLower(p) != p:
		return errors.New("registries are compared in lower case")
	case ref.CheckHost(strings.ReplaceAll(p, "*", "1")) != nil:
		return fmt.Errorf("%s is no registry", p)
	case hostName(p) != p:
		return fmt.Errorf("the port goes without saying: %s", hostName(p))
	}
	return nil
}

// only refuses what has other characters than lower-case letters, digits and others.
func only(text, others string) error {
	i := strings.IndexFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(others, c)
	})
	if i < 0 {
		return nil
	}
	c, _ := utf8.DecodeRuneInString(text[i:])
	return fmt.Errorf("no name has %q in it, so that it would match nothing: only * and ** stand for other characters", c)
}

func (r *reader) rule(n *yaml.Node, e *Package) {
	rule := Rule{Name: fmt.Sprintf("rule %d", len(e.Rules)+1), By: []string{}, Count: 1}
	outer := r.In
	r.In = rule.Name
	defer func() { r.In = outer }()
	var by, where *yaml.Node
	ok := r.Mapping(
		n,
		yamldoc.Field{Name: "name", Read: func(n *yaml.Node) {
			if rule.Name = r.Text(n); rule.Name != "" {
				r.In = fmt.Sprintf("rule %.80q", rule.Name)
			}
		}},
		yamldoc.Field{Name: "by", Read: func(n *yaml.Node) { by = n }},
		yamldoc.Field{Name: "count", Read: func(n *yaml.Node) { rule.Count = r.count(n) }},
		yamldoc.Field{Name: "attestation", Read: func(n *yaml.Node) { rule.Attestation = r.predicateType(n) }},
		yamldoc.Field{Name: "where", Read: func(n *yaml.Node) { rule.Where, where = r.Text(n), n }},
		yamldoc.Field{Name: "log", Read: func(n *yaml.Node) { rule.Log = yamldoc.OneOf(r.Document, n, Required, Optional) }},
		yamldoc.Field{Name: "timestamp", Read: func(n *yaml.Node) { rule.Timestamp = yamldoc.OneOf(r.Document, n, Required, Optional) }},
	)
	if !ok {
		return
	}
	if by == nil {
		r.Fail(n, "by: [SIGNER]", "the rule does not say who has to sign")
		return
	}
	r.by(by, &rule)
	if where != nil {
		rule.where = r.compile(ruleEnv, where)
	}
	if rule.Count > len(rule.By) && !r.Failed() {
		r.Fail(n, "each signer counts once", "%d of %d signers is never satisfied", rule.Count, len(rule.By))
	}
	e.Rules = append(e.Rules, rule)
}

func (r *reader) by(n *yaml.Node, rule *Rule) {
	rule.By = r.names(n)
	if len(rule.By) == 0 && !r.Failed() {
		r.Fail(n, "by: [SIGNER]", "the rule does not say who has to sign")
	}
}

// names reads a list of signers that there are. It is never nil.
func (r *reader) names(n *yaml.Node) []string {
	list := []string{}
	r.List(n, maxSigners, func(n *yaml.Node) {
		name := r.Text(n)
		switch {
		case name == "":
		case r.p.signer(name) == nil:
			var names []string
			for _, s := range r.p.Signers {
				names = append(names, s.Name)
			}
			hint := "signers name them"
			if meant := near.Nearest(name, names); meant != "" {
				hint = "did you mean " + meant + "?"
			}
			r.Fail(n, hint, "there is no signer %.80q", name)
		case slices.Contains(list, name):
			r.Fail(n, "", "%s is there twice", name)
		default:
			list = append(list, name)
		}
	})
	return list
}

func (r *reader) count(n *yaml.Node) int {
	v := r.Number(n)
	if v == nil {
		return 1
	}
	if *v < 1 || *v > maxSigners {
		r.Fail(n, "", "this has to be a number from 1 to %d", maxSigners)
		return 1
	}
	return int(*v)
}

func (r *reader) predicateType(n *yaml.Node) string {
	name := r.Text(n)
	if name == "" {
		return ""
	}
	t, err := attest.Type(name)
	if err != nil {
		hint := ""
		if meant := near.Nearest(name, attest.Names()); meant != "" {
			hint = "did you mean " + meant + "?"
		}
		r.Fail(n, hint, "%v", err)
	}
	return t
}

// compile compiles an expression. What is wrong with it is reported at its place in
// the file.
func (r *reader) compile(env func() *environment, n *yaml.Node) *expr {
	e, found := env().compile(n.Value)
	for _, f := range found {
		r.FailAt(n, f.Line, f.Column, f.Hint, "%s", f.Msg)
	}
	return e
}
