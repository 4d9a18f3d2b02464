package signal

import (
	"cmp"
	"slices"
	"sync"

	"github.com/wreg-project/wreg/inspect/text"
)

// Mask gives text with the secrets in it blanked out, for whoever shows text of
// a binary. It leaves b alone.
func Mask(b []byte) []byte {
	hidden := secrets(b)
	if len(hidden) == 0 {
		return b
	}
	slices.SortFunc(hidden, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	var out []byte
	at := 0
	for _, h := range hidden {
		if h.start < at {
			at = max(at, h.end)
			continue
		}
		out = append(append(out, b[at:h.start]...), "…"...)
		at = h.end
	}
	return append(out, b[at:]...)
}

// secrets finds the parts of text that are secret.
func secrets(b []byte) []extent {
	s := maskers.Get().(*scanner)
	defer maskers.Put(s)
	var hidden []extent
	s.hidden = &hidden
	s.span, s.run, s.b = text.At(0, b), text.Run{End: len(b)}, b
	s.match()
	*s = scanner{f: s.f, engines: s.engines}
	*s.f = Findings{}
	clear(s.engines)
	return hidden
}

// maskers are scanners for text; one is large, and a report masks a thousand
// strings.
var maskers = sync.Pool{New: func() any { return newScanner(&Findings{}, nil) }}

// hide notes that bytes of the run are secret.
func (s *scanner) hide(start, end int) {
	if s.hidden != nil {
		*s.hidden = append(*s.hidden, extent{start: start, end: end})
	}
}

// mask shows the ends of a secret of which the first known bytes are a public
// prefix: enough to find it in one's own records, and not enough to use it.
func mask(secret []byte, known int) string {
	const tail = 2
	known = min(max(known, 0), len(secret))
	if len(secret)-known < 4*tail {
		return string(secret[:known]) + "…"
	}
	return string(secret[:known]) + "…" + string(secret[len(secret)-tail:])
}
