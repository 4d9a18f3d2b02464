package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/vbauerster/mpb/v8"
)

// A bar names what moves, without what a terminal would obey, and an unfinished
// transfer does not keep the bars from ending.
func TestBars(t *testing.T) {
	var out bytes.Buffer
	b := bars{mpb.New(mpb.WithOutput(&out), mpb.WithAutoRefresh(), mpb.WithWidth(40))}
	done := b.Begin(ocispec.Descriptor{Size: 100, Annotations: map[string]string{ocispec.AnnotationTitle: "a\x1b[2J.wasm"}})
	left := b.Begin(ocispec.Descriptor{Size: 100, Digest: digest.FromString("x")})
	empty := b.Begin(ocispec.Descriptor{Digest: digest.FromString("")})
	left.At(50)
	left.At(20)
	left.End(false)
	done.At(100)
	done.End(true)
	empty.End(true)
	b.p.Shutdown()
	if got := out.String(); !strings.Contains(got, "a\uFFFD[2J.wasm") || !strings.Contains(got, digest.FromString("x").Encoded()[:20]) {
		t.Errorf("bars wrote %q", got)
	}
}

func TestNoBarsWithoutATerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{&bytes.Buffer{}, file} {
		tool := &tool{err: w}
		p, stop := tool.progress(context.Background())
		stop()
		if p != nil {
			t.Errorf("progress on %T", w)
		}
	}
}
