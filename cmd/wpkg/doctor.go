package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/version"
	"github.com/wreg-project/wreg/registry/client"
)

// A finding is the outcome of one check.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // "ok", "missing" or "failed"
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

func (t *tool) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "check configuration, credentials, registry and compilers",
		ArgsUsage: "[HOST]",
		Description: `A check is ok, missing (something that only some commands need) or failed. With
one failed the status is 1.`,
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			return t.doctor(c)
		},
	}
}

func (t *tool) doctor(c *cli.Context) error {
	found := []finding{{Check: "wpkg", Status: "ok", Detail: version.Get().String()}, t.checkConfig(), checkCredentials()}
	if host, err := t.host(c); err != nil {
		found = append(found, failed("registry", err))
	} else {
		found = append(found, t.checkRegistry(c.Context, host))
	}
	found = append(found, checkCompiler("go"))

	bad := 0
	rows := [][]string{{"CHECK", "STATUS", "DETAIL"}}
	for _, f := range found {
		if f.Status == "failed" {
			bad++
		}
		rows = append(rows, []string{f.Check, f.Status, f.Detail})
	}
	if err := emitEach(t, found, rows); err != nil {
		return err
	}
	if bad == 0 {
		return nil
	}
	hint := ""
	for _, f := range found {
		if f.Status == "failed" && hint == "" {
			hint = f.Hint
		}
	}
	return &hinted{fmt.Errorf("doctor: %d of %d checks failed", bad, len(found)), hint}
}

func failed(check string, err error) finding {
	return finding{Check: check, Status: "failed", Detail: message(err), Hint: hint(err)}
}

func (t *tool) checkConfig() finding {
	cfg, err := t.config()
	if err != nil {
		return failed("configuration", err)
	}
	detail := cfg.path
	if detail == "" {
		path, err := configPath()
		if err != nil {
			return failed("configuration", err)
		}
		detail = "none at " + path
	}
	return finding{Check: "configuration", Status: "ok", Detail: detail + "; default registry " + t.defaultRegistry(cfg)}
}

func checkCredentials() finding {
	store, err := client.OpenCredentials()
	if err != nil {
		return failed("credentials", err)
	}
	at, ok := store.(interface{ ConfigPath() string })
	if !ok {
		return finding{Check: "credentials", Status: "ok", Detail: "Docker's configuration and a file of other container tools"}
	}
	return finding{Check: "credentials", Status: "ok", Detail: at.ConfigPath()}
}

func (t *tool) checkRegistry(ctx context.Context, host string) finding {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := t.client().Ping(ctx, host); err != nil {
		return failed("registry", fmt.Errorf("%s: %w", host, err))
	}
	return finding{Check: "registry", Status: "ok", Detail: host + " answers"}
}

// checkCompiler looks for a program as the shell would.
func checkCompiler(name string) finding {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		fi, err := os.Stat(path)
		if err == nil && fi.Mode().IsRegular() && (fi.Mode()&0o111 != 0 || runtime.GOOS == "windows") {
			return finding{Check: "compiler " + strings.TrimSuffix(name, ".exe"), Status: "ok", Detail: path}
		}
	}
	return finding{Check: "compiler " + name, Status: "missing", Detail: "not in PATH; wpkg build needs it"}
}
