package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
)

// packageView is what info says of a package.
type packageView struct {
	*wire.PackageInfo
	Versions  []wire.Version `json:"versions"`
	Downloads int64          `json:"downloads"` // of the last 90 days

	Signatures *wire.Signatures `json:"signatures,omitempty"` // of the latest version
}

// versionView is what info says of a version.
type versionView struct {
	*wire.VersionInfo
	Signatures *wire.Signatures `json:"signatures"`
}

func (t *tool) infoCommand() *cli.Command {
	var readme bool
	return &cli.Command{
		Name:      "info",
		Usage:     "show what a registry knows of a package or version",
		ArgsUsage: "REF",
		Description: `Of a package: its description, its versions with what was said about them, and
what the latest one is and may do. With a version, range or digest: that one.

   wpkg info demo:hello
   wpkg info demo/hello:1.2.0 --output json
   wpkg info demo:hello --readme`,
		Flags: []cli.Flag{
			&cli.BoolFlag{
				Name: "readme", Usage: "print the README of the version, which is Markdown", Destination: &readme, DisableDefaultText: true,
			},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			at, err := t.cataloged(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			switch {
			case readme:
				return t.readme(c.Context, at)
			case at.version == "":
				return t.packageInfo(c.Context, at)
			}
			return t.versionInfo(c.Context, at)
		},
	}
}

// A cataloged package or version is one that the catalog of its registry can be
// asked about.
type cataloged struct {
	*client.Catalog
	repo    string
	version string // tag or digest, "" for the package as a whole
	ref     ref.Reference
}

// cataloged reads an argument that names a package of a registry. A range is
// resolved by the registry.
func (t *tool) cataloged(ctx context.Context, arg string) (cataloged, error) {
	r, err := t.reference(ctx, arg)
	if err != nil {
		return cataloged{}, err
	}
	if r.Layout != "" {
		return cataloged{}, &usageError{
			text: arg + ": a layout has no catalog", hint: "wpkg push puts it into a registry; wpkg inspect shows what it is",
		}
	}
	c, err := t.client().Catalog(r.Host)
	if err != nil {
		return cataloged{}, err
	}
	at := cataloged{Catalog: c, repo: r.Repository, version: r.Tag, ref: r}
	switch {
	case r.Digest != "":
		at.version = r.Digest.String()
	case r.Range != "" && r.Range != "*":
		res, err := c.Resolve(ctx, r.Repository, r.Range)
		if err != nil {
			return at, fmt.Errorf("%s: %w", r, err)
		}
		at.version = res.Version.Tag
	}
	return at, nil
}

// latest fills in the version of a package that was named without.
func (at *cataloged) latest(ctx context.Context) error {
	if at.version != "" {
		return nil
	}
	p, err := at.Package(ctx, at.repo)
	if err != nil {
		return fmt.Errorf("%s: %w", at.ref.Name(), err)
	}
	if at.version = p.Latest; at.version == "" {
		return &hinted{
			fmt.Errorf("%s: which version? none is the latest", at.ref.Name()),
			"wpkg list " + at.ref.Name() + " shows what there is",
		}
	}
	return nil
}

func (t *tool) readme(ctx context.Context, at cataloged) error {
	if err := at.latest(ctx); err != nil {
		return err
	}
	v, err := at.Version(ctx, at.repo, at.version)
	if err != nil {
		return fmt.Errorf("info %s: %w", at.ref, err)
	}
	if v.Readme == "" {
		return fmt.Errorf("%s: its author left no README", at.ref.Name())
	}
	_, err = io.WriteString(t.out, strings.TrimRight(term.CleanLines(v.Readme), "\n")+"\n")
	return err
}

func (t *tool) packageInfo(ctx context.Context, at cataloged) error {
	p, err := at.Package(ctx, at.repo)
	if err != nil {
		return fmt.Errorf("info %s: %w", at.ref.Name(), err)
	}
	view := packageView{PackageInfo: p, Versions: []wire.Version{}}
	err = at.Versions(ctx, at.repo, func(page []wire.Version) error {
		view.Versions = append(view.Versions, page...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("info %s: %w", at.ref.Name(), err)
	}
	d, err := at.Downloads(ctx, at.repo)
	if err != nil {
		return fmt.Errorf("info %s: %w", at.ref.Name(), err)
	}
	view.Downloads = d.Total
	if p.LatestVersion != nil {
		if view.Signatures, err = at.Signatures(ctx, at.repo, p.LatestVersion.Digest.String()); err != nil {
			return fmt.Errorf("info %s: %w", at.ref.Name(), err)
		}
	}
	sortVersions(view.Versions)
	if t.structured() {
		return t.emitValue(view)
	}
	return t.printPackage(at.Host(), view)
}

// sortVersions puts versions first, newest first, as list does.
func sortVersions(list []wire.Version) {
	tags := make([]string, len(list))
	byTag := map[string]wire.Version{}
	for i, v := range list {
		tags[i], byTag[v.Tag] = v.Tag, v
	}
	ref.SortTags(tags)
	for i, tag := range tags {
		list[i] = byTag[tag]
	}
}

func (t *tool) printPackage(host string, p packageView) error {
	var f facts
	f.add("name", p.Repository)
	f.add("registry", host)
	f.add("latest", p.Latest)
	if v := p.LatestVersion; v != nil {
		f.metadata(v.Metadata)
		if p.Signatures != nil {
			f.signatures(v.Ingested, p.Signatures)
		}
		f.files(v.Files)
		f.materials(v)
	}
	f.add("downloads", fmt.Sprint(p.Downloads))
	f.add("created", dateText(p.Created))
	f.add("updated", dateText(p.Updated))
	if err := term.Table(t.out, f.rows); err != nil || len(p.Versions) == 0 {
		return err
	}
	fmt.Fprintln(t.out)
	rows := [][]string{{"TAG", "PUSHED", "DOWNLOADS", "POLICY", "NOTICE", "DIGEST"}}
	for _, v := range p.Versions {
		tag := v.Tag
		if v.Latest {
			tag += " (latest)"
		}
		rows = append(rows, []string{
			tag, dateText(v.Created), fmt.Sprint(v.Downloads), verdictText(v.Verdict), noticeText(v.Notice), v.Digest.String(),
		})
	}
	return term.Table(t.out, dropEmpty(dropEmpty(rows, "NOTICE"), "POLICY"))
}

func (t *tool) versionInfo(ctx context.Context, at cataloged) error {
	v, err := at.Version(ctx, at.repo, at.version)
	if err != nil {
		return fmt.Errorf("info %s: %w", at.ref, err)
	}
	signed, err := at.Signatures(ctx, at.repo, at.version)
	if err != nil {
		return fmt.Errorf("info %s: %w", at.ref, err)
	}
	if t.structured() {
		return t.emitValue(versionView{v, signed})
	}
	var f facts
	f.add("name", v.Repository)
	f.add("registry", at.Host())
	f.add("version", v.Version.Version)
	f.add("tags", strings.Join(v.Tags, ", "))
	f.add("digest", v.Digest.String())
	f.add("artifact type", v.ArtifactType)
	f.metadata(v.Metadata)
	f.signatures(v.Ingested, signed)
	f.files(v.Files)
	f.materials(v)
	f.add("downloads", fmt.Sprint(v.Downloads))
	f.add("pushed", v.Created.UTC().Format(time.RFC3339))
	f.add("policy", verdictText(v.Verdict))
	for _, reason := range v.Reasons {
		f.add("", reasonText(reason))
		if reason.Hint != "" {
			f.add("", "hint: "+reason.Hint)
		}
	}
	f.add("notice", noticeText(v.Notice))
	if !v.Ingested {
		f.add("analysis", "not yet")
	}
	return term.Table(t.out, f.rows)
}

// facts are lines of a word and what it says.
type facts struct{ rows [][]string }

// add adds a line unless it says nothing. Without a word it goes on with the line
// before.
func (f *facts) add(word, text string) {
	if text != "" {
		f.rows = append(f.rows, []string{word, text})
	}
}

func (f *facts) metadata(m wire.Metadata) {
	f.add("title", m.Title)
	f.add("description", m.Description)
	f.add("authors", m.Authors)
	f.add("licenses", m.Licenses)
	f.add("source", m.Source)
	f.add("homepage", m.Homepage)
	f.add("documentation", m.Documentation)
	f.add("revision", m.Revision)
}

// signatures say who signed a version, as far as the registry verifies that, and who
// attests what.
func (f *facts) signatures(ingested bool, s *wire.Signatures) {
	var by []string
	for _, one := range s.Signatures {
		if who := signerText(one); !slices.Contains(by, who) {
			by = append(by, who)
		}
	}
	switch {
	case len(by) > 0:
		f.add("signed by", strings.Join(by, ", "))
		f.add("publisher", s.Publisher)
	case len(s.Refused) > 0:
		f.add("signed by", fmt.Sprintf("nobody whom the registry trusts (%s refused)", plural(len(s.Refused), "signature")))
	case ingested:
		f.add("signed by", "nobody: it is unsigned")
	}
	var attested []string
	for _, one := range s.Attestations {
		if text := one.Type + " by " + signerText(one.Signature); !slices.Contains(attested, text) {
			attested = append(attested, text)
		}
	}
	f.add("attested", strings.Join(attested, ", "))
}

// signerText is who made a signature, by the name of the key or the identity.
func signerText(s wire.Signature) string {
	if s.Identity != "" {
		return fmt.Sprintf("%s (%s)", s.Identity, s.Issuer)
	}
	return fmt.Sprintf("%s (key %.16s…)", s.Key, s.KeyID)
}

// files describes the WebAssembly of a version.
func (f *facts) files(list []wire.File) {
	for _, file := range list {
		if !file.Analysed {
			continue
		}
		if len(list) > 1 {
			f.add("file", file.Name)
		}
		f.add("kind", kindText(file))
		f.add("problem", file.Problem)
		f.add("made from", file.Language)
		f.add("made by", strings.Join(file.Toolchains, ", "))
		f.add("made for", file.Host)
		f.add("world", file.Target)
		f.add("capabilities", strings.Join(file.Capabilities, ", "))
		f.add("imports", listText(file.Imports, 12))
		f.add("exports", listText(file.Exports, 12))
	}
}

// materials sums up what a version is made of, and what is known to be wrong with
// that.
func (f *facts) materials(v *wire.VersionInfo) {
	if v.SBOM == nil || v.Vulnerabilities == nil {
		return
	}
	components := fmt.Sprint(v.SBOM.Components)
	if v.SBOM.Complete {
		components += ", complete"
	}
	if v.SBOM.Published {
		components += ", with a bill of the publisher"
	}
	f.add("components", components)
	f.add("vulnerabilities", vulnerabilitiesText(*v.Vulnerabilities))
}

// vulnerabilitiesText counts vulnerabilities, the gravest first.
func vulnerabilitiesText(c wire.VulnerabilityCounts) string {
	var parts []string
	for _, one := range []struct {
		n    int
		word string
	}{{c.Critical, "critical"}, {c.High, "high"}, {c.Medium, "medium"}, {c.Low, "low"}, {c.None, "without harm"}, {c.Unknown, "unrated"}} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.word))
		}
	}
	if len(parts) == 0 {
		return "none known"
	}
	if c.Reachable > 0 {
		parts = append(parts, fmt.Sprintf("%d reachable", c.Reachable))
	}
	return strings.Join(parts, ", ")
}

func kindText(file wire.File) string {
	s := strings.ReplaceAll(file.Kind, "-", " ") + ", " + sizeText(file.Size)
	if file.WASI != "" && file.WASI != "none" {
		s += ", " + file.WASI
	}
	if file.Functions > 0 {
		s += ", " + plural(int(file.Functions), "function")
	}
	return s
}

// reasonText is a violation in one line.
func reasonText(v wire.Violation) string {
	s := v.Policy + "/" + v.Rule + ": " + v.Message
	if v.Approved {
		s += " (approved)"
	}
	return s
}

func verdictText(v wire.Verdict) string {
	return map[wire.Verdict]string{wire.VerdictDeny: "refuses", wire.VerdictWarn: "warns", wire.VerdictAllow: "passes"}[v]
}

func noticeText(n *wire.Notice) string {
	if n == nil {
		return ""
	}
	s := string(n.State)
	if n.Reason != "" {
		s += ": " + n.Reason
	}
	if n.By != "" {
		s += " (" + n.By + ")"
	}
	return s
}
