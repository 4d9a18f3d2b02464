package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

// tagBatch is how many tags are read at once where all are looked at.
const tagBatch = 5000

// downloadDays is how far back counts of downloads go if nothing else is asked.
const downloadDays = 90

func (a *API) listPackages(ctx context.Context, q *request) (answer, error) {
	var after string
	if _, err := q.after(&after); err != nil {
		return answer{}, err
	}
	rows, err := a.Meta.Packages(ctx, q.sees, meta.Page{After: after, Limit: q.limit() + 1})
	if err != nil {
		return answer{}, fmt.Errorf("packages: %w", err)
	}
	list := wire.List[wire.Package]{Items: []wire.Package{}}
	for i, row := range rows {
		if i == q.limit() {
			if list.Next, err = q.next(rows[i-1].Name); err != nil {
				return answer{}, err
			}
			break
		}
		latest, err := a.latest(ctx, row.Name)
		if err != nil {
			return answer{}, err
		}
		list.Items = append(list.Items, wirePackage(row.Name, latest, row.Tags, row.Updated))
	}
	return found(list)
}

func wirePackage(repo, latest string, tags int, updated time.Time) wire.Package {
	p := wire.Package{Name: wire.PackageName(repo), Repository: repo, Latest: latest, Tags: tags}
	if !updated.IsZero() {
		p.Updated = updated.UTC()
	}
	return p
}

func (a *API) getPackage(ctx context.Context, q *request) (answer, error) {
	repo, err := a.Meta.Repository(ctx, q.repo)
	if err != nil {
		return answer{}, a.missing(q.repo, "", err)
	}
	tags, err := a.tags(ctx, q.repo)
	if err != nil {
		return answer{}, err
	}
	p := wire.PackageInfo{Created: repo.Created.UTC()}
	latest := tags.latest()
	// The repository's row in a listing says when a tag was written last.
	rows, err := a.Meta.Packages(ctx, meta.Visibility{Namespaces: []string{q.repo}}, meta.Page{Limit: 1})
	if err != nil {
		return answer{}, fmt.Errorf("package %s: %w", q.repo, err)
	}
	var updated time.Time
	if len(rows) > 0 && rows[0].Name == q.repo {
		updated = rows[0].Updated
	}
	p.Package = wirePackage(q.repo, latest, len(tags), updated)
	if latest != "" {
		v, err := a.version(ctx, q, registryRef{tag: latest}, tags)
		if err != nil {
			return answer{}, err
		}
		p.LatestVersion = &v
	}
	return found(p)
}

// A named is a tag with what can be told from its name.
type named struct {
	tag     string
	yanked  bool
	version *semver.Version // nil for none
}

// rank puts releases before prereleases, and both before everything else.
func (n named) rank() int {
	switch {
	case n.version == nil:
		return 2
	case n.version.Prerelease() != "":
		return 1
	}
	return 0
}

// compareNamed orders releases from the highest on, then prereleases, then other
// tags by name. It is a total order.
func compareNamed(a, b named) int {
	if c := cmp.Compare(a.rank(), b.rank()); c != 0 {
		return c
	}
	if a.version == nil {
		return strings.Compare(a.tag, b.tag)
	}
	return cmp.Or(b.version.Compare(a.version), strings.Compare(b.tag, a.tag))
}

func nameTag(tag string, yanked bool) named {
	v, _ := ref.VersionOf(tag)
	return named{tag: tag, yanked: yanked, version: v}
}

// tagSet is all tags of a package.
type tagSet []named

// tags reads the tags of a package, yanked ones too, in order.
func (a *API) tags(ctx context.Context, repo string) (tagSet, error) {
	var all tagSet
	after := ""
	for {
		batch, err := a.Meta.TagNotices(ctx, repo, meta.Page{After: after, Limit: tagBatch})
		if err != nil {
			return nil, a.missing(repo, "", err)
		}
		for _, t := range batch {
			all = append(all, nameTag(t.Tag, t.Notice == meta.NoticeYanked))
		}
		if len(batch) < tagBatch {
			break
		}
		after = batch[len(batch)-1].Tag
	}
	slices.SortFunc(all, compareNamed)
	return all, nil
}

