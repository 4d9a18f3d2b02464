package vuln

import (
	"cmp"
	"strings"

	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
)

// A Rating is a severity in a word.
type Rating string

// The ratings of CVSS. A Severity without one is not known.
const (
	None     Rating = "none"
	Low      Rating = "low"
	Medium   Rating = "medium"
	High     Rating = "high"
	Critical Rating = "critical"
)

// ratings in their order, what is not known first.
var ratings = map[Rating]int{None: 1, Low: 2, Medium: 3, High: 4, Critical: 5}

// AtLeast reports whether the rating is one as grave as the other, or graver. What
// is not known is not.
func (r Rating) AtLeast(o Rating) bool { return ratings[r] > 0 && ratings[r] >= ratings[o] }

// A Severity is how bad a vulnerability is held to be.
type Severity struct {
	Rating Rating  `json:"rating,omitempty"`
	Score  float64 `json:"score,omitempty"`  // 0 to 10; 0 without a vector
	Vector string  `json:"vector,omitempty"` // CVSS 3.0, 3.1 or 4.0
}

// worse is the graver of two severities, of equals the one of the newer CVSS.
func (s Severity) worse(o Severity) Severity {
	if cmp.Or(cmp.Compare(ratings[o.Rating], ratings[s.Rating]), cmp.Compare(o.Score, s.Score), strings.Compare(o.Vector, s.Vector)) > 0 {
		return o
	}
	return s
}

// score reads an entry of "severity".
func score(raw rawSeverity) Severity {
	switch raw.Type {
	case "CVSS_V3", "CVSS_V4":
		return vector(raw.Score)
	}
	return Severity{}
}

// maxVector is more than a vector of CVSS 4.0 with all its metrics has, in bytes.
const maxVector = 512

// vector rates a CVSS vector, by its base metrics where there are others too. What
// is none has no rating.
func vector(v string) Severity {
	if len(v) > maxVector {
		return Severity{}
	}
	s := Severity{Vector: v}
	switch {
	case strings.HasPrefix(v, "CVSS:3.0/"):
		c, err := gocvss30.ParseVector(v)
		if err != nil {
			return Severity{}
		}
		s.Score = c.BaseScore()
	case strings.HasPrefix(v, "CVSS:3.1/"):
		c, err := gocvss31.ParseVector(v)
		if err != nil {
			return Severity{}
		}
		s.Score = c.BaseScore()
	case strings.HasPrefix(v, "CVSS:4.0/"):
		c, err := gocvss40.ParseVector(v)
		if err != nil {
			return Severity{}
		}
		s.Score = c.Score()
	default:
		return Severity{}
	}
	s.Rating = rate(s.Score)
	return s
}

// rate is the qualitative scale of CVSS 3.1, section 5, which CVSS 4.0 keeps.
func rate(score float64) Rating {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	case score > 0:
		return Low
	}
	return None
}

// rating reads a word as GitHub's database has it.
func rating(word string) Rating {
	r := Rating(strings.ToLower(word))
	if r == "moderate" {
		r = Medium
	}
	if ratings[r] == 0 {
		return ""
	}
	return r
}
