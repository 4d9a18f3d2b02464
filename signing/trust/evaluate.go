package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/internal/glob"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/notation"
	"github.com/wreg-project/wreg/signing/verify"
)

// ErrRefused is of a package that the policy does not allow.
var ErrRefused = errors.New("refused by the trust policy")

// A Question is about one manifest.
type Question struct {
	Host       string // of the registry, "" where that goes without saying
	Repository string
	Subject    digest.Digest

	Proofs  []*verify.Proof // of signatures that were verified as of Subject
	Refused []Refusal       // of those that were not

	// Now is when it is asked, against which proofs that hold for a time only are held.
	// Zero is now.
	Now time.Time

	// Pins remember who signed first. Without them, packages whose signers are to
	// be pinned are refused.
	Pins Pins
}

func (q *Question) name() string { return Name(q.Host, q.Repository) }

// Name is what pins call a package: one registry has one name, however it is written.
// Without a host it is the repository.
func Name(host, repository string) string {
	if host == "" {
		return repository
	}
	return hostName(host) + "/" + repository
}

// A Refusal is a signature that proves nothing.
type Refusal struct {
	Form     signing.Form  `json:"form"`
	Manifest digest.Digest `json:"manifest"` // that carries it
	Reason   string        `json:"reason"`
}

// A Principal is who signed: a key, or an identity and who vouches for it.
type Principal struct {
	Key      string `json:"key,omitempty"` // ID
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
}

// String is for people: "key 3f2a…", "alice@example.com (https://accounts.example.com)".
func (p Principal) String() string {
	if p.Key != "" {
		return fmt.Sprintf("key %.16s…", p.Key)
	}
	return fmt.Sprintf("%s (%s)", p.Identity, p.Issuer)
}

// PrincipalOf is who made a signature.
func PrincipalOf(p *verify.Proof) Principal {
	if p.Key != nil {
		return Principal{Key: p.Key.ID}
	}
	return Principal{Identity: p.Certificate.Identity, Issuer: p.Certificate.Issuer}
}

// A Result is an answer, and why.
type Result struct {
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // one sentence for people
	Pattern string `json:"pattern,omitempty"`
	Policy  string `json:"policy"` // version

	// Until is when one of the proofs ends, so that who remembers the answer asks
	// again; zero is never. Only signatures of Notation end.
	Until time.Time `json:"until,omitzero"`

	Rules   []RuleResult `json:"rules"`
	Pinned  []Principal  `json:"pinned,omitempty"` // who has to sign, as an entry pins
	Refused []Refusal    `json:"refused"`
}

// A RuleResult is what became of one rule.
type RuleResult struct {
	Name      string `json:"name"`
	Satisfied bool   `json:"satisfied"`
	Got       int    `json:"got"`  // different signers
	Want      int    `json:"want"` // at least
	Wants     string `json:"wants"`

	By     []Counted `json:"by"`     // one for each signer that counts
	Missed []Missed  `json:"missed"` // signatures that do not count
}

// A Counted is a signature that counts for a rule.
type Counted struct {
	Signer        string        `json:"signer"` // as the policy names it
	Principal     Principal     `json:"principal"`
	Form          signing.Form  `json:"form"`     // how it is stored
	Manifest      digest.Digest `json:"manifest"` // that carries the signature
	PredicateType string        `json:"predicateType"`
	Time          *time.Time    `json:"time,omitempty"`
	LogIndex      *int64        `json:"logIndex,omitempty"`

	proof *verify.Proof
}

// A Missed is a verified signature that does not count for a rule.
type Missed struct {
	Principal Principal     `json:"principal"`
	Manifest  digest.Digest `json:"manifest"`
	Reason    string        `json:"reason"`
}

// Err is nil if the package is allowed, else ErrRefused with the reason.
func (r Result) Err() error {
	if r.Allowed {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrRefused, r.Reason)
}

