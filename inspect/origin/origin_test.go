package origin

import "testing"

func TestRulesIndex(t *testing.T) {
	if n := len(Rules()); n < 100 || len(things.rules) != n {
		t.Fatalf("%d rules, %d ids; want at least 100, and as many ids", n, len(things.rules))
	}
}
