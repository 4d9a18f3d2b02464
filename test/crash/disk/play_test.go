package disk

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// trace turns "text" of a readable trace into the hexadecimal of strace -xx.
func trace(readable string) string {
	return regexp.MustCompile(`"[^"]*"`).ReplaceAllStringFunc(readable, func(q string) string {
		text := strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(q[1 : len(q)-1])
		var b strings.Builder
		for i := range len(text) {
			b.WriteString(`\x` + hex.EncodeToString([]byte{text[i]}))
		}
		return `"` + b.String() + `"`
	})
}

// play gives the moments as "line what status" and the disk at the end.
func play(t *testing.T, readable string) (string, *Disk, error) {
	t.Helper()
	calls, err := Parse(strings.NewReader(trace(readable)))
	if err != nil {
		return "", nil, err
	}
	d := New()
	var log []string
	err = Play(calls, "/top", d, func(m Moment) error {
		s := fmt.Sprintf("%d %s", m.At, m.What)
		if m.Durable {
			s += "!"
		}
		log = append(log, s)
		return nil
	})
	return strings.Join(log, "\n"), d, err
}

// One push as a server makes it: folders, an upload that two threads write to
// in turn, a sync that overlaps a write, a rename and the answer.
const onePush = `100 openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3
100 close(3)                          = 0
100 mkdirat(AT_FDCWD, "/top/data", 0700) = 0
100 mkdirat(AT_FDCWD, "/top/data/blobs", 0700) = 0
100 openat(AT_FDCWD, "/top", O_RDONLY|O_CLOEXEC) = 3
100 fsync(3)                          = 0
100 close(3)                          = 0
101 read(8, "PUT / HTTP/1.1\r\nHost: x\r\nX-Op: 17\r\n\r\n", 4096) = 40
101 openat(AT_FDCWD, "/top/data/up", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600 <unfinished ...>
100 openat(AT_FDCWD, "/absent", O_RDONLY) = -1 ENOENT (No such file or directory)
101 <... openat resumed>)             = 3
101 write(3, "abc", 3)                = 3
101 fdatasync(3 <unfinished ...>
100 write(3, "def", 3)                = 3
100 --- SIGURG {si_signo=SIGURG} ---
101 <... fdatasync resumed>)          = 0
101 pwrite64(3, "X", 1, 1)            = 1
101 close(3 <unfinished ...>
100 openat(AT_FDCWD, "/top/data/blobs", O_RDONLY) = 3
101 <... close resumed>)              = 0
101 renameat(AT_FDCWD, "/top/data/up", AT_FDCWD, "/top/data/blobs/a") = 0
100 fsync(3)                          = 0
100 close(3)                          = 0
100 openat(AT_FDCWD, "/top/data", O_RDONLY) = 4
100 fsync(4)                          = 0
101 write(8, "HTTP/1.1 201 Created\r\n\r\n", 24 <unfinished ...>
100 openat(4, "blobs/a", O_RDONLY) = 5
100 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 5, 0) = 0x7fd7b3f92000
101 <... write resumed>)              = 24
100 fcntl(5, F_GETFL)                = 0x8000 (flags O_RDONLY|O_LARGEFILE)
101 +++ exited with 0 +++
`

func TestPlay(t *testing.T) {
	got, d, err := play(t, onePush)
	if err != nil {
		t.Fatal(err)
	}
	want := `3 mkdirat data
4 mkdirat data/blobs
6 fsync .!
8 request 17 arrives
11 openat data/up
12 write data/up
14 write data/up
16 fdatasync data/up!
17 pwrite64 data/up
21 renameat data/blobs/a
22 fsync data/blobs!
25 fsync data!
26 write: 201 answers request 17`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("moments (-want +got):\n%s", diff)
	}
	if got, want := show(t, d.Strict()), "data/ data/blobs/ data/blobs/a=abc"; got != want {
		t.Errorf("after the answer a power loss leaves %q, want %q", got, want)
	}
	a := d.Lookup(d.Root(), "data/blobs/a")
	d.Sync(a)
	if got, want := show(t, d.Strict()), "data/ data/blobs/ data/blobs/a=aXcdef"; got != want {
		t.Errorf("after one more sync a power loss leaves %q, want %q", got, want)
	}
}

// What strace lost sight of when the process was killed has no end.
func TestPlayOfAKilledProcess(t *testing.T) {
	got, _, err := play(t, `1 openat(AT_FDCWD, "/top/f", O_RDWR|O_CREAT, 0600) = 3
1 write(3, "abc", 3 <unfinished ...>
2 fsync(3 <unfinished ...>
3 ???( <detached ...>
1 <... write resumed>)                = 3
2 <... fsync resumed> <detached ...>
1 fsync(3 <detached ...>
1 +++ killed by SIGKILL +++
`)
	if want := "1 openat f\n5 write f"; err != nil || got != want {
		t.Errorf("moments are %q, %v; want %q", got, err, want)
	}
}

func TestPlayRefusesWhatItDoesNotKnow(t *testing.T) {
	const create = "1 openat(AT_FDCWD, \"/top/f\", O_RDWR|O_CREAT, 0600) = 3\n"
	tests := []struct{ name, trace, want string }{
		{"a shared writable mapping", create + "1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000\n", "line 2: mmap of f"},
		{"a file opened for synchronous writes", "1 openat(AT_FDCWD, \"/top/f\", O_RDWR|O_CREAT|O_DSYNC, 0600) = 3\n", "O_DSYNC"},
		{"a copy within the kernel", create + "1 copy_file_range(4, NULL, 3, NULL, 100, 0) = 100\n", "copy_file_range of f"},
		{"a sync of everything", "1 sync() = 0\n", "sync: the replay does not know"},
		{"a rename out of the disk", create + "1 rename(\"/top/f\", \"/elsewhere\") = 0\n", "crosses the edge"},
		{"a file that it never saw made", "1 openat(AT_FDCWD, \"/top/f\", O_RDWR) = 3\n", "knows no such file"},
		{"a hole punched into a file", create + "1 fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 10) = 0\n", "fallocate of f"},
		{"data that strace cut off", create + "1 write(3, \"abc\"..., 5) = 5\n", "is cut off"},
		{"a line that is no call", "1 nonsense\n", "is no call"},
		{"an end without a beginning", "1 <... write resumed>) = 3\n", "never began"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := play(t, tt.trace)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Play = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// SQLite's index of the log is mapped and made anew after a crash.
func TestPlayAllowsTheMappingOfTheSharedIndex(t *testing.T) {
	_, _, err := play(t, `1 openat(AT_FDCWD, "/top/wreg.db-shm", O_RDWR|O_CREAT, 0600) = 3
1 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f0000000000
`)
	if err != nil {
		t.Error(err)
	}
}
