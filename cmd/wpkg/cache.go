package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/aot/cache"
)

// cacheView is what cache info says.
type cacheView struct {
	Folder   string `json:"folder"`
	Programs int    `json:"programs"`
	Packages int    `json:"packages"` // references that were asked for, and what else is remembered
	Code     int64  `json:"code"`     // bytes
	Wasm     int64  `json:"wasm"`     // bytes
	Unnamed  int64  `json:"unnamed"`  // bytes that nothing names and prune removes
}

// cachedView is an entry of the cache.
type cachedView struct {
	Source   string    `json:"source"` // digest of the WebAssembly
	Target   string    `json:"target"`
	Runtime  string    `json:"runtime"`
	Version  string    `json:"version"`
	Tier     string    `json:"tier"`
	Size     int64     `json:"size"` // bytes of the code
	Used     time.Time `json:"used"`
	MadeBy   string    `json:"madeBy,omitempty"` // who vouched for code of a registry; absent if it was compiled here
	Compiled bool      `json:"compiled"`         // here
}

func (t *tool) cacheCommand() *cli.Command {
	return &cli.Command{
		Name:  "cache",
		Usage: "show and prune what run has compiled and keeps",
		Subcommands: []*cli.Command{
			t.cacheInfoCommand(), t.cacheListCommand(), t.cachePruneCommand(), t.cacheVerifyCommand(),
		},
	}
}

func (t *tool) cacheInfoCommand() *cli.Command {
	return &cli.Command{
		Name: "info", Usage: "say where the cache is and how large",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			s, err := openCache()
			if err != nil {
				return err
			}
			in, err := s.Info()
			if err != nil {
				return err
			}
			v := cacheView{s.Dir(), in.Entries, in.Packages, in.Code, in.Wasm, in.Unnamed}
			return t.emit(v, [][]string{
				{"FOLDER", v.Folder},
				{"PROGRAMS", strconv.Itoa(v.Programs)},
				{"CODE", sizeText(v.Code)},
				{"WASM", sizeText(v.Wasm)},
				{"UNNAMED", sizeText(v.Unnamed)},
			})
		},
	}
}

func (t *tool) cacheListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the programs that are compiled, the last used first",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			s, err := openCache()
			if err != nil {
				return err
			}
			items, err := s.List()
			if err != nil {
				return err
			}
			views := make([]cachedView, 0, len(items))
			rows := [][]string{{"SOURCE", "TARGET", "RUNTIME", "TIER", "SIZE", "USED", "MADE"}}
			for _, it := range items {
				v := cachedViewOf(it)
				views = append(views, v)
				made := "here"
				if !v.Compiled {
					made = "by " + v.MadeBy
				}
				rows = append(rows, []string{
					shortDigest(v.Source), v.Target, v.Runtime + " " + v.Version, v.Tier, sizeText(v.Size), v.Used.Format(time.DateOnly), made,
				})
			}
			return emitEach(t, views, rows)
		},
	}
}

func cachedViewOf(it cache.Item) cachedView {
	v := cachedView{
		Source: it.Key.Source.String(), Target: it.Key.Target.String(), Runtime: it.Key.Runtime, Version: it.Key.Version,
		Tier: string(it.Key.Tier), Size: it.Config.Output.Size, Used: it.Used.UTC().Truncate(time.Second), Compiled: it.Vouched == nil,
	}
	if it.Vouched != nil {
		v.MadeBy = it.Vouched.By
	}
	return v
}

// prunedView is what cache prune removed.
type prunedView struct {
	Programs int   `json:"programs"`
	Packages int   `json:"packages"`
	Files    int   `json:"files"`
	Bytes    int64 `json:"bytes"`
}

func (t *tool) cachePruneCommand() *cli.Command {
	var all bool
	var unused time.Duration
	var keep string
	return &cli.Command{
		Name: "prune", Usage: "remove what was not used for long",
		Description: `Without flags, what was not used for 30 days goes, and what nothing names. Programs
that run, and those that are installed, are not disturbed: an installed one that
lost its code is compiled again at its next start.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "remove everything", Destination: &all, DisableDefaultText: true},
			&cli.DurationFlag{Name: "unused", Usage: "remove what was not used for `DURATION`: 168h", Destination: &unused, Value: 30 * 24 * time.Hour, DefaultText: "720h"},
			&cli.StringFlag{Name: "keep", Usage: "keep at most `SIZE` of code, that of the last used programs: 2GiB", Destination: &keep},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			size, err := parseSize(keep)
			if err != nil {
				return usagef("--keep: %v", err)
			}
			if unused < 0 {
				return usagef("--unused %s: it is negative", unused)
			}
			s, err := openCache()
			if err != nil {
				return err
			}
			done, err := s.Prune(c.Context, cache.PruneOptions{All: all, Unused: unused, Keep: size})
			if err != nil {
				return err
			}
			v := prunedView{done.Entries, done.Packages, done.Files, done.Bytes}
			return t.emit(v, [][]string{{"PROGRAMS", "FILES", "FREED"}, {strconv.Itoa(v.Programs), strconv.Itoa(v.Files), sizeText(v.Bytes)}})
		},
	}
}

// damageView is a file that cache verify removed.
type damageView struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

func (t *tool) cacheVerifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "read everything, and remove what is damaged",
		Description: "The status is 3 if anything was. What was removed is fetched or compiled again when it is needed.",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			s, err := openCache()
			if err != nil {
				return err
			}
			found, err := s.Verify(c.Context)
			if err != nil {
				return err
			}
			views := make([]damageView, 0, len(found))
			rows := [][]string{{"REMOVED", "WHY"}}
			for _, d := range found {
				views = append(views, damageView(d))
				rows = append(rows, []string{d.Path, d.Why})
			}
			if len(found) == 0 && !t.structured() {
				_, err := fmt.Fprintln(t.out, "everything is what it should be")
				return err
			}
			if err := emitEach(t, views, rows); err != nil || len(found) == 0 {
				return err
			}
			return errFinding
		},
	}
}
