package search

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/inspect"
	"github.com/wreg-project/wreg/inspect/capability"
	"github.com/wreg-project/wreg/inspect/origin"
	"github.com/wreg-project/wreg/storage/meta"
)

// Bounds of one document, in terms, besides those about its materials. What is
// beyond them is left out, and the document has the term "is:truncated". All
// together are less than [meta.MaxTerms].
const (
	maxNames    = 1500 // of imports, and of exports
	maxWords    = 1000
	maxTags     = 250
	maxSections = 100
	maxLayers   = 200
	maxOther    = 100  // of each other operator
	maxText     = 1024 // bytes of a text that a listing shows
)

// Describe makes the document of a package.
func Describe(s Source) meta.Document {
	d := describer{terms: map[string]bool{}, counts: map[string]int{}}
	d.listing = Listing{Name: packageName(s.Repo), Tags: []string{}, Capabilities: []string{}}
	d.metadata(s)
	largest := -1
	for i := range s.Files {
		d.file(&s.Files[i])
		if largest < 0 || s.Files[i].Size > s.Files[largest].Size {
			largest = i
		}
	}
	if largest >= 0 {
		d.largest(&s.Files[largest])
	}
	d.text(s)
	d.listing.Truncated = d.truncated
	d.materials(s.Materials)
	doc := meta.Document{Repo: s.Repo, Digest: s.Digest, Terms: slices.Sorted(maps.Keys(d.terms)), Size: d.listing.Size}
	return update(doc, d.listing, s.State)
}

// packageName is the name of a repository as that of a package: "ns:name".
func packageName(repo string) string { return strings.ReplaceAll(repo, "/", ":") }

// Update is the document with another state: its terms about tags, verdict and
// notices are replaced, and so is what its listing says of them. Nothing is
// inspected for it.
func Update(doc meta.Document, s State) (meta.Document, error) {
	var l Listing
	if err := json.Unmarshal(doc.Body, &l); err != nil {
		return meta.Document{}, err
	}
	return update(doc, l, s), nil
}

// changeable are the operators whose terms follow from a State.
var changeable = []string{"tag:", "version:", "is:", "verdict:", "aot:"}

func update(doc meta.Document, l Listing, s State) meta.Document {
	d := describer{terms: map[string]bool{}, counts: map[string]int{}, listing: l}
	for _, t := range doc.Terms {
		if !slices.ContainsFunc(changeable, func(p string) bool { return strings.HasPrefix(t, p) }) || lasting[t] {
			d.terms[t] = true
		}
	}
	d.state(s)
	d.settleTruncated()
	doc.Terms = slices.Sorted(maps.Keys(d.terms))
	doc.Updated, doc.Pulls = s.Updated, s.Pulls
	doc.Body = d.body()
	return doc
}

// body is the listing as it is stored.
func (d *describer) body() json.RawMessage {
	body, err := json.Marshal(d.listing)
	if err != nil {
		panic("search: a listing cannot be written: " + err.Error()) // it holds strings and numbers
	}
	return body
}

// settleTruncated says in the terms what the listing says: that something was
// left out.
func (d *describer) settleTruncated() {
	l := &d.listing
	if l.Truncated || l.TagsTruncated || l.Materials != nil && l.Materials.Truncated {
		d.terms["is:truncated"] = true
	} else {
		delete(d.terms, "is:truncated")
	}
}

// lasting are the terms of changeable operators that follow from the bytes.
var lasting = map[string]bool{"is:invalid": true}

// A describer collects the terms of a document.
type describer struct {
	terms     map[string]bool
	counts    map[string]int // terms by operator
	truncated bool
	listing   Listing
}

// add adds a term, unless there are limit of its operator already.
func (d *describer) add(op, value string, limit int) {
	if value = fold(value); value == "" {
		return
	}
	t := term(op+":", value)
	if d.terms[t] {
		return
	}
	if d.counts[op] >= limit {
		d.truncated = true
		return
	}
	d.counts[op]++
	d.terms[t] = true
}

// full reports whether an operator has all the terms it may have, when there are
// more: going through the rest would be for nothing.
func (d *describer) full(op string, limit int) bool {
	if d.counts[op] < limit {
		return false
	}
	d.truncated = true
	return true
}

// name adds a name with all that it is part of: "wasi:http/types@0.2.0" is also
// "wasi:http/types", "wasi:http/*" and "wasi:*".
func (d *describer) name(op, value string) {
	value = fold(value)
	d.add(op, value, maxNames)
	bare, _, _ := strings.Cut(value, "@")
	if bare != "" {
		d.add(op, bare, maxNames)
	}
	for i := range len(bare) {
		if (bare[i] == ':' || bare[i] == '/') && i > 0 {
			d.add(op, bare[:i+1]+"*", maxNames)
		}
	}
}

