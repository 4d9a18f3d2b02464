package inspect

import (
	"bytes"
	"encoding/json"
	"io"
)

// WriteJSON writes the report as its JSON form, in one line. Unlike
// [json.Marshal] it needs no memory for the tables of functions, which may take
// more bytes than the binary.
func (rep *Report) WriteJSON(w io.Writer) error {
	head := *rep
	head.Functions = nil
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(&head); err != nil {
		return err
	}
	if len(rep.Functions) == 0 {
		_, err := w.Write(b.Bytes())
		return err
	}
	b.Truncate(b.Len() - len("}\n"))
	b.WriteString(`,"functions":[`)
	for i, t := range rep.Functions {
		if i > 0 {
			b.WriteByte(',')
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		b.Reset()
		if err := t.WriteJSON(w); err != nil {
			return err
		}
	}
	b.WriteString("]}\n")
	_, err := w.Write(b.Bytes())
	return err
}
