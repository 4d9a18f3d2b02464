package reach

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrTable says that what should be a table is not one, or is larger than a
// table may be. Test with [errors.Is].
var ErrTable = errors.New("not a table of reachability")

// What a table may hold. Of a program beyond that, which no compiler has made
// yet, a table is kept that says so and has no names.
const (
	MaxTable = 8 << 20 // bytes of its encoding

	maxNodes = 1 << 20
	maxNames = 1 << 20
	maxSites = 1 << 22
)

// Marks of the first byte of a table.
const (
	markGo = 1 << iota
	markWhole
	markNames // there are names
	markWays  // there are ways
	markBlind
	allMarks = 1<<iota - 1
)

// AppendBinary appends the table in the form that [ReadTable] reads. The same
// table gives the same bytes. There is no error.
//
// The numbers are unsigned varints, one column after the other, so that alike
// ones lie beside each other for a compressor. All but the columns of names and
// ways are texts with their length.
func (t *Table) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = t.append(b)
	if len(b)-start > MaxTable || t.names.nodes() > maxNodes || len(t.names.texts) > maxNames || len(t.names.hosts) > maxSites {
		cut := Table{golang: t.golang, reason: "the module has more names of functions than are kept"}
		b = cut.append(b[:start])
	}
	return b, nil
}

func (t *Table) append(b []byte) []byte {
	b = append(b, t.marks())
	for _, s := range [...]string{t.main, t.reason, t.hint} {
		b = appendText(b, s)
	}
	if t.reason != "" {
		return b
	}
	b = appendText(b, t.ways.failed)
	b = t.names.append(b)
	if t.ways.failed == "" {
		b = t.ways.append(b)
	}
	return b
}

func (t *Table) marks() (m byte) {
	set := func(mark byte, is bool) {
		if is {
			m |= mark
		}
	}
	set(markGo, t.golang)
	set(markWhole, t.whole)
	set(markNames, t.reason == "")
	set(markWays, t.reason == "" && t.ways.failed == "")
	set(markBlind, t.ways != nil && t.ways.blind)
	return m
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// zigzag makes small numbers of small differences.
func zigzag(d int64) uint64 { return uint64(d<<1) ^ uint64(d>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func (x *names) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(x.packages)))
	for _, p := range x.packages {
		b = appendText(b, p.name)
		b = binary.AppendUvarint(b, uint64(p.end-p.first))
	}
	for _, s := range x.texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
	}
	for _, s := range x.texts {
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(x.nodes()))
	last := int64(-1)
	for _, i := range x.index {
		b = binary.AppendUvarint(b, uint64(int64(i)-last-1))
		last = int64(i)
	}
	last = nameless
	for _, name := range x.of {
		b = binary.AppendUvarint(b, zigzag(int64(name)-last))
		last = int64(name)
	}
	return x.appendSites(b)
}

// appendSites writes, for each name, the nodes in which it was inlined: their
// number, then of all the differences from the one before.
func (x *names) appendSites(b []byte) []byte {
	var places []byte
	for name := range x.texts {
		count, last := 0, uint32(0)
		for _, h := range x.hosts[x.begin[name]:x.begin[name+1]] {
			if x.of[h] != int32(name) {
				places = binary.AppendUvarint(places, uint64(h-last))
				count, last = count+1, h
			}
		}
		b = binary.AppendUvarint(b, uint64(count))
	}
	return append(b, places...)
}

// append writes, of each node, whence it is reached: 0 if it is not, 1 if a way
// begins with it, or the difference. Then it writes where the ways change between
// dynamic and not.
func (w *ways) append(b []byte) []byte {
	for n, up := range w.up {
		v := uint64(0)
		switch up {
		case none:
		case uint32(n):
			v = 1
		default:
			v = zigzag(int64(up)-int64(n)) + 1 // which is 2 at least
		}
		b = binary.AppendUvarint(b, v)
	}
	for _, d := range w.dynamic {
		v := byte(0)
		if d {
			v = 1
		}
		b = append(b, v)
	}
	return b
}

// ReadTable reads what AppendBinary wrote, and nothing after it. Anything else is
// ErrTable. It allocates no more than a fixed multiple of the length of b.
func ReadTable(b []byte) (*Table, error) {
	if len(b) > MaxTable {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", ErrTable, len(b), MaxTable)
	}
	r := &reader{b: b, size: len(b)}
	t := r.table()
	if r.err == nil && len(r.b) > 0 {
		r.fail("something after the end")
	}
	if r.err != nil {
		return nil, r.err
	}
	return t, nil
}

