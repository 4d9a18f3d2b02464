package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/build"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/wreg-project/wreg/artifact/aot/wasmtime"
	"github.com/wreg-project/wreg/registry"
	"github.com/wreg-project/wreg/registry/advisories"
	"github.com/wreg-project/wreg/registry/auth"
	"github.com/wreg-project/wreg/registry/catalog"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/registry/ingest"
	"github.com/wreg-project/wreg/registry/ociapi"
	"github.com/wreg-project/wreg/registry/policy"
	"github.com/wreg-project/wreg/signing"
	"github.com/wreg-project/wreg/signing/attest"
	"github.com/wreg-project/wreg/signing/key"
	"github.com/wreg-project/wreg/signing/signingtest"
	"github.com/wreg-project/wreg/signing/verify"
	"github.com/wreg-project/wreg/storage/blob/mem"
	"github.com/wreg-project/wreg/storage/meta"
	"github.com/wreg-project/wreg/storage/meta/sqlite"
	"github.com/wreg-project/wreg/test/testenv"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"wpkg": main})
}

// Each script has a wreg at $REG and distribution's registry at $OTHER, and a
// home of its own. $SIGNING_CONFIG and $TRUSTED_ROOT are of a Sigstore that
// certifies whom tokens of $ISSUER name, as $TOKEN.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) < 15 {
		t.Fatalf("%d scripts, %v: a subcommand has lost its own", len(scripts), err)
	}
	issuer := testenv.StartIssuer(t)
	sigstore := signingtest.New(t, signingtest.Live()).Serve(t, issuer.URL)
	goCache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	engine := sync.OnceValues(func() (string, error) { return testenv.Engine(t) })
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			reg, db, err := startWreg(e, e.WorkDir, policy.Access{Open: true}, nil)
			if err != nil {
				return err
			}
			e.Setenv("REG", reg)
			e.Values[databaseKey] = db
			data, err := filepath.Abs("../../inspect") // whose test data are real binaries
			if err != nil {
				return err
			}
			e.Setenv("INSPECT", data)
			e.Setenv("OTHER", start(e, distribution(e)))
			e.Setenv("ISSUER", issuer.URL)
			e.Setenv("TOKEN", issuer.Mint(t, nil)) // of alice@example.com
			e.Setenv("SIGNING_CONFIG", sigstore.SigningConfig)
			e.Setenv("TRUSTED_ROOT", sigstore.TrustedRoot)
			for name, dir := range map[string]string{"HOME": "home", "XDG_CONFIG_HOME": "config", "DOCKER_CONFIG": "docker", "TMPDIR": "tmp"} {
				dir = filepath.Join(e.WorkDir, dir)
				e.Setenv(name, dir)
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
			}
			e.Setenv("GOCACHE", strings.TrimSpace(string(goCache))) // a home of its own would compile Go's library in each script
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "run"))
			e.Setenv("SOURCE_DATE_EPOCH", "")
			e.Setenv("GORACE", os.Getenv("GORACE")) // how wpkg reports races, see make race
			e.Setenv("WPKG_REGISTRY", reg)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"unhex": unhex, "wasm": writeWasm, "auth": authServer, "cut": cutServer, "liar": liar, "status": status, "same": same,
			"envsubst": envsubst, "settled": waitForJobs, "advise": advise, "attach": attach,
			"envfrom": envFrom, "hanging": hanging, "attested": readAttested,
			"lean": lean, "damage": damage, "wanted": wanted, "nocompiler": noCompiler, "manifest": madeManifest,
			"engine": func(ts *testscript.TestScript, _ bool, _ []string) {
				path, err := engine()
				ts.Check(err)
				ts.Setenv(wasmtime.Variable, path)
			},
		},
	})
}

