package rust

import (
	"strings"
	"testing"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// BenchmarkHostile measures data made of nothing but the beginnings of paths.
func BenchmarkHostile(b *testing.B) {
	for _, text := range []string{
		"vendor/a-1.0.0/", "vendor/a-1.0.0/.", "vendor/a/", index + "nom-8.0.0/", "/rustc/", "git/checkouts/a-0123456789abcdef/0123456/",
	} {
		b.Run(strings.ReplaceAll(text, "/", "_"), func(b *testing.B) {
			m := parse(b, file(data(strings.Repeat(text, 1<<20/len(text)))))
			b.SetBytes(m.Size)
			for b.Loop() {
				var c evidence.Collector
				Extract(m, &c)
			}
		})
	}
}
