package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/registry/search"
	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/storage/meta"
)

// getAdvisory gives the record of a name, and who is concerned.
func (a *API) getAdvisory(ctx context.Context, q *request) (answer, error) {
	rows, err := a.named(ctx, q)
	if err != nil {
		return answer{}, err
	}
	var record vuln.Advisory
	if err := json.Unmarshal(rows[0].Body, &record); err != nil {
		return answer{}, fmt.Errorf("advisory %s: %w", rows[0].ID, err)
	}
	out := wireAdvisory(&record)
	if out.Users, err = a.users(ctx, q, "vuln", q.path["advisory"]); err != nil {
		return answer{}, err
	}
	return found(out)
}

func wireAdvisory(r *vuln.Advisory) wire.Advisory {
	w := wire.Advisory{
		ID: r.ID, Aliases: notNil(r.Aliases), Related: r.Related, Summary: r.Summary, Severity: wireSeverity(r.Severity),
		Informational: r.Informational, Affected: []wire.AffectedVersions{}, References: r.References, Published: r.Published,
		Modified: r.Modified, Withdrawn: r.Withdrawn,
	}
	for _, f := range r.Affected {
		one := wire.AffectedVersions{Ecosystem: string(f.Ecosystem), Name: f.Name, Versions: f.Versions, Symbols: symbolsOf(f)}
		for _, r := range append(f.Ranges[:len(f.Ranges):len(f.Ranges)], f.Custom...) {
			rng := wire.AffectedRange{Type: r.Type, Repository: r.Repo, Events: []wire.AffectedEvent{}}
			for _, e := range r.Events {
				rng.Events = append(rng.Events, wire.AffectedEvent(e))
			}
			one.Ranges = append(one.Ranges, rng)
		}
		w.Affected = append(w.Affected, one)
	}
	return w
}

// symbolsOf are the functions at fault, or the packages that are as a whole.
func symbolsOf(f vuln.Affected) []string {
	list := append([]string(nil), f.Functions...)
	for _, im := range f.Imports {
		if len(im.Symbols) == 0 {
			list = append(list, im.Path)
		}
		for _, s := range im.Symbols {
			list = append(list, im.Path+"."+s)
		}
	}
	return list
}

// An advisoryPlace is where a page of uses begins: behind this one, among those of
// one of the records.
type advisoryPlace struct {
	Record string           `json:"r"`
	Use    meta.UsePosition `json:"u"`
}

// listAdvisoryUses lists versions with findings of an advisory, under whatever
// name the database has it.
func (a *API) listAdvisoryUses(ctx context.Context, q *request) (answer, error) {
	rows, err := a.named(ctx, q)
	if err != nil {
		return answer{}, err
	}
	var place advisoryPlace
	if _, err := q.after(&place); err != nil {
		return answer{}, err
	}
	list := wire.List[wire.AdvisoryUse]{Items: []wire.AdvisoryUse{}}
	for _, row := range rows {
		switch {
		case place.Record == "":
			place.Record = row.ID
		case place.Record != row.ID:
			continue
		}
		more, err := a.advisoryUses(ctx, q, &place, &list)
		if err != nil {
			return answer{}, err
		}
		if more {
			list.Next, err = q.next(place)
			return answer{body: list}, err
		}
		place = advisoryPlace{}
	}
	return found(list)
}

