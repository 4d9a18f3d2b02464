//go:build cgo && (linux || darwin)

package engine

import (
	"strings"
	"testing"
)

func TestTextsOfWasmtimeAreShortened(t *testing.T) {
	frame := strings.Repeat("x", 60) + "\n"
	tests := []struct{ name, in, begins, ends string }{
		{"a short one", "one\ntwo\n\x00", "one\ntwo", "one\ntwo"},
		{"the stack of the engine", "one\n\nStack backtrace:\n" + strings.Repeat(frame, 1000), "one", "one"},
		{"many calls", "calls:\n" + strings.Repeat(frame, 16_000) + "\nCaused by:\n    overflow", "calls:\n" + frame, frame + "\nCaused by:\n    overflow"},
		{"a long name", "calls: " + strings.Repeat("x", 1_000_000) + "\n\nCaused by:\n    overflow", "calls: xxx", "\nCaused by:\n    overflow"},
		{"one line", strings.Repeat("x", 1_000_000), "xxx", "xxx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := shorten([]byte(tt.in))
			if !strings.HasPrefix(got, tt.begins) || !strings.HasSuffix(got, tt.ends) || len(got) > textHead+textTail+100 {
				t.Errorf("shorten(%.40q, %d bytes) = %q; want at most %d bytes, from %q to %q", tt.in, len(tt.in), got, textHead+textTail+100,
					tt.begins, tt.ends)
			}
		})
	}
}
