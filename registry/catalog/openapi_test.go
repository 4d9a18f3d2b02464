package catalog

import (
	"bytes"
	"encoding"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/invopop/jsonschema"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect/diff"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
)

// object is a JSON object; it is marshalled with its keys in order.
type object = map[string]any

// The document is made of the table of operations and of the types of package
// wire with their comments, so that neither can change without it.
func TestGeneratedDocument(t *testing.T) {
	want, err := json.MarshalIndent(openAPI(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(document, want) {
		t.Error("openapi.json is not what the operations and types make: UPDATE=1 go test ./registry/catalog -run Generated")
	}
	linked, err := os.ReadFile("../../docs/spec/openapi.json")
	if err != nil || !bytes.Equal(linked, document) {
		t.Errorf("docs/spec/openapi.json is not the document that is served: %v", err)
	}
}

func TestDocumentIsValidOpenAPI(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
	if got, want := doc.OpenAPI, "3.1.0"; got != want {
		t.Errorf("version %s, want %s", got, want)
	}
}

// The examples of the document are bodies that are taken.
func TestExamplesOfBodies(t *testing.T) {
	for _, op := range operations() {
		if op.example == nil {
			continue
		}
		data, err := json.Marshal(op.example)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(op.body))
		if err := decode(data, into.Interface()); err != nil {
			t.Errorf("the example of %s, %s: %v", op.id, data, err)
		}
	}
	if err := checkPolicy("example", examplePolicy); err != nil {
		t.Errorf("the policy of the examples: %v", err)
	}
}

func openAPI(t *testing.T) object {
	s := newSchemas(t)
	paths := object{}
	for _, op := range operations() {
		item, ok := paths[wire.Base+op.path].(object)
		if !ok {
			item = object{}
			paths[wire.Base+op.path] = item
		}
		item[strings.ToLower(op.method)] = s.operation(op)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "wreg catalog", "version": "1",
			"description": "What a wreg registry knows about its packages. docs/spec/api.md explains it. Times are RFC 3339 in UTC, " +
				"sizes are bytes. " +
				"Lists have next if there are more entries. Errors are problems as RFC 9457 has them: a status of 400 says that the request is " +
				"not as described here, 422 that it is and still cannot be understood. A package that the caller may not read is not found.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"basic": []any{}}, object{}},
		"paths":    paths,
		"components": object{
			"schemas": s.all, "responses": s.problems,
			"securitySchemes": object{"basic": object{"type": "http", "scheme": "basic"}},
		},
	}
}

// schemas collects those of the types met.
type schemas struct {
	t     *testing.T
	open  *jsonschema.Reflector // of answers, which may get more fields
	exact *jsonschema.Reflector // of requests
	all   object

	problems object // answers, by the codes they may have
}

func newSchemas(t *testing.T) *schemas {
	make := func(allow bool) *jsonschema.Reflector {
		r := &jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: allow, Namer: schemaName, Mapper: schemaOf}
		for _, pkg := range []string{"registry/catalog/wire", "inspect/diff", "inspect/wit"} {
			if err := r.AddGoComments("github.com/wreg-project/wreg/registry/catalog", "../../"+pkg, jsonschema.WithFullComment()); err != nil {
				t.Fatal(err)
			}
		}
		comments := r.CommentMap
		for name, text := range comments { // wrapped for Go, and not for readers of the document
			paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
			for i, p := range paragraphs {
				paragraphs[i] = strings.Join(strings.Fields(p), " ")
			}
			comments[name] = strings.Join(paragraphs, "\n\n")
		}
		r.LookupComment = func(typ reflect.Type, field string) string {
			generic, _, _ := strings.Cut(typ.Name(), "[")
			name := typ.PkgPath() + "." + generic
			if field != "" {
				name += "." + field
			}
			return comments[name]
		}
		return r
	}
	return &schemas{t: t, open: make(true), exact: make(false), all: object{}, problems: object{}}
}

// schemaName is X for wire.X, XList for wire.List[wire.X], and with its package
// for other types.
func schemaName(typ reflect.Type) string {
	name, of, generic := strings.Cut(typ.Name(), "[")
	if generic {
		return strings.TrimSuffix(of[strings.LastIndexByte(of, '.')+1:], "]") + name
	}
	if pkg := path.Base(typ.PkgPath()); pkg != "wire" && pkg != "." {
		return pkg + "." + name
	}
	return name
}

