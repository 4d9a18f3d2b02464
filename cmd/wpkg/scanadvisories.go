package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/sbom/vuln"
)

// An advisorySource is a DB or an index of one.
type advisorySource interface {
	vuln.Source
	Len() int
}

// openAdvisories reads the advisories at paths, by default those of the user. The
// caller calls done.
func (t *tool) openAdvisories(ctx context.Context, paths []string) (src vuln.Source, done func(), err error) {
	byDefault := len(paths) == 0
	if byDefault {
		dir, err := advisoriesFolder()
		if err != nil {
			return nil, nil, err
		}
		paths = []string{dir}
	}
	db, stats, done, err := loadAdvisories(ctx, paths)
	switch {
	case errors.Is(err, fs.ErrNotExist) && byDefault, vuln.IsNone(err):
		return nil, nil, &hinted{
			fmt.Errorf("there are no advisories in %s", strings.Join(paths, ", ")),
			"--db FOLDER or ZIP, such as the all.zip that OSV publishes for each ecosystem",
		}
	case err != nil:
		return nil, nil, err
	case db.Len() == 0:
		done()
		return nil, nil, fmt.Errorf("%s: none of the records is about what a binary can have", strings.Join(paths, ", "))
	}
	if stats.Refused > 0 {
		t.warn("%s: %s cannot be read: %s", strings.Join(paths, ", "), plural(stats.Refused, "record"), strings.Join(stats.Problems, "; "))
	}
	return db, done, nil
}

// loadAdvisories reads advisories by way of an index in the user's cache, and
// without one where there can be none: a home that nothing may be written to is
// no reason not to scan.
func loadAdvisories(ctx context.Context, paths []string) (advisorySource, vuln.Stats, func(), error) {
	if cache, err := os.UserCacheDir(); err == nil {
		db, stats, err := vuln.LoadCached(ctx, filepath.Join(cache, "wpkg", "advisories"), paths...)
		if err == nil {
			return db, stats, func() { db.Close() }, nil
		}
		if vuln.IsNone(err) || ctx.Err() != nil {
			return nil, stats, nil, err
		}
	}
	db, stats, err := vuln.Load(ctx, paths...)
	return db, stats, func() {}, err
}

// warn says on standard error what the user may want to know.
func (t *tool) warn(format string, args ...any) {
	text := clip(term.Clean(fmt.Sprintf(format, args...)), maxWarning)
	fmt.Fprintf(t.err, "%s %s\n", term.Paint(term.Colour(t.err), term.Yellow, "warning:"), text)
}

// readFrom reads a file, "" for none.
func readFrom[T any](file string, read func(io.Reader) (map[string]T, error)) (map[string]T, error) {
	if file == "" {
		return nil, nil
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// advisoriesFolder is where advisories lie that no flag names, as the XDG base
// directory specification has it.
func advisoriesFolder() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "wpkg", "advisories"), nil
}
