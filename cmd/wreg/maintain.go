package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/storage/gc"
	"github.com/wreg-project/wreg/storage/meta/postgres"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
)

// The commands here work on the storage of a stopped server: SQLite and folders
// are locked while they run, and a database of several servers is not, so those
// have to be stopped by whoever calls.

func migrateCommand() *cli.Command {
	return &cli.Command{
		Name:  "migrate",
		Usage: "make the database, or bring its schema up to date",
		Description: "wreg serve does the same at its start. Run it apart to see what is pending, or to let\n" +
			"a database user do it that serve does not have.",
		Flags: append(configFlags(false), &cli.BoolFlag{Name: "dry-run", Usage: "only list what is pending", DisableDefaultText: true}),
		Action: func(c *cli.Context) error {
			cfg, _, err := load(c)
			if err != nil {
				return err
			}
			return migrate(c.Context, cfg, c.Bool("dry-run"), c.App.Writer)
		},
	}
}

func migrate(ctx context.Context, cfg config.Config, dryRun bool, out io.Writer) error {
	pending, err := pendingMigrations(ctx, cfg.Database)
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		fmt.Fprintln(out, "the database is up to date")
		return nil
	}
	if !dryRun {
		db, err := openMeta(ctx, cfg.Database)
		if err != nil {
			return err
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
	for _, name := range pending {
		fmt.Fprintln(out, name)
	}
	return nil
}

func pendingMigrations(ctx context.Context, address config.DSN) ([]string, error) {
	if address.Postgres() {
		return postgres.Pending(ctx, string(address))
	}
	return sqlite.Pending(ctx, address.SQLite())
}

// offline is what the commands below share: both stores, opened.
func offline(c *cli.Context, do func(ctx context.Context, s *stores, asJSON bool, log *slog.Logger) error) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	cfg, log, err := load(c)
	if err != nil {
		return err
	}
	s, err := openStores(c.Context, cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(c.Context, s, asJSON, log), s.Close())
}

func gcCommand() *cli.Command {
	return &cli.Command{
		Name:  "gc",
		Usage: "remove blobs that no manifest needs",
		Description: "Run it while the server is stopped. A blob is condemned by one run and deleted by one at\n" +
			"least an hour later, so space comes back with the second.",
		Flags: append(configFlags(false), outputFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "count what would happen and change nothing", DisableDefaultText: true},
			&cli.DurationFlag{Name: "grace", Usage: "leave alone what is younger; longer than any push takes", Value: gc.DefaultGrace},
			&cli.DurationFlag{Name: "untagged-older-than", Usage: "remove manifests without a tag of this age as well; 0 keeps them"}),
		Action: func(c *cli.Context) error {
			return offline(c, func(ctx context.Context, s *stores, asJSON bool, log *slog.Logger) error {
				o := gc.CollectOptions{
					DryRun: c.Bool("dry-run"), Grace: c.Duration("grace"), UntaggedOlderThan: c.Duration("untagged-older-than"),
					Journal: gc.NewJournaler(s.meta, s.blobs, gc.JournalOptions{Log: log}),
				}
				if o.Grace <= 0 || o.UntaggedOlderThan < 0 {
					return &usageError{"gc ", errors.New("--grace must be above zero, --untagged-older-than not below")}
				}
				result, err := gc.Collect(ctx, s.meta, s.blobs, o)
				if err != nil {
					return err
				}
				if asJSON {
					return encode(c.App.Writer, result)
				}
				printCollected(c.App.Writer, result)
				return nil
			})
		},
	}
}

func printCollected(w io.Writer, r gc.Collected) {
	if r.DryRun {
		fmt.Fprintln(w, "nothing was changed; a run would have")
	}
	fmt.Fprintf(w, "removed %d untagged manifests, %d referrers without subject and %d refused manifests\n",
		r.Untagged, r.Referrers, r.Expired)
	fmt.Fprintf(w, "unlinked %d blobs that their repositories do not need\n", r.Unlinked)
	fmt.Fprintf(w, "condemned %d blobs of %s\n", r.Condemned.Count, config.Size(r.Condemned.Bytes))
	fmt.Fprintf(w, "deleted %d blobs of %s, and %d files without a row of %s\n",
		r.Deleted.Count, config.Size(r.Deleted.Bytes), r.Orphans.Count, config.Size(r.Orphans.Bytes))
	if r.Skipped > 0 {
		fmt.Fprintf(w, "skipped %d that changed meanwhile\n", r.Skipped)
	}
}

