package version

import (
	"runtime/debug"
	"testing"
)

func TestString(t *testing.T) {
	recorded := &debug.BuildInfo{
		Main: debug.Module{Version: "v0.3.0"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123abc"},
			{Key: "vcs.time", Value: "2026-01-02T03:04:05Z"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	tests := []struct {
		name  string
		in    Info
		build *debug.BuildInfo
		want  string
	}{
		{
			name:  "the linker's words win",
			in:    Info{Version: "v1.0.0", Commit: "feed", Date: "2026-05-05T00:00:00Z", Go: "go1.26", Platform: "linux/amd64"},
			build: recorded,
			want:  "v1.0.0 commit feed of 2026-05-05T00:00:00Z go1.26 linux/amd64",
		},
		{
			name:  "the Go tool fills the gaps",
			in:    Info{Go: "go1.26", Platform: "linux/amd64"},
			build: recorded,
			want:  "v0.3.0 commit 0123abc+dirty of 2026-01-02T03:04:05Z go1.26 linux/amd64",
		},
		{
			name:  "a build from a plain folder names no commit",
			in:    Info{Version: "devel", Go: "go1.26", Platform: "linux/arm64"},
			build: &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			want:  "devel go1.26 linux/arm64",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := complete(tt.in, tt.build).String(); got != tt.want {
				t.Errorf("complete(%+v).String() = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	if Get().Version == "" {
		t.Error("Get().Version is empty, want at least devel")
	}
}
