package attest

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var gitHubJob = map[string]string{
	"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "octocat/hello-world",
	"GITHUB_REF": "refs/heads/main", "GITHUB_WORKFLOW_REF": "octocat/hello-world/.github/workflows/release@2.yml@refs/heads/main",
	"GITHUB_SHA": "c27d339ee6075c1f744c5d4b200f7901aad2c369", "GITHUB_EVENT_NAME": "workflow_dispatch",
	"GITHUB_REPOSITORY_ID": "1296269", "GITHUB_REPOSITORY_OWNER_ID": "583231", "RUNNER_ENVIRONMENT": "github-hosted",
	"GITHUB_RUN_ID": "1536140711", "GITHUB_RUN_ATTEMPT": "1",
}

var gitLabJob = map[string]string{
	"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.com", "CI_PROJECT_URL": "https://gitlab.com/octocat/hello", "CI_PROJECT_ID": "7",
	"CI_COMMIT_REF_NAME": "v1.0.0", "CI_COMMIT_TAG": "v1.0.0", "CI_COMMIT_SHA": "c27d339ee6075c1f744c5d4b200f7901aad2c369",
	"CI_CONFIG_PATH": ".gitlab-ci.yml", "CI_JOB_NAME": "release", "CI_JOB_URL": "https://gitlab.com/octocat/hello/-/jobs/1",
	"CI_JOB_STARTED_AT": "2026-11-21T13:00:00+01:00",
}

// What GitHub's own example of the build type says of a run is what is made of the
// variables of that run (actions/buildtypes, workflow/v1).
func TestCIOnGitHub(t *testing.T) {
	want := &Provenance{
		BuildDefinition: BuildDefinition{
			BuildType: "https://actions.github.io/buildtypes/workflow/v1",
			ExternalParameters: map[string]any{"workflow": map[string]any{
				"ref": "refs/heads/main", "repository": "https://github.com/octocat/hello-world", "path": ".github/workflows/release@2.yml",
			}},
			InternalParameters: map[string]any{"github": map[string]any{
				"event_name": "workflow_dispatch", "repository_id": "1296269", "repository_owner_id": "583231", "runner_environment": "github-hosted",
			}},
			ResolvedDependencies: []Resource{{
				URI:    "git+https://github.com/octocat/hello-world@refs/heads/main",
				Digest: map[string]string{"gitCommit": "c27d339ee6075c1f744c5d4b200f7901aad2c369"},
			}},
		},
		RunDetails: RunDetails{
			Builder:  Builder{ID: "https://github.com/octocat/hello-world/.github/workflows/release@2.yml@refs/heads/main"},
			Metadata: BuildMetadata{InvocationID: "https://github.com/octocat/hello-world/actions/runs/1536140711/attempts/1"},
		},
	}
	got, err := CI(func(name string) string { return gitHubJob[name] })
	if err != nil {
		t.Fatalf("CI = %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CI (-want +got):\n%s", diff)
	}
}

func TestCIOnGitLab(t *testing.T) {
	got, err := CI(func(name string) string { return gitLabJob[name] })
	if err != nil {
		t.Fatalf("CI = %v", err)
	}
	want := []string{
		"https://gitlab.com", BuildGitLab, "git+https://gitlab.com/octocat/hello@refs/tags/v1.0.0",
		"map[gitCommit:c27d339ee6075c1f744c5d4b200f7901aad2c369]",
	}
	if diff := cmp.Diff(want, chief(&View{Provenance: got})); diff != "" {
		t.Errorf("CI says (-want +got):\n%s", diff)
	}
	if !got.RunDetails.Metadata.StartedOn.Equal(noon) {
		t.Errorf("CI says it started %s; want %s", got.RunDetails.Metadata.StartedOn, noon)
	}
	if _, err := got.Statement(subject); err != nil {
		t.Errorf("Statement = %v", err)
	}
}

func TestCIRefuses(t *testing.T) {
	if _, err := CI(func(string) string { return "" }); !errors.Is(err, ErrNoCI) {
		t.Errorf("CI of an empty environment = %v; want ErrNoCI", err)
	}
	for name, job := range map[string]map[string]string{"GITHUB_SHA": gitHubJob, "CI_JOB_URL": gitLabJob} {
		without := maps.Clone(job)
		delete(without, name)
		if _, err := CI(func(name string) string { return without[name] }); err == nil || !strings.Contains(err.Error(), "lacks "+name) {
			t.Errorf("CI without %s = %v; want an error that names it", name, err)
		}
	}
	forged := maps.Clone(gitHubJob)
	forged["GITHUB_SHA"] = "main"
	if _, err := CI(func(name string) string { return forged[name] }); !errors.Is(err, ErrFormat) {
		t.Errorf("CI with a commit %q = %v; want ErrFormat", "main", err)
	}
}
