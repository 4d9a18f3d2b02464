module github.com/wreg-project/wreg/tools/runtimes

go 1.26.6

tool (
	github.com/evanw/esbuild/cmd/esbuild
	github.com/tetratelabs/wazero/cmd/wazero
)

require (
	github.com/evanw/esbuild v0.28.2 // indirect
	github.com/tetratelabs/wazero v1.12.0 // indirect
	golang.org/x/sys v0.44.0 // indirect
)
