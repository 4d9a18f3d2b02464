package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/wreg-project/wreg/internal/glob"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/verify"
)

// Bounds on what is told of signatures.
const (
	maxSignatures      = 256      // of one manifest, of each kind
	maxPredicate       = 64 << 10 // bytes
	maxPredicateValues = 4096     // of one predicate
	maxPredicateDepth  = 32
)

// signatureFacts are the facts that SignatureFacts makes.
var signatureFacts = []string{"signatures", "attestations", "refusedSignatures", "publisher"}

// predicateFact stands for the predicates of attestations among the facts that are
// read.
const predicateFact = "attestations.predicate"

// hintSign is for who pushes something unsigned, most often with a client that
// cannot do otherwise.
const hintSign = "Push with wpkg push --sign, which pushes signatures first; or push to a staging repository, sign there, " +
	"and use wpkg copy --promote"

// hintStranger is for who has signed, and is not known.
const hintStranger = "It is signed, and by nobody whom this registry trusts: an administrator adds the key or root, " +
	"in trust.keys or trust.roots or by PUT /api/v1/trust/NAME"

// hintReferrer is for who wrote a rule that no signature can satisfy, since each is a
// manifest too, which is pushed first.
const hintReferrer = "What refers to a package, as its signature does, has no tag and no signature, and comes first: a rule about tags " +
	"begins with pkg.tags.size() == 0 ||, as in wpkg policy ready only-signed-tags"

// hintSigned says what to do about a manifest that a rule about signatures refused.
func hintSigned(f *Facts) string {
	switch {
	case f.Package.Referrer && len(f.Package.Tags) == 0:
		return hintReferrer
	case len(f.Signatures) == 0 && len(f.RefusedSignatures) > 0:
		return hintStranger
	}
	return hintSign
}

// Signed is what was found out about the signatures of one manifest.
type Signed struct {
	// Proofs are those of signatures and attestations that were verified. One of an
	// attestation without a predicate has one that is too long.
	Proofs    []*verify.Proof
	Refused   []RefusedSignature
	Publisher string // "" if nobody stands for the package
}

// SignatureFacts sets what rules can ask about signatures. If there is more than
// rules can be asked about it is unknown.
func (f *Facts) SignatureFacts(s Signed) error {
	if len(s.Proofs) > maxSignatures || len(s.Refused) > maxSignatures {
		f.Unsigned(fmt.Sprintf("%d signatures and %d that prove nothing are more than %d", len(s.Proofs), len(s.Refused), maxSignatures))
		return nil
	}
	f.Signatures, f.Attestations, f.RefusedSignatures = []Signature{}, []Attestation{}, []RefusedSignature{}
	for _, p := range s.Proofs {
		one, err := signatureOf(p)
		if err != nil {
			return err
		}
		if p.PredicateType == signing.PredicateSignature {
			f.Signatures = append(f.Signatures, one)
			continue
		}
		a := Attestation{
			PredicateType: clean(p.PredicateType), Predicate: map[string]any{}, Form: one.Form, Key: one.Key, KeyID: one.KeyID,
			Identity: one.Identity, Issuer: one.Issuer, Claims: one.Claims, Logged: one.Logged, Time: one.Time,
		}
		if v, ok := predicate(p.Predicate); ok {
			a.Predicate = v
		} else {
			a.Cut = true
		}
		f.Attestations = append(f.Attestations, a)
	}
	for _, r := range s.Refused {
		r.Problem, _ = cut(clean(r.Problem), maxText)
		f.RefusedSignatures = append(f.RefusedSignatures, r)
	}
	f.Publisher = s.Publisher
	return nil
}

// Unsigned says why nothing is known of signatures, so that rules that read
// anything about them count as violated.
func (f *Facts) Unsigned(why string) {
	if f.Unknown == nil {
		f.Unknown = map[string]string{}
	}
	for _, fact := range signatureFacts {
		f.Unknown[fact] = why
	}
}

