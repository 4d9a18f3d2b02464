package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions of NewServer.
type ServerOptions struct {
	Log           *slog.Logger  // required
	HeaderTimeout time.Duration // for the header of a request, and the TLS handshake
	IdleTimeout   time.Duration // between two requests
	MaxHeader     int           // bytes
	Certificate   *Certificate  // nil serves plain HTTP
}

// A Server serves one handler on one or more listeners.
type Server struct {
	http *http.Server
	tls  bool
}

// NewServer makes a server with every timeout set that net/http leaves open.
// Bodies have no deadline of their own here: Wrap gives them a rolling one.
func NewServer(h http.Handler, o ServerOptions) *Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: o.HeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHeader,
		ErrorLog:          slog.NewLogLogger(connections{o.Log.Handler()}, slog.LevelDebug),
	}
	if o.Certificate != nil {
		s.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: o.Certificate.Get,
			NextProtos:     []string{"h2", "http/1.1"},
		}
	}
	return &Server{http: s, tls: o.Certificate != nil}
}

// Serve answers on l until Shutdown or Close, after which it returns nil.
func (s *Server) Serve(l net.Listener) error {
	var err error
	if s.tls {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting and waits for running requests until ctx ends; then
// it cuts them off and returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// connections gives the lines that net/http writes about single connections, such
// as a failed handshake, a constant message with the line as its attribute.
type connections struct{ slog.Handler }

func (h connections) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, "connection failed", r.PC)
	line.AddAttrs(slog.String("err", clip(r.Message)))
	return h.Handler.Handle(ctx, line)
}
