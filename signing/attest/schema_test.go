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

// schemas are of our own predicates.
var schemas = []struct {
	name, predicate, title string
	version                int
	of                     any
}{
	{"capabilities", TypeCapabilities, "What an inspector found in the binaries of a package", CapabilitiesVersion, &Capabilities{}},
	{"promotion", TypePromotion, "That a package is taken over into another repository with somebody's approval", PromotionVersion, &Promotion{}},
}

func schemaFile(name string) string {
	return filepath.Join("..", "..", "docs", "spec", name+".v1.schema.json")
}

// words are types whose values are among a few.
var words = map[reflect.Type][]any{
	reflect.TypeFor[inspect.Kind]():        {inspect.KindModule, inspect.KindComponent, inspect.KindWITPackage},
	reflect.TypeFor[inspect.WASI]():        {inspect.WASINone, inspect.WASIP1, inspect.WASIP2, inspect.WASIP3},
	reflect.TypeFor[capability.Severity](): {capability.Harmless.String(), capability.Notable.String(), capability.Sensitive.String()},
	reflect.TypeFor[capability.Level]():    {capability.Declared.String(), capability.Adapted.String(), capability.Reachable.String()},
	reflect.TypeFor[capability.Origin]():   {capability.Runtime.String(), capability.Program.String()},
}

// The published schemas are made of the types and their comments. UPDATE=1 writes
// them.
func TestSchemas(t *testing.T) {
	for _, tt := range schemas {
		t.Run(tt.name, func(t *testing.T) {
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
			s := r.Reflect(tt.of)
			s.ID = generate.ID("https://wreg.dev/schemas/" + tt.name + ".v1.schema.json")
			s.Title = tt.title
			s.Description = "The predicate " + tt.predicate + ". Fields may be added within version 1; readers ignore those they do not know."
			version, _ := s.Properties.Get("schemaVersion")
			version.Const = tt.version
			got, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if os.Getenv("UPDATE") == "1" {
				if err := os.WriteFile(schemaFile(tt.name), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(schemaFile(tt.name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", schemaFile(tt.name), diff)
			}
		})
	}
}

func TestCapabilitiesFitTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile("capabilities"))
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

func TestPromotionsFitTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile("promotion"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := promoted().Statement(subject)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(st.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		text []byte
		ok   bool
	}{
		{"what is written", text, true},
		{"without a place", bytes.Replace(text, []byte(`"to":`), []byte(`"two":`), 1), false},
		{"with another version", bytes.Replace(text, []byte(`"schemaVersion":1`), []byte(`"schemaVersion":2`), 1), false},
	} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != tt.ok {
			t.Errorf("%s: Validate(%s) = %v; want it to fit: %t", tt.name, tt.text, err, tt.ok)
		}
	}
}
