package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/vuln/scan"
)

// Bounds of bills of materials in their JSON form, in bytes. Those of the largest
// programs known have one and a half million.
const (
	maxBill  = 16 << 20 // of one file
	maxBills = 32 << 20 // of all files in a blob: they are in memory together when it is scanned
)

// bill adds the bill of materials of a valid file, and its symbols. That there are
// none is no fault of the file: the finding says so, and what inspection found
// stays.
func (a *analyser) bill(ctx context.Context, r *analysis, f *Finding, m *made, b *wasm.Binary) {
	var d *sbom.Document
	err := a.safely(ctx, "bill of materials", f.Digest, func() (err error) {
		if d, err = sbom.Extract(b, sbom.Options{SHA256: sha256Of(f.Digest)}); err == nil {
			m.bill, err = encodeBill(d)
		}
		if err == nil && r.bills+int64(len(m.bill)) > maxBills {
			err = fmt.Errorf("%w: with its bill of materials those of the layer have more than %d bytes", errLimit, maxBills)
		}
		return err
	})
	if err != nil {
		f.BillProblem, m.bill = err.Error(), nil
		return
	}
	r.bills += int64(len(m.bill))
	f.Bill, f.BillSize = digest.FromBytes(m.bill), int64(len(m.bill))
	err = a.safely(ctx, "symbols", f.Digest, func() (err error) {
		m.symbols, err = scan.CodeOf(b).Symbols(d)
		return err
	})
	if err != nil {
		f.SymbolsProblem, m.symbols = err.Error(), nil
		return
	}
	f.Symbols, f.SymbolsSize = digest.FromBytes(m.symbols), int64(len(m.symbols))
}

// sha256Of is d in hexadecimal if it is of that algorithm, else "".
func sha256Of(d digest.Digest) string {
	if hash, ok := strings.CutPrefix(d.String(), string(digest.SHA256)+":"); ok {
		return hash
	}
	return ""
}

// encodeBill writes a document, unless it is larger than maxBill.
func encodeBill(d *sbom.Document) ([]byte, error) {
	tooLarge := fmt.Errorf("%w: its bill of materials has more than %d bytes", errLimit, maxBill)
	if atLeast(d) > maxBill {
		return nil, tooLarge
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	if b.Len() > maxBill {
		return nil, tooLarge
	}
	return bytes.Clone(b.Bytes()), nil
}

// atLeast is how many bytes a document has at least in its JSON form, so that one
// that is far too large is not written at all.
func atLeast(d *sbom.Document) (n int) {
	for _, c := range d.All() {
		n += len(c.Ecosystem) + len(c.Name) + len(c.Version) + len(c.Class) + len(c.Checksum) + len(c.Source) + len(c.Replaces)
		for _, list := range [][]string{c.RequiredBy, c.Licenses} {
			for _, s := range list {
				n += len(s)
			}
		}
		for _, e := range c.Evidence {
			n += len(e.Method) + len(e.Section) + len(e.Text)
		}
	}
	for u := range d.Units() {
		n += len(u.Path) + len(u.Name) + len(`{"from":0,"to":0}`)*len(u.Edges)
	}
	return n
}
