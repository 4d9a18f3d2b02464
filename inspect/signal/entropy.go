package signal

import (
	"fmt"
	"math"
	"math/bits"
)

const (
	// entropyWindow is the size in bytes of what is measured at once.
	entropyWindow = 4096

	// highEntropy is the number of bits per byte from which bytes look random.
	// Random bytes have 7.95 in such a window, text about 5, code about 6.
	highEntropy = 7.5
)

// nLogN holds n·log2(n) for every count of a window.
var nLogN [entropyWindow + 1]float64

func prepareEntropy() {
	for n := 1; n < len(nLogN); n++ {
		nLogN[n] = float64(n) * math.Log2(float64(n))
	}
}

// An extent is a part of a span, and what it is if that is known.
type extent struct {
	start, end int
	what       string
	harmless   bool
}

// entropy reports the stretches of the span of which each window looks random.
func (s *scanner) entropy() {
	b := s.span.Bytes
	var from int
	var most float64
	flush := func(to int) {
		if to > from {
			s.random(from, to, most)
		}
		most = 0
	}
	for i := 0; i+entropyWindow <= len(b); i += entropyWindow {
		h := s.measure(b[i : i+entropyWindow])
		if h < highEntropy {
			flush(i)
			from = i + entropyWindow
			continue
		}
		most = max(most, h)
	}
	flush(len(b) &^ (entropyWindow - 1))
}

func (s *scanner) random(from, to int, most float64) {
	const least, perPoint = 5, 8 << 10 // 40 from 280 KiB on
	score, what := min(40, least+(to-from)/perPoint), ""
	for _, e := range s.extents {
		// The contents of an archive begin soon after its header; where they
		// end is not always known.
		if e.start >= to || e.end <= from && (e.end > e.start || from-e.start > 2*entropyWindow) {
			continue
		}
		if e.harmless {
			return
		}
		score, what = least, ", "+e.what
		break
	}
	s.f.add(ruleEntropy, score, s.place(from), func() string {
		return fmt.Sprintf("%d bytes with up to %.2f bits per byte%s", to-from, most, what)
	})
}

// measure gives the entropy of a window in bits per byte, or 0 if a sample of
// it has too few different bytes to be worth the count: random bytes have about
// 160 in 256, and a window with 7.5 bits has 120 or more.
func (s *scanner) measure(w []byte) float64 {
	var seen [4]uint64
	for i := 0; i < len(w); i += 15 { // odd, so that all columns of a table are met
		seen[w[i]>>6] |= 1 << (w[i] & 63)
	}
	distinct := 0
	for _, v := range seen {
		distinct += bits.OnesCount64(v)
	}
	if distinct < 100 {
		return 0
	}
	s.hist = [4][256]int{} // four, as counting the same byte twice in a row stalls
	for ; len(w) >= 4; w = w[4:] {
		s.hist[0][w[0]]++
		s.hist[1][w[1]]++
		s.hist[2][w[2]]++
		s.hist[3][w[3]]++
	}
	sum := 0.0
	for i := range s.hist[0] {
		sum += nLogN[s.hist[0][i]+s.hist[1][i]+s.hist[2][i]+s.hist[3][i]]
	}
	return math.Log2(entropyWindow) - sum/entropyWindow
}
