package search

import (
	"encoding/binary"
	"slices"

	"github.com/wreg-project/wreg/inspect"
)

// Bounds of the index of functions.
const (
	MinInstructions = 32    // shorter functions are alike by chance
	MaxFunctions    = 16384 // hashes of one binary
)

// Functions are the first 8 bytes of the normalised hashes of a binary's
// functions of MinInstructions or more: all, or the least MaxFunctions of them,
// ascending and each once, since with everyone's least ones two binaries can be
// compared. total counts the functions. The report has to have its tables of
// functions.
func Functions(rep *inspect.Report) (hashes []uint64, total int) {
	for _, table := range rep.Functions {
		for i := range table.Functions {
			if f := &table.Functions[i]; f.Instructions >= MinInstructions {
				hashes = append(hashes, binary.BigEndian.Uint64(f.Normal[:8]))
				total++
			}
		}
	}
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	return slices.Clip(hashes[:min(len(hashes), MaxFunctions)]), total
}
