package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.yaml.in/yaml/v3"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry/client"
)

// tool is one run of wpkg: where it reads and writes, the common flags, and what
// is opened when it is first needed.
type tool struct {
	args     []string // the command line, as it was written
	in       io.Reader
	out, err io.Writer

	format     string
	quiet      bool
	insecure   bool
	registry   string
	configFile string

	cfg *config
	c   *client.Client
}

// emit writes a result: v as a line of JSON or as YAML, or rows as a table.
func (t *tool) emit(v any, rows [][]string) error {
	if t.structured() {
		return t.emitValue(v)
	}
	return term.Table(t.out, rows)
}

// emitEach writes a list of results: a line or document for each, or rows as one
// table.
func emitEach[T any](t *tool, list []T, rows [][]string) error {
	if !t.structured() {
		return term.Table(t.out, rows)
	}
	for _, v := range list {
		if err := t.emitValue(v); err != nil {
			return err
		}
	}
	return nil
}

// structured reports whether results are for programs.
func (t *tool) structured() bool { return t.format != formatTable }

// emitValue writes v in the structured format asked for. YAML is made of the
// JSON, so that both have the same names and values.
func (t *tool) emitValue(v any) error {
	if t.format == formatJSON {
		return t.emitJSON(v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	asBlocks(&doc)
	fmt.Fprintln(t.out, "---") // results may follow each other
	e := yaml.NewEncoder(t.out)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return err
	}
	return e.Close()
}

// asBlocks takes off the style of JSON: one line, everything quoted.
func asBlocks(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle | yaml.DoubleQuotedStyle
	for _, c := range n.Content {
		asBlocks(c)
	}
}

func (t *tool) emitJSON(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// client is the client of all registries. Credentials are looked up when a
// registry asks for one.
func (t *tool) client() *client.Client {
	if t.c == nil {
		store := sync.OnceValues(client.OpenCredentials)
		warn := t.warner()
		t.c = client.New(client.Options{
			UserAgent: "wpkg/" + version.Get().Version,
			Insecure:  t.insecure,
			Warn:      warn,
			Slow: func(host string, silence time.Duration) {
				warn(host, fmt.Sprintf("it was asked and has not answered yet, for which it has %s", silence))
			},
			Credential: func(ctx context.Context, host string) (auth.Credential, error) {
				s, err := store()
				if err != nil {
					return auth.EmptyCredential, fmt.Errorf("credential store: %w", err)
				}
				return credentials.Credential(s)(ctx, host)
			},
		})
	}
	return t.c
}

// maxWarning bounds what is shown of a warning, in characters.
const maxWarning = 1000

// warner shows what registries warn of, each warning once.
func (t *tool) warner() func(host, text string) {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(host, text string) {
		mu.Lock()
		defer mu.Unlock()
		line := host + ": " + clip(term.Clean(text), maxWarning)
		if seen[line] {
			return
		}
		seen[line] = true
		fmt.Fprintf(t.err, "%s %s\n", term.Paint(term.Colour(t.err), term.Yellow, "warning:"), line)
	}
}

// reference reads an argument that names a package in a registry or layout. A
// folder that is a layout is taken for one.
func (t *tool) reference(ctx context.Context, arg string) (ref.Reference, error) {
	cfg, err := t.config()
	if err != nil {
		return ref.Reference{}, err
	}
	if client.IsLayout(arg) {
		arg = "oci-layout:" + arg
	}
	// A prefix that nobody writes tells identifiers from paths.
	const probe = "wpkg-identifier/"
	r, err := ref.Parse(arg, ref.Defaults{Registry: t.defaultRegistry(cfg), Prefix: probe})
	if err != nil && (strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../")) {
		if _, missing := os.Stat(arg); missing != nil {
			return r, missing // it was meant to be a file
		}
	}
	if err != nil {
		return r, badReference(err)
	}
	id, ok := strings.CutPrefix(r.Repository, probe)
	if !ok || strings.Contains(arg, probe) {
		return r, nil
	}
	namespace, name, _ := strings.Cut(id, "/")
	host, prefix, mapped := t.namespaceHome(cfg, namespace)
	if mapped {
		r.Host, r.Repository = host, prefix+id
		return r, ref.CheckName(r.Repository)
	}
	r.Host, r.Repository, err = t.client().Locate(ctx, host, namespace, name)
	if err == nil {
		err = ref.CheckName(r.Repository)
	}
	return r, err
}

// target is the repository of r. A layout that is not there is made if create
// is set.
func (t *tool) target(ctx context.Context, r ref.Reference, create bool) (client.Target, error) {
	switch {
	case r.Layout != "" && create:
		return client.CreateLayout(ctx, r.Layout)
	case r.Layout != "":
		return client.OpenLayout(ctx, r.Layout)
	default:
		return t.client().Repository(r.Host, r.Repository)
	}
}

// A selection is a package that an argument names: the target, the tag if it was
// found by one, and the manifest.
type selection struct {
	client.Target
	ref  ref.Reference // with the digest
	tag  string
	desc ocispec.Descriptor
}

// named is the selection by tag where there is one.
func (s selection) named() ref.Reference {
	if s.tag != "" {
		return s.ref.WithTag(s.tag)
	}
	return s.ref
}

// selected finds the manifest that an argument names. Without a version it is
// the newest release; else, the newest prerelease; else, latest.
func (t *tool) selected(ctx context.Context, arg string) (selection, error) {
	r, err := t.reference(ctx, arg)
	if err != nil {
		return selection{}, err
	}
	target, err := t.target(ctx, r, false)
	if err != nil {
		return selection{}, err
	}
	s := selection{Target: target, tag: r.Tag}
	if r.Digest == "" && r.Tag == "" {
		if s.tag, err = pick(ctx, target, r); err != nil {
			return s, err
		}
	}
	at := s.tag
	if r.Digest != "" {
		at = r.Digest.String()
	}
	if s.desc, err = target.Resolve(ctx, at); err != nil {
		return s, absent(ctx, target, r, at, err)
	}
	s.ref = r.WithDigest(s.desc.Digest)
	return s, nil
}

// absent makes ErrNotFound say what is not there: the tag or digest at, or the
// whole package.
func absent(ctx context.Context, target client.Target, r ref.Reference, at string, err error) error {
	if !errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("%s: %w", r.Name(), err)
	}
	enough := errors.New("one page tells")
	if terr := target.Tags(ctx, "", func([]string) error { return enough }); isAbsent(terr) {
		return noPackage(r)
	}
	what := "tag"
	if r.Digest != "" {
		what = "manifest"
	}
	return &hinted{fmt.Errorf("%s: it has no %s %s", r.Name(), what, at), "wpkg list " + r.Name() + " shows what there is"}
}

func noPackage(r ref.Reference) error {
	return &hinted{fmt.Errorf("%s: no such package", r.Name()), "wpkg list " + r.Host + " shows what there is"}
}

// isAbsent reports whether a registry answered 404.
func isAbsent(err error) bool {
	var answer *errcode.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// pick chooses a tag of target for a reference with a range or nothing.
func pick(ctx context.Context, target client.Target, r ref.Reference) (string, error) {
	tags, err := tagsOf(ctx, target, r)
	if err != nil {
		return "", err
	}
	if r.Range != "" && r.Range != "*" {
		tag, err := ref.Pick(tags, r.Range, false)
		if err != nil {
			return "", &hinted{fmt.Errorf("%s: %w", r.Name(), err), "wpkg list " + r.Name() + " shows what there is"}
		}
		return tag, nil
	}
	for _, pre := range []bool{false, true} {
		if tag, err := ref.Pick(tags, "*", pre); err == nil {
			return tag, nil
		}
	}
	for _, tag := range tags {
		if tag == "latest" {
			return tag, nil
		}
	}
	return "", &hinted{
		fmt.Errorf("%s: which one? it has no version and no latest among %d tags", r.Name(), len(tags)),
		"wpkg list " + r.Name() + " shows what there is",
	}
}

// tagsOf lists the tags of target, which r names.
func tagsOf(ctx context.Context, target client.Target, r ref.Reference) ([]string, error) {
	tags, err := client.TagsOf(ctx, target)
	switch {
	case isAbsent(err):
		return nil, noPackage(r)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", r.Name(), err)
	}
	return tags, nil
}

// isFile reports whether an argument is a file. What exists as a file is one.
func isFile(arg string) bool {
	if strings.HasPrefix(arg, "oci:") {
		return false
	}
	fi, err := os.Stat(arg)
	return err == nil && !fi.IsDir()
}
