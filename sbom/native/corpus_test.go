//go:build corpus

package native

import (
	"testing"

	"github.com/wreg-project/wreg/test/corpus/found"
)

// Each real file has what testdata/corpus.txt says, and nothing else. Every line
// was checked by hand.
func TestCorpus(t *testing.T) { found.Golden(t, "testdata/corpus.txt", Extract) }
