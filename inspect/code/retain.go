package code

// analyse derives what needs all functions.
func (m *Module) analyse() {
	m.Retained = make([]uint32, len(m.Functions))
	for i := range m.Functions {
		m.Retained[i] = m.Functions[i].Bytes
	}
	if m.Graph.Truncated || len(m.Functions) < m.Defined || !m.affordable(dominatorNode, dominatorEdge) {
		return
	}
	g := m.Graph
	idom, order := dominators(g.all(), g.rootNodes())
	m.retain(idom, order)
	m.idom, m.order = idom, order
}

// affordable is whether an analysis of the graph may have the memory it takes
// while it is made: so many bytes for each node and each edge.
func (m *Module) affordable(node, edge int64) bool {
	g := m.Graph
	return node*int64(g.nodes())+edge*int64(len(g.to)) <= m.room
}

// retain adds the bytes of each function to those of its dominators. A sum of
// bodies is less than the size of the module, which fits 32 bits as the code
// section's does.
func (m *Module) retain(idom, order []uint32) {
	sum := make([]uint32, m.Graph.nodes())
	first := uint32(m.Imported)
	for i, f := range m.Functions {
		sum[first+uint32(i)] = f.Bytes
	}
	for i := len(order) - 1; i >= 0; i-- {
		v := order[i]
		if up := idom[v]; up < uint32(len(sum)) {
			sum[up] += sum[v]
		}
	}
	copy(m.Retained, sum[first:])
}
