package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/aot"
	"github.com/wreg-project/wreg/artifact/aot/worker"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing"
)

const (
	repository = "demo/app"
	target     = "linux/amd64/v3"
	lease      = 120 // seconds
)

var wasm = []byte("\x00asm\x01\x00\x00\x00")

// registry has jobs, and answers as a test wants. Its leases are named after jobs.
type registry struct {
	mu       sync.Mutex
	queue    []wire.AOTJob
	told     []string // what it was told of jobs
	extended int
	asked    int // for a job
	asking   int // at this time
	most     int // at any time

	refuse func(what string) error // nil refuses nothing
}

func (r *registry) answer(what, told string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		if err := r.refuse(what); err != nil {
			return err
		}
	}
	if told != "" {
		r.told = append(r.told, told)
	}
	return nil
}

func (r *registry) LeaseAOT(ctx context.Context, q wire.AOTLeaseRequest) (*wire.AOTLease, error) {
	r.mu.Lock()
	r.asked, r.asking = r.asked+1, r.asking+1
	r.most = max(r.most, r.asking)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asking--
	}()
	if err := r.answer("lease", ""); err != nil {
		return nil, err
	}
	r.mu.Lock()
	if len(r.queue) > 0 {
		j := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		return &wire.AOTLease{Lease: fmt.Sprint("lease ", j.ID), Seconds: lease, Job: j}, nil
	}
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(q.WaitSeconds) * time.Second):
		return nil, nil
	}
}

func (r *registry) ExtendAOT(_ context.Context, token string) (*wire.AOTLease, error) {
	if err := r.answer("extend", ""); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.extended++
	return &wire.AOTLease{Lease: token, Seconds: lease}, nil
}

func (r *registry) FinishAOT(_ context.Context, token string, _ digest.Digest) (*wire.AOTJob, error) {
	return nil, r.answer("finish", token+" is done")
}

func (r *registry) FailAOT(_ context.Context, token, kind, reason string) error {
	return r.answer("fail", token+" failed: "+kind+": "+reason)
}

func (r *registry) ReleaseAOT(_ context.Context, token string) error {
	return r.answer("release", token+" is given back")
}

// compiler makes code of any module after what the test does.
type compiler struct {
	do func(context.Context) error
}

func (compiler) Runtime() string                               { return aot.Runtime }
func (compiler) Support(context.Context) (*aot.Support, error) { return &aot.Support{}, nil }

func (c compiler) Compile(ctx context.Context, j aot.Job, out io.Writer) (*aot.Config, error) {
	module, err := j.Read()
	if err != nil {
		return nil, err
	}
	if c.do != nil {
		if err := c.do(ctx); err != nil {
			return nil, err
		}
	}
	code := bytes.ToUpper(module)
	if _, err := out.Write(code); err != nil {
		return nil, err
	}
	return &aot.Config{
		Source:   aot.Source{Digest: j.Digest, Size: j.Size},
		Compiler: aot.By{Runtime: aot.Runtime, Version: "39.0.1", Tier: aot.Optimising, Profile: aot.Profile},
		Target:   aot.Made{Platform: j.Target.String()},
		CompatID: digest.FromString("engine").String(),
		Output:   aot.Source{Digest: digest.FromBytes(code), Size: int64(len(code))},
		Builder:  &aot.Builder{ID: "https://example.com/compiler", Platform: target},
	}, nil
}

// env is a registry with one package, and what a worker told of itself.
type env struct {
	*testing.T
	registry *registry
	target   client.Target
	subject  ocispec.Descriptor // the package
	job      wire.AOTJob        // for the package
	options  worker.Options

	mu     sync.Mutex
	events []worker.Event
}

