package attest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	generate "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
)

var schemaFile = filepath.Join("..", "..", "docs", "spec", "capabilities.v1.schema.json")

// words are types whose values are among a few.
var words = map[reflect.Type][]any{
	reflect.TypeFor[inspect.Kind]():        {inspect.KindModule, inspect.KindComponent, inspect.KindWITPackage},
	reflect.TypeFor[inspect.WASI]():        {inspect.WASINone, inspect.WASIP1, inspect.WASIP2, inspect.WASIP3},
	reflect.TypeFor[capability.Severity](): {capability.Harmless.String(), capability.Notable.String(), capability.Sensitive.String()},
	reflect.TypeFor[capability.Level]():    {capability.Declared.String(), capability.Adapted.String(), capability.Reachable.String()},
	reflect.TypeFor[capability.Origin]():   {capability.Runtime.String(), capability.Program.String()},
}

// The published schema is made of the types and their comments. UPDATE=1 writes it.
func TestCapabilitiesSchema(t *testing.T) {
	r := &generate.Reflector{
		ExpandedStruct: true, AllowAdditionalProperties: true,
		Mapper: func(typ reflect.Type) *generate.Schema {
			if list, ok := words[typ]; ok {
				return &generate.Schema{Type: "string", Enum: list}
			}
			return nil
		},
	}
	if err := r.AddGoComments("github.com/wreg-project/wreg/signing/attest", ".", generate.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	s := r.Reflect(&Capabilities{})
	s.ID = "https://wreg.dev/schemas/capabilities.v1.schema.json"
	s.Title = "What an inspector found in the binaries of a package"
	s.Description = "The predicate " + TypeCapabilities + ". Fields may be added within version 1; readers ignore those they do not know."
	version, _ := s.Properties.Get("schemaVersion")
	version.Const = CapabilitiesVersion
	got, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", schemaFile, diff)
	}
}

func TestCapabilitiesFitTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	validate := func(text []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	st, err := capabilities(t).Statement(subject)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(st.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(text); err != nil {
		t.Errorf("%s does not fit: %v", text, err)
	}
	if err := validate(bytes.Replace(text, []byte(`"kind":"component"`), []byte(`"kind":"image"`), 1)); err == nil {
		t.Error("the schema takes a kind that is none")
	}
}
