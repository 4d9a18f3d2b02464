// Package graphdraw writes a graph of boxes and arrows as DOT, the language of
// Graphviz, and as an SVG picture laid out in columns, callers to the left of
// what they call.
//
// It knows nothing of what the graph means. Labels may be any text; output is
// the same for the same graph, and its size is bounded: of a graph beyond
// [MaxNodes] and [MaxEdges] the rest is left out, and the picture says so.
package graphdraw

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a drawing. A picture of more is no help to anybody.
const (
	MaxNodes = 400
	MaxEdges = 2000

	// maxLabel is the length of a label in a box, maxTitle that of the text
	// behind it, in characters.
	maxLabel = 34
	maxTitle = 300
)

// A Graph is what is drawn.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`

	// Omitted counts what was left out when the graph was made.
	Omitted int `json:"omitted,omitempty"`
}

// A Node is a box.
type Node struct {
	Label     string `json:"label"`
	Kind      Kind   `json:"kind"`
	Functions int    `json:"functions,omitempty"` // that it stands for
	Bytes     int64  `json:"bytes,omitempty"`
}

// An Edge is an arrow between nodes, which are told by their place in Nodes.
type Edge struct {
	From     int  `json:"from"`
	To       int  `json:"to"`
	Count    int  `json:"count"` // of calls it stands for
	Indirect bool `json:"indirect,omitempty"`
}

// A Kind says how a box looks.
type Kind string

// Kinds of boxes.
const (
	Plain  Kind = "function"
	Root   Kind = "root"   // can be called from outside
	Import Kind = "import" // is outside
	Dead   Kind = "dead"   // cannot be reached
	Set    Kind = "set"    // any of several
)

// bounded gives g without what is beyond the bounds and edges to nowhere, the
// heaviest edges first to stay.
func (g *Graph) bounded() (nodes []Node, edges []Edge, omitted int) {
	nodes = g.Nodes[:min(len(g.Nodes), MaxNodes)]
	for _, e := range g.Edges {
		if e.From >= 0 && e.From < len(nodes) && e.To >= 0 && e.To < len(nodes) {
			edges = append(edges, e)
		}
	}
	if len(edges) > MaxEdges {
		slices.SortStableFunc(edges, func(a, b Edge) int { return cmp.Compare(b.Count, a.Count) })
		edges = edges[:MaxEdges]
	}
	slices.SortStableFunc(edges, func(a, b Edge) int { return cmp.Or(a.From-b.From, a.To-b.To) })
	return nodes, edges, g.Omitted + len(g.Nodes) - len(nodes) + len(g.Edges) - len(edges)
}

// details is the second line of a box.
func (n *Node) details() string {
	var parts []string
	if n.Functions > 0 {
		parts = append(parts, plural(int64(n.Functions), "function"))
	}
	if n.Bytes > 0 {
		parts = append(parts, plural(n.Bytes, "byte"))
	}
	return strings.Join(parts, ", ")
}

func plural(n int64, word string) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return digits + " " + word
	}
	return digits + " " + word + "s"
}

// clip makes text of at most n characters that can be shown in one line.
func clip(text string, n int) string {
	var b strings.Builder
	for i, r := range text {
		if n--; n == 0 && i+utf8.RuneLen(r) < len(text) {
			b.WriteRune('…')
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '\ufffd'
		}
		b.WriteRune(r)
		if n == 0 {
			break
		}
	}
	return b.String()
}

// AppendDOT appends the graph in the language of Graphviz.
func (g *Graph) AppendDOT(dst []byte) []byte {
	nodes, edges, omitted := g.bounded()
	dst = append(dst, "digraph calls {\n\trankdir=LR;\n\tnode [shape=box, fontname=\"sans-serif\", fontsize=10];\n"...)
	if omitted > 0 {
		dst = append(dst, "\t// "+strconv.Itoa(omitted)+" nodes and edges are left out.\n"...)
	}
	styles := map[Kind]string{
		Root: ", style=bold", Import: ", style=filled, fillcolor=\"#fde7c7\"", Dead: ", style=dotted", Set: ", shape=ellipse",
	}
	for i := range nodes {
		n := &nodes[i]
		label := quote(clip(n.Label, maxTitle))
		if d := n.details(); d != "" {
			label = label[:len(label)-1] + `\n` + d + `"`
		}
		dst = append(dst, "\tn"+strconv.Itoa(i)+" [label="+label+styles[n.Kind]+"];\n"...)
	}
	for _, e := range edges {
		dst = append(dst, "\tn"+strconv.Itoa(e.From)+" -> n"+strconv.Itoa(e.To)...)
		var attributes []string
		if e.Indirect {
			attributes = append(attributes, "style=dashed")
		}
		if e.Count > 1 {
			attributes = append(attributes, "label="+strconv.Itoa(e.Count))
		}
		if attributes != nil {
			dst = append(dst, " ["+strings.Join(attributes, ", ")+"]"...)
		}
		dst = append(dst, ";\n"...)
	}
	return append(dst, "}\n"...)
}

// quote makes a quoted string of DOT, in which a backslash begins an escape.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