// A reader reads a table. After an error it gives zeros.
type reader struct {
	b    []byte
	size int
	err  error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrTable, r.size-len(r.b), what)
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("cut short")
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// number reads a number up to most.
func (r *reader) number(what string, most uint64) uint64 {
	var v uint64
	n := 1
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v = uint64(r.b[0])
	} else if v, n = binary.Uvarint(r.b); n <= 0 {
		r.fail(what + ": no number")
		return 0
	}
	if v > most {
		r.fail(what + ": out of range")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the number of things that take at least a byte each.
func (r *reader) count(what string, most int) int {
	return int(r.number(what, uint64(min(most, len(r.b)))))
}

func (r *reader) text(what string) string {
	n := r.count(what, len(r.b))
	if n > len(r.b) {
		r.fail(what + ": cut short")
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) table() *Table {
	marks := r.byte()
	if marks&^allMarks != 0 {
		r.fail("unknown marks")
	}
	t := &Table{golang: marks&markGo != 0, whole: marks&markWhole != 0}
	t.main, t.reason, t.hint = r.text("main package"), r.text("reason"), r.text("hint")
	if (t.reason == "") != (marks&markNames != 0) {
		r.fail("names without or with a reason")
	}
	if t.reason != "" || r.err != nil {
		return t
	}
	t.ways = &ways{failed: r.text("reason"), blind: marks&markBlind != 0}
	if (t.ways.failed == "") != (marks&markWays != 0) {
		r.fail("ways without or with a reason")
	}
	t.names = r.names()
	if t.ways.failed == "" && r.err == nil {
		r.ways(t.ways, t.names.nodes())
	}
	return t
}

func (r *reader) names() names {
	x := names{packages: make([]packageNames, 0, r.count("packages", maxNames))}
	total := int32(0)
	for i := range cap(x.packages) {
		p := packageNames{name: r.text("package"), first: total}
		if i > 0 && strings.Compare(x.packages[i-1].name, p.name) >= 0 {
			r.fail("packages are not in order")
		}
		total += int32(r.count("names", maxNames-int(total)))
		p.end = total
		x.packages = append(x.packages, p)
	}
	x.texts = r.texts(int(total))
	nodes := r.count("functions", maxNodes)
	x.index = make([]uint32, nodes)
	last := int64(-1)
	for i := range x.index {
		last += int64(r.number("function", 1<<32)) + 1
		if last >= int64(none) {
			r.fail("function: out of range")
		}
		x.index[i] = uint32(last)
	}
	x.of = make([]int32, nodes)
	last = nameless
	for i := range x.of {
		last += unzigzag(r.number("name", 2*maxNames+1))
		if last < nameless || last >= int64(total) {
			r.fail("name: out of range")
			last = nameless
		}
		x.of[i] = int32(last)
	}
	sites := r.sites(int(total), nodes)
	if r.err == nil {
		x.place(sites)
	}
	return x
}

// texts reads n names: their lengths, then all of them.
func (r *reader) texts(n int) []string {
	if n > len(r.b) {
		r.fail("names: cut short")
		return nil
	}
	list := make([]string, n)
	sizes := make([]uint32, n)
	sum := 0
	for i := range sizes {
		sizes[i] = uint32(r.number("length of a name", MaxTable))
		sum += int(sizes[i])
		if sum > len(r.b) {
			r.fail("names: cut short")
			return nil
		}
	}
	all := string(r.b[:min(sum, len(r.b))])
	if r.err != nil {
		return nil
	}
	r.b = r.b[sum:]
	for i, s := range sizes {
		list[i], all = all[:s], all[s:]
	}
	return list
}

func (r *reader) sites(n, nodes int) []site {
	if n > len(r.b) {
		r.fail("sites: cut short")
		return nil
	}
	counts := make([]int, n)
	sum := 0
	for i := range counts {
		counts[i] = r.count("sites", maxSites-sum)
		sum += counts[i]
	}
	if sum > len(r.b) {
		r.fail("sites: cut short")
		return nil
	}
	list := make([]site, 0, sum)
	for name, count := range counts {
		host := uint64(0)
		for range count {
			if host += r.number("site", maxNodes); host >= uint64(nodes) {
				r.fail("site: out of range")
				return nil
			}
			list = append(list, site{int32(name), uint32(host)})
		}
	}
	return list
}

func (r *reader) ways(w *ways, nodes int) {
	if 2*nodes > len(r.b) {
		r.fail("ways: cut short")
		return
	}
	w.up = make([]uint32, nodes)
	for n := range w.up {
		switch v := r.number("way", 2*maxNodes+1); v {
		case 0:
			w.up[n] = none
		case 1:
			w.up[n] = uint32(n)
		default:
			up := int64(n) + unzigzag(v-1)
			if up < 0 || up >= int64(nodes) {
				r.fail("way: out of range")
				return
			}
			w.up[n] = uint32(up)
		}
	}
	w.dynamic = make([]bool, nodes)
	for n := range w.dynamic {
		w.dynamic[n] = r.byte() != 0
	}
	if r.err == nil && !w.measure() {
		r.fail("a way leads in a circle")
	}
}