// wanted REPOSITORY VERSION TARGET... asks the wreg at $REG for native code.
func wanted(ts *testscript.TestScript, _ bool, args []string) {
	c, err := client.New(client.Options{}).Catalog(ts.Getenv("REG"))
	ts.Check(err)
	_, err = c.RequestVariants(context.Background(), args[0], args[1], args[2:], true)
	ts.Check(err)
}

// damage [-cut] DIR changes a byte in the middle of the only file of a folder, or
// cuts it off there.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	dir := args[len(args)-1]
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%d files in %s, want one", len(files), dir)
	}
	data, err := os.ReadFile(files[0])
	ts.Check(err)
	if middle := len(data) / 2; args[0] == "-cut" {
		data = data[:middle]
	} else {
		data[middle] ^= 1
	}
	ts.Check(os.Chmod(files[0], 0o600))
	ts.Check(os.WriteFile(files[0], data, 0o600))
}

// nocompiler has the engine of a script refuse to compile.
func noCompiler(ts *testscript.TestScript, _ bool, _ []string) {
	const wrapper = "#!/bin/sh\n[ \"$1\" != compile ] || exit 1\nexec '%s' \"$@\"\n"
	path := ts.MkAbs("nocompiler/wpkg-engine")
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, fmt.Appendf(nil, wrapper, ts.Getenv(wasmtime.Variable)), 0o755))
	ts.Setenv(wasmtime.Variable, path)
}

// manifest FILE NAME sets a variable to the digest of the manifest that compile
// --push says it made.
func madeManifest(ts *testscript.TestScript, _ bool, args []string) {
	var made struct{ Manifest string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &made))
	ts.Setenv(args[1], made.Manifest)
}

// A cleaner is a script, before it runs or while it does.
type cleaner interface{ Defer(func()) }

