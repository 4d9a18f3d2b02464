package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wreg-project/wreg/internal/yamldoc"
)

// margin is how much larger a file may get under a generated policy.
func margin(size int64) int64 { return size + size/10 }

// Generate writes a policy of that name which the file that r and c are of passes,
// and which pins what they say: kind, imports and exports with their types,
// capabilities, features, signals, and the size with a margin of a tenth. It fails
// if r is not valid, or cut, or too long for a policy.
func Generate(name string, r *Report, c *Capabilities) ([]byte, error) {
	if err := r.whole(); err != nil {
		return nil, fmt.Errorf("generate a policy: %w", err)
	}
	if c.Truncated {
		return nil, fmt.Errorf("generate a policy: the list of unknown imports is cut")
	}
	if !yamldoc.IsName(name) {
		return nil, fmt.Errorf("generate a policy: %q is no name", clip(name))
	}
	doc := generated{
		Name:        name,
		Description: "Pins what a " + r.Kind + " does today.",
		Lists: pinned{
			Imports: sorted(importSignatures(r)), Exports: sorted(exportSignatures(r)), Declared: sorted(c.Declared),
			Reachable: sorted(c.Reachable), Features: sorted(r.Features), Signals: sorted(signalIDs(r)),
		},
		Rules: []generatedRule{
			{Name: "kind", Require: "report.kind == " + strconv.Quote(r.Kind), Message: "it is a {{report.kind}}, and was a " + r.Kind},
			{
				Name: "imports", Require: "report.imports.signatures().within(lists.imports)",
				Message: "it imports what it did not: {{report.imports.signatures().without(lists.imports)}}",
			},
			{
				Name: "exports", Require: "lists.exports.within(report.exports.signatures())",
				Message: "it exports no longer: {{lists.exports.without(report.exports.signatures())}}",
			},
			{
				Name: "new-exports", Require: "report.exports.signatures().within(lists.exports)",
				Message: "it exports what it did not: {{report.exports.signatures().without(lists.exports)}}",
			},
			{
				Name: "capabilities", Require: "capabilities.declared.within(lists.declared) && capabilities.reachable.within(lists.reachable)",
				Message: "it can do what it could not: {{capabilities.declared.without(lists.declared)}}; " +
					"and come to what it could not: {{capabilities.reachable.without(lists.reachable)}}",
			},
			{
				Name: "features", Require: "report.features.within(lists.features)",
				Message: "hosts need for it what they did not: {{report.features.without(lists.features)}}",
			},
			{
				Name: "signals", Require: "report.signals.map(s, s.id).within(lists.signals)", Mode: Warn,
				Message: "what deserves a look is new: {{report.signals.map(s, s.id).without(lists.signals)}}",
			},
			{
				Name: "size", Require: fmt.Sprintf("report.size <= %d", margin(r.Size)),
				Message: "it has {{report.size}} bytes, a tenth more than it had",
			},
		},
	}
	return encode(doc, "generate a policy")
}

// A generated is a policy as YAML.
type generated struct {
	Name        string          `yaml:"name"`
	Description string          `yaml:"description"`
	Lists       pinned          `yaml:"lists"`
	Rules       []generatedRule `yaml:"rules"`
}

type pinned struct {
	Imports   []string `yaml:"imports"`
	Exports   []string `yaml:"exports"`
	Declared  []string `yaml:"declared,flow"`
	Reachable []string `yaml:"reachable,flow"`
	Features  []string `yaml:"features,flow"`
	Signals   []string `yaml:"signals,flow"`
}

type generatedRule struct {
	Name    string `yaml:"name"`
	Require string `yaml:"require"`
	Message string `yaml:"message"`
	Mode    Mode   `yaml:"mode,omitempty"`
}

// whole says why r is not all there is to know of a file.
func (r *Report) whole() error {
	switch {
	case !r.Valid:
		return fmt.Errorf("the file is not valid WebAssembly: %s", r.Problem)
	case len(r.Truncated) > 0:
		return fmt.Errorf("too much to pin: the list of %s is cut", strings.Join(r.Truncated, ", "))
	}
	for _, im := range r.Imports {
		if strings.Contains(im.Type, "…") {
			return fmt.Errorf("too much to pin: the type of import %s is cut", clip(im.Name))
		}
	}
	for _, ex := range r.Exports {
		if strings.Contains(ex.Type, "…") {
			return fmt.Errorf("too much to pin: the type of export %s is cut", clip(ex.Name))
		}
	}
	return nil
}