// newEnv makes the package, in a layout. Options.Once is set.
func newEnv(t *testing.T) *env {
	t.Helper()
	layout, err := client.CreateLayout(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := artifact.Pack(t.Context(), []artifact.File{{Name: "app.wasm", Content: bytes.NewReader(wasm), Size: int64(len(wasm))}}, artifact.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Push(t.Context(), p, layout, client.CopyOptions{Tags: []string{"1.0.0"}}); err != nil {
		t.Fatal(err)
	}
	e := &env{T: t, registry: &registry{}, target: layout}
	if e.subject, err = layout.Resolve(t.Context(), p.Manifest.Digest.String()); err != nil {
		t.Fatal(err)
	}
	e.job = wire.AOTJob{
		ID: 1, Repository: repository, Digest: p.Manifest.Digest, Source: digest.FromBytes(wasm), SourceSize: int64(len(wasm)),
		Target: target, Runtime: aot.Runtime, Profile: aot.Profile,
	}
	e.registry.queue = []wire.AOTJob{e.job}
	e.options = worker.Options{
		Jobs: e.registry, Compiler: compiler{}, Once: true,
		Repository: func(name string) (client.Target, error) {
			if name != repository {
				return nil, fmt.Errorf("repository %q", name)
			}
			return layout, nil
		},
		Sign: func(_ context.Context, st signing.Statement) ([]byte, error) {
			return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","of":%q}`, st.Subject[0].Digest["sha256"]), nil
		},
		Offer: wire.AOTLeaseRequest{
			Worker: "w", Runtime: aot.Runtime, Version: "39.0.1", Profile: aot.Profile, Targets: []wire.AOTOffer{{Target: target}},
		},
		Tell: func(ev worker.Event) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.events = append(e.events, ev)
		},
	}
	return e
}

// kinds are those of the events so far.
func (e *env) kinds() []worker.Kind {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []worker.Kind
	for _, ev := range e.events {
		list = append(list, ev.Kind)
	}
	return list
}

// want compares what the worker and the registry were told.
func (e *env) want(kinds []worker.Kind, told ...string) {
	e.Helper()
	if diff := cmp.Diff(kinds, e.kinds()); diff != "" {
		e.Errorf("events differ (-want +got):\n%s\n%+v", diff, e.events)
	}
	if diff := cmp.Diff(told, e.registry.told); diff != "" {
		e.Errorf("what the registry was told differs (-want +got):\n%s", diff)
	}
}

var (
	unreachable = &url.Error{Op: "Post", URL: "http://reg.test/", Err: syscall.ECONNREFUSED}
	taken       = &client.CatalogError{Host: "reg.test", Problem: &wire.Problem{Status: http.StatusConflict, Code: wire.CodeConflict}}
	forbidden   = &client.CatalogError{Host: "reg.test", Problem: &wire.Problem{Status: http.StatusForbidden, Code: wire.CodeForbidden}}
)

func TestAJobIsDone(t *testing.T) {
	e := newEnv(t)
	if err := worker.New(e.options).Run(t.Context()); err != nil {
		t.Fatalf("Run() = %v", err)
	}
	e.want([]worker.Kind{worker.Leased, worker.Done}, "lease 1 is done")
	refs, err := client.ReferrersOf(t.Context(), e.target, e.subject, "")
	list, ignored := aot.List(refs)
	if err != nil || len(list) != 1 || len(ignored) != 0 {
		t.Fatalf("referrers of the package: %+v, %v, %v; want the code", refs, ignored, err)
	}
	v, err := aot.Read(t.Context(), e.target, list[0].Descriptor, aot.Expected{Subject: e.job.Digest, Source: e.job.Source})
	if err != nil || v.Manifest.Digest != e.events[1].Result {
		t.Fatalf("Read() = %+v, %v; want %s", v, err, e.events[1].Result)
	}
	var code bytes.Buffer
	if err := v.WriteCode(t.Context(), e.target, &code); err != nil || !bytes.Equal(code.Bytes(), bytes.ToUpper(wasm)) {
		t.Errorf("WriteCode() = %q, %v; want %q", code.Bytes(), err, bytes.ToUpper(wasm))
	}
	found, err := client.ReferrersOf(t.Context(), e.target, v.Manifest, signing.MediaTypeBundle)
	if err != nil || len(found) != 1 || found[0].Digest != e.events[1].Attestation {
		t.Errorf("attestations of the code: %+v, %v; want %s", found, err, e.events[1].Attestation)
	}
}

func TestAJobThatCannotBeDoneFails(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name    string
		job     func(*wire.AOTJob)
		compile error
		sign    error
		want    string
	}{
		{name: "what the compiler refuses", compile: fmt.Errorf("%w: bad", aot.ErrInput), want: "input: the compiler refuses the module: bad"},
		{name: "what is too much for it", compile: fmt.Errorf("%w: time", aot.ErrLimit), want: "limit: a limit was reached: time"},
		{name: "a crash", compile: fmt.Errorf("%w: signal 6", aot.ErrCrashed), want: "crash: the compiler crashed: signal 6"},
		{name: "our own trouble", compile: errors.New("disk full"), want: "other: disk full"},
		{name: "a long reason", compile: errors.New(long), want: "other: " + long[:4000] + "…"},
		{name: "no signature", sign: errors.New("no token"), want: "other: sign: no token"},
		{
			name: "a target that was not offered", job: func(j *wire.AOTJob) { j.Target = "linux/arm64" },
			want: `unsupported: this machine cannot compile for it: the job is for "linux/arm64", "wasmtime", "wreg-v1"`,
		},
		{
			name: "another profile", job: func(j *wire.AOTJob) { j.Profile = "fuel" },
			want: `unsupported: this machine cannot compile for it: the job is for "linux/amd64/v3", "wasmtime", "fuel"`,
		},
		{
			name: "a layer that is too large", job: func(j *wire.AOTJob) { j.SourceSize = aot.MaxInput + 1 },
			want: "limit: a limit was reached: the layer has 67108865 bytes, at most 67108864 are compiled",
		},
		{name: "a digest that is none", job: func(j *wire.AOTJob) { j.Source = "sha256:1" }, want: "other: the job: "},
		{name: "a layer of another size", job: func(j *wire.AOTJob) { j.SourceSize = 7 }, want: "it has no layer sha256:"},
		{
			name: "a layer of another package", job: func(j *wire.AOTJob) { j.Source = digest.FromString("other") },
			want: "it has no layer sha256:",
		},
		{name: "a package that is not there", job: func(j *wire.AOTJob) { j.Digest = digest.FromString("other") }, want: "other: pull sha256:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnv(t)
			if tt.job != nil {
				tt.job(&e.registry.queue[0])
			}
			e.options.Compiler = compiler{do: func(context.Context) error { return tt.compile }}
			if tt.sign != nil {
				e.options.Sign = func(context.Context, signing.Statement) ([]byte, error) { return nil, tt.sign }
			}
			if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, worker.ErrFailed) {
				t.Errorf("Run() = %v; want %v", err, worker.ErrFailed)
			}
			if told := e.registry.told; len(told) != 1 || !strings.HasPrefix(told[0], "lease 1 failed: ") || !strings.Contains(told[0], tt.want) {
				t.Errorf("the registry was told %q; want %q", told, tt.want)
			}
			refs, err := client.ReferrersOf(t.Context(), e.target, e.subject, "")
			if err != nil || len(refs) != 0 {
				t.Errorf("pushed all the same: %+v, %v", refs, err)
			}
		})
	}
}

