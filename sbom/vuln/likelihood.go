package vuln

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/wreg-project/wreg/sbom/evidence"
)

// An EPSS says how likely it is that a vulnerability is used in the next 30 days.
type EPSS struct {
	Probability float64 `json:"probability"` // 0 to 1
	Percentile  float64 `json:"percentile"`  // 0 to 1, of all vulnerabilities
}

// A KEV is an entry of CISA's catalogue of vulnerabilities that are known to have
// been used.
type KEV struct {
	Added      string `json:"added"` // 2006-01-02
	Due        string `json:"due,omitempty"`
	Ransomware bool   `json:"ransomware,omitempty"`
}

// What the files may have. EPSS lists about 300,000 CVEs in 10 MB, the catalogue
// 1,500 in 1.5 MB.
const (
	maxEPSS     = 256 << 20 // bytes, uncompressed
	maxEPSSRows = 4 << 20
	maxEPSSLine = 1024     // bytes
	maxKEV      = 32 << 20 // bytes
)

// ReadEPSS reads the scores of FIRST as CSV, compressed by gzip or not: lines of
// CVE, probability and percentile after a heading; lines with # are comments.
func ReadEPSS(r io.Reader) (map[string]EPSS, error) {
	in := bufio.NewReader(r)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("EPSS: %w", err)
		}
		defer z.Close()
		in = bufio.NewReader(z)
	}
	capped := &io.LimitedReader{R: in, N: maxEPSS + 1}
	lines := bufio.NewScanner(capped)
	lines.Buffer(make([]byte, 0, maxEPSSLine), maxEPSSLine)
	scores := map[string]EPSS{}
	for n := 1; lines.Scan(); n++ {
		row := strings.TrimSpace(lines.Text())
		if row == "" || row[0] == '#' || strings.HasPrefix(row, "cve,") {
			continue
		}
		cve, s, err := epssRow(row)
		if err != nil {
			return nil, fmt.Errorf("EPSS, line %d: %w", n, err)
		}
		if scores[cve] = s; len(scores) > maxEPSSRows {
			return nil, fmt.Errorf("EPSS, line %d: %w", n, ErrLimit)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("EPSS: %w", err)
	}
	if capped.N <= 0 {
		return nil, fmt.Errorf("EPSS of more than %d bytes: %w", maxEPSS, ErrLimit)
	}
	return scores, nil
}

var errRow = errors.New("not a row of CVE, probability, percentile")

func epssRow(row string) (string, EPSS, error) {
	cells := strings.Split(row, ",")
	if len(cells) != 3 || !identifier(cells[0]) {
		return "", EPSS{}, fmt.Errorf("%q: %w", evidence.Clean(row, 64), errRow)
	}
	p, errP := strconv.ParseFloat(cells[1], 64)
	c, errC := strconv.ParseFloat(cells[2], 64)
	if errP != nil || errC != nil || !(p >= 0 && p <= 1 && c >= 0 && c <= 1) {
		return "", EPSS{}, fmt.Errorf("%q: %w", evidence.Clean(row, 64), errRow)
	}
	return cells[0], EPSS{p, c}, nil
}

// ReadKEV reads CISA's catalogue as JSON.
func ReadKEV(r io.Reader) (map[string]KEV, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKEV+1))
	if err != nil {
		return nil, fmt.Errorf("KEV: %w", err)
	}
	if len(data) > maxKEV {
		return nil, fmt.Errorf("KEV of more than %d bytes: %w", maxKEV, ErrLimit)
	}
	var file struct {
		Vulnerabilities []struct {
			CVE        string `json:"cveID"`
			Added      string `json:"dateAdded"`
			Due        string `json:"dueDate"`
			Ransomware string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("KEV: %w", err)
	}
	known := make(map[string]KEV, len(file.Vulnerabilities))
	for _, v := range file.Vulnerabilities {
		if identifier(v.CVE) {
			known[v.CVE] = KEV{evidence.Clean(v.Added, 32), evidence.Clean(v.Due, 32), v.Ransomware == "Known"}
		}
	}
	return known, nil
}

// Rate writes what is known of how vulnerabilities are used to the findings that
// have their names. Of several names the most likely counts.
func (r *Result) Rate(epss map[string]EPSS, kev map[string]KEV) {
	for _, list := range [][]Finding{r.Findings, r.Possible} {
		for i := range list {
			f := &list[i]
			for _, name := range f.Names() {
				if s, ok := epss[name]; ok && (f.EPSS == nil || s.Probability > f.EPSS.Probability) {
					f.EPSS = &s
				}
				if k, ok := kev[name]; ok && f.KEV == nil {
					f.KEV = &k
				}
			}
		}
	}
}
