package catalog

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
)

// An operation is one thing that can be asked: a line of the table in
// operations.go.
type operation struct {
	id      string // camelCase: the operationId of the document, and its name in logs
	method  string
	path    string // below wire.Base, with {parameters}
	summary string
	detail  string // more for the document; may be empty

	// Who may ask. Without any of these it is a reading of what the caller may
	// see. An action is in the package of the path, or in the installation.
	action policy.Action
	public bool // anybody, credentials or not
	named  bool // nobody anonymous

	query   []param
	body    any   // a zero value of what a request holds; nil for none
	example any   // of a body, for the document; nil for none
	maxBody int64 // bytes

	status  int         // of success; 0 is 200
	answer  any         // a zero value of what an answer holds; nil for none
	none    bool        // may be answered with 204 and nothing
	formats []format    // other forms of the answer
	fails   []wire.Code // besides those that any operation of its form has
	heavy   bool        // bounded in number
	matches bool        // honours If-Match and If-None-Match of writes
	serve   func(*API, context.Context, *request) (answer, error)
	stream  func(*API, http.ResponseWriter, *request) error // instead of serve
	segs    []string
}

// A format is a form of an answer other than JSON.
type format struct {
	mediaType string
	value     any // a zero value of what it holds; a text for any
}

// offers are the media types of op's answer, the usual one first.
func (op *operation) offers() (list []string) {
	if op.answer != nil {
		list = append(list, wire.MediaTypeJSON)
	}
	for _, f := range op.formats {
		list = append(list, f.mediaType)
	}
	return list
}

// pathParams are the parameters that paths may have. A parameter of a path means
// the same in all of them.
var pathParams = map[string]param{
	"package": {
		name: "package", kind: kindPackage, doc: "A package, with : between the parts of its name: ns:name is repository ns/name.",
	},
	"version": {name: "version", kind: kindVersion, doc: "A tag or a digest. Write a version's + as _, as tags do."},
	"name":    {name: "name", kind: kindText, pattern: policyName, maxLen: 100, doc: "A policy's name."},
	"entry":   {name: "entry", kind: kindText, pattern: `^[a-z0-9][a-z0-9._-]{0,63}$`, maxLen: 64, doc: "The name of a trusted key or root."},
	"id":      {name: "id", kind: kindNumber, min: 1, max: 1<<63 - 1, doc: "A job's id."},
	"lease": {
		name: "lease", kind: kindText, pattern: `^[A-Z2-7]{26}$`, maxLen: 26, doc: "The name of a lease, as it was given with the job.",
	},
	"advisory": {
		name: "advisory", kind: kindText, maxLen: 256,
		doc: "An advisory's id or another name of the same vulnerability: GO-2023-2102, GHSA-4374-p667-p6c8, CVE-2023-39325.",
	},
	"hash": {
		name: "hash", kind: kindText, pattern: `^[0-9a-f]{16,64}$`, maxLen: 64,
		doc: "A function's normalised hash, or its first 16 hexadecimal digits, by which the index goes.",
	},
	"interface": {
		name: "interface", kind: kindText, maxLen: 512,
		doc: "The name of an interface, wasi:http/types@0.2.0, or of a module of imports. Its slash may be written as %2F or as it is.",
	},
}

// route finds the operation of a request.
func (a *API) route(q *request) error {
	path := q.http.URL.EscapedPath()
	rest, ok := strings.CutPrefix(path, wire.Base+"/")
	if !ok {
		return noAddress(path)
	}
	segments := strings.Split(rest, "/")
	var best *operation
	var values map[string]string
	var methods []string
	for _, op := range a.routes {
		v, ok := op.match(segments)
		if !ok {
			continue
		}
		if best != nil && op.path != best.path {
			if op.fixed() < best.fixed() {
				continue
			}
			methods = nil // the words of this path fit where the other has a parameter
			best, values = nil, nil
		}
		methods = append(methods, op.methods()...)
		if best == nil || slices.Contains(op.methods(), q.http.Method) {
			best, values = op, v
		}
	}
	switch {
	case best == nil:
		return noAddress(path)
	case !slices.Contains(best.methods(), q.http.Method):
		slices.Sort(methods)
		return &methodError{slices.Compact(methods)}
	}
	q.op, q.path = best, values
	return nil
}

func noAddress(path string) error {
	return &wire.Problem{
		Code: wire.CodeNotFound, Detail: "there is nothing at " + clip(path), Hint: "GET " + wire.Base + "/openapi.json describes what there is",
	}
}

// methods are those that op answers: what can be got has a head.
func (op *operation) methods() []string {
	if op.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{op.method}
}

// fixed counts the segments of op's path that are words.
func (op *operation) fixed() (n int) {
	for _, s := range op.segs {
		if !strings.HasPrefix(s, "{") {
			n++
		}
	}
	return n
}

// match holds the escaped segments of an address against op's path and gives the
// values of its parameters. The parameter interface, always last, takes what is
// left: names of interfaces have slashes.
func (op *operation) match(segments []string) (map[string]string, bool) {
	if n := len(op.segs); n > 0 && op.segs[n-1] == "{interface}" && len(segments) > n {
		segments = append(slices.Clone(segments[:n-1]), strings.Join(segments[n-1:], "/"))
	}
	if len(segments) != len(op.segs) {
		return nil, false
	}
	var values map[string]string
	for i, want := range op.segs {
		name, ok := strings.CutPrefix(want, "{")
		if !ok {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" {
			return nil, false
		}
		if values == nil {
			values = make(map[string]string)
		}
		values[strings.TrimSuffix(name, "}")] = value
	}
	return values, true
}

// methodError is a method that an address does not have.
type methodError struct{ allow []string }

func (e *methodError) Error() string { return "method not among " + strings.Join(e.allow, ", ") }

// clip keeps hostile input out of messages past the first 80 bytes.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