// Publisher is the first signature, no attestation, that counts for a rule; nil is
// none.
func (r Result) Publisher() *Counted {
	for _, rule := range r.Rules {
		for i, c := range rule.By {
			if c.PredicateType == signing.PredicateSignature {
				return &rule.By[i]
			}
		}
	}
	return nil
}

// PublisherName is who made that signature: the identity of a certificate, or the
// name of the key in the policy; "" is nobody.
func (r Result) PublisherName() string {
	by := r.Publisher()
	switch {
	case by == nil:
		return ""
	case by.Principal.Identity != "":
		return by.Principal.Identity
	}
	return by.Signer
}

// Evaluate decides whether what is proved is enough. It does not verify: Proofs have
// to be what the policy's own Verifier gave for Subject. The error is that of ctx or
// of the pins; with one, nothing is allowed.
func (p *Policy) Evaluate(ctx context.Context, q Question) (Result, error) {
	q.lapse()
	r := Result{Policy: p.version, Until: q.until(), Rules: []RuleResult{}, Refused: slices.Concat([]Refusal{}, q.Refused)}
	if err := ctx.Err(); err != nil {
		r.Reason = err.Error()
		return r, err
	}
	e, pattern, err := p.entry(q.Host, q.Repository)
	r.Pattern = pattern
	switch {
	case err != nil:
		r.Reason = fmt.Sprintf("which entry is about %s cannot be told: %v", q.name(), err)
		return r, nil
	case e == nil:
		r.Allowed = p.Default == Accept
		r.Reason = fmt.Sprintf("no entry is about %s, and the default is %s", q.name(), p.Default)
		return r, nil
	case e.Unsigned || e.Nothing:
		r.Allowed = e.Unsigned
		r.Reason = map[bool]string{true: "the entry accepts what is unsigned", false: "the entry accepts nothing"}[e.Unsigned]
		return r, nil
	}
	r.Allowed = true
	var wrong []string
	for i := range e.Rules {
		one, err := p.rule(ctx, &q, &e.Rules[i])
		if err != nil {
			return Result{Policy: p.version, Reason: err.Error()}, err
		}
		if !one.Satisfied {
			r.Allowed = false
			wrong = append(wrong, one.problem(len(q.Proofs), len(q.Refused)))
		}
		r.Rules = append(r.Rules, one)
	}
	r.Reason = strings.Join(wrong, "; ")
	switch {
	case len(e.Rules) == 0:
		r.Reason = "the entry has no rules"
	case r.Allowed:
		r.Reason = fmt.Sprintf("every rule is satisfied (%d)", len(e.Rules))
	}
	if r.Allowed && e.Pin {
		return p.pinned(ctx, &q, r)
	}
	return r, nil
}

// lapse moves the proofs that do not hold now to what is refused.
func (q *Question) lapse() {
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	var good []*verify.Proof
	for _, proof := range q.Proofs {
		if err := proof.Good(q.Now); err != nil {
			q.Refused = append(slices.Clip(q.Refused), Refusal{Form: proof.Form, Manifest: proof.Manifest, Reason: err.Error()})
			continue
		}
		good = append(good, proof)
	}
	q.Proofs = good
}

// until is when the first of the proofs ends, zero if none does.
func (q *Question) until() (first time.Time) {
	for _, proof := range q.Proofs {
		if v := proof.Valid; v != nil && !v.Until.IsZero() && (first.IsZero() || v.Until.Before(first)) {
			first = v.Until
		}
	}
	return first
}

// rule holds the proofs against one rule.
func (p *Policy) rule(ctx context.Context, q *Question, rule *Rule) (RuleResult, error) {
	r := RuleResult{Name: rule.Name, Want: rule.Count, Wants: rule.Wants(), By: []Counted{}, Missed: []Missed{}}
	var edges []Counted
	var others []Missed // of other types, which say the least of why the rule is not satisfied
	for _, proof := range q.Proofs {
		found, reason := p.counts(ctx, q, rule, proof)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		missed := Missed{Principal: PrincipalOf(proof), Manifest: proof.Manifest, Reason: reason}
		switch {
		case len(found) > 0:
			edges = append(edges, found...)
		case sameType(proof.PredicateType, rule.predicateType()):
			r.Missed = append(r.Missed, missed)
		default:
			others = append(others, missed)
		}
	}
	r.Missed = append(r.Missed, others...)
	r.By = different(edges)
	r.Got = len(r.By)
	r.Satisfied = r.Got >= r.Want
	return r, nil
}