func (d *describer) words(op, text string) {
	tokens(text, func(whole string, parts []string) bool {
		if len(whole) <= maxWord {
			d.add(op, whole, maxWords)
		}
		for _, p := range parts {
			d.add(op, p, maxWords)
		}
		return d.counts[op] < maxWords
	})
}

// metadata adds what is known without looking into files.
func (d *describer) metadata(s Source) {
	d.add("repo", s.Repo, 1)
	for i := range len(s.Repo) {
		if s.Repo[i] == '/' {
			d.add("within", s.Repo[:i], maxOther)
		}
	}
	d.add("within", s.Repo, maxOther)
	base := s.Repo[strings.LastIndexByte(s.Repo, '/')+1:]
	d.add("named", base, 1)
	d.words("name", segments(s.Repo))
	d.words("name", s.Annotations[artifact.AnnotationTitle])
	d.add("digest", shorten(s.Digest), 1)
	d.add("type", s.ArtifactType, maxOther)
	d.licenses(s.Annotations[artifact.AnnotationLicenses])
	d.words("author", s.Annotations[artifact.AnnotationAuthors])
	d.listing.Title = clip(s.Annotations[artifact.AnnotationTitle])
	d.listing.Description = clip(s.Annotations[artifact.AnnotationDescription])
	d.listing.License = clip(s.Annotations[artifact.AnnotationLicenses])
}

// segments sets the parts of a repository's name apart, as identifiers of their
// own.
func segments(repo string) string { return strings.ReplaceAll(repo, "/", " ") }

// clip bounds a text that is shown.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// shorten cuts a digest down to what tells digests apart: 128 bits.
func shorten(d digest.Digest) string {
	const digits = 32
	algorithm, hex, _ := strings.Cut(string(d), ":")
	return algorithm + ":" + hex[:min(len(hex), digits)]
}

// licenses adds the names in an SPDX expression.
func (d *describer) licenses(expression string) {
	for name := range strings.FieldsFuncSeq(expression, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == ',' }) {
		switch strings.ToUpper(name) {
		case "AND", "OR", "WITH":
		default:
			d.add("license", name, maxOther)
		}
	}
}

// file adds what is known about one binary.
func (d *describer) file(f *File) {
	d.add("layer", shorten(f.Digest), maxLayers)
	d.listing.Files++
	d.listing.Size += f.Size
	if f.Problem != "" {
		d.terms["is:invalid"] = true
		if d.listing.Problem == "" {
			d.listing.Problem = clip(f.Problem)
		}
	}
	rep := f.Report
	if rep == nil {
		return
	}
	d.add("kind", string(rep.Kind), maxOther)
	d.add("wasi", string(rep.WASI), maxOther)
	for _, feature := range rep.Requires {
		d.add("feature", feature, maxOther)
	}
	d.interfaces(rep)
	d.capabilities(rep.Capabilities)
	d.origin(rep.Origin)
	if rep.Signals != nil {
		for _, s := range rep.Signals.Signals {
			d.add("signal", s.ID, maxOther)
			d.listing.Signals = list(d.listing.Signals, s.ID)
		}
	}
	for _, s := range rep.Sections {
		if s.Custom && !d.full("section", maxSections) {
			d.add("section", s.Name, maxSections)
		}
	}
	d.licenses(rep.Metadata.Licenses)
	d.words("author", rep.Metadata.Authors)
	d.listing.License = cmp.Or(d.listing.License, clip(rep.Metadata.Licenses))
	d.listing.Description = cmp.Or(d.listing.Description, clip(rep.Metadata.Description))
}

// list appends to a list of a Listing, each once and not too many.
func list(to []string, s string) []string {
	if len(to) >= MaxListed || slices.Contains(to, s) {
		return to
	}
	return append(to, clip(s))
}

func (d *describer) interfaces(rep *inspect.Report) {
	for _, im := range rep.Imports {
		if d.full("imports", maxNames) {
			break
		}
		if im.Module == "" {
			d.name("imports", im.Name)
			d.add("interface", im.Name, maxNames)
			continue
		}
		d.add("imports", im.Module, maxNames)
		d.name("imports", im.Module+"/"+im.Name)
		d.add("interface", im.Module, maxNames)
	}
	for _, ex := range rep.Exports {
		if d.full("exports", maxNames) {
			break
		}
		d.name("exports", ex.Name)
		if rep.Component != nil {
			d.add("interface", ex.Name, maxNames)
		}
	}
	if c := rep.Component; c != nil {
		for _, name := range slices.Concat(c.Worlds, c.Interfaces) {
			d.name("exports", name)
			d.add("interface", name, maxNames)
		}
		if c.Target != "" {
			d.name("target", c.Target)
		}
	}
}

// groups are short words for several capabilities.
var groups = map[capability.ID]string{
	capability.NetResolve: "net", capability.NetOutbound: "net", capability.NetInbound: "net",
	capability.HTTPClient: "net", capability.HTTPServer: "net",
	capability.FilesRead: "files", capability.FilesWrite: "files",
}

