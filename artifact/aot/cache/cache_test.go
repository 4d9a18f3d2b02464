package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
	"github.com/wreg-project/wreg/artifact/variant"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "aot"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is an entry for code made of the source with that name.
func entry(source, code string) Entry {
	return Entry{
		Key: aot.Key{
			Source: digest.FromString(source), Runtime: aot.Runtime, Version: "39.0.1",
			Target: variant.Target{OS: "linux", Arch: "amd64", Level: "v3"}, Tier: aot.Optimising, Profile: aot.Profile,
		},
		Config: &aot.Config{Output: aot.Source{Digest: digest.FromString(code), Size: int64(len(code))}},
	}
}

func add(t *testing.T, s *Store, source, code string) Entry {
	t.Helper()
	e := entry(source, code)
	if err := s.Add(t.Context(), e, strings.NewReader(code)); err != nil {
		t.Fatal(err)
	}
	return e
}

// age makes a file look as if nobody had touched it for so long.
func age(t *testing.T, path string, d time.Duration) {
	t.Helper()
	then := time.Now().Add(-d)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, s *Store, e *Entry) string {
	t.Helper()
	f, err := s.OpenCode(e)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWhatIsAddedIsFound(t *testing.T) {
	s := open(t)
	want := add(t, s, "hello.wasm", "native code")
	got, err := s.Find(want.Key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("Find (-want +got):\n%s", diff)
	}
	if got := content(t, s, got); got != "native code" {
		t.Errorf("the code is %q", got)
	}
	info, err := os.Stat(s.CodePath(got))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("the code has the mode %v, %v; want it read only, for its owner", info.Mode(), err)
	}
	for _, other := range []func(*aot.Key){
		func(k *aot.Key) { k.Version = "39.0.2" },
		func(k *aot.Key) { k.Target.Level = "v1" },
		func(k *aot.Key) { k.Tier = aot.Fast },
		func(k *aot.Key) { k.Profile = "other" },
		func(k *aot.Key) { k.Source = digest.FromString("other.wasm") },
	} {
		k := want.Key
		other(&k)
		if got, err := s.Find(k); !errors.Is(err, ErrNotFound) {
			t.Errorf("Find(%v) = %v, %v; want ErrNotFound", k, got, err)
		}
	}
}