// advisoryUses adds the uses of one record behind place, which it moves on, until
// the page is full. It goes through files that the caller may not see until then:
// a page that ends early would tell of them.
func (a *API) advisoryUses(ctx context.Context, q *request, place *advisoryPlace, list *wire.List[wire.AdvisoryUse]) (bool, error) {
	for {
		page, err := a.Meta.FindingUses(ctx, q.sees, place.Record, place.Use, q.limit()-len(list.Items))
		if err != nil {
			return false, fmt.Errorf("packages with %s: %w", place.Record, err)
		}
		for _, u := range page.Uses {
			by, ok, err := a.user(ctx, u.UsePosition, u.Digest)
			if err != nil {
				return false, err
			}
			place.Use = u.UsePosition
			if !ok {
				continue
			}
			use := wire.AdvisoryUse{
				Package: by.pkg, Repository: u.Repo, Digest: by.digest, Tags: by.tags, Layer: u.Digest, Findings: []wire.AdvisoryFinding{},
			}
			for _, f := range u.Findings {
				level := advisories.LevelOf(f.Reach)
				use.Findings = append(use.Findings, wire.AdvisoryFinding{
					Component: wireCoordinate(f.Component), Advisory: f.Advisory, Level: level.String(),
					Reachable: search.ReachName(level, f.RuledOut), Score: float64(f.Severity) / 10, FirstSeen: f.FirstSeen.UTC(),
				})
			}
			list.Items = append(list.Items, use)
		}
		if page.Next == nil {
			return false, nil
		}
		if len(list.Items) == q.limit() {
			return true, nil
		}
		place.Use = *page.Next
	}
}

// A user is the version that something in a blob is of.
type user struct {
	pkg    string
	digest digest.Digest
	tags   []string
}

// user is the version of a use: what is in a bill that is attached to a version, or
// attested of it, is that version's. It is false if it is gone meanwhile, or if the
// attestation was not verified.
func (a *API) user(ctx context.Context, u meta.UsePosition, in digest.Digest) (user, bool, error) {
	by := user{pkg: wire.PackageName(u.Repo), digest: u.Manifest}
	ok := true
	m, err := a.Meta.Manifest(ctx, u.Repo, u.Manifest)
	if err == nil {
		by.digest, ok, err = a.subjectOfUse(ctx, u, in, readManifest(m.Content))
	}
	if err == nil && ok {
		by.tags, err = a.Meta.ManifestTags(ctx, u.Repo, by.digest)
	}
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		return by, false, nil
	}
	by.tags = notNil(by.tags)
	return by, ok && err == nil, err
}

// subjectOfUse is the version that the manifest of a use is, or is about. It is false
// of an attestation that was not verified.
func (a *API) subjectOfUse(ctx context.Context, u meta.UsePosition, in digest.Digest, m manifestContent) (d digest.Digest, ok bool, err error) {
	subject := m.subject()
	switch t := m.mediaTypeOf(in); {
	case signing.IsBundle(t):
		ok, err = a.verified(ctx, u, in, subject)
		return subject, ok, err
	case signing.IsCosign(t):
		if subject, err = a.cosignSubject(ctx, u); err == nil {
			ok, err = a.verified(ctx, u, in, subject)
		}
		return subject, ok, err
	case subject != "":
		return subject, true, nil
	}
	return u.Manifest, true, nil
}

// cosignSubject is the version that a manifest of cosign's older form is about, by its
// tag; meta.ErrNotFound without one.
func (a *API) cosignSubject(ctx context.Context, u meta.UsePosition) (digest.Digest, error) {
	tags, err := a.Meta.ManifestTags(ctx, u.Repo, u.Manifest)
	if err != nil {
		return "", err
	}
	for _, tag := range tags {
		if d := signing.CosignSubject(tag); d != "" {
			return d, nil
		}
	}
	return "", fmt.Errorf("%w: what %s of %s signs", meta.ErrNotFound, u.Manifest, u.Repo)
}

// verified reports whether what a use is in was verified as an attestation of d. The
// same bundle may hang on others, of which it proves nothing.
func (a *API) verified(ctx context.Context, u meta.UsePosition, in, d digest.Digest) (bool, error) {
	rows, _, err := a.Meta.Signatures(ctx, u.Repo, d)
	if errors.Is(err, meta.ErrNotFound) || errors.Is(err, meta.ErrRepository) {
		return false, nil
	}
	return slices.ContainsFunc(rows, func(row meta.Signature) bool {
		return row.Verified() && row.Carrier == u.Manifest && row.Layer == in
	}), err
}

func wireCoordinate(c meta.Coordinate) wire.Component {
	return wire.Component{
		PURL: search.PURL(c), Ecosystem: c.Ecosystem, Name: c.Name, Version: c.Version, Class: c.Class, Part: c.Part,
	}
}

