package disk

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// run does the steps on a fresh disk. A step is a word and its arguments:
// mkdir P, write P TEXT, at P OFF… is left to the tests that need it.
func run(t *testing.T, d *Disk, steps ...string) {
	t.Helper()
	for _, s := range steps {
		f := strings.Fields(s)
		var err error
		switch f[0] {
		case "mkdir":
			err = d.Mkdir(d.Root(), f[1])
		case "write":
			var n *Node
			if n, err = d.Create(d.Root(), f[1]); err == nil {
				n.Truncate(0)
				n.Write(0, []byte(f[2]))
			}
		case "mv":
			err = d.Rename(d.Root(), f[1], d.Root(), f[2])
		case "rm":
			err = d.Unlink(d.Root(), f[1])
		case "sync":
			n := d.Lookup(d.Root(), f[1])
			if n == nil {
				t.Fatalf("%s: no such file", s)
			}
			d.Sync(n)
		default:
			t.Fatalf("unknown step %q", s)
		}
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// show lists an image as path or path=content.
func show(t *testing.T, im *Image) string {
	t.Helper()
	var all []string
	for _, p := range im.Paths() {
		if !strings.HasSuffix(p, "/") {
			b, err := im.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			p += "=" + string(b)
		}
		all = append(all, p)
	}
	return strings.Join(all, " ")
}

func TestStrict(t *testing.T) {
	tests := []struct {
		name  string
		steps []string
		want  string
	}{
		{"a written file is nothing without syncs", []string{"write a x"}, ""},
		{"a synced file without a name is lost", []string{"write a x", "sync a"}, ""},
		{"a name without a synced file is empty", []string{"write a x", "sync ."}, "a="},
		{"file and folder synced", []string{"write a x", "sync a", "sync ."}, "a=x"},
		{"a later write is lost", []string{"write a x", "sync a", "sync .", "write a y"}, "a=x"},
		{"a file in a folder whose own name was never synced", []string{"mkdir d", "write d/a x", "sync d/a", "sync d"}, ""},
		{"a file in a folder with its parent synced", []string{"mkdir d", "sync .", "write d/a x", "sync d/a", "sync d"}, "d/ d/a=x"},
		{"a parent synced before the folder was made", []string{"sync .", "mkdir d", "write d/a x", "sync d/a", "sync d"}, ""},
		{
			"a rename into a folder that was not synced leaves the old name",
			[]string{"mkdir u", "mkdir b", "sync .", "write u/t x", "sync u/t", "sync u", "mv u/t b/a"},
			"b/ u/ u/t=x",
		},
		{
			"a rename into a synced folder from one that was not shows both names",
			[]string{"mkdir u", "mkdir b", "sync .", "write u/t x", "sync u/t", "sync u", "mv u/t b/a", "sync b"},
			"b/ b/a=x u/ u/t=x",
		},
		{
			"a rename of an unsynced file keeps the name and loses the bytes",
			[]string{"mkdir u", "mkdir b", "sync .", "write u/t x", "mv u/t b/a", "sync b"},
			"b/ b/a= u/",
		},
		{"a rename within a folder replaces in one step", []string{"write a x", "write b y", "sync a", "sync b", "sync .", "mv a b", "sync ."}, "b=x"},
		{"a removal without a sync comes back", []string{"write a x", "sync a", "sync .", "rm a"}, "a=x"},
		{"a removal with a sync stays", []string{"write a x", "sync a", "sync .", "rm a", "sync ."}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := New()
			run(t, d, tt.steps...)
			if got := show(t, d.Strict()); got != tt.want {
				t.Errorf("after %q Strict has %q, want %q", tt.steps, got, tt.want)
			}
		})
	}
}

func TestASyncCoversOnlyWhatWasWrittenBeforeItBegan(t *testing.T) {
	d := New()
	run(t, d, "write a 1", "sync .")
	a := d.Lookup(d.Root(), "a")
	m := d.Begin(a)
	a.Write(1, []byte("2"))
	if !d.End(m) {
		t.Error("End = false, want true: the first write became durable")
	}
	if got := show(t, d.Strict()); got != "a=1" {
		t.Errorf("Strict has %q, want a=1", got)
	}
	if d.End(m) {
		t.Error("End of a mark that is durable already = true, want false")
	}
}

func TestIgnoreTakesOutTheSyncsItNames(t *testing.T) {
	d := New()
	var asked []Sync
	d.Ignore = func(s Sync) bool {
		asked = append(asked, s)
		return s.NewFolders
	}
	run(t, d, "mkdir d", "sync .", "write d/a x", "sync d/a", "sync d", "write top y", "sync top", "sync .")
	if got := show(t, d.Strict()); got != "" {
		t.Errorf("Strict has %q, want nothing: the sync of the folder's parent is ignored each time", got)
	}
	want := []Sync{
		{Path: ".", Folder: true, NewFolders: true},
		{Path: "d/a"},
		{Path: "d", Folder: true},
		{Path: "top"},
		{Path: ".", Folder: true, NewFolders: true},
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("Ignore was asked (-want +got):\n%s", diff)
	}
}

// Each surviving sector is the old or the new one, a survivor never lies beyond
// what was written, and over many seeds every mixture is met.
func TestTornMixesOldAndNewSectors(t *testing.T) {
	d := New()
	n, err := d.Create(d.Root(), "a")
	if err != nil {
		t.Fatal(err)
	}
	n.Write(0, bytes.Repeat([]byte("o"), 3*Sector))
	d.Sync(n)
	d.Sync(d.Root())
	n.Write(100, bytes.Repeat([]byte("n"), 2*Sector))
	seen := map[string]bool{}
	for seed := range uint64(200) {
		got, err := d.Torn(rand.New(rand.NewPCG(seed, 0))).Read("a")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 3*Sector {
			t.Fatalf("seed %d: %d bytes survive, want %d", seed, len(got), 3*Sector)
		}
		var sectors string
		for _, at := range []int{100, Sector, 2 * Sector} {
			sectors += string(got[at])
		}
		for i, end := 100, 2*Sector+100; i < end; i++ {
			sector := 0
			if i >= Sector {
				sector = i / Sector
			}
			if got[i] != sectors[sector] {
				t.Fatalf("seed %d: byte %d is %q inside a sector of %q", seed, i, got[i], sectors[sector])
			}
		}
		seen[sectors] = true
	}
	for _, want := range []string{"ooo", "noo", "ono", "oon", "nno", "non", "onn", "nnn"} {
		if !seen[want] {
			t.Errorf("200 seeds never left the sectors %q", want)
		}
	}
}

func TestTornKeepsAPrefixOfAFoldersChanges(t *testing.T) {
	d := New()
	run(t, d, "write a 1", "sync a", "sync .", "write b 2", "sync b", "mv b c", "rm a")
	want := map[string]bool{"a=1": true, "a=1 b=2": true, "a=1 c=2": true, "c=2": true}
	got := map[string]bool{}
	for seed := range uint64(100) {
		got[show(t, d.Torn(rand.New(rand.NewPCG(seed, 1))))] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what survives over 100 seeds (-want +got):\n%s", diff)
	}
}

func TestTornIsTheSameForTheSameSeed(t *testing.T) {
	d := New()
	run(t, d, "mkdir d", "mkdir e", "write d/a 1", "write e/b 2", "sync .", "sync d", "write d/a 3")
	for seed := range uint64(50) {
		one := show(t, d.Torn(rand.New(rand.NewPCG(seed, 2))))
		two := show(t, d.Torn(rand.New(rand.NewPCG(seed, 2))))
		if one != two {
			t.Fatalf("seed %d left %q, then %q", seed, one, two)
		}
	}
}

// An image is taken at one moment: what the program does later must not show in
// it, though both share bytes.
func TestAnImageDoesNotChangeLater(t *testing.T) {
	d := New()
	run(t, d, "write a 123", "sync a", "sync .")
	im := d.Strict()
	a := d.Lookup(d.Root(), "a")
	a.Truncate(1)
	a.Write(1, []byte("XY"))
	d.Sync(a)
	if got := show(t, im); got != "a=123" {
		t.Errorf("the earlier image has %q, want a=123", got)
	}
	if got := show(t, d.Strict()); got != "a=1XY" {
		t.Errorf("the later image has %q, want a=1XY", got)
	}
}

func TestTruncateCutsAndGrows(t *testing.T) {
	d := New()
	run(t, d, "write a 12345")
	a := d.Lookup(d.Root(), "a")
	a.Truncate(2)
	a.Truncate(4)
	d.Sync(a)
	d.Sync(d.Root())
	if got := show(t, d.Strict()); got != "a=12\x00\x00" {
		t.Errorf("Strict has %q, want two bytes and two zeros", got)
	}
}

func TestWriteToMakesTheFiles(t *testing.T) {
	d := New()
	run(t, d, "mkdir u", "mkdir b", "sync .", "write u/t x", "sync u/t", "sync u", "mv u/t b/a", "sync b")
	dir := t.TempDir()
	if err := d.Strict().WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	one, err := os.Stat(filepath.Join(dir, "u", "t"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.Stat(filepath.Join(dir, "b", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, two) {
		t.Error("u/t and b/a are two files, want two names of one")
	}
	got, err := os.ReadFile(filepath.Join(dir, "b", "a"))
	if err != nil || string(got) != "x" {
		t.Errorf("b/a holds %q, %v; want x", got, err)
	}
}