// predicateType is what signatures have to be of to count for the rule.
func (rule Rule) predicateType() string {
	if rule.Attestation == "" {
		return signing.PredicateSignature
	}
	return rule.Attestation
}

// Wants says what a rule wants, for people: "signed by release".
func (rule Rule) Wants() string {
	what := "signed"
	if rule.Attestation != "" {
		what = "attested (" + attest.Name(rule.Attestation) + ")"
	}
	if len(rule.By) == 1 {
		return what + " by " + rule.By[0]
	}
	return fmt.Sprintf("%s by %d of %s", what, rule.Count, strings.Join(rule.By, ", "))
}

// problem says why a rule is not satisfied.
func (r *RuleResult) problem(proofs, refused int) string {
	s := fmt.Sprintf("%s: it has to be %s, and ", r.Name, r.Wants)
	switch {
	case proofs+refused == 0:
		return s + "nothing is signed"
	case r.Got > 0:
		return s + fmt.Sprintf("%d of %d signers count", r.Got, r.Want)
	case len(r.Missed) == 0:
		return s + fmt.Sprintf("no signature can be verified (%d refused)", refused)
	}
	return s + fmt.Sprintf("none of %d verified signatures counts: %s: %s", proofs, r.Missed[0].Principal, r.Missed[0].Reason)
}

// counts gives the signers of the rule that a proof can count for, or why there are
// none.
func (p *Policy) counts(ctx context.Context, q *Question, rule *Rule, proof *verify.Proof) ([]Counted, string) {
	want := rule.predicateType()
	if !sameType(proof.PredicateType, want) {
		return nil, fmt.Sprintf("it is of type %s, and %s is wanted", attest.Name(proof.PredicateType), attest.Name(want))
	}
	if rule.Log == Required && proof.Log == nil {
		return nil, "no transparency log is known to have it"
	}
	if rule.Log == "" && proof.Log == nil && proof.Certificate != nil && proof.Form != signing.FormNotation && p.logs {
		return nil, "no transparency log is known to have it, which signatures with certificates need unless the rule says log: optional"
	}
	if rule.Timestamp == Required && len(proof.Times) == 0 {
		return nil, "no trusted clock says when it was made"
	}
	var found []Counted
	var why []string
	for _, name := range rule.By {
		s := p.signer(name)
		if err := s.made(ctx, q, proof); err != nil {
			why = append(why, name+": "+err.Error())
			continue
		}
		found = append(found, counted(name, proof))
	}
	if len(found) == 0 {
		return nil, "it is by nobody that the rule names: " + strings.Join(why, "; ")
	}
	if rule.where != nil {
		if err := rule.where.check(ctx, q, proof); err != nil {
			return nil, err.Error()
		}
	}
	return found, ""
}

// sameType reports whether a predicate is of the type that is wanted, or of a
// version of it. A short name is no type, whoever signs it.
func sameType(got, want string) bool {
	return got == want || strings.Contains(got, ":") && attest.Name(got) == attest.Name(want)
}

// check is nil if the condition holds for a proof.
func (e *expr) check(ctx context.Context, q *Question, proof *verify.Proof) error {
	values, err := e.values(q, proof)
	if err != nil {
		return err
	}
	ok, err := e.holds(ctx, values)
	switch {
	case err != nil:
		return fmt.Errorf("where: %w", err)
	case !ok:
		return errors.New("where does not hold")
	}
	return nil
}

