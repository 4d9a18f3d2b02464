// Package handover gives a run to the program with the engine. It depends on next
// to nothing, since packages that are known start with it.
package handover

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strconv"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
)

// Start runs code, which is open, by the engine at a path, with args behind those
// of the Spec. The engine takes the place of this process, so that signals, the
// terminal and the exit status are the program's own: Start returns only if it
// could not be started, as on systems where a process cannot become another one.
//
// The code is handed over open, so that pruning a cache meanwhile takes nothing
// away; its name in the Spec is set here.
func Start(engine string, s wire.Spec, code *os.File, args []string) error {
	s.Code = code.Name()
	if name, err := inherit(code); err != nil {
		return err
	} else if name != "" {
		s.Code = name
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(text) > wire.MaxSpec {
		return fmt.Errorf("the grants take %d bytes; at most %d can be handed over", len(text), wire.MaxSpec)
	}
	spec, err := hidden(text)
	if err != nil {
		return err
	}
	argv := append([]string{path.Base(engine), "run", "--spec-fd", strconv.Itoa(int(spec.Fd())), "--"}, args...)
	if _, err := inherit(spec); err != nil {
		return err
	}
	return replace(engine, argv, os.Environ())
}

// hidden is an open file with a text in it and without a name.
func hidden(text []byte) (*os.File, error) {
	f, err := os.CreateTemp("", "wpkg-run-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	if _, err := f.Write(text); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, 0)
	return f, err
}