func signatureOf(p *verify.Proof) (Signature, error) {
	s := Signature{Form: string(p.Form), Logged: p.Log != nil, Claims: map[string]string{}}
	if len(p.Times) > 0 {
		s.Time = p.Times[0].Time.UTC().Format(time.RFC3339)
	}
	if p.Key != nil {
		s.Key, s.KeyID = p.Key.Name, p.Key.ID
	}
	if c := p.Certificate; c != nil {
		s.Identity, s.Issuer = c.Identity, c.Issuer
		text, err := json.Marshal(c.Claims)
		if err == nil {
			err = json.Unmarshal(text, &s.Claims)
		}
		if err != nil {
			return s, fmt.Errorf("claims of the certificate in %s: %w", p.Manifest, err)
		}
	}
	return s, nil
}

// predicate reads a predicate; it is not ok if that is beyond the bounds.
func predicate(text json.RawMessage) (v any, ok bool) {
	if len(text) == 0 || len(text) > maxPredicate || deep(text) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	values := 0
	v = numbers(v, &values)
	return v, v != nil && values <= maxPredicateValues
}

// deep reports whether JSON nests deeper than maxPredicateDepth.
func deep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxPredicateDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// numbers makes numbers int64 where that is exact, and else float64, and counts
// values.
func numbers(v any, values *int) any {
	*values++
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // beyond what expressions can compute with
		}
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i], values)
		}
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name], values)
		}
	}
	return v
}

// A signed is a signature or an attestation.
type signed interface{ Signature | Attestation }

// by gives who made a signature or an attestation.
func by[T signed](fact *T) (key, id, identity, issuer string) {
	switch s := any(fact).(type) {
	case *Signature:
		return s.Key, s.KeyID, s.Identity, s.Issuer
	case *Attestation:
		return s.Key, s.KeyID, s.Identity, s.Issuer
	}
	return "", "", "", ""
}

// isIdentity reports whether a pattern is about identities: e-mail addresses and
// URIs. Names of keys have neither of these characters, so that nobody gets a
// certificate for the name of a key.
func isIdentity(pattern string) bool { return strings.ContainsAny(pattern, ":@") }

// signedBy gives those that one of wanted, a pattern or a list of them, fits; with
// issuer all of them are about identities.
func signedBy[T signed](list, wanted, issuer ref.Val) ref.Val {
	var globs []string
	if p, ok := wanted.(types.String); ok {
		globs = []string{string(p)}
	} else {
		each(wanted, func(s string) bool {
			globs = append(globs, s)
			return true
		})
	}
	vouches := "**"
	if issuer != nil {
		vouches = string(issuer.(types.String))
	}
	for _, p := range append(slices.Clone(globs), vouches) {
		if err := checkGlob(p); err != nil {
			return types.WrapErr(err)
		}
	}
	m := glob.New()
	some := kept(list, func(fact *T) bool {
		key, _, identity, from := by(fact)
		return slices.ContainsFunc(globs, func(p string) bool {
			switch {
			case !m.Step():
				return false
			case key != "":
				return issuer == nil && !isIdentity(p) && m.Match(key, p)
			}
			return (issuer != nil || isIdentity(p)) && identity != "" && m.Match(identity, p) && m.Match(from, vouches)
		})
	})
	if err := m.Err(); err != nil {
		return types.WrapErr(err)
	}
	return some
}

// signers gives who made signatures or attestations, each once.
func signers[T signed](list ref.Val) ref.Val {
	who := []string{}
	eachOf(list, func(fact *T) bool {
		_, id, identity, issuer := by(fact)
		name := id
		if id == "" {
			name = identity + " (" + issuer + ")"
		}
		if !slices.Contains(who, name) {
			who = append(who, name)
		}
		return true
	})
	return listOf(who)
}

func checkPredicateType(name string) error {
	_, err := attest.Type(name)
	return err
}

func attestationsOf(list, name ref.Val) ref.Val {
	uri, err := attest.Type(string(name.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return kept(list, func(a *Attestation) bool { return attest.Name(a.PredicateType) == attest.Name(uri) })
}
