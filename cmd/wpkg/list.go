package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/client"
)

func (t *tool) listCommand() *cli.Command {
	var all bool
	return &cli.Command{
		Name:      "list",
		Aliases:   []string{"ls"},
		Usage:     "list the tags of a package, or the packages of a registry",
		ArgsUsage: "[REPO|HOST]",
		Description: `Versions come first, newest first. Without an argument, the packages of the
default registry are listed.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "also the tags of views and of referrers", Destination: &all},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			arg := c.Args().First()
			if arg == "" {
				cfg, err := t.config()
				if err != nil {
					return err
				}
				return t.listRegistry(c.Context, t.defaultRegistry(cfg))
			}
			if host, ok := asHost(arg); ok && !client.IsLayout(arg) {
				return t.listRegistry(c.Context, host)
			}
			return t.listTags(c.Context, arg, all)
		},
	}
}

// asHost reports whether an argument of list is a registry and no package: it
// has no path, and what only a host has.
func asHost(arg string) (string, bool) {
	host, ended := strings.CutSuffix(arg, "/")
	if strings.ContainsAny(host, "/@") || ref.CheckHost(host) != nil {
		return "", false
	}
	return host, ended || host == "localhost" || strings.ContainsAny(host, ".:")
}

// registryList is what list says of a registry.
type registryList struct {
	Registry     string   `json:"registry"`
	Repositories []string `json:"repositories"`
}

func (t *tool) listRegistry(ctx context.Context, host string) error {
	out := registryList{Registry: host, Repositories: []string{}}
	err := t.client().Repositories(ctx, host, "", func(page []string) error {
		out.Repositories = append(out.Repositories, page...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", host, err)
	}
	rows := [][]string{{"REPOSITORY"}}
	for _, name := range out.Repositories {
		rows = append(rows, []string{host + "/" + name})
	}
	return t.emit(out, rows)
}

// tagList is what list says of a package.
type tagList struct {
	Repository string   `json:"repository"`
	Tags       []string `json:"tags"`
}

func (t *tool) listTags(ctx context.Context, arg string, all bool) error {
	r, err := t.reference(ctx, arg)
	if err != nil {
		return err
	}
	if r.Digest != "" || r.Tag != "" {
		return &usageError{text: fmt.Sprintf("list: %s is one version", arg), hint: "wpkg list " + r.Name()}
	}
	target, err := t.target(ctx, r, false)
	if err != nil {
		return err
	}
	tags, err := tagsOf(ctx, target, r)
	if err != nil {
		return err
	}
	if r.Range != "" && r.Range != "*" {
		if tags, err = matching(tags, r.Range); err != nil {
			return fmt.Errorf("list %s: %w", r.Name(), err)
		}
	}
	if !all {
		tags = slices.DeleteFunc(tags, hidden)
	}
	ref.SortTags(tags)
	out := tagList{Repository: r.Name(), Tags: append([]string{}, tags...)}
	rows := [][]string{{"TAG", "REFERENCE"}}
	for _, tag := range out.Tags {
		rows = append(rows, []string{tag, r.WithTag(tag).String()})
	}
	return t.emit(out, rows)
}

// matching keeps the tags of versions in a range.
func matching(tags []string, versions string) ([]string, error) {
	var out []string
	for _, tag := range tags {
		switch _, err := ref.Pick([]string{tag}, versions, false); {
		case err == nil:
			out = append(out, tag)
		case !errors.Is(err, ref.ErrNoVersion):
			return nil, err
		}
	}
	return out, nil
}

// hidden reports whether a tag is machinery: of a view, or of what refers to a
// digest in a registry without the referrers API.
func hidden(tag string) bool {
	return artifact.CanonicalTag(tag) != tag || strings.HasPrefix(tag, "sha256-") || strings.HasPrefix(tag, "sha512-")
}
