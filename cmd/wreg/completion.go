package main

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// The scripts ask wreg itself, by a hidden last argument of package cli, what
// may come next.
var (
	//go:embed completion/wreg.bash
	bashCompletion string
	//go:embed completion/wreg.zsh
	zshCompletion string
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print a script that completes wreg's commands: bash, zsh or fish",
		ArgsUsage:   "SHELL",
		Description: "For bash, put the line 'source <(wreg completion bash)' into ~/.bashrc.",
		Action: func(c *cli.Context) error {
			script, err := completion(c)
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.App.Writer, script)
			return err
		},
	}
}

func completion(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", &usageError{"completion ", fmt.Errorf("completion takes one argument: bash, zsh or fish")}
	}
	switch shell := c.Args().First(); shell {
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	case "fish":
		return c.App.ToFishCompletion()
	default:
		return "", &usageError{"completion ", fmt.Errorf("no completion for shell %q: bash, zsh or fish", shell)}
	}
}
