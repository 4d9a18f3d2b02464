package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
)

// maxPolicy bounds a file of policies or of cases, in bytes. The registry takes no
// more either.
const maxPolicy = 256 << 10

// Prefixes of policies that are no files.
const (
	readyPrefix    = "ready:"
	registryPrefix = "registry:"
)

// A policySource is the text of a policy with a name for people.
type policySource struct {
	name string // of the policy, if its text has none
	from string // file, or ready:NAME, or registry:NAME
	text []byte
}

// policySource reads the policy that arg names: a file, one of the ready set, or
// one of the default registry.
func (t *tool) policySource(ctx context.Context, arg string) (policySource, error) {
	if name, ok := strings.CutPrefix(arg, readyPrefix); ok {
		p, err := readyPolicy(name)
		return policySource{name: name, from: arg, text: p.Source}, err
	}
	if name, ok := strings.CutPrefix(arg, registryPrefix); ok {
		c, err := t.catalog()
		if err != nil {
			return policySource{}, err
		}
		p, err := c.Policy(ctx, name)
		if err != nil {
			return policySource{}, fmt.Errorf("policy %s: %w", name, err)
		}
		return policySource{name: name, from: arg, text: []byte(p.Source)}, nil
	}
	text, err := readSmall(arg, maxPolicy)
	base := filepath.Base(arg)
	return policySource{name: strings.TrimSuffix(base, filepath.Ext(base)), from: arg, text: text}, err
}

// readyPolicy finds a policy that comes with wpkg.
func readyPolicy(name string) (policy.ReadyPolicy, error) {
	for _, p := range policy.Ready() {
		if p.Name == name {
			return p, nil
		}
	}
	return policy.ReadyPolicy{}, &hinted{fmt.Errorf("%s%s: there is no such policy", readyPrefix, name), "wpkg policy ready lists them"}
}

// parse reads the text. Errors say where in it.
func (s policySource) parse() (*policy.Policy, error) {
	p, err := policy.Parse(s.text)
	if err != nil {
		return nil, s.fault(err)
	}
	if p.Name == "" {
		p.Name = s.name
	}
	return p, nil
}

// fault adds to an error of package policy where in the text it is.
func (s policySource) fault(err error) error {
	var all policy.Errors
	if !errors.As(err, &all) || len(all) == 0 {
		return fmt.Errorf("%s: %w", s.from, err)
	}
	out := &located{error: fmt.Errorf("%s: %w", s.from, err)}
	if len(all) > 1 {
		out.error = fmt.Errorf("%s: %d faults", s.from, len(all))
	}
	for _, e := range all {
		m := mark{heading: s.from + ":" + e.Error(), line: lineOf(string(s.text), e.Line), column: e.Column}
		if len(all) == 1 {
			plain := *e
			plain.Hint, m.heading, out.hint = "", "", e.Hint
			out.error = fmt.Errorf("%s:%w", s.from, &plain)
		}
		out.marks = append(out.marks, m)
	}
	return out
}

// readSmall reads a file of at most limit bytes.
func readSmall(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: it has more than %d bytes", name, limit)
	}
	return b, nil
}

// catalog is the catalog of the default registry.
func (t *tool) catalog() (*client.Catalog, error) {
	cfg, err := t.config()
	if err != nil {
		return nil, err
	}
	return t.client().Catalog(t.defaultRegistry(cfg))
}
