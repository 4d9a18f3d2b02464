package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/internal/config"
	"github.com/wreg-project/wreg/internal/obs"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/storage/meta"
)

// fetcher keeps downloads in the data folder.
func fetcher(cfg config.Config) advisories.Fetcher {
	return advisories.Fetcher{Dir: filepath.Join(cfg.Data, "advisories")}
}

// openAdvisories makes what keeps advisories up to date, as cfg says.
func openAdvisories(cfg config.Config, db meta.DB, log *slog.Logger) (*advisories.Refresher, error) {
	o := advisories.RefreshOptions{DB: db, Interval: cfg.Advisories.Interval, Fetcher: fetcher(cfg), Log: log}
	var err error
	if o.Feeds, err = addresses(cfg.Advisories.Feeds); err != nil {
		return nil, fmt.Errorf("advisories.feeds: %w", err)
	}
	for key, file := range map[string]struct {
		text string
		to   *advisories.Address
	}{"epss": {cfg.Advisories.EPSS, &o.EPSS}, "kev": {cfg.Advisories.KEV, &o.KEV}} {
		if file.text == "" {
			continue
		}
		if *file.to, err = advisories.ParseAddress(file.text); err != nil {
			return nil, fmt.Errorf("advisories.%s: %w", key, err)
		}
	}
	return advisories.NewRefresher(o), nil
}

func addresses(texts []string) ([]advisories.Address, error) {
	var out []advisories.Address
	for _, text := range texts {
		a, err := advisories.ParseAddress(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o advisories.Address) bool { return o.Source == a.Source }) {
			return nil, fmt.Errorf("%s is there twice", a.Source)
		}
		out = append(out, a)
	}
	return out, nil
}

// advisoryMetrics adds what tells of feeds.
func (s *server) advisoryMetrics(m *obs.Metrics) {
	status := func() advisories.Status {
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		st, err := advisories.ReadStatus(ctx, s.stores.meta)
		if err != nil {
			s.log.Warn("feeds of advisories not read", slog.Any("err", err))
		}
		return st
	}
	feeds := func(value func(advisories.FeedStatus) (float64, bool)) func() []obs.Sample {
		return func() (list []obs.Sample) {
			for _, f := range status().Feeds {
				if v, ok := value(f); ok {
					list = append(list, obs.Sample{Labels: []string{f.Source}, Value: v})
				}
			}
			return list
		}
	}
	m.Gauges("wreg_advisory_feed_age_seconds", "Time since a feed was last imported; absent if it never was.", []string{"feed"},
		feeds(func(f advisories.FeedStatus) (float64, bool) {
			return max(time.Since(f.Imported).Seconds(), 0), !f.Imported.IsZero()
		}))
	m.Gauges("wreg_advisory_feed_failed", "1 if the last import of a feed failed.", []string{"feed"},
		feeds(func(f advisories.FeedStatus) (float64, bool) {
			if f.Error != "" {
				return 1, true
			}
			return 0, true
		}))
	m.Gauges("wreg_advisory_feed_records", "Advisories that a feed has.", []string{"feed"},
		feeds(func(f advisories.FeedStatus) (float64, bool) { return float64(f.Advisories), true }))
	m.Gauge("wreg_advisory_changes_waiting", "Changes of advisories that stored packages were not compared with yet.", func() float64 {
		st := status()
		return float64(max(st.Revision-st.Matched, 0))
	})
}

