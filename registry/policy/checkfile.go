package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/yamldoc"
)

// A Checkfile is a mod.yaml of Modsurfer. All its fields are read; where they mean
// something else here, docs/spec/policy.md says so. Lists that are nil were not in
// the file; empty ones were.
type Checkfile struct {
	// URL names a file that takes the place of this one. It is never fetched here;
	// a checkfile that has one checks nothing until its content is put in its place,
	// and Compile and Check refuse it.
	URL string `json:"url,omitempty"`

	AllowWASI  *bool            `json:"allow_wasi,omitempty"`
	Imports    CheckImports     `json:"imports,omitzero"`
	Exports    CheckExports     `json:"exports,omitzero"`
	MaxSize    int64            `json:"max_size,omitempty"` // bytes, 0 without a bound
	Complexity *CheckComplexity `json:"complexity,omitempty"`
}

// CheckImports are conditions on imports.
type CheckImports struct {
	Include   []CheckFunction `json:"include"` // nothing else may be imported
	Exclude   []CheckFunction `json:"exclude"` // none of them may
	Namespace CheckNamespaces `json:"namespace,omitzero"`
}

// CheckNamespaces are conditions on the modules that are imported from.
type CheckNamespaces struct {
	Include []CheckNamespace `json:"include"` // each has to be imported from
	Exclude []CheckNamespace `json:"exclude"` // none may be
}

// A CheckNamespace is a module that is imported from.
type CheckNamespace struct {
	Name      string          `json:"name"`
	Functions []CheckFunction `json:"functions,omitempty"`
}

// A CheckFunction is a function that is imported or exported. Params and Results
// are nil where nothing is said of them, which is not the same as none.
type CheckFunction struct {
	Namespace *string  `json:"namespace,omitempty"`
	Name      string   `json:"name"`
	Params    []string `json:"params"` // as the text format writes them: "i32", "externref"
	Results   []string `json:"results"`
	Hash      string   `json:"hash,omitempty"` // of an export: SHA-256 in lower-case hexadecimal digits
}

// CheckExports are conditions on exports.
type CheckExports struct {
	Max     *uint32         `json:"max,omitempty"`
	Include []CheckFunction `json:"include"`
	Exclude []CheckFunction `json:"exclude"`
}

// CheckComplexity bounds how intricate functions are. MaxScore is the greatest
// number that McCabe's count may give for a function; MaxRisk stands for one:
// see [Risk].
type CheckComplexity struct {
	MaxRisk  string  `json:"max_risk,omitempty"` // "low", "medium", "high"
	MaxScore *uint32 `json:"max_score,omitempty"`
}

// Risks of a checkfile.
const (
	riskLow    = "low"
	riskMedium = "medium"
	riskHigh   = "high"
)

// Bounds of the risks, for McCabe's number of the most complex function.
const (
	maxLow    = 100
	maxMedium = 1000
)

// Risk gives the risk of a module whose most complex function has this number.
func Risk(complexity int64) string {
	switch {
	case complexity <= maxLow:
		return riskLow
	case complexity <= maxMedium:
		return riskMedium
	}
	return riskHigh
}

// optional skips what is null, which serde takes for absent.
func optional(name string, read func(*yaml.Node)) yamldoc.Field {
	return yamldoc.Field{Name: name, Read: func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
			return
		}
		read(n)
	}}
}

func (d *document) checkfile(root *yaml.Node) *Checkfile {
	c := &Checkfile{}
	d.Mapping(root, optional("validate", func(n *yaml.Node) {
		d.Mapping(
			n,
			optional("url", func(n *yaml.Node) { c.URL = d.url(n) }),
			optional("allow_wasi", func(n *yaml.Node) { c.AllowWASI = d.Bool(n) }),
			optional("imports", func(n *yaml.Node) { d.checkImports(n, &c.Imports) }),
			optional("exports", func(n *yaml.Node) { d.checkExports(n, &c.Exports) }),
			optional("size", func(n *yaml.Node) {
				d.Mapping(n, optional("max", func(n *yaml.Node) { c.MaxSize = d.size(n) }))
			}),
			optional("complexity", func(n *yaml.Node) { c.Complexity = d.complexity(n) }),
		)
	}))
	return c
}

func (d *document) url(n *yaml.Node) string {
	text := d.Text(n)
	if text != "" && !strings.HasPrefix(text, "https://") && !strings.HasPrefix(text, "http://") {
		d.Fail(n, "", "this has to be an http or https URL")
	}
	return text
}

func (d *document) size(n *yaml.Node) int64 {
	if !d.Is(n, yaml.ScalarNode, "a size like 4MB") {
		return 0
	}
	size, err := ParseSize(n.Value)
	switch {
	case err != nil:
		d.Fail(n, "", "%v", err)
	case size == 0:
		d.Fail(n, "", "nothing is that small")
	}
	return size
}

