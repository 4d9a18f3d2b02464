package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/errdef"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/internal/glob"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/jobs"
	"github.com/wreg-project/wreg/storage/meta"
)

// An AOTRule says which tags get native code for which targets.
type AOTRule struct {
	text     string
	patterns []tagPattern
	targets  []variant.Target
}

// A tagPattern matches tags of repositories.
type tagPattern struct{ repo, tag string }

// Bounds of rules.
const (
	maxAOTRules    = 100
	maxAOTPatterns = 50  // of a rule
	maxAOTPattern  = 400 // bytes
)

// ParseAOTRule reads a rule, "PATTERNS = TARGETS" with spaces between several of
// either: "prod/**:v* staging/app = linux/amd64/v3 pulley64". docs/ops/aot.md
// describes it.
func ParseAOTRule(text string) (AOTRule, error) {
	r := AOTRule{text: text}
	left, right, ok := strings.Cut(text, "=")
	if !ok {
		return r, fmt.Errorf("rule %q: no = between patterns and targets", clipText(text))
	}
	for p := range strings.FieldsSeq(left) {
		pattern, err := parseTagPattern(p)
		if err != nil {
			return r, fmt.Errorf("rule %q: pattern %q: %w", clipText(text), clipText(p), err)
		}
		r.patterns = append(r.patterns, pattern)
	}
	for t := range strings.FieldsSeq(right) {
		target, err := variant.Parse(t)
		if err != nil {
			return r, fmt.Errorf("rule %q: %w", clipText(text), err)
		}
		if !slices.Contains(r.targets, target) {
			r.targets = append(r.targets, target)
		}
	}
	switch {
	case len(r.patterns) == 0:
		return r, fmt.Errorf("rule %q: no pattern", clipText(text))
	case len(r.patterns) > maxAOTPatterns:
		return r, fmt.Errorf("rule %q: %d patterns are more than %d", clipText(text), len(r.patterns), maxAOTPatterns)
	case len(r.targets) == 0:
		return r, fmt.Errorf("rule %q: no target", clipText(text))
	}
	return r, nil
}

// ParseAOTRules reads several.
func ParseAOTRules(texts []string) ([]AOTRule, error) {
	if len(texts) > maxAOTRules {
		return nil, fmt.Errorf("%d rules are more than %d", len(texts), maxAOTRules)
	}
	rules := make([]AOTRule, len(texts))
	for i, text := range texts {
		var err error
		if rules[i], err = ParseAOTRule(text); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func parseTagPattern(text string) (tagPattern, error) {
	p := tagPattern{tag: "*"}
	var tagged bool
	if p.repo, p.tag, tagged = strings.Cut(text, ":"); !tagged {
		p.tag = "*"
	}
	switch {
	case len(text) > maxAOTPattern:
		return p, fmt.Errorf("longer than %d bytes", maxAOTPattern)
	case p.repo == "" || p.tag == "":
		return p, errors.New("a repository or tag is missing")
	case strings.HasPrefix(p.repo, "/") || strings.HasSuffix(p.repo, "/"):
		return p, errors.New("begins or ends with a slash")
	}
	for part, allowed := range map[string]string{p.repo: "._-/*?", p.tag: "._-*?ABCDEFGHIJKLMNOPQRSTUVWXYZ"} {
		i := strings.IndexFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(allowed, r)
		})
		if i >= 0 {
			return p, fmt.Errorf("no name or tag has a character like %q in it", part[i:i+1])
		}
	}
	return p, nil
}

