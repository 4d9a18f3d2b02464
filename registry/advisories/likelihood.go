package advisories

import (
	"errors"
	"io"
	"os"

	"github.com/wreg-project/wreg/sbom/vuln"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// A Likelihood is what is known of how vulnerabilities are used, by CVE. Either
// map may be nil.
type Likelihood struct {
	EPSS map[string]vuln.EPSS
	KEV  map[string]vuln.KEV
}

// ReadLikelihood reads the files of FIRST and CISA; a path that is "" is none.
func ReadLikelihood(epss, kev string) (Likelihood, error) {
	var l Likelihood
	var err error
	if l.EPSS, err = readFile(epss, vuln.ReadEPSS); err != nil {
		return Likelihood{}, err
	}
	if l.KEV, err = readFile(kev, vuln.ReadKEV); err != nil {
		return Likelihood{}, err
	}
	return l, nil
}

func readFile[T any](path string, read func(io.Reader) (T, error)) (out T, err error) {
	if path == "" {
		return out, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return read(f)
}

// Rate writes to a report what is known of its vulnerabilities.
func (l Likelihood) Rate(r *scan.Report) { r.Rate(l.EPSS, l.KEV) }