// made is nil if the signature is the signer's.
func (s *Signer) made(ctx context.Context, q *Question, proof *verify.Proof) error {
	switch {
	case s.Key != nil && proof.Key == nil:
		return errors.New("that is a key, and this is a certificate")
	case s.Key != nil && proof.Key.ID != s.KeyID:
		return fmt.Errorf("that is key %.16s…, and this is key %.16s…", s.KeyID, proof.Key.ID)
	case s.Key != nil:
		return nil
	case proof.Certificate == nil:
		return errors.New("that is an identity, and this is a key")
	case s.Notation != "" && proof.Form != signing.FormNotation:
		return errors.New("that signs as Notation does, and this is another signature")
	case s.Notation == "" && proof.Form == signing.FormNotation:
		return errors.New("that is an identity, and this is a signature of Notation")
	}
	c := proof.Certificate
	if err := s.isSubject(c.Identity); err != nil {
		return err
	}
	for _, part := range []struct{ what, pattern, text string }{{"issuer", s.Issuer, c.Issuer}, {"identity", s.Identity, c.Identity}} {
		if ok, err := like(part.pattern, part.text); err != nil {
			return fmt.Errorf("%s %.200q: %w", part.what, part.text, err)
		} else if !ok {
			return fmt.Errorf("the %s is %.200q, and has to be %q", part.what, part.text, part.pattern)
		}
	}
	if s.where != nil {
		return s.where.check(ctx, q, proof)
	}
	return nil
}

// isSubject is nil if the subject of a certificate has in it what the signer's has to
// have. Anybody's has, if it is no signer of Notation's, or one by the issuer alone.
func (s *Signer) isSubject(text string) error {
	if s.subject == nil {
		return nil
	}
	got, err := notation.ParseSubject(text)
	if err != nil {
		return fmt.Errorf("%.200q: %w", text, err)
	}
	return s.subject.Within(got)
}

// like reports whether text is what a pattern says: the same, or if there is a star
// in it, what it stands for. An empty one says nothing.
func like(pattern, text string) (bool, error) {
	if pattern == "" {
		return true, nil
	}
	if !strings.Contains(pattern, "*") {
		return pattern == text, nil
	}
	m := glob.New()
	ok := m.Match(text, pattern)
	return ok, m.Err()
}

func counted(signer string, proof *verify.Proof) Counted {
	c := Counted{
		Signer: signer, Principal: PrincipalOf(proof), Form: proof.Form, Manifest: proof.Manifest, PredicateType: proof.PredicateType, proof: proof,
	}
	if len(proof.Times) > 0 {
		c.Time = &proof.Times[0].Time
	}
	if proof.Log != nil {
		c.LogIndex = &proof.Log.Index
	}
	return c
}

// different chooses among what could count the most of which no two are by the same
// principal and no two for the same signer: one person with two keys that the
// policy gives one name, or one key under two names, is one signer. It is a
// matching of greatest size, found by augmenting paths.
func different(edges []Counted) []Counted {
	var signers []string
	for _, e := range edges {
		if !slices.Contains(signers, e.Signer) {
			signers = append(signers, e.Signer)
		}
	}
	taken := map[Principal]Counted{}
	for _, s := range signers {
		augment(edges, s, taken, map[Principal]bool{})
	}
	list := []Counted{}
	for _, s := range signers {
		for _, c := range taken {
			if c.Signer == s {
				list = append(list, c)
			}
		}
	}
	return list
}

// augment finds a principal for a signer, and another one for whom that takes it
// from. seen bounds it: no principal is asked twice.
func augment(edges []Counted, signer string, taken map[Principal]Counted, seen map[Principal]bool) bool {
	for _, e := range edges {
		if e.Signer != signer || seen[e.Principal] {
			continue
		}
		seen[e.Principal] = true
		had, ok := taken[e.Principal]
		if !ok || augment(edges, had.Signer, taken, seen) {
			taken[e.Principal] = e
			return true
		}
	}
	return false
}