// clipText keeps long settings out of messages.
func clipText(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// matches reports whether the rule is about any of the tags.
func (r AOTRule) matches(repo string, tags []string) bool {
	m := glob.New()
	for _, p := range r.patterns {
		if m.Name(repo, p.repo) && slices.ContainsFunc(tags, func(tag string) bool { return m.Match(tag, p.tag) }) {
			return m.Err() == nil
		}
	}
	return false
}

// aotTargets are what the rules ask for of a manifest with these tags.
func (s *Service) aotTargets(repo string, tags []string) []string {
	var list []string
	for _, r := range s.o.AOT.Rules {
		if !r.matches(repo, tags) {
			continue
		}
		for _, t := range r.targets {
			if name := t.String(); !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// ErrNotCompiled says of a manifest that no native code is made of it, and why.
var ErrNotCompiled = errors.New("no native code is made of this")

// wasmLayer is the layer of a package in its canonical form.
func wasmLayer(sub *subject) (registry.Descriptor, bool) {
	if sub.Subject != "" || sub.Config == nil || sub.Config.MediaType != artifact.MediaTypeConfig || len(sub.Layers) != 1 ||
		sub.Layers[0].MediaType != artifact.MediaTypeWasm {
		return registry.Descriptor{}, false
	}
	return sub.Layers[0], true
}

// aotSource is the layer of a package that is compiled, ErrNotCompiled if it has
// none. The files of sub have to be known. Of the limits of package aot it looks at
// those whose counts are kept; workers look at all.
func aotSource(sub *subject) (file, error) {
	no := func(format string, args ...any) (file, error) {
		return file{}, fmt.Errorf("%w: %s", ErrNotCompiled, fmt.Sprintf(format, args...))
	}
	layer, ok := wasmLayer(sub)
	switch {
	case sub.Subject != "":
		return no("it refers to another manifest")
	case !ok:
		return no("it is no package with one layer of WebAssembly")
	}
	i := slices.IndexFunc(sub.files, func(f file) bool { return f.Path == "" && f.index >= 0 && f.layer.Digest == layer.Digest })
	if i < 0 {
		return no("its layer is not here or could not be read")
	}
	f := sub.files[i]
	switch r := f.Report; {
	case !f.Wasm || !r.Valid:
		return no("it is not valid: %s", r.Problem)
	case r.Kind != string(inspect.KindModule) && r.Kind != string(inspect.KindComponent):
		return no("a %s has no code", r.Kind)
	case f.Size > aot.MaxInput:
		return no("it has %d bytes, and at most %d are compiled", f.Size, aot.MaxInput)
	case r.CodeSize > aot.MaxCode:
		return no("it has %d bytes of code, and at most %d are compiled", r.CodeSize, aot.MaxCode)
	case r.Functions > aot.MaxFunctions:
		return no("it has %d functions, and at most %d are compiled", r.Functions, aot.MaxFunctions)
	}
	return f, nil
}

// aotStage finds out which native code the rules want of the manifest.
func (s *Service) aotStage(_ context.Context, r *ingestion) error {
	r.native = s.wanted(r.sub, r.verdict.State)
	return nil
}

// wanted are the jobs by the rules, none for what policy denies. The files of sub
// have to be known.
func (s *Service) wanted(sub *subject, verdict meta.VerdictState) []meta.NewAOTJob {
	if verdict == meta.VerdictDeny {
		return nil
	}
	targets := s.aotTargets(sub.Repo, sub.tags)
	if len(targets) == 0 {
		return nil
	}
	source, err := aotSource(sub)
	if err != nil {
		return nil // most packages of an image are none of that kind: nobody is told
	}
	list := make([]meta.NewAOTJob, len(targets))
	for i, target := range targets {
		list[i] = s.aotJob(sub, source, target)
	}
	return list
}

func (s *Service) aotJob(sub *subject, source file, target string) meta.NewAOTJob {
	return meta.NewAOTJob{
		Repo: sub.Repo, Subject: sub.Digest, Source: source.layer.Digest, Size: source.Size, Target: target, Runtime: aot.Runtime,
		Profile: aot.Profile, Due: s.now().UTC(),
	}
}

// putWanted enqueues what the rules want of a manifest, and drops what waits and
// they want no more.
func (s *Service) putWanted(ctx context.Context, tx meta.Tx, sub *subject, want []meta.NewAOTJob) error {
	for _, j := range want {
		if _, _, err := tx.EnqueueAOT(ctx, j); err != nil {
			return err
		}
	}
	have, err := tx.AOTJobsOf(ctx, sub.Repo, sub.Digest)
	if err != nil {
		return err
	}
	for _, j := range have {
		if slices.ContainsFunc(want, func(w meta.NewAOTJob) bool {
			return w.Target == j.Target && w.Runtime == j.Runtime && w.Profile == j.Profile
		}) {
			continue
		}
		if err := s.dropUnwanted(ctx, tx, j); err != nil {
			return err
		}
	}
	return nil
}

// dropUnwanted removes a job that a rule made and that waits. What people asked
// for stays.
func (s *Service) dropUnwanted(ctx context.Context, tx meta.Tx, j meta.AOTJob) error {
	if j.State != meta.AOTQueued || j.Requester != "" || j.Result != "" {
		return nil
	}
	return tx.DropAOT(ctx, j.ID)
}

// rewant follows a change of tags, verdict or rules for one manifest.
func (s *Service) rewant(ctx context.Context, m meta.Manifest) error {
	if len(s.o.AOT.Rules) == 0 {
		return nil
	}
	sub, err := s.read(ctx, m)
	if err != nil {
		return jobs.Permanent(err)
	}
	if sub.Subject != "" {
		return nil
	}
	if len(s.aotTargets(sub.Repo, sub.tags)) > 0 {
		if sub.files, err = s.files(ctx, sub, true, true); err != nil {
			return err
		}
	}
	want := s.wanted(sub, m.Verdict)
	return s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
		if _, err := tx.Manifest(ctx, m.Repo, m.Digest); err != nil {
			return err
		}
		return s.putWanted(ctx, tx, sub, want)
	})
}

// AOTRules tells one set of rules from another.
func (s *Service) AOTRules() string {
	if len(s.o.AOT.Rules) == 0 {
		return ""
	}
	h := sha256.New()
	for _, r := range s.o.AOT.Rules {
		fmt.Fprintf(h, "%d:%s", len(r.text), r.text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// followAOT enqueues a look at everything stored if the rules are not those by
// which that was done last.
func (s *Service) followAOT(ctx context.Context) {
	last, err := s.meta.AOTRules(ctx)
	if err == nil && last == s.AOTRules() {
		return
	}
	if err == nil {
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			_, err := tx.Enqueue(ctx, meta.NewJob{Kind: JobAOT, Due: s.now().UTC()})
			return err
		})
	}
	if err != nil && ctx.Err() == nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "rules of native code not followed", slog.Any("err", err))
	}
}

// aotBatch is how many rows are read at a time.
const aotBatch = 500

// aotAgain does a job of kind aot: it holds everything that is stored against the
// rules. When it is cut off it begins again, and enqueues nothing twice.
func (s *Service) aotAgain(ctx context.Context, _ meta.Job) error {
	if err := s.dropOutdated(ctx); err != nil {
		return err
	}
	for page := (meta.Page{Limit: aotBatch}); len(s.o.AOT.Rules) > 0; {
		repos, err := s.meta.Repositories(ctx, meta.Visibility{Everything: true}, page)
		if err != nil {
			return err
		}
		for _, repo := range repos {
			if err := s.aotRepository(ctx, repo); err != nil && !absent(err) {
				return fmt.Errorf("native code of %s: %w", repo, err)
			}
		}
		if len(repos) < page.Limit {
			break
		}
		page.After = repos[len(repos)-1]
	}
	return s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error { return tx.SetAOTRules(ctx, s.AOTRules()) })
}

