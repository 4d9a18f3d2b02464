package main

import (
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/version"
)

// versionInfo is what version says.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (t *tool) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "say which wpkg this is",
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			v := version.Get()
			return t.emit(versionInfo(v), [][]string{{"wpkg " + v.String()}})
		},
	}
}
