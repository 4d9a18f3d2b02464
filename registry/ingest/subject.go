package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/storage/meta"
)

// A subject is a manifest that is judged or indexed.
type subject struct {
	registry.Admission
	tags  []string // that it has or shall get
	files []file   // its Wasm; see Service.files

	documents documents  // of the files
	materials *materials // nil until somebody asks; see Service.find

	signatures *signatures // nil until somebody asks; see Service.verify
}

// A file is a Wasm file of a manifest.
type file struct {
	Finding
	name  string // for people: the title of the layer, the path in it, or both
	layer registry.Descriptor
	index int  // among the findings of the layer; -1 for what only the media type claims
	made  made // of a manifest that is Wasm itself, since it is no blob
}

// blobs are the config and the layers, each digest once.
func (s *subject) blobs() []registry.Descriptor {
	list := make([]registry.Descriptor, 0, len(s.Layers)+1)
	if s.Config != nil {
		list = append(list, *s.Config)
	}
	list = append(list, s.Layers...)
	seen := make(map[digest.Digest]bool, len(list))
	return slices.DeleteFunc(list, func(d registry.Descriptor) bool {
		was := seen[d.Digest]
		seen[d.Digest] = true
		return was
	})
}

// claims reports whether a layer says that it is Wasm. The canonical form is
// one whose first layer is, whatever that says.
func (s *subject) claims(layer registry.Descriptor) bool {
	switch layer.MediaType {
	case artifact.MediaTypeWasm, artifact.MediaTypeLegacyLayer, artifact.MediaTypeModuleLayer, artifact.MediaTypeShimLayer:
		return true
	}
	return s.Config != nil && s.Config.MediaType == artifact.MediaTypeConfig && len(s.Layers) > 0 && layer.Digest == s.Layers[0].Digest
}

// claimsAny reports whether any layer does.
func (s *subject) claimsAny() bool { return slices.ContainsFunc(s.Layers, s.claims) }

// files looks through the blobs of s that are here, those that say they are Wasm
// or all. Each is analysed at most once, ever.
//
// With kept it returns once what was found is stored.
func (s *Service) files(ctx context.Context, sub *subject, all, kept bool) ([]file, error) {
	var files []file
	if all && !isJSON(sub.Content) {
		// What is no JSON is served as it is. Wasm needs no layer to be smuggled in.
		r, err := s.analyser.look(ctx, sub.Digest, int64(len(sub.Content)), strings.NewReader(string(sub.Content)))
		if err != nil {
			return nil, err
		}
		self := registry.Descriptor{MediaType: sub.MediaType, Digest: sub.Digest, Size: int64(len(sub.Content))}
		for i, f := range r.Files {
			files = append(files, file{Finding: f, name: name(self, f), layer: self, index: i, made: r.made[i]})
		}
	}
	for _, b := range sub.blobs() {
		if !all && !sub.claims(b) {
			continue
		}
		found, err := s.layer(ctx, sub.Repo, b, kept)
		if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
			continue // it lives elsewhere, and is not served from here
		}
		if err != nil {
			return nil, err
		}
		files = sub.in(b, found, files)
	}
	return files, nil
}

// in appends what was found in a layer to files: what says it is Wasm and is not
// is something to judge as well.
func (s *subject) in(layer registry.Descriptor, found *Findings, files []file) []file {
	if found.NotWasm != "" && s.claims(layer) {
		f := Finding{Digest: layer.Digest, Size: layer.Size, Report: policy.BrokenReport(layer.Size, errors.New(found.NotWasm))}
		files = append(files, file{Finding: f, name: name(layer, f), layer: layer, index: -1})
	}
	for i, f := range found.Files {
		files = append(files, file{Finding: f, name: name(layer, f), layer: layer, index: i})
	}
	return files
}

// layer is what is known of one blob of repo.
func (s *Service) layer(ctx context.Context, repo string, d registry.Descriptor, kept bool) (*Findings, error) {
	b, err := s.meta.Blob(ctx, repo, d.Digest)
	if err != nil {
		return nil, fmt.Errorf("blob %s of %s: %w", d.Digest, repo, err)
	}
	return s.analyser.findings(ctx, b, kept)
}

// isJSON reports whether content begins like a JSON object, as every manifest
// does whose references are known.
func isJSON(content []byte) bool {
	return strings.HasPrefix(strings.TrimLeft(string(content[:min(len(content), 64)]), " \t\r\n"), "{")
}

// name is what a file is called in messages and facts.
func name(layer registry.Descriptor, f Finding) string {
	title := cleanPath(layer.Annotations[artifact.AnnotationTitle])
	switch {
	case f.Path == "":
		return title
	case title == "":
		return f.Path
	default:
		return title + "!/" + f.Path
	}
}

