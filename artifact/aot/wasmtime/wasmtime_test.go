//go:build linux && (amd64 || arm64)

package wasmtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/artifact/variant/host"
	"github.com/wreg-project/wreg/internal/sandbox"
)

var empty = []byte("\x00asm\x01\x00\x00\x00")

// job is that of compiling a file.
func job(t *testing.T, file []byte, target string) aot.Job {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "in.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(file); err != nil {
		t.Fatal(err)
	}
	parsed, err := variant.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return aot.Job{Wasm: f, Size: int64(len(file)), Digest: digest.FromBytes(file), Target: parsed}
}

// faulty is the compiler with a fake engine.
func faulty(t *testing.T, fault string) *Compiler {
	t.Helper()
	c := New(fakeEngine(t, fault))
	c.optimising, c.fast = 20*time.Second, 20*time.Second
	if strings.HasPrefix(fault, "hangs") {
		c.optimising, c.fast = 2*time.Second, 4*time.Second
	}
	return c
}

func TestCompilePassesOnTheCodeAndSaysWhatItIs(t *testing.T) {
	for fault, tier := range map[string]aot.Tier{"no fault": aot.Optimising, "hangs when optimising": aot.Fast} {
		c := faulty(t, fault)
		if fault == "hangs when optimising" {
			c.fast = 20 * time.Second
		}
		c.BuilderID = "https://ci.example/worker"
		var out bytes.Buffer
		got, err := c.Compile(context.Background(), job(t, empty, "linux/amd64/v2"), &out)
		if err != nil {
			t.Fatalf("%s: Compile = %v", fault, err)
		}
		code := object{machine: machineAMD64, flags: flagModule, engine: map[aot.Tier]string{aot.Optimising: "engine", aot.Fast: "fast engine"}[tier]}.bytes()
		want := &aot.Config{
			Source:   aot.Source{Digest: digest.FromBytes(empty), Size: 8},
			Compiler: aot.By{Runtime: "wasmtime", Version: "39.0.1", Engine: "cranelift", Tier: tier, Profile: aot.Profile},
			Target:   aot.Made{Platform: "linux/amd64/v2", Triple: "x86_64-unknown-linux-gnu", ISAFlags: []string{"has_popcnt"}},
			CompatID: idOf("engine"),
			Output:   aot.Source{Digest: digest.FromBytes(code), Size: int64(len(code))},
			Builder:  &aot.Builder{ID: "https://ci.example/worker", Platform: host.Target().String()},
		}
		if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(out.Bytes(), code) {
			t.Errorf("%s: Compile wrote %d bytes, of %d, and its config differs (-want +got):\n%s", fault, out.Len(), len(code), diff)
		}
		if err := got.Check(); err != nil {
			t.Errorf("%s: the config is refused: %v", fault, err)
		}
	}
}

func TestAJobForOneTierIsCompiledByNoOther(t *testing.T) {
	for _, tt := range []struct {
		name, fault string
		tier        aot.Tier
		err         error
	}{
		{name: "the fast one", fault: "no fault", tier: aot.Fast},
		{name: "the fast one, where the other would take too long", fault: "hangs when optimising", tier: aot.Fast},
		{name: "the optimising one", fault: "no fault", tier: aot.Optimising},
		{name: "the optimising one, which takes too long", fault: "hangs when optimising", tier: aot.Optimising, err: aot.ErrLimit},
		{name: "one that is none", fault: "no fault", tier: "best", err: aot.ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := faulty(t, tt.fault)
			if tt.tier == aot.Fast {
				c.fast = 20 * time.Second
			}
			j := job(t, empty, "linux/amd64/v2")
			j.Tier = tt.tier
			var out bytes.Buffer
			got, err := c.Compile(t.Context(), j, &out)
			if !errors.Is(err, tt.err) || err == nil && got.Compiler.Tier != tt.tier || err != nil && out.Len() > 0 {
				t.Errorf("Compile() by the tier %q = %+v, %d bytes, %v; want that tier or %v", tt.tier, got, out.Len(), err, tt.err)
			}
		})
	}
}

func TestWhatGoesWrongIsAnErrorOfTheJob(t *testing.T) {
	tests := []struct {
		fault string
		want  error
		text  string // in the error
	}{
		{"hangs", aot.ErrLimit, "compile for linux/amd64/v2, fast: "},
		{"hangs", sandbox.ErrTimeout, "out of time after 4s"},
		{"panics", aot.ErrCrashed, "panic: index out of range"},
		{"aborts", aot.ErrCrashed, "panicked at src/lib.rs"},
		{"runs out of memory", aot.ErrLimit, "memory allocation of 12884901888 bytes failed"},
		{"floods", aot.ErrLimit, "too much output: more than 1048896 bytes"},
		{"floods standard error", aot.ErrCrashed, "it ended with status 1"},
		{"garbage", aot.ErrCrashed, "not code of wasmtime: it does not begin"},
		{"nothing", aot.ErrCrashed, "not code of wasmtime: it does not begin"},
		{"a component", aot.ErrCrashed, "it made something else: {Kind:component"},
		{"code of another CPU", aot.ErrCrashed, "Arch:arm64"},
		{"code of another level", aot.ErrCrashed, idOf("engine of v1")},
		{"refuses", aot.ErrInput, "invalid module"},
		{"too large", aot.ErrLimit, "too large"},
		{"cannot", aot.ErrUnsupported, "no such target"},
		{"says that it crashed", aot.ErrCrashed, "internal error"},
		{"says nothing", aot.ErrCrashed, "status 1"},
		{"another protocol", wire.ErrProtocol, "speaks protocol 9"},
		{"no answer", wire.ErrProtocol, "different releases"},
		{"no engine", nil, "built without cgo"},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			var out bytes.Buffer
			_, err := faulty(t, tt.fault).Compile(context.Background(), job(t, empty, "linux/amd64/v2"), &out)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Compile = %v, want %v with %q", err, tt.want, tt.text)
			}
			if out.Len() > 0 || len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "backtrace") {
				t.Errorf("Compile wrote %d bytes and says %q; want nothing written and one short line", out.Len(), err)
			}
		})
	}
}

