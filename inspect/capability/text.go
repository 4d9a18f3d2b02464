package capability

import "fmt"

// UnmarshalText reads what MarshalText gives.
func (s *Severity) UnmarshalText(text []byte) error { return unmarshal(s, Sensitive, text) }

// UnmarshalText reads what MarshalText gives.
func (l *Level) UnmarshalText(text []byte) error { return unmarshal(l, Reachable, text) }

// UnmarshalText reads what MarshalText gives.
func (o *Origin) UnmarshalText(text []byte) error { return unmarshal(o, Program, text) }

// unmarshal finds the value up to last that has the text.
func unmarshal[T interface {
	~byte
	fmt.Stringer
}](to *T, last T, text []byte) error {
	for v := T(0); v <= last; v++ {
		if v.String() == string(text) {
			*to = v
			return nil
		}
	}
	return fmt.Errorf("%.40q is no %T", text, last)
}
