package rust

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// BenchmarkHostile measures data made of nothing but the beginnings of paths.
func BenchmarkHostile(b *testing.B) {
	for _, text := range []string{
		"vendor/a-1.0.0/", "vendor/a-1.0.0/.", "vendor/a-1.0.x/", "vendor/a/", index + "nom-8.0.0/", "/rustc/",
		"git/checkouts/a-0123456789abcdef/0123456/",
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

// Whatever the order in which it is asked, next gives what a search from there on
// would.
func TestNextIsWhatASearchGives(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	finds := []struct {
		name string
		find func([]byte) int
	}{{"rust", findRust}, {"c", findC}, {"end", findEnd}}
	for _, f := range finds {
		t.Run(f.name, func(t *testing.T) {
			for range 2000 {
				data := make([]byte, 1+random.IntN(60))
				for i := range data {
					data[i] = ".rsinch/a\x00"[random.IntN(10)]
				}
				var n next
				for from := 0; from < len(data); from = max(0, from+random.IntN(9)-3) {
					if got, want := n.after(data, from, f.find), from+f.find(data[from:]); got != want {
						t.Fatalf("after(%q, %d) = %d, want %d", data, from, got, want)
					}
				}
			}
		})
	}
}
