package managed

import (
	"bytes"
	"strings"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/sbom/evidence"
)

const (
	maxUnits = 1 << 13 // different units of one module; pandoc has 95
	maxUnit  = 256     // bytes of a unit's name
)

// unit is the name of a unit of GHC, "text-2.1.3-5dd0": package, version, and
// what tells builds apart. Cabal writes 64 hexadecimal digits, or 22 of 62
// letters where paths must be short; GHC's own build four digits; and what was
// built where it lies is "inplace".
var unit = lazy.Regexp(`^([A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*)*)` +
	`-(\d+(?:\.\d+)*)-(?:([0-9a-f]{64}|[0-9A-Za-z]{22})|[0-9a-f]{4}|inplace)$`)

// A haskell collects the units whose modules are named in the data.
type haskell struct {
	units map[string]place
	sure  bool // some unit's name can be nothing else, so GHC was here
}

type place struct {
	name, version string // "" of what is no unit
	offset        int64
	text          string
}

// scan looks for a unit's name before each colon that a module's name follows.
func (h *haskell) scan(span *text.Span) {
	data := span.Bytes
	for at := 0; ; at++ {
		n := bytes.IndexByte(data[at:], ':')
		if n < 0 {
			return
		}
		at += n
		if at+1 < len(data) && 'A' <= data[at+1] && data[at+1] <= 'Z' && at > 0 && isUnitByte(data[at-1]) {
			h.unit(span, at)
		}
	}
}

// wholes looks for units' names that stand alone between zero bytes, as those of
// packages do of which only types are left. It is for data of Haskell.
func (h *haskell) wholes(span *text.Span) {
	data := span.Bytes
	for at := 0; ; at++ {
		n := bytes.IndexByte(data[at:], 0)
		if n < 0 {
			return
		}
		if at += n; n > 0 && isUnitByte(data[at-1]) && (at-n == 0 || data[at-n-1] == 0) {
			h.unit(span, at)
		}
	}
}

// unit reads the name that ends before byte end of the span.
func (h *haskell) unit(span *text.Span, end int) {
	data := span.Bytes
	start := end
	for start > 0 && isUnitByte(data[start-1]) {
		if start--; end-start > maxUnit {
			return
		}
	}
	if _, ok := h.units[string(data[start:end])]; ok || len(h.units) >= maxUnits {
		return
	}
	name := string(data[start:end])
	m := unit().FindStringSubmatch(name)
	if m == nil {
		return
	}
	if h.units == nil {
		h.units = map[string]place{}
	}
	_, offset := span.Place(start)
	h.units[name] = place{packageOf(m[1]), m[2], offset, name}
	h.sure = h.sure || m[3] != "" || m[1] == "base"
}

// packageOf is the package of a unit: Cabal writes library L of package P as
// "z-P-z-L".
func packageOf(name string) string {
	rest, ok := strings.CutPrefix(name, "z-")
	if p, _, cut := strings.Cut(rest, "-z-"); ok && cut {
		return p
	}
	return name
}

func isUnitByte(b byte) bool {
	return b-'0' < 10 || b|0x20-'a' < 26 && b >= 'A' || b == '-' || b == '.'
}

// add adds the packages.
func (h *haskell) add(c *evidence.Collector) {
	for _, p := range h.units {
		c.Add(evidence.Component{
			Ecosystem: evidence.Hackage, Name: p.name, Version: p.version, Class: evidence.Proven,
			Evidence: []evidence.Evidence{{
				Method: evidence.SourcePath, Section: "data", Offset: p.offset, Text: p.text, Confidence: sureUnit,
			}},
		})
	}
}
