package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

// listVersions lists tags in order of versions. Its cursor is a tag, which need
// not be there any more.
func (a *API) listVersions(ctx context.Context, q *request) (answer, error) {
	var after string
	more, err := q.after(&after)
	if err != nil {
		return answer{}, err
	}
	tags, err := a.tags(ctx, q.repo)
	if err != nil {
		return answer{}, err
	}
	rest := tags
	if more {
		at, exact := slices.BinarySearchFunc(tags, nameTag(after, false), compareNamed)
		if exact {
			at++
		}
		rest = tags[at:]
	}
	list := wire.List[wire.Version]{Items: []wire.Version{}}
	for i, t := range rest {
		if i == q.limit() {
			if list.Next, err = q.next(rest[i-1].tag); err != nil {
				return answer{}, err
			}
			break
		}
		row, err := a.Meta.Version(ctx, q.repo, t.tag)
		switch {
		case errors.Is(err, meta.ErrNotFound): // deleted meanwhile
		case err != nil:
			return answer{}, a.missing(q.repo, t.tag, err)
		default:
			list.Items = append(list.Items, q.wireVersion(row, tags))
		}
	}
	return found(list)
}

func (a *API) getVersion(ctx context.Context, q *request) (answer, error) {
	v, err := a.version(ctx, q, q.version, nil)
	if err != nil {
		return answer{}, err
	}
	return found(v)
}

// digestOf is the digest of a version, which is there.
func (a *API) digestOf(ctx context.Context, repo string, v registryRef) (digest.Digest, error) {
	m, err := a.manifest(ctx, repo, v)
	return m.Digest, err
}

func (a *API) manifest(ctx context.Context, repo string, v registryRef) (m meta.Manifest, err error) {
	if v.tag != "" {
		m, err = a.Meta.TaggedManifest(ctx, repo, v.tag)
	} else {
		m, err = a.Meta.Manifest(ctx, repo, v.digest)
	}
	if err != nil {
		return m, a.missing(repo, v.String(), err)
	}
	return m, nil
}

// version is everything about one version. Tags are all of the package, nil if
// the caller has not read them.
func (a *API) version(ctx context.Context, q *request, v registryRef, tags tagSet) (info wire.VersionInfo, err error) {
	m, err := a.manifest(ctx, q.repo, v)
	if err != nil {
		return info, err
	}
	names, err := a.Meta.ManifestTags(ctx, q.repo, m.Digest)
	if err != nil {
		return info, a.missing(q.repo, v.String(), err)
	}
	if tags == nil {
		if tags, err = a.tags(ctx, q.repo); err != nil {
			return info, err
		}
	}
	if v.tag == "" {
		v.tag = tags.best(names)
	}
	row := meta.Version{MediaType: m.MediaType, Size: int64(len(m.Content)), Created: m.Created, Verdict: m.Verdict}
	row.Digest = m.Digest
	if v.tag != "" {
		if row, err = a.Meta.Version(ctx, q.repo, v.tag); err != nil {
			return info, a.missing(q.repo, v.tag, err)
		}
	}
	content := readManifest(m.Content)
	if v.tag == "" {
		row.ArtifactType, row.Subject, row.Annotations = content.ArtifactType, content.subject(), content.Annotations
	}
	info = wire.VersionInfo{
		Version: q.wireVersion(row, tags), Tags: notNil(names), Subject: row.Subject, Annotations: row.Annotations,
		Readme: row.Annotations[artifact.AnnotationReadme],
	}
	if info.Annotations == nil {
		info.Annotations = map[string]string{}
	}
	verdict, err := a.Meta.Verdict(ctx, q.repo, m.Digest)
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return info, fmt.Errorf("verdict of %s in %s: %w", m.Digest, q.repo, err)
	}
	info.Reasons = violationsOf(verdict.Reasons)
	if info.SBOM, info.Vulnerabilities, err = a.materials(ctx, q.repo, m.Digest); err != nil {
		return info, err
	}
	info.Files, err = a.files(ctx, q.repo, m.Digest, content, &info.Metadata)
	return info, err
}

// wireVersion is a row for listings.
func (q *request) wireVersion(row meta.Version, tags tagSet) wire.Version {
	v := wire.Version{
		Package: wire.PackageName(q.repo), Repository: q.repo, Tag: row.Name, Latest: row.Name != "" && row.Name == tags.latest(),
		Digest: row.Digest, MediaType: row.MediaType, ArtifactType: row.ArtifactType, Size: row.Size, Created: row.Created.UTC(),
		Verdict: verdictOf(row.Verdict), Ingested: row.Ingested > 0, Downloads: row.Downloads, Metadata: metadataOf(row.Annotations),
	}
	if !row.Updated.IsZero() {
		v.Updated = row.Updated.UTC()
	}
	if n := nameTag(row.Name, false); n.version != nil {
		v.Version, v.Prerelease = n.version.String(), n.rank() > 0
	}
	if n := row.Notice; n.State != meta.NoticeNone {
		v.Notice = &wire.Notice{State: noticeWord(n.State), Reason: n.Reason}
		if !n.Time.IsZero() {
			v.Notice.Time = n.Time.UTC()
		}
		if !q.caller.Anonymous() {
			v.Notice.By = n.By
		}
	}
	return v
}

func noticeWord(s meta.NoticeState) wire.NoticeState {
	if s == meta.NoticeYanked {
		return wire.NoticeYanked
	}
	return wire.NoticeDeprecated
}

// metadataOf reads what the author says from annotations.
func metadataOf(annotations map[string]string) wire.Metadata {
	return wire.Metadata{
		Title: annotations[artifact.AnnotationTitle], Description: annotations[artifact.AnnotationDescription],
		Licenses: annotations[artifact.AnnotationLicenses], Authors: annotations[artifact.AnnotationAuthors],
		Source: annotations[artifact.AnnotationSource], Homepage: annotations[artifact.AnnotationURL],
		Documentation: annotations[artifact.AnnotationDocumentation], Revision: annotations[artifact.AnnotationRevision],
	}
}

// manifestContent is what a manifest says of its parts.
type manifestContent struct {
	ArtifactType string            `json:"artifactType"`
	Config       *descriptor       `json:"config"`
	Layers       []descriptor      `json:"layers"`
	Subject      *descriptor       `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// readManifest reads a stored manifest. The registry has checked its form; of
// one that it stored without understanding, an index, there are no parts.
func readManifest(content []byte) (m manifestContent) {
	if json.Unmarshal(content, &m) != nil {
		return manifestContent{}
	}
	if m.ArtifactType == "" && m.Config != nil {
		m.ArtifactType = m.Config.MediaType
	}
	return m
}

func (m manifestContent) subject() digest.Digest {
	if m.Subject == nil {
		return ""
	}
	return m.Subject.Digest
}

// mediaTypeOf is that of a layer, "" if there is none with the digest.
func (m manifestContent) mediaTypeOf(d digest.Digest) string {
	for _, l := range m.Layers {
		if l.Digest == d {
			return l.MediaType
		}
	}
	return ""
}

// or gives the first that is not empty, cut to what an annotation of ours has.
func or(texts ...string) string {
	for _, s := range texts {
		if s = strings.TrimSpace(s); s != "" {
			return s
		}
	}
	return ""
}
