package inspect

import (
	"io"

	"github.com/wreg-project/wreg/inspect/stream"
)

// WriteJSON writes the report as its JSON form, in one line. Unlike
// [json.Marshal] it holds a few kilobytes of it at a time: what it writes may
// take many times the bytes of the binary.
func (rep *Report) WriteJSON(w io.Writer) error {
	type plain Report // which does not write itself
	return stream.Write(w, (*plain)(rep))
}
