// Package obs is how a server is observed: its log, its metrics for Prometheus
// and its traces for OpenTelemetry. Nothing here is global; cmd/wreg makes each
// of them and passes them on.
package obs

import (
	"context"
	"io"
	"log/slog"

	"github.com/wreg-project/wreg/internal/httpx"
)

// NewLogger writes lines of the given form, "json" or else text for people, of
// the given level and above. Lines that are logged with the context of a request
// carry its id.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(withRequest{slog.NewJSONHandler(w, o)})
	}
	return slog.New(withRequest{slog.NewTextHandler(w, o)})
}

// Level is the level that a word names; words that name none are INFO.
func Level(word string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(word)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// withRequest adds the request's id.
type withRequest struct{ slog.Handler }

func (h withRequest) Handle(ctx context.Context, r slog.Record) error {
	if id := httpx.RequestID(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequest) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequest{h.Handler.WithAttrs(attrs)}
}

func (h withRequest) WithGroup(name string) slog.Handler {
	return withRequest{h.Handler.WithGroup(name)}
}