func advisoriesCommand() *cli.Command {
	return group(&cli.Command{
		Name:      "advisories",
		Usage:     "import advisories, and tell how old they are",
		ArgsUsage: "COMMAND",
		Subcommands: []*cli.Command{
			{
				Name:      "import",
				Usage:     "import feeds of advisories in the OSV format",
				ArgsUsage: "[PATH|URL...]",
				Description: "Takes zips, folders and records; without any, the configured feeds. What a feed has no longer is\n" +
					"removed. Stored packages are compared with what changed by the server, now or at its next start.\n" +
					"While a server has the database open, that server does the import.",
				Flags: append(configFlags(false), outputFlag(),
					&cli.BoolFlag{Name: "shrink", Usage: "let a feed lose more than half of its advisories", DisableDefaultText: true}),
				Action: importAction,
			},
			{
				Name:  "status",
				Usage: "list the feeds with their age and errors",
				Description: "Ends with status 3 if the last import of a feed failed, or if a configured feed was not imported for\n" +
					"three times advisories.interval.",
				Flags:  append(configFlags(false), outputFlag()),
				Action: statusAction,
			},
		},
	})
}

func importAction(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	cfg, _, err := load(c)
	if err != nil {
		return err
	}
	texts := c.Args().Slice()
	if len(texts) == 0 {
		texts = cfg.Advisories.Feeds
	}
	list, err := addresses(texts)
	if err != nil {
		return &usageError{"advisories ", err}
	}
	if len(list) == 0 {
		return &usageError{"advisories ", errors.New("import needs a path or URL, since advisories.feeds is not set")}
	}
	counter := &counter{w: c.App.ErrWriter, on: term.IsTerminal(c.App.ErrWriter)}
	answer, err := importAll(c.Context, cfg, list, c.Bool("shrink"), counter.show)
	counter.clear()
	if err != nil {
		return err
	}
	if asJSON {
		err = encode(c.App.Writer, answer)
	} else {
		err = printLoaded(c.App.Writer, answer)
	}
	if err != nil {
		return err
	}
	return failures(answer)
}

// failures is the error of imports that failed.
func failures(a advisories.Answer) error {
	var errs []error
	for _, o := range a.Loaded {
		if o.Error != "" {
			errs = append(errs, errors.New(o.Error))
		}
	}
	return errors.Join(errs...)
}

// importAll imports feeds, or has the server do it that has the database.
func importAll(
	ctx context.Context, cfg config.Config, list []advisories.Address, shrink bool, progress func(source string, records int),
) (a advisories.Answer, err error) {
	db, err := openMeta(ctx, cfg.Database)
	if errors.Is(err, meta.ErrLocked) {
		q := advisories.Request{Shrink: shrink}
		for _, address := range list {
			q.Import = append(q.Import, address.String())
		}
		return ask(ctx, cfg, q, err, progress)
	}
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	im, fetch := advisories.Importer{DB: db}, fetcher(cfg)
	for _, address := range list {
		out := advisories.Outcome{}
		out.Loaded, err = im.From(ctx, &fetch, address, advisories.Load{
			Shrink: shrink, Progress: func(records int) { progress(address.Source, records) },
		})
		if ctx.Err() != nil {
			return a, err
		}
		if err != nil {
			out.Error = err.Error()
		}
		a.Loaded = append(a.Loaded, out)
	}
	a.Status, err = advisories.ReadStatus(ctx, db)
	return a, err
}

// ask has the server do something that has the database open. Without one that
// answers, locked says what is wrong.
func ask(
	ctx context.Context, cfg config.Config, q advisories.Request, locked error, progress func(string, int),
) (advisories.Answer, error) {
	a, err := advisories.Ask(ctx, fetcher(cfg).Dir, q, progress)
	switch {
	case errors.Is(err, advisories.ErrNobody):
		return a, fmt.Errorf("%w, and %w", locked, err)
	case err == nil && a.Error != "":
		err = fmt.Errorf("the server: %s", a.Error)
	}
	return a, err
}

func printLoaded(out io.Writer, a advisories.Answer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tADVISORIES\tCHANGED\tREMOVED\tREFUSED")
	for _, o := range a.Loaded {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", term.Clean(o.Source), o.Advisories, o.Changed, o.Removed, o.Refused)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range a.Loaded {
		for _, p := range o.Problems {
			fmt.Fprintf(out, "refused: %s\n", term.Clean(p))
		}
	}
	return nil
}

