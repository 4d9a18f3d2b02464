package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/durable"
)

// Thresholds of the doctor.
const (
	fewBytes  = 1 << 30 // free space below which it warns
	slowSync  = 20 * time.Millisecond
	syncTries = 8
)

// examination is one line of the doctor's report.
type examination struct {
	Name   string `json:"name"`
	State  string `json:"state"` // ok, warning or error
	Detail string `json:"detail"`
}

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look at what the server needs: folders, space, syncs, database",
		Description: "Changes nothing but the files it makes and removes for a try. Ends with status 3 if something\n" +
			"would keep the server from working.",
		Flags: append(configFlags(false), outputFlag()),
		Action: func(c *cli.Context) error {
			asJSON, err := wantsJSON(c)
			if err != nil {
				return err
			}
			cfg, _, err := load(c)
			if err != nil {
				return err
			}
			report := examine(c.Context, cfg)
			if asJSON {
				err = encode(c.App.Writer, report)
			} else {
				w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
				for _, e := range report {
					fmt.Fprintf(w, "%s\t%s\t%s\n", e.State, e.Name, e.Detail)
				}
				err = w.Flush()
			}
			if err != nil {
				return err
			}
			if slices.ContainsFunc(report, func(e examination) bool { return e.State == "error" }) {
				return &findingError{"the server would not work like this"}
			}
			return nil
		},
	}
}

// examine looks at each thing on its own, so that one that is wrong does not
// hide the next.
func examine(ctx context.Context, cfg config.Config) []examination {
	var report []examination
	add := func(name, state, detail string) { report = append(report, examination{name, state, detail}) }
	for _, dir := range folders(cfg) {
		state, detail := examineFolder(dir)
		add("folder "+dir, state, detail)
		if state == "error" {
			continue
		}
		state, detail = examineSpace(dir)
		add("space in "+dir, state, detail)
		state, detail = examineSync(dir)
		add("syncs in "+dir, state, detail)
	}
	began := time.Now()
	switch pending, err := pendingMigrations(ctx, cfg.Database); {
	case err != nil:
		add("database "+cfg.Database.String(), "error", err.Error())
	case len(pending) > 0:
		add("database "+cfg.Database.String(), "ok", fmt.Sprintf("answers; %d migrations pending, serve applies them", len(pending)))
	default:
		add("database "+cfg.Database.String(), "ok", "answers in "+since(began))
		state, detail := examineFeeds(ctx, cfg)
		add("advisories", state, detail)
	}
	return report
}

// folders are those on this machine that cfg keeps things in.
func folders(cfg config.Config) []string {
	var dirs []string
	if !cfg.Database.Postgres() {
		dirs = append(dirs, filepath.Dir(cfg.Database.SQLite()))
	}
	if cfg.Storage.Scheme() == "fs" && !slices.Contains(dirs, cfg.Storage.Rest()) {
		dirs = append(dirs, cfg.Storage.Rest())
	}
	return dirs
}

func examineFolder(dir string) (state, detail string) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := durable.MkdirAll(dir, dirMode); err != nil {
			return "error", err.Error()
		}
		return "ok", "made"
	case err != nil:
		return "error", err.Error()
	case !info.IsDir():
		return "error", "is not a folder"
	}
	file, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return "error", err.Error()
	}
	if err := errors.Join(file.Close(), os.Remove(file.Name())); err != nil {
		return "error", err.Error()
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "warning", fmt.Sprintf("other users of this machine may look into it (mode %o)", info.Mode().Perm())
	}
	return "ok", "can be written"
}

func examineSpace(dir string) (state, detail string) {
	free, known, err := freeBytes(dir)
	switch {
	case err != nil:
		return "error", err.Error()
	case !known:
		return "ok", "not known on this system"
	case free < fewBytes:
		return "warning", fmt.Sprintf("only %d MiB free", free>>20)
	}
	return "ok", fmt.Sprintf("%d GiB free", free>>30)
}

// examineSync measures what each acknowledged write waits for.
func examineSync(dir string) (state, detail string) {
	path := filepath.Join(dir, ".doctor-sync")
	var times []time.Duration
	for range syncTries {
		began := time.Now()
		if err := durable.WriteFile(path, []byte("a try"), 0o600); err != nil {
			return "error", err.Error()
		}
		times = append(times, time.Since(began))
	}
	if err := os.Remove(path); err != nil {
		return "error", err.Error()
	}
	slices.Sort(times)
	median := times[len(times)/2]
	detail = fmt.Sprintf("a durable write takes %s", median.Round(10*time.Microsecond))
	if median > slowSync {
		return "warning", detail + ", which every push waits for"
	}
	return "ok", detail
}
