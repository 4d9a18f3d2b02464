package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/registry/instance"
	"github.com/wreg-project/wreg/signing/key"
)

// keysEvery is how often a server looks at the keys of its installation; well
// within instance.Overlap.
const keysEvery = time.Minute

// followKeys sees rotations until ctx ends.
func (s *server) followKeys(ctx context.Context) {
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := s.keys.Signer().ID()
		err := s.keys.Reload(ctx)
		switch after := s.keys.Signer().ID(); {
		case ctx.Err() != nil:
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "keys not read, the last one stays in use", slog.Any("err", err))
		case after != before:
			s.log.LogAttrs(ctx, slog.LevelInfo, "signing with another key", slog.String("key", after), slog.String("former", before))
		}
	}
}

// ownKeys are the public keys of the installation, former ones too.
func (s *server) ownKeys() []*key.Public {
	var list []*key.Public
	for _, k := range s.keys.Keys() {
		list = append(list, k.Public)
	}
	return list
}

func keyCommand() *cli.Command {
	return group(&cli.Command{
		Name:      "key",
		Usage:     "show and rotate the key of the installation",
		ArgsUsage: "COMMAND",
		Subcommands: []*cli.Command{
			{
				Name:  "show",
				Usage: "print the public keys, the one in use first",
				Description: "Run it while the server is stopped; a running one answers at /api/v1/keys. Former keys are listed\n" +
					"with the time after which nothing was signed by them.",
				Flags: append(configFlags(true), outputFlag()),
				Action: func(c *cli.Context) error {
					return withKeys(c, func(context.Context, *instance.Ring) error { return nil })
				},
			},
			{
				Name:  "rotate",
				Usage: "make a new key and take it into use",
				Description: "Servers that run over the same storage follow within a minute. The private half of the former key is\n" +
					"deleted, its public half stays listed: what it signed is not signed again.",
				Flags:  append(configFlags(true), outputFlag()),
				Action: func(c *cli.Context) error { return withKeys(c, rotate) },
			},
		},
	})
}

func rotate(ctx context.Context, keys *instance.Ring) error {
	err := keys.Rotate(ctx)
	if errors.Is(err, instance.ErrConfigured) {
		return fmt.Errorf("signing.key: %w, and keep the former one until then", err)
	}
	return err
}

// withKeys opens the keys, does something with them and prints their public
// halves. It needs the storage alone.
func withKeys(c *cli.Context, do func(context.Context, *instance.Ring) error) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	cfg, _, err := load(c)
	if err != nil {
		return err
	}
	s := &stores{}
	if err := s.openBlobs(c.Context, cfg.Storage, cfg.Data); err != nil {
		return err
	}
	keys, err := instance.Open(c.Context, s.blobs, instance.Options{Configured: instance.Configured(cfg.Signing.Key)})
	if err == nil {
		err = do(c.Context, keys)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	if asJSON {
		return encode(c.App.Writer, keysJSON(keys.Keys()))
	}
	return printKeys(c.App.Writer, keys.Keys())
}

// keyJSON is a public key in the report of wreg key.
type keyJSON struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	PEM       string    `json:"pem"`
}

func keysJSON(keys []instance.Key) map[string][]keyJSON {
	list := make([]keyJSON, len(keys))
	for i, k := range keys {
		list[i] = keyJSON{ID: k.ID(), Algorithm: k.Algorithm(), Created: k.Created, NotAfter: k.NotAfter, PEM: string(k.PEM())}
	}
	return map[string][]keyJSON{"keys": list}
}

func printKeys(w io.Writer, keys []instance.Key) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tALGORITHM\tCREATED\tUSED UNTIL")
	for _, k := range keys {
		until := "in use"
		if !k.NotAfter.IsZero() {
			until = k.NotAfter.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.ID(), k.Algorithm(), k.Created.Format(time.RFC3339), until)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := w.Write(keys[0].PEM())
	return err
}