func (d *describer) capabilities(r *capability.Result) {
	if r == nil {
		return
	}
	for _, c := range r.Capabilities {
		ops := []string{"capability"}
		switch c.Level {
		case capability.Reachable:
			ops = append(ops, "reachable")
		case capability.Adapted:
			ops = append(ops, "hidden-capability")
			d.listing.Hidden = list(d.listing.Hidden, string(c.ID))
		case capability.Declared:
		}
		for _, op := range ops {
			d.add(op, string(c.ID), maxOther)
			d.add(op, groups[c.ID], maxOther)
		}
		d.listing.Capabilities = list(d.listing.Capabilities, string(c.ID))
	}
}

func (d *describer) origin(o *origin.Origin) {
	if o == nil {
		return
	}
	for op, findings := range map[string][]origin.Finding{"lang": o.Languages, "tool": o.Toolchains, "host": o.Hosts} {
		for _, f := range findings {
			d.add(op, f.Name, maxOther)
			if f.Version != "" && op == "tool" {
				d.add("tool", f.Name+"@"+f.Version, maxOther)
			}
		}
	}
}

// largest says in the listing what the main file is.
func (d *describer) largest(f *File) {
	rep := f.Report
	if rep == nil {
		return
	}
	d.listing.Kind, d.listing.WASI = string(rep.Kind), string(rep.WASI)
	if rep.Component != nil {
		d.listing.Target = clip(rep.Component.Target)
	}
	if o := rep.Origin; o != nil {
		d.listing.Language, d.listing.Toolchain, d.listing.Host = first(o.Languages), first(o.Toolchains), first(o.Hosts)
	}
}

// first is the likeliest finding.
func first(findings []origin.Finding) string {
	if len(findings) == 0 {
		return ""
	}
	f := findings[0]
	if f.Version == "" {
		return clip(f.Name)
	}
	return clip(f.Name + " " + f.Version)
}

// text adds the words that people look for: short texts first, so that a long
// one cannot keep them out.
func (d *describer) text(s Source) {
	texts := []string{s.Repo, segments(s.Repo), s.Annotations[artifact.AnnotationTitle], s.Annotations[artifact.AnnotationDescription]}
	for i := range s.Files {
		rep := s.Files[i].Report
		if rep == nil {
			continue
		}
		m := rep.Metadata
		texts = append(texts, m.Name, m.Description, s.Files[i].Path)
		if o := rep.Origin; o != nil {
			for _, f := range slices.Concat(o.Languages, o.Hosts) {
				texts = append(texts, f.Name)
			}
		}
		if c := rep.Component; c != nil {
			texts = append(texts, c.Target)
			texts = append(texts, c.Exports[:min(len(c.Exports), maxOther)]...)
		}
	}
	texts = append(texts, s.Annotations[artifact.AnnotationAuthors], s.Annotations[artifact.AnnotationReadme])
	for _, t := range texts {
		d.words("text", t)
	}
}

// state adds what a State says, to terms and listing.
func (d *describer) state(s State) {
	tags := slices.Clone(s.Tags)
	notices := make(map[string]meta.NoticeState, len(tags))
	names := make([]string, 0, len(tags))
	for _, t := range tags {
		notices[t.Name] = t.Notice
		names = append(names, t.Name)
	}
	ref.SortTags(names)
	l := &d.listing
	l.Version, l.Tags, l.Notice = "", names[:min(len(names), MaxListed)], ""
	l.Latest, l.Verdict = s.Latest, verdictName(s.Verdict)
	l.TagsTruncated = len(names) > maxTags
	for _, name := range names {
		d.add("tag", name, maxTags)
		v, ok := ref.VersionOf(name)
		if !ok {
			continue
		}
		d.add("version", v.String(), maxTags)
		if v.Prerelease() != "" {
			d.add("is", "prerelease", maxOther)
		}
		if l.Version == "" {
			l.Version, l.Notice = v.String(), noticeName(notices[name])
		}
	}
	for _, t := range tags {
		d.add("is", noticeName(t.Notice), maxOther)
	}
	if s.Latest {
		d.add("is", "latest", maxOther)
	}
	if len(tags) == 0 {
		d.add("is", "untagged", maxOther)
	}
	d.add("verdict", cmp.Or(l.Verdict, "none"), 1)
	for _, target := range s.Variants {
		d.add("aot", target, maxOther)
	}
}

func noticeName(n meta.NoticeState) string {
	switch n {
	case meta.NoticeDeprecated:
		return "deprecated"
	case meta.NoticeYanked:
		return "yanked"
	case meta.NoticeNone:
	}
	return ""
}

func verdictName(v meta.VerdictState) string {
	switch v {
	case meta.VerdictAllow:
		return "allow"
	case meta.VerdictWarn:
		return "warn"
	case meta.VerdictDeny:
		return "deny"
	case meta.VerdictNone:
		return ""
	}
	return strconv.Itoa(int(v))
}
