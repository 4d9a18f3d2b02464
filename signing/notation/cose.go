package notation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Labels of COSE headers (RFC 9052, section 3.1; RFC 9360, section 2).
const (
	labelAlgorithm   = int64(1)
	labelCritical    = int64(2)
	labelContentType = int64(3)
	labelChain       = int64(33)
	tagSign1         = 18
)

// coseAlgorithms are those of JWS by their numbers (RFC 9053, section 2.1; RFC 8230,
// section 2).
var coseAlgorithms = map[int64]string{-7: "ES256", -35: "ES384", -36: "ES512", -37: "PS256", -38: "PS384", -39: "PS512"}

// parseCOSE reads a COSE_Sign1 (RFC 9052, section 4.2).
func parseCOSE(content []byte) (*envelope, error) {
	v, err := decode(content)
	if err != nil {
		return nil, err
	}
	if t, ok := v.(tagged); ok && t.number == tagSign1 {
		v = t.value
	}
	list, ok := v.([]any)
	if !ok || len(list) != 4 {
		return nil, errors.New("it is no COSE_Sign1")
	}
	raw, ok1 := list[0].([]byte)
	open, ok2 := list[1].(map[any]any)
	payload, ok3 := list[2].([]byte)
	sig, ok4 := list[3].([]byte)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, errors.New("it is no COSE_Sign1")
	}
	e := &envelope{
		payload: payload, signature: sig, message: toBeSigned(raw, payload),
		own: []string{label(labelAlgorithm), label(labelContentType)},
	}
	if err := e.protectedCBOR(raw); err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	e.agent, _ = open[attributeAgent].(string)
	e.timestamp, _ = open[attributeTimestamp].([]byte)
	switch chain := open[labelChain].(type) {
	case []byte:
		e.chain = [][]byte{chain}
	case []any:
		for i, c := range chain {
			cert, ok := c.([]byte)
			if !ok {
				return nil, fmt.Errorf("certificate %d is a %T", i, c)
			}
			e.chain = append(e.chain, cert)
		}
	}
	return e, nil
}

// toBeSigned is the Sig_structure of a COSE_Sign1 without external data (RFC 9052,
// section 4.4).
func toBeSigned(protected, payload []byte) []byte {
	b := append([]byte{0x80 | 4, 0x60 | 10}, "Signature1"...)
	b = appendBytes(b, protected)
	b = appendBytes(b, nil)
	return appendBytes(b, payload)
}

// appendBytes writes a byte string of CBOR, whose length takes as few bytes as it
// can.
func appendBytes(b, value []byte) []byte {
	const major = majorBytes << 5
	switch n := uint64(len(value)); {
	case n < 24:
		b = append(b, major|byte(n))
	case n < 1<<8:
		b = append(b, major|24, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	default: // MaxEnvelope is less than 1<<32
		b = binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return append(b, value...)
}

// protectedCBOR reads the protected header of a COSE_Sign1.
func (e *envelope) protectedCBOR(raw []byte) error {
	v, err := decode(raw)
	if err != nil {
		return err
	}
	header, ok := v.(map[any]any)
	if !ok {
		return errors.New("it is no map")
	}
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{attributeSigned, &e.signed}, {attributeAuthentic, &e.authentic}, {attributeExpiry, &e.end}} {
		if v, ok := header[f.name]; ok {
			if *f.to, err = moment(v); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	if n, ok := header[labelAlgorithm].(int64); ok {
		if e.algorithm = coseAlgorithms[n]; e.algorithm == "" {
			e.algorithm = strconv.FormatInt(n, 10)
		}
	}
	e.contentType, _ = header[labelContentType].(string)
	e.scheme, _ = header[attributeScheme].(string)
	if v, ok := header[labelCritical]; ok {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("the critical attributes are a %T", v)
		}
		for _, name := range list {
			e.critical = append(e.critical, label(name))
		}
	}
	return e.attributes(func(yield func(string) bool) {
		for name := range header {
			if !yield(label(name)) {
				return
			}
		}
	})
}

// label is the name of an attribute: a text, or the number of one of COSE's own.
// A value that can be neither is not a name that there is.
func label(v any) string {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "label ") {
			return strconv.Quote(v)
		}
		return v
	case int64:
		return "label " + strconv.FormatInt(v, 10)
	}
	return fmt.Sprintf("%T", v)
}

// moment is a time as CBOR has it: seconds since 1970 with tag 1 (RFC 8949,
// section 3.4.2).
func moment(v any) (time.Time, error) {
	t, ok := v.(tagged)
	if !ok || t.number != 1 {
		return time.Time{}, errors.New("no time with tag 1")
	}
	n, ok := t.value.(int64)
	if !ok || n < 0 || n > maxMoment {
		return time.Time{}, errors.New("no number of seconds of a date")
	}
	return time.Unix(n, 0).UTC(), nil
}

// maxMoment is the end of the year 9999, after which no other form can say a time.
const maxMoment = 253402300799
