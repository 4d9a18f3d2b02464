package main

import "testing"

func TestRoffIsText(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"a hyphen is one that can be copied", "a-b", `a\-b`},
		{"a backslash is no escape", `C:\fB`, `C:\efB`},
		{"a line is no request", "first\n.so /etc/passwd\n'nf", "first\n\\&.so /etc/passwd\n\\&'nf"},
		{"a dot within a line is one", "  a .b  ", "a .b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := roff(tt.in); got != tt.want {
				t.Errorf("roff(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}
