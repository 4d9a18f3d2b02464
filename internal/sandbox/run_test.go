package sandbox_test

import (
	"strings"
	"testing"
)

func TestAChildComputesItsOutputFromItsInput(t *testing.T) {
	c := command(t, "copy")
	c.In = strings.NewReader("hello")
	out, u, err := run(t, c)
	if err != nil || out != "hello" {
		t.Fatalf("Run = %q, %+v, %v; want hello", out, u, err)
	}
	if m := u.Measures; !m.Calls || !m.Privileges || !m.Limits {
		t.Errorf("measures %+v", m)
	}
	t.Logf("%+v", u)
}
