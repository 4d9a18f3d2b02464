package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type colour int

func (c colour) MarshalText() ([]byte, error) { return []byte(strings.Repeat("red", int(c))), nil }

type Inner struct {
	Depth uint32 `json:"depth"`
	Empty []int  `json:"empty,omitempty"`
}

type point struct{ X, Y int }

func (p point) MarshalJSON() ([]byte, error) { return []byte(`[1,2]`), nil }

type sample struct {
	Name string `json:"name"`
	Inner
	Next     *Inner         `json:"next,omitempty"`
	Missing  *Inner         `json:"missing,omitempty"`
	Null     *Inner         `json:"null"`
	List     []Inner        `json:"list"`
	Words    []string       `json:"words"`
	None     []string       `json:"none"`
	Nil      []string       `json:"nil"`
	Bytes    []byte         `json:"bytes"`
	Counts   map[string]int `json:"counts"`
	Share    float64        `json:"share"`
	Minus    int64          `json:"minus"`
	Sure     bool           `json:"sure,omitempty"`
	Colour   colour         `json:"colour"`
	Point    point          `json:"point"`
	To       *point         `json:"to"`
	Plain    int
	Secret   string `json:"-"`
	unspoken int
}

// What is written is what encoding/json reads as the value it would write itself.
func TestWriteIsLikeMarshal(t *testing.T) {
	long := strings.Repeat("a long text ä € 😀 \x00\x01\"\\\n<&>\u2028", 2000)
	for _, v := range []sample{
		{},
		{
			Name: "n", Inner: Inner{3, []int{1}}, Next: &Inner{Depth: 4}, List: []Inner{{1, nil}, {2, []int{5, 6}}},
			Words: []string{long, "", "\xff\xfe", strings.Repeat("\x80", 5000)}, None: []string{}, Bytes: []byte("bytes"),
			Counts: map[string]int{"b": 1, "a": 2}, Share: 0.1, Minus: -1 << 63, Sure: true, Colour: 2, To: &point{}, unspoken: 1,
		},
	} {
		var b bytes.Buffer
		if err := Write(&b, &v); err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got, expected any
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, b.Bytes())
		}
		if err := json.Unmarshal(want, &expected); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("-json.Marshal +Write:\n%s", diff)
		}
		if n := bytes.Count(b.Bytes(), []byte("\n")); n != 1 || !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
			t.Errorf("%d newlines, want one at the end", n)
		}
	}
}

type own struct{ text string }

func (o *own) WriteJSON(w io.Writer) error {
	_, err := io.WriteString(w, o.text)
	return err
}

type broken struct{ after int }

var errFull = errors.New("full")

func (b *broken) Write(p []byte) (int, error) {
	if b.after -= len(p); b.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWritersWriteThemselves(t *testing.T) {
	v := struct {
		A []*own `json:"a"`
		B int    `json:"b"`
	}{[]*own{{"1"}, {"[2]"}}, 3}
	var b strings.Builder
	if err := Write(&b, v); err != nil || b.String() != `{"a":[1,[2]],"b":3}`+"\n" {
		t.Errorf("Write = %q, %v", b.String(), err)
	}
}

// No more is held than a few kilobytes, and what a writer returns comes back.
func TestWriteStopsAtAnError(t *testing.T) {
	words := make([]string, 100_000)
	for after := range 5 {
		w := &broken{after * size}
		if err := Write(w, struct{ Words []string }{words}); !errors.Is(err, errFull) {
			t.Errorf("Write to what is full after %d bytes = %v, want %v", after*size, err, errFull)
		}
		if w.after < -2*size {
			t.Errorf("%d bytes were written at once", -w.after)
		}
	}
}
