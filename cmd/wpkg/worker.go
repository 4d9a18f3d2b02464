package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/artifact/aot/worker"
	"github.com/wreg-project/wreg/artifact/variant"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/keyless"
)

// builderID is what provenance says of who compiled, unless --builder says
// something else. It is the same for all workers, whose code is the same too.
const builderID = attest.ProgramURI + "/worker"

// maxWorkerName is as much of a worker's name as a registry takes, in bytes.
const maxWorkerName = 64

// workerFlags are the flags of worker.
type workerFlags struct {
	targets     cli.StringSlice
	name        string
	builder     string
	concurrency int
	once        bool
	drain       time.Duration
	signer      signerFlags
}

func (t *tool) workerCommand() *cli.Command {
	f := workerFlags{concurrency: runtime.GOMAXPROCS(0)}
	return &cli.Command{
		Name:      "worker",
		Usage:     "make the native code that a registry asks for",
		ArgsUsage: "--registry HOST --key KEY",
		Description: `Takes jobs of the registry, compiles packages for the CPUs that it wants code for,
pushes the code with a signed attestation of what it was made of, and goes on until
it is ended. The registry has to know who you are as one of its auth.workers: wpkg
login first. Clients load the code if they trust the key as one of a compiler. Without a
key, an identity token is asked for as often as needed: from a file that is renewed,
or of a CI job; one that is given itself is good for minutes, and the worker then ends.

A worker compiles what wpkg-engine beside it compiles here, and for linux/arm64 also
under qemu-user-static with wpkg-engine-arm64. Each compilation has a process of its
own, without network and files. Ended by SIGTERM, it takes no more jobs, finishes
those it is at within --drain, and gives back the rest; a second signal ends it at
once. Each job is a line on standard error; --output json tells all that happens
on standard output.

   wpkg worker --registry reg.example.org --key compiler.key
   wpkg worker --registry reg.example.org --key compiler.key --target linux/arm64 --concurrency 1
   wpkg worker --registry reg.example.org --key compiler.key --once --output json`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "target", Usage: "compile for `TARGET` and no other; may be repeated", Destination: &f.targets},
			&cli.IntFlag{Name: "concurrency", Value: f.concurrency, Usage: "do `N` jobs at a time", Destination: &f.concurrency, DefaultText: "one for each CPU"},
			&cli.BoolFlag{
				Name: "once", Usage: "end when there is no job; the status is 1 if one failed", Destination: &f.once, DisableDefaultText: true,
			},
			&cli.DurationFlag{
				Name: "drain", Value: worker.DefaultDrain, Usage: "when it is to end, finish what takes no longer than `DURATION`", Destination: &f.drain,
			},
			&cli.StringFlag{Name: "name", Usage: "be known as `NAME` to the registry", DefaultText: "the name of this machine", Destination: &f.name},
			&cli.StringFlag{Name: "builder", Value: builderID, Usage: "record `URI` as who compiles", Destination: &f.builder},
		}, f.signer.flags()),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0); err != nil {
				return err
			}
			return t.worker(c.Context, &f)
		},
	}
}

func (t *tool) worker(ctx context.Context, f *workerFlags) error {
	switch {
	case f.concurrency < 1 || f.concurrency > 256:
		return usagef("--concurrency %d: it is a number from 1 to 256", f.concurrency)
	case f.drain < 0:
		return usagef("--drain %s: it is not negative", f.drain)
	case f.signer.legacy:
		return usagef("worker: --legacy-sig is for signatures; attestations are bundles")
	}
	by, err := t.author(ctx, f.signer)
	if err != nil {
		return err
	}
	ready, err := readiness(ctx, by)
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	e, err := t.engine()
	if err != nil {
		return err
	}
	compiler := wasmtime.New(e.Path)
	compiler.BuilderID = f.builder
	offer, err := workerOffer(ctx, compiler, e.Path, f)
	if err != nil {
		return err
	}
	catalog, err := t.catalog()
	if err != nil {
		return err
	}
	var one sync.Mutex // a token may have one user at a time
	o := worker.Options{
		Jobs:       catalog,
		Repository: func(name string) (client.Target, error) { return t.client().Repository(catalog.Host(), name) },
		Compiler:   compiler,
		Sign: func(ctx context.Context, st signing.Statement) ([]byte, error) {
			one.Lock()
			defer one.Unlock()
			return signing.Sign(ctx, st, by)
		},
		Ready: ready,
		Offer: *offer, Concurrency: f.concurrency, Once: f.once, Drain: f.drain, Describe: message,
	}
	if f.drain == 0 {
		o.Drain = -1
	}
	log := workerLog{tool: t}
	o.Tell = func(e worker.Event) { log.tell(workerEventOf(e)) }
	log.tell(workerEvent{Event: "ready", Registry: catalog.Host(), Offer: offer, line: fmt.Sprintf("ready for jobs of %s: %s %s for %s",
		catalog.Host(), offer.Runtime, offer.Version, strings.Join(targetsOf(offer), ", "))})
	ending := context.AfterFunc(ctx, func() {
		signal.Reset(os.Interrupt, syscall.SIGTERM) // the next one ends the process
		fmt.Fprintln(t.err, "no more jobs are taken")
	})
	defer ending()
	if err := worker.New(o).Run(ctx); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return log.err
}

