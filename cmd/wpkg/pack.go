package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/client"
)

func (t *tool) packCommand() *cli.Command {
	var o packFlags
	var to string
	return &cli.Command{
		Name:      "pack",
		Usage:     "pack a Wasm file into an OCI layout",
		ArgsUsage: "FILE -o FOLDER[:TAG]",
		Description: `Makes the canonical package of FILE in the layout FOLDER, which is made if it
does not exist. Without :TAG the tag is the version, or latest.`,
		Flags: append(o.flags(), &cli.StringFlag{Name: "o", Usage: "the `FOLDER` of the layout, with or without a tag", Destination: &to}),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			if to == "" {
				return &usageError{text: "pack: where to?", hint: "wpkg pack FILE -o FOLDER"}
			}
			r, err := ref.Parse("oci-layout:"+strings.TrimPrefix(to, "oci-layout:"), ref.Defaults{})
			if err != nil {
				return badReference(err)
			}
			if r.Digest != "" || r.Range != "" {
				return usagef("pack: %s: a tag can be chosen, a digest or range cannot", to)
			}
			return t.publish(c.Context, []publication{{file: c.Args().First(), to: r}}, o, nil)
		},
	}
}

// packFlags say how a file is packed.
type packFlags struct {
	version, author string
	annotations     cli.StringSlice
	views           cli.StringSlice
	sign            bool
}

func (o *packFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "version", Usage: "the `VERSION` in full; by default that of the tag, or what the file states", Destination: &o.version},
		&cli.StringFlag{Name: "author", Usage: "the `NAME` of the author; by default what the file states", Destination: &o.author},
		&cli.StringSliceFlag{
			Name: "annotation", Usage: "add the annotation `KEY=VALUE`; an empty value removes one", Destination: &o.annotations,
		},
		&cli.StringSliceFlag{
			Name: "view", Usage: "also make the `VIEW` oci-image, the container image of platform wasi/wasm, with the tag oci-image-TAG", Destination: &o.views,
		},
	}
}

// options are the flags as package artifact wants them.
func (o *packFlags) options(name string) (artifact.Options, error) {
	out := artifact.Options{Name: name, Version: o.version, Author: o.author, Annotations: map[string]string{}}
	for _, a := range o.annotations.Value() {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "" {
			return out, usagef("--annotation %s: it is KEY=VALUE", a)
		}
		out.Annotations[k] = v
	}
	var err error
	out.Created, err = creationTime()
	return out, err
}

// creationTime is the time that SOURCE_DATE_EPOCH says for what is made, zero if
// it says none.
func creationTime() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Time{}, nil
	}
	sec, err := strconv.ParseInt(s, 10, 64)
	if err != nil || sec < 0 {
		return time.Time{}, usagef("SOURCE_DATE_EPOCH=%s: it is a number of seconds", s)
	}
	return time.Unix(sec, 0), nil
}

func (o *packFlags) viewList() ([]artifact.View, error) {
	var out []artifact.View
	for _, name := range o.views.Value() {
		known := false
		for _, v := range artifact.Views() {
			known = known || string(v) == name
		}
		if !known {
			return nil, usagef("--view %s: there is only %v", name, artifact.Views())
		}
		out = append(out, artifact.View(name))
	}
	return out, nil
}

// A publication is a file and where it goes.
type publication struct {
	file string
	to   ref.Reference
}

// ready is a publication that was packed.
type ready struct {
	publication
	pkg   *artifact.Package
	views map[artifact.View]*artifact.Package
	close func() error
}

// pushed is what became of a publication.
type pushed struct {
	Reference string         `json:"reference"`
	Digest    string         `json:"digest"`
	Size      int64          `json:"size"` // bytes of manifest, config and layers
	Moved     int64          `json:"moved"`
	Referrers []pushedMember `json:"referrers"`

	Signer    string        `json:"signer,omitempty"`
	Signature digest.Digest `json:"signature,omitempty"` // the manifest that carries it
}

type pushedMember struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	View      string `json:"view"`

	Signature digest.Digest `json:"signature,omitempty"`
}

