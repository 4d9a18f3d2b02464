package variant

import "testing"

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
