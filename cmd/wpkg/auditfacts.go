package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/policy"
)

// look holds one target against the policies.
func (a *auditor) look(ctx context.Context, t target) audited {
	out := audited{Name: t.name, file: t.file}
	f, err := t.load(ctx)
	if err != nil {
		return out.failed(err)
	}
	out.Name, out.Size = f.name, int64(len(f.data))
	facts, err := a.facts(ctx, f)
	if err != nil {
		return out.failed(err)
	}
	out.Digest = f.digest
	if f.from == nil {
		out.Digest = digest.FromBytes(f.data).String()
	}
	if facts.Package.Name != "" {
		out.Package = strings.TrimPrefix(facts.Package.Namespace+":"+facts.Package.Name, ":")
	}
	out.Version, out.Tags = facts.Package.Version, facts.Package.Tags
	out.Violations = a.helped(a.set.Eval(ctx, facts).Violations)
	for i := range out.Violations {
		if t.file && out.Violations[i].File == facts.File.Path {
			out.Violations[i].File = "" // it is the target
		}
	}
	return out
}

// facts finds out about a binary what the policies read.
func (a *auditor) facts(ctx context.Context, f *wasmFile) (*policy.Facts, error) {
	facts := &policy.Facts{
		Action:  policy.Push,
		File:    policy.File{Size: int64(len(f.data)), MediaType: mediaTypeWasm, Wasm: true},
		Unknown: map[string]string{"principal": "nobody pushes in an audit"},
	}
	if err := a.packageFacts(ctx, f, facts); err != nil {
		return nil, err
	}
	var err error
	if facts.Report, facts.Capabilities, err = a.inspectFacts(f); err != nil {
		return nil, err
	}
	if err := a.insideFacts(ctx, f, facts); err != nil {
		return nil, err
	}
	if err := a.signatureFacts(ctx, f, facts); err != nil {
		return nil, err
	}
	if a.needs.Previous {
		return facts, a.previousFacts(ctx, f, facts)
	}
	return facts, nil
}

const mediaTypeWasm = "application/wasm"

