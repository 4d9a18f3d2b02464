package inspect

import (
	"encoding"
	"encoding/json"
	"path"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/code"
)

// enums are types whose values are among a few words.
var enums = map[reflect.Type][]any{
	reflect.TypeFor[Kind]():                {KindModule, KindComponent, KindWITPackage},
	reflect.TypeFor[WASI]():                {WASINone, WASIP1, WASIP2, WASIP3},
	reflect.TypeFor[capability.Severity](): {capability.Harmless.String(), capability.Notable.String(), capability.Sensitive.String()},
	reflect.TypeFor[capability.Level]():    {capability.Declared.String(), capability.Adapted.String(), capability.Reachable.String()},
	reflect.TypeFor[capability.Origin]():   {capability.Runtime.String(), capability.Program.String()},
}

// The published schema is made of the types and their comments, so that neither
// can change without the other.
func TestGeneratedSchema(t *testing.T) {
	r := &jsonschema.Reflector{
		ExpandedStruct: true, AllowAdditionalProperties: true, Namer: definitionName,
		Mapper: func(typ reflect.Type) *jsonschema.Schema {
			if words, ok := enums[typ]; ok {
				return &jsonschema.Schema{Type: "string", Enum: words}
			}
			if typ == reflect.TypeFor[code.FunctionTable]() {
				return functionTableSchema()
			}
			if typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
				return &jsonschema.Schema{Type: "string"}
			}
			return nil
		},
	}
	if err := r.AddGoComments("github.com/wreg-project/wreg/inspect", ".", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	s := r.Reflect(&Report{})
	s.ID = "https://wreg.dev/schemas/report.v1.schema.json"
	s.Title = "Inspection report of a WebAssembly binary"
	s.Description = "Media type " + MediaType + ". Fields may be added within version 1; readers ignore those they do not know."
	constant(s, "schemaVersion", SchemaVersion)
	constant(s, "mediaType", MediaType)
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("..", "..", "docs", "spec", "report.v1.schema.json"), append(data, '\n'))
}

// definitionName keeps types of the same name apart: those of this package by
// their names, others with their packages in front.
func definitionName(typ reflect.Type) string {
	if pkg := path.Base(typ.PkgPath()); pkg != "inspect" && pkg != "." {
		return pkg + "." + typ.Name()
	}
	return typ.Name()
}

func constant(s *jsonschema.Schema, property string, value any) {
	p, _ := s.Properties.Get(property)
	p.Const = value
}

func functionTableSchema() *jsonschema.Schema {
	p := jsonschema.NewProperties()
	p.Set("first", &jsonschema.Schema{Type: "integer", Description: "Index of the function of the first row."})
	p.Set("truncated", &jsonschema.Schema{Type: "boolean", Description: "There are more functions than rows."})
	p.Set("columns", &jsonschema.Schema{
		Type: "array", Items: &jsonschema.Schema{Type: "string"}, Description: "What the values of each row are, in order.",
	})
	p.Set("rows", &jsonschema.Schema{
		Type: "array", Items: &jsonschema.Schema{Type: "array"}, Description: "One array for each function.",
	})
	return &jsonschema.Schema{
		Type: "object", Properties: p, Required: []string{"first", "columns", "rows"},
		Description: "The defined functions: sizes in bytes, hashes and fingerprints in hexadecimal digits.",
	}
}
