package catalog

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// A kind is the form of a parameter's value.
type kind int

const (
	kindText    kind = iota
	kindNumber       // decimal, from min to max
	kindFlag         // true or false
	kindWords        // words of enum with commas between them
	kindPackage      // ns:name
	kindVersion      // tag or digest
	kindPoint        // ns:name@version
	kindDigest
	kindDay // 2026-01-31
)

// A param is a parameter, as it is documented and checked.
type param struct {
	name     string
	doc      string
	kind     kind
	required bool
	enum     []string
	pattern  string // of kindText, anchored
	maxLen   int    // of kindText, in characters; 0 is maxText
	min, max int64  // of kindNumber; max of kindWords too, in words
	def      string // for the document and for what is absent
}

const (
	maxText    = 2000 // characters of a text
	policyName = `^[a-z0-9]+([._-][a-z0-9]+)*$`

	// Patterns for the document; the code asks package ref, which a test compares.
	packagePattern = `[a-z0-9]+((\.|__?|-+|:)[a-z0-9]+)*`
	tagPattern     = `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
	digestPattern  = `(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})`
)

// A request is a call of an operation whose parameters are of the documented
// form.
type request struct {
	http   *http.Request
	op     *operation
	caller policy.Principal
	sees   meta.Visibility

	path  map[string]string
	query map[string]string // those present, and defaults
	body  any               // a pointer to what op.body is

	format string // the media type of the answer that the caller prefers

	repo    string      // of the parameter package, "" without one
	version registryRef // of the parameter version
}

// A registryRef is a tag or a digest.
type registryRef struct {
	tag    string
	digest digest.Digest
}

func (r registryRef) String() string {
	if r.tag != "" {
		return r.tag
	}
	return r.digest.String()
}

// readPath checks the parameters of the path. What cannot be a name is not found
// rather than wrong.
func (q *request) readPath() error {
	for name, value := range q.path {
		p := pathParams[name]
		if err := p.check(value); err != nil {
			return p.problem(err)
		}
		if p.kind == kindPackage {
			q.repo, _ = wire.Repository(value) // checked
		}
		if p.kind == kindVersion {
			q.version, _ = parseVersion(value) // checked
		}
	}
	return nil
}

// readQuery checks the parameters behind the question mark. Unknown ones are
// refused: a filter that is misspelt would find too much.
func (q *request) readQuery() error {
	raw, err := url.ParseQuery(q.http.URL.RawQuery)
	if err != nil {
		return &wire.Problem{
			Code: wire.CodeBadRequest, Detail: "the part of the address behind ? cannot be read",
			Hint: "escape what is no letter or digit",
		}
	}
	q.query = make(map[string]string, len(raw))
	for name, values := range raw {
		i := slices.IndexFunc(q.op.query, func(p param) bool { return p.name == name })
		switch {
		case i < 0:
			return &wire.Problem{
				Code: wire.CodeBadRequest, Parameter: clip(strings.ToValidUTF8(name, "")), Detail: "there is no such parameter here",
				Hint: "parameters are: " + strings.Join(q.op.parameterNames(), ", "),
			}
		case len(values) != 1:
			return q.op.query[i].problem(fmt.Errorf("it is given %d times", len(values)))
		}
		if err := q.op.query[i].check(values[0]); err != nil {
			return q.op.query[i].problem(err)
		}
		q.query[name] = values[0]
	}
	for _, p := range q.op.query {
		if _, ok := q.query[p.name]; ok {
			continue
		}
		if p.required {
			return p.problem(fmt.Errorf("it is missing"))
		}
		if p.def != "" {
			q.query[p.name] = p.def
		}
	}
	return nil
}

func (op *operation) parameterNames() []string {
	names := make([]string, len(op.query))
	for i, p := range op.query {
		names[i] = p.name
	}
	if len(names) == 0 {
		return []string{"none"}
	}
	return names
}

func (p param) problem(err error) error {
	return &wire.Problem{Code: wire.CodeBadRequest, Parameter: p.name, Detail: err.Error(), Hint: p.doc}
}

// check reports why value is not of p's form.
func (p param) check(value string) error {
	switch p.kind {
	case kindNumber:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < p.min || n > p.max || value[0] == '+' {
			return fmt.Errorf("%q is no number from %d to %d", clip(value), p.min, p.max)
		}
	case kindFlag:
		if value != "true" && value != "false" {
			return fmt.Errorf("%q is neither true nor false", clip(value))
		}
	case kindWords:
		if n := strings.Count(value, ",") + 1; int64(n) > p.max {
			return fmt.Errorf("it has %d words, more than %d", n, p.max)
		}
		for word := range strings.SplitSeq(value, ",") {
			if !slices.Contains(p.enum, word) {
				return fmt.Errorf("%q is none of %s", clip(word), strings.Join(p.enum, ", "))
			}
		}
	case kindPackage:
		_, err := wire.Repository(value)
		return err
	case kindVersion:
		_, err := parseVersion(value)
		return err
	case kindPoint:
		_, _, err := parsePoint(value)
		return err
	case kindDigest:
		_, err := ref.ParseDigest(value)
		return err
	case kindDay:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			return fmt.Errorf("%q is no day of the form 2026-01-31", clip(value))
		}
	default:
		return p.checkText(value)
	}
	return nil
}

func (p param) checkText(value string) error {
	longest := p.maxLen
	if longest == 0 {
		longest = maxText
	}
	switch {
	case !utf8.ValidString(value):
		return fmt.Errorf("it is not UTF-8")
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("it has a zero byte")
	case utf8.RuneCountInString(value) > longest:
		return fmt.Errorf("it has more than %d characters", longest)
	case len(p.enum) > 0 && !slices.Contains(p.enum, value):
		return fmt.Errorf("%q is none of %s", clip(value), strings.Join(p.enum, ", "))
	case p.pattern != "" && !compiled(p.pattern).MatchString(value):
		return fmt.Errorf("%q is not of the form %s", clip(value), p.pattern)
	}
	return nil
}

var patterns sync.Map // of the table's patterns, few and constant

func compiled(pattern string) *regexp.Regexp {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(pattern)
	patterns.Store(pattern, re)
	return re
}

// parseVersion reads a tag or a digest.
func parseVersion(s string) (registryRef, error) {
	if strings.Contains(s, ":") {
		d, err := ref.ParseDigest(s)
		return registryRef{digest: d}, err
	}
	if err := ref.CheckTag(s); err != nil {
		return registryRef{}, err
	}
	return registryRef{tag: s}, nil
}

// parsePoint reads package@version.
func parsePoint(s string) (repo string, v registryRef, err error) {
	name, version, ok := strings.Cut(s, "@")
	if !ok {
		return "", v, fmt.Errorf("%q has no @ between package and version", clip(s))
	}
	if repo, err = wire.Repository(name); err != nil {
		return "", v, err
	}
	v, err = parseVersion(version)
	return repo, v, err
}

// text, number and flag give parameters that are known to be of their form.
func (q *request) text(name string) string { return q.query[name] }

func (q *request) number(name string) int64 {
	n, _ := strconv.ParseInt(q.query[name], 10, 64) // checked; absent is 0
	return n
}

func (q *request) words(name string) []string {
	if q.query[name] == "" {
		return nil
	}
	return strings.Split(q.query[name], ",")
}

func (q *request) limit() int { return int(q.number("limit")) }