// inspectFacts are those of the binary itself. One that is broken has facts, too.
func (a *auditor) inspectFacts(f *wasmFile) (*policy.Report, *policy.Capabilities, error) {
	rep, err := f.analyse(inspect.Options{})
	if err != nil {
		broken := policy.BrokenReport(int64(len(f.data)), err)
		return &broken, &policy.Capabilities{}, nil
	}
	r, c := policy.ReportFacts(rep), policy.CapabilityFacts(rep)
	if a.needs.Hashes && rep.Kind == inspect.KindModule {
		if err := r.HashExports(f.data); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return &r, &c, nil
}

// packageFacts fills in the package, for a file as far as the flags say what it
// will be.
func (a *auditor) packageFacts(ctx context.Context, f *wasmFile, facts *policy.Facts) error {
	p := &facts.Package
	p.Tags, p.Annotations = []string{}, map[string]string{}
	if f.from != nil {
		return packageOf(ctx, f, facts)
	}
	facts.File.Path = filepath.Base(f.name)
	p.Size = int64(len(f.data))
	for _, name := range []string{"digest", "mediaType", "artifactType", "annotations", "tags"} {
		facts.Unknown["pkg."+name] = "a file is no package yet"
	}
	if a.subject.name == "" {
		for _, name := range []string{"repository", "namespace", "name"} {
			facts.Unknown["pkg."+name] = "a file has no name in a registry; --name gives it one"
		}
	} else {
		p.Repository, p.Namespace, p.Name = names(repositoryOf(a.subject.name))
	}
	if a.subject.version == "" {
		facts.Unknown["pkg.version"] = "a file has no version; --version gives it one"
		return nil
	}
	tag, err := ref.TagOf(a.subject.version)
	if err != nil {
		return err
	}
	p.Version = versionOf(tag)
	p.Tags = append(p.Tags, tag)
	delete(facts.Unknown, "pkg.tags")
	return nil
}

// names splits the name of a repository as policies see it.
func names(repo string) (repository, namespace, name string) {
	dir, name := path.Split(repo)
	return repo, strings.TrimSuffix(dir, "/"), name
}

// versionOf is the semantic version that a tag stands for, "" if it is none.
func versionOf(tag string) string {
	v, ok := ref.VersionOf(tag)
	if !ok {
		return ""
	}
	return v.String()
}

// packageOf fills in what a package's manifest says.
func packageOf(ctx context.Context, f *wasmFile, facts *policy.Facts) error {
	m, err := manifestOf(ctx, f.from)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	p, r := &facts.Package, f.from.ref
	if r.Layout == "" {
		p.Repository, p.Namespace, p.Name = names(r.Repository)
	} else {
		for _, name := range []string{"repository", "namespace", "name"} {
			facts.Unknown["pkg."+name] = "a layout has no name in a registry"
		}
	}
	p.Digest, p.MediaType = f.digest, f.from.desc.MediaType
	if p.ArtifactType = m.ArtifactType; p.ArtifactType == "" {
		p.ArtifactType = m.Config.MediaType
	}
	if m.Annotations != nil {
		p.Annotations = m.Annotations
	}
	p.Referrer = m.Subject != nil
	p.Size = m.Config.Size
	for _, l := range m.Layers {
		p.Size += l.Size
		if l.MediaType == mediaTypeWasm || len(m.Layers) == 1 {
			facts.File.Path, facts.File.Layer = l.Annotations[ocispec.AnnotationTitle], l.Digest.String()
			facts.File.MediaType = l.MediaType
		}
	}
	if f.from.tag == "" {
		facts.Unknown["pkg.tags"] = "it was named by its digest"
		facts.Unknown["pkg.version"] = "it was named by its digest"
		return nil
	}
	p.Tags = append(p.Tags, f.from.tag)
	p.Version = versionOf(f.from.tag)
	return nil
}

func manifestOf(ctx context.Context, s *selection) (*ocispec.Manifest, error) {
	b, err := client.ReadAll(ctx, s, s.desc, client.MaxManifest)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	return &m, json.Unmarshal(b, &m)
}

// noPrevious is the value of --previous for a first version.
const noPrevious = "none"

// previousFacts finds the version before: what --previous names, or for a package
// with a version the greatest one below it. Of a file without --previous it is
// unknown.
func (a *auditor) previousFacts(ctx context.Context, f *wasmFile, facts *policy.Facts) error {
	facts.Previous = &policy.Previous{}
	arg := a.subject.previous
	switch {
	case arg == noPrevious:
		return nil
	case arg != "":
	case f.from == nil:
		facts.Unknown["previous"] = "a file has no version before; --previous names it"
		return nil
	case facts.Package.Version == "":
		facts.Unknown["previous"] = "it has no version that another one could be before"
		return nil
	default:
		tag, err := tagBefore(ctx, f.from)
		if err != nil {
			return err
		}
		if tag == "" {
			return nil
		}
		arg = f.from.ref.WithTag(tag).String()
	}
	before, err := a.load(ctx, arg)
	if err != nil {
		return fmt.Errorf("the version before: %w", err)
	}
	r, c, err := a.inspectFacts(before)
	if err != nil {
		return err
	}
	*facts.Previous = policy.Previous{Exists: true, Digest: before.digest, Report: *r, Capabilities: *c}
	if before.from != nil {
		facts.Previous.Version = versionOf(before.from.tag)
	}
	return nil
}

// tagBefore is the tag of the greatest version below that of s, and no prerelease
// if s is none; "" if there is none.
func tagBefore(ctx context.Context, s *selection) (string, error) {
	own, ok := ref.VersionOf(s.tag)
	if !ok {
		return "", nil
	}
	tags, err := tagsOf(ctx, s, s.ref)
	if err != nil {
		return "", err
	}
	tag, err := ref.Pick(tags, "<"+own.String(), own.Prerelease() != "")
	if errors.Is(err, ref.ErrNoVersion) {
		return "", nil
	}
	return tag, err
}
