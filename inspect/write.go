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
	if len(rep.Functions) == 0 {
		return encode(w, &head)
	}
	// Encode writes once, and the end of that is the brace.
	if err := encode(unclosed{w}, &head); err != nil {
		return err
	}
	var b bytes.Buffer
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

func encode(w io.Writer, rep *Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(rep)
}

// unclosed passes on what one call of Encode writes of an object, but for the
// brace and the newline at the end. A buffer instead would hold all of it again.
type unclosed struct{ w io.Writer }

func (u unclosed) Write(p []byte) (int, error) {
	n, err := u.w.Write(p[:len(p)-len("}\n")])
	if err != nil {
		return n, err
	}
	return len(p), nil
}
