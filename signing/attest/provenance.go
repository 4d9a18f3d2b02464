package attest

import (
	"fmt"
	"time"

	"github.com/wreg-project/wreg/signing"
)

// A Provenance says how something was built (SLSA build provenance, version 1).
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// A BuildDefinition is everything that went into a build.
type BuildDefinition struct {
	BuildType            string         `json:"buildType"`          // URI that says what the parameters mean
	ExternalParameters   map[string]any `json:"externalParameters"` // under the control of who asked for the build
	InternalParameters   map[string]any `json:"internalParameters,omitempty"`
	ResolvedDependencies []Resource     `json:"resolvedDependencies,omitempty"`
}

// RunDetails are about one run of a build.
type RunDetails struct {
	Builder    Builder       `json:"builder"`
	Metadata   BuildMetadata `json:"metadata,omitzero"`
	Byproducts []Resource    `json:"byproducts,omitempty"`
}

// A Builder is who ran a build, and is trusted to tell the truth of it.
type Builder struct {
	ID                  string            `json:"id"` // URI
	Version             map[string]string `json:"version,omitempty"`
	BuilderDependencies []Resource        `json:"builderDependencies,omitempty"`
}

// BuildMetadata tells runs apart.
type BuildMetadata struct {
	InvocationID string    `json:"invocationId,omitempty"`
	StartedOn    time.Time `json:"startedOn,omitzero"`
	FinishedOn   time.Time `json:"finishedOn,omitzero"`
}

// Statement is the statement of the provenance. The error of one that lacks what
// SLSA requires is ErrFormat.
func (p *Provenance) Statement(subjects ...signing.Subject) (signing.Statement, error) {
	if err := p.check(); err != nil {
		return signing.Statement{}, err
	}
	return statement(TypeProvenance, p, subjects)
}

// Source is the first resolved dependency with a commit, or else the first with a
// URI: where builders put the source. It is nil if there is none.
func (p *Provenance) Source() *Resource {
	list := p.BuildDefinition.ResolvedDependencies
	for i := range list {
		if list[i].Digest["gitCommit"] != "" || list[i].Digest["sha1"] != "" {
			return &list[i]
		}
	}
	for i := range list {
		if list[i].URI != "" {
			return &list[i]
		}
	}
	return nil
}

// check demands what SLSA requires from level 1 on.
func (p *Provenance) check() error {
	d, r := &p.BuildDefinition, &p.RunDetails
	switch {
	case d.BuildType == "":
		return fmt.Errorf("slsaprovenance: %w: buildDefinition.buildType is missing", ErrFormat)
	case len(d.ExternalParameters) == 0:
		return fmt.Errorf("slsaprovenance: %w: buildDefinition.externalParameters is missing", ErrFormat)
	case r.Builder.ID == "":
		return fmt.Errorf("slsaprovenance: %w: runDetails.builder.id is missing", ErrFormat)
	}
	for _, part := range []struct {
		name string
		list []Resource
	}{
		{"buildDefinition.resolvedDependencies", d.ResolvedDependencies},
		{"runDetails.builder.builderDependencies", r.Builder.BuilderDependencies},
		{"runDetails.byproducts", r.Byproducts},
	} {
		if err := checkResources(part.list); err != nil {
			return fmt.Errorf("slsaprovenance: %w: %s%w", ErrFormat, part.name, err)
		}
	}
	return nil
}