func TestOtherBytesThanPromisedAreNotKept(t *testing.T) {
	s := open(t)
	e := entry("hello.wasm", "native code")
	for name, code := range map[string]string{
		"changed": "native Code", "cut short": "native cod", "longer": "native code and more", "empty": "",
	} {
		if err := s.Add(t.Context(), e, strings.NewReader(code)); !errors.Is(err, ErrDigest) {
			t.Errorf("Add of code that is %s = %v; want ErrDigest", name, err)
		}
	}
	failure := errors.New("the network broke")
	if err := s.Add(t.Context(), e, io.MultiReader(strings.NewReader("native"), broken{failure})); !errors.Is(err, failure) {
		t.Errorf("Add from a reader that breaks = %v; want its error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Add(ctx, e, strings.NewReader("native code")); !errors.Is(err, context.Canceled) {
		t.Errorf("Add that was cancelled = %v; want context.Canceled", err)
	}
	if got, err := s.Find(e.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("Find = %v, %v; want ErrNotFound", got, err)
	}
	if left, err := os.ReadDir(filepath.Join(s.Dir(), folder.Code)); err != nil || len(left) > 0 {
		t.Errorf("%v is left in the cache, %v", left, err)
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestDigestsCannotLeadOutOfTheFolder(t *testing.T) {
	s := open(t)
	for _, d := range []digest.Digest{
		"", "sha256:../../../etc/passwd", digest.Digest("sha256:" + strings.Repeat("A", 64)), "sha384:abc", "md5:abc",
	} {
		e := entry("hello.wasm", "native code")
		e.Config.Output.Digest = d
		if err := s.Add(t.Context(), e, strings.NewReader("native code")); !errors.Is(err, ErrDigest) {
			t.Errorf("Add with the digest %q = %v; want ErrDigest", d, err)
		}
		if f, err := s.OpenCode(&e); !errors.Is(err, ErrDigest) {
			t.Errorf("OpenCode with the digest %q = %v, %v; want ErrDigest", d, f, err)
		}
		if _, err := s.OpenWasm(aot.Source{Digest: d}); !errors.Is(err, ErrDigest) {
			t.Errorf("OpenWasm with the digest %q = %v; want ErrDigest", d, err)
		}
	}
}

func TestAFolderThatOthersCanWriteToIsRefused(t *testing.T) {
	for name, path := range map[string]string{"the cache": ".", "its code": folder.Code} {
		s := open(t)
		if err := os.Chmod(filepath.Join(s.Dir(), path), 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s.Dir()); !errors.Is(err, ErrOpen) {
			t.Errorf("Open where others can write to %s = %v; want ErrOpen", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if _, err := Open(path); err == nil {
			t.Errorf("Open(%s) opens what is no folder", path)
		}
	}
}

func TestWhatAReferenceWasIsRemembered(t *testing.T) {
	s := open(t)
	type known struct{ Digest string }
	if err := s.Package("demo:hello@1.2", &known{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("Package of an unknown reference = %v; want ErrNotFound", err)
	}
	want := known{"sha256:abc"}
	if err := s.SetPackage("demo:hello@1.2", want); err != nil {
		t.Fatal(err)
	}
	var got known
	if err := s.Package("demo:hello@1.2", &got); err != nil || got != want {
		t.Errorf("Package = %v, %v; want %v", got, err, want)
	}
	if err := os.WriteFile(s.path(folder.Packages, folder.Record("demo:hello@1.2")), []byte(`{"Digest":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Package("demo:hello@1.2", &got); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Package of a record cut short = %v; want an error that says so", err)
	}
	if err := os.WriteFile(s.path(folder.Packages, folder.Record("demo:hello@1.2")), bytes.Repeat([]byte(" "), folder.MaxRecord+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Package("demo:hello@1.2", &got); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("Package of a huge record = %v; want an error that says so", err)
	}
}

func TestPruneTakesTheLeastRecentlyUsed(t *testing.T) {
	s := open(t)
	add(t, s, "a.wasm", strings.Repeat("a", 100))
	add(t, s, "b.wasm", strings.Repeat("b", 100))
	add(t, s, "c.wasm", strings.Repeat("c", 100))
	for i, source := range []string{"c.wasm", "a.wasm", "b.wasm"} {
		e := entry(source, "")
		age(t, s.path(folder.Entries, keyName(e.Key)), time.Duration(i)*24*time.Hour)
	}
	for _, c := range []struct {
		name string
		o    PruneOptions
		want []string // sources that stay
	}{
		{"nothing asked for", PruneOptions{}, []string{"c.wasm", "a.wasm", "b.wasm"}},
		{"two days", PruneOptions{Unused: 36 * time.Hour}, []string{"c.wasm", "a.wasm"}},
		{"150 bytes", PruneOptions{Keep: 150}, []string{"c.wasm"}},
		{"all but one", PruneOptions{All: true, Spare: func(e Entry) bool { return e.Key.Source == digest.FromString("c.wasm") }}, []string{"c.wasm"}},
		{"all", PruneOptions{All: true}, nil},
	} {
		if _, err := s.Prune(t.Context(), c.o); err != nil {
			t.Fatal(err)
		}
		items, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		var got, want []digest.Digest
		for _, it := range items {
			got = append(got, it.Key.Source)
			if f, err := s.OpenCode(&it.Entry); err != nil {
				t.Errorf("after %s: %v", c.name, err)
			} else if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, source := range c.want {
			want = append(want, digest.FromString(source))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries after %s (-want +got):\n%s", c.name, diff)
		}
		if files, err := s.files(folder.Code); err != nil || len(files) != len(c.want) {
			t.Errorf("after %s %d files of code are left, %v; want %d", c.name, len(files), err, len(c.want))
		}
	}
}

func TestPruneSparesWhatIsBeingWritten(t *testing.T) {
	s := open(t)
	code := entry("new.wasm", "code that has no entry yet")
	if err := s.put(t.Context(), folder.Code, code.Config.Output, strings.NewReader("code that has no entry yet")); err != nil {
		t.Fatal(err)
	}
	if err := s.AddWasm(t.Context(), aot.Source{Digest: digest.FromString("old"), Size: 3}, strings.NewReader("old")); err != nil {
		t.Fatal(err)
	}
	age(t, s.path(folder.Wasm, digest.FromString("old").Encoded()), 2*grace)
	crashed := []string{s.path(folder.Code, ".new.tmp"), s.path(folder.Entries, ".old.tmp")}
	for _, path := range crashed {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	age(t, crashed[1], 2*grace)
	dir, err := s.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	busy, err := s.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "half"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	age(t, dir, 2*grace)
	if items, err := s.List(); err != nil || len(items) > 0 {
		t.Errorf("List = %v, %v; want nothing: a write that ended with its process is not there", items, err)
	}
	got, err := s.Prune(t.Context(), PruneOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Files != 3 || got.Entries != 0 {
		t.Errorf("Prune = %+v, want 3 files", got)
	}
	for path, want := range map[string]bool{
		crashed[0]: true, crashed[1]: false, s.CodePath(&code): true, s.path(folder.Wasm, digest.FromString("old").Encoded()): false,
		dir: false, busy: true,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}

func TestOpenCodeStaysReadableAfterPrune(t *testing.T) {
	s := open(t)
	e := add(t, s, "hello.wasm", "native code")
	f, err := s.OpenCode(&e)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	age(t, s.CodePath(&e), time.Minute)
	if _, err := s.Prune(t.Context(), PruneOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.CodePath(&e)); err == nil {
		t.Error("Prune left the code")
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "native code" {
		t.Errorf("the open file reads %q, %v", got, err)
	}
}

// Many add, find, open and prune at once. Whatever is found and opened is whole.
func TestConcurrentUseAndPrune(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "aot")
	const programs, rounds = 4, 60
	var all sync.WaitGroup
	start := func(f func(s *Store, i int)) {
		all.Add(1)
		go func() {
			defer all.Done()
			s, err := Open(dir) // as another process would
			if err != nil {
				t.Error(err)
				return
			}
			for i := range rounds {
				f(s, i)
			}
		}()
	}
	text := func(i int) (source, code string) {
		n := i % programs
		return fmt.Sprint(n, ".wasm"), strings.Repeat(fmt.Sprint("code ", n), 2000)
	}
	opened := make(chan int, 2*programs*rounds)
	for range 2 {
		start(func(s *Store, i int) {
			source, code := text(i)
			if err := s.Add(context.Background(), entry(source, code), strings.NewReader(code)); err != nil && !errors.Is(err, ErrNotFound) {
				t.Errorf("Add = %v", err)
			}
		})
		start(func(s *Store, i int) {
			source, code := text(i)
			e, err := s.Find(entry(source, code).Key)
			if err != nil {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("Find = %v", err)
				}
				return
			}
			f, err := s.OpenCode(e)
			if err != nil {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("OpenCode = %v", err)
				}
				return
			}
			got, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil || string(got) != code {
				t.Errorf("the code of %s has %d bytes, %v; want %d", source, len(got), err, len(code))
			}
			opened <- i
		})
	}
	start(func(s *Store, i int) {
		if _, err := s.Prune(context.Background(), PruneOptions{All: i%2 == 0, Keep: 20_000}); err != nil {
			t.Errorf("Prune = %v", err)
		}
	})
	all.Wait()
	s := open(t)
	s.dir = dir
	for i := range programs { // and afterwards it works as ever
		source, code := text(i)
		e := add(t, s, source, code)
		if got := content(t, s, &e); got != code {
			t.Errorf("%s has %d bytes, want %d", source, len(got), len(code))
		}
	}
	if damage, err := s.Verify(t.Context()); err != nil || len(damage) > 0 {
		t.Errorf("Verify = %v, %v; want nothing", damage, err)
	}
}

func TestVerifyFindsAndRemovesDamage(t *testing.T) {
	s := open(t)
	sound := add(t, s, "sound.wasm", "sound code")
	patched := add(t, s, "patched.wasm", "some native code")
	orphan := add(t, s, "orphan.wasm", "code that is lost")
	if err := os.Chmod(s.CodePath(&patched), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.CodePath(&patched), []byte("some hostile cod"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.CodePath(&orphan)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(folder.Entries, folder.Record("x")), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(folder.Packages, folder.Record("y")), []byte("no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		s.CodePath(&patched):                         "its bytes have the digest " + digest.FromString("some hostile cod").Encoded(),
		s.path(folder.Entries, keyName(patched.Key)): "an entry whose code is gone",
		s.path(folder.Entries, keyName(orphan.Key)):  "an entry whose code is gone",
		s.path(folder.Entries, folder.Record("x")):   "an entry of another key",
	}
	for _, d := range got {
		if filepath.Dir(d.Path) == filepath.Join(s.Dir(), folder.Packages) {
			continue // says what Go's decoder says
		}
		if want[d.Path] != d.Why {
			t.Errorf("Verify says of %s: %s; want %q", d.Path, d.Why, want[d.Path])
		}
	}
	if len(got) != len(want)+1 {
		t.Errorf("Verify finds %d files, want %d: %v", len(got), len(want)+1, got)
	}
	if again, err := s.Verify(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("Verify again = %v, %v; want nothing", again, err)
	}
	if got := content(t, s, &sound); got != "sound code" {
		t.Errorf("the sound code reads %q", got)
	}
}

func TestInfoCounts(t *testing.T) {
	s := open(t)
	add(t, s, "hello.wasm", "native code")
	if err := s.AddWasm(t.Context(), aot.Source{Digest: digest.FromString("hello.wasm"), Size: 10}, strings.NewReader("hello.wasm")); err != nil {
		t.Fatal(err)
	}
	if err := s.AddWasm(t.Context(), aot.Source{Digest: digest.SHA512.FromString("other"), Size: 5}, strings.NewReader("other")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPackage("demo:hello", map[string]string{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Info()
	if want := (Info{Entries: 1, Packages: 1, Code: 11, Wasm: 10, Unnamed: 5}); err != nil || *got != want {
		t.Errorf("Info = %+v, %v; want %+v", got, err, want)
	}
}
