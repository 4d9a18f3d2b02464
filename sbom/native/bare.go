package native

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/wreg-project/wreg/inspect/text"
	"github.com/wreg-project/wreg/internal/lazy"
)

// bares are the texts between zero bytes that begin with a digit and are no
// longer than a version may be.
type bares struct {
	list []bare
	ids  []bare // identifiers of sources of SQLite
}

type bare struct {
	text   string
	offset int64 // bytes from the start of the file
}

// What a bare version looks like.
const (
	minBareText = 3
	maxBareText = 40
)

// fts5 stands before the identifier of the source in the text by which SQLite's
// full-text search tells its own; linkers keep one of two texts that end alike.
const fts5 = "fts5: "

var sourceID = lazy.Regexp(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{40,64}(?:alt\d)?$`)

// scan adds what is in a span.
func (b *bares) scan(span *text.Span) {
	data := span.Bytes
	for start := 0; start < len(data); {
		if first := data[start]; first-'0' > 9 && first != fts5[0] {
			n := bytes.IndexByte(data[start:], 0)
			if n < 0 {
				return
			}
			start += n + 1
			for start < len(data) && data[start] == 0 {
				start++
			}
			continue
		}
		n := bytes.IndexByte(data[start:min(len(data), start+2*maxText)], 0)
		if n < 0 {
			start += 2 * maxText
			continue
		}
		b.add(data[start:start+n], span, start)
		start += n + 1
	}
}

func (b *bares) add(whole []byte, span *text.Span, at int) {
	switch {
	case len(whole) > maxBareText:
		id := strings.TrimPrefix(string(whole), fts5)
		if len(b.ids) < maxBare && sourceID().MatchString(id) {
			_, offset := span.Place(at + len(whole) - len(id))
			b.ids = append(b.ids, bare{id, offset})
		}
	case len(whole) >= minBareText && len(b.list) < maxBare && bytes.IndexByte(whole, '.') > 0:
		_, offset := span.Place(at)
		b.list = append(b.list, bare{string(whole), offset})
	}
}

// only gives the one version that has the form of re, if all texts of that form
// agree.
func (b *bares) only(re *regexp.Regexp) (version string, offset int64, ok bool) {
	if re == nil || len(b.list) == maxBare {
		return "", 0, false
	}
	for _, t := range b.list {
		m := re.FindStringSubmatch(t.text)
		switch {
		case m == nil:
		case !ok:
			version, offset, ok = m[1], t.offset, true
		case m[1] != version:
			return "", 0, false
		}
	}
	return version, offset, version != ""
}

// sourceID gives the identifier of SQLite's source, if all agree.
func (b *bares) sourceID() (id string, offset int64, ok bool) {
	for _, t := range b.ids {
		if ok && t.text != id {
			return "", 0, false
		}
		id, offset, ok = t.text, t.offset, true
	}
	return id, offset, ok
}
