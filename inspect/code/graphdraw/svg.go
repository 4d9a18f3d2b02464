package graphdraw

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Measures of a picture in pixels.
const (
	boxWidth  = 230
	boxHeight = 38
	gapX      = 90
	gapY      = 14
	margin    = 20
)

// style makes the picture readable on a light and on a dark page. It has no
// links, scripts or fonts of its own.
const style = `<style>
.b{fill:#fff;stroke:#57606a}.t{fill:#1f2328;font:12px sans-serif}.d{fill:#57606a;font:10px sans-serif}
.e{fill:none;stroke:#57606a;opacity:.55}.h{fill:#57606a}.indirect{stroke-dasharray:5 3}.back{stroke:#bf3989}
.root{stroke:#0969da;stroke-width:2}.import{fill:#fde7c7}.dead{stroke-dasharray:2 3}.set{fill:#eaeef2}
@media (prefers-color-scheme:dark){.b{fill:#0d1117;stroke:#8b949e}.t{fill:#e6edf3}.d{fill:#8b949e}
.e{stroke:#8b949e}.h{fill:#8b949e}.root{stroke:#58a6ff}.import{fill:#4a3410}.set{fill:#21262d}}
</style>
<marker id="h" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">
<path class="h" d="M0 0L8 4L0 8z"/></marker>
`

// AppendSVG appends a picture of the graph.
func (g *Graph) AppendSVG(dst []byte) []byte {
	nodes, edges, omitted := g.bounded()
	l := arrange(len(nodes), edges)
	tallest := 1
	for _, c := range l.columns {
		tallest = max(tallest, len(c))
	}
	width := 2*margin + len(l.columns)*(boxWidth+gapX) - gapX
	height := 2*margin + tallest*(boxHeight+gapY) - gapY + 20
	p := picture{buf: dst, x: make([]int, len(nodes)), y: make([]int, len(nodes))}
	for i, c := range l.columns {
		top := (height - 20 - len(c)*(boxHeight+gapY) + gapY) / 2
		for j, v := range c {
			p.x[v], p.y[v] = margin+i*(boxWidth+gapX), top+j*(boxHeight+gapY)
		}
	}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `, strconv.Itoa(width), " ", strconv.Itoa(height),
		`" width="`, strconv.Itoa(width), `" height="`, strconv.Itoa(height), `" role="img">`, "\n", style)
	for i, e := range edges {
		p.edge(e, l.back[i], nodes)
	}
	for i := range nodes {
		p.node(i, &nodes[i])
	}
	if omitted > 0 {
		p.add(`<text class="d" x="20" y="`, strconv.Itoa(height-8), `">`, strconv.Itoa(omitted), " nodes and edges are left out</text>\n")
	}
	p.add("</svg>\n")
	return p.buf
}

type picture struct {
	buf  []byte
	x, y []int // upper left corners
}

func (p *picture) add(parts ...string) {
	for _, s := range parts {
		p.buf = append(p.buf, s...)
	}
}

func (p *picture) node(i int, n *Node) {
	x, y := p.x[i], p.y[i]
	round := 4
	if n.Kind == Set {
		round = boxHeight / 2
	}
	details := n.details()
	p.add("<g><title>", escape(clip(n.Label, maxTitle)), "\n", escape(details), "</title>",
		fmt.Sprintf(`<rect class="b %s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`, n.Kind.class(), x, y, boxWidth, boxHeight, round))
	line := y + boxHeight/2 + 4
	if details != "" {
		line = y + 16
		p.add(fmt.Sprintf(`<text class="d" x="%d" y="%d">`, x+10, y+30), escape(details), "</text>")
	}
	p.add(fmt.Sprintf(`<text class="t" x="%d" y="%d">`, x+10, line), escape(clip(n.Label, maxLabel)), "</text></g>\n")
}

// class is the kind where it is one that the style knows: any other text is not
// to be trusted in an attribute.
func (k Kind) class() string {
	switch k {
	case Root, Import, Dead, Set:
		return string(k)
	case Plain:
	}
	return string(Plain)
}

// edge draws a curve from the right side of a box to the left side of another,
// one that leads back around below both.
func (p *picture) edge(e Edge, back bool, nodes []Node) {
	class := "e"
	if e.Indirect {
		class += " indirect"
	}
	x1, y1 := p.x[e.From]+boxWidth, p.y[e.From]+boxHeight/2
	x2, y2 := p.x[e.To], p.y[e.To]+boxHeight/2
	bend := max(gapX/2, (x2-x1)/2)
	path := fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
	if back {
		class += " back"
		low := max(y1, y2) + boxHeight
		path = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+gapX, low, x2-gapX, low, x2, y2)
	}
	thickness := 1 + math.Log10(float64(max(e.Count, 1)))
	p.add(`<path class="`, class, `" d="`, path, `" stroke-width="`, strconv.FormatFloat(thickness, 'f', 1, 64),
		`" marker-end="url(#h)"><title>`, escape(clip(nodes[e.From].Label, maxTitle)), " → ",
		escape(clip(nodes[e.To].Label, maxTitle)), ", ", plural(int64(e.Count), "call"),
		"</title></path>\n")
}

// escape makes text safe between tags. Characters that XML has no place for have
// been replaced by clip.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
