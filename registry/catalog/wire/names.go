package wire

import (
	"fmt"
	"strings"

	"github.com/wreg-project/wreg/artifact/ref"
)

// PackageName writes a repository as a package: "ns/name" is "ns:name". With no
// slash in it a name is one segment of an address.
func PackageName(repository string) string { return strings.ReplaceAll(repository, "/", ":") }

// Repository reads a package's name: "ns:name" is the repository "ns/name". The
// error wraps ref.ErrName.
func Repository(name string) (string, error) {
	if strings.Contains(name, "/") {
		return "", fmt.Errorf("%w: a package is written with : between its parts", ref.ErrName)
	}
	repo := strings.ReplaceAll(name, ":", "/")
	if err := ref.CheckName(repo); err != nil {
		return "", err
	}
	return repo, nil
}
