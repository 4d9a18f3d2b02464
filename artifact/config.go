package artifact

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/inspect"
)

// Config is the config blob of the canonical form, application/
// vnd.wasm.config.v0+json ("Wasm OCI Artifact" of the CNCF TAG Runtime). Known
// clients insist on Created, Architecture, OS and LayerDigests.
type Config struct {
	Created      time.Time        `json:"created"`
	Author       string           `json:"author,omitempty"`
	Architecture string           `json:"architecture"` // "wasm"
	OS           string           `json:"os"`           // "wasip1" for core modules, "wasip2" for components
	LayerDigests []digest.Digest  `json:"layerDigests"`
	Component    *ConfigComponent `json:"component,omitempty"` // exactly of components
}

// ConfigComponent is what a component imports, exports and was made for; the
// lists are sorted.
type ConfigComponent struct {
	Exports []string `json:"exports"`
	Imports []string `json:"imports"`
	Target  string   `json:"target,omitempty"`
}

// Values of Config. The specification knows no third generation of WASI, and
// its clients take "wasip2" for any component, so that is what one of wasip3
// says too.
const (
	ArchitectureWasm = "wasm"
	OSWasip1         = "wasip1"
	OSWasip2         = "wasip2"
)

// newConfig describes the binary of rep, stored as layer.
func newConfig(rep *inspect.Report, layer digest.Digest, o Options) Config {
	c := Config{
		Created:      o.created(),
		Author:       o.Author,
		Architecture: ArchitectureWasm,
		OS:           OSWasip1,
		LayerDigests: []digest.Digest{layer},
	}
	if c.Author == "" && len(rep.Metadata.Authors) <= maxAnnotation {
		c.Author = rep.Metadata.Authors
	}
	if rep.Component != nil {
		c.OS = OSWasip2
		c.Component = &ConfigComponent{
			Exports: rep.Component.Exports,
			Imports: rep.Component.Imports,
			Target:  rep.Component.Target,
		}
	}
	return c
}
