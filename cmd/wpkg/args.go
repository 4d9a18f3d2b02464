package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/near"
)

// arrange puts a command line into the order that the flag parser wants:
// program, command, subcommand, flags, arguments. People write flags anywhere.
func arrange(app *cli.App, args []string) ([]string, error) {
	const completing = "--generate-bash-completion"
	if len(args) < 2 || args[len(args)-1] == completing {
		return args, nil
	}
	program, args := args[0], args[1:]
	var flags []string // those before the command
	common := flagsOf(app.Flags)
	var command *cli.Command
	names, commands := []string{program}, app.Commands
	for len(args) > 0 && (command == nil || len(commands) > 0) {
		arg := args[0]
		switch {
		case command != nil && isFlag(arg):
			n := flagsOf(command.Flags).length(args)
			flags, args = append(flags, args[:n]...), args[n:]
		case command == nil && (arg == "--version" || arg == "-v"):
			args[0] = "version"
		case command == nil && (arg == "--help" || arg == "-h" || arg == "help" || arg == "h"):
			if len(args) > 1 && !isFlag(args[1]) {
				return helpOn(app, program, args[1:])
			}
			return append([]string{program}, args...), nil
		case isFlag(arg):
			n := common.length(args)
			flags, args = append(flags, args[:n]...), args[n:]
		default:
			found := find(commands, arg)
			if found == nil {
				return nil, unknownCommand(commands, arg, names[1:]...)
			}
			command, commands, args = found, found.Subcommands, args[1:]
			names = append(names, command.Name)
		}
	}
	if command == nil {
		return append([]string{program}, flags...), nil
	}
	own := flagsOf(slices.Concat(command.Flags, []cli.Flag{cli.HelpFlag}))
	var rest []string
	for len(args) > 0 {
		switch {
		case args[0] == "--":
			rest, args = append(rest, args[1:]...), nil
		case command.Name == searchName && own.excludes(args[0]):
			rest, args = append(rest, args[0]), args[1:]
		case command.Name == runName && !isFlag(args[0]):
			rest, args = append(rest, args...), nil // what stands behind a program is the program's
		case isFlag(args[0]):
			n := own.length(args)
			if n == 1 && own.wantsValue(args[0]) {
				return nil, &usageError{text: args[0] + " wants a value", hint: strings.Join(names, " ") + " --help tells which"}
			}
			flags, args = append(flags, args[:n]...), args[n:]
		default:
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	if len(commands) > 0 { // a subcommand is missing: its help says which there are
		return slices.Concat(names, flags), nil
	}
	return slices.Concat(names, flags, []string{"--"}, rest), nil
}

// helpOn is the command line that prints the help of a command: the one that a
// flag asks for, since the command help knows nothing of commands below others.
func helpOn(app *cli.App, program string, path []string) ([]string, error) {
	names, commands := []string{program}, app.Commands
	for _, name := range path {
		if isFlag(name) || len(names) > 1 && len(commands) == 0 {
			break // a flag, or an argument of the command
		}
		found := find(commands, name)
		if found == nil {
			return nil, unknownCommand(commands, name, names[1:]...)
		}
		names, commands = append(names, found.Name), found.Subcommands
	}
	return append(names, "--help"), nil
}

// narrow leaves app only the command that arranged args name: the flag parser
// prepares help on all that it knows of, at every start. Commands that describe the
// others keep them.
func narrow(app *cli.App, args []string) {
	if len(args) < 2 {
		return
	}
	if c := find(app.Commands, args[1]); c != nil && c.Name != completionName && c.Name != manName {
		app.Commands = []*cli.Command{c}
	}
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg != "--" }

// takesValue tells for each flag name whether a value follows.
type takesValue map[string]bool

func flagsOf(flags []cli.Flag) takesValue {
	out := takesValue{}
	for _, f := range flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			out[name] = !isBool
		}
	}
	return out
}

// length is how many of args the flag at their head takes up.
func (t takesValue) length(args []string) int {
	name, _, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	if t[name] && !hasValue && len(args) > 1 {
		return 2
	}
	return 1
}

// wantsValue reports whether a value has to follow arg, which is a flag.
func (t takesValue) wantsValue(arg string) bool {
	name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	return t[name] && !hasValue
}

// excludes reports whether arg is no flag but a condition of a search that must
// not hold: -lang:rust.
func (t takesValue) excludes(arg string) bool {
	field, _, ok := strings.Cut(arg, ":")
	name := strings.TrimPrefix(field, "-")
	_, isOurs := t[name]
	return ok && len(name) > 0 && name != field && name[0] != '-' && !isOurs && !strings.Contains(name, "=")
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// unknownCommand names the command that was perhaps meant, one of those below
// the command that path names.
func unknownCommand(commands []*cli.Command, name string, path ...string) error {
	prefix := strings.Join(append([]string{"wpkg"}, path...), " ") + " "
	err := usagef("%s: no such command", name)
	best := 3 // edits
	for _, c := range commands {
		if n := near.Distance(c.Name, name); n < best && !c.Hidden {
			best, err.hint = n, "did you mean: "+prefix+c.Name
		}
	}
	if err.hint == "" {
		err.hint = strings.TrimSpace("wpkg help "+strings.Join(path, " ")) + " lists the commands"
	}
	return err
}
