package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// A blob goes from its file to the socket inside the kernel, through every
// layer around the handler. Wrappers lose this silently, so strace looks.
func TestBlobsAreSentBySendfile(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	p := startUnder(t, []string{"strace", "-f", "-qq", "-e", "trace=sendfile", "-e", "signal=none", "-o", trace}, dataFolder(t))
	content := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB
	p.push("team/app", "1.0.0", content)
	path := "/v2/team/app/blobs/" + digest.FromString(content).String()
	if a := p.want(200, "GET", path, nil); a.body != content {
		t.Fatalf("GET blob has %d bytes, want %d", len(a.body), len(content))
	}
	p.stop()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, m := range regexp.MustCompile(`sendfile\(\d+, \d+, .*\)\s+= (\d+)`).FindAllStringSubmatch(string(text), -1) {
		n := 0
		for _, c := range m[1] {
			n = 10*n + int(c-'0')
		}
		sent += n
	}
	// net/http writes the first 512 bytes itself, to look at them.
	if sent < len(content)-4096 {
		t.Errorf("sendfile sent %d of %d bytes:\n%s", sent, len(content), text)
	}
}
