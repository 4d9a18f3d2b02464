package capability

import (
	"slices"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// tables are the tables of all units, and which of them are one at run time.
type tables struct {
	first []int // of each unit: the number of its first table
	set   []int // of each table: one that it is the same as; see find
}

func newTables(units []*unit) tables {
	var t tables
	for _, u := range units {
		t.first = append(t.first, len(t.set))
		for range u.m.Tables {
			t.set = append(t.set, len(t.set))
		}
	}
	return t
}

// find gives the number that stands for a table, -1 if there is no such table.
func (t *tables) find(unit int, table uint32) int {
	end := len(t.set)
	if unit+1 < len(t.first) {
		end = t.first[unit+1]
	}
	if int64(table) >= int64(end-t.first[unit]) {
		return -1
	}
	i := t.first[unit] + int(table)
	for t.set[i] != i {
		t.set[i] = t.set[t.set[i]]
		i = t.set[i]
	}
	return i
}

// join says that two tables are the same.
func (t *tables) join(a, b target) {
	i, j := t.find(int(a.unit), a.fn), t.find(int(b.unit), b.fn)
	if i >= 0 && j >= 0 {
		t.set[i] = j
	}
}

// A content is what the segments of all units put into a shared table.
type content struct {
	slots map[uint64][]target
	all   []target // of unknown slots, too
	loose bool     // there are some
}

// contents reads the segments of the tables that several units share.
func (l *linker) contents() map[int]*content {
	shared := make(map[int]int)
	for u := range l.units {
		for t := range l.units[u].m.Tables {
			shared[l.tables.find(u, uint32(t))]++
		}
	}
	found := make(map[int]*content)
	for id, n := range shared {
		if n > 1 {
			found[id] = &content{slots: make(map[uint64][]target)}
		}
	}
	for u, unit := range l.units {
		for i := range unit.m.Elems {
			e := &unit.m.Elems[i]
			c := found[l.tables.find(u, e.Table)]
			if c == nil || !unit.live || e.Mode != wasm.SegmentActive {
				continue
			}
			for n, f := range unit.m.ElementFuncs(e) {
				if f < 0 || !l.step(0) {
					continue
				}
				t := target{int32(u), uint32(f)}
				c.all = append(c.all, t)
				if e.Init.Kind == wasm.ConstNumber {
					slot := uint64(uint32(e.Init.Value)) + uint64(n)
					c.slots[slot] = append(c.slots[slot], t)
				} else {
					c.loose = true
				}
			}
		}
	}
	return found
}

// through finds the calls through shared tables, of the units that have one: for
// each function where they may lead. A call whose index is a constant leads to
// what the segments put there. That is how the modules that component tools put
// in between pass calls on.
func (l *linker) through() {
	found := l.contents()
	for u, unit := range l.units {
		ids := make([]*content, len(unit.m.Tables))
		shares := false
		for t := range ids {
			ids[t] = found[l.tables.find(u, uint32(t))]
			shares = shares || ids[t] != nil
		}
		if shares && unit.live {
			l.indirect(unit, ids)
		}
	}
}

func (l *linker) indirect(u *unit, tables []*content) {
	u.through = make(map[uint32][]target)
	imported := len(u.uses)
	var c wasm.Code
	var in wasm.Instr
	for i, body := range u.m.Code {
		if !l.step(int(body.Size)) {
			return
		}
		f := uint32(imported + i)
		slot, known := uint64(0), false
		for c.Reset(u.b, body); c.Next(&in); {
			switch in.Op {
			case wasm.OpCallIndirect, wasm.OpReturnCallIndirect:
				if t, _ := at(tables, in.Y); t != nil {
					l.add(u, f, t, slot, known)
				}
			case wasm.OpTableSet, wasm.OpTableGrow, wasm.OpTableFill, wasm.OpTableCopy, wasm.OpTableInit:
				// What a table holds then is no longer what segments say.
				l.complete = false
			default: // leaves tables alone
			}
			known = in.Op == wasm.OpI32Const
			slot = uint64(uint32(in.Value))
		}
	}
}

func (l *linker) add(u *unit, f uint32, c *content, slot uint64, known bool) {
	list := c.all
	if known && !c.loose {
		list = c.slots[slot]
	}
	for _, t := range list {
		if !l.step(len(u.through[f])) {
			return
		}
		if !slices.Contains(u.through[f], t) {
			u.through[f] = append(u.through[f], t)
		}
	}
}