func TestAFailureEndsNothing(t *testing.T) {
	e := newEnv(t)
	second := e.job
	second.ID = 2
	e.registry.queue = append(e.registry.queue, second)
	e.registry.queue[0].Target = "pulley64"
	if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, worker.ErrFailed) {
		t.Errorf("Run() = %v; want %v", err, worker.ErrFailed)
	}
	if want := []worker.Kind{worker.Leased, worker.Failed, worker.Leased, worker.Done}; !slices.Equal(e.kinds(), want) {
		t.Errorf("events %v; want %v", e.kinds(), want)
	}
}

// compiling makes each compilation take that long.
func (e *env) compiling(d time.Duration) {
	e.options.Compiler = compiler{do: func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}}
}

func TestALeaseIsProlongedWhileItIsWorkedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.compiling(10 * time.Minute)
		if err := worker.New(e.options).Run(t.Context()); err != nil {
			t.Errorf("Run() = %v", err)
		}
		e.want([]worker.Kind{worker.Leased, worker.Done}, "lease 1 is done")
		if n := e.registry.extended; n != 15 { // at each third of two minutes
			t.Errorf("the lease was prolonged %d times; want 15", n)
		}
	})
}

func TestWorkStopsWhenTheLeaseIsLost(t *testing.T) {
	for name, refusal := range map[string]error{"somebody else has the job": taken, "the registry is away for longer": unreachable} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				e.compiling(time.Hour)
				e.registry.refuse = func(what string) error {
					if what == "extend" {
						return refusal
					}
					return nil
				}
				began := time.Now()
				if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, worker.ErrFailed) {
					t.Errorf("Run() = %v; want %v", err, worker.ErrFailed)
				}
				e.want([]worker.Kind{worker.Leased, worker.Lost})
				if took := time.Since(began); took > lease*time.Second {
					t.Errorf("the worker went on for %s; want at most the %d s of the lease", took, lease)
				}
			})
		})
	}
}

func TestAResultThatIsRefusedIsAFailure(t *testing.T) {
	e := newEnv(t)
	e.registry.refuse = func(what string) error {
		if what == "finish" {
			return &client.CatalogError{Host: "reg.test", Problem: &wire.Problem{
				Status: http.StatusUnprocessableEntity, Code: wire.CodeInvalidResult, Title: "Invalid result", Detail: "no trusted compiler attests it",
			}}
		}
		return nil
	}
	if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, worker.ErrFailed) {
		t.Errorf("Run() = %v; want %v", err, worker.ErrFailed)
	}
	if told := e.registry.told; len(told) != 1 || !strings.Contains(told[0], "other: ") || !strings.Contains(told[0], "no trusted compiler attests it") {
		t.Errorf("the registry was told %q; want its own reason", told)
	}
}

func TestAWorkerSitsOutARegistryThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.options.Once = false
		e.compiling(time.Second)
		began := time.Now()
		e.registry.refuse = func(what string) error {
			since := time.Since(began)
			// It is away when a job is asked for, and again when that is done.
			if since < 5*time.Minute || what == "finish" && since < 6*time.Minute {
				return unreachable
			}
			return nil
		}
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Minute)
		defer stop()
		if err := worker.New(e.options).Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
		e.want([]worker.Kind{worker.Away, worker.Back, worker.Leased, worker.Away, worker.Back, worker.Done}, "lease 1 is done")
	})
}

// A registry bounds how many wait for a job, and asks those beyond to come back.
func TestAWorkerAsksForOneJobAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.options.Once, e.options.Concurrency = false, 8
		busy := &client.CatalogError{Host: "h", Problem: &wire.Problem{
			Status: http.StatusTooManyRequests, Code: wire.CodeTooManyRequests, RetryAfter: 10,
		}}
		began := time.Now()
		e.registry.refuse = func(what string) error {
			if what == "lease" && time.Since(began) < 50*time.Second {
				return busy
			}
			return nil
		}
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Second)
		defer stop()
		if err := worker.New(e.options).Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if e.registry.asked > 5 {
			t.Errorf("a worker that is asked to wait for 10 s asked %d times within 50 s", e.registry.asked)
		}
		ctx, stop = context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		if err := worker.New(e.options).Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if e.registry.most != 1 {
			t.Errorf("a worker for 8 jobs at a time asked %d times at once; want one", e.registry.most)
		}
		e.want([]worker.Kind{worker.Away, worker.Leased, worker.Done}, "lease 1 is done")
	})
}

func TestAWorkerThatCannotSignTakesNoJob(t *testing.T) {
	e := newEnv(t)
	e.registry.queue = append(e.registry.queue, e.job)
	e.options.Once, e.options.Concurrency = false, 2
	expired := errors.New("the token expired")
	asked := 0
	e.options.Ready = func(context.Context) error {
		if asked++; asked > 1 {
			return expired
		}
		return nil
	}
	if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, expired) {
		t.Errorf("Run() = %v; want %v", err, expired)
	}
	e.want([]worker.Kind{worker.Leased, worker.Done}, "lease 1 is done")
}

func TestAWorkerThatIsRefusedEnds(t *testing.T) {
	e := newEnv(t)
	e.options.Once, e.options.Concurrency = false, 4
	e.registry.refuse = func(string) error { return forbidden }
	if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, forbidden) {
		t.Errorf("Run() = %v; want %v", err, forbidden)
	}
	e.want(nil)
}

func TestOnceDoesNotWaitForARegistryThatIsAway(t *testing.T) {
	e := newEnv(t)
	e.registry.refuse = func(string) error { return unreachable }
	if err := worker.New(e.options).Run(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Run() = %v; want %v", err, syscall.ECONNREFUSED)
	}
}

func TestTheEndOfAWorker(t *testing.T) {
	tests := []struct {
		name         string
		drain, takes time.Duration
		want         worker.Kind
		told         string
	}{
		{"what is soon done is finished", 0, worker.DefaultDrain - time.Second, worker.Done, "lease 1 is done"},
		{"what takes longer is given back", 0, time.Hour, worker.Released, "lease 1 is given back"},
		{"at once, if there is no time", -1, time.Minute, worker.Released, "lease 1 is given back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t)
				e.options.Once, e.options.Drain = false, tt.drain
				e.compiling(tt.takes)
				ctx, stop := context.WithCancel(t.Context())
				result := make(chan error)
				go func() { result <- worker.New(e.options).Run(ctx) }()
				synctest.Wait() // it compiles
				stop()
				ended := time.Now()
				if err := <-result; err != nil {
					t.Errorf("Run() = %v", err)
				}
				if took := time.Since(ended); took > worker.DefaultDrain {
					t.Errorf("the end took %s; want at most %s", took, worker.DefaultDrain)
				}
				e.want([]worker.Kind{worker.Leased, tt.want}, tt.told)
			})
		})
	}
}

func TestJobsAreWorkedOnAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t)
		e.options.Concurrency = 3
		e.compiling(time.Minute)
		for id := range int64(5) {
			j := e.job
			j.ID = id + 2
			e.registry.queue = append(e.registry.queue, j)
		}
		began := time.Now()
		if err := worker.New(e.options).Run(t.Context()); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if took := time.Since(began); took != 2*time.Minute || len(e.registry.told) != 6 {
			t.Errorf("six jobs of a minute, three at a time, took %s, %q; want 2m0s", took, e.registry.told)
		}
	})
}
