//go:build crash

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wreg-project/wreg/test/crash/disk"
	"github.com/wreg-project/wreg/test/crash/load"
	"github.com/wreg-project/wreg/test/crash/server"
)

const (
	recorders = 3   // workers while recording
	steps     = 12  // of each
	maxCuts   = 400 // power losses that are tried, without -all
	parallel  = 2   // servers that are examined at a time
)

// fast is where disks are set up after a power loss: in memory if there is such a
// folder, since nothing there has to survive.
var fast = func() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}()

// A recording is what a server did to an empty folder while workers wrote.
type recording struct {
	root   string // of the disk; the data folder is below it
	runs   [][]*disk.Call
	ledger *load.Ledger
	times  map[int]load.Times
}

// However the power fails, a server on what was synced has everything that had
// been acknowledged, whole, and nothing else, and goes on working.
func TestPowerLoss(t *testing.T) {
	s, _ := random(t)
	rec := record(t, steps, false)
	moments := rec.moments(t)
	cuts := choose(moments, s)
	var acks, syncs int
	for _, m := range moments {
		if m.Durable {
			syncs++
		}
		if m.Op != 0 && m.Status/100 == 2 {
			acks++
		}
	}
	began := time.Now()
	red := rec.examine(t, cuts, s, nil, false)
	for _, r := range red {
		t.Error(r)
	}
	t.Logf("%d moments, %d syncs, %d acknowledged writes; %d power losses in %.1f s", len(moments), syncs, acks, len(cuts), time.Since(began).Seconds())
}

