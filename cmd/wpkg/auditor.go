package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing/trust"
)

// An auditor holds binaries against compiled policies.
type auditor struct {
	*tool
	subject subjectFlags
	parsed  []*policy.Policy
	sources []policySource
	set     *policy.Set
	needs   policy.Needs
	report  auditReport

	matcher      *matcher // nil if no rule needs one, or there are no advisories
	noAdvisories string   // why there is none although one is needed

	trust *trust.Policy // nil if no rule needs it, or there is none

	skipped int // versions that a registry knows nothing about yet
	scanned int
}

// use adds a policy. Its scope is taken off: who audits says what is looked at.
func (a *auditor) use(ctx context.Context, s policySource, fetch *fetchFlags) error {
	p, err := s.parse()
	if err != nil {
		return err
	}
	if p.Checkfile != nil && p.Checkfile.URL != "" {
		if s, err = fetch.replace(ctx, s, p.Checkfile.URL); err != nil {
			return err
		}
		if p, err = s.parse(); err != nil { // Compile refuses a second url
			return err
		}
	}
	p.Scope = policy.Scope{}
	if p.Checkfile != nil { // its checks have names only when they fail
		a.report.rules = append(a.report.rules, auditedRule{policy: p.Name, rule: checkfileRule, mode: p.Mode, severity: p.Severity})
	}
	for i := range p.Rules {
		p.Rules[i].Actions = []policy.Action{policy.Push}
		rule := p.Rules[i]
		a.report.rules = append(a.report.rules, auditedRule{
			policy: p.Name, rule: rule.Name, description: rule.Description, mode: rule.Mode, severity: rule.Severity,
		})
	}
	set, err := policy.Compile(append(slices.Clone(a.parsed), p)...)
	if err != nil {
		return s.fault(err)
	}
	a.parsed, a.sources, a.set = append(a.parsed, p), append(a.sources, s), set
	a.needs = set.Needs(a.subject.name, policy.Push)
	return nil
}

// checkfileRule stands for all checks of a checkfile.
const checkfileRule = "checkfile"

// auditHere looks at what the arguments name with the advisories and the trust policy
// that flags name.
func (a *auditor) auditHere(ctx context.Context, args []string, known *advisoryFlags, by *trustFlags) error {
	if err := a.readTrust(by); err != nil {
		return err
	}
	if err := a.readAdvisories(ctx, known); err != nil {
		return err
	}
	defer a.closeAdvisories()
	return a.auditAll(ctx, args)
}

// auditAll looks at what the arguments name. What cannot be read is an item with
// an error; a wrong argument ends the audit.
func (a *auditor) auditAll(ctx context.Context, args []string) error {
	for _, arg := range args {
		targets, err := a.targets(ctx, arg)
		if err != nil {
			return err
		}
		for _, target := range targets {
			if err := ctx.Err(); err != nil {
				return err
			}
			a.report.add(a.look(ctx, target))
		}
	}
	return nil
}

// A target is one thing to look at.
type target struct {
	name string
	file bool // name is a path on disk
	load func(context.Context) (*wasmFile, error)
}

// targets are what one argument stands for.
func (a *auditor) targets(ctx context.Context, arg string) ([]target, error) {
	if isFolder(arg) {
		return folderTargets(ctx, arg)
	}
	one := target{name: arg, file: isFile(arg), load: func(ctx context.Context) (*wasmFile, error) { return a.load(ctx, arg) }}
	if one.file {
		return []target{one}, nil
	}
	r, err := a.reference(ctx, arg)
	if err != nil {
		return nil, err
	}
	if r.Layout == "" || r.Tag != "" || r.Digest != "" {
		return []target{one}, nil
	}
	return a.layoutTargets(ctx, r)
}

// isFolder reports whether arg is a folder of files, and no layout.
func isFolder(arg string) bool {
	fi, err := os.Stat(arg)
	return err == nil && fi.IsDir() && !client.IsLayout(arg)
}

func folderTargets(ctx context.Context, dir string) ([]target, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.wasmFiles(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, &hinted{
			fmt.Errorf("%s: there is no file that ends in .wasm below it", dir),
			"name the file itself if it has another name",
		}
	}
	var out []target
	for _, name := range names {
		out = append(out, target{
			name: filepath.Join(dir, filepath.FromSlash(name)), file: true,
			load: func(context.Context) (*wasmFile, error) {
				f, err := openFolder(dir)
				if err != nil {
					return nil, err
				}
				defer f.Close()
				return f.load(name)
			},
		})
	}
	return out, nil
}

// layoutTargets are the tags of a layout, each package once.
func (a *auditor) layoutTargets(ctx context.Context, r ref.Reference) ([]target, error) {
	layout, err := a.target(ctx, r, false)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(ctx, layout, r)
	if err != nil {
		return nil, err
	}
	tags = slices.DeleteFunc(tags, hidden)
	ref.SortTags(tags)
	seen := map[string]bool{}
	var out []target
	for _, tag := range tags {
		d, err := layout.Resolve(ctx, tag)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.WithTag(tag), err)
		}
		if seen[d.Digest.String()] {
			continue
		}
		seen[d.Digest.String()] = true
		name := r.WithTag(tag).String()
		out = append(out, target{name: name, load: func(ctx context.Context) (*wasmFile, error) { return a.load(ctx, name) }})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: it has no tags", r.Name())
	}
	return out, nil
}

// verdict is how the command ends.
func (a *auditor) verdict() error {
	at := slices.IndexFunc(a.report.items, func(x audited) bool { return x.err != nil })
	switch n := a.report.count(auditError); {
	case a.report.count(auditFail) > 0:
		return errFinding
	case n > 1:
		return fmt.Errorf("audit: %d targets could not be looked at; the first: %w", n, a.report.items[at].err)
	case n > 0:
		return fmt.Errorf("audit: %w", a.report.items[at].err)
	case a.skipped > 0:
		return &hinted{
			fmt.Errorf("audit: nothing is known of %d of %d versions: they have not been analysed yet", a.skipped, a.scanned),
			"wpkg jobs list shows what is under way",
		}
	}
	return nil
}
