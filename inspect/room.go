package inspect

import (
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// A Cut says that a list of the report holds fewer entries than the binary
// gives rise to: it would take more memory than a file of that size may. Files
// of which that is true are made for it; the densest of the real ones stay far
// below.
type Cut struct {
	List   string `json:"list"` // by the names of its fields: "exports", "component.imports"
	Listed int    `json:"listed"`
	Total  int    `json:"total"`
}

// A room is the memory that the parts of a report may still take, in bytes. All
// that a report takes, decoding included, is to be at most what decoding alone
// may take; what that leaves is the room.
type room struct {
	left    int64
	modules int64 // core modules in the file
	cuts    []Cut
}

const (
	// besides is what a report takes whatever the file: buffers and what finds
	// out where it is from. Where there are core modules, there are workers and
	// scanners, too.
	besides     = 64 << 10
	withModules = 320 << 10

	// perModule is what a report has of each module, if only to say how many
	// functions that has.
	perModule = 3 << 10

	// leastRoom is what lists may take even if decoding leaves nothing, and
	// leastWIT what the interface of a component may.
	leastRoom = 64 << 10
	leastWIT  = 512 << 10
)

func newRoom(b *wasm.Binary) *room {
	left := wasm.KeptPerByte*b.Size + wasm.KeptAnyway - b.Kept - besides
	modules := int64(0)
	walk(b, func(b *wasm.Binary) {
		if b.Module != nil {
			modules++
		}
	})
	if modules > 0 {
		left -= withModules + modules*perModule
	}
	return &room{left: max(left, leastRoom), modules: modules}
}

// header is the size of a string without its text, and what its text takes
// besides its length.
const header = 16 + 8

// Missing is how many entries a list of the report lacks, which goes by the name
// that a [Cut] has for it.
func (rep *Report) Missing(list string) int {
	for _, c := range rep.Truncated {
		if c.List == list {
			return c.Total - c.Listed
		}
	}
	return 0
}

// text takes the room of a new string, and reports whether there was any: if
// not, the string is not to be kept.
func (r *room) text(s string) bool {
	n := int64(len(s)) + header
	if n > r.left {
		return false
	}
	r.left -= n
	return true
}

// note notes that a list has been cut, those of nested modules together.
func (r *room) note(list string, listed, total int) {
	if listed == total {
		return
	}
	if i := slices.IndexFunc(r.cuts, func(c Cut) bool { return c.List == list }); i >= 0 {
		r.cuts[i].Listed += listed
		r.cuts[i].Total += total
		return
	}
	r.cuts = append(r.cuts, Cut{list, listed, total})
}

// listOf makes a list of a report, of which each entry takes size bytes. It may
// have half of the room, so that those that come later have some, too. make may
// take room itself for what an entry refers to.
func listOf[T, S any](r *room, name string, size int64, from []S, entry func(S) T) []T {
	n := int(min(int64(len(from)), max(r.left/2, 0)/size))
	r.left -= int64(n) * size
	floor := r.left / 2
	list := make([]T, 0, n)
	for i := range from[:n] {
		if r.left < floor {
			break
		}
		list = append(list, entry(from[i]))
	}
	r.note(name, len(list), len(from))
	return list
}

// namesOf makes a sorted list of the distinct ones of strings that are kept
// elsewhere.
func namesOf[S any](r *room, name string, from []S, entry func(S) string) []string {
	list := listOf(r, name, header, from, entry)
	slices.Sort(list)
	kept := slices.Compact(list)
	if 2*len(kept) < len(list) {
		r.left += int64(len(list)-len(kept)) * header
		kept = slices.Clone(kept)
	}
	return kept
}

// A printer prints types. Many imports share one, which is then kept once.
type printer struct {
	room  *room
	known map[string]string
	bytes int // printed, kept or not
}

const (
	// maxTypeText bounds what is printed of types for one report, in bytes: a
	// million imports of four bytes each may share one type of four kilobytes.
	// The largest modules known print less than 4 MiB.
	maxTypeText = 8 << 20

	// maxKnown bounds the types that are kept once.
	maxKnown = 1 << 12
)

// print gives the text of a type, "…" if there is no room for it or too much was
// printed before.
func (p *printer) print(typ func() string) string {
	if p.room.left <= 0 || p.bytes > maxTypeText {
		return "…"
	}
	s := typ()
	p.bytes += len(s)
	if known, ok := p.known[s]; ok {
		return known
	}
	if !p.room.text(s) {
		return "…"
	}
	if p.known == nil {
		p.known = map[string]string{}
	}
	if len(p.known) < maxKnown {
		p.room.left -= 4 * header
		p.known[s] = s
	}
	return s
}
