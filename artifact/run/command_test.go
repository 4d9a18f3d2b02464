package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

func commands(t *testing.T) *Commands {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	c, err := OpenCommands()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func install(t *testing.T, c *Commands, name, code string, at time.Time) *Command {
	t.Helper()
	cmd := &Command{
		Name: name, Asked: "demo:" + name, Grants: Grants{Dirs: []wire.Dir{{Host: "/data", Guest: "/"}}}, Installed: at,
		Run: wire.Spec{Kind: wire.Module, Target: "linux/amd64/v3"},
	}
	if err := c.Put(cmd, strings.NewReader(code)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestCommandsAreInstalledReplacedAndRemoved(t *testing.T) {
	c := commands(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	first := install(t, c, "hello", "first code", now)
	second := install(t, c, "hello", "second code", now.Add(time.Second))
	other := install(t, c, "grep", "other code", now)

	got, err := c.Get("hello")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(second, got); diff != "" {
		t.Errorf("Get (-want +got):\n%s", diff)
	}
	if code, err := os.ReadFile(got.Run.Code); err != nil || string(code) != "second code" {
		t.Errorf("its code is %q, %v", code, err)
	}
	if _, err := os.Stat(first.Run.Code); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the code of before is still there: %v", err)
	}
	f, err := os.Open(c.record("hello"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := wire.ReadCommand(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if spec.Code != got.Run.Code || len(spec.Dirs) != 1 || spec.Args[0] != "hello" {
		t.Errorf("the engine reads %+v", spec)
	}
	list, err := c.List()
	if err != nil || len(list) != 2 || list[0].Name != "grep" {
		t.Errorf("List = %v, %v; want grep and hello", list, err)
	}
	if err := c.Remove(got); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get("hello"); !errors.Is(err, ErrNoCommand) {
		t.Errorf("Get after Remove = %v; want ErrNoCommand", err)
	}
	if left, err := os.ReadDir(c.dir); err != nil || len(left) != 2 {
		t.Errorf("%v is left, %v; want the two files of %s", left, err, other.Name)
	}
}

func TestNamesOfCommandsStayInTheirFolder(t *testing.T) {
	for _, name := range []string{"hello", "hello-2.0", "g++", "a_b"} {
		if err := CheckCommand(name); err != nil {
			t.Errorf("CheckCommand(%q) = %v", name, err)
		}
	}
	c := commands(t)
	for _, name := range []string{"", ".", "..", "../hello", "a/b", "-rf", ".hidden", "a b", "wpkg", "wpkg-engine", "ä", strings.Repeat("a", 101)} {
		if err := CheckCommand(name); err == nil {
			t.Errorf("CheckCommand(%q) allows it", name)
		}
		if _, err := c.Get(name); err == nil || errors.Is(err, ErrNoCommand) {
			t.Errorf("Get(%q) = %v; want the name refused", name, err)
		}
		if err := c.Put(&Command{Name: name}, strings.NewReader("code")); err == nil {
			t.Errorf("Put allows the name %q", name)
		}
	}
}

func TestRemoveTakesNothingOutsideOfTheFolder(t *testing.T) {
	c := commands(t)
	cmd := install(t, c, "hello", "code", time.Now())
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Run.Code = precious
	if err := c.Remove(cmd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestCodeThatNoRecordNamesGoes(t *testing.T) {
	c := commands(t)
	install(t, c, "hello", "code", time.Now())
	old := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{
		"hello-1.cwasm": old, ".other-2.cwasm.x.tmp": old, "other-3.cwasm": time.Now(), "notes": old,
	} {
		file := filepath.Join(c.dir, name)
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	named := install(t, c, "grep", "code", old)
	if err := os.Chtimes(named.Run.Code, old, old); err != nil {
		t.Fatal(err)
	}
	hello, err := c.Get("hello")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(hello); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{filepath.Base(named.Run.Code), "grep.json", "notes", "other-3.cwasm"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

func TestDamagedRecordsAreToldAndReplaced(t *testing.T) {
	c := commands(t)
	install(t, c, "hello", "code", time.Now())
	for name, text := range map[string]string{
		"cut short": `{"name":"hello"`, "of another": `{"name":"grep"}`, "huge": strings.Repeat(" ", maxCommand+1), "twice": `{"name":"hello","name":"grep"}`,
	} {
		if err := os.WriteFile(c.record("hello"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get("hello"); err == nil || errors.Is(err, ErrNoCommand) {
			t.Errorf("Get of a record that is %s = %v; want an error that says so", name, err)
		}
		if list, err := c.List(); err == nil || len(list) > 0 {
			t.Errorf("List with a record that is %s = %v, %v; want the error", name, list, err)
		}
	}
	install(t, c, "hello", "code", time.Now())
	if _, err := c.Get("hello"); err != nil {
		t.Error(err)
	}
}

func TestAFolderThatOthersCanWriteToHasNoCommands(t *testing.T) {
	c := commands(t)
	if err := os.Chmod(c.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCommands(); err == nil || !strings.Contains(err.Error(), "others can write") {
		t.Errorf("OpenCommands = %v; want it refused", err)
	}
}
