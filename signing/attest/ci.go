package attest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Types of builds, by which the parameters of a Provenance are to be read. The first
// is GitHub's; docs/spec/attestations.md describes the others.
const (
	BuildGitHub = "https://actions.github.io/buildtypes/workflow/v1"
	BuildGitLab = "https://wreg.dev/buildtypes/gitlab-ci/v1"
	BuildWpkg   = "https://wreg.dev/buildtypes/wpkg-build/v1"
)

// ErrNoCI is of an environment of no service that is known.
var ErrNoCI = errors.New("no continuous integration service that is known")

// CI is the provenance of what a job of GitHub Actions or GitLab makes, as the
// variables of its environment tell; getenv gives their values. It is the word of
// the job: what it is worth, the identity of the signer says. Without such a
// service the error is ErrNoCI.
func CI(getenv func(string) string) (*Provenance, error) {
	env := environment{get: getenv}
	var p *Provenance
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		p = env.gitHub()
	case getenv("GITLAB_CI") == "true":
		p = env.gitLab()
	default:
		return nil, ErrNoCI
	}
	if len(env.missing) > 0 {
		return nil, fmt.Errorf("provenance: the environment lacks %s", strings.Join(env.missing, ", "))
	}
	return p, p.check()
}

// An environment is read variable by variable.
type environment struct {
	get     func(string) string
	missing []string
}

// need gives a variable that has to be there.
func (e *environment) need(name string) string {
	v := e.get(name)
	if v == "" {
		e.missing = append(e.missing, name)
	}
	return cut(v)
}

// texts are the variables that are set, by the names of parameters.
func (e *environment) texts(variables map[string]string) map[string]any {
	out := map[string]any{}
	for _, parameter := range slices.Sorted(maps.Keys(variables)) {
		if v := e.get(variables[parameter]); v != "" {
			out[parameter] = cut(v)
		}
	}
	return out
}

// gitHub follows GitHub's build type for workflows. The builder is the workflow
// that was started; one that it calls is known to its token alone.
func (e *environment) gitHub() *Provenance {
	server, repository, ref := e.need("GITHUB_SERVER_URL"), e.need("GITHUB_REPOSITORY"), e.need("GITHUB_REF")
	workflow := e.need("GITHUB_WORKFLOW_REF") // owner/repository/path@ref
	home := server + "/" + repository
	path := strings.TrimSuffix(strings.TrimPrefix(workflow, repository+"/"), "@"+ref)
	return &Provenance{
		BuildDefinition: BuildDefinition{
			BuildType:          BuildGitHub,
			ExternalParameters: map[string]any{"workflow": map[string]any{"ref": ref, "repository": home, "path": path}},
			InternalParameters: map[string]any{"github": e.texts(map[string]string{
				"event_name": "GITHUB_EVENT_NAME", "repository_id": "GITHUB_REPOSITORY_ID",
				"repository_owner_id": "GITHUB_REPOSITORY_OWNER_ID", "runner_environment": "RUNNER_ENVIRONMENT",
			})},
			ResolvedDependencies: []Resource{{
				URI: "git+" + home + "@" + ref, Digest: map[string]string{"gitCommit": e.need("GITHUB_SHA")},
			}},
		},
		RunDetails: RunDetails{
			Builder: Builder{ID: server + "/" + workflow},
			Metadata: BuildMetadata{
				InvocationID: home + "/actions/runs/" + e.need("GITHUB_RUN_ID") + "/attempts/" + e.need("GITHUB_RUN_ATTEMPT"),
			},
		},
	}
}

// gitLab follows a build type of ours.
func (e *environment) gitLab() *Provenance {
	project, ref := e.need("CI_PROJECT_URL"), e.need("CI_COMMIT_REF_NAME")
	kind := "refs/heads/"
	if e.get("CI_COMMIT_TAG") != "" {
		kind = "refs/tags/"
	}
	p := &Provenance{
		BuildDefinition: BuildDefinition{
			BuildType: BuildGitLab,
			ExternalParameters: map[string]any{"pipeline": map[string]any{
				"repository": project, "ref": kind + ref, "path": e.need("CI_CONFIG_PATH"), "job": e.need("CI_JOB_NAME"),
			}},
			InternalParameters: map[string]any{"gitlab": e.texts(map[string]string{
				"pipeline_source": "CI_PIPELINE_SOURCE", "project_id": "CI_PROJECT_ID", "pipeline_id": "CI_PIPELINE_ID",
				"runner_id": "CI_RUNNER_ID", "runner_version": "CI_RUNNER_VERSION",
			})},
			ResolvedDependencies: []Resource{{
				URI: "git+" + project + "@" + kind + ref, Digest: map[string]string{"gitCommit": e.need("CI_COMMIT_SHA")},
			}},
		},
		RunDetails: RunDetails{
			Builder:  Builder{ID: e.need("CI_SERVER_URL")},
			Metadata: BuildMetadata{InvocationID: e.need("CI_JOB_URL")},
		},
	}
	if at, err := time.Parse(time.RFC3339, e.get("CI_JOB_STARTED_AT")); err == nil {
		p.RunDetails.Metadata.StartedOn = at.UTC()
	}
	return p
}