func (d *document) complexity(n *yaml.Node) *CheckComplexity {
	c := &CheckComplexity{}
	d.Mapping(
		n,
		optional("max_risk", func(n *yaml.Node) { c.MaxRisk = yamldoc.OneOf(d.Document, n, riskLow, riskMedium, riskHigh) }),
		optional("max_score", func(n *yaml.Node) { c.MaxScore = d.Number(n) }),
	)
	if c.MaxRisk == "" && c.MaxScore == nil && !d.Failed() {
		d.Fail(n, "", "complexity has either max_risk or max_score")
	}
	return c
}

func (d *document) checkImports(n *yaml.Node, c *CheckImports) {
	d.Mapping(
		n,
		optional("include", func(n *yaml.Node) { c.Include = d.functions(n, importKeys) }),
		optional("exclude", func(n *yaml.Node) { c.Exclude = d.functions(n, importKeys) }),
		optional("namespace", func(n *yaml.Node) {
			d.Mapping(
				n,
				optional("include", func(n *yaml.Node) { c.Namespace.Include = d.namespaces(n) }),
				optional("exclude", func(n *yaml.Node) { c.Namespace.Exclude = d.namespaces(n) }),
			)
		}),
	)
}

func (d *document) checkExports(n *yaml.Node, c *CheckExports) {
	d.Mapping(
		n,
		optional("max", func(n *yaml.Node) { c.Max = d.Number(n) }),
		optional("include", func(n *yaml.Node) { c.Include = d.functions(n, exportKeys) }),
		optional("exclude", func(n *yaml.Node) { c.Exclude = d.functions(n, exportKeys) }),
	)
}

// What the items of lists may say beside name, params and results.
const (
	importKeys = "namespace"
	exportKeys = "hash"
)

// functions reads a list of functions: names, or mappings.
func (d *document) functions(n *yaml.Node, key string) []CheckFunction {
	list := []CheckFunction{}
	d.List(n, yamldoc.MaxItems, func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			list = append(list, CheckFunction{Name: d.Text(n)})
			return
		}
		f := CheckFunction{}
		fields := []yamldoc.Field{
			{Name: "name", Read: func(n *yaml.Node) { f.Name = d.Text(n) }},
			optional("params", func(n *yaml.Node) { f.Params = d.types(n) }),
			optional("results", func(n *yaml.Node) { f.Results = d.types(n) }),
		}
		switch key {
		case importKeys:
			fields = append(fields, optional("namespace", func(n *yaml.Node) {
				ns := d.Text(n)
				f.Namespace = &ns
			}))
		case exportKeys:
			fields = append(fields, optional("hash", func(n *yaml.Node) { f.Hash = d.hash(n) }))
		}
		if d.Mapping(n, fields...) && !hasKey(n, "name") {
			d.Fail(n, "", "the function has no name")
		}
		list = append(list, f)
	})
	return list
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

func (d *document) namespaces(n *yaml.Node) []CheckNamespace {
	list := []CheckNamespace{}
	d.List(n, yamldoc.MaxItems, func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			list = append(list, CheckNamespace{Name: d.Text(n)})
			return
		}
		ns := CheckNamespace{}
		ok := d.Mapping(
			n,
			yamldoc.Field{Name: "name", Read: func(n *yaml.Node) { ns.Name = d.Text(n) }},
			optional("functions", func(n *yaml.Node) { ns.Functions = d.functions(n, exportKeys) }),
		)
		if ok && !hasKey(n, "name") {
			d.Fail(n, "", "the namespace has no name")
		}
		list = append(list, ns)
	})
	return list
}

func (d *document) hash(n *yaml.Node) string {
	if !d.Is(n, yaml.ScalarNode, "a hash") {
		return ""
	}
	text := strings.ToLower(n.Value) // digits alone are a number to YAML, and a hash to us
	if len(text) != 64 || strings.Trim(text, "0123456789abcdef") != "" {
		d.Fail(n, "", "a hash is 64 hexadecimal digits")
	}
	return text
}

// valueTypes are the words of checkfiles for types of values, in lower case, and
// those of the text format, which we take as well.
var valueTypes = []string{
	"i32", "i64", "f32", "f64", "v128", "funcref", "externref",
	"anyref", "eqref", "i31ref", "structref", "arrayref", "exnref", "nullref", "nullfuncref", "nullexternref",
}

func (d *document) types(n *yaml.Node) []string {
	list := []string{}
	d.List(n, 1000, func(n *yaml.Node) {
		text := d.Text(n)
		lower := strings.ToLower(text)
		switch {
		case slices.Contains(valueTypes, lower):
			list = append(list, lower)
		case strings.HasPrefix(text, "(ref ") && strings.HasSuffix(text, ")"):
			list = append(list, text)
		default:
			d.Fail(n, "known are I32, I64, F32, F64, V128, FuncRef, ExternRef", "%q is no type of values", clip(text))
		}
	})
	return list
}
