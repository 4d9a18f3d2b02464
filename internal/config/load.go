package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix = "WREG_"
	// EnvFile names the YAML file if no flag does.
	EnvFile = envPrefix + "CONFIG"

	maxFile = 1 << 20 // bytes of a YAML file
)

// Source is where settings come from, each field overruling the ones before it.
type Source struct {
	File  string              // path of the YAML file; "" means what EnvFile says, or none
	Env   []string            // NAME=value, as os.Environ gives it
	Flags map[string][]string // by name of the flag, without dashes
}

// Load reads the configuration and checks it as a whole. The error lists
// everything that is wrong, a line each. Unknown lists variables that begin
// with WREG_ and mean nothing: worth a warning, since they are likely typing
// errors, but no error, since container platforms make such names on their own.
func Load(s Source) (c Config, unknown []string, err error) {
	env, unknown := environment(s.Env)
	if s.File == "" {
		s.File = env[EnvFile]
	}
	var errs []error
	if s.File != "" {
		errs = append(errs, readFile(&c, s.File))
	}
	for _, f := range Fields() {
		if v, ok := env[f.Env()]; ok {
			errs = append(errs, named(f.Env(), f.set(&c, v)))
		}
		if v, ok := s.Flags[f.Flag()]; ok {
			errs = append(errs, named("--"+f.Flag(), f.set(&c, v...)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, unknown, err
	}
	c = c.WithDefaults()
	return c, unknown, c.validate()
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// environment keeps our variables that are not empty.
func environment(environ []string) (known map[string]string, unknown []string) {
	names := map[string]bool{EnvFile: true}
	for _, f := range Fields() {
		names[f.Env()] = true
	}
	known = map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		switch {
		case !strings.HasPrefix(name, envPrefix) || value == "":
		case names[name]:
			known[name] = value
		default:
			unknown = append(unknown, name)
		}
	}
	return known, unknown
}

func readFile(c *Config, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err // names the path
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxFile {
		return fmt.Errorf("%s: longer than %s", path, Size(maxFile))
	}
	return readYAML(c, path, text)
}

// readYAML sets in c what text says. Each error begins with name:line.
func readYAML(c *Config, name string, text []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if doc.Kind == 0 {
		return nil // empty, or nothing but comments
	}
	r := yamlReader{config: c, name: name, fields: map[string]Field{}, sections: map[string]bool{}}
	for _, f := range Fields() {
		r.fields[f.Key] = f
		r.sections[f.Section()] = true
	}
	r.mapping("", doc.Content[0])
	return errors.Join(r.errs...)
}

type yamlReader struct {
	config   *Config
	name     string
	fields   map[string]Field
	sections map[string]bool // "" is the top of the file
	errs     []error
}

func (r *yamlReader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %w", r.name, n.Line, fmt.Errorf(format, args...)))
}

// mapping reads the top of the file, or one section. Sections do not nest, so
// neither does this deeper than once.
func (r *yamlReader) mapping(section string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "want keys with values, got %s", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := name.Value
		if section != "" {
			key = section + "." + key
		}
		f, known := r.fields[key]
		known = known && !strings.Contains(name.Value, ".") // sections are written as such
		switch {
		case name.Kind != yaml.ScalarNode:
			r.fail(name, "want the name of a setting, got %s", kindOf(name))
		case seen[key]:
			r.fail(name, "%s is set twice", clip(key))
		case known:
			if err := r.field(f, value); err != nil {
				r.fail(value, "%s: %w", key, err)
			}
		case section == "" && key != "" && r.sections[key]:
			r.mapping(key, value)
		default:
			r.fail(name, "unknown key %q", clip(key))
		}
		seen[key] = true
	}
}

// field sets f to a scalar, or a list to a sequence of scalars. A key without
// a value is as good as absent.
func (r *yamlReader) field(f Field, n *yaml.Node) error {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil
	case n.Kind == yaml.ScalarNode:
		return f.set(r.config, n.Value)
	case n.Kind != yaml.SequenceNode || !f.List():
		return fmt.Errorf("want one value, got %s", kindOf(n))
	}
	var texts []string
	for _, entry := range n.Content {
		if entry.Kind != yaml.ScalarNode {
			return fmt.Errorf("want a list of texts, got %s in it", kindOf(entry))
		}
		texts = append(texts, entry.Value)
	}
	return f.set(r.config, texts...)
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return "a text"
	}
}
