package text

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func collect(s *Span, least int) []string {
	var got []string
	for r := range s.Runs(least) {
		got = append(got, string(s.AppendUTF8(nil, r)))
	}
	return got
}

func wide(s string) string {
	var b []byte
	for _, r := range s {
		b = binary.LittleEndian.AppendUint16(b, uint16(r))
	}
	return string(b)
}

func TestRuns(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string
	}{
		{"text alone", "hello, world", []string{"hello, world"}},
		{"text between zeros", "\x00\x00\x00hello, world\x00", []string{"hello, world"}},
		{"text at every place of a word", "\x00\x00\x00\x00\x01abcdef\x01\x02ghijkl\x03", []string{"abcdef", "ghijkl"}},
		{"five characters are too few", "\x00hello\x00\x00\x00\x00", nil},
		{"a tab and an end of line belong to it", "\x01one\ttwo\n\x01", []string{"one\ttwo\n"}},
		{"letters of two and three bytes", "\x00größer 日本語\x00", []string{"größer 日本語"}},
		{"characters are counted, not bytes", "\x00日本語\x00\x00\x00\x00", nil},
		{"half a character ends it", "abcdef\xe6\x97", []string{"abcdef"}},
		{"a control character of two bytes ends it", "abcdef\u0085ghijkl", []string{"abcdef", "ghijkl"}},
		{"UTF-16", wide("AssemblyScript"), []string{"AssemblyScript"}},
		{"UTF-16 behind its length", "\x1c\x00\x00\x00" + wide("AssemblyScript") + "\x00\x00", []string{"AssemblyScript"}},
		{"UTF-16 at an odd place", "\x01" + wide("AssemblyScript"), []string{"AssemblyScript"}},
		{"UTF-16 with other letters", wide("a größe") + "\x00\x00", []string{"a größe"}},
		{"UTF-16 behind a run", "abcdef\x00" + wide("ghijkl"), []string{"abcdef", "ghijkl"}},
		{"small numbers of two bytes", "\x05\x00\x06\x00\x07\x00\x08\x00\x09\x00\x0a\x00\x0b\x00\x0c\x00", nil},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, collect(At(0, []byte(tt.in)), UsualRun)); diff != "" {
				t.Fatalf("Runs(%q), want -, got +:\n%s", tt.in, diff)
			}
		})
	}
}

// slowRuns is Runs for UTF-8 alone, a character at a time.
func slowRuns(b []byte, least int) []Run {
	var runs []Run
	start, chars := 0, 0
	end := func(i int) {
		if chars >= least {
			runs = append(runs, Run{Start: start, End: i})
		}
		chars = 0
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError || !unicode.IsPrint(r) && !strings.ContainsRune("\t\n\r", r) {
			end(i)
			i++
			continue
		}
		if chars == 0 {
			start = i
		}
		chars++
		i += n
	}
	end(len(b))
	return runs
}

// soup makes bytes in which text, other characters, zeros and noise are mixed.
func soup(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		switch r.IntN(6) {
		case 0:
			b = append(b, make([]byte, r.IntN(20))...)
		case 1, 2:
			b = append(b, "The quick brown fox jumps"[:r.IntN(25)]...)
		case 3:
			b = append(b, "größer日本語"[:r.IntN(17)]...)
		case 4:
			b = append(b, byte(r.IntN(256)))
		case 5:
			b = append(b, byte(r.IntN(32)), 0xff)
		}
	}
	return b
}

func TestRunsFindWhatASlowSearchFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := soup(r, 200)
		least := 4 + r.IntN(5)
		var got []Run
		for run := range At(0, b).Runs(least) {
			if run.Encoding == UTF8 {
				got = append(got, run)
			}
		}
		if diff := cmp.Diff(slowRuns(b, least), got); diff != "" {
			t.Fatalf("Runs(%q, %d), want -, got +:\n%s", b, least, diff)
		}
	}
}

func segment(i int, address uint64, s string) Segment {
	return Segment{Index: i, Offset: int64(1000 * (i + 1)), Bytes: []byte(s), Address: address, Placed: true}
}

func TestSpans(t *testing.T) {
	passive := segment(0, 0, "passive")
	passive.Placed = false
	other := segment(1, 5, "other memory")
	other.Memory = 1
	tests := []struct {
		name string
		in   []Segment
		want []string
	}{
		{"neighbours are joined", []Segment{segment(0, 100, "hello, "), segment(1, 107, "world")}, []string{"hello, world"}},
		{"a gap is filled with zeros", []Segment{segment(0, 100, "ab"), segment(1, 105, "cd")}, []string{"ab\x00\x00\x00cd"}},
		{"a wide gap is not", []Segment{segment(0, 100, "ab"), segment(1, 102+maxGap+1, "cd")}, []string{"ab", "cd"}},
		{"nor is an overlap", []Segment{segment(0, 100, "abcd"), segment(1, 102, "ef")}, []string{"abcd", "ef"}},
		{"a passive segment stands alone", []Segment{passive, segment(1, 7, "active")}, []string{"passive", "active"}},
		{"and so does another memory", []Segment{segment(0, 0, "first"), other}, []string{"first", "other memory"}},
		{"empty ones are left out", []Segment{segment(0, 0, "a"), segment(1, 1, ""), segment(2, 1, "b")}, []string{"ab"}},
		{"the end of the address space", []Segment{segment(0, 1<<64-2, "ab"), segment(1, 0, "cd")}, []string{"ab", "cd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for s := range Spans(slices.Values(tt.in)) {
				got = append(got, string(s.Bytes))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("Spans, want -, got +:\n%s", diff)
			}
		})
	}
}

