package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"go.yaml.in/yaml/v3"
)

// An action is what action.yml says, as far as it is looked at here.
type action struct {
	Inputs map[string]struct {
		Description string  `yaml:"description"`
		Default     *string `yaml:"default"`
	} `yaml:"inputs"`
	Outputs map[string]struct {
		Value string `yaml:"value"`
	} `yaml:"outputs"`
	Runs struct {
		Using string       `yaml:"using"`
		Steps []actionStep `yaml:"steps"`
	} `yaml:"runs"`
}

type actionStep struct {
	Name  string            `yaml:"name"`
	ID    string            `yaml:"id"`
	If    string            `yaml:"if"`
	Uses  string            `yaml:"uses"`
	With  map[string]string `yaml:"with"`
	Shell string            `yaml:"shell"`
	Env   map[string]string `yaml:"env"`
	Run   string            `yaml:"run"`
}

func readAction(t *testing.T) *action {
	t.Helper()
	b, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

var pinned = regexp.MustCompile(`^[\w-]+/[\w/-]+@[0-9a-f]{40}$`)

func TestTheActionIsWellFormed(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" || len(a.Runs.Steps) < 4 {
		t.Fatalf("the action uses %q with %d steps", a.Runs.Using, len(a.Runs.Steps))
	}
	for name, in := range a.Inputs {
		if in.Description == "" || in.Default == nil {
			t.Errorf("input %s has no description or no default", name)
		}
	}
	for _, s := range a.Runs.Steps {
		switch {
		case s.Uses != "" && !pinned.MatchString(s.Uses):
			t.Errorf("step %s uses %s, which is not pinned by a hash", s.Name, s.Uses)
		case s.Uses == "" && s.Shell != "bash":
			t.Errorf("step %s runs in %q", s.Name, s.Shell)
		case strings.Contains(s.Run, "${{"):
			t.Errorf("step %s puts an expression into its script", s.Name)
		}
	}
}

// A runner does what GitHub's does with a composite action, as far as this one
// needs it: its steps of other actions are left out.
type runner struct {
	*testing.T
	action *action
	dir    string // where the job works
	temp   string
	inputs map[string]string
	values map[string]string // of expressions
}

var expression = regexp.MustCompile(`\$\{\{\s*([\w.-]+)\s*\}\}`)

func (r *runner) expand(s string) string {
	return expression.ReplaceAllStringFunc(s, func(m string) string {
		name := expression.FindStringSubmatch(m)[1]
		v, ok := r.values[name]
		if !ok {
			r.Errorf("there is no %s", name)
		}
		return v
	})
}

// run returns the output of all steps and the status of the last one.
func (r *runner) run() (output string, status int) {
	root, err := filepath.Abs("../..")
	if err != nil {
		r.Fatal(err)
	}
	r.values = map[string]string{"github.action_path": root, "runner.temp": r.temp, "steps.audit.outputs.sarif": ""}
	for name, in := range r.action.Inputs {
		r.values["inputs."+name] = *in.Default
	}
	for name, v := range r.inputs {
		r.values["inputs."+name] = v
	}
	for _, s := range r.action.Runs.Steps {
		for _, v := range s.With {
			r.expand(v)
		}
		if s.Uses != "" {
			continue
		}
		out, code := r.step(s)
		output += out
		if code != 0 {
			return output, code
		}
	}
	for _, out := range r.action.Outputs {
		r.expand(out.Value)
	}
	return output, 0
}

func (r *runner) step(s actionStep) (string, int) {
	results := filepath.Join(r.dir, ".output-"+s.ID)
	cmd := exec.CommandContext(r.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", s.Run)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GITHUB_OUTPUT="+results)
	for name, v := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+r.expand(v))
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		r.Fatalf("step %s: %v", s.Name, err)
	}
	if b, err := os.ReadFile(results); err == nil {
		for line := range strings.Lines(string(b)) {
			name, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			r.values["steps."+s.ID+".outputs."+name] = v
		}
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestTheActionAudits(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Fatalf("the action is a script of bash: %v", err)
	}
	const policy = `rules:
  - name: small
    require: report.size < %d
    message: it is large
`
	temp := t.TempDir() // one wpkg for all
	tests := []struct {
		name    string
		limit   int
		inputs  map[string]string
		status  int
		results int // in the report; -1 for no report
		says    string
	}{
		{"a folder that keeps to its policy", 1 << 20, nil, 0, 0, "1 target: 1 pass"},
		{"a file that does not", 10, map[string]string{"targets": "dist/it is; echo owned.wasm\n"}, 3, 1, "it is large"},
		{"a file that does not, and nobody minds", 10, map[string]string{"fail-on": "never"}, 0, 1, "it is large"},
		{"no policy", 10, map[string]string{"policy": ""}, 2, -1, "by which policy"},
		{"a file that is not there", 10, map[string]string{"targets": "dist/none.wasm"}, 1, 0, "taken for a package"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "policy.yaml"), fmt.Sprintf(policy, tt.limit))
			write(t, filepath.Join(dir, "dist", "it is; echo owned.wasm"), "\x00asm\x01\x00\x00\x00\x00\x05\x04aaaa")
			inputs := map[string]string{"policy": "policy.yaml\n", "registry": "127.0.0.1:1"}
			for k, v := range tt.inputs {
				inputs[k] = v
			}
			r := &runner{T: t, action: readAction(t), dir: dir, temp: temp, inputs: inputs}
			out, status := r.run()
			if status != tt.status || !strings.Contains(out, tt.says) {
				t.Errorf("the action ends with status %d and says\n%s\nwant status %d and %q", status, out, tt.status, tt.says)
			}
			report, err := sarif.Open(filepath.Join(dir, "wpkg-audit.sarif"), sarif.WithStrictValidation())
			if tt.results < 0 {
				if err == nil {
					t.Error("there is a report")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := len(report.Runs[0].Results); got != tt.results {
				t.Errorf("the report has %d results, want %d", got, tt.results)
			}
		})
	}
}