// maxCoordinates is how many versions a component may stand for.
const maxCoordinates = 10_000

// listComponentUses lists versions with a component.
func (a *API) listComponentUses(ctx context.Context, q *request) (answer, error) {
	wanted, err := search.ParseDependency(q.text("purl"))
	if err != nil {
		return answer{}, queryProblem(err, "purl")
	}
	rows, err := a.Meta.Coordinates(ctx, wanted.Stored(), q.text("class"))
	if err != nil {
		return answer{}, fmt.Errorf("versions of %s: %w", clip(q.text("purl")), err)
	}
	byID := map[int64]meta.Coordinate{}
	var ids []int64
	for _, c := range rows {
		if wanted.Has(c.Coordinate) {
			byID[c.ID] = c.Coordinate
			ids = append(ids, c.ID)
		}
	}
	if len(ids) > maxCoordinates {
		return answer{}, &wire.Problem{
			Code: wire.CodeInvalidQuery, Parameter: "purl", Detail: fmt.Sprintf("it stands for more than %d versions", maxCoordinates),
			Hint: "ask for a narrower range",
		}
	}
	list := wire.List[wire.ComponentUse]{Items: []wire.ComponentUse{}}
	var place meta.UsePosition
	if _, err := q.after(&place); err != nil || len(ids) == 0 {
		return answer{body: list}, err
	}
	return a.componentUses(ctx, q, place, ids, byID, list)
}

// componentUses fills a page. Like advisoryUses it ends early for nothing that the
// caller may not see.
func (a *API) componentUses(
	ctx context.Context, q *request, place meta.UsePosition, ids []int64, byID map[int64]meta.Coordinate, list wire.List[wire.ComponentUse],
) (answer, error) {
	for {
		page, err := a.Meta.ComponentUses(ctx, q.sees, ids, place, q.limit()-len(list.Items))
		if err != nil {
			return answer{}, fmt.Errorf("packages with %s: %w", clip(q.text("purl")), err)
		}
		for _, u := range page.Uses {
			by, ok, err := a.user(ctx, u.UsePosition, u.Digest)
			if err != nil {
				return answer{}, err
			}
			place = u.UsePosition
			if !ok {
				continue
			}
			use := wire.ComponentUse{
				Package: by.pkg, Repository: u.Repo, Digest: by.digest, Tags: by.tags, Layer: u.Digest, Components: []wire.Component{},
			}
			for _, id := range u.Coordinates {
				use.Components = append(use.Components, wireCoordinate(byID[id]))
			}
			list.Items = append(list.Items, use)
		}
		if page.Next == nil {
			return found(list)
		}
		if len(list.Items) == q.limit() {
			list.Next, err = q.next(place)
			return answer{body: list}, err
		}
		place = *page.Next
	}
}

// listFeeds says how old advisories are. Where they come from, and why an import
// failed, is the administrators' business.
func (a *API) listFeeds(ctx context.Context, q *request) (answer, error) {
	feeds, err := a.Meta.Feeds(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("feeds of advisories: %w", err)
	}
	all := a.Access.Open || a.Access.May(q.caller, policy.Administer, "").Allowed
	list := wire.FeedList{Items: []wire.AdvisoryFeed{}}
	for _, f := range feeds {
		one := wire.AdvisoryFeed{Advisories: f.Advisories, Failed: f.Error != ""}
		if !f.Imported.IsZero() {
			one.Imported = f.Imported.UTC()
		}
		if !f.Attempted.IsZero() {
			one.Attempted = f.Attempted.UTC()
		}
		if all {
			one.Source, one.Problem = f.Source, f.Error
		}
		list.Items = append(list.Items, one)
	}
	now, err := a.Meta.AdvisoryRevision(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("revision of advisories: %w", err)
	}
	matched, err := a.Meta.MatchedRevision(ctx)
	list.Behind = matched < now
	return answer{body: list}, err
}