// A linker that leaves out zeros makes thousands of segments; together they are
// the memory they came from, a bounded part at a time.
func TestSpansOfManySegments(t *testing.T) {
	const count, size = 30_000, 100
	var list []Segment
	for i := range count {
		list = append(list, segment(i, uint64(i*(size+20)), strings.Repeat(string(rune('a'+i%26)), size)))
	}
	total := 0
	for s := range Spans(slices.Values(list)) {
		if len(s.Bytes) > maxJoined {
			t.Fatalf("a span of %d bytes, want at most %d", len(s.Bytes), maxJoined)
		}
		for at := 0; at < len(s.Bytes); at += size + 20 {
			i, offset := s.Place(at)
			if want := list[i]; want.Address != s.Address+uint64(at) || offset != want.Offset || s.Bytes[at] != want.Bytes[0] {
				t.Fatalf("Place(%d) = segment %d at %d; the address %d is another's", at, i, offset, s.Address+uint64(at))
			}
			total++
		}
	}
	if total != count {
		t.Fatalf("found %d segments in spans, want %d", total, count)
	}
}

func TestPlace(t *testing.T) {
	list := []Segment{segment(0, 100, "hello, "), segment(1, 110, "world")}
	for s := range Spans(slices.Values(list)) {
		for _, tt := range []struct {
			at      int
			segment int
			offset  int64
		}{{0, 0, 1000}, {6, 0, 1006}, {8, 0, 1007}, {10, 1, 2000}, {14, 1, 2004}} {
			if segment, offset := s.Place(tt.at); segment != tt.segment || offset != tt.offset {
				t.Errorf("Place(%d) = %d, %d; want %d, %d", tt.at, segment, offset, tt.segment, tt.offset)
			}
		}
	}
}

// The literals of Rust and Go lie end to end. Where the data has their addresses
// tells them apart.
func TestStringsAreCutAtPointers(t *testing.T) {
	const base = 1 << 20
	literals := []string{"index out of bounds", "src/main.rs", "größer als", "ab", "called on a None value"}
	blob := strings.Join(literals, "")
	table := []byte(strings.Repeat("\x01", 7)) // not aligned; four more bytes follow in memory
	table = append(table, 0)
	at := uint32(base)
	for _, l := range literals {
		table = binary.LittleEndian.AppendUint32(table, at)
		table = binary.LittleEndian.AppendUint32(table, uint32(len(l)))
		at += uint32(len(l))
	}
	list := []Segment{
		{Index: 0, Offset: 50, Bytes: []byte(blob + "\x01\x00"), Address: base, Placed: true},
		{Index: 1, Offset: 500, Bytes: table, Address: base + 200, Placed: true},
	}
	p := NewPointers(slices.Values(list))
	var got []string
	for s := range Spans(slices.Values(list)) {
		for r := range Strings(s, 4, p) {
			got = append(got, string(s.Bytes[r.Start:r.End]))
		}
	}
	want := []string{"index out of bounds", "src/main.rs", "größer als", "abcalled on a None value"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Strings, want -, got +:\n%s", diff)
	}
}

// An address of the middle of a string of C is that of its tail, which serves as
// another string.
func TestStringsOfCAreNotCut(t *testing.T) {
	list := []Segment{segment(0, 1024, "\x00invalid argument\x00\x00\x00\x08\x04\x00\x00")}
	binary.LittleEndian.PutUint32(list[0].Bytes[len(list[0].Bytes)-4:], 1024+9)
	p := NewPointers(slices.Values(list))
	for s := range Spans(slices.Values(list)) {
		if !p.Begins(s, 9) {
			t.Fatal("Begins(9) = false, want the address that the data has")
		}
		if got := slices.Collect(Strings(s, 4, p)); len(got) != 1 || got[0] != (Run{Start: 1, End: 17}) {
			t.Fatalf("Strings = %v, want the whole string", got)
		}
	}
}

func TestPointersOfSparseDataCostNothing(t *testing.T) {
	p := NewPointers(slices.Values([]Segment{segment(0, 0, "a"), segment(1, 1<<32, "b")}))
	if len(p.bits) != 0 {
		t.Fatalf("NewPointers keeps %d words for two bytes of data, want none", len(p.bits))
	}
	p.Add(1)
	p.Add(1 << 32)
}

