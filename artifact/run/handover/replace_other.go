//go:build !unix

package handover

import (
	"errors"
	"os"
)

// errNoExec is of systems on which a process cannot become another one.
var errNoExec = errors.New("packages are run on Unix systems alone")

func inherit(*os.File) (name string, err error) { return "", errNoExec }

func replace(string, []string, []string) error { return errNoExec }
