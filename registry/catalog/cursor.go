package catalog

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"

	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// maxCursor bounds a cursor in characters: the longest names of a repository and
// a tag fit, and a search's own cursor.
const maxCursor = 2000

// A cursor says after which entry a page begins. It holds the listing it is of,
// so that one of another listing is refused, and is otherwise only as good as a
// parameter: whoever makes one up gets another page of what they may see.
type cursor struct {
	Of    string          `json:"o"`
	After json.RawMessage `json:"a"`
}

// after reads the parameter cursor into a place; it reports false if the listing
// begins at its start.
func (q *request) after(place any) (bool, error) {
	return readCursor(q.text("cursor"), q.listing(), place)
}

// next makes the cursor of the page that begins behind a place.
func (q *request) next(place any) (string, error) { return makeCursor(q.listing(), place) }

func readCursor(s, listing string, place any) (bool, error) {
	if s == "" {
		return false, nil
	}
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err == nil && c.Of == listing {
		err = json.Unmarshal(c.After, place)
	}
	if err != nil || c.Of != listing {
		return false, invalidCursor()
	}
	return true, nil
}

func invalidCursor() error {
	return &wire.Problem{
		Code: wire.CodeInvalidCursor, Parameter: "cursor", Detail: "it is not one that this listing gave",
		Hint: "take it from next, and change no other parameter but limit",
	}
}

func makeCursor(listing string, place any) (string, error) {
	after, err := json.Marshal(place)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(cursor{Of: listing, After: after})
	return base64.RawURLEncoding.EncodeToString(raw), err
}

// listing tells listings apart: the operation with everything that chooses its
// entries and their order.
func (q *request) listing() string {
	h := fnv.New64a()
	add := func(m map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if name != "cursor" && name != "limit" {
				_, _ = h.Write([]byte(name + "\x00" + m[name] + "\x00")) // a hash takes all
			}
		}
	}
	add(q.path)
	add(q.query)
	return q.op.id + "." + strconv.FormatUint(h.Sum64(), 36)
}