// The test above is worth something only if it notices a missing sync. So each
// kind of sync is taken out of the model, and somewhere something must be lost.
func TestPowerLossGoesRedWithout(t *testing.T) {
	s, r := random(t)
	rec := record(t, steps, false)
	tests := []struct {
		name string
		kind func(disk.Sync) bool
	}{
		{"the sync of a blob's file", func(s disk.Sync) bool { return !s.Folder && strings.HasPrefix(s.Path, "data/blobs/uploads/") }},
		{"the sync of a blob's folder", func(s disk.Sync) bool {
			return s.Folder && !s.NewFolders && strings.HasPrefix(s.Path, "data/blobs/blobs/")
		}},
		{"the sync of a new folder's parent", func(s disk.Sync) bool { return s.NewFolders }},
		{"the sync of the database's log", func(s disk.Sync) bool { return strings.HasSuffix(s.Path, "-wal") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var cuts []cut
			for _, m := range rec.moments(t) {
				if m.Op != 0 && m.Status/100 == 2 {
					cuts = append(cuts, cut{at: m.At})
				}
			}
			r.Shuffle(len(cuts), func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
			cuts = cuts[:min(len(cuts), 40)]
			taken := 0
			red := rec.examine(t, cuts, s, func(s disk.Sync) bool {
				if !tt.kind(s) {
					return false
				}
				taken++
				return true
			}, true)
			if taken == 0 {
				t.Fatal("the recording has no such sync")
			}
			if len(red) == 0 {
				t.Fatalf("%d power losses went well without the %d syncs of this kind", len(cuts), taken)
			}
			first, _, _ := strings.Cut(red[0], "\n")
			t.Logf("without %d syncs: %.300s", taken, first)
		})
	}
}

// A server that was killed before one of its syncs leaves files and names that
// look durable and are not. The next one must not build on them.
func TestPowerLossAfterAKill(t *testing.T) {
	s, r := random(t)
	type kill struct {
		call string
		nth  int
	}
	var tries []kill
	for n := range 14 {
		tries = append(tries, kill{"fsync", n + 1})
	}
	for n := range 6 {
		tries = append(tries, kill{"fdatasync", n + 1})
	}
	if !*all {
		r.Shuffle(len(tries), func(i, j int) { tries[i], tries[j] = tries[j], tries[i] })
		tries = tries[:12]
	}
	killed := 0
	for _, k := range tries {
		rec := &recording{root: newRoot(t), ledger: load.NewLedger()}
		if !rec.run(t, 2, true, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", k.call, k.nth)) {
			killed++
		}
		rec.ledger.Stop()
		if !rec.run(t, 2, true) {
			t.Fatalf("killed before %s number %d of a thread: the second server ended", k.call, k.nth)
		}
		rec.match(t)
		var cuts []cut
		for _, m := range rec.moments(t) {
			if m.Op != 0 && m.Status/100 == 2 {
				cuts = append(cuts, cut{at: m.At})
			}
		}
		r.Shuffle(len(cuts)-1, func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
		cuts = append(cuts[len(cuts)-1:], cuts[:min(3, len(cuts)-1)]...)
		for _, red := range rec.examine(t, cuts, s, nil, false) {
			t.Errorf("killed before %s number %d of a thread: %s", k.call, k.nth, red)
		}
	}
	if killed < len(tries)/2 {
		t.Errorf("only %d of %d servers were killed", killed, len(tries))
	}
	t.Logf("%d kills before a sync, each followed by a server and power losses", killed)
}

func newRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// record runs a server from an empty folder until it ends in good order.
func record(t *testing.T, steps int, pushOnly bool) *recording {
	t.Helper()
	rec := &recording{root: newRoot(t), ledger: load.NewLedger()}
	if !rec.run(t, steps, pushOnly) {
		t.Fatal("wreg ended while it was recorded")
	}
	rec.match(t)
	return rec
}

// run adds one life of a server, and reports whether it lived to its end.
func (rec *recording) run(t *testing.T, steps int, pushOnly bool, strace ...string) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	o := server.Options{Bin: binary(t), Data: filepath.Join(rec.root, "data"), Wrap: append([]string{"strace"}, disk.Strace(file)...)}
	o.Wrap = append(o.Wrap, strace...)
	lived := rec.live(t, o, steps, pushOnly)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := disk.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	rec.runs = append(rec.runs, calls)
	return lived
}

func (rec *recording) live(t *testing.T, o server.Options, steps int, pushOnly bool) bool {
	t.Helper()
	s, err := server.Start(t.Context(), o)
	if errors.Is(err, server.ErrEnded) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	client := load.NewClient(s.Base, rec.ledger)
	defer client.Close()
	var working sync.WaitGroup
	for i := range recorders {
		w := &load.Worker{
			Client: client, Name: fmt.Sprintf("w%d", i), Repo: fmt.Sprintf("loss/app%d", i/2), Other: "loss/other",
			Rand: rand.New(rand.NewPCG(1, uint64(i))), Large: 1 << 20, PushOnly: pushOnly,
		}
		working.Go(func() {
			for range steps {
				if w.Step(t.Context()) != nil {
					return
				}
			}
		})
	}
	working.Wait()
	for _, p := range client.Problems() {
		t.Errorf("while recording: %s", p)
	}
	select {
	case <-s.Ended():
		return false
	default:
	}
	err = s.Stop()
	if err != nil && o.Wrap == nil {
		t.Fatal(err)
	}
	return err == nil
}

// match finds when the recorded server saw and answered each request.
func (rec *recording) match(t *testing.T) {
	t.Helper()
	rec.times = map[int]load.Times{}
	for _, m := range rec.moments(t) {
		if m.Op == 0 {
			continue
		}
		at := rec.times[m.Op]
		if m.Status == 0 {
			at.Began = m.At
		} else {
			at.Answered, at.Status = m.At, m.Status
		}
		rec.times[m.Op] = at
	}
}

// play runs all lives on a disk; moments of the second follow those of the first.
func (rec *recording) play(d *disk.Disk, observe func(disk.Moment) error) error {
	offset := 0
	for _, calls := range rec.runs {
		last := 0
		err := disk.Play(calls, rec.root, d, func(m disk.Moment) error {
			m.At += offset
			return observe(m)
		})
		if err != nil {
			return err
		}
		for _, c := range calls {
			last = max(last, c.Enter, c.Exit)
		}
		offset += last
	}
	return nil
}

func (rec *recording) moments(t *testing.T) []disk.Moment {
	t.Helper()
	var all []disk.Moment
	err := rec.play(disk.New(), func(m disk.Moment) error {
		all = append(all, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A cut is a power loss right after a moment. Torn keeps more than was synced.
type cut struct {
	at   int
	torn bool
}

// choose lists the moments worth a power loss: those that made something
// durable or acknowledged it, and with luck on top those that changed anything.
func choose(moments []disk.Moment, seed uint64) []cut {
	var cuts []cut
	for _, m := range moments {
		if m.Durable || m.Op != 0 && m.Status/100 == 2 {
			cuts = append(cuts, cut{at: m.At})
		}
		if m.Changed || m.Status != 0 {
			cuts = append(cuts, cut{at: m.At, torn: true})
		}
	}
	if *all || len(cuts) <= maxCuts {
		return cuts
	}
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(cuts), func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
	return cuts[:maxCuts]
}

// examine lets the power fail at each cut and returns what is wrong then, with
// untilRed no more than once anything is.
func (rec *recording) examine(t *testing.T, cuts []cut, seed uint64, ignore func(disk.Sync) bool, untilRed bool) []string {
	t.Helper()
	type job struct {
		cut
		what  string
		image *disk.Image
	}
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	jobs := make(chan job)
	var mu sync.Mutex
	var red []string
	var examining sync.WaitGroup
	for range parallel {
		examining.Go(func() {
			for j := range jobs {
				wrong := rec.lose(ctx, t, j.image, j.at)
				if len(wrong) == 0 || ctx.Err() != nil {
					continue
				}
				mu.Lock()
				red = append(red, fmt.Sprintf("power lost after line %d, %s (torn %v): %s", j.at, j.what, j.torn, strings.Join(wrong, "\n\t")))
				if untilRed || len(red) >= 5 {
					enough()
				}
				mu.Unlock()
			}
		})
	}
	d := disk.New()
	d.Ignore = ignore
	err := rec.play(d, func(m disk.Moment) error {
		for _, torn := range []bool{false, true} {
			if !slices.Contains(cuts, cut{m.At, torn}) {
				continue
			}
			j := job{cut{m.At, torn}, m.What, nil}
			if torn {
				j.image = d.Torn(rand.New(rand.NewPCG(seed, uint64(m.At))))
			} else {
				j.image = d.Strict()
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	close(jobs)
	examining.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return red
}

// lose starts a server on what a power loss left and returns what is wrong.
func (rec *recording) lose(ctx context.Context, t *testing.T, im *disk.Image, at int) []string {
	dir, err := os.MkdirTemp(fast, "wreg-loss-")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(dir)
	if err := im.WriteTo(dir); err != nil {
		return []string{err.Error()}
	}
	past, err := rec.ledger.At(rec.times, at)
	if err != nil {
		return []string{err.Error()}
	}
	o := server.Options{Bin: binary(t), Data: filepath.Join(dir, "data")}
	s, err := server.Start(ctx, o)
	if err != nil {
		return []string{err.Error()}
	}
	defer s.Kill()
	wrong := examine(ctx, s, past, past.Keys())
	if len(wrong) == 0 {
		wrong = goOn(ctx, s)
	}
	if err := s.Stop(); err != nil {
		wrong = append(wrong, err.Error())
	}
	if len(wrong) == 0 {
		if err := server.Fsck(ctx, o); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		wrong = append(wrong, "log of wreg: "+s.Text())
	}
	return wrong
}

// goOn makes sure that a server which came back can be written to.
func goOn(ctx context.Context, s *server.Server) []string {
	client := load.NewClient(s.Base, load.NewLedger())
	defer client.Close()
	w := &load.Worker{Client: client, Name: "after", Repo: "after", Other: "after/other", Rand: rand.New(rand.NewPCG(2, 0))}
	if err := w.Step(ctx); err != nil {
		return append(client.Problems(), "push after the start: "+err.Error())
	}
	return append(load.Check(ctx, client, client.Ledger.Keys()), client.Problems()...)
}
