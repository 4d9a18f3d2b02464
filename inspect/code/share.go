package code

// A Share is the memory that the analysis of the modules of one file may take.
// A third of it is for records of functions, a third for call graphs, and a
// third for what goes through the graphs. Each module has what its part of the
// file gives it, and a quarter of all is for whichever has most need: small
// modules may consist of very small functions.
//
// What a module needs beyond its share is left out, and the results say so. A
// Share is not safe for concurrent use.
type Share struct {
	size           int64 // of the file
	records, graph int64
	spareRecords   int64
	spareGraph     int64
}

// NewShare gives the modules of a file of size bytes that many bytes of memory
// in all.
func NewShare(bytes, size int64) *Share {
	third := max(bytes, 0) / 3
	spare := third / 4
	return &Share{
		size: max(size, 1), records: third - spare, graph: third - spare, spareRecords: spare, spareGraph: spare,
	}
}

// grant gives a module of size bytes what is its own of all, and what it needs
// besides as long as there is some to spare.
func (s *Share) grant(all int64, spare *int64, size, need int64) int64 {
	own := int64(float64(all) * min(1, float64(size)/float64(s.size)))
	more := min(*spare, max(need-own, 0))
	*spare -= more
	return own + more
}

// Memory of the parts of an analysis, in bytes.
const (
	// bytesPerFunction is that of a record of a function with what the table of
	// functions says besides. The most dense real module known, of Haskell, has
	// one function for 94 bytes.
	bytesPerFunction = 80

	// bytesPerNode and bytesPerEdge are those of a graph with what finds its
	// components, dominatorNode and dominatorEdge those of finding dominators.
	bytesPerNode  = 40
	bytesPerEdge  = 8
	dominatorNode = 48
	dominatorEdge = 8

	// bytesPerSite is that of counting the indirect calls of a type, and
	// bytesPerPackage that of a package. Modules have at least so many of
	// either as leastListed says.
	bytesPerSite    = 96
	bytesPerPackage = 192
	leastListed     = 256
)

// usual is the share of a module that is analysed on its own: what is made of it
// takes three times its size, and half a megabyte for each part besides.
func usual(size int64) *Share { return NewShare(3*(size+slack), size) }

const slack = 512 << 10
