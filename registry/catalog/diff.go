package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect/diff"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/policy"
)

// A side is one of the versions that are compared.
type side struct {
	repo    string
	version registryRef
	digest  digest.Digest
	files   []ingest.File
}

func (s side) name() string {
	if s.version.tag == "" {
		return wire.PackageName(s.repo) + "@" + s.digest.String()
	}
	return wire.PackageName(s.repo) + "@" + s.version.tag
}

func (s side) ref() wire.VersionRef {
	return wire.VersionRef{Package: wire.PackageName(s.repo), Tag: s.version.tag, Digest: s.digest}
}

// maxDiffFiles is how many pairs of files are compared, one pair after the other:
// each means to inspect two files again.
const maxDiffFiles = 20

// getDiff compares versions that the caller may both read.
func (a *API) getDiff(ctx context.Context, q *request) (answer, error) {
	format := q.format
	switch q.text("format") {
	case "json":
		format = wire.MediaTypeJSON
	case "markdown":
		format = wire.MediaTypeMarkdown
	}
	var sides [2]side
	for i, name := range []string{"from", "to"} {
		var err error
		if sides[i], err = a.side(ctx, q, name); err != nil {
			return answer{}, err
		}
	}
	pairs := pairFiles(sides[0].files, sides[1].files)
	if len(pairs) > maxDiffFiles {
		return answer{}, &wire.Problem{
			Code: wire.CodeUnavailable, Detail: fmt.Sprintf("the versions have %d files, and no more than %d are compared", len(pairs),
				maxDiffFiles),
			Hint: "download the files and compare them with wpkg",
		}
	}
	result := wire.Diff{From: sides[0].ref(), To: sides[1].ref(), Equal: true, Files: []wire.FileDiff{}}
	var text bytes.Buffer
	fmt.Fprintf(&text, "## `%s` → `%s`\n\n", sides[0].name(), sides[1].name())
	for _, p := range pairs {
		one, d, err := a.compare(ctx, sides, p)
		if err != nil {
			return answer{}, err
		}
		result.Equal = result.Equal && one.From == one.To
		result.Files = append(result.Files, one)
		writeFile(&text, p, d)
	}
	if format == wire.MediaTypeMarkdown {
		return answer{text: text.Bytes(), mediaType: wire.MediaTypeMarkdown + "; charset=utf-8"}, nil
	}
	return found(result)
}

// side reads one of the parameters from and to.
func (a *API) side(ctx context.Context, q *request, name string) (s side, err error) {
	s.repo, s.version, _ = parsePoint(q.text(name)) // checked
	if err := a.may(q, policy.Pull, s.repo); err != nil {
		return s, err
	}
	if s.digest, err = a.digestOf(ctx, s.repo, s.version); err != nil {
		return s, err
	}
	s.files, _, err = a.filesOf(ctx, s.repo, s.digest)
	return s, err
}

// A pair is a file of each side, one of which may be absent.
type pair struct{ from, to *ingest.File }

func (p pair) name() string {
	if p.to != nil {
		return p.to.Name
	}
	return p.from.Name
}

// pairFiles matches files of the same name, and the only files of either side
// whatever they are called: a new version often has its number in its name.
func pairFiles(from, to []ingest.File) (pairs []pair) {
	if len(from) == 1 && len(to) == 1 {
		return []pair{{&from[0], &to[0]}}
	}
	used := make(map[int]bool)
	for i := range from {
		p := pair{from: &from[i]}
		for j := range to {
			if !used[j] && to[j].Name == from[i].Name {
				p.to, used[j] = &to[j], true
				break
			}
		}
		pairs = append(pairs, p)
	}
	for j := range to {
		if !used[j] {
			pairs = append(pairs, pair{to: &to[j]})
		}
	}
	return pairs
}

// compare compares two files by their reports. There is nothing to compare where
// they are the same, one is absent, or not valid Wasm.
func (a *API) compare(ctx context.Context, sides [2]side, p pair) (one wire.FileDiff, d *diff.Diff, err error) {
	one.Name = p.name()
	if p.from != nil {
		one.From = p.from.Digest
	}
	if p.to != nil {
		one.To = p.to.Digest
	}
	if one.From == one.To || p.from == nil || p.to == nil || p.from.Full == "" || p.to.Full == "" {
		return one, nil, nil
	}
	old, release, err := a.Ingest.Inspect(ctx, sides[0].repo, *p.from)
	if err != nil {
		return one, nil, fmt.Errorf("inspect %s of %s: %w", p.from.Digest, sides[0].name(), err)
	}
	defer release()
	now, release, err := a.Ingest.Inspect(ctx, sides[1].repo, *p.to)
	if err != nil {
		return one, nil, fmt.Errorf("inspect %s of %s: %w", p.to.Digest, sides[1].name(), err)
	}
	defer release()
	d = diff.Compare(old, now)
	one.Changes, err = json.Marshal(d)
	return one, d, err
}

// writeFile writes what changed in one file.
func writeFile(b *bytes.Buffer, p pair, d *diff.Diff) {
	name := "`" + strings.ReplaceAll(term.Clean(p.name()), "`", "'") + "`"
	if p.name() == "" {
		name = "The binary"
	}
	switch {
	case p.from == nil:
		fmt.Fprintf(b, "%s is new.\n\n", name)
	case p.to == nil:
		fmt.Fprintf(b, "%s is gone.\n\n", name)
	case p.from.Digest == p.to.Digest:
		fmt.Fprintf(b, "%s is the same.\n\n", name)
	case d == nil:
		fmt.Fprintf(b, "%s is another one, of which there is no report.\n\n", name)
	default:
		_ = d.WriteMarkdown(b, or(p.from.Name, p.from.Digest.String()), or(p.to.Name, p.to.Digest.String())) // a buffer takes everything
	}
}
