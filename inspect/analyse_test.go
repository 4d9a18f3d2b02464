package inspect

import (
	"strings"
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
)

func TestAPanicOfAWorkerIsOneOfItsCaller(t *testing.T) {
	defer func() {
		p, _ := recover().(error)
		if p == nil || !strings.Contains(p.Error(), "too deep") {
			t.Errorf("recover() = %v, want the worker's panic", p)
		}
	}()
	a := &analysis{o: Options{Workers: 3}, b: &wasm.Binary{Size: 1 << 20}}
	a.each(func() { panic("too deep") })
}
