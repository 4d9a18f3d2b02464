package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/storage/meta"
)

// filesOf are the Wasm files of a manifest, none if it was not analysed yet.
func (a *API) filesOf(ctx context.Context, repo string, d digest.Digest) ([]ingest.File, bool, error) {
	if a.Ingest == nil {
		return nil, false, nil
	}
	files, analysed, err := a.Ingest.Files(ctx, repo, d)
	if errors.Is(err, meta.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("files of %s in %s: %w", d, repo, err)
	}
	return files, analysed, nil
}

// maxListed bounds the lists of a file in a version's description.
const maxListed = 200

// files describes the layers of a manifest with what analysis found in them, and
// completes what its annotations leave unsaid.
func (a *API) files(ctx context.Context, repo string, d digest.Digest, m manifestContent, about *wire.Metadata) ([]wire.File, error) {
	found, analysed, err := a.filesOf(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	list := []wire.File{}
	for _, layer := range m.Layers {
		n := len(list)
		for _, f := range found {
			if f.Layer == layer.Digest {
				list = append(list, wireFile(f))
			}
		}
		if len(list) == n {
			list = append(list, wire.File{
				Name: layer.Annotations[artifact.AnnotationTitle], Digest: layer.Digest, Layer: layer.Digest, MediaType: layer.MediaType,
				Size: layer.Size, Analysed: analysed,
			})
		}
	}
	if len(found) > 0 {
		complete(about, found[0])
	}
	return list, nil
}

func wireFile(f ingest.File) wire.File {
	rep := f.Report
	w := wire.File{
		Name: f.Name, Digest: f.Digest, Layer: f.Layer, MediaType: f.MediaType, Size: f.Size, Analysed: true, Report: f.Full,
		Kind: rep.Kind, Problem: rep.Problem, Language: rep.Language, Toolchains: rep.Toolchains, WASI: rep.WASI, Target: rep.Target,
		Capabilities: f.Capabilities.Reachable, Imports: cutList(rep.ImportModules), Functions: rep.Functions,
	}
	if len(rep.Hosts) > 0 {
		w.Host = rep.Hosts[0]
	}
	w.Exports = rep.Interfaces.Exports
	if len(w.Exports) == 0 {
		for _, e := range rep.Exports[:min(len(rep.Exports), maxListed)] {
			w.Exports = append(w.Exports, e.Name)
		}
	}
	w.Exports = cutList(w.Exports)
	return w
}

func cutList(list []string) []string { return list[:min(len(list), maxListed)] }

// complete takes from a binary's sections what annotations do not say.
func complete(m *wire.Metadata, f ingest.File) {
	s := f.Report.Metadata
	m.Title, m.Description, m.Licenses = or(m.Title, s.Name), or(m.Description, s.Description), or(m.Licenses, s.Licenses)
	m.Authors, m.Source, m.Homepage = or(m.Authors, s.Authors), or(m.Source, s.Source), or(m.Homepage, s.Homepage)
	m.Revision = or(m.Revision, s.Revision)
}

// getReport streams a stored report as it is.
func (a *API) getReport(ctx context.Context, q *request) (answer, error) {
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	f, err := a.chooseFile(ctx, q, d)
	if err != nil {
		return answer{}, err
	}
	// The body is read after the time for finding it is over.
	body, err := a.Ingest.OpenReport(context.WithoutCancel(ctx), q.repo, f)
	if err != nil {
		return answer{}, reportProblem(q, d, err)
	}
	return answer{stream: body, size: f.FullSize, mediaType: q.format, etag: f.Full.Encoded()}, nil
}

// chooseFile is the file that the parameter names, or the first with a report.
func (a *API) chooseFile(ctx context.Context, q *request, d digest.Digest) (ingest.File, error) {
	files, _, err := a.filesOf(ctx, q.repo, d)
	if err != nil {
		return ingest.File{}, err
	}
	wanted := digest.Digest(q.text("file"))
	for _, f := range files {
		if f.Full != "" && (wanted == "" || wanted == f.Digest) {
			return f, nil
		}
	}
	return ingest.File{}, reportProblem(q, d, meta.ErrNotFound)
}

func reportProblem(q *request, d digest.Digest, err error) error {
	if errors.Is(err, meta.ErrNotFound) {
		return &wire.Problem{
			Code: wire.CodeNotAnalysed, Detail: fmt.Sprintf("%s@%s has no such file with a report", wire.PackageName(q.repo), d),
			Hint: "a version that was just pushed is analysed within seconds; its files are listed with it, and only valid WebAssembly has a report",
		}
	}
	return fmt.Errorf("report of %s in %s: %w", d, q.repo, err)
}

// A functionPlace is where a page of functions begins: behind this one.
type functionPlace struct{ File, Table, Row int }

// listFunctions lists the functions of all files, as their reports have them.
func (a *API) listFunctions(ctx context.Context, q *request) (answer, error) {
	place := functionPlace{Row: -1}
	if _, err := q.after(&place); err != nil {
		return answer{}, err
	}
	d, err := a.digestOf(ctx, q.repo, q.version)
	if err != nil {
		return answer{}, err
	}
	files, analysed, err := a.filesOf(ctx, q.repo, d)
	if err != nil {
		return answer{}, err
	}
	if !analysed {
		return answer{}, reportProblem(q, d, meta.ErrNotFound)
	}
	list := wire.List[wire.Function]{Items: []wire.Function{}}
	for i := max(place.File, 0); i < len(files); i++ {
		if i > place.File {
			place = functionPlace{File: i, Row: -1}
		}
		more, err := a.rows(ctx, q, &list, files[i], &place)
		if err != nil {
			return answer{}, err
		}
		if more || len(list.Items) == q.limit() && i < len(files)-1 {
			if list.Next, err = q.next(place); err != nil {
				return answer{}, err
			}
			break
		}
	}
	return found(list)
}

// rows adds functions of a file behind place until the list is full, moves place
// on, and reports whether there are more. A file that is not valid has none.
func (a *API) rows(ctx context.Context, q *request, list *wire.List[wire.Function], f ingest.File, place *functionPlace) (more bool,
	err error,
) {
	if f.Full == "" {
		return false, nil
	}
	rep, release, err := a.Ingest.Inspect(ctx, q.repo, f)
	if err != nil {
		return false, fmt.Errorf("functions of %s in %s: %w", f.Digest, q.repo, err)
	}
	defer release()
	for table := max(place.Table, 0); table < len(rep.Functions); table++ {
		if table > place.Table {
			place.Table, place.Row = table, -1
		}
		t := rep.Functions[table]
		for row := max(place.Row+1, 0); row < len(t.Functions); row++ {
			if len(list.Items) == q.limit() {
				return true, nil
			}
			fn := t.Functions[row]
			w := wire.Function{
				File: f.Digest, Module: table, Index: int64(t.First) + int64(row), Size: int64(fn.Bytes), Instructions: int64(fn.Instructions),
				Complexity: int64(fn.Complexity), Hash: hex.EncodeToString(fn.Normal[:]),
			}
			if row < len(t.Names) {
				w.Name = strings.ToValidUTF8(t.Names[row], "\uFFFD")
			}
			list.Items = append(list.Items, w)
			place.Row = row
		}
	}
	return false, nil
}

// layersOf are the digests of files, each once.
func layersOf(files []ingest.File) (list []digest.Digest) {
	for _, f := range files {
		if !slices.Contains(list, f.Layer) {
			list = append(list, f.Layer)
		}
	}
	return list
}
