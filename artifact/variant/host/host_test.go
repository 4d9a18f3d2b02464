package host

import (
	"runtime"
	"testing"

	"github.com/wreg-project/wreg/artifact/variant"
)

func TestLevelNeedsAllBelowIt(t *testing.T) {
	for f, want := range map[features]string{
		{}:                   "v1",
		{v2: true}:           "v2",
		{v3: true}:           "v1", // as of a virtual machine that hides SSE4
		{v2: true, v3: true}: "v3",
	} {
		if got := level(f); got != want {
			t.Errorf("level(%+v) = %s; want %s", f, got, want)
		}
	}
}

func TestTargetIsThisMachine(t *testing.T) {
	got := Target()
	if got.OS != runtime.GOOS || got.Arch != runtime.GOARCH || (got.Level != "") != (got.Arch == "amd64") || !got.RunsOn(got) {
		t.Errorf("Target() = %+v; want %s/%s, with a level on amd64 alone", got, runtime.GOOS, runtime.GOARCH)
	}
	if runtime.GOARCH == "amd64" {
		base := variant.Target{OS: runtime.GOOS, Arch: "amd64", Level: "v1"}
		if !base.RunsOn(got) {
			t.Errorf("%s runs on %s = false; want true", base, got)
		}
	}
}
