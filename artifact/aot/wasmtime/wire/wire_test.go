package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestReadSpec(t *testing.T) {
	tests := []struct {
		name, in string
		want     *Spec
		err      string // "" for none
	}{
		{
			name: "all of it",
			in: `{"protocol":1,"code":"/c/a.cwasm","kind":"module","target":"linux/amd64/v3","args":["a"],"env":[["K","V"]],` +
				`"dirs":[{"host":"/data","guest":"/","readOnly":true}],"timeoutMs":5,"maxMemory":65536}`,
			want: &Spec{
				Protocol: 1, Code: "/c/a.cwasm", Kind: Module, Target: "linux/amd64/v3", Args: []string{"a"}, Env: [][2]string{{"K", "V"}},
				Dirs: []Dir{{Host: "/data", Guest: "/", ReadOnly: true}}, TimeoutMS: 5, MaxMemory: 65536,
			},
		},
		{name: "another protocol", in: `{"protocol":2,"code":"c","kind":"module"}`, err: "different releases"},
		{name: "no protocol", in: `{"code":"c","kind":"module"}`, err: "protocol 0"},
		{name: "no code", in: `{"protocol":1,"kind":"module"}`, err: "names no code"},
		{name: "an unknown kind", in: `{"protocol":1,"code":"c","kind":"elf"}`, err: `kind "elf"`},
		{name: "a negative limit", in: `{"protocol":1,"code":"c","kind":"module","timeoutMs":-1}`, err: "negative"},
		{name: "too much", in: strings.Repeat(" ", MaxSpec+1), err: "larger than"},
		{name: "no JSON", in: "code", err: "invalid character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadSpec(strings.NewReader(tt.in))
			if tt.err == "" && (err != nil || !cmp.Equal(got, tt.want)) {
				t.Fatalf("ReadSpec(%s) = %+v, %v; want %+v", tt.in, got, err, tt.want)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("ReadSpec(%.80s) fails with %v, want %q", tt.in, err, tt.err)
			}
		})
	}
	if _, err := ReadSpec(strings.NewReader(`{"protocol":2,"code":"c","kind":"module"}`)); !errors.Is(err, ErrProtocol) {
		t.Errorf("another protocol is %v, not ErrProtocol", err)
	}
}

func TestReadCommandReadsItsPartOfARecord(t *testing.T) {
	in := `{"reference":"r.example/a:1.0.0","run":{"protocol":1,"code":"c","kind":"component"}}`
	got, err := ReadCommand(strings.NewReader(in))
	if want := (&Spec{Protocol: 1, Code: "c", Kind: Component}); err != nil || !cmp.Equal(got, want) {
		t.Fatalf("ReadCommand(%s) = %+v, %v; want %+v", in, got, err, want)
	}
}

// What is read is a valid Spec, and is read the same when written again.
func FuzzReadSpec(f *testing.F) {
	f.Add([]byte(`{"protocol":1,"code":"c","kind":"module","env":[["a","b"],["c"]],"dirs":[{}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ReadSpec(bytes.NewReader(in))
		if err != nil {
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadSpec(bytes.NewReader(b))
		if err != nil || !cmp.Equal(s, again, cmpopts.EquateEmpty()) {
			t.Fatalf("%s was read as %+v, and %s as %+v, %v", in, s, b, again, err)
		}
	})
}
