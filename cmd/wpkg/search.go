package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
)

// searchFlags are the flags of search.
type searchFlags struct {
	client.SearchOptions

	facets cli.StringSlice
}

const searchName = "search"

func (t *tool) searchCommand() *cli.Command {
	var f searchFlags
	return &cli.Command{
		Name:      searchName,
		Usage:     "search a registry by what packages are and do",
		ArgsUsage: "[QUERY...]",
		Description: `Words are looked for in names and descriptions; field:value in what was found out
about the binaries; a - in front excludes. Several conditions have to hold
together. docs/spec/search.md lists the fields. Without a QUERY everything is
listed.

   wpkg search image resize
   wpkg search lang:rust capability:net 'size:<1MB' -wasi:wasip1
   wpkg search exports:wasi:http/incoming-handler --facets lang,capability
   wpkg search function:sha256:9f86d081… --explain

The whole result with --output json is one object: the items found, their count
and the cursor of the next page.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "sort", Usage: "order by `FIELD`: relevance, updated, size, pulls or name", Destination: &f.Sort},
			&cli.StringFlag{Name: "order", Usage: "`DIRECTION` of the order: asc or desc", Destination: &f.Order},
			&cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Value: 20, Usage: "show at most `N`", Destination: &f.Limit},
			&cli.StringFlag{Name: "cursor", Usage: "go on behind a page, from its `NEXT`", Destination: &f.Cursor},
			&cli.StringSliceFlag{Name: "facets", Usage: "count the values of these `FIELDS`, with commas between", Destination: &f.facets},
			&cli.BoolFlag{
				Name: "explain", Usage: "say why each package was found, and how the query was answered",
				Destination: &f.Explain, DisableDefaultText: true,
			},
		},
		Action: func(c *cli.Context) error {
			if f.Limit < 1 || f.Limit > maxSearch {
				return usagef("search: --limit %d: it is from 1 to %d", f.Limit, maxSearch)
			}
			f.Query = strings.Join(c.Args().Slice(), " ")
			for _, s := range f.facets.Value() {
				f.Facets = append(f.Facets, strings.Split(s, ",")...)
			}
			return t.search(c.Context, &f)
		},
	}
}

// maxSearch bounds --limit. Whoever wants more goes on by the cursor.
const maxSearch = 10_000

// searchPage is how many hits are asked for at once.
const searchPage = 100

func (t *tool) search(ctx context.Context, f *searchFlags) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	res, err := searchUpTo(ctx, c, f.SearchOptions)
	if err != nil {
		return fmt.Errorf("search: %w", queryError(err, f.Query))
	}
	if t.structured() {
		return t.emitValue(res)
	}
	if err := term.Table(t.out, searchRows(res, f.Explain)); err != nil {
		return err
	}
	for _, facet := range res.Facets {
		rows := [][]string{{facet.Name}}
		for _, v := range facet.Values {
			rows = append(rows, []string{"  " + v.Value, countText(v.Count, v.CountIsLeast)})
		}
		if err := t.part(rows); err != nil {
			return err
		}
	}
	if len(res.Plan) > 0 {
		rows := [][]string{{"STEP", "HOW", "TERMS", "FOUND"}}
		for _, s := range res.Plan {
			rows = append(rows, []string{s.Clause, s.How, fmt.Sprint(s.Terms), countText(s.Count, s.CountIsLeast)})
		}
		if err := t.part(rows); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(t.out, "\n%s\n", foundText(res))
	return err
}

// part writes a table with an empty line before it.
func (t *tool) part(rows [][]string) error {
	fmt.Fprintln(t.out)
	return term.Table(t.out, rows)
}

// whyText says by what a hit answers each part of a query.
func whyText(matches []wire.Match) string {
	var parts []string
	for _, m := range matches {
		s := m.Clause
		if terms := listText(m.Terms, 3); terms != "" && terms != m.Clause {
			s += " by " + terms
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

// searchUpTo puts pages together up to o.Limit hits.
func searchUpTo(ctx context.Context, c *client.Catalog, o client.SearchOptions) (*wire.SearchResult, error) {
	left := o.Limit
	o.Limit = min(left, searchPage)
	res, err := c.Search(ctx, o)
	if err != nil {
		return nil, err
	}
	o.Facets = nil // they are of the whole, and known now
	for left -= len(res.Items); left > 0 && res.Next != ""; {
		o.Cursor, o.Limit = res.Next, min(left, searchPage)
		more, err := c.Search(ctx, o)
		if err != nil {
			return nil, err
		}
		if len(more.Items) == 0 {
			break
		}
		left -= len(more.Items)
		res.Items, res.Next = append(res.Items, more.Items...), more.Next
	}
	return res, nil
}

func searchRows(res *wire.SearchResult, explain bool) [][]string {
	head := []string{"NAME", "VERSION", "LANGUAGE", "SIZE", "CAPABILITIES", "UPDATED", "NOTE"}
	if explain {
		head = append(head, "WHY")
	}
	rows := [][]string{head}
	for _, h := range res.Items {
		row := []string{
			h.Repository, hitVersion(h), h.Language, sizeText(h.Size), listText(h.Capabilities, 4), dateText(h.Updated), hitNote(h),
		}
		if explain {
			row = append(row, whyText(h.Why))
		}
		rows = append(rows, row)
	}
	return dropEmpty(rows, "NOTE")
}

// dropEmpty takes out a column with nothing in it.
func dropEmpty(rows [][]string, name string) [][]string {
	at := -1
	for i, cell := range rows[0] {
		if cell == name {
			at = i
		}
	}
	for _, row := range rows[1:] {
		if at < 0 || at < len(row) && row[at] != "" {
			return rows
		}
	}
	out := make([][]string, len(rows))
	for i, row := range rows {
		if at < len(row) {
			row = append(row[:at:at], row[at+1:]...)
		}
		out[i] = row
	}
	return out
}

// hitVersion names the version that was found: the highest, else some tag, else
// the beginning of the digest.
func hitVersion(h wire.Hit) string {
	switch {
	case h.Version != "":
		return h.Version
	case len(h.Tags) > 0:
		return h.Tags[0]
	}
	return shortDigest(h.Digest.String())
}

// hitNote is what speaks against using what was found.
func hitNote(h wire.Hit) string {
	var notes []string
	if h.Notice != "" {
		notes = append(notes, string(h.Notice))
	}
	if h.Verdict == wire.VerdictDeny || h.Verdict == wire.VerdictWarn {
		notes = append(notes, "policy "+verdictText(h.Verdict))
	}
	return strings.Join(notes, ", ")
}

// shortDigest is enough of a digest to tell it from others in a list.
func shortDigest(d string) string {
	algorithm, hash, ok := strings.Cut(d, ":")
	if !ok || len(hash) < 12 {
		return d
	}
	return algorithm + ":" + hash[:12]
}

// listText lists at most n words.
func listText(words []string, n int) string {
	if len(words) > n {
		return strings.Join(words[:n], ", ") + fmt.Sprintf(" +%d", len(words)-n)
	}
	return strings.Join(words, ", ")
}

// dateText is the day of a time in UTC, "" for none.
func dateText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// countText is a count, "10k+" if it is only a lower bound.
func countText(n int64, least bool) string {
	switch {
	case least && n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk+", n/1000)
	case least:
		return fmt.Sprintf("%d+", n)
	}
	return fmt.Sprint(n)
}

// foundText says how many were found and how to see the rest.
func foundText(res *wire.SearchResult) string {
	s := countText(res.Count, res.CountIsLeast) + " found"
	if res.Next != "" {
		s += fmt.Sprintf("; %d are shown, --limit shows more, --cursor %s the next", len(res.Items), res.Next)
	}
	return s
}
