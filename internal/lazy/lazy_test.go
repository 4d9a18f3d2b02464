package lazy

import "testing"

func TestRegexp(t *testing.T) {
	re := Regexp(`^\d+$`)
	if a, b := re(), re(); a != b || !a.MatchString("12") || a.MatchString("x") {
		t.Fatalf("Regexp gives %v and then %v; want one that matches digits", a, b)
	}
	broken := Regexp(`(`) // not yet
	defer func() {
		if recover() == nil {
			t.Fatal("the first use of what is no regular expression goes well; want a panic")
		}
	}()
	broken()
}
