package sqlmeta

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wreg-project/wreg/storage/meta"
)

// AdvisoryRevision implements meta.Advisories.
func (r reader) AdvisoryRevision(ctx context.Context) (int64, error) {
	var revision int64
	_, err := one(ctx, r.q, "advisory_revision", nil, &revision)
	return revision, err
}

// MatchedRevision implements meta.Advisories.
func (r reader) MatchedRevision(ctx context.Context) (int64, error) {
	var revision int64
	_, err := one(ctx, r.q, "advisories_matched", nil, &revision)
	return revision, err
}

// An advisoryRow is a row of advisories.
type advisoryRow struct {
	id int64
	meta.Advisory
}

func (r reader) advisories(ctx context.Context, name string, params []any) ([]advisoryRow, error) {
	var out []advisoryRow
	err := each(ctx, r.q, name, params, func(rows *sql.Rows) error {
		var (
			a                 advisoryRow
			aliases, packages string
		)
		err := rows.Scan(&a.id, &a.ID, when{&a.Modified}, optional{&a.Withdrawn}, flag{&a.Removed}, &a.Revision, &aliases, &packages,
			(*[]byte)(&a.Body))
		if err != nil {
			return r.q.fail(name, err)
		}
		if a.Aliases, err = decodeTexts(aliases); err == nil {
			a.Packages, err = decodePackages(packages)
		}
		if err != nil {
			return fmt.Errorf("advisory %s: %w", a.ID, err)
		}
		out = append(out, a)
		return nil
	})
	return out, err
}

// plain are rows for callers, by id and each once.
func plain(rows []advisoryRow) []meta.Advisory {
	slices.SortFunc(rows, func(a, b advisoryRow) int { return strings.Compare(a.ID, b.ID) })
	rows = slices.CompactFunc(rows, func(a, b advisoryRow) bool { return a.ID == b.ID })
	var out []meta.Advisory
	for _, a := range rows {
		out = append(out, a.Advisory)
	}
	return out
}

// AdvisoriesSince implements meta.Advisories.
func (r reader) AdvisoriesSince(ctx context.Context, revision int64, most int) ([]meta.Advisory, error) {
	rows, err := r.advisories(ctx, "advisories_since", args(revision, limit(meta.Page{Limit: most})))
	var out []meta.Advisory
	for _, a := range rows {
		out = append(out, a.Advisory)
	}
	return out, err
}

// AdvisoriesByID implements meta.Advisories.
func (r reader) AdvisoriesByID(ctx context.Context, ids []string) ([]meta.Advisory, error) {
	var all []advisoryRow
	err := inChunks(ids, 32, nil, func(params []any) error {
		rows, err := r.advisories(ctx, "advisories_by_name", params)
		all = append(all, rows...)
		return err
	})
	return plain(all), err
}

// AdvisoriesNamed implements meta.Advisories.
func (r reader) AdvisoriesNamed(ctx context.Context, name string, most int) ([]meta.Advisory, error) {
	all, err := r.advisories(ctx, "advisory_row", args(name))
	if err != nil {
		return nil, err
	}
	// The id itself may sort anywhere among those with the alias.
	rows, err := r.advisories(ctx, "advisories_by_alias", args(name, limit(meta.Page{Limit: most})))
	if err != nil {
		return nil, err
	}
	out := plain(append(all, rows...))
	return out[:min(int64(len(out)), limit(meta.Page{Limit: most}))], nil
}

