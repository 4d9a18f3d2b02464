package cyclonedx

import (
	"bytes"

	"github.com/wreg-project/wreg/internal/lazy"
)

// cyclonedx-go v0.12 writes what an occurrence says beside its location as
// attributes. The schemas of 1.6 and 1.7 want elements, in this order.
var (
	occurrenceTag  = lazy.Regexp(`<occurrence((?: [A-Za-z]+="[^"]*")+)>(\s*)<location>[^<]*</location>`)
	occurrenceAttr = lazy.Regexp(` ([A-Za-z]+)="([^"]*)"`)

	occurrenceOrder = []string{"line", "offset", "symbol", "additionalContext"}
)

// repairOccurrences makes elements of the attributes of occurrences. It works on
// what the encoder wrote, in which no text or attribute has a bare "<" or quote.
func repairOccurrences(data []byte) []byte {
	return occurrenceTag().ReplaceAllFunc(data, func(tag []byte) []byte {
		m := occurrenceTag().FindSubmatch(tag)
		values := map[string][]byte{}
		for _, a := range occurrenceAttr().FindAllSubmatch(m[1], -1) {
			values[string(a[1])] = a[2]
		}
		out := append([]byte("<occurrence>"), tag[bytes.IndexByte(tag, '>')+1:]...)
		for _, name := range occurrenceOrder {
			if v, ok := values[name]; ok {
				out = append(out, m[2]...)
				out = append(out, "<"+name+">"+string(v)+"</"+name+">"...)
			}
		}
		return out
	})
}
