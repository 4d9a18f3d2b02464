package crates

import (
	"testing"

	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

func TestPlatformsOf(t *testing.T) {
	const wasi = "wasi_snapshot_preview1"
	tests := []struct {
		name    string
		imports [][2]string
		export  string
		want    Platforms
	}{
		{name: "no imports", want: AllPlatforms},
		{name: "wasm-bindgen", imports: [][2]string{{"wbg", "__wbg_now_1"}}, want: db.Unknown},
		{name: "wasm-bindgen for a bundler", imports: [][2]string{{"./app_bg.js", "__wbindgen_throw"}}, want: db.Unknown},
		{name: "WASI", imports: [][2]string{{wasi, "fd_write"}}, want: db.WASIp1 | db.WASIp2},
		{name: "both", imports: [][2]string{{wasi, "fd_write"}, {"wbg", "__wbg_now_1"}}, want: AllPlatforms},
		{name: "Emscripten's imports", imports: [][2]string{{wasi, "fd_write"}, {"env", "invoke_vi"}}, want: AllPlatforms},
		{name: "Emscripten's imports with short names", imports: [][2]string{{"a", "b"}}, want: AllPlatforms},
		{
			name: "Emscripten's exports", imports: [][2]string{{wasi, "fd_write"}},
			export: "_emscripten_stack_restore", want: AllPlatforms,
		},
		{name: "a host of its own", imports: [][2]string{{"game", "draw"}}, want: AllPlatforms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &wasm.Module{}
			for _, im := range tt.imports {
				m.Imports = append(m.Imports, wasm.Import{Module: im[0], Name: im[1]})
			}
			if tt.export != "" {
				m.Exports = append(m.Exports, wasm.Export{Name: tt.export})
			}
			if got := PlatformsOf(&wasm.Binary{Module: m}); got != tt.want {
				t.Errorf("PlatformsOf(imports %q, export %q) = %04b, want %04b", tt.imports, tt.export, got, tt.want)
			}
		})
	}
	if got := PlatformsOf(&wasm.Binary{}); got != AllPlatforms {
		t.Errorf("PlatformsOf(component) = %04b, want %04b", got, AllPlatforms)
	}
}
