package disk

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Calls are the system calls that strace has to record for Play. Some are here
// only so that Play can refuse a program that uses them: it does not know what
// they leave on a disk.
const Calls = "open,openat,openat2,creat,close,read,lseek,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,splice," +
	"copy_file_range,truncate,ftruncate,fallocate,fsync,fdatasync,sync,syncfs,sync_file_range,msync,mmap,rename,renameat,renameat2," +
	"link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,dup,dup2,dup3,fcntl,chdir,fchdir,io_uring_setup"

// Strace is the arguments that make strace follow a program and write such a
// trace of it to file; the program's own command line goes behind them.
func Strace(file string) []string {
	return []string{"-f", "-qq", "-xx", "-s", strconv.Itoa(maxString), "-e", "signal=none", "-e", "trace=" + Calls, "-o", file}
}

// maxString is the longest buffer in bytes of which strace prints all. A longer
// one shows as cut off and is an error.
const maxString = 64 << 20

// A Call is one system call. Enter and Exit are the numbers of the lines where
// it began and ended; Exit is -1 if it never did.
type Call struct {
	Name        string
	Args        []string // as strace prints them, without the spaces between
	Result      int64    // negative for an error
	Enter, Exit int
	thread      string
}

// Parse reads what strace wrote with the arguments of [Strace].
func Parse(r io.Reader) ([]*Call, error) {
	var calls []*Call
	running := map[string]*Call{} // by thread
	begun := map[string]string{}  // the arguments so far, likewise
	br := bufio.NewReaderSize(r, 1<<20)
	for line := 1; ; line++ {
		text, err := br.ReadString('\n')
		if text == "" && errors.Is(err, io.EOF) {
			return calls, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		text = strings.TrimSuffix(text, "\n")
		thread, rest, ok := strings.Cut(text, " ")
		rest = strings.TrimLeft(rest, " ")
		if !ok || strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "+++") {
			continue
		}
		if tail, ok := strings.CutPrefix(rest, "<... "); ok {
			c := running[thread]
			if c == nil {
				return nil, fmt.Errorf("line %d: thread %s resumes a call that it never began", line, thread)
			}
			_, tail, ok = strings.Cut(tail, " resumed>")
			if !ok {
				return nil, fmt.Errorf("line %d: %.60q is no end of a call", line, text)
			}
			delete(running, thread)
			if err := c.end(begun[thread], tail, line); err != nil {
				return nil, fmt.Errorf("line %d: %w", line, err)
			}
			continue
		}
		name, args, ok := strings.Cut(rest, "(")
		if !ok {
			return nil, fmt.Errorf("line %d: %.60q is no call", line, text)
		}
		if name == unknownCall {
			continue
		}
		c := &Call{Name: name, Enter: line, Exit: -1, thread: thread}
		calls = append(calls, c)
		if head, ok := strings.CutSuffix(args, "<unfinished ...>"); ok {
			running[thread] = c
			begun[thread] = head
			c.Args = split(head)
			continue
		}
		if err := c.end("", args, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// When a process is killed, strace loses sight of its threads: of some in the
// middle of a call, of some before it knew which.
const (
	unknownCall = "???"
	detached    = "<detached ...>"
)

// end reads the rest of a call: its last arguments and the result.
func (c *Call) end(begun, tail string, line int) error {
	if head, ok := strings.CutSuffix(tail, detached); ok {
		c.Args = split(begun + head)
		return nil
	}
	at := closing(tail)
	if at < 0 {
		return fmt.Errorf("%s: no result in %.60q", c.Name, tail)
	}
	args, result := tail[:at], strings.TrimLeft(tail[at+1:], " =") // short calls are aligned with spaces
	c.Args = split(begun + args)
	word, _, _ := strings.Cut(result, " ")
	if word == "?" { // the thread ended inside the call
		return nil
	}
	n, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		u, err2 := strconv.ParseUint(word, 0, 64)
		if err2 != nil {
			return fmt.Errorf("%s: result %q: %w", c.Name, word, err)
		}
		n = int64(u)
	}
	c.Result, c.Exit = n, line
	return nil
}

// closing is where the parenthesis stands that ends the arguments: the first
// outside strings that closes nothing; -1 if there is none.
func closing(tail string) int {
	depth, quoted := 0, false
	for i := range len(tail) {
		switch b := tail[i]; {
		case b == '"':
			quoted = !quoted // -xx leaves no quote inside
		case quoted:
		case b == '(' || b == '[' || b == '{':
			depth++
		case b == ']' || b == '}':
			depth--
		case b == ')' && depth <= 0:
			return i
		case b == ')':
			depth--
		}
	}
	return -1
}

// split cuts arguments at the commas that are outside strings, brackets and
// braces.
func split(s string) []string {
	var all []string
	depth, quoted, start := 0, false, 0
	for i := range len(s) {
		switch b := s[i]; {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '(' || b == '[' || b == '{':
			depth++
		case b == ')' || b == ']' || b == '}':
			depth--
		case b == ',' && depth == 0:
			all = append(all, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		all = append(all, last)
	}
	return all
}

// arg is the i-th argument, "" if there is none.
func (c *Call) arg(i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

// number reads an argument in decimal, hexadecimal or octal. AT_FDCWD is atCWD.
func (c *Call) number(i int) (int64, error) {
	a := c.arg(i)
	if a == "AT_FDCWD" {
		return atCWD, nil
	}
	n, err := strconv.ParseInt(a, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: argument %d: %w", c.Name, i+1, err)
	}
	return n, nil
}

const atCWD = -100

// bytes reads an argument that is a string, or all strings of an iovec.
func (c *Call) bytes(i int) ([]byte, error) {
	var all []byte
	rest := c.arg(i)
	if !strings.Contains(rest, `"`) {
		return nil, fmt.Errorf("%s: argument %d, %.40q, is no string", c.Name, i+1, rest)
	}
	for {
		_, tail, ok := strings.Cut(rest, `"`)
		if !ok {
			return all, nil
		}
		quoted, after, ok := strings.Cut(tail, `"`)
		if !ok || strings.HasPrefix(after, "...") {
			return nil, fmt.Errorf("%s: argument %d is cut off", c.Name, i+1)
		}
		b, err := hex.DecodeString(strings.ReplaceAll(quoted, `\x`, ""))
		if err != nil {
			return nil, fmt.Errorf("%s: argument %d: %w", c.Name, i+1, err)
		}
		all, rest = append(all, b...), after
	}
}

// has reports whether argument i, flags joined by |, holds flag.
func (c *Call) has(i int, flag string) bool {
	for _, f := range strings.Split(c.arg(i), "|") {
		if f == flag {
			return true
		}
	}
	return false
}
