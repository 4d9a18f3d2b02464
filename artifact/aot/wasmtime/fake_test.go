//go:build linux && (amd64 || arm64)

package wasmtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/internal/sandbox"
)

// This test program is a wpkg-engine with faults if it is started by that name.
// Which fault is the name of the folder it is started in.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == Program {
		os.Exit(fake(filepath.Base(filepath.Dir(os.Args[0])), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// fakeEngine gives the path of one with a fault.
func fakeEngine(t *testing.T, fault string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), fault, Program)
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeIDs is what it says it can do.
var fakeIDs = wire.IDs{
	Protocol: wire.Protocol, Version: "v0.0.0", Wasmtime: "39.0.1", Host: "linux/amd64/v2",
	Targets: []wire.Support{
		{Target: "linux/amd64/v2", Triple: "x86_64-unknown-linux-gnu", ISAFlags: []string{"has_popcnt"}, CompatID: idOf("engine"), FastID: idOf("fast engine")},
		{Target: "linux/amd64/v1", Triple: "x86_64-unknown-linux-gnu", CompatID: idOf("engine of v1")},
		{Target: "pulley64", Triple: "pulley64", CompatID: idOf("pulley")},
	},
}

func idOf(engine string) string {
	sum := sha256.Sum256([]byte(engine))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func fake(fault string, args []string) int {
	if args[0] == "ids" {
		return fakeAnswer(fault)
	}
	if fault != "unconfined" {
		if _, err := sandbox.Enter(sandbox.Rules{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	in, err := io.ReadAll(os.Stdin)
	if err != nil || !bytes.HasPrefix(in, []byte("\x00asm")) {
		fmt.Fprintln(os.Stderr, "no input", err)
		return 1
	}
	return fakeCompile(fault, args[len(args)-1])
}

func fakeAnswer(fault string) int {
	ids := fakeIDs
	switch fault {
	case "another protocol":
		ids.Protocol = 9
	case "no answer":
		fmt.Println("hello")
		return 0
	case "no engine":
		fmt.Fprintln(os.Stderr, "wpkg-engine: built without cgo")
		return 1
	}
	json.NewEncoder(os.Stdout).Encode(ids)
	return 0
}

func fakeCompile(fault, tier string) int {
	fail := func(kind, text string) int {
		json.NewEncoder(os.Stderr).Encode(wire.Failure{Kind: kind, Text: text})
		return 1
	}
	o := object{machine: machineAMD64, flags: flagModule, engine: "engine"}
	if tier == "fast" {
		o.engine = "fast engine"
	}
	switch fault {
	case "hangs":
		select {}
	case "hangs when optimising":
		if tier == "optimising" {
			os.Stdout.Write(make([]byte, 100<<10)) // of which nothing may stay
			select {}
		}
	case "panics":
		panic("index out of range")
	case "aborts":
		fmt.Fprintln(os.Stderr, "thread '<unnamed>' panicked at src/lib.rs:1:\nno such target")
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case "runs out of memory":
		fmt.Fprintln(os.Stderr, "memory allocation of 12884901888 bytes failed")
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case "floods":
		for {
			os.Stdout.Write(make([]byte, 64<<10))
		}
	case "floods standard error":
		for range 100 {
			os.Stderr.Write(bytes.Repeat([]byte("\x1b[31mno\n"), 10_000))
		}
		return 1
	case "garbage":
		fmt.Println("hello")
		return 0
	case "nothing":
		return 0
	case "a component":
		o.flags = flagComponent
	case "code of another CPU":
		o.machine = machineARM64
	case "code of another level":
		o.engine = "engine of v1"
	case "refuses":
		return fail(wire.Input, "invalid\nmodule\x1b[31m\n\nStack backtrace:\n 0: main")
	case "too large":
		return fail(wire.Limit, "too large")
	case "cannot":
		return fail(wire.Unsupported, "no such target")
	case "says that it crashed":
		return fail(wire.Crash, "internal error")
	case "says nothing":
		return 1
	}
	os.Stdout.Write(o.bytes())
	return 0
}

// The parts of ELF that an object has.
const (
	headerSize  = 64
	sectionSize = 64

	flagModule    = 1
	flagComponent = 2

	machineAMD64 = 62
	machineARM64 = 183

	engineSection = ".wasmtime.engine"
)

// object is a file such as wasmtime writes.
type object struct {
	machine uint16
	flags   uint32
	engine  string
}

func (o object) bytes() []byte {
	names := "\x00" + engineSection + "\x00.shstrtab\x00"
	h := make([]byte, headerSize)
	copy(h, "\x7fELF\x02\x01\x01\xc8")
	le := binary.LittleEndian
	le.PutUint16(h[52:], headerSize)
	le.PutUint16(h[18:], o.machine)
	le.PutUint64(h[40:], uint64(headerSize+len(o.engine)+len(names)))
	le.PutUint32(h[48:], o.flags)
	le.PutUint16(h[58:], sectionSize)
	le.PutUint16(h[60:], 3)
	le.PutUint16(h[62:], 2)
	b := append(append(h, o.engine...), names...)
	section := func(name uint32, off, size int) {
		e := make([]byte, sectionSize)
		le.PutUint32(e, name)
		le.PutUint64(e[24:], uint64(off))
		le.PutUint64(e[32:], uint64(size))
		b = append(b, e...)
	}
	section(0, 0, 0)
	section(1, headerSize, len(o.engine))
	section(uint32(len(engineSection)+2), headerSize+len(o.engine), len(names))
	return b
}