// counter shows how far an import is, in one line of a terminal.
type counter struct {
	w    io.Writer
	on   bool
	last time.Time
}

func (c *counter) show(source string, records int) {
	if c.on && time.Since(c.last) > 100*time.Millisecond {
		c.last = time.Now()
		fmt.Fprintf(c.w, "\r\x1b[K%d records of %s", records, term.Clean(filepath.Base(source)))
	}
}

func (c *counter) clear() {
	if c.on {
		fmt.Fprint(c.w, "\r\x1b[K")
	}
}

func statusAction(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	cfg, _, err := load(c)
	if err != nil {
		return err
	}
	status, err := readStatus(c.Context, cfg, openMeta)
	if err != nil {
		return err
	}
	if asJSON {
		err = encode(c.App.Writer, status)
	} else {
		err = printStatus(c.App.Writer, status, time.Now())
	}
	if err != nil {
		return err
	}
	if stale := staleFeeds(cfg, status, time.Now()); len(stale) > 0 {
		return &findingError{"not up to date: " + strings.Join(stale, ", ")}
	}
	return nil
}

// readStatus reads the state of advisories, or has the server tell it.
func readStatus(
	ctx context.Context, cfg config.Config, open func(context.Context, config.DSN) (meta.DB, error),
) (s advisories.Status, err error) {
	db, err := open(ctx, cfg.Database)
	if errors.Is(err, meta.ErrLocked) {
		a, err := ask(ctx, cfg, advisories.Request{}, err, nil)
		return a.Status, err
	}
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return advisories.ReadStatus(ctx, db)
}

func printStatus(out io.Writer, s advisories.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tADVISORIES\tREFUSED\tIMPORTED\tNEWEST\tERROR")
	for _, f := range s.Feeds {
		newest := "-"
		if !f.Newest.IsZero() {
			newest = f.Newest.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", term.Clean(f.Source), f.Advisories, f.Refused, ago(f.Imported, now), newest,
			term.Clean(f.Error))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	waiting := max(s.Revision-s.Matched, 0)
	_, err := fmt.Fprintf(out, "%d changes, of which stored packages were not compared with %d\n", s.Revision, waiting)
	return err
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return max(now.Sub(t), 0).Round(time.Second).String() + " ago"
}

// lateAfter is how many intervals a feed may miss.
const lateAfter = 3

// staleFeeds names the feeds that somebody should look at: the configured ones
// that were not imported for long, and all of which the last import failed.
func staleFeeds(cfg config.Config, s advisories.Status, now time.Time) (out []string) {
	configured, err := addresses(cfg.Advisories.Feeds)
	if err != nil {
		return []string{err.Error()}
	}
	known := map[string]bool{}
	for _, f := range s.Feeds {
		known[f.Source] = true
		most := now.Sub(time.Time{})
		if slices.ContainsFunc(configured, func(a advisories.Address) bool { return a.Source == f.Source }) {
			most = lateAfter * cfg.Advisories.Interval
		}
		if f.Stale(now, most) {
			out = append(out, f.Source)
		}
	}
	for _, a := range configured {
		if !known[a.Source] {
			out = append(out, a.Source)
		}
	}
	return out
}

// examineFeeds is what the doctor says of advisories.
func examineFeeds(ctx context.Context, cfg config.Config) (state, detail string) {
	if len(cfg.Advisories.Feeds) == 0 {
		return "ok", "no feeds are configured: findings are as old as what was imported by hand"
	}
	s, err := readStatus(ctx, cfg, openAsIs)
	if err != nil {
		return "warning", err.Error()
	}
	if stale := staleFeeds(cfg, s, time.Now()); len(stale) > 0 {
		return "warning", "not up to date: " + strings.Join(stale, ", ")
	}
	return "ok", fmt.Sprintf("%d feeds, all imported within %s", len(cfg.Advisories.Feeds), lateAfter*cfg.Advisories.Interval)
}