var enums = map[reflect.Type][]any{
	reflect.TypeFor[wire.Code]():        words(wire.Codes()),
	reflect.TypeFor[wire.Verdict]():     {wire.VerdictNone, wire.VerdictAllow, wire.VerdictWarn, wire.VerdictDeny},
	reflect.TypeFor[wire.NoticeState](): {wire.NoticeDeprecated, wire.NoticeYanked},
	reflect.TypeFor[wire.JobState]():    {wire.JobWaiting, wire.JobLeased, wire.JobDead},
}

func words[T any](list []T) (all []any) {
	for _, w := range list {
		all = append(all, w)
	}
	return all
}

func schemaOf(typ reflect.Type) *jsonschema.Schema {
	switch {
	case enums[typ] != nil:
		return &jsonschema.Schema{Type: "string", Enum: enums[typ]}
	case typ == reflect.TypeFor[digest.Digest]():
		return &jsonschema.Schema{Type: "string", Pattern: "^" + digestPattern + "$"}
	case typ == reflect.TypeFor[json.RawMessage]():
		return &jsonschema.Schema{Type: "object"}
	case typ.PkgPath() != "time" && typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// ref adds the schema of v's type and gives a reference to it; a map is any
// object, and a text is one.
func (s *schemas) ref(v any, exact bool) object {
	switch v.(type) {
	case string:
		return object{"type": "string"}
	case map[string]any:
		return object{"type": "object"}
	}
	r := s.open
	if exact {
		r = s.exact
	}
	data, err := json.Marshal(r.Reflect(v))
	if err != nil {
		s.t.Fatal(err)
	}
	var root struct {
		Defs map[string]object `json:"$defs"`
	}
	data = bytes.ReplaceAll(data, []byte(`"#/$defs/`), []byte(`"#/components/schemas/`))
	if err := json.Unmarshal(data, &root); err != nil {
		s.t.Fatal(err)
	}
	name := schemaName(reflect.TypeOf(v))
	if root.Defs[name] == nil {
		s.t.Fatalf("no schema of %T among %v", v, slices.Sorted(maps.Keys(root.Defs)))
	}
	for name, schema := range root.Defs {
		if exact {
			exactText(schema)
		}
		if name == "FileDiff" {
			schema["properties"].(object)["changes"] = s.ref(diff.Diff{}, false)
		}
		if have, ok := s.all[name]; ok && !reflect.DeepEqual(have, schema) {
			s.t.Errorf("two schemas are named %s", name)
		}
		s.all[name] = schema
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// exactText says of texts in requests what the decoder asks of all of them.
func exactText(schema object) {
	for _, p := range schema["properties"].(object) {
		property := p.(object)
		if items, ok := property["items"].(object); ok {
			property = items
		}
		switch {
		case property["format"] == formatPackage:
			delete(property, "format")
			property["pattern"], property["maxLength"] = "^"+packagePattern+"$", maxName
		case property["type"] == "string" && property["pattern"] == nil && property["enum"] == nil:
			property["pattern"] = noZero
		}
	}
}

const (
	noZero  = "^[^\\u0000]*$"
	maxName = 255
)

func (s *schemas) operation(op *operation) object {
	o := object{"operationId": op.id, "summary": op.summary, "responses": s.responses(op)}
	if op.detail != "" {
		o["description"] = op.detail
	}
	var params []any
	for _, seg := range op.segs {
		if name, ok := strings.CutPrefix(seg, "{"); ok {
			params = append(params, parameter(pathParams[strings.TrimSuffix(name, "}")], "path"))
		}
	}
	for _, p := range op.query {
		params = append(params, parameter(p, "query"))
	}
	if params != nil {
		o["parameters"] = params
	}
	if op.body != nil {
		body := object{"schema": s.ref(op.body, true)}
		if op.example != nil {
			body["example"] = op.example
		}
		o["requestBody"] = object{"required": true, "content": object{wire.MediaTypeJSON: body}}
	}
	return o
}

func parameter(p param, in string) object {
	o := object{"name": p.name, "in": in, "description": p.doc, "schema": paramSchema(p)}
	if in == "path" || p.required {
		o["required"] = true
	}
	if p.kind == kindWords {
		o["style"], o["explode"] = "form", false
	}
	return o
}

func paramSchema(p param) object {
	o := object{"type": "string"}
	if p.def != "" {
		o["default"] = p.def
	}
	switch p.kind {
	case kindNumber:
		o = object{"type": "integer", "minimum": p.min, "maximum": p.max, "format": "int64"}
		if n, err := strconv.Atoi(p.def); err == nil {
			o["default"] = n
		}
	case kindFlag:
		o = object{"type": "boolean", "default": p.def == "true"}
	case kindWords:
		o = object{"type": "array", "items": object{"type": "string", "enum": p.enum}, "minItems": 1, "maxItems": p.max}
	case kindPackage:
		o["pattern"], o["maxLength"] = "^"+packagePattern+"$", maxName
	case kindVersion:
		o["pattern"] = "^(" + tagPattern + "|" + digestPattern + ")$"
	case kindPoint:
		o["pattern"] = "^" + packagePattern + "@(" + tagPattern + "|" + digestPattern + ")$"
		o["maxLength"] = maxName + 1 + len("sha512:") + 128
	case kindDigest:
		o["pattern"] = "^" + digestPattern + "$"
	case kindDay:
		o["format"] = "date"
	default:
		o["maxLength"] = p.maxLen
		if p.maxLen == 0 {
			o["maxLength"] = maxText
		}
		switch {
		case p.enum != nil:
			o["enum"] = p.enum
			delete(o, "maxLength")
		case p.pattern != "":
			o["pattern"] = p.pattern
		default:
			o["pattern"] = noZero
		}
		if _, ok := pathParams[p.name]; ok {
			o["minLength"] = 1
		}
	}
	return o
}

// responses are success and every problem that an operation of op's form may
// have.
func (s *schemas) responses(op *operation) object {
	status := op.status
	if status == 0 {
		status = http.StatusOK
	}
	content := object{}
	if op.answer != nil {
		content[wire.MediaTypeJSON] = object{"schema": s.ref(op.answer, false)}
	}
	for _, f := range op.formats {
		content[f.mediaType] = object{"schema": s.ref(f.value, false)}
	}
	success := object{"description": http.StatusText(status)}
	if len(content) > 0 {
		success["content"] = content
	}
	if op.method == http.MethodGet && op.stream == nil || op.matches && op.answer != nil {
		success["headers"] = object{"ETag": object{"description": "A strong entity tag of the answer.", "schema": object{"type": "string"}}}
	}
	all := object{strconv.Itoa(status): success}
	if op.method == http.MethodGet && op.stream == nil {
		all["304"] = object{"description": "Not changed since the answer with an entity tag of If-None-Match."}
	}
	if op.none {
		all["204"] = object{"description": http.StatusText(http.StatusNoContent)}
	}
	byStatus := map[int][]wire.Code{}
	for _, code := range fails(op) {
		byStatus[problems[code].status] = append(byStatus[problems[code].status], code)
	}
	for status, codes := range byStatus {
		slices.Sort(codes)
		all[strconv.Itoa(status)] = s.problem(slices.Compact(codes))
	}
	return all
}

// problem is an answer that has one of these codes.
func (s *schemas) problem(codes []wire.Code) object {
	var list, titles []string
	for _, c := range codes {
		list = append(list, string(c))
		titles = append(titles, problems[c].title+" ("+string(c)+").")
	}
	name := strings.Join(list, ".")
	s.problems[name] = object{
		"description": strings.Join(titles, " "),
		"content":     object{wire.MediaTypeProblem: object{"schema": s.ref(wire.Problem{}, false)}},
	}
	return object{"$ref": "#/components/responses/" + name}
}

// fails lists the codes that op may answer with.
func fails(op *operation) []wire.Code {
	all := append([]wire.Code{wire.CodeBadRequest, wire.CodeUnauthenticated, wire.CodeInternal, wire.CodeUnavailable}, op.fails...)
	if strings.Contains(op.path, "{") {
		all = append(all, wire.CodeNotFound)
	}
	if op.answer != nil || op.formats != nil {
		all = append(all, wire.CodeNotAcceptable)
	}
	if op.method != http.MethodGet {
		all = append(all, wire.CodeCrossOrigin, wire.CodeForbidden)
	}
	if op.action != policy.Pull {
		all = append(all, wire.CodeForbidden)
	}
	if op.body != nil {
		all = append(all, wire.CodeTooLarge, wire.CodeMediaType)
	}
	if op.heavy {
		all = append(all, wire.CodeTooManyRequests)
	}
	if slices.ContainsFunc(op.query, func(p param) bool { return p.name == "cursor" }) {
		all = append(all, wire.CodeInvalidCursor)
	}
	return all
}
