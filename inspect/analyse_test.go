package inspect

import (
	"strings"
	"testing"
)

func TestAPanicOfAWorkerIsOneOfItsCaller(t *testing.T) {
	defer func() {
		p, _ := recover().(error)
		if p == nil || !strings.Contains(p.Error(), "too deep") {
			t.Errorf("recover() = %v, want the worker's panic", p)
		}
	}()
	Options{Workers: 3}.each(func() { panic("too deep") })
}
