//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/signing/key"
)

// shownKeys are what wreg key prints as JSON.
func shownKeys(t *testing.T, args ...string) []keyJSON {
	t.Helper()
	var report struct{ Keys []keyJSON }
	if err := json.Unmarshal([]byte(wantOK(t, append(args, "--output", "json")...)), &report); err != nil {
		t.Fatal(err)
	}
	return report.Keys
}

// The key is made by the first start, is rotated by the command, and never shows
// its private half: neither in a report nor in the log.
func TestTheInstanceKey(t *testing.T) {
	data := dataFolder(t)
	p := start(t, data, "--log-level", "debug")
	wantRefusal(t, exitFailure, "in use", "key", "rotate", "--data", data)
	p.stop()
	first := shownKeys(t, "key", "show", "--data", data)
	if len(first) != 1 || first[0].Algorithm != "ECDSA P-256" || !first[0].NotAfter.IsZero() {
		t.Fatalf("key show = %+v, want one key in use", first)
	}
	second := shownKeys(t, "key", "rotate", "--data", data)
	if len(second) != 2 || second[0].ID == first[0].ID || second[1].ID != first[0].ID || second[1].NotAfter.IsZero() {
		t.Fatalf("key rotate = %+v, want a new key and %s, which is in use no more", second, first[0].ID)
	}
	table := wantOK(t, "key", "show", "--data", data)
	for _, want := range []string{"in use", second[0].ID, first[0].ID, "BEGIN PUBLIC KEY"} {
		if !strings.Contains(table, want) {
			t.Errorf("key show = %s, want it to have %q", table, want)
		}
	}
	p = start(t, data, "--log-level", "debug")
	p.stop()
	if got := shownKeys(t, "key", "show", "--data", data); len(got) != 2 {
		t.Errorf("keys after another start = %+v, want the same two", got)
	}
	log, _ := p.text()
	if text := log + table; strings.Contains(text, "PRIVATE") {
		t.Errorf("the private key is shown:\n%s", text)
	}
}

func TestAConfiguredInstanceKey(t *testing.T) {
	k, err := key.Generate(key.P256)
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	data := dataFolder(t)
	p := start(t, data, "--signing-key", file)
	p.stop()
	args := []string{"--data", data, "--signing-key", file}
	if got := shownKeys(t, append([]string{"key", "show"}, args...)...); len(got) != 1 || got[0].ID != k.ID() {
		t.Errorf("key show = %+v, want the key of the file alone", got)
	}
	wantRefusal(t, exitFailure, "change it there", append([]string{"key", "rotate"}, args...)...)
	wantRefusal(t, exitFailure, "no such file", "serve", "--data", data, "--listen", "127.0.0.1:0", "--signing-key", file+"x")
	wantRefusal(t, exitUsage, "no command", "key", "make")
}
