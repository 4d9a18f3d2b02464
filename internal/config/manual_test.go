package config

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The comments in config.go are the manual. What --help and docs/ops show of
// them is generated, by UPDATE=1, and has to be up to date.
func TestManual(t *testing.T) {
	got := comments(t)
	for _, f := range Fields() {
		if got[f.Key] == "" {
			t.Errorf("field %s has no comment", f.Key)
		}
	}
	compare(t, "manual_gen.go", manualGo(t, got))
	compare(t, filepath.Join("..", "..", "docs", "ops", "configuration.md"), manualPage(got))
}

func compare(t *testing.T, path string, want []byte) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date, run UPDATE=1 go test ./internal/config (-want +got):\n%s", path, diff)
	}
}

// comments maps keys to the text above their field.
func comments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	out := map[string]string{}
	var read func(prefix string, s *ast.StructType)
	read = func(prefix string, s *ast.StructType) {
		for _, f := range s.Fields.List {
			tag, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			key := prefix + reflect.StructTag(tag).Get("key")
			if name, ok := f.Type.(*ast.Ident); ok && structs[name.Name] != nil {
				read(key+".", structs[name.Name])
				continue
			}
			out[key] = strings.Join(strings.Fields(f.Doc.Text()), " ")
		}
	}
	read("", structs["Config"])
	return out
}

func manualGo(t *testing.T, docs map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("// Code generated from the comments in config.go by UPDATE=1 go test. DO NOT EDIT.\n\n" +
		"package config\n\nvar manual = map[string]string{\n")
	for _, f := range Fields() {
		fmt.Fprintf(&b, "%q: %q,\n", f.Key, docs[f.Key])
	}
	b.WriteString("}\n")
	out, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func manualPage(docs map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString(`# Configuration of wreg

<!-- Generated from internal/config/config.go by UPDATE=1 go test ./internal/config. -->

Every setting can be given in a YAML file (` + "`--config FILE` or `WREG_CONFIG`" + `), as an environment variable, or as a
flag of ` + "`wreg serve`" + `. A flag overrules the variable, the variable overrules the file, the file overrules the default.
Everything is checked before the server starts, and everything that is wrong is listed at once; an unknown key in the file is
an error. Settings marked with * are flags of the offline commands too (` + "`migrate`, `gc`, `fsck`, `rebuild`, `doctor`" + `).

Sizes take a unit (` + "`512KiB`, `4MiB`, `10GB`" + `), times too (` + "`30s`, `5m`, `1h30m`" + `). A list is a YAML list, or texts with commas
between them. A file with every section:

` + "```yaml" + `
listen: 0.0.0.0:443
data: /var/lib/wreg
database: postgres://wreg:secret@db.internal/wreg
tls:
  cert: /etc/wreg/tls.crt
  key: /etc/wreg/tls.key
auth:
  htpasswd: /etc/wreg/htpasswd
  anonymous_pull: [public]
registry:
  immutable_tags: semver
limits:
  max_blob: 2GiB
log:
  format: json
metrics:
  listen: 127.0.0.1:9090
` + "```\n")
	section := "\x00"
	for _, f := range Fields() {
		if f.Section() != section {
			section = f.Section()
			title := section
			if section == "" {
				title = "Server"
			}
			fmt.Fprintf(&b, "\n## %s\n", title)
		}
		star, def := "", "none"
		if f.All {
			star = " *"
		}
		if f.Default != "" {
			def = "`" + f.Default + "`"
		}
		fmt.Fprintf(&b, "\n### `%s`%s\n\n%s\n\nFlag `--%s`, variable `%s`, default %s", f.Key, star, docs[f.Key], f.Flag(), f.Env(), def)
		if len(f.OneOf) > 0 {
			fmt.Fprintf(&b, ", one of `%s`", strings.Join(f.OneOf, "`, `"))
		}
		b.WriteString(".\n")
	}
	b.WriteString("\n`DATA` stands for the folder that `data` names.\n")
	return b.Bytes()
}
