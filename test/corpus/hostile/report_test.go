package hostile

import (
	"io"

	"github.com/wreg-project/wreg/inspect"
)

// report makes what wpkg inspect --output json prints, tables of functions
// included.
func report(bin []byte) error {
	rep, err := inspect.Inspect(bin, inspect.Options{Functions: true})
	if err != nil {
		return err
	}
	return rep.WriteJSON(io.Discard)
}