// dropOutdated removes the jobs that wait because of a rule that is gone.
func (s *Service) dropOutdated(ctx context.Context) error {
	var after int64
	for {
		list, err := s.meta.AOTJobs(ctx, meta.AOTFilter{States: []meta.AOTState{meta.AOTQueued}}, after, aotBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		var gone []meta.AOTJob
		for _, j := range list {
			tags, err := s.meta.ManifestTags(ctx, j.Repo, j.Subject)
			if err != nil && !absent(err) {
				return err
			}
			if !slices.Contains(s.aotTargets(j.Repo, tags), j.Target) {
				gone = append(gone, j)
			}
		}
		err = s.meta.Update(ctx, func(ctx context.Context, tx meta.Tx) error {
			for _, j := range gone {
				now, err := tx.AOTJob(ctx, j.ID)
				if errors.Is(err, meta.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if err := s.dropUnwanted(ctx, tx, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		after = list[len(list)-1].ID
	}
}

// aotRepository enqueues what the rules want of the tags of a repository. What is
// not ingested yet has a job of its own.
func (s *Service) aotRepository(ctx context.Context, repo string) error {
	seen := map[digest.Digest]bool{}
	for page := (meta.Page{Limit: aotBatch}); ; {
		tags, err := s.meta.Tags(ctx, repo, page)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if len(s.aotTargets(repo, []string{tag})) == 0 {
				continue
			}
			m, err := s.meta.TaggedManifest(ctx, repo, tag)
			if err == nil && m.Ingested >= Version && !seen[m.Digest] {
				seen[m.Digest] = true
				err = s.rewant(ctx, m)
			}
			if err != nil && !absent(err) {
				return err
			}
		}
		if len(tags) < page.Limit {
			return nil
		}
		page.After = tags[len(tags)-1]
	}
}

// maxVariants is how much native code of one package is looked at for searches.
const maxVariants = 100

// variants are the targets for which native code lies beside a package that wpkg
// would load if its user trusts who made it: of the runtime and profile of wpkg,
// made of the layer of the package, served, and attested by one of AOT.Compilers if
// any is named. It is read from what is stored and not from the queue, which is lost
// with a database: it makes no difference who asked for the code or pushed it.
func (s *Service) variants(ctx context.Context, sub *subject) ([]string, error) {
	layer, ok := wasmLayer(sub)
	if !ok {
		return nil, nil
	}
	refs, err := s.meta.Referrers(ctx, sub.Repo, sub.Digest, aot.ArtifactType(aot.Runtime), meta.Page{Limit: maxVariants})
	if err != nil {
		return nil, fmt.Errorf("native code of %s in %s: %w", sub.Digest, sub.Repo, err)
	}
	var targets []string
	for _, r := range refs {
		target, err := s.variant(ctx, sub, layer.Digest, r.Digest)
		if err != nil {
			return nil, fmt.Errorf("native code %s in %s: %w", r.Digest, sub.Repo, err)
		}
		if target != "" && !slices.Contains(targets, target) {
			targets = append(targets, target)
		}
	}
	slices.Sort(targets)
	return targets, nil
}

// variant is the target of one piece of native code, "" of what does not count.
func (s *Service) variant(ctx context.Context, of *subject, source, d digest.Digest) (string, error) {
	m, err := s.meta.Manifest(ctx, of.Repo, d)
	if absent(err) || err == nil && m.Verdict == meta.VerdictDeny {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	v, err := s.ReadVariant(ctx, m, aot.Expected{Subject: of.Digest, Source: source})
	if errors.Is(wrongResult(err), ErrResult) || errors.Is(err, errdef.ErrNotFound) {
		return "", nil // in a bad form, or with a config that is elsewhere
	}
	if err != nil || v.Profile != aot.Profile {
		return "", err
	}
	if err := s.checkAttested(ctx, m, v); errors.Is(err, ErrUnattested) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return v.Target.String(), nil
}
