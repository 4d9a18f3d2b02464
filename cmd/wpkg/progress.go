package main

import (
	"context"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
)

// bars shows a bar for each transfer.
type bars struct{ p *mpb.Progress }

// progress shows transfers on standard error if that is a terminal and nobody
// asked for quiet. Call stop before anything else is written.
func (t *tool) progress(ctx context.Context) (p client.Progress, stop func()) {
	if t.quiet || !term.IsTerminal(t.err) {
		return nil, func() {}
	}
	b := bars{mpb.NewWithContext(ctx, mpb.WithOutput(t.err), mpb.WithWidth(64))}
	return b, b.p.Shutdown
}

func (b bars) Begin(d ocispec.Descriptor) client.Meter {
	name := d.Annotations[ocispec.AnnotationTitle]
	if name == "" {
		name = strings.TrimPrefix(d.Digest.String(), "sha256:")
	}
	name = term.Clean(name)
	if r := []rune(name); len(r) > 24 {
		name = string(r[:23]) + "…"
	}
	bar := b.p.AddBar(d.Size,
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name(" "), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")))
	return meter{bar}
}

type meter struct{ bar *mpb.Bar }

func (m meter) At(n int64) { m.bar.SetCurrent(n) }

func (m meter) End(complete bool) {
	if complete {
		m.bar.SetTotal(-1, true)
	} else {
		m.bar.Abort(false)
	}
}
