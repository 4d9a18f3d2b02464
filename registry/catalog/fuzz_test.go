package catalog

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// bodies are those that requests may have.
func bodies() (list []any) {
	for _, op := range operations() {
		if op.body != nil {
			list = append(list, op.body)
		}
	}
	return list
}

// The tags of bodies say only what the decoder enforces.
func TestTagsOfBodies(t *testing.T) {
	if len(bodies()) < 5 {
		t.Fatalf("%d bodies, want some", len(bodies()))
	}
	tag := regexp.MustCompile(`^(minLength|maxLength|minimum|maximum)=[0-9]+$|^format=package$|^enum=[a-z-]+$`)
	for _, body := range bodies() {
		typ := reflect.TypeOf(body)
		for i := range typ.NumField() {
			f := typ.Field(i)
			for item := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
				if item != "" && !tag.MatchString(item) {
					t.Errorf("%s.%s has the tag %q, which the decoder does not know", typ, f.Name, item)
				}
			}
			if f.Anonymous || f.Tag.Get("json") == "" {
				t.Errorf("%s.%s has no name in JSON of its own", typ, f.Name)
			}
		}
	}
}

// What is accepted as a body means the same when it is written again; what is
// refused is a problem with an offset in the body.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"reason":"x"}`, `{"policy":"rules: []","query":"lang:rust","limit":10}`, `{"package":"team:app","digest":"sha256:` +
			wire64 + `","reason":"r"}`,
		`[[[[[[[[[[]]]]]]]]]]`, `{"reason":{"reason":{}}}`, `{"reason":"\ud800"}`, `{"limit":1e3}`, `{"limit":99999999999999999999}`,
		"\xef\xbb\xbf{}", `null`, ``,
	} {
		for i := range bodies() {
			f.Add(i, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		list := bodies()
		typ := reflect.TypeOf(list[(which%len(list)+len(list))%len(list)])
		into := reflect.New(typ)
		err := decode(data, into.Interface())
		if err != nil {
			var p *wire.Problem
			if !errors.As(err, &p) || p.Offset == nil || *p.Offset < 0 || *p.Offset > int64(len(data)) {
				t.Fatalf("decode(%q) = %v, want a problem with an offset up to %d", data, err, len(data))
			}
			return
		}
		again, err := json.Marshal(into.Interface())
		if err != nil {
			t.Fatalf("decode(%q) = %+v, which cannot be written: %v", data, into.Interface(), err)
		}
		back := reflect.New(typ)
		if err := json.Unmarshal(again, back.Interface()); err != nil || !cmp.Equal(into.Interface(), back.Interface()) {
			t.Fatalf("decode(%q) = %+v, written %s, read %+v, %v", data, into.Interface(), again, back.Interface(), err)
		}
	})
}

// A cursor is taken only for the listing that made it.
func FuzzCursor(f *testing.F) {
	good, err := makeCursor("listPackages.1", "team/app")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "listPackages.1")
	f.Add(good, "listVersions.1")
	f.Add("AAAA", "")
	f.Add("bnVsbA", "x")
	f.Fuzz(func(t *testing.T, s, listing string) {
		var place string
		ok, err := readCursor(s, listing, &place)
		if !ok || err != nil {
			return
		}
		made, err := makeCursor(listing, place)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if ok, err := readCursor(made, listing, &back); !ok || err != nil || back != place {
			t.Fatalf("cursor %q of %q is %q, made again %q, %v, %v", s, listing, place, back, ok, err)
		}
		if ok, err := readCursor(made, listing+"x", &back); ok || err == nil {
			t.Fatalf("cursor %q of %q is one of another listing too", made, listing)
		}
	})
}

// The patterns of the document say what the code accepts.
func FuzzPatterns(f *testing.F) {
	for _, seed := range []string{
		"team:app", "a", "a.b", "a..b", "a__b", "a___b", "a---b", "a:", ":a", "A", "a/b", "a_.b", "1.0.0", "v1", "-1", ".1", "_",
		"sha256:" + wire64,
		"sha256:" + wire64[1:], "sha512:" + wire64 + wire64, "md5:" + wire64, "team:app@1.0.0", "team:app@sha256:" + wire64, "a@", "@b",
		"a\n", strings.Repeat("a", 256),
		strings.Repeat("a", 129), "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range []kind{kindPackage, kindVersion, kindPoint, kindDigest} {
			p := param{name: "p", kind: k}
			schema := paramSchema(p)
			documented := regexp.MustCompile(strings.ReplaceAll(schema["pattern"].(string), "$", `\z`)).MatchString(s)
			if most, ok := schema["maxLength"].(int); ok && len(s) > most {
				documented = false
			}
			if err := p.check(s); (err == nil) != documented {
				t.Errorf("check of kind %d of %q = %v, and the document says %v", k, s, err, documented)
			}
		}
	})
}

// Whatever the address, there is one operation for it or a problem.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{
		"/packages", "/packages/a:b/versions/1.0.0/yank", "/interfaces/wasi:http/types@0.2.0", "/interfaces/wasi:http%2Ftypes@0.2.0",
		"/policies/dry-run",
		"/packages/%2e%2e", "/packages//versions", "", "/", "/functions/" + wire64,
	} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	a := New(Options{})
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.Parse("http://x" + wire.Base + path)
		if err != nil {
			return
		}
		q := &request{http: &http.Request{Method: method, URL: u}}
		if err := a.route(q); err != nil {
			var none *wire.Problem
			var wrong *methodError
			if !errors.As(err, &none) && !errors.As(err, &wrong) || q.op != nil {
				t.Fatalf("route of %s %s = %v with operation %v", method, path, err, q.op)
			}
			return
		}
		for name, value := range q.path {
			if value == "" || !strings.Contains(q.op.path, "{"+name+"}") {
				t.Fatalf("route of %s %s = %s with %s=%q", method, path, q.op.path, name, value)
			}
		}
	})
}
