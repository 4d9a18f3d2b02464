package hostile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wreg-project/wreg/inspect/wasm"
)

// The bounds of the design, for each call.
const (
	perByte  = 4           // bytes of memory in use for each byte of input
	anyway   = 1 << 20     // bytes of memory besides
	perMiB   = time.Second // of CPU
	cpuFloor = 1 << 20     // bytes that an input counts for at least: a process has other things to do, too
)

// A reader is something that takes a binary apart. It gives the error that
// refused it.
type reader struct {
	name string
	read func(bin []byte) error
}

// readers lists them.
func readers() []reader {
	return []reader{{"decode", decode}, {"validate", validate}, {"report", report}}
}

// decode reads everything that can be read without judging it: every
// instruction, segment and name.
func decode(bin []byte) error {
	b, err := wasm.Parse(bin)
	if err != nil {
		return err
	}
	return decodeCode(b)
}

func decodeCode(b *wasm.Binary) error {
	if b.Component != nil {
		for _, list := range [][]*wasm.Binary{b.Component.Modules, b.Component.Components} {
			for _, inner := range list {
				if err := decodeCode(inner); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var code wasm.Code
	var in wasm.Instr
	for _, body := range b.Module.Code {
		code.Reset(b, body)
		for code.Next(&in) {
			if in.End <= in.Offset {
				return errors.New("an instruction of no bytes")
			}
		}
		if err := code.Err(); err != nil {
			return err
		}
	}
	return nil
}

func validate(bin []byte) error {
	b, err := wasm.Parse(bin)
	if err != nil {
		return err
	}
	_, err = wasm.Validate(b)
	return err
}

// refusal checks that an error says at which byte.
func refusal(t *testing.T, err error, size int) {
	t.Helper()
	var at *wasm.Error
	if !errors.As(err, &at) {
		t.Errorf("it was refused with %v, want a *wasm.Error", err)
	} else if at.Offset < 0 || at.Offset > int64(size) {
		t.Errorf("it was refused at byte %d of %d: %v", at.Offset, size, err)
	}
}

// A charge is how large a bomb is made.
type charge struct {
	size int // about so many bytes

	// padding is how many times its own size of nothing it is wrapped in: a
	// decoder that refuses what is too dense may let the same through then.
	padding int
}

func charges() []charge {
	if testing.Short() {
		return []charge{{16 << 10, 0}}
	}
	return []charge{{64 << 10, 0}, {1 << 20, 0}, {1 << 20, 1}, {1 << 20, 4}, {1 << 20, 12}}
}

// of makes the bomb.
func (c charge) of(b Bomb) []byte { return Padded(b.Make(c.size/(1+c.padding)), c.padding) }

func TestBombs(t *testing.T) {
	prepare()
	for _, bomb := range Bombs() {
		t.Run(bomb.Name, func(t *testing.T) {
			last := -1
			for _, c := range charges() {
				bin := c.of(bomb)
				if len(bin) == last || c.padding > 0 && len(bin) < c.size/2 {
					continue // its size is in its nature
				}
				last = len(bin)
				for _, r := range readers() {
					explode(t, bomb, c, bin, r)
				}
			}
		})
	}
}

func explode(t *testing.T, bomb Bomb, size charge, bin []byte, r reader) {
	t.Helper()
	var err error
	c := costOf(t, func() { err = r.read(bin) })
	if err != nil {
		refusal(t, err, len(bin))
	}
	if err == nil && bomb.Refused && r.name == "validate" {
		t.Errorf("%s of %d bytes: taken for valid", r.name, len(bin))
	}
	// The race detector, for which the tests run short, costs more than any bound.
	if testing.Short() {
		return
	}
	if limit := time.Duration(max(len(bin), cpuFloor)) * perMiB / (1 << 20); c.cpu > limit {
		t.Errorf("%s of %d bytes: %v of CPU, want at most %v (%v)", r.name, len(bin), c.cpu, limit, err)
	}
	limit := int64(perByte*len(bin) + anyway)
	if c.allocated <= limit {
		return
	}
	if n := peak(t, fmt.Sprintf("%s|%s|%d|%d", bomb.Name, r.name, size.size, size.padding)); n > limit {
		t.Errorf("%s of %d bytes, %d of %d padding: %d bytes in use, %.1f for each, want at most %d (%v)",
			r.name, len(bin), size.padding, size.padding+1, n, float64(n)/float64(len(bin)), limit, err)
	}
}

// prepare has the readers make what they make once, such as tables of rules,
// which is not the input's.
func prepare() {
	for _, r := range readers() {
		for _, bin := range [][]byte{Sound(), SoundComponent()} {
			_ = r.read(bin) // TestSoundIsSound looks at the error
		}
	}
}

// measured finds the case of a name, for the process that measures its peak.
func measured(what string) (func(), error) {
	if what == "sample" {
		return sample, nil
	}
	parts := strings.Split(what, "|")
	for _, b := range Bombs() {
		for _, r := range readers() {
			if len(parts) == 4 && b.Name == parts[0] && r.name == parts[1] {
				size, err := strconv.Atoi(parts[2])
				padding, err2 := strconv.Atoi(parts[3])
				bin := charge{size, padding}.of(b)
				prepare()
				// Its error is the other process's.
				return func() { _ = r.read(bin) }, errors.Join(err, err2)
			}
		}
	}
	return nil, fmt.Errorf("no case %q", what)
}

// sound gives the binaries that are damaged, by name.
func sound(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"module": Sound(), "component": SoundComponent()}
	for name, path := range map[string]string{"component of a compiler": "../../../inspect/testdata/app.component.wasm"} {
		b, err := os.ReadFile(filepath.FromSlash(path))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	return files
}

func TestSoundIsSound(t *testing.T) {
	for name, bin := range sound(t) {
		for _, r := range readers() {
			if err := r.read(bin); err != nil {
				t.Errorf("%s of the %s: %v", r.name, name, err)
			}
		}
	}
}

// Whatever part of a file is missing or changed, the readers end without
// panicking, and say where they stopped.
func TestDamage(t *testing.T) {
	for name, bin := range sound(t) {
		t.Run(name, func(t *testing.T) {
			// Short tests, for the race detector, look at some places only.
			step := 1
			if testing.Short() {
				step = 1 + len(bin)/32
			}
			for _, r := range readers() {
				cuts := 0
				for n, b := range Truncations(bin) {
					if n%step == 0 {
						cuts++
						damaged(t, r, b, "cut to", n)
					}
				}
				for bit, b := range Flips(bin, step) {
					damaged(t, r, b, "with bit turned", bit)
				}
				for i, b := range Replacements(bin) {
					if i%step == 0 {
						damaged(t, r, b, "with byte replaced", i)
					}
				}
				if cuts < len(bin)/step {
					t.Errorf("%s saw %d truncations of %d bytes", r.name, cuts, len(bin))
				}
			}
		})
	}
}

func damaged(t *testing.T, r reader, bin []byte, how string, at int) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s, %s %d, panics: %v", r.name, how, at, p)
		}
	}()
	if err := r.read(bin); err != nil {
		refusal(t, err, len(bin))
		if t.Failed() {
			t.Fatalf("%s, %s %d", r.name, how, at)
		}
	}
}
