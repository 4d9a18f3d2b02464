package code

import "io"

// writeSize is how much of a table is put together before it is written, in
// bytes.
const writeSize = 32 << 10

// WriteJSON writes what AppendJSON gives, a piece at a time.
func (t *FunctionTable) WriteJSON(w io.Writer) error {
	buf := t.appendHead(make([]byte, 0, writeSize+4096))
	for i := range t.Functions {
		if i > 0 {
			buf = append(buf, ',')
		}
		if buf = t.appendRow(buf, i); len(buf) < writeSize {
			continue
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	_, err := w.Write(append(buf, "]}"...))
	return err
}