func fsckCommand() *cli.Command {
	return &cli.Command{
		Name:  "fsck",
		Usage: "verify every digest and every reference",
		Description: "Run it while the server is stopped. It reads every blob unless --quick is given, and ends\n" +
			"with status 3 if something that was stored is missing or damaged.",
		Flags: append(configFlags(false), outputFlag(),
			&cli.BoolFlag{Name: "quick", Usage: "look at presence and size of blobs only", DisableDefaultText: true},
			&cli.BoolFlag{Name: "repair", Usage: "delete files that belong to nothing", DisableDefaultText: true}),
		Action: func(c *cli.Context) error {
			return offline(c, func(ctx context.Context, s *stores, asJSON bool, _ *slog.Logger) error {
				var report findings = &tableFindings{w: c.App.Writer}
				if asJSON {
					report = &jsonFindings{w: c.App.Writer}
				}
				result, err := gc.Check(ctx, s.meta, s.blobs, gc.CheckOptions{
					Quick: c.Bool("quick"), Repair: c.Bool("repair"), Report: report.add,
				})
				if err != nil {
					return err
				}
				if err := report.end(result); err != nil {
					return err
				}
				if !result.OK {
					return &findingError{fmt.Sprintf("fsck found %d errors", result.Errors)}
				}
				return nil
			})
		},
	}
}

// findings are written while they are found: there may be many.
type findings interface {
	add(gc.Finding)
	end(gc.Checked) error
}

type tableFindings struct{ w io.Writer }

func (t *tableFindings) add(f gc.Finding) {
	where := []string{string(f.Severity), string(f.Kind)}
	for _, s := range []string{f.Repo, f.Tag, string(f.Digest), f.Object} {
		if s != "" {
			where = append(where, s)
		}
	}
	repaired := ""
	if f.Repaired {
		repaired = " (repaired)"
	}
	fmt.Fprintf(t.w, "%s: %s%s\n", strings.Join(where, " "), f.Message, repaired)
}

func (t *tableFindings) end(r gc.Checked) error {
	_, err := fmt.Fprintf(t.w, "%d repositories, %d manifests, %d tags, %d blobs (%s read), %d journal objects, %d snapshots\n"+
		"%d errors, %d warnings, %d repaired\n",
		r.Repositories, r.Manifests, r.Tags, r.Blobs, config.Size(r.BytesRead), r.Journal, r.Snapshots,
		r.Errors, r.Warnings, r.Repaired)
	return err
}

// jsonFindings writes one object: {"findings": […], "result": {…}}.
type jsonFindings struct {
	w     io.Writer
	begun bool
	err   error
}

func (j *jsonFindings) add(f gc.Finding) {
	text, err := json.Marshal(f)
	separator := ",\n"
	if !j.begun {
		separator, j.begun = "{\"findings\":[\n", true
	}
	if err == nil {
		_, err = fmt.Fprintf(j.w, "%s%s", separator, text)
	}
	j.err = errors.Join(j.err, err)
}

func (j *jsonFindings) end(r gc.Checked) error {
	text, err := json.Marshal(r)
	if err = errors.Join(j.err, err); err != nil {
		return err
	}
	head := "{\"findings\":["
	if j.begun {
		head = "\n"
	}
	_, err = fmt.Fprintf(j.w, "%s],\"result\":%s}\n", head, text)
	return err
}

func rebuildCommand() *cli.Command {
	return &cli.Command{
		Name:  "rebuild",
		Usage: "make a lost database again from the storage",
		Description: "Fills an empty database from the newest snapshot and the journal beside the blobs, and says\n" +
			"the last change it has. Move a damaged database away first.",
		Flags: append(configFlags(false), outputFlag(),
			&cli.BoolFlag{Name: "allow-gap", Usage: "go on where changes are missing from the journal", DisableDefaultText: true},
			&cli.BoolFlag{Name: "check-blobs", Usage: "look for the bytes of every blob afterwards", DisableDefaultText: true}),
		Action: func(c *cli.Context) error {
			return offline(c, func(ctx context.Context, s *stores, asJSON bool, log *slog.Logger) error {
				result, err := gc.Rebuild(ctx, s.blobs, s.meta, gc.RebuildOptions{
					AllowGap: c.Bool("allow-gap"), CheckBlobs: c.Bool("check-blobs"),
					Report: func(f gc.Finding) {
						log.WarnContext(ctx, "rebuild found", slog.String("kind", string(f.Kind)), slog.String("repo", f.Repo),
							slog.String("digest", string(f.Digest)), slog.String("object", f.Object), slog.String("detail", f.Message))
					},
				})
				if err != nil {
					return err
				}
				if asJSON {
					return encode(c.App.Writer, result)
				}
				printRebuilt(c.App.Writer, result)
				return nil
			})
		},
	}
}

func printRebuilt(w io.Writer, r gc.Rebuilt) {
	if r.Snapshot != "" {
		fmt.Fprintf(w, "loaded %s, up to change %d\n", r.Snapshot, r.SnapshotEntries)
	}
	fmt.Fprintf(w, "replayed %d changes from %d journal objects; the last change is %d\n", r.Entries, r.Objects, r.Sequence)
	for _, g := range r.Gaps {
		fmt.Fprintf(w, "missing: %s\n", g)
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, "left out %d changes that need missing ones\n", r.Skipped)
	}
	if r.Blobs > 0 {
		fmt.Fprintf(w, "%d blobs, %d of them without bytes\n", r.Blobs, r.MissingBlobs)
	}
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// since formats how long something took, for people.
func since(t time.Time) string { return time.Since(t).Round(10 * time.Microsecond).String() }