func start(e cleaner, h http.Handler) (host string) {
	s := httptest.NewServer(h)
	e.Defer(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// trustRelease trusts release.key of the scripts.
func trustRelease() ingest.Trusted {
	pub, err := key.ParsePublic([]byte(releasePublic))
	if err != nil {
		panic(err)
	}
	v, err := verify.New(verify.Material{Keys: []verify.Key{{Name: "release", Public: pub}}})
	if err != nil {
		panic(err)
	}
	return ingest.Trusted{Verifier: v, Version: "1"}
}

const releasePublic = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7DzP2dJWnYtltTrDl3CB/30ao4Ez
vVXmh1gbbSPUt8He1Qp23fxsy8yvFEmvswxyA7hk1O8IazOVNBsv5Kxblg==
-----END PUBLIC KEY-----`

// startWreg runs wreg's own handlers over memory and SQLite.
func startWreg(e cleaner, work string, access policy.Access, users auth.Authenticator) (host string, _ meta.DB, err error) {
	dir, err := os.MkdirTemp(work, ".wreg-")
	if err != nil {
		return "", nil, err
	}
	db, err := sqlite.Open(context.Background(), filepath.Join(dir, "meta.db"), sqlite.Options{Migrate: true})
	if err != nil {
		return "", nil, err
	}
	e.Defer(func() { db.Close() })
	log, blobs := slog.New(slog.DiscardHandler), mem.New()
	ing, err := ingest.New(context.Background(), ingest.Options{Meta: db, Blobs: blobs, Producer: "test", Trust: trustRelease, Log: log})
	if err != nil {
		return "", nil, err
	}
	e.Defer(ing.Close)
	watched := ing.Watch(db)
	reg := registry.New(registry.Options{Blobs: blobs, Meta: watched, Admit: ing, Guarded: ing.Guarded, TagsMoved: ing.TagsMoved})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { ing.Run(ctx, reg) })
	e.Defer(func() {
		stop()
		running.Wait()
	})
	api := catalog.New(catalog.Options{Meta: watched, Ingest: ing, Access: access, Auth: users, Log: log})
	e.Defer(api.Close)
	images := ociapi.New(ociapi.Options{Registry: reg, Access: access, Auth: users, Log: log})
	return start(e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, wire.Base+"/") {
			api.ServeHTTP(w, r)
			return
		}
		images.ServeHTTP(w, r)
	})), db, nil
}

func distribution(e cleaner) http.Handler {
	config := &configuration.Configuration{}
	config.Storage = configuration.Storage{
		"inmemory": configuration.Parameters{}, "delete": configuration.Parameters{"enabled": true},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
	}
	config.Catalog.MaxEntries = 1000
	config.HTTP.Secret = "test"
	config.Log.Level = "panic"
	config.Log.AccessLog.Disabled = true
	logrus.SetOutput(io.Discard)
	ctx, cancel := context.WithCancel(context.Background())
	e.Defer(cancel)
	return handlers.NewApp(ctx, config)
}

// lean MAX reads the trace of package initialisation that the last command wrote to
// standard error. No package of ours may allocate more than MAX bytes before main:
// a table as large is made when it is first used (internal/lazy).
func lean(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	var seen int
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		// init PACKAGE @START ms, TIME ms clock, BYTES bytes, N allocs
		f := strings.Fields(line)
		const ours = "github.com/wreg-project/wreg/"
		const server = ours + "storage/" // which the tests alone have
		if len(f) != 11 || f[0] != "init" || !strings.HasPrefix(f[1], ours) || strings.HasPrefix(f[1], server) {
			continue
		}
		seen++
		bytes, err := strconv.Atoi(f[7])
		ts.Check(err)
		if bytes > limit {
			ts.Fatalf("%s allocates %d bytes before main, %d at most", f[1], bytes, limit)
		}
	}
	if seen < 10 {
		ts.Fatalf("%d of our packages in the trace of initialisation; it is read wrongly", seen)
	}
}

// unhex IN OUT turns hexadecimal digits into bytes.
func unhex(ts *testscript.TestScript, _ bool, args []string) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(ts.ReadFile(args[0])), ""))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

// wasm FILE BYTES writes a module with a custom section of that many bytes.
func writeWasm(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	content := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(content)
	body := append([]byte("\x04data"), content...)
	b := append([]byte("\x00asm\x01\x00\x00\x00\x00"), binary.AppendUvarint(nil, uint64(len(body)))...)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(b, body...), 0o644))
}

// attach REPOSITORY TAG TYPE FILE attaches a document to a package at $REG, as oras
// attach does.
func attach(ts *testscript.TestScript, _ bool, args []string) {
	repo, err := remote.NewRepository(ts.Getenv("REG") + "/" + args[0])
	ts.Check(err)
	repo.PlainHTTP = true
	ctx := context.Background()
	subject, err := repo.Resolve(ctx, args[1])
	ts.Check(err)
	layer, err := oras.PushBytes(ctx, repo, args[2], []byte(ts.ReadFile(args[3])))
	ts.Check(err)
	_, err = oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, args[2], oras.PackManifestOptions{
		Subject: &subject, Layers: []ocispec.Descriptor{layer},
	})
	ts.Check(err)
}

// advise FOLDER imports advisories into the registry at $REG.
func advise(ts *testscript.TestScript, _ bool, args []string) {
	im := &advisories.Importer{DB: ts.Value(databaseKey).(meta.DB)}
	_, err := im.Import(context.Background(), advisories.Load{Source: "test", Path: ts.MkAbs(args[0])})
	ts.Check(err)
}

// attested REPOSITORY TAG TYPE KEY OUT writes the predicate of the one attestation of
// a type that a package at $REG has and that a public key verifies.
func readAttested(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	public, err := key.ParsePublic([]byte(ts.ReadFile(args[3])))
	ts.Check(err)
	v, err := verify.New(verify.Material{Keys: []verify.Key{{Public: public}}})
	ts.Check(err)
	repo, err := client.New(client.Options{}).Repository(ts.Getenv("REG"), args[0])
	ts.Check(err)
	d, err := repo.Resolve(ctx, args[1])
	ts.Check(err)
	found, err := signing.Find(ctx, client.Signatures(repo), d.Digest)
	ts.Check(err)
	var predicates []json.RawMessage
	for _, f := range found {
		if p, err := v.Verify(ctx, d.Digest, f); err == nil && attest.Name(p.PredicateType) == args[2] {
			predicates = append(predicates, p.Predicate)
		}
	}
	if len(predicates) != 1 {
		ts.Fatalf("%s:%s has %d attestations of the type %s by %s; want 1", args[0], args[1], len(predicates), args[2], args[3])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), predicates[0], 0o644))
}

// envfrom NAME FILE sets a variable of the environment to what a file has.
func envFrom(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], ts.ReadFile(args[1]))
}

// hanging REPOSITORY:TAG counts the signatures of a package at $REG by their form.
func hanging(ts *testscript.TestScript, _ bool, args []string) {
	name, tag, _ := strings.Cut(args[0], ":")
	repo, err := client.New(client.Options{}).Repository(ts.Getenv("REG"), name)
	ts.Check(err)
	ctx := context.Background()
	subject, err := repo.Resolve(ctx, tag)
	ts.Check(err)
	found, err := signing.Find(ctx, client.Signatures(repo), subject.Digest)
	ts.Check(err)
	count := map[signing.Form]int{}
	for _, f := range found {
		if f.Problem != "" {
			ts.Fatalf("%s: %s", f.Manifest, f.Problem)
		}
		count[f.Form]++
	}
	fmt.Fprintf(ts.Stdout(), "in all %d\n", len(found))
	for _, form := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(ts.Stdout(), "%s %d\n", form, count[form])
	}
}

// envsubst IN OUT fills in the script's variables.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o644))
}

// same A B compares two files that are no text.
func same(ts *testscript.TestScript, neg bool, args []string) {
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if bytes.Equal(a, b) == neg {
		ts.Fatalf("%s and %s: equal is %t", args[0], args[1], !neg)
	}
}

// databaseKey finds the database of a script's wreg among its values.
const databaseKey = "database"

// waitForJobs waits until the wreg at $REG has done all its jobs.
func waitForJobs(ts *testscript.TestScript, _ bool, _ []string) {
	db := ts.Value(databaseKey).(meta.DB)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 6000 { // a minute
		counts, err := db.JobCounts(context.Background())
		ts.Check(err)
		busy := 0
		for kind, n := range counts {
			if busy += n.Waiting + n.Leased; n.Dead > 0 {
				ts.Fatalf("%d jobs of kind %s are dead", n.Dead, kind)
			}
		}
		if busy == 0 {
			return
		}
		<-tick.C
	}
	ts.Fatalf("there are jobs still")
}

// status N COMMAND... runs a command that has to end with that status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%q ended with status %s, want %s", args[1:], got, args[0])
	}
}

// auth starts a wreg at $AUTH that knows user ann with password secret, and lets
// everybody read below public.
func authServer(ts *testscript.TestScript, _ bool, _ []string) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	ts.Check(err)
	file := ts.MkAbs("htpasswd")
	ts.Check(os.WriteFile(file, []byte("ann:"+string(hash)+"\n"), 0o600))
	users, err := auth.OpenHTPasswd(file, auth.Options{})
	ts.Check(err)
	host, _, err := startWreg(ts, ts.MkAbs("."), policy.Access{AnonymousPull: []string{"public"}}, users)
	ts.Check(err)
	ts.Setenv("AUTH", host)
}

// cut BYTES starts a proxy at $CUT to $REG that breaks the first connection on
// which the client sent more than that many bytes.
func cutServer(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("CUT", l.Addr().String())
	target := ts.Getenv("REG")
	var cut atomic.Bool
	var running sync.WaitGroup
	ts.Defer(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			stop := sync.OnceFunc(func() {
				in.Close()
				out.Close()
			})
			running.Go(func() {
				defer stop()
				if _, err := io.CopyN(out, in, limit); err != nil || cut.CompareAndSwap(false, true) {
					return
				}
				io.Copy(out, in)
			})
			running.Go(func() {
				defer stop()
				io.Copy(in, out)
			})
		}
	})
}

// liar KIND starts a registry at $LIAR whose package a:1.0.0 is not what it says.
func liar(ts *testscript.TestScript, _ bool, args []string) {
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	layer := ocispec.Descriptor{MediaType: "application/wasm", Digest: digest.FromBytes(wasm), Size: int64(len(wasm))}
	config := []byte(`{}`)
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.Descriptor{MediaType: "application/vnd.wasm.config.v0+json", Digest: digest.FromBytes(config), Size: 2},
	}
	m.SchemaVersion = 2
	served := wasm
	switch args[0] {
	case "digest":
		served = []byte("\x00asm\x0d\x00\x01\x00")
	case "cut":
		served = wasm[:4]
	case "title":
		layer.Annotations = map[string]string{ocispec.AnnotationTitle: args[1]}
	case "escapes", "tags":
	default:
		ts.Fatalf("liar %s?", args[0])
	}
	m.Layers = []ocispec.Descriptor{layer}
	manifest, err := json.Marshal(m)
	ts.Check(err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case args[0] == "escapes":
			w.WriteHeader(http.StatusForbidden)
			b, _ := json.Marshal(map[string]any{"errors": []any{map[string]any{"code": "DENIED", "message": "\x1b[2Jall is well"}}})
			w.Write(b)
		case args[0] == "tags" && strings.HasSuffix(r.URL.Path, "/tags/list"):
			io.WriteString(w, `{"tags":["a"`)
			for range 10 << 10 {
				if _, err := io.WriteString(w, strings.Repeat(`,"aaaaaaa"`, 1000)); err != nil {
					return
				}
			}
		case args[0] == "tags":
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Content-Length", "1099511627776")
			w.Header().Set("Docker-Content-Digest", digest.FromBytes(manifest).String())
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Docker-Content-Digest", digest.FromBytes(manifest).String())
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(manifest))
		case strings.HasSuffix(r.URL.Path, layer.Digest.String()):
			w.Header().Set("Content-Length", fmt.Sprint(len(wasm)))
			w.Write(served)
		default:
			http.NotFound(w, r)
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv("LIAR", strings.TrimPrefix(s.URL, "http://"))
}

// wpkg starts fast and small because nothing of the server is in it.
func TestTheServerIsNotLinked(t *testing.T) {
	const module = "github.com/wreg-project/wreg/"
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	var visit func(pkg, by string)
	visit = func(pkg, by string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		for _, server := range []string{"registry/ociapi", "registry/auth", "registry/catalog", "registry/ingest", "storage", "web", "internal/httpx", "internal/obs"} {
			if pkg != "registry/catalog/wire" && (pkg == "registry" || pkg == server || strings.HasPrefix(pkg, server+"/")) {
				t.Errorf("%s is imported by %s", pkg, by)
			}
		}
		p, err := build.Default.ImportDir(filepath.Join(root, filepath.FromSlash(pkg)), 0)
		if err != nil {
			t.Fatalf("%s: %v", pkg, err)
		}
		for _, im := range p.Imports {
			if own, ok := strings.CutPrefix(im, module); ok {
				visit(own, pkg)
				continue
			}
			for _, heavy := range []string{
				"database/sql", "modernc.org/sqlite", "github.com/distribution/distribution", "go.opentelemetry.io", "github.com/prometheus", "testing",
			} {
				if im == heavy || strings.HasPrefix(im, heavy+"/") {
					t.Errorf("%s imports %s", pkg, im)
				}
			}
		}
	}
	visit("cmd/wpkg", "")
	if len(seen) < 8 || !seen["registry/client"] {
		t.Errorf("only %d packages were looked at", len(seen))
	}
}