// publish packs each file and stores it, signed by an author unless that is nil.
// All are packed before the first is sent: a file that is no Wasm stops everything.
func (t *tool) publish(ctx context.Context, ps []publication, o packFlags, by *author) error {
	views, err := o.viewList()
	if err != nil {
		return err
	}
	var all []ready
	defer func() {
		for _, r := range all {
			_ = r.close() // it was only read
		}
	}()
	for _, p := range ps {
		r, err := pack(ctx, p, o, views)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	rows := [][]string{{"REFERENCE", "DIGEST", "SIZE"}}
	if by != nil {
		rows[0] = append(rows[0], "SIGNATURE")
	}
	var done []pushed
	for _, r := range all {
		out, err := t.send(ctx, r, views, by)
		if err != nil {
			return fmt.Errorf("%s: %w", r.to, err)
		}
		done = append(done, out)
		rows = append(rows, []string{out.Reference, out.Digest, sizeText(out.Size), out.Signature.String()}[:len(rows[0])])
		for _, m := range out.Referrers {
			rows = append(rows, []string{m.Reference, m.Digest, sizeText(m.Size), m.Signature.String()}[:len(rows[0])])
		}
	}
	return emitEach(t, done, rows)
}

// pack packs one file and settles its tag.
func pack(ctx context.Context, p publication, o packFlags, views []artifact.View) (r ready, err error) {
	name := path.Base(p.to.Repository)
	if p.to.Layout != "" {
		name = ""
	}
	opts, err := o.options(name)
	if err != nil {
		return r, err
	}
	if err := settleVersion(&opts, p.to); err != nil {
		return r, err
	}
	f, err := os.Open(p.file)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // it was only read
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return r, err
	}
	if !fi.Mode().IsRegular() {
		return r, &hinted{fmt.Errorf("%s: it is no file", p.file), "wpkg copy takes a package out of a layout, wpkg build makes one of a project"}
	}
	pkg, err := artifact.Pack(ctx, []artifact.File{{Name: filepath.Base(p.file), Content: f, Size: fi.Size()}}, opts)
	if err != nil {
		return r, wasmError(err, p.file)
	}
	if p.to.Tag == "" {
		p.to.Tag = "latest"
		if pkg.Version != "" {
			if p.to.Tag, err = ref.TagOf(pkg.Version); err != nil {
				return r, &hinted{fmt.Errorf("%s: %w", p.file, err), "the file states this version; name another with --version, or a tag"}
			}
		}
	}
	r = ready{publication: p, pkg: pkg, views: map[artifact.View]*artifact.Package{}, close: f.Close}
	for _, v := range views {
		if r.views[v], err = pkg.View(ctx, v); err != nil {
			return r, fmt.Errorf("%s: %w", p.file, err)
		}
	}
	return r, nil
}

// settleVersion makes tag and version agree.
func settleVersion(o *artifact.Options, to ref.Reference) error {
	if o.Version != "" {
		tag, err := ref.TagOf(o.Version)
		if err != nil {
			return usagef("--version: %v", err)
		}
		if _, full := ref.VersionOf(to.Tag); full && tag != to.Tag {
			return usagef("--version %s and tag %s are two versions", o.Version, to.Tag)
		}
		return nil
	}
	if v, full := ref.VersionOf(to.Tag); full {
		o.Version = v.String()
	}
	return nil
}

// send stores a package and its views, each behind its signature.
func (t *tool) send(ctx context.Context, r ready, views []artifact.View, by *author) (pushed, error) {
	target, err := t.target(ctx, r.to, true)
	if err != nil {
		return pushed{}, err
	}
	progress, stop := t.progress(ctx)
	defer stop()
	put := func(p *artifact.Package, tag string) (moved int64, one signed, err error) {
		o := client.CopyOptions{Tags: []string{tag}, Progress: progress}
		if by != nil {
			o.Before = func(ctx context.Context) (err error) {
				one, err = by.attach(ctx, target, p.Manifest)
				return err
			}
		}
		got, err := client.Push(ctx, p, target, o)
		return got.Moved, one, err
	}
	out := pushed{
		Reference: r.to.String(), Digest: r.pkg.Manifest.Digest.String(), Size: sizeOf(r.pkg), Referrers: []pushedMember{},
	}
	var one signed
	if out.Moved, one, err = put(r.pkg, r.to.Tag); err != nil {
		return out, err
	}
	out.Signer, out.Signature = one.Signer, one.Signature
	for _, v := range views {
		p, tag := r.views[v], v.Tag(r.to.Tag)
		moved, one, err := put(p, tag)
		if err != nil {
			return out, fmt.Errorf("view %s: %w", v, err)
		}
		out.Moved += moved
		out.Referrers = append(out.Referrers, pushedMember{
			Reference: r.to.WithTag(tag).String(), Digest: p.Manifest.Digest.String(), Size: sizeOf(p), View: string(v), Signature: one.Signature,
		})
	}
	return out, nil
}

func sizeOf(p *artifact.Package) int64 {
	n := p.Manifest.Size
	for _, b := range p.Blobs {
		n += b.Descriptor.Size
	}
	return n
}
