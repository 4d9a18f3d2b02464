package main

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/obs"
)

// configFlags are the flags of the settings, of all or of those that offline
// commands have too, and --config.
func configFlags(all bool) []cli.Flag {
	flags := []cli.Flag{&cli.StringFlag{
		Name: "config", Usage: "YAML file with settings [$" + config.EnvFile + "]", TakesFile: true,
	}}
	for _, f := range config.Fields() {
		if all || f.All {
			flags = append(flags, configFlag(f))
		}
	}
	return flags
}

// configFlag has no default of its own: package config overlays the sources,
// and needs to know what was given.
func configFlag(f config.Field) cli.Flag {
	text := f.Usage()
	if len(f.OneOf) > 0 {
		text += fmt.Sprintf(" (one of %s)", join(f.OneOf))
	}
	text += " [$" + f.Env() + "]"
	switch {
	case f.Bool():
		return &cli.BoolFlag{Name: f.Flag(), Usage: text, Category: f.Section(), DisableDefaultText: true}
	case f.List():
		return &cli.StringSliceFlag{Name: f.Flag(), Usage: text, Category: f.Section(), DefaultText: f.Default}
	}
	return &cli.StringFlag{Name: f.Flag(), Usage: text, Category: f.Section(), DefaultText: f.Default}
}

func join(words []string) string {
	s := ""
	for i, w := range words {
		if i > 0 {
			s += ", "
		}
		s += w
	}
	return s
}

// load reads the configuration of a command, and makes the log it asks for.
func load(c *cli.Context) (config.Config, *slog.Logger, error) {
	given := map[string][]string{}
	for _, f := range config.Fields() {
		switch name := f.Flag(); {
		case !c.IsSet(name):
		case f.Bool():
			given[name] = []string{strconv.FormatBool(c.Bool(name))}
		case f.List():
			given[name] = c.StringSlice(name)
		default:
			given[name] = []string{c.String(name)}
		}
	}
	cfg, unknown, err := config.Load(config.Source{File: c.String("config"), Env: os.Environ(), Flags: given})
	if err != nil {
		return cfg, nil, err
	}
	log := obs.NewLogger(c.App.ErrWriter, cfg.Log.Format, obs.Level(cfg.Log.Level))
	for _, name := range unknown {
		log.Warn("environment variable means nothing to wreg", slog.String("name", name))
	}
	return cfg, log, nil
}
