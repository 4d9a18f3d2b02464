// Package version says which build is running. A release sets the three
// variables with -ldflags "-X …"; any other build is described by what the Go
// tool recorded in it.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// Set by the linker in release builds; see the Makefile.
var (
	version string
	commit  string
	date    string
)

// Info describes a build. Unknown parts are empty, but Version never is.
type Info struct {
	Version  string // "v1.2.3", or "devel"
	Commit   string // revision of the source, with "+dirty" behind it if it was changed
	Date     string // RFC 3339, of the commit
	Go       string // "go1.26.0"
	Platform string // "linux/amd64"
}

// Get describes this build.
var Get = sync.OnceValue(func() Info {
	i := Info{Version: version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if b, ok := debug.ReadBuildInfo(); ok {
		i = complete(i, b)
	}
	if i.Version == "" {
		i.Version = "devel"
	}
	return i
})

// complete fills what the linker was not told from what the Go tool recorded.
func complete(i Info, b *debug.BuildInfo) Info {
	if v := b.Main.Version; i.Version == "" && v != "(devel)" {
		i.Version = v
	}
	var revision, at, dirty string
	for _, s := range b.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.time":
			at = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	if i.Commit == "" && revision != "" {
		i.Commit = revision + dirty
	}
	if i.Date == "" {
		i.Date = at
	}
	return i
}

// String gives one line: version, commit, date, Go and platform.
func (i Info) String() string {
	var s strings.Builder
	s.WriteString(i.Version)
	if i.Commit != "" {
		fmt.Fprintf(&s, " commit %s", i.Commit)
	}
	if i.Date != "" {
		fmt.Fprintf(&s, " of %s", i.Date)
	}
	fmt.Fprintf(&s, " %s %s", i.Go, i.Platform)
	return s.String()
}