// AdvisoryRefs implements meta.Advisories.
func (r reader) AdvisoryRefs(ctx context.Context, packages []meta.EcosystemPackage) ([]meta.AdvisoryRef, error) {
	var out []meta.AdvisoryRef
	for chunk := range slices.Chunk(packages, 16) {
		params := make([]any, 0, 32)
		for i := range 16 {
			p := chunk[min(i, len(chunk)-1)]
			params = append(params, p.Ecosystem, p.Name)
		}
		err := each(ctx, r.q, "advisory_refs", params, func(rows *sql.Rows) error {
			var a meta.AdvisoryRef
			if err := rows.Scan(&a.Ecosystem, &a.Name, &a.ID, &a.Revision); err != nil {
				return r.q.fail("advisory_refs", err)
			}
			out = append(out, a)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b meta.AdvisoryRef) int {
		return cmp.Or(comparePackages(a.EcosystemPackage, b.EcosystemPackage), strings.Compare(a.ID, b.ID))
	})
	return slices.Compact(out), nil
}

func comparePackages(a, b meta.EcosystemPackage) int {
	return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
}

// Feeds implements meta.Advisories.
func (r reader) Feeds(ctx context.Context) ([]meta.Feed, error) {
	var out []meta.Feed
	err := each(ctx, r.q, "feeds", nil, func(rows *sql.Rows) error {
		var f meta.Feed
		err := rows.Scan(&f.Source, &f.ETag, (*string)(&f.Digest), optional{&f.Attempted}, optional{&f.Imported}, &f.Advisories, &f.Refused,
			optional{&f.Newest}, &f.Error)
		if err != nil {
			return r.q.fail("feeds", err)
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// FeedAdvisories implements meta.Advisories.
func (r reader) FeedAdvisories(ctx context.Context, source string, p meta.Page) ([]meta.FeedAdvisory, error) {
	var out []meta.FeedAdvisory
	err := each(ctx, r.q, "feed_advisories", args(source, p.After, limit(p)), func(rows *sql.Rows) error {
		var a meta.FeedAdvisory
		if err := rows.Scan(&a.ID, (*string)(&a.Digest)); err != nil {
			return r.q.fail("feed_advisories", err)
		}
		out = append(out, a)
		return nil
	})
	return out, err
}

// nextRevision begins a change of advisories.
func (t *tx) nextRevision(ctx context.Context) (int64, error) {
	revision, err := t.AdvisoryRevision(ctx)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, "set_advisory_revision", revision+1)
	return revision + 1, err
}

// PutAdvisories implements meta.AdvisoryWriter.
func (t *tx) PutAdvisories(ctx context.Context, source string, as []meta.NewAdvisory) (int, error) {
	if len(as) > meta.MaxAdvisoryBatch {
		return 0, fmt.Errorf("%d advisories at once are more than %d", len(as), meta.MaxAdvisoryBatch)
	}
	feed, err := t.ensureFeed(ctx, source)
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, a := range as {
		news, err := t.putAdvisory(ctx, feed, a)
		if err != nil {
			return 0, fmt.Errorf("advisory %.60s: %w", a.ID, err)
		}
		if news {
			changed++
		}
	}
	return changed, nil
}

// ensureFeed is the id of a feed, which is made if need be.
func (t *tx) ensureFeed(ctx context.Context, source string) (int64, error) {
	var id int64
	found, err := one(ctx, t, "feed_id", args(source), &id)
	if err != nil || found {
		return id, err
	}
	return t.putFeed(ctx, meta.Feed{Source: source})
}

func checkAdvisory(a meta.NewAdvisory) error {
	switch {
	case a.ID == "" || len(a.ID) > meta.MaxAdvisoryID:
		return fmt.Errorf("an id of %d bytes", len(a.ID))
	case len(a.Aliases) > meta.MaxAdvisoryAliases:
		return fmt.Errorf("%d aliases are more than %d", len(a.Aliases), meta.MaxAdvisoryAliases)
	case len(a.Packages) > meta.MaxAdvisoryPackages:
		return fmt.Errorf("%d packages are more than %d", len(a.Packages), meta.MaxAdvisoryPackages)
	case len(a.Body) > meta.MaxAdvisory:
		return fmt.Errorf("a body of %d bytes is more than %d", len(a.Body), meta.MaxAdvisory)
	case !json.Valid(a.Body):
		return fmt.Errorf("its body is no JSON")
	}
	for _, alias := range a.Aliases {
		if len(alias) > meta.MaxAdvisoryID {
			return fmt.Errorf("an alias of %d bytes", len(alias))
		}
	}
	for _, p := range a.Packages {
		if len(p.Ecosystem) > meta.MaxEcosystem || len(p.Name) > meta.MaxPackageName {
			return fmt.Errorf("package %.60q has a name of %d bytes in an ecosystem of %d", p.Name, len(p.Name), len(p.Ecosystem))
		}
		if err := checkText("package", p.Ecosystem, p.Name); err != nil {
			return err
		}
	}
	return checkText("advisory", append([]string{a.ID, string(a.Digest)}, a.Aliases...)...)
}

// putAdvisory reports whether the advisory is another one now.
func (t *tx) putAdvisory(ctx context.Context, feed int64, a meta.NewAdvisory) (bool, error) {
	if err := checkAdvisory(a); err != nil {
		return false, err
	}
	a.Aliases = slices.Clone(a.Aliases)
	slices.Sort(a.Aliases)
	a.Aliases = slices.Compact(a.Aliases)
	a.Packages = slices.Clone(a.Packages)
	slices.SortFunc(a.Packages, comparePackages)
	a.Packages = slices.Compact(a.Packages)
	if _, err := t.exec(ctx, "put_feed_advisory", feed, a.ID, string(a.Digest)); err != nil {
		return false, err
	}
	rows, err := t.advisories(ctx, "advisory_row", args(a.ID))
	if err != nil {
		return false, err
	}
	var old advisoryRow
	if len(rows) > 0 {
		old = rows[0]
	}
	if old.Removed {
		old.Packages = nil // they are not in the index
	} else if old.id != 0 {
		if stored(a.Modified).Before(old.Modified) || sameAdvisory(a.Advisory, old.Advisory) {
			return false, nil
		}
	}
	return true, t.writeAdvisory(ctx, old, a.Advisory)
}

func sameAdvisory(a, old meta.Advisory) bool {
	return stored(a.Modified).Equal(old.Modified) && a.Withdrawn.IsZero() == old.Withdrawn.IsZero() &&
		(a.Withdrawn.IsZero() || stored(a.Withdrawn).Equal(old.Withdrawn)) &&
		slices.Equal(a.Aliases, old.Aliases) && slices.Equal(a.Packages, old.Packages) && bytes.Equal(a.Body, old.Body)
}

// writeAdvisory writes a record in place of the old one, which has no id if there
// is none.
func (t *tx) writeAdvisory(ctx context.Context, old advisoryRow, a meta.Advisory) error {
	revision, err := t.nextRevision(ctx)
	if err != nil {
		return err
	}
	aliases, err := encodeTexts(a.Aliases)
	if err != nil {
		return err
	}
	packages, err := encodePackages(a.Packages)
	if err != nil {
		return err
	}
	var withdrawn int64
	if !a.Withdrawn.IsZero() {
		withdrawn = micros(a.Withdrawn)
	}
	params := args(micros(a.Modified), withdrawn, revision, aliases, packages, []byte(a.Body))
	if old.id == 0 {
		_, err = one(ctx, t, "insert_advisory", append(args(a.ID), params...), &old.id)
	} else {
		_, err = t.exec(ctx, "update_advisory", append(args(old.id), params...)...)
	}
	if err != nil {
		return err
	}
	return t.indexAdvisory(ctx, old, a)
}

// indexAdvisory makes the aliases and packages of a row those of a; old says which
// there are.
func (t *tx) indexAdvisory(ctx context.Context, old advisoryRow, a meta.Advisory) error {
	for _, e := range []struct {
		name  string
		texts []string
	}{
		{"delete_alias", missingFrom(old.Aliases, a.Aliases, strings.Compare)},
		{"insert_alias", missingFrom(a.Aliases, old.Aliases, strings.Compare)},
	} {
		for _, alias := range e.texts {
			if _, err := t.exec(ctx, e.name, old.id, alias); err != nil {
				return err
			}
		}
	}
	for _, e := range []struct {
		name     string
		packages []meta.EcosystemPackage
	}{
		{"delete_advisory_package", missingFrom(old.Packages, a.Packages, comparePackages)},
		{"insert_advisory_package", missingFrom(a.Packages, old.Packages, comparePackages)},
	} {
		for _, p := range e.packages {
			if _, err := t.exec(ctx, e.name, old.id, p.Ecosystem, p.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// missingFrom is what sorted a has and sorted b has not.
func missingFrom[T any](a, b []T, compare func(T, T) int) []T {
	var out []T
	for _, x := range a {
		if _, found := slices.BinarySearchFunc(b, x, compare); !found {
			out = append(out, x)
		}
	}
	return out
}

// RemoveAdvisories implements meta.AdvisoryWriter.
func (t *tx) RemoveAdvisories(ctx context.Context, source string, ids []string) (int, error) {
	if len(ids) > meta.MaxAdvisoryBatch {
		return 0, fmt.Errorf("%d advisories at once are more than %d", len(ids), meta.MaxAdvisoryBatch)
	}
	var feed int64
	found, err := one(ctx, t, "feed_id", args(source), &feed)
	if err != nil || !found {
		return 0, err
	}
	removed := 0
	for _, id := range ids {
		gone, err := t.removeAdvisory(ctx, feed, id)
		if err != nil {
			return 0, fmt.Errorf("advisory %.60s: %w", id, err)
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

// removeAdvisory reports whether the feed was the last that had it.
func (t *tx) removeAdvisory(ctx context.Context, feed int64, id string) (bool, error) {
	n, err := t.exec(ctx, "delete_feed_advisory", feed, id)
	if err != nil || n == 0 {
		return false, err
	}
	held, err := one(ctx, t, "advisory_held", args(id), new(int64))
	if err != nil || held {
		return false, err
	}
	rows, err := t.advisories(ctx, "advisory_row", args(id))
	if err != nil || len(rows) == 0 {
		return false, err
	}
	revision, err := t.nextRevision(ctx)
	if err != nil {
		return false, err
	}
	if err := t.indexAdvisory(ctx, rows[0], meta.Advisory{Aliases: rows[0].Aliases}); err != nil {
		return false, err
	}
	_, err = t.exec(ctx, "set_advisory_removed", rows[0].id, revision)
	return err == nil, err
}

// ForgetAdvisories implements meta.AdvisoryWriter.
func (t *tx) ForgetAdvisories(ctx context.Context) (int64, error) {
	rows, err := t.advisories(ctx, "advisories_to_forget", args(int64(meta.MaxForgotten)))
	if err != nil {
		return 0, err
	}
	for _, a := range rows {
		a.Packages = nil // they are not in the index
		if err := t.indexAdvisory(ctx, a, meta.Advisory{}); err != nil {
			return 0, err
		}
		if _, err := t.exec(ctx, "delete_advisory", a.id); err != nil { // its findings go with it
			return 0, err
		}
	}
	return int64(len(rows)), nil
}

// SetMatchedRevision implements meta.AdvisoryWriter.
func (t *tx) SetMatchedRevision(ctx context.Context, revision int64) error {
	_, err := t.exec(ctx, "set_advisories_matched", revision)
	return err
}

// PutFeed implements meta.AdvisoryWriter.
func (t *tx) PutFeed(ctx context.Context, f meta.Feed) error {
	_, err := t.putFeed(ctx, f)
	return err
}

func (t *tx) putFeed(ctx context.Context, f meta.Feed) (int64, error) {
	for _, text := range []string{f.Source, f.ETag, string(f.Digest), f.Error} {
		if len(text) > meta.MaxFeedText {
			return 0, fmt.Errorf("feed %.60s: %.40q has %d bytes, more than %d", f.Source, text, len(text), meta.MaxFeedText)
		}
	}
	if err := checkText("feed", f.Source, f.ETag, string(f.Digest), f.Error); err != nil {
		return 0, err
	}
	var attempted, imported, newest, id int64
	if !f.Attempted.IsZero() {
		attempted = micros(f.Attempted)
	}
	if !f.Imported.IsZero() {
		imported = micros(f.Imported)
	}
	if !f.Newest.IsZero() {
		newest = micros(f.Newest)
	}
	params := args(f.Source, f.ETag, string(f.Digest), attempted, imported, f.Advisories, f.Refused, newest, f.Error)
	_, err := one(ctx, t, "put_feed", params, &id)
	return id, err
}

// DeleteFeed implements meta.AdvisoryWriter.
func (t *tx) DeleteFeed(ctx context.Context, source string) error {
	var id int64
	found, err := one(ctx, t, "feed_id", args(source), &id)
	if err != nil || !found {
		return err
	}
	filled, err := one(ctx, t, "has_feed_advisories", args(id), new(int64))
	if err != nil {
		return err
	}
	if filled {
		return fmt.Errorf("%w: feed %s still has advisories", meta.ErrConflict, source)
	}
	_, err = t.exec(ctx, "delete_feed", id)
	return err
}

// Lists of texts are stored as JSON arrays, those of packages with ecosystem and
// name by turns; an empty one as the empty text.
func encodeTexts(texts []string) (string, error) {
	if len(texts) == 0 {
		return "", nil
	}
	b, err := json.Marshal(texts)
	return string(b), err
}

func decodeTexts(text string) (out []string, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &out)
	return out, err
}

func encodePackages(packages []meta.EcosystemPackage) (string, error) {
	texts := make([]string, 0, 2*len(packages))
	for _, p := range packages {
		texts = append(texts, p.Ecosystem, p.Name)
	}
	return encodeTexts(texts)
}

func decodePackages(text string) ([]meta.EcosystemPackage, error) {
	texts, err := decodeTexts(text)
	if err != nil {
		return nil, err
	}
	if len(texts)%2 != 0 {
		return nil, fmt.Errorf("%w: %d texts of packages", errPacked, len(texts))
	}
	var out []meta.EcosystemPackage
	for pair := range slices.Chunk(texts, 2) {
		out = append(out, meta.EcosystemPackage{Ecosystem: pair[0], Name: pair[1]})
	}
	return out, nil
}
