package arch

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// links says what a program may not have in it, however it came there.
var links = []struct {
	why      string
	program  string
	deny     []string // import paths, ours without the module path
	allowing []string // exceptions
}{
	{
		why:      "Kubernetes' client is 28 MB and half of the start-up; its logger comes with what reads lists of certificate logs",
		program:  "cmd/wpkg",
		deny:     []string{"k8s.io/..."},
		allowing: []string{"k8s.io/klog/..."},
	},
	{
		why:     "cosign is a second one of all that signs and verifies; its keys are read without it",
		program: "cmd/wpkg",
		deny:    []string{"github.com/sigstore/cosign/..."},
	},
	{
		why:     "the client has no database",
		program: "cmd/wpkg",
		deny:    []string{"storage/...", "modernc.org/sqlite/...", "github.com/jackc/pgx/v5/...", "database/sql"},
	},
	{
		why:     "key services and tokens are for those who ask for them with a build tag",
		program: "cmd/wpkg",
		deny:    []string{"github.com/sigstore/sigstore/pkg/signature/kms/...", "github.com/miekg/pkcs11/...", "github.com/ThalesGroup/crypto11/..."},
	},
	{
		why:      "an installed package starts by starting this program, and compiles what nobody has looked at",
		program:  "cmd/wpkg-engine",
		deny:     []string{"artifact/...", "registry/...", "signing/...", "storage/...", "inspect/...", "sbom/...", "net/http", "regexp", "debug/...", "compress/...", "golang.org/x/sys/cpu", "oras.land/...", "cel.dev/...", "github.com/..."},
		allowing: []string{"artifact/aot/cache/folder", "artifact/aot/wasmtime/engine", "artifact/aot/wasmtime/wire", "artifact/variant", "inspect/precompiled", "github.com/bytecodealliance/wasmtime-go/..."},
	},
	{
		why:      "the server verifies with sigstore-go alone and is given the bytes of its key",
		program:  "cmd/wreg",
		deny:     []string{"k8s.io/...", "github.com/sigstore/cosign/...", "signing/keyref/...", "signing/keyless/...", "signing/internal/cosign/..."},
		allowing: []string{"k8s.io/klog/..."},
	},
}

// TestProgramsLink asks the go command. That it is asked again when an import
// changes, and is not "(cached)", is due to load, which reads every file of ours,
// and to the test of go.mod.
func TestProgramsLink(t *testing.T) {
	load(t)
	linked := map[string][]string{}
	for _, rule := range links {
		if linked[rule.program] == nil {
			linked[rule.program] = deps(t, rule.program)
		}
		for _, dep := range linked[rule.program] {
			if matchesAny(rule.deny, dep) && !matchesAny(rule.allowing, dep) {
				t.Errorf("%s links %s: %s", rule.program, dep, rule.why)
			}
		}
	}
	// A pattern that could match nothing would refuse nothing.
	for program, wants := range map[string][]string{
		"cmd/wpkg":        {"signing/keyref", "signing/verify", "github.com/sigstore/sigstore-go/pkg/verify", "k8s.io/klog/v2"},
		"cmd/wpkg-engine": {"artifact/aot/wasmtime/engine", "github.com/bytecodealliance/wasmtime-go/v39"},
	} {
		for _, want := range wants {
			if !matchesAny(linked[program], want) {
				t.Errorf("%s does not link %s; the test reads the list of what it links wrongly", program, want)
			}
		}
	}
}

// deps are all packages that a program is made of.
func deps(t *testing.T, program string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./"+program)
	cmd.Dir = filepath.FromSlash(root(t))
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1") // or the engine has no files
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var list []string
	for line := range strings.Lines(string(out)) {
		list = append(list, strings.TrimPrefix(strings.TrimSpace(line), module+"/"))
	}
	return list
}
