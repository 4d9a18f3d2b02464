package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wreg-project/wreg/artifact/build"
	"github.com/wreg-project/wreg/inspect/wasm"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/sbom"
	"github.com/wreg-project/wreg/sbom/evidence"
	"github.com/wreg-project/wreg/signing/attest"
)

// A buildRun is one run of wpkg build, for its provenance.
type buildRun struct {
	started time.Time
	fixed   bool // by SOURCE_DATE_EPOCH: it takes no time

	// ci is what the environment says of the run, nil without continuous integration.
	ci *attest.Provenance
}

// startRun notes what is to be known before a build.
func startRun() (r buildRun, err error) {
	if r.ci, err = attest.CI(os.Getenv); err != nil && !errors.Is(err, attest.ErrNoCI) {
		return r, err
	}
	if r.started, err = creationTime(); err != nil {
		return r, err
	}
	if r.fixed = !r.started.IsZero(); !r.fixed {
		r.started = time.Now()
	}
	return r, nil
}

// finished is the time now, or the one that was given.
func (r buildRun) finished() time.Time {
	if r.fixed {
		return r.started
	}
	return time.Now()
}

// write writes the provenance of what was built with o.
func (r buildRun) write(file string, o build.Options, builder string) error {
	data, err := readBinary(o.Output, o.Output)
	if err != nil {
		return err
	}
	p, err := r.provenance(data, o, builder)
	if err != nil {
		return fmt.Errorf("provenance of %s: %w", o.Output, err)
	}
	p.RunDetails.Metadata.StartedOn = r.started.UTC()
	p.RunDetails.Metadata.FinishedOn = r.finished().UTC()
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(file, append(text, '\n'), 0o644)
}

// provenance says how data was built, as docs/spec/attestations.md describes the
// build type. What runs the build is the service of continuous integration, if
// there is one.
func (r buildRun) provenance(data []byte, o build.Options, builder string) (*attest.Provenance, error) {
	b, err := wasm.Parse(data)
	if err != nil {
		return nil, err
	}
	d, err := sbom.Extract(b, sbom.Options{})
	if err != nil {
		return nil, err
	}
	p := &attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType: attest.BuildWpkg,
			ExternalParameters: map[string]any{
				"builder": builder, "directory": placeOf(o.Dir), "reactor": o.Reactor, "strip": o.Strip,
			},
			InternalParameters: map[string]any{"tools": d.Root.Tools},
		},
		RunDetails: attest.RunDetails{
			Builder: attest.Builder{ID: attest.ProgramURI},
			Byproducts: []attest.Resource{{
				Name: filepath.Base(o.Output), MediaType: wasmType, Digest: map[string]string{"sha256": d.Subject.SHA256},
			}},
		},
	}
	if ci := r.ci; ci != nil {
		of := &p.BuildDefinition
		of.ExternalParameters["ci"] = map[string]any{
			"buildType": ci.BuildDefinition.BuildType, "externalParameters": ci.BuildDefinition.ExternalParameters,
		}
		of.InternalParameters["ci"] = ci.BuildDefinition.InternalParameters
		of.ResolvedDependencies = ci.BuildDefinition.ResolvedDependencies
		p.RunDetails.Builder.ID = ci.RunDetails.Builder.ID
		p.RunDetails.Metadata.InvocationID = ci.RunDetails.Metadata.InvocationID
	}
	p.RunDetails.Builder.Version = map[string]string{"wpkg": version.Get().Version}
	p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, resolved(d)...)
	return p, nil
}

// placeOf is the folder of a project without where that lies on this machine.
func placeOf(dir string) string {
	if filepath.IsLocal(dir) {
		return filepath.ToSlash(filepath.Clean(dir))
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}

// resolved are the components that are proven to be in the file.
func resolved(d *sbom.Document) []attest.Resource {
	var list []attest.Resource
	for _, c := range d.All() {
		if c.Class != evidence.Proven || c.Main || c.Version == "" || c.Part != "" {
			continue
		}
		r := attest.Resource{URI: c.PURL()}
		if sum, ok := strings.CutPrefix(c.Checksum, "h1:"); ok {
			if raw, err := base64.StdEncoding.DecodeString(sum); err == nil && len(raw) == 32 {
				r.Digest = map[string]string{"dirHash": hex.EncodeToString(raw)}
			}
		}
		list = append(list, r)
	}
	return list
}
