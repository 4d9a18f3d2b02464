// Command wreg is a self-hosted OCI registry that understands WebAssembly.
//
// It puts the parts together: flags and files become a configuration, that
// chooses drivers, and a registry over them is served by HTTP. serve.go follows
// the life of a server; maintain.go has the commands for one that is stopped.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/version"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
	exitFinding = 3 // the command worked and found something wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, args)
	if err == nil {
		return 0
	}
	if finding, ok := errors.AsType[*findingError](err); ok {
		fmt.Fprintf(stderr, "wreg: %v\n", finding)
		return exitFinding
	}
	for line := range strings.SplitSeq(explain(err).Error(), "\n") {
		fmt.Fprintf(stderr, "wreg: %s\n", line)
	}
	if usage, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintf(stderr, "wreg: 'wreg %shelp' lists what there is\n", usage.command)
		return exitUsage
	}
	return exitFailure
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:                 "wreg",
		Usage:                "a registry for WebAssembly packages",
		UsageText:            "wreg COMMAND [flags]",
		HideVersion:          true,
		EnableBashCompletion: true,
		HideHelpCommand:      true,
		Writer:               stdout,
		ErrWriter:            stderr,
		ExitErrHandler:       func(*cli.Context, error) {}, // run turns errors into exit codes
		OnUsageError:         usage,
		Commands: []*cli.Command{
			serveCommand(), migrateCommand(), gcCommand(), fsckCommand(), rebuildCommand(), reindexCommand(), advisoriesCommand(), keyCommand(), doctorCommand(),
			versionCommand(), completionCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() && c.Args().First() != "help" {
				return &usageError{err: fmt.Errorf("there is no command %q", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = usage
		c.HideHelpCommand = true
		c.Action = noArguments(c)
	}
	return app
}

// noArguments refuses what a command would silently ignore. The commands that
// take arguments name them in ArgsUsage.
func noArguments(c *cli.Command) cli.ActionFunc {
	action := c.Action
	return func(ctx *cli.Context) error {
		if c.ArgsUsage == "" && ctx.Args().Present() {
			if ctx.Args().First() == "help" {
				return cli.ShowSubcommandHelp(ctx)
			}
			return &usageError{c.Name + " ", fmt.Errorf("%s takes no argument %q", c.Name, ctx.Args().First())}
		}
		return action(ctx)
	}
}

// group makes parent a command that does nothing but have subcommands.
func group(parent *cli.Command) *cli.Command {
	word := parent.Name + " "
	parent.Action = func(c *cli.Context) error {
		if c.Args().Present() && c.Args().First() != "help" {
			return &usageError{word, fmt.Errorf("there is no command %q", c.Args().First())}
		}
		return cli.ShowSubcommandHelp(c)
	}
	for _, c := range parent.Subcommands {
		c.HideHelpCommand = true
		c.Action = noArguments(c)
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return &usageError{word, err} }
	}
	return parent
}

// usageError is a command line that makes no sense.
type usageError struct {
	command string // with a space behind it, "" for wreg itself
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(c *cli.Context, err error, sub bool) error {
	if c.Command != nil && c.Command.Name != "wreg" && !sub {
		return &usageError{c.Command.Name + " ", err}
	}
	return &usageError{err: err}
}

// findingError is a check that found something.
type findingError struct{ message string }

func (e *findingError) Error() string { return e.message }

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print which build this is",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintf(c.App.Writer, "wreg %s\n", version.Get())
			return err
		},
	}
}

// outputFlag is --output of the commands that report something.
func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Usage: "form of the report: table or json", Value: "table"}
}

func wantsJSON(c *cli.Context) (bool, error) {
	if o := c.String("output"); !slices.Contains([]string{"table", "json"}, o) {
		return false, &usageError{c.Command.Name + " ", fmt.Errorf("--output %q is neither table nor json", o)}
	}
	return c.String("output") == "json", nil
}
