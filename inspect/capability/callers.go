package capability

import "github.com/wreg-project/wreg/inspect/code"

// callers are the call edges of a graph the other way round.
type callers struct {
	off []uint32
	to  []uint32
}

// reverse turns the calls by call instructions among the n functions of a graph.
func reverse(g *code.Graph, n int) *callers {
	c := &callers{off: make([]uint32, n+2)}
	each := func(f func(from, to uint32)) {
		for from := range uint32(n) {
			for _, to := range g.Callees(from) {
				f(from, to)
			}
		}
	}
	each(func(_, to uint32) { c.off[to+2]++ })
	for i := 2; i < len(c.off); i++ {
		c.off[i] += c.off[i-1]
	}
	c.to = make([]uint32, c.off[n+1])
	each(func(from, to uint32) {
		c.to[c.off[to+1]] = from
		c.off[to+1]++
	})
	return c
}

// of lists the functions that call f.
func (c *callers) of(f uint32) []uint32 {
	if int64(f) >= int64(len(c.off)-2) {
		return nil
	}
	return c.to[c.off[f]:c.off[f+1]]
}
