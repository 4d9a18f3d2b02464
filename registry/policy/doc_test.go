package policy

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const docFile = "../../docs/spec/policy.md"

// The part of the documentation that the types of facts and the table of functions
// determine is held against them. UPDATE=1 writes it.
func TestDocumentation(t *testing.T) {
	const mark = "UPDATE=1 -->\n"
	file := string(readFile(t, docFile))
	head, got, ok := strings.Cut(file, mark)
	if !ok {
		t.Fatalf("%s: no line that ends in %q", docFile, mark)
	}
	want := documentation(t)
	if got == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s (-want +got)\n%s", docFile, cmp.Diff(want, got))
	}
	if err := os.WriteFile(docFile, []byte(head+mark+want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func documentation(t *testing.T) string {
	var b strings.Builder
	b.WriteString("\n| function | gives |\n| --- | --- |\n")
	b.WriteString("| `imports(pattern)` | short for `report.imports.named(pattern)` |\n" +
		"| `exports(pattern)` | short for `report.exports.named(pattern)` |\n")
	for _, f := range functions {
		if f.usage == "" || f.doc == "" {
			t.Errorf("function %s is not documented", f.overload)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.usage, f.doc)
	}
	b.WriteString("\n## Facts\n\nA text that is not there is empty, a number is 0, a list has no entries.\n")
	facts := factComments(t)
	for _, v := range variables {
		if v.name == "action" {
			b.WriteString("\n### action\n\nWhat is asked for: `push`, `tag`, `pull` or `promote`.\n")
			continue
		}
		if v.name == "publisher" {
			b.WriteString("\n### publisher\n\nWho of those that signed stands for the package: the name of a key, or the identity of a certificate. " +
				"It is empty if nobody does.\n")
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", v.name)
		if of := v.typ; of.Kind() == types.ListKind {
			b.WriteString("A list; of each entry:\n\n")
			facts.table(t, &b, of.Parameters()[0].TypeName())
			continue
		}
		facts.table(t, &b, v.typ.TypeName())
	}
	return b.String()
}

// comments has the comment of each type and field of facts.go.
type comments map[string]string

func factComments(t *testing.T) comments {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "facts.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	all := comments{}
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		spec := decl.Specs[0].(*ast.TypeSpec)
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			text := f.Doc.Text() + " " + f.Comment.Text()
			for _, name := range f.Names {
				all[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
			}
		}
	}
	return all
}

// table lists the fields of a type, and below each those of the type it is made of.
func (c comments) table(t *testing.T, b *strings.Builder, typeName string) {
	b.WriteString("| fact | type | meaning |\n| --- | --- | --- |\n")
	c.rows(t, b, structs[typeName], "")
}

var structs = map[string]reflect.Type{
	"policy.Package":        reflect.TypeFor[Package](),
	"policy.PrincipalFacts": reflect.TypeFor[PrincipalFacts](),
	"policy.File":           reflect.TypeFor[File](),
	"policy.Report":         reflect.TypeFor[Report](),
	"policy.Capabilities":   reflect.TypeFor[Capabilities](),
	"policy.Previous":       reflect.TypeFor[Previous](),
	"policy.SBOM":           reflect.TypeFor[SBOM](),
	"policy.Licenses":       reflect.TypeFor[Licenses](),
	"policy.Vulnerability":  reflect.TypeFor[Vulnerability](),

	"policy.Signature":        reflect.TypeFor[Signature](),
	"policy.Attestation":      reflect.TypeFor[Attestation](),
	"policy.RefusedSignature": reflect.TypeFor[RefusedSignature](),
}

func (c comments) rows(t *testing.T, b *strings.Builder, typ reflect.Type, prefix string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := fieldName(f)
		if name == "-" {
			continue
		}
		if c[typ.Name()+"."+f.Name] == "" {
			t.Errorf("field %s of %s has no comment", f.Name, typ.Name())
		}
		kind, below := "", f.Type
		switch f.Type.Kind() {
		case reflect.Slice:
			kind, below = "list of "+word(f.Type.Elem()), f.Type.Elem()
		default:
			kind = word(f.Type)
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, name, kind, c[typ.Name()+"."+f.Name])
		if below.Kind() == reflect.Struct && typ != reflect.TypeFor[Previous]() {
			sep := "."
			if f.Type.Kind() == reflect.Slice {
				sep = "[]."
			}
			c.rows(t, b, below, prefix+name+sep)
		}
	}
}

func word(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "double"
	case reflect.Map:
		return "map of text to text"
	case reflect.Interface:
		return "any"
	default:
		return strings.ToLower(t.Name())
	}
}

const schemaFile = "../../docs/spec/policy.v1.schema.json"

// The schema takes what Parse takes, and refuses what has no form that Parse knows.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	good := map[string][]byte{}
	for _, r := range Ready() {
		good[r.Name] = r.Source
	}
	for _, name := range []string{"proxy-wasm", "extism", "wasi-command"} {
		good[name] = readFile(t, "testdata/hosts/"+name+".mod.yaml")
	}
	r, c := inspected(t, "testdata/hosts/filter.wasm")
	for name, generate := range map[string]func() ([]byte, error){
		"generated policy":    func() ([]byte, error) { return Generate("x", r, c) },
		"generated checkfile": func() ([]byte, error) { return GenerateCheckfile(r) },
	} {
		if good[name], err = generate(); err != nil {
			t.Fatal(err)
		}
	}
	for name, source := range good {
		if err := schema.Validate(instance(t, source)); err != nil {
			t.Errorf("the schema refuses %s: %v", name, err)
		}
	}
	for _, source := range []string{
		"rules: []", "name: Big\nrules: [{name: a, deny: 'true'}]", "rules: [{name: a}]", "rules: [{name: a, deny: 'true', require: 'true'}]",
		"rules: [{deny: 'true'}]", "rules: [{name: a, deny: 'true', mode: stop}]", "rules: [{name: a, deny: 'true', actions: [delete]}]",
		"rules: [{name: a, deny: 'true'}]\nnaem: x", "validate: {wasi: true}", "validate: {imports: {include: [{params: []}]}}",
		"validate: {complexity: {max_risk: none}}", "validate: {}\nrules: []", "name: a",
	} {
		if schema.Validate(instance(t, []byte(source))) == nil {
			t.Errorf("the schema takes %q", source)
		}
		if _, err := Parse([]byte(source)); err == nil {
			t.Errorf("Parse takes %q", source)
		}
	}
}

// instance is YAML as the values of JSON.
func instance(t *testing.T, source []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(source, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	back, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return back
}