// encode writes YAML that Parse reads back.
func encode(doc any, doing string) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if _, err := Parse(b.Bytes()); err != nil {
		return nil, fmt.Errorf("%s: what it would say is no policy: %w", doing, err)
	}
	return b.Bytes(), nil
}

func sorted(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func importSignatures(r *Report) (list []string) {
	for _, im := range r.Imports {
		list = append(list, externSignature(importName(im.Module, im.Name), im.Kind, im.Type))
	}
	return list
}

func exportSignatures(r *Report) (list []string) {
	for _, ex := range r.Exports {
		list = append(list, externSignature(ex.Name, ex.Kind, ex.Type))
	}
	return list
}

func signalIDs(r *Report) (list []string) {
	for _, s := range r.Signals {
		list = append(list, s.ID)
	}
	return list
}

// GenerateCheckfile does the same in the form of Modsurfer's mod.yaml. The hashes
// of exports are pinned if r has them, and then every change of an exported
// function breaks it.
func GenerateCheckfile(r *Report) ([]byte, error) {
	if err := r.whole(); err != nil {
		return nil, fmt.Errorf("generate a checkfile: %w", err)
	}
	k := checker{c: &Checkfile{AllowWASI: new(bool)}, r: r, fails: map[string]CheckFail{}}
	k.wasi()
	v := checkDocument{
		AllowWASI:  len(k.fails) > 0,
		Size:       checkMax{strconv.FormatInt(margin(r.Size), 10)},
		Complexity: checkRisk{Risk(r.MaxComplexity)},
	}
	v.Imports.Include, v.Imports.Namespace.Include = []checkItem{}, []string{}
	for _, im := range r.Imports {
		e := importOf(im)
		if im.Module != "" {
			v.Imports.Namespace.Include = append(v.Imports.Namespace.Include, im.Module)
		}
		if k.counts(e) {
			v.Imports.Include = append(v.Imports.Include, item(r.Kind, im.Module, im.Name, im.Type, ""))
		}
	}
	v.Imports.Namespace.Include = sorted(v.Imports.Namespace.Include)
	v.Exports.Include = []checkItem{}
	for _, ex := range r.Exports {
		e := extern{kind: ex.Kind}
		if k.counts(e) {
			v.Exports.Max++
		}
		v.Exports.Include = append(v.Exports.Include, item(r.Kind, "", ex.Name, ex.Type, ex.Hash))
	}
	return encode(map[string]checkDocument{"validate": v}, "generate a checkfile")
}

// A checkDocument is a checkfile as YAML.
type checkDocument struct {
	AllowWASI bool `yaml:"allow_wasi"`
	Imports   struct {
		Include   []checkItem `yaml:"include"`
		Namespace struct {
			Include []string `yaml:"include"`
		} `yaml:"namespace"`
	} `yaml:"imports"`
	Exports struct {
		Max     int         `yaml:"max"`
		Include []checkItem `yaml:"include"`
	} `yaml:"exports"`
	Size       checkMax  `yaml:"size"`
	Complexity checkRisk `yaml:"complexity"`
}

type checkMax struct {
	Max string `yaml:"max"`
}

type checkRisk struct {
	MaxRisk string `yaml:"max_risk"`
}

type checkItem struct {
	Namespace string    `yaml:"namespace,omitempty"`
	Name      string    `yaml:"name"`
	Params    *[]string `yaml:"params,omitempty,flow"`
	Results   *[]string `yaml:"results,omitempty,flow"`
	Hash      string    `yaml:"hash,omitempty"`
}

func item(kind, module, name, typ, hash string) checkItem {
	i := checkItem{Namespace: module, Name: name, Hash: hash}
	if params, results, ok := signature(typ); ok && kind == "module" {
		params, results = words(params), words(results)
		i.Params, i.Results = &params, &results
	}
	return i
}

// words spells types as checkfiles do.
func words(types []string) []string {
	list := []string{}
	for _, t := range types {
		switch t {
		case "i32", "i64", "f32", "f64", "v128":
			t = strings.ToUpper(t)
		case "funcref":
			t = "FuncRef"
		case "externref":
			t = "ExternRef"
		}
		list = append(list, t)
	}
	return list
}
