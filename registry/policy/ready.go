package policy

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed ready/*.yaml
var readyFiles embed.FS

// A ReadyPolicy is one of the policies that come with wreg.
type ReadyPolicy struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Source      []byte `json:"-"`
}

// Ready are the policies that come with wreg, by name. Each can be used as it is.
func Ready() []ReadyPolicy {
	names, err := fs.Glob(readyFiles, "ready/*.yaml")
	if err != nil {
		panic("policy: " + err.Error()) // of the pattern above
	}
	var list []ReadyPolicy
	for _, name := range names {
		source, err := readyFiles.ReadFile(name)
		if err != nil {
			panic("policy: " + err.Error()) // of a file that is in the binary
		}
		p, err := Parse(source)
		if err != nil {
			panic("policy: " + name + ": " + err.Error()) // which the tests meet
		}
		list = append(list, ReadyPolicy{
			Name: strings.TrimSuffix(strings.TrimPrefix(name, "ready/"), ".yaml"), Description: strings.TrimSpace(p.Description), Source: source,
		})
	}
	return list
}
