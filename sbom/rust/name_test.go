package rust

import "testing"

func TestSplitDirectory(t *testing.T) {
	tests := []struct {
		dir           string
		name, version string
		ok            bool
	}{
		{"serde-1.0.219", "serde", "1.0.219", true},
		{"md-5-0.10.6", "md-5", "0.10.6", true},
		{"base64-0.21.7", "base64", "0.21.7", true},
		{"x-2-1.0.0", "x-2", "1.0.0", true},
		{"toml_edit-0.25.18+spec-1.1.0", "toml_edit", "0.25.18+spec-1.1.0", true},
		{"zstd-sys-2.0.9+zstd.1.5.5", "zstd-sys", "2.0.9+zstd.1.5.5", true},
		{"rand-0.9.0-alpha.1", "rand", "0.9.0-alpha.1", true},
		{"a-1.0.0-beta-2.3+b-1.2.3", "a", "1.0.0-beta-2.3+b-1.2.3", true},
		{"Inflector-0.11.4", "Inflector", "0.11.4", true},
		{"serde-1.0", "", "", false},
		{"serde-01.0.0", "", "", false},
		{"serde-1.0.0-", "", "", false},
		{"serde", "", "", false},
		{"1.0.0", "", "", false},
		{"-1.0.0", "", "", false},
		{"2d-1.0.0", "", "", false},
		{"", "", "", false},
	}
	for _, tt := range tests {
		name, version, ok := SplitDirectory(tt.dir)
		if ok != tt.ok || ok && (name != tt.name || version != tt.version) {
			t.Errorf("SplitDirectory(%q) = %q, %q, %v; want %q, %q, %v", tt.dir, name, version, ok, tt.name, tt.version, tt.ok)
		}
	}
}