func TestAnEngineThatDoesNotConfineItselfGetsNoInput(t *testing.T) {
	c := faulty(t, "unconfined")
	c.optimising = time.Second
	_, err := c.Compile(context.Background(), job(t, empty, "linux/amd64/v2"), io.Discard)
	if !errors.Is(err, sandbox.ErrUnconfined) {
		t.Errorf("Compile = %v, want %v", err, sandbox.ErrUnconfined)
	}
}

func TestWhatIsRefusedBeforeAnEngineSeesIt(t *testing.T) {
	changed := job(t, []byte("\x00asm\x01\x00\x00\x01"), "linux/amd64/v2")
	changed.Digest = digest.FromBytes(empty)
	long := job(t, empty, "linux/amd64/v2")
	long.Size = 9
	large := job(t, empty, "linux/amd64/v2")
	large.Size = aot.MaxInput + 1
	for _, tt := range []struct {
		name string
		job  aot.Job
		want error
	}{
		{"an invalid module", job(t, []byte("\x00asm\x01\x00\x00\x00\xff"), "linux/amd64/v2"), aot.ErrInput},
		{"a module of another digest", changed, aot.ErrInput},
		{"a file that is too short", long, io.ErrUnexpectedEOF},
		{"a file that is too long", large, aot.ErrLimit},
		{"a CPU that is better than this one", job(t, empty, "linux/amd64/v3"), aot.ErrUnsupported},
		{"another system", job(t, empty, "darwin/arm64"), aot.ErrUnsupported},
	} {
		// An engine that would say something else.
		if _, err := faulty(t, "panics").Compile(context.Background(), tt.job, io.Discard); !errors.Is(err, tt.want) {
			t.Errorf("%s: Compile = %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestACancelledCompilationEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := faulty(t, "hangs")
	if _, err := IDs(ctx, c.path); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := c.Compile(ctx, job(t, empty, "linux/amd64/v2"), io.Discard); !errors.Is(err, context.Canceled) || errors.Is(err, aot.ErrLimit) {
		t.Errorf("Compile = %v, want %v", err, context.Canceled)
	}
}

func TestSupportSaysWhyNot(t *testing.T) {
	for _, tt := range []struct{ qemu, arm64, want string }{
		{"", "", "needs a worker on such a machine, or here qemu-user-static and wpkg-engine-arm64"},
		{"/usr/bin/qemu", "", "needs a worker on such a machine, or wpkg-engine-arm64 beside wpkg-engine"},
	} {
		c := faulty(t, "no fault")
		c.Qemu, c.Arm64 = tt.qemu, tt.arm64
		s, err := c.Support(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, s := range s.Targets {
			fmt.Fprintf(&got, "%s: %s\n", s.Target, s.Why)
		}
		want := "linux/amd64/v1: \nlinux/amd64/v2: \nlinux/amd64/v3: this CPU is v2\nlinux/arm64: " + tt.want + "\npulley64: \n" +
			"darwin/amd64/v1: needs a worker on such a machine\ndarwin/arm64: needs a worker on such a machine\n" +
			"windows/amd64/v1: needs a worker on such a machine\n"
		if s.Version != "39.0.1" || s.Path != c.path || got.String() != want {
			t.Errorf("Support of %s %s:\n%swant\n%s", s.Path, s.Version, got.String(), want)
		}
	}
}

func TestTheEngineIsFound(t *testing.T) {
	path := fakeEngine(t, "no fault")
	t.Setenv(Variable, "")
	t.Setenv("PATH", "")
	if got, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("Find = %q, %v; want %v", got, err, ErrNotInstalled)
	}
	t.Setenv("PATH", ".:"+filepath.Dir(path))
	if got, err := Find(); err != nil || got != path {
		t.Errorf("Find = %q, %v; want %s from PATH", got, err, path)
	}
	other := fakeEngine(t, "other")
	t.Setenv(Variable, other)
	if got, err := Find(); err != nil || got != other {
		t.Errorf("Find = %q, %v; want %s from %s", got, err, other, Variable)
	}
	t.Setenv(Variable, "/nonexistent")
	if got, err := Find(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), Variable) {
		t.Errorf("Find = %q, %v; want an error that names %s", got, err, Variable)
	}
	t.Setenv(Variable, "")
	t.Chdir(filepath.Dir(path))
	t.Setenv("PATH", ".")
	if got, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("Find = %q, %v; want none from the working folder", got, err)
	}
}

func TestTimeGrowsWithTheCode(t *testing.T) {
	c := &Compiler{}
	for _, tt := range []struct {
		tier     aot.Tier
		code     int64
		emulator string
		want     time.Duration
	}{
		{aot.Optimising, 0, "", 30 * time.Second},
		{aot.Optimising, 1_000_000, "", 40 * time.Second},
		{aot.Optimising, aot.MaxCode, "", 300 * time.Second},
		{aot.Optimising, 1_000_000, "qemu", 400 * time.Second},
		{aot.Fast, aot.MaxCode, "", 30 * time.Second},
	} {
		w := &work{counts: aot.Counts{Code: tt.code}, program: program{emulator: tt.emulator}}
		if got := c.limit(tt.tier, w); got != tt.want {
			t.Errorf("limit(%s) of %d bytes %s = %v, want %v", tt.tier, tt.code, tt.emulator, got, tt.want)
		}
	}
}
