// Package again starts a package as the same command line started it before: all
// that was found out then is in a note, and so is by what. A note that still holds
// saves the time to verify, which is known, and most of the time to start wpkg.
//
// For that it is used while packages are initialised, see package early, and so it
// depends on next to nothing: even path/filepath is initialised late. It decides nothing by itself: a note holds as long as
// every file that had a part in it has the same bytes and the programs are the
// same, and whatever else there is to tell is left to the rest of wpkg.
package again

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/wreg-project/wreg/artifact/aot/cache/folder"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime/wire"
	"github.com/wreg-project/wreg/artifact/run/handover"
)

// MaxWords bounds the words of a command line up to the package, the command
// included: each of them may be the package, and is looked up.
const MaxWords = 40

// MaxFile bounds a file that a note depends on, in bytes.
const MaxFile = 4 << 20

// A Note says how a command line was started.
type Note struct {
	// Files decided that the package may run and which it is. While they are as
	// they were, so is the verdict.
	Files []File `json:"files"`
	// Reference is what the package was called. What exists as a file is a file, so
	// that nothing may have this name.
	Reference string  `json:"reference"`
	Engine    Program `json:"engine"`
	Code      Code    `json:"code"`
	// Spec is the run, without the arguments that stand behind the package.
	Spec wire.Spec `json:"spec"`
}

// A File is a small file at an absolute path.
type File struct {
	Path string `json:"path"`
	Sum  string `json:"sum"` // as of SumOf
}

// FileOf is the file of a name now.
func FileOf(name string) File { return File{name, SumOf(name)} }

// Unchanged reports whether files are as they were. What cannot be read may have
// changed.
func Unchanged(list []File) bool {
	return !slices.ContainsFunc(list, func(f File) bool {
		sum := SumOf(f.Path)
		return sum != f.Sum || sum == Unreadable
	})
}

// Unreadable is the sum of a file that is there and cannot be read, or is too large.
const Unreadable = "?"

// SumOf is the SHA-256 of a file of up to MaxFile bytes in hexadecimal, "" if there
// is none, or Unreadable.
func SumOf(name string) string {
	text, err := read(name, MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		return Unreadable
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// A Program is an executable file. To hash it at every start would take longer than
// the start.
type Program struct {
	Path     string    `json:"path"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

// ProgramOf is the program of a name now.
func ProgramOf(name string) (*Program, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	return &Program{Path: name, Size: info.Size(), Modified: info.ModTime().UTC()}, nil
}

// Same reports whether two are one program, unchanged.
func (p *Program) Same(o *Program) bool {
	return p.Path == o.Path && p.Size == o.Size && p.Modified.Equal(o.Modified)
}

// Code is native code in the cache.
type Code struct {
	Name  string `json:"name"`  // of its file in folder.Code
	Size  int64  `json:"size"`  // bytes
	Entry string `json:"entry"` // its record in folder.Entries, whose time tells when it was last used
}

// Words are what the note of a command line is found by: the words of it up to
// the package, and what else decides what they mean. They are "" if a command line
// has no note: one of another command, or with too many words.
func Words(argv []string) string {
	if len(argv) < 3 || len(argv) > MaxWords || argv[1] != command {
		return ""
	}
	around := surroundings()
	if around == "" {
		return ""
	}
	return words(around, argv)
}

// command is the one that runs packages.
const command = "run"

// words joins what cannot have a zero byte in it.
func words(around string, argv []string) string {
	return "run again\x00" + around + strings.Join(argv[1:], "\x00")
}

// surroundings are what a command line means something by: this program, the
// folder in which it is, and where a user's files are. They are "" if they cannot
// be told.
func surroundings() string {
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	self, err := ProgramOf(name)
	if err != nil {
		return ""
	}
	in, err := os.Getwd()
	if err != nil {
		return ""
	}
	list := []string{self.Path, self.Modified.String(), in}
	var env []string
	for _, one := range os.Environ() {
		switch name, _, _ := strings.Cut(one, "="); {
		case strings.HasPrefix(name, "WPKG_"),
			slices.Contains([]string{"HOME", "PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}, name):
			env = append(env, one)
		}
	}
	slices.Sort(env)
	return strings.Join(append(list, env...), "\x00") + "\x00\x00"
}

// completing is the last word of a command line that asks what could follow.
const completing = "--generate-bash-completion"

// Start becomes the program that a command line of wpkg ran before. It returns if
// there is no note of that, or it does not hold any more.
func Start(argv []string) {
	if len(argv) < 3 || argv[1] != command || argv[len(argv)-1] == completing {
		return
	}
	dir, err := folder.Default()
	if err != nil {
		return
	}
	for _, kind := range []string{"", folder.Packages, folder.Code} { // what is run comes from there
		if folder.Check(path.Join(dir, kind)) != nil {
			return
		}
	}
	around := surroundings()
	if around == "" {
		return
	}
	// Which of the words is the package depends on the flags before it. Only one
	// can have been when the note was written: the first that belongs to no flag.
	for n := 3; n <= min(len(argv), MaxWords); n++ {
		if strings.HasPrefix(argv[n-1], "-") {
			continue
		}
		text, err := read(path.Join(dir, folder.Packages, folder.Record(words(around, argv[:n]))), folder.MaxRecord)
		if err != nil {
			continue
		}
		var note Note
		if json.Unmarshal(text, &note) == nil && note.Reference == argv[n-1] {
			note.start(dir, argv[n:])
		}
		return
	}
}

// start becomes the program if the note holds.
func (n *Note) start(dir string, args []string) {
	if !n.holds() {
		return
	}
	code, err := n.Code.open(dir)
	if err != nil {
		return
	}
	defer code.Close()
	now := time.Now()
	// A cache that cannot be written to still serves; what it forgets is when.
	_ = os.Chtimes(path.Join(dir, folder.Entries, path.Base(n.Code.Entry)), now, now)
	// What cannot be started is for the rest of wpkg to tell.
	_ = handover.Start(n.Engine.Path, n.Spec, code, args)
}

func (n *Note) holds() bool {
	if _, err := os.Lstat(n.Reference); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	engine, err := ProgramOf(n.Engine.Path)
	if err != nil || !engine.Same(&n.Engine) {
		return false
	}
	for _, d := range n.Spec.Dirs {
		if info, err := os.Stat(d.Host); err != nil || !info.IsDir() {
			return false
		}
	}
	return Unchanged(n.Files)
}

// open opens code if it is there, and as long as it was: bytes are verified as
// they enter the cache.
func (c *Code) open(dir string) (*os.File, error) {
	f, err := os.Open(path.Join(dir, folder.Code, path.Base(c.Name)))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != c.Size) {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// errTooLarge is of a file with more bytes than its limit.
var errTooLarge = errors.New("the file is too large")

// read reads a file of up to limit bytes.
func read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errTooLarge
	}
	return text, err
}