func TestRank(t *testing.T) {
	tests := []struct {
		in   string
		want Kind
	}{
		{"https://example.com/", KindURL},
		{"see https://example.com/ for more", KindURL},
		{"/etc/passwd", KindPath},
		{`C:\Windows\system32`, KindPath},
		{"library/core/src/fmt/mod.rs", KindPath},
		{"index out of bounds", KindMessage},
		{"runtime.mallocgc", KindName},
		{"IteratorPrototype", KindName},
		{"%s:%d: {name} = {value};", KindOther},
		{"0123456789", KindNoise},
		{"a$!%&/()=?", KindNoise},
	}
	for _, tt := range tests {
		if got := kinds[rank([]byte(tt.in))].kind; got != tt.want {
			t.Errorf("rank(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestList(t *testing.T) {
	const each = 100
	var b []byte
	for i := range each {
		for _, s := range []string{"https://example.com/%", "/usr/lib/file%", "no such file %", "identifier%", "123456789%"} {
			b = append(b, strings.ReplaceAll(s, "%", string(rune('a'+i/26))+string(rune('a'+i%26)))...)
			b = append(b, 0)
		}
	}
	b = append(b, "https://example.com/aa\x00secret token\x00"...)
	l := NewList(50, func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), "secret", "…")) })
	s := At(0, b)
	for r := range s.Runs(UsualRun) {
		l.Add(s, r)
	}
	got := l.Result()
	wantKinds := map[Kind]int{KindURL: each + 1, KindPath: each, KindMessage: each + 1, KindName: each, KindNoise: each}
	if got.Total != 5*each+2 {
		t.Errorf("Total = %d, want %d", got.Total, 5*each+2)
	}
	if diff := cmp.Diff(wantKinds, got.Kinds); diff != "" {
		t.Errorf("Kinds, want -, got +:\n%s", diff)
	}
	kept := map[Kind]int{}
	for i, s := range got.Strings {
		kept[s.Kind]++
		if i > 0 && s.Kind == got.Strings[i-1].Kind && s.Offset <= got.Strings[i-1].Offset {
			t.Errorf("string %d at %d stands behind the one at %d", i, s.Offset, got.Strings[i-1].Offset)
		}
	}
	// "other" has none, and leaves its share to the first.
	if diff := cmp.Diff(map[Kind]int{KindURL: 14, KindPath: 10, KindMessage: 15, KindName: 10, KindNoise: 1}, kept); diff != "" {
		t.Errorf("kept, want -, got +:\n%s", diff)
	}
}

func TestListMasks(t *testing.T) {
	l := NewList(5, func(b []byte) []byte { return b[:3] })
	s := At(0, []byte("secret token"))
	l.Add(s, Run{Start: 0, End: 12})
	if got := l.Result().Strings; len(got) != 1 || got[0].Value != "sec" {
		t.Fatalf("Strings = %+v, want the masked text", got)
	}
}

func TestValueIsCutBetweenCharacters(t *testing.T) {
	s := At(0, []byte("x"+strings.Repeat("ö", MaxValue)))
	v := s.String(Run{Start: 0, End: len(s.Bytes)}, nil)
	if !utf8.ValidString(v.Value) || len(v.Value) != MaxValue-1 || v.Length != len(s.Bytes) {
		t.Fatalf("String = %d bytes, valid %v, Length %d; want %d, true, %d",
			len(v.Value), utf8.ValidString(v.Value), v.Length, MaxValue-1, len(s.Bytes))
	}
}

// Runs of any bytes lie in order, do not overlap, are as long as asked for and
// valid.
func FuzzRuns(f *testing.F) {
	for _, seed := range []string{
		"hello, world", wide("AssemblyScript"), "\x00größer 日本語\xe6",
		"\x01a\x00b\x00c\x00\x00d\x00", "\x00\x00\x00\x00\x00\x00\x00\x00abcd",
	} {
		f.Add([]byte(seed), 4)
	}
	f.Fuzz(func(t *testing.T, b []byte, least int) {
		least = max(MinRun, min(least, 64))
		s := At(0, b)
		last := 0
		for r := range s.Runs(least) {
			v := s.AppendUTF8(nil, r)
			if r.Start < last || r.End > len(b) || !utf8.Valid(v) || utf8.RuneCount(v) < least {
				t.Fatalf("Runs(%q, %d) has %+v = %q after byte %d", b, least, r, v, last)
			}
			last = r.End
			s.String(r, nil)
		}
	})
}

func BenchmarkRuns(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	text := []byte(strings.Repeat("The quick brown fox. ", 50_000))
	for name, data := range map[string][]byte{"mixed": soup(r, 1<<20), "noise": noise, "text": text} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			s := At(0, data)
			for b.Loop() {
				for r := range s.Runs(UsualRun) {
					if r.End > len(data) {
						b.Fatal(r)
					}
				}
			}
		})
	}
}
