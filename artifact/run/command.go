package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/internal/durable"
	"github.com/wreg-project/wreg/internal/strictjson"
)

// A Command is a package that was installed: what the engine reads when it is
// called by the command's name, and what is shown, upgraded and removed. The code
// of a command is its own copy, so that no pruning of a cache takes it away.
type Command struct {
	Name      string        `json:"name"`
	Asked     string        `json:"asked"`              // the words that named the package: a range stays one
	Reference string        `json:"reference"`          // what that was
	Manifest  digest.Digest `json:"manifest,omitempty"` // "" of a file
	Wasm      aot.Source    `json:"wasm"`
	Program   Program       `json:"program"`
	Grants    Grants        `json:"grants"`
	Link      string        `json:"link"` // the file on the PATH that leads to the engine
	Installed time.Time     `json:"installed"`

	// Run is what the engine reads, see wire.Command. Its Code lies beside the
	// record.
	Run wire.Spec `json:"run"`
}

// ErrNoCommand is of a name under which nothing is installed.
var ErrNoCommand = errors.New("no package is installed under this name")

// Commands is the folder of the records of installed commands.
type Commands struct{ dir string }

// codeSuffix is how the names of code end; before it is whole, something follows.
const codeSuffix = ".cwasm"

// maxCommand bounds a record in bytes, as the engine does.
const maxCommand = wire.MaxSpec

var commandLimits = strictjson.Limits{Depth: 16, Objects: 5000}

// OpenCommands opens the folder of this user, under XDG_DATA_HOME, which it makes:
// who can write to it decides what the user's commands do.
func OpenCommands() (*Commands, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("installed commands: %w", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	dir := filepath.Join(data, "wpkg", "commands")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := folder.Check(dir); err != nil {
		return nil, err
	}
	return &Commands{dir}, nil
}

// CheckCommand refuses names that no command can have, or should: one that is a
// path, hidden, a flag, or the engine's own.
func CheckCommand(name string) error {
	switch {
	case name == "" || len(name) > 100 || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-"):
	case strings.HasPrefix(name, "wpkg"):
		return fmt.Errorf("command %q: names that begin with wpkg are taken", name)
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == "":
		return nil
	}
	return fmt.Errorf("command %q: a name has letters, digits and . _ + -, and does not begin with . or -", name)
}

// Get returns the command of a name; without one the error is ErrNoCommand.
func (c *Commands) Get(name string) (*Command, error) {
	if err := CheckCommand(name); err != nil {
		return nil, err
	}
	f, err := os.Open(c.record(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrNoCommand)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCommand+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(text) > maxCommand {
		return nil, fmt.Errorf("%s: it has more than %d bytes", f.Name(), maxCommand)
	}
	cmd := &Command{}
	if err := commandLimits.Decode(text, cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	if cmd.Name != name {
		return nil, fmt.Errorf("%s: it is of the command %q", f.Name(), cmd.Name)
	}
	return cmd, nil
}

// Put installs a command, or replaces the one of its name: the code first, then
// the record that names it, both durable, so that a crash leaves the command as it
// was or as it is to be. It fills in the Run of cmd.
func (c *Commands) Put(cmd *Command, code io.Reader) error {
	if err := CheckCommand(cmd.Name); err != nil {
		return err
	}
	before, err := c.Get(cmd.Name)
	if err != nil && !errors.Is(err, ErrNoCommand) {
		before = nil // damaged: it is replaced
	}
	kind, target := cmd.Run.Kind, cmd.Run.Target
	cmd.Run = cmd.Grants.Spec()
	cmd.Run.Kind, cmd.Run.Target = kind, target
	cmd.Run.Args = []string{cmd.Name}
	cmd.Run.Code = filepath.Join(c.dir, fmt.Sprintf("%s-%d%s", cmd.Name, cmd.Installed.UnixNano(), codeSuffix))
	f, err := durable.Create(cmd.Run.Code, 0o400)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, code); err != nil {
		return errors.Join(err, f.Abort())
	}
	if err := f.Commit(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(cmd, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(c.record(cmd.Name), text, 0o600); err != nil {
		return err
	}
	if before != nil && before.Run.Code != cmd.Run.Code {
		if err := c.removeCode(before); err != nil {
			return err
		}
	}
	return c.sweep()
}

// Remove uninstalls a command: the record first, so that a crash leaves nothing
// that half works.
func (c *Commands) Remove(cmd *Command) error {
	if err := durable.Remove(c.record(cmd.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := c.removeCode(cmd); err != nil {
		return err
	}
	return c.sweep()
}

// unnamed is for how long code may wait for the record that names it.
const unnamed = time.Hour

// sweep removes code that no record names any more: of an installation that a
// crash ended, or that another one of the same name overtook. While a record is
// damaged, what it names cannot be told, and all stays.
func (c *Commands) sweep() error {
	list, err := c.List()
	if err != nil {
		return nil // which List tells whoever asks for it
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(c.dir, e.Name())
		named := slices.ContainsFunc(list, func(cmd *Command) bool { return cmd.Run.Code == name })
		if named || !strings.Contains(e.Name(), codeSuffix) {
			continue
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < unnamed {
			continue // gone by now, or not yet named
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeCode removes code that lies in the folder, and nothing elsewhere, whatever
// the record says.
func (c *Commands) removeCode(cmd *Command) error {
	if filepath.Dir(cmd.Run.Code) != c.dir {
		return nil
	}
	if err := os.Remove(cmd.Run.Code); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List returns all commands by name, and the errors of those that cannot be read.
func (c *Commands) List() ([]*Command, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	var list []*Command
	var damaged []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || CheckCommand(name) != nil {
			continue
		}
		cmd, err := c.Get(name)
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		list = append(list, cmd)
	}
	slices.SortFunc(list, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	return list, errors.Join(damaged...)
}

func (c *Commands) record(name string) string { return filepath.Join(c.dir, name+".json") }
