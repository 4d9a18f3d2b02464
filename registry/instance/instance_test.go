package instance_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wreg-project/wreg/registry/instance"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/storage/blob"
	blobfs "github.com/wreg-project/wreg/storage/blob/fs"
	"github.com/wreg-project/wreg/storage/blob/mem"
)

// clock is a time that tests set.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)} }

func open(t *testing.T, objects blob.Objects, o instance.Options) *instance.Ring {
	t.Helper()
	r, err := instance.Open(t.Context(), objects, o)
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	return r
}

// ids are the keys of a ring, each with how long after the start of the clock it
// was in use, "" of one that is.
func ids(r *instance.Ring, from time.Time) []string {
	var list []string
	for _, k := range r.Keys() {
		s := k.ID()
		if !k.NotAfter.IsZero() {
			s += " " + k.NotAfter.Sub(from.Truncate(time.Second)).String()
		}
		list = append(list, s)
	}
	return list
}

func TestTheKeyIsMadeOnceAndStays(t *testing.T) {
	objects := mem.New()
	first := open(t, objects, instance.Options{})
	if got := first.Signer().Algorithm(); got != "ECDSA P-256" {
		t.Errorf("Algorithm() = %s, want ECDSA P-256, which every tool verifies", got)
	}
	again := open(t, objects, instance.Options{})
	if first.Signer().ID() != again.Signer().ID() || len(again.Keys()) != 1 {
		t.Errorf("a second Open has key %s of %d, want %s alone", again.Signer().ID(), len(again.Keys()), first.Signer().ID())
	}
}