// readiness tells whether an author can sign, as it does now; nil for one who always
// can. Identity tokens are good for minutes, and are renewed as their source can.
func readiness(ctx context.Context, by *author) (func(context.Context) error, error) {
	s, ok := by.Signer.(*keyless.Signer)
	if !ok {
		return nil, nil
	}
	return s.Ready, s.Ready(ctx)
}

// workerOffer is what a worker says of itself: its name, and what it compiles for.
func workerOffer(ctx context.Context, c *wasmtime.Compiler, path string, f *workerFlags) (*wire.AOTLeaseRequest, error) {
	can, err := c.Support(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := wasmtime.IDs(ctx, path)
	if err != nil {
		return nil, err
	}
	o := &wire.AOTLeaseRequest{Worker: f.name, Runtime: c.Runtime(), Version: can.Version, Profile: aot.Profile}
	if o.Worker == "" {
		if o.Worker, err = os.Hostname(); err != nil {
			return nil, &hinted{err, "--name gives the worker a name"}
		}
		o.Worker = o.Worker[:min(len(o.Worker), maxWorkerName)]
	}
	if len(o.Worker) > maxWorkerName {
		return nil, usagef("--name: it is longer than %d bytes", maxWorkerName)
	}
	wanted := map[variant.Target]bool{}
	for _, text := range f.targets.Value() {
		target, err := variant.Parse(text)
		if err != nil {
			return nil, usagef("--target: %v", err)
		}
		wanted[target] = true
	}
	for _, s := range can.Targets {
		switch {
		case len(wanted) > 0 && !wanted[s.Target]:
		case s.Why == "":
			offer := wire.AOTOffer{Target: s.Target.String()}
			if id := compatOf(ids, s.Target); id != noCompat {
				offer.CompatID = id
			}
			o.Targets = append(o.Targets, offer)
			delete(wanted, s.Target)
		case wanted[s.Target]:
			return nil, fmt.Errorf("--target %s: %w: %s", s.Target, aot.ErrUnsupported, s.Why)
		}
	}
	if len(o.Targets) == 0 || len(wanted) > 0 {
		return nil, fmt.Errorf("worker: %w", aot.ErrUnsupported)
	}
	return o, nil
}

func targetsOf(o *wire.AOTLeaseRequest) []string {
	list := make([]string, len(o.Targets))
	for i, one := range o.Targets {
		list[i] = one.Target
	}
	return list
}

// workerEvent is what happened to a worker, for programs.
type workerEvent struct {
	Time     time.Time             `json:"time"`
	Event    string                `json:"event"` // "ready", "away", "back", "leased", "done", "failed", "released", "lost"
	Registry string                `json:"registry,omitempty"`
	Offer    *wire.AOTLeaseRequest `json:"offer,omitempty"`

	Job        int64         `json:"job,omitempty"`
	Repository string        `json:"repository,omitempty"`
	Digest     digest.Digest `json:"digest,omitempty"` // of the package's manifest
	Source     digest.Digest `json:"source,omitempty"`
	Target     string        `json:"target,omitempty"`

	Seconds     float64       `json:"seconds,omitempty"` // since it was leased
	Tier        aot.Tier      `json:"tier,omitempty"`
	Size        int64         `json:"size,omitempty"` // of the code in bytes
	Result      digest.Digest `json:"result,omitempty"`
	Attestation digest.Digest `json:"attestation,omitempty"`

	Kind  string `json:"kind,omitempty"` // of the failure
	Error string `json:"error,omitempty"`

	line string // for people; "" is none
}

func workerEventOf(e worker.Event) workerEvent {
	out := workerEvent{Event: string(e.Kind), Result: e.Result, Attestation: e.Attestation, Kind: e.Why}
	if e.Err != nil {
		out.Error = message(e.Err)
	}
	if c := e.Config; c != nil {
		out.Tier, out.Size = c.Compiler.Tier, c.Output.Size
	}
	if e.Job == nil {
		out.line = map[worker.Kind]string{
			worker.Away: "the registry gives no jobs now, it is asked again: " + out.Error, worker.Back: "the registry answers again",
		}[e.Kind]
		return out
	}
	out.Job, out.Repository, out.Digest, out.Source, out.Target = e.Job.ID, e.Job.Repository, e.Job.Digest, e.Job.Source, e.Job.Target
	if e.Kind == worker.Leased {
		return out
	}
	out.Seconds = e.Took.Seconds()
	out.line = fmt.Sprintf("%s %s@%s for %s in %.1fs", e.Kind, out.Repository, out.Digest, out.Target, out.Seconds)
	switch {
	case e.Kind == worker.Done:
		out.line += fmt.Sprintf(": %s, %s, %s", out.Result, sizeText(out.Size), out.Tier)
	case e.Err != nil:
		out.line += ": " + out.Error
	}
	return out
}

// workerLog tells people on standard error and programs on standard output.
type workerLog struct {
	tool *tool
	err  error // of writing
}

func (l *workerLog) tell(e workerEvent) {
	if e.line != "" {
		fmt.Fprintln(l.tool.err, term.Clean(e.line))
	}
	if l.tool.structured() {
		e.Time = time.Now().UTC()
		l.err = errors.Join(l.err, l.tool.emitValue(e))
	}
}
