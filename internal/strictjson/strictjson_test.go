package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// usual are limits that no short text comes near.
var usual = Limits{Depth: 256, Objects: 1 << 18}

func TestDecode(t *testing.T) {
	l := Limits{Depth: 3, Objects: 4}
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":0`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	tests := []struct {
		name, in string
		limits   Limits
		want     error
	}{
		{"within all limits", `{"a":[{}]}`, l, nil},
		{"braces in texts", `{"a":"{{{{{{{{[[[[\"{{"}`, l, nil},
		{"one key in several objects", `[{"a":{"a":1}},{"a":2}]`, l, nil},
		{"a key that is a value as well", `{"a":"b","b":"a"}`, l, nil},
		{"too deep", `[[[[]]]]`, l, ErrLimit},
		{"too many objects", `[{},{},{},{},{}]`, l, ErrLimit},
		{"too many elements", `[` + strings.Repeat("0,", 9) + `0]`, l, ErrLimit},
		{"too many members", list(34), l, ErrLimit},
		{"a key twice", `{"a":1,"b":{"a":1},"a":2}`, l, ErrFormat},
		{"a key twice behind an object", `{"b":{"c":1},"b":1}`, l, ErrFormat},
		{"a key twice, once escaped", `{"a":1,"\u0061":2}`, l, ErrFormat},
		{"a key twice in another case", `{"name":1,"Name":2}`, l, ErrFormat},
		{"the last of many keys twice", strings.Replace(list(100), `"k98"`, `"k99"`, 1), usual, ErrFormat},
		{"many keys", list(maxKeys), usual, nil},
		{"too many keys", list(maxKeys + 1), usual, ErrLimit},
		{"no end of a text", `{"a`, l, ErrFormat},
		{"too many ends", `}}]]`, l, ErrFormat},
		{"nothing", ``, l, ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			if err := tt.limits.Decode([]byte(tt.in), &v); !errors.Is(err, tt.want) {
				t.Errorf("Decode(%.80q) = %v; want %v", tt.in, err, tt.want)
			}
		})
	}
}

// What passes is what the decoder takes, and names no key of any object twice.
func FuzzDecode(f *testing.F) {
	for _, in := range []string{`{"a":[{}]}`, `{"a":1,"\u0061":2}`, `[{"b":{"c":1},"B":1}]`, `{"a":"\\\"","b":[1,"a",null]}`, `{"a`, `}}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v any
		if err := usual.Decode(in, &v); err != nil {
			if json.Valid(in) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrLimit) {
				t.Fatalf("Decode(%q) = %v", in, err)
			}
			return
		}
		if got, want := kept(v), written(t, in); got != want {
			t.Fatalf("Decode(%q) has %d keys, the text %d", in, got, want)
		}
	})
}

// kept counts the keys of all objects in v, of which a map has each once.
func kept(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, e := range v {
			n += kept(e)
		}
	case []any:
		for _, e := range v {
			n += kept(e)
		}
	}
	return n
}

// written counts the keys of all objects in a text.
func written(t *testing.T, in []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(in))
	var objects []bool // of what is open
	var key []bool     // whether the next token is one
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		last := len(key) - 1
		switch delim, _ := token.(json.Delim); {
		case delim == '}' || delim == ']':
			objects, key = objects[:last], key[:last]
			continue
		case last >= 0 && objects[last] && key[last]:
			n++
			key[last] = false
			continue
		case last >= 0:
			key[last] = true
		}
		if delim, ok := token.(json.Delim); ok {
			objects, key = append(objects, delim == '{'), append(key, true)
		}
	}
}
