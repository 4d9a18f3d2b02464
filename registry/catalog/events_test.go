package catalog

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// A feed is an open stream of events.
type feed struct {
	*env
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func (e *env) follow(path string, headers ...string) *feed {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), time.Minute)
	e.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+wire.Base+path, nil)
	if err != nil {
		e.Fatal(err)
	}
	if e.user != "" {
		req.SetBasicAuth(e.user, e.user)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		e.Fatalf("GET %s: %v", path, err)
	}
	e.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != wire.MediaTypeEvents {
		e.Fatalf("GET %s = %d %v, want a stream", path, resp.StatusCode, resp.Header)
	}
	return &feed{env: e, lines: bufio.NewScanner(resp.Body), cancel: cancel}
}

// next reads an event; ok is false at the end of the stream.
func (f *feed) next() (id, kind string, event wire.Event, ok bool) {
	f.Helper()
	for f.lines.Scan() {
		switch name, value, _ := strings.Cut(f.lines.Text(), ": "); name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			if err := json.Unmarshal([]byte(value), &event); err != nil {
				f.Fatalf("event %s: data %s: %v", id, value, err)
			}
		case "":
			if kind != "" {
				return id, kind, event, true
			}
		}
	}
	return "", "", event, false
}

// want reads the next event and checks what it is about.
func (f *feed) want(kind, pkg, tag string) wire.Event {
	f.Helper()
	id, got, e, ok := f.next()
	if !ok || got != kind || e.Kind != kind || e.Package != pkg || e.Tag != tag || id != itoa(e.ID) {
		f.Fatalf("next event is %q %s %+v (%v), want %s of %s:%s", id, got, e, f.lines.Err(), kind, pkg, tag)
	}
	return e
}

func (e *env) happen(events ...meta.Event) {
	e.Helper()
	err := e.db.Update(e.Context(), func(ctx context.Context, tx meta.Tx) error {
		for _, one := range events {
			if err := tx.PutEvent(ctx, one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		e.Fatal(err)
	}
}

func happened(kind, repo, tag string) meta.Event {
	return meta.Event{Time: time.Now(), Kind: kind, Repo: repo, Tag: tag, Actor: "ann", Detail: json.RawMessage(`{"a":1}`)}
}

func TestEventsAreStreamed(t *testing.T) {
	e := start(t, nil).as("ann")
	e.happen(happened("push", "team/app", "1"), happened("push", "team/app", "2"))
	f := e.follow("/events?after=0")
	one := f.want("push", "team:app", "1")
	if one.Actor != "ann" || string(one.Detail) != `{"a":1}` {
		t.Errorf("event = %+v, want its actor and detail", one)
	}
	two := f.want("push", "team:app", "2")
	e.happen(happened("yank", "team/app", "3"))
	f.want("yank", "team:app", "3")

	// Whoever was cut off goes on where it was.
	f = e.follow("/events", "Last-Event-ID", itoa(two.ID))
	f.want("yank", "team:app", "3")
	// Without a place it begins now.
	f = e.follow("/events")
	e.happen(happened("tag", "team/app", "4"))
	f.want("tag", "team:app", "4")
}

func TestEventsOfWhatMayBeRead(t *testing.T) {
	e := start(t, nil)
	e.happen(happened("push", "team/app", "1"), happened("push", "public/app", "2"), happened("policy", "", ""))
	f := e.follow("/events?after=0")
	if one := f.want("push", "public:app", "2"); one.Actor != "" {
		t.Errorf("an anonymous caller is told the actor %q", one.Actor)
	}
	e.happen(happened("push", "team/app", "3"), happened("push", "public/app", "4"))
	f.want("push", "public:app", "4")
}

func TestEventsThatWereForgotten(t *testing.T) {
	e := start(t, nil).as("ann")
	for _, tag := range []string{"1", "2", "3"} {
		e.happen(happened("push", "team/app", tag))
	}
	err := e.db.Update(t.Context(), func(ctx context.Context, tx meta.Tx) error {
		_, err := tx.ForgetEvents(ctx, time.Time{}, 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []string{"1", "999"} { // of a database that was lost
		f := e.follow("/events", "Last-Event-ID", last)
		if _, kind, _, ok := f.next(); !ok || kind != "reset" {
			t.Errorf("first event after %s is %q, want reset", last, kind)
		}
		f.want("push", "team:app", "3")
	}
}

func TestStreamsAreBoundedAndEnd(t *testing.T) {
	e := start(t, func(o *Options) { o.MaxStreams = 1 }).as("ann")
	f := e.follow("/events")
	e.refused(e.do("GET", "/events", nil), wire.CodeTooManyRequests)
	e.refused(e.do("GET", "/events", nil, "Accept", "application/json"), wire.CodeNotAcceptable)
	e.refused(e.do("GET", "/events", nil, "Last-Event-ID", "yesterday"), wire.CodeBadRequest)
	ended := make(chan bool)
	go func() {
		_, _, _, ok := f.next()
		ended <- ok
	}()
	e.api.Close()
	if <-ended {
		t.Error("an event came when the server closed, want the end")
	}
	e.refused(e.do("GET", "/events", nil), wire.CodeUnavailable)
}

// A stream without events says from time to time that it is alive.
func TestStreamsKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Options{Meta: quiet{}})
		var got strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), 4*heartbeat+heartbeat/2)
		defer cancel()
		s := &stream{api: a, w: discard{&got}, q: &request{}}
		s.run(ctx)
		a.Close()
		if n := strings.Count(got.String(), "\n:\n"); n != 4 {
			t.Errorf("a stream of %v without events has %d signs of life, want 4\n%s", 4*heartbeat+heartbeat/2, n, got.String())
		}
	})
}

// quiet is a database in which nothing happens.
type quiet struct{ meta.DB }

func (quiet) LastEvent(context.Context) (int64, error) { return 0, nil }
func (quiet) EventsAfter(context.Context, meta.Visibility, int64, int) ([]meta.Event, error) {
	return nil, nil
}

// discard is a connection that takes everything.
type discard struct{ *strings.Builder }

func (discard) Header() http.Header { return http.Header{} }
func (discard) WriteHeader(int)     {}
func (discard) Flush()              {}