// facts gives what rules are asked about s when by does action, one for each
// file, or one without a file if there is none.
func (s *Service) facts(
	ctx context.Context, sub *subject, action policy.Action, by policy.PrincipalFacts, needs policy.Needs,
) ([]*policy.Facts, error) {
	base := policy.Facts{Package: sub.pkg(), Action: action, Principal: by}
	var before *previous
	if needs.Previous {
		var err error
		if before, err = s.previous(ctx, sub); err != nil {
			base.Unknown = map[string]string{"previous": "the version before this one cannot be looked at: " + err.Error()}
		}
	}
	if needs.Signatures {
		if err := s.signatureFacts(ctx, sub, &base); err != nil {
			return nil, err
		}
	}
	if len(sub.files) == 0 {
		base.Previous = before.facts(nil)
		return []*policy.Facts{&base}, nil
	}
	if needs.Documents() {
		if err := s.find(ctx, sub); err != nil {
			return nil, err
		}
	}
	list := make([]*policy.Facts, len(sub.files))
	for i := range sub.files {
		f, one := &sub.files[i], base
		one.File = policy.File{
			Path: f.name, Layer: f.layer.Digest.String(), MediaType: f.layer.MediaType, Size: f.Size, Wasm: true,
		}
		if one.Report, one.Capabilities = &f.Report, f.Capabilities; one.Capabilities == nil {
			one.Capabilities = &policy.Capabilities{} // the report is not valid and tells why
		}
		one.Previous = before.facts(f)
		if needs.Documents() {
			sub.materials.facts(i, &one)
		}
		list[i] = &one
	}
	return list, nil
}

func (s *subject) pkg() policy.Package {
	p := policy.Package{
		Repository: s.Repo, Name: s.Repo, Tags: s.tags, Digest: s.Digest.String(), MediaType: s.MediaType,
		ArtifactType: s.ArtifactType, Annotations: s.Annotations, Referrer: s.Subject != "",
	}
	if i := strings.LastIndexByte(s.Repo, '/'); i >= 0 {
		p.Namespace, p.Name = s.Repo[:i], s.Repo[i+1:]
	}
	if v := greatest(s.tags); v != nil {
		p.Version = v.String()
	}
	for _, b := range s.blobs() {
		p.Size += b.Size
	}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	if p.Tags == nil {
		p.Tags = []string{}
	}
	return p
}

// greatest is the greatest semantic version among tags, nil if there is none.
func greatest(tags []string) *semver.Version {
	var best *semver.Version
	for _, tag := range tags {
		if v, ok := ref.VersionOf(tag); ok && (best == nil || v.GreaterThan(best)) {
			best = v
		}
	}
	return best
}

// previous is the version before a subject; nil says that nobody asked.
type previous struct {
	version string
	digest  digest.Digest // "" if there is none
	files   []file
}

// previous finds it as [policy.Previous] says. For a manifest without a version
// it is the latest release.
func (s *Service) previous(ctx context.Context, sub *subject) (*previous, error) {
	tags, err := s.meta.Tags(ctx, sub.Repo, meta.Page{})
	if errors.Is(err, meta.ErrRepository) || errors.Is(err, meta.ErrNotFound) {
		return &previous{}, nil
	}
	if err != nil {
		return nil, err
	}
	this := greatest(sub.tags)
	var best *semver.Version
	var bestTag string
	for _, tag := range tags {
		v, ok := ref.VersionOf(tag)
		switch {
		case !ok, slices.Contains(sub.tags, tag),
			this != nil && !v.LessThan(this),
			v.Prerelease() != "" && (this == nil || this.Prerelease() == ""),
			best != nil && !v.GreaterThan(best):
			continue
		}
		best, bestTag = v, tag
	}
	if best == nil {
		return &previous{}, nil
	}
	m, err := s.meta.TaggedManifest(ctx, sub.Repo, bestTag)
	if err != nil {
		return nil, err
	}
	before, err := s.read(ctx, m)
	if err != nil {
		return nil, err
	}
	if before.files, err = s.files(ctx, before, true, false); err != nil {
		return nil, err
	}
	return &previous{version: best.String(), digest: m.Digest, files: before.files}, nil
}

// facts is what rules see of it beside f: the file of the same name, or the only
// one that there is.
func (p *previous) facts(f *file) *policy.Previous {
	if p == nil {
		return nil
	}
	if p.digest == "" {
		return &policy.Previous{}
	}
	facts := &policy.Previous{Exists: true, Version: p.version, Digest: p.digest.String()}
	var same *file
	for i := range p.files {
		o := &p.files[i]
		if f != nil && (o.name == f.name || len(p.files) == 1) {
			same = o
			break
		}
	}
	if same != nil {
		facts.Report = same.Report
		if same.Capabilities != nil {
			facts.Capabilities = *same.Capabilities
		}
	}
	return facts
}

// read reads a stored manifest with its tags.
func (s *Service) read(ctx context.Context, m meta.Manifest) (*subject, error) {
	a, err := registry.ReadManifest(m)
	if err != nil {
		return nil, fmt.Errorf("manifest %s of %s: %w", m.Digest, m.Repo, err)
	}
	tags, err := s.meta.ManifestTags(ctx, m.Repo, m.Digest)
	if err != nil {
		return nil, fmt.Errorf("manifest %s of %s: %w", m.Digest, m.Repo, err)
	}
	return &subject{Admission: a, tags: tags}, nil
}
