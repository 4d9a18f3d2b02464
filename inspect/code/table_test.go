package code

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func randomTable(r *rand.Rand, n int, names bool) *FunctionTable {
	t := &FunctionTable{First: r.Uint32(), Truncated: r.IntN(2) == 0}
	number := func() uint32 { return r.Uint32() >> r.IntN(33) }
	for range n {
		f := Function{
			Bytes: number(), Instructions: number(), Complexity: number(), Nesting: number(), Loops: number(), Frame: number(),
			Calls: number(), Indirect: number(), Fuzzy: Fingerprint(r.Uint64()),
		}
		for i := range f.Exact {
			f.Exact[i], f.Normal[i] = byte(r.Uint32()), byte(r.Uint32())
		}
		t.Functions = append(t.Functions, f)
		t.Retained = append(t.Retained, number())
		t.Reach = append(t.Reach, Reach(r.IntN(3)))
		if names {
			t.Names = append(t.Names, []string{"", "main", "a\"b\\c\n\x01", "σ…🦀", "std::map<int, char>"}[r.IntN(5)])
		}
	}
	return t
}

func TestTableReadsBackAsItWasWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for n := range 50 {
		want := randomTable(r, n, n%2 == 1)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		var got FunctionTable
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("Unmarshal(%.300s): %v", text, err)
		}
		if diff := cmp.Diff(want, &got); diff != "" {
			t.Fatalf("%d functions: -written +read\n%s", n, diff)
		}
		indented, err := json.MarshalIndent(want, "", "\t")
		if err != nil {
			t.Fatalf("MarshalIndent: %v", err)
		}
		got = FunctionTable{}
		if err := json.Unmarshal(indented, &got); err != nil || !cmp.Equal(want, &got) {
			t.Fatalf("%d functions, indented: %v\n%s", n, err, cmp.Diff(want, &got))
		}
	}
}

func TestTableHasAValueForEachColumn(t *testing.T) {
	text := randomTable(rand.New(rand.NewPCG(1, 1)), 3, true).AppendJSON(nil)
	var v struct {
		Columns []string
		Rows    [][]any
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, row := range v.Rows {
		if len(row) != len(v.Columns) {
			t.Errorf("%d columns, a row has %d values: %v", len(v.Columns), len(row), row)
		}
	}
	if got, want := v.Columns[len(v.Columns)-1], "name"; got != want {
		t.Errorf("last column = %q, want %q", got, want)
	}
}

func TestNamesThatAreNotUTF8AreReplaced(t *testing.T) {
	table := randomTable(rand.New(rand.NewPCG(1, 1)), 1, true)
	table.Names[0] = "a\xffb"
	var got FunctionTable
	if err := json.Unmarshal(table.AppendJSON(nil), &got); err != nil || got.Names[0] != "a\ufffdb" {
		t.Errorf("Names = %q, %v; want a\ufffdb", got.Names, err)
	}
}

func TestTableRefusesWhatItDoesNotWrite(t *testing.T) {
	good := string(randomTable(rand.New(rand.NewPCG(1, 1)), 2, false).AppendJSON(nil))
	from := strings.Index(good, "[[") + 2
	first := good[from : from+strings.IndexByte(good[from:], ']')]
	fields := strings.Split(first, ",")
	with := func(i int, value string) string {
		changed := slices.Clone(fields)
		changed[i] = value
		return strings.Replace(good, first, strings.Join(changed, ","), 1)
	}
	tests := []struct{ name, text, want string }{
		{"a number of 33 bits", with(0, "4294967296"), "no number of 32 bits"},
		{"a negative number", with(1, "-1"), "no number of 32 bits"},
		{"a fraction", with(2, "1.5"), "no ','"},
		{"an unknown reach", with(9, "3"), "no way to reach a function"},
		{"a short hash", with(10, `"00"`), "not 32 hexadecimal digits"},
		{"a hash of other digits", with(11, `"`+strings.Repeat("g", 32)+`"`), "invalid byte"},
		{"a number for a hash", with(12, "5"), "no string"},
		{"a name in one row only", with(12, fields[12]+`,"main"`), "some rows have a name"},
		{"a row too short", strings.Replace(good, first, "1,2,3", 1), "no ','"},
		{"rows that are no array", `{"rows":{}}`, "no '['"},
		{"a row that is no array", `{"rows":[1]}`, "no '['"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got FunctionTable
			if err := json.Unmarshal([]byte(tt.text), &got); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Unmarshal(%s) = %v, want %q", tt.text, err, tt.want)
			}
		})
	}
}

func BenchmarkTable(b *testing.B) {
	table := randomTable(rand.New(rand.NewPCG(1, 1)), 10_000, true)
	buf := table.AppendJSON(nil)
	b.Run("append", func(b *testing.B) {
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			buf = table.AppendJSON(buf[:0])
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			var got FunctionTable
			if err := json.Unmarshal(buf, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