// latest is the highest version that is neither a prerelease nor yanked, "" if
// there is none.
func (s tagSet) latest() string {
	for _, t := range s {
		if t.rank() > 0 {
			break
		}
		if !t.yanked {
			return t.tag
		}
	}
	return ""
}

// best is the first that names one of tags, "" if none does.
func (s tagSet) best(tags []string) string {
	for _, t := range s {
		if slices.Contains(tags, t.tag) {
			return t.tag
		}
	}
	return ""
}

// latest is the same for a listing of packages, with the names that are not
// yanked alone.
func (a *API) latest(ctx context.Context, repo string) (string, error) {
	var best named
	after := ""
	for {
		batch, err := a.Meta.Tags(ctx, repo, meta.Page{After: after, Limit: tagBatch})
		if errors.Is(err, meta.ErrRepository) {
			return "", nil // it is gone meanwhile
		}
		if err != nil {
			return "", fmt.Errorf("tags of %s: %w", repo, err)
		}
		for _, tag := range batch {
			n := nameTag(tag, false)
			if n.rank() == 0 && (best.version == nil || compareNamed(n, best) < 0) {
				best = n
			}
		}
		if len(batch) < tagBatch {
			return best.tag, nil
		}
		after = batch[len(batch)-1]
	}
}

// missing turns the absence of a package, or of something in it, into a problem.
func (a *API) missing(repo, what string, err error) error {
	switch {
	case errors.Is(err, meta.ErrRepository), errors.Is(err, meta.ErrNotFound) && what == "":
		return noPackage(repo)
	case errors.Is(err, meta.ErrNotFound):
		return &wire.Problem{
			Code: wire.CodeNotFound, Detail: "package " + wire.PackageName(repo) + " has no version " + what,
			Hint: "GET " + wire.Base + "/packages/" + wire.PackageName(repo) + "/versions lists them",
		}
	}
	return fmt.Errorf("%s of %s: %w", what, repo, err)
}

// getResolution gives the highest version of a range, as wkg and wpkg choose it.
func (a *API) getResolution(ctx context.Context, q *request) (answer, error) {
	tags, err := a.tags(ctx, q.repo)
	if err != nil {
		return answer{}, err
	}
	var names []string
	for _, t := range tags {
		if !t.yanked && t.version != nil {
			names = append(names, t.tag)
		}
	}
	wanted := q.text("range")
	tag, err := ref.Pick(names, wanted, q.text("prereleases") == "true")
	switch {
	case errors.Is(err, ref.ErrNoVersion):
		return answer{}, &wire.Problem{
			Code: wire.CodeNotFound, Parameter: "range", Detail: fmt.Sprintf("no version of %s is in %q", wire.PackageName(q.repo), wanted),
			Hint: "yanked versions are left out, and so are prereleases unless they are asked for",
		}
	case err != nil:
		return answer{}, &wire.Problem{Code: wire.CodeInvalidRange, Parameter: "range", Detail: err.Error(), Hint: "^1.2, ~1.2.3, >=1 <2, 1.x, *"}
	}
	row, err := a.Meta.Version(ctx, q.repo, tag)
	if err != nil {
		return answer{}, a.missing(q.repo, tag, err)
	}
	return found(wire.Resolution{Range: wanted, Version: q.wireVersion(row, tags)})
}

func (a *API) getDownloads(ctx context.Context, q *request) (answer, error) {
	from := a.Clock().UTC().Truncate(24*time.Hour).AddDate(0, 0, -downloadDays)
	if day := q.text("from"); day != "" {
		from, _ = time.Parse(time.DateOnly, day) // checked
	}
	rows, err := a.Meta.Downloads(ctx, q.repo, digest.Digest(q.text("digest")), from)
	if err != nil {
		return answer{}, a.missing(q.repo, "", err)
	}
	d := wire.Downloads{Package: wire.PackageName(q.repo), Days: []wire.DownloadDay{}}
	for _, row := range rows {
		day := row.Day.UTC().Format(time.DateOnly)
		if n := len(d.Days); n > 0 && d.Days[n-1].Day == day {
			d.Days[n-1].Count += row.Count
		} else {
			d.Days = append(d.Days, wire.DownloadDay{Day: day, Count: row.Count})
		}
		d.Total += row.Count
	}
	return found(d)
}