// Servers that start at the same moment agree on one key, and each key that
// anything may have been signed by is listed.
func TestServersThatStartAtTheSameMomentAgree(t *testing.T) {
	objects, c := mem.New(), newClock()
	rings := make([]*instance.Ring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			var err error
			if rings[i], err = instance.Open(context.Background(), objects, instance.Options{Clock: c.now}); err != nil {
				t.Errorf("Open() = %v", err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	var signers []string
	for _, r := range rings {
		signers = append(signers, r.Signer().ID())
		if err := r.Reload(t.Context()); err != nil {
			t.Fatalf("Reload() = %v", err)
		}
	}
	want := rings[0].Signer().ID()
	for i, r := range rings {
		if got := r.Signer().ID(); got != want {
			t.Errorf("server %d signs by %s, server 0 by %s", i, got, want)
		}
		listed := r.Keys()
		for _, s := range signers {
			if !slices.ContainsFunc(listed, func(k instance.Key) bool { return k.ID() == s }) {
				t.Errorf("server %d does not list %s, by which one signed", i, s)
			}
		}
	}
}

func TestRotation(t *testing.T) {
	objects, c := mem.New(), newClock()
	began := c.Time
	r := open(t, objects, instance.Options{Clock: c.now})
	other := open(t, objects, instance.Options{Clock: c.now})
	first := r.Signer().ID()
	c.Time = c.Add(time.Hour)
	if err := r.Rotate(t.Context()); err != nil {
		t.Fatalf("Rotate() = %v", err)
	}
	second := r.Signer().ID()
	want := []string{second, first + " 1h10m0s"}
	if got := ids(r, began); second == first || !slices.Equal(got, want) {
		t.Errorf("keys after Rotate = %v, want %v", got, want)
	}
	if got := other.Signer().ID(); got != first {
		t.Errorf("another server signs by %s before it reloads, want the former key %s", got, first)
	}
	if err := other.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ids(other, began); other.Signer().ID() != second || !slices.Equal(got, want) {
		t.Errorf("another server after Reload signs by %s with keys %v; want %s and %v", other.Signer().ID(), got, second, want)
	}
	c.Time = c.Add(time.Hour)
	if err := other.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := ids(other, began), []string{other.Signer().ID(), second + " 2h10m0s", first + " 1h10m0s"}; !slices.Equal(got, want) {
		t.Errorf("keys after the second Rotate = %v, want %v", got, want)
	}
	if text := stored(t, objects); strings.Count(text, "PRIVATE KEY-----\n") != 2 || strings.Count(text, "BEGIN PUBLIC KEY") != 2 {
		t.Errorf("stored keys are\n%s\nwant the private half of the one in use alone", text)
	}
}

// stored is what a store holds of keys.
func stored(t *testing.T, objects blob.Objects) string {
	t.Helper()
	var all strings.Builder
	err := objects.ListObjects(t.Context(), instance.Folder, func(name string, _ int64) error {
		body, err := objects.OpenObject(t.Context(), name)
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.Copy(&all, body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestAConfiguredKeyTakesThePlaceOfOthers(t *testing.T) {
	objects, c := mem.New(), newClock()
	began := c.Time
	made := open(t, objects, instance.Options{Clock: c.now}).Signer().ID()
	keys := []*key.Private{generate(t), generate(t)}
	use := 0
	o := instance.Options{Clock: c.now, Configured: func() (*key.Private, error) { return keys[use], nil }}
	r := open(t, objects, o)
	if got, want := ids(r, began), []string{keys[0].ID(), made + " 10m0s"}; r.Signer() != keys[0] || !slices.Equal(got, want) {
		t.Errorf("keys = %v, want %v", got, want)
	}
	if err := r.Rotate(t.Context()); !errors.Is(err, instance.ErrConfigured) {
		t.Errorf("Rotate() = %v, want ErrConfigured", err)
	}
	use, c.Time = 1, c.Add(time.Hour)
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{keys[1].ID(), keys[0].ID() + " 1h10m0s", made + " 10m0s"}
	if got := ids(r, began); r.Signer() != keys[1] || !slices.Equal(got, want) {
		t.Errorf("keys after the configuration changed = %v, want %v", got, want)
	}
	use = 0
	r = open(t, objects, o)
	want = []string{keys[0].ID(), keys[1].ID() + " 1h10m0s", made + " 10m0s"}
	if got := ids(r, began); !slices.Equal(got, want) {
		t.Errorf("keys after the configuration changed back = %v, want %v", got, want)
	}
	if text := stored(t, objects); strings.Contains(text, "PRIVATE") {
		t.Errorf("stored keys are\n%s\nwant no private half of a configured key, nor of a former one", text)
	}
	back := open(t, objects, instance.Options{Clock: c.now})
	if n := len(back.Keys()); n != 4 || slices.Contains([]string{made, keys[0].ID(), keys[1].ID()}, back.Signer().ID()) {
		t.Errorf("without the setting there are %d keys, in use is %s; want a new one", n, back.Signer().ID())
	}
}

func generate(t *testing.T) *key.Private {
	t.Helper()
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestConfigured(t *testing.T) {
	k := generate(t)
	text, err := k.MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	good, bad := filepath.Join(t.TempDir(), "good.pem"), filepath.Join(t.TempDir(), "bad.pem")
	for name, content := range map[string][]byte{good: text, bad: k.PEM()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("WREG_TEST_KEY", string(text))
	tests := []struct {
		name, setting string
		want          error // nil for the key
	}{
		{"a file", good, nil},
		{"a variable", "env:WREG_TEST_KEY", nil},
		{"a file that is not there", good + "x", fs.ErrNotExist},
		{"a file with a public key", bad, key.ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := instance.Configured(tt.setting)()
			if !errors.Is(err, tt.want) || tt.want == nil && got.ID() != k.ID() {
				t.Errorf("Configured(%q)() = %v, %v; want the key or %v", tt.setting, got, err, tt.want)
			}
		})
	}
	if _, err := instance.Configured("env:WREG_TEST_NOT_SET")(); err == nil || !strings.Contains(err.Error(), "WREG_TEST_NOT_SET") {
		t.Errorf("Configured of a variable that is not set = %v, want an error with its name", err)
	}
	if instance.Configured("") != nil {
		t.Error(`Configured("") is a function, want nil`)
	}
}

// Nobody else on the machine reads the key, and openssl does although there is
// more in the file.
func TestTheFileIsPrivate(t *testing.T) {
	dir := t.TempDir()
	store, err := blobfs.Open(dir, blobfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := open(t, store, instance.Options{})
	if err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "instance") {
			return err
		}
		n++
		fi, err := d.Info()
		if err == nil && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, fi.Mode().Perm())
		}
		return err
	})
	if err != nil || n != 2 {
		t.Errorf("%d files of keys, %v; want 2", n, err)
	}
}

func TestBrokenKeysAreErrors(t *testing.T) {
	good := stored(t, func() blob.Objects {
		objects := mem.New()
		open(t, objects, instance.Options{Clock: newClock().now})
		return objects
	}())
	tests := []struct {
		name, text string
	}{
		{"nothing", ""},
		{"no PEM", "created: 2026-03-04T05:06:07Z\n"},
		{"no time", good[strings.IndexByte(good, '\n')+1:]},
		{"a time that is none", strings.Replace(good, "2026-03", "2026-13", 1)},
		{"the name of another", good},
		{"too long", good + strings.Repeat("\n", 100<<10)},
		{"damaged", strings.Replace(good, "MIG", "???", 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			objects := mem.New()
			if err := objects.PutObject(t.Context(), instance.Folder+"/20260304t050607z-0", strings.NewReader(tt.text)); err != nil {
				t.Fatal(err)
			}
			_, err := instance.Open(t.Context(), objects, instance.Options{})
			if !errors.Is(err, instance.ErrFormat) || strings.Contains(err.Error(), "MIG") {
				t.Errorf("Open() = %v, want ErrFormat and nothing of the key", err)
			}
		})
	}
}

// FuzzObject: no object makes Open fail in another way than by an error, and what
// it takes is a key.
func FuzzObject(f *testing.F) {
	objects := mem.New()
	if _, err := instance.Open(context.Background(), objects, instance.Options{Clock: newClock().now}); err != nil {
		f.Fatal(err)
	}
	var name string
	err := objects.ListObjects(context.Background(), instance.Folder, func(n string, _ int64) error {
		body, err := objects.OpenObject(context.Background(), n)
		if err != nil {
			return err
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		name = n
		f.Add(text)
		f.Add(bytes.Replace(text, []byte("created"), []byte("not-after: 2027-01-01T00:00:00Z\ncreated"), 1))
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		objects := mem.New()
		if err := objects.PutObject(t.Context(), name, bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		r, err := instance.Open(t.Context(), objects, instance.Options{})
		if err == nil && r.Signer() == nil {
			t.Errorf("Open of %q gives a ring without a key", text)
		}
	})
}
