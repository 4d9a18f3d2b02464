package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/storage/meta"
)

// How streams of events move. A stream reads the next events when it has sent
// those before, so a client that is slow has nothing kept for it: the connection
// is cut once it takes nothing for the server's stall timeout.
const (
	eventBatch = 100              // events read at once
	eventPause = time.Second      // between looking for new ones
	heartbeat  = 15 * time.Second // of a stream without events
	lastWrite  = time.Second      // of a stream that has to end
)

// streamEvents sends what the caller may see of what happens until either side
// ends it.
func (a *API) streamEvents(w http.ResponseWriter, q *request) error {
	if _, err := q.accept(wire.MediaTypeEvents); err != nil {
		return err
	}
	last, err := a.lastKnown(q.http.Context(), q)
	if err != nil {
		return err
	}
	release, err := take(a.streams, "streams")
	if err != nil {
		return err
	}
	defer release()
	if !a.begin() {
		return &wire.Problem{Code: wire.CodeUnavailable, Detail: "the server is shutting down"}
	}
	defer a.open.Done()
	ctx, cancel := context.WithCancel(q.http.Context())
	defer cancel()
	defer context.AfterFunc(a.closing, func() {
		cancel()
		// A client that takes nothing is not waited for. A recorder has no deadline.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(lastWrite))
	})()

	s := &stream{api: a, w: w, q: q, last: last}
	if s.forgotten, err = a.forgotten(ctx, last); err != nil {
		return err
	}
	if s.forgotten {
		s.last = 0 // from what there is
	}
	h := w.Header()
	h.Set("Content-Type", wire.MediaTypeEvents)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if q.http.Method == http.MethodHead {
		return nil
	}
	s.run(ctx)
	return nil
}

// lastKnown is the id behind which the stream begins.
func (a *API) lastKnown(ctx context.Context, q *request) (int64, error) {
	given := q.http.Header.Get("Last-Event-ID")
	if given == "" {
		given = q.text("after")
	}
	if given == "" {
		last, err := a.Meta.LastEvent(ctx)
		if err != nil {
			return 0, fmt.Errorf("last event: %w", err)
		}
		return last, nil
	}
	last, err := strconv.ParseInt(given, 10, 64)
	if err != nil || last < 0 {
		return 0, &wire.Problem{Code: wire.CodeBadRequest, Parameter: "Last-Event-ID", Detail: fmt.Sprintf("%q is no id of an event",
			clip(given))}
	}
	return last, nil
}

// forgotten reports whether events behind last are not kept any more, or last is
// of a database that is gone: one that was rebuilt counts from one again.
func (a *API) forgotten(ctx context.Context, last int64) (bool, error) {
	if last == 0 {
		return false, nil
	}
	newest, err := a.Meta.LastEvent(ctx)
	if err != nil {
		return false, fmt.Errorf("last event: %w", err)
	}
	if last > newest {
		return true, nil
	}
	oldest, err := a.Meta.EventsAfter(ctx, meta.Visibility{Everything: true}, 0, 1)
	if err != nil {
		return false, fmt.Errorf("oldest event: %w", err)
	}
	return len(oldest) > 0 && oldest[0].ID > last+1, nil
}

// A stream is one that is open.
type stream struct {
	api       *API
	w         http.ResponseWriter
	q         *request
	last      int64
	forgotten bool
}

// run sends until ctx ends or the client takes no more.
func (s *stream) run(ctx context.Context) {
	hello := ": events of " + wire.Base + "\nretry: 2000\n\n"
	if s.forgotten {
		hello += "event: reset\ndata: {}\n\n"
	}
	if s.send(hello) != nil {
		return
	}
	tick := time.NewTicker(eventPause)
	defer tick.Stop()
	quiet := s.api.Clock()
	for {
		sent, err := s.forward(ctx)
		if err != nil {
			return
		}
		now := s.api.Clock()
		if sent {
			quiet = now
			continue
		}
		if now.Sub(quiet) >= heartbeat {
			if s.send(":\n\n") != nil {
				return
			}
			quiet = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// forward sends the next events, and reports whether there were any. Those that
// the caller may not see are not looked at twice.
func (s *stream) forward(ctx context.Context) (bool, error) {
	seen, err := s.api.Meta.LastEvent(ctx)
	if err != nil {
		return false, err
	}
	events, err := s.api.Meta.EventsAfter(ctx, s.q.sees, s.last, eventBatch)
	if err != nil {
		return false, err
	}
	for _, e := range events {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		data, err := json.Marshal(s.q.wireEvent(e))
		if err != nil {
			return false, err
		}
		if err := s.send(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data)); err != nil {
			return false, err
		}
		s.last = e.ID
	}
	if len(events) < eventBatch {
		s.last = max(s.last, seen)
	}
	return len(events) > 0, nil
}

func (s *stream) send(text string) error {
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// wireEvent leaves out who did it unless the caller has a name too.
func (q *request) wireEvent(e meta.Event) wire.Event {
	w := wire.Event{
		ID: e.ID, Time: e.Time.UTC(), Kind: e.Kind, Repository: e.Repo, Digest: e.Digest, Tag: e.Tag, Detail: e.Detail,
	}
	if e.Repo != "" {
		w.Package = wire.PackageName(e.Repo)
	}
	if !q.caller.Anonymous() {
		w.Actor = e.Actor
	}
	return w
}
