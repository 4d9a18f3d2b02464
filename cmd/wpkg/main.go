// Command wpkg packs WebAssembly, pushes it to OCI registries, and pulls,
// copies, lists and inspects what lies there.
//
// Each subcommand has a file of its own. All of them follow the same rules:
// standard output carries results and nothing else, as a table or, with
// --output json, as one JSON object a line, or as YAML; everything else goes to standard
// error; and the exit status is 0 for done, 1 for failed, 2 for a wrong command
// line and 3 for a finding or what a registry's policy refuses. That of run is the
// program's, or package wire's.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	_ "github.com/wreg-project/wreg/cmd/wpkg/internal/early"
	_ "github.com/wreg-project/wreg/cmd/wpkg/internal/soon"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/signing/trust"
)

// Exit statuses.
const (
	exitOK = iota
	exitFailure
	exitUsage
	exitFinding
)

// errFinding ends a command that did its work with exitFinding: what it found is
// on standard output already.
var errFinding = errors.New("there is a finding")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := execute(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// execute runs a command line and returns the exit status.
func execute(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	t := &tool{args: args, in: in, out: out, err: errOut}
	app := t.app()
	args, err := arrange(app, args)
	if err == nil {
		narrow(app, args)
		err = app.RunContext(ctx, args)
	}
	if err == nil {
		return exitOK
	}
	var usage *usageError
	failure := exitFailure
	if _, ok := errors.AsType[*unstarted](err); ok {
		failure = wire.ExitFailed
	}
	switch {
	case errors.As(err, &usage):
		t.complain(err)
		return exitUsage
	case errors.Is(err, errFinding):
		return exitFinding
	case ctx.Err() != nil:
		t.complain(errors.New("interrupted"))
	case refusedByPolicy(err), errors.Is(err, trust.ErrRefused):
		t.complain(err)
		return exitFinding
	default:
		t.complain(err)
	}
	return failure
}

// app is the command line, without what it does: every Action is a method of
// the tool.
func (t *tool) app() *cli.App {
	app := &cli.App{
		Name:  "wpkg",
		Usage: "WebAssembly packages in OCI registries",
		UsageText: `wpkg COMMAND [flags] [arguments]

A package is named by a file, by [HOST/]PATH[:TAG|@DIGEST|@RANGE], by
NAMESPACE:NAME[@VERSION|@RANGE], or by oci-layout:FOLDER[:TAG]. What exists as a
file is a file; oci: in front makes it a reference. Flags may come anywhere.`,
		HideVersion:               true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		Reader:                    t.in,
		Writer:                    t.out,
		ErrWriter:                 t.err,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              badUsage,
		Flags:                     t.commonFlags(),
		Commands: []*cli.Command{
			t.buildCommand(),
			t.packCommand(),
			t.pushCommand(),
			t.pullCommand(),
			t.runCommand(),
			t.installCommand(),
			t.installedCommand(),
			t.upgradeCommand(),
			t.uninstallCommand(),
			t.cacheCommand(),
			t.workerCommand(),
			t.compileCommand(),
			t.aotCommand(),
			t.verifyCommand(),
			t.trustCommand(),
			t.copyCommand(),
			t.signCommand(),
			t.attestCommand(),
			t.tagCommand(),
			t.listCommand(),
			t.searchCommand(),
			t.infoCommand(),
			t.depsCommand(),
			t.rmCommand(),
			t.yankCommand(),
			t.unyankCommand(),
			t.deprecateCommand(),
			t.undeprecateCommand(),
			t.inspectCommand(),
			t.diffCommand(),
			t.callgraphCommand(),
			t.validateCommand(),
			t.sbomCommand(),
			t.scanCommand(),
			t.auditCommand(),
			t.generateCommand(),
			t.keyCommand(),
			t.policyCommand(),
			t.quarantineCommand(),
			t.approveCommand(),
			t.approvalsCommand(),
			t.jobsCommand(),
			t.reindexCommand(),
			t.witCommand(),
			t.loginCommand(),
			t.logoutCommand(),
			t.doctorCommand(),
			t.completionCommand(),
			t.manCommand(),
			t.versionCommand(),
		},
	}
	t.equip(app.Commands)
	return app
}

// equip gives all commands, at any depth, what they have in common.
func (t *tool) equip(commands []*cli.Command) {
	for _, c := range commands {
		c.Flags = append(c.Flags, t.commonFlags()...)
		c.OnUsageError = badUsage
		c.HideHelpCommand = true
		c.Before = t.check
		t.equip(c.Subcommands)
	}
}

// Values of --output.
const (
	formatTable     = "table"
	formatJSON      = "json"
	formatYAML      = "yaml"
	formatSARIF     = "sarif"
	formatJUnit     = "junit"
	formatCycloneDX = "cyclonedx"
	formatOpenVEX   = "openvex"
)

const commonCategory = "common"

// commonFlags are understood by every command.
func (t *tool) commonFlags() []cli.Flag {
	const category = commonCategory
	return []cli.Flag{
		&cli.StringFlag{
			Name: "output", Value: formatTable, Usage: "print results as `FORMAT`: table, json or yaml", Category: category, Destination: &t.format,
		},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress bars", Category: category, Destination: &t.quiet, DisableDefaultText: true},
		&cli.BoolFlag{
			Name: "insecure", Usage: "plain HTTP also to hosts other than this one", Category: category, Destination: &t.insecure,
			EnvVars: []string{"WPKG_INSECURE"}, DisableDefaultText: true,
		},
		&cli.StringFlag{
			Name: "registry", Usage: "registry `HOST` of references that name none, before what the configuration says", Category: category,
			Destination: &t.registry, EnvVars: []string{"WPKG_REGISTRY"},
		},
		&cli.StringFlag{
			Name: "config", Usage: "read this configuration `FILE`", Category: category, Destination: &t.configFile, EnvVars: []string{"WPKG_CONFIG"},
		},
	}
}

// reportFormats are values of --output that one command takes besides.
var reportFormats = map[string][]string{
	"audit": {formatSARIF, formatJUnit},
	"scan":  {formatSARIF, formatCycloneDX, formatOpenVEX},
}

// check refuses values that the command does not take.
func (t *tool) check(c *cli.Context) error {
	takes := append([]string{formatTable, formatJSON, formatYAML}, reportFormats[c.Command.Name]...)
	if slices.Contains(takes, t.format) {
		return nil
	}
	last := len(takes) - 1
	return usagef("--output %s: it is %s or %s", term.Clean(t.format), strings.Join(takes[:last], ", "), takes[last])
}
