//go:build unix

package main

import (
	"bufio"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// What is pushed can be found, and who follows along does not keep the server
// from ending.
func TestCatalogIsServed(t *testing.T) {
	p := start(t, dataFolder(t))
	events, err := http.Get(p.URL + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	binary, err := os.ReadFile("../../registry/policy/testdata/hosts/command.wasm")
	if err != nil {
		t.Fatal(err)
	}
	p.push("team/app", "1.0.0", string(binary))
	ingested := false
	for lines := bufio.NewScanner(events.Body); !ingested && lines.Scan(); {
		ingested = lines.Text() == "event: ingested"
	}
	if found := p.want(200, "GET", "/api/v1/search?q=wasi:wasip1", nil).body; !ingested || !strings.Contains(found, `"team:app"`) {
		t.Errorf("search after ingestion (%v) = %s, want team:app", ingested, found)
	}
	if none := p.want(404, "GET", "/api/v1/nothing", nil); !strings.Contains(none.body, `"code":"not-found"`) {
		t.Errorf("GET of nothing = %s, want a problem", none.body)
	}
	began := time.Now()
	p.stop()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the server ended after %v, having waited for a stream", took)
	}
}
