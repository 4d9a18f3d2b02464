package variant_test

import (
	"testing"

	"github.com/wreg-project/wreg/artifact/variant"
)

func TestTargetsAreReadAndWritten(t *testing.T) {
	for in, want := range map[string]string{
		"linux/amd64":    "linux/amd64/v1",
		"linux/amd64/v3": "linux/amd64/v3",
		"linux/arm64":    "linux/arm64",
		"pulley64":       "pulley64",
	} {
		got, err := variant.Parse(in)
		if err != nil || got.String() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "linux", "linux/", "linux/amd64/", "linux/amd64/v4", "linux/amd64/v3/x", "linux/arm64/v8", "pulley32", "/pulley64", "plan9/amd64",
	} {
		if got, err := variant.Parse(in); err == nil {
			t.Errorf("Parse(%q) = %v; want an error", in, got)
		}
	}
}

func TestCodeRunsOnItsOwnMachinesAndBetterOnes(t *testing.T) {
	parse := func(s string) variant.Target {
		got, err := variant.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		code, host string
		want       bool
	}{
		{"linux/amd64/v1", "linux/amd64/v1", true},
		{"linux/amd64/v2", "linux/amd64/v3", true},
		{"linux/amd64/v3", "linux/amd64/v2", false},
		{"linux/arm64", "linux/amd64/v3", false},
		{"darwin/arm64", "linux/arm64", false},
		{"linux/arm64", "linux/arm64", true},
		{"pulley64", "linux/arm64", true},
	} {
		if got := parse(c.code).RunsOn(parse(c.host)); got != c.want {
			t.Errorf("%s.RunsOn(%s) = %v, want %v", c.code, c.host, got, c.want)
		}
	}
}
