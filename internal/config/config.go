// Package config is everything that can be set about a wreg server: one struct
// whose field comments are the manual.
//
// The zero value is the documented default. Load fills it from a YAML file,
// then the environment, then flags, each overruling the one before. Flags,
// variables, the file's keys, `wreg serve --help` and docs/ops/configuration.md
// all follow from the struct: a new setting is a new field and nothing else
// (run `UPDATE=1 go test ./internal/config` after it).
package config

import (
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Config is the configuration of a server. Its field comments are the manual:
// the first sentence is what --help shows.
type Config struct {
	// Address and port to serve on. Without authentication and TLS it has to be
	// a loopback address, unless insecure_public is set.
	Listen string `key:"listen" default:"127.0.0.1:5080"`

	// Serve on a public address although authentication or TLS is missing. Whoever
	// reaches the port may then write packages, or read what passes on the
	// network; meant for a server behind a proxy that adds what is missing.
	InsecurePublic bool `key:"insecure_public" default:"false"`

	// Folder in which wreg keeps everything that has no other place. It is made
	// if it is absent.
	Data string `key:"data" default:"wreg-data" scope:"all"`

	// Database of the metadata. The path of an SQLite file, or a PostgreSQL address
	// like postgres://user:password@host/name, which several servers may share.
	// Passwords never appear in logs.
	Database DSN `key:"database" default:"DATA/wreg.db" scope:"all"`

	// Storage of the blobs. fs:DIR keeps files in a folder. mem: forgets them at
	// exit, for trials whose data folder is thrown away as well. And
	// distribution+NAME:PREFIX?parameter=value uses a storage driver of the
	// distribution project with the parameters it has there, for instance
	// distribution+filesystem:DIR; its uploads are spooled in DATA/spool.
	Storage DSN `key:"storage" default:"fs:DATA/blobs" scope:"all"`

	// Time that running requests get to finish after SIGTERM or SIGINT. What
	// still runs then is cut off. A second signal ends the server at once.
	ShutdownGrace time.Duration `key:"shutdown_grace" default:"30s"`

	TLS        TLS        `key:"tls"`
	Auth       Auth       `key:"auth"`
	Registry   Registry   `key:"registry"`
	Ingest     Ingest     `key:"ingest"`
	AOT        AOT        `key:"aot"`
	Signing    Signing    `key:"signing"`
	Trust      Trust      `key:"trust"`
	Advisories Advisories `key:"advisories"`
	Limits     Limits     `key:"limits"`
	Log        Log        `key:"log"`
	Metrics    Metrics    `key:"metrics"`
}

// TLS is how connections are encrypted.
type TLS struct {
	// PEM file of the certificate, followed by its intermediates. It is read again
	// when it changes; a pair that does not fit together leaves the old one in use.
	Cert string `key:"cert" default:""`

	// PEM file of the certificate's private key. It needs tls.cert, and tls.cert
	// needs it.
	Key string `key:"key" default:""`
}

// Auth is who may use the registry.
type Auth struct {
	// File of user names and bcrypt hashes, as htpasswd -B writes it. It is read
	// again when it changes. Without it everyone who reaches the server may do
	// everything.
	HTPasswd string `key:"htpasswd" default:""`

	// Namespaces that may be read without logging in. "team" opens team and
	// everything below team/, "*" opens all. It needs auth.htpasswd.
	AnonymousPull []string `key:"anonymous_pull" default:""`

	// Names of users who may administer: change policies, see to jobs, index
	// again. They may approve as well. It needs auth.htpasswd; without that,
	// everyone may.
	Admins []string `key:"admins" default:""`

	// Names of users who may approve: let a package pass in spite of a policy, and
	// fetch what a policy holds back. It needs auth.htpasswd.
	Approvers []string `key:"approvers" default:""`

	// Names of users who are workers: they take jobs to make native code, read
	// packages, and push nothing but what comes of a job that they have taken. It
	// needs auth.htpasswd; without that, everyone may.
	Workers []string `key:"workers" default:""`
}

// Registry is what a push may do.
type Registry struct {
	// Tags that never move once written. semver means full versions such as 1.2.3
	// or v1.2.3-rc.1, and view tags of such; none means that every tag may move.
	// Pushing the same content again always succeeds.
	ImmutableTags string `key:"immutable_tags" default:"semver" oneof:"semver none"`

	// Accept indexes and manifests whose parts are not stored here. Otherwise a
	// push that names absent blobs or manifests is refused.
	Sparse bool `key:"sparse" default:"false"`

	// What becomes of a package that says it is WebAssembly and is broken. refuse
	// answers its push with the offset and the reason; store keeps it, and policies
	// see what is wrong with it.
	BrokenWasm string `key:"broken_wasm" default:"refuse" oneof:"refuse store"`
}

// Ingest is how packages are inspected, indexed and held against policies.
type Ingest struct {
	// Packages that are ingested at the same time. Judging a push does not wait for
	// them.
	Workers int `key:"workers" default:"2"`

	// Time after which the job of a server that died is taken over by another one. A
	// server with SQLite, which is the only one, does so when it starts again, unless
	// the job was begun more than once.
	Lease time.Duration `key:"lease" default:"1m"`

	// Attempts at a job after which it is a dead letter. It stays until somebody
	// retries or drops it.
	MaxAttempts int `key:"max_attempts" default:"8"`

	// Memory that all inspections may take at the same time. One takes about four
	// times the size of its file; more than this has them wait for each other.
	Memory Size `key:"memory" default:"512MiB"`

	// Largest WebAssembly file that is inspected. A larger one is stored, and passes
	// no enforced policy that asks for its content.
	MaxModule Size `key:"max_module" default:"128MiB"`

	// Bytes that the compressed layers and archives of one blob may unpack to while
	// WebAssembly is looked for in them. What lies beyond is treated like a file that
	// is too large.
	MaxUnpacked Size `key:"max_unpacked" default:"2GiB"`

	// Time that judging a push may take. Beyond it the push is answered with 503;
	// what was found out until then is there when it is tried again.
	AdmitTimeout time.Duration `key:"admit_timeout" default:"2m"`

	// Days for which the bytes of refused packages are kept for approvers.
	QuarantineDays int `key:"quarantine_days" default:"7"`

	// Days for which decisions of policies are kept.
	DecisionDays int `key:"decision_days" default:"90"`

	// Days for which events are kept for those who follow them.
	EventDays int `key:"event_days" default:"7"`

	// Entries of the index of functions, each about 40 bytes. Beyond it every
	// package is found by fewer of its functions.
	FunctionEntries int `key:"function_entries" default:"20000000"`
}

// AOT is native code that workers make of packages, ahead of time. The server
// itself compiles nothing.
type AOT struct {
	// Rules, each PATTERNS = TARGETS, with spaces between several of either. Every tag
	// whose REPOSITORY:TAG matches a pattern gets native code for the targets:
	// prod/**:v* = linux/amd64/v3 linux/arm64. A * stands for any part of a name
	// between slashes, ** for any, and a pattern without a colon is about all tags.
	// Targets are linux/amd64/v1, v2 and v3, linux/arm64 and pulley64. What is stored
	// follows when the rules change.
	Rules []string `key:"rules" default:""`

	// Names of trusted keys, or identities of certificates, of compilers. If there are
	// any, the result of a worker is taken only with an attestation of its provenance
	// that one of them signed, and what they attest is shown as trusted whoever pushed
	// it. See trust.keys.
	Compilers []string `key:"compilers" default:""`

	// Time after which the job of a worker that says nothing is given to another one.
	Lease time.Duration `key:"lease" default:"2m"`

	// Time after which a job is given to another worker, whatever the first one says.
	// Compilers give up sooner: after six minutes, or an hour on emulated machines.
	MaxTime time.Duration `key:"max_time" default:"90m"`

	// Attempts at a job after which it has failed. It stays so until somebody asks for
	// it again.
	MaxAttempts int `key:"max_attempts" default:"5"`
}

// Signing is what the server signs itself, with the key of the installation.
type Signing struct {
	// Private key of the installation, unencrypted PEM in a file, or env:NAME for a
	// variable with it. It is read again when it changes. Without it one is made on
	// first start and kept in the storage; wreg key rotate replaces that.
	Key string `key:"key" default:""`

	// Attestations that are signed of each package. vsa says that policy admitted
	// it, sbom lists what it is made of, vulnerabilities what is known of that, and
	// capabilities what it may do; none signs nothing. auto is all four, but none of
	// a package that is signed in cosign's older form (tags) and by no bundle: these
	// are bundles, and where one hangs cosign does not read the tags. A list is for
	// every package, whoever signed it how.
	Attest []string `key:"attest" default:"auto"`
}

// Words of signing.attest that stand alone; the others are in Attestations.
const (
	AttestAuto = "auto"
	AttestNone = "none"
)

// Attestations are the words of signing.attest that make a list.
var Attestations = []string{"vsa", "sbom", "vulnerabilities", "capabilities"}

// Trust is what signatures on packages are verified against, beside what
// administrators add over the API and the keys of the installation.
type Trust struct {
	// Files of Sigstore trusted roots, as JSON. They say which certificates, logs and
	// timestamps are believed. They are read again when they change.
	Roots []string `key:"roots" default:""`

	// Public keys, each NAME=FILE with the key in PEM. Policies know the signer by the
	// name. They are read again when they change.
	Keys []string `key:"keys" default:""`

	// File of a trust policy, as wpkg trust writes it. It says who publishes which
	// package; its roots and keys are trusted beside the others. It is read again when
	// it or a file beside it changes.
	Policy string `key:"policy" default:""`
}

// Advisories are what packages are compared with to find vulnerabilities.
type Advisories struct {
	// Feeds of advisories in the OSV format. Each is a zip, a folder or a record: a
	// path on the server, or an address at https, which is asked for changes every
	// interval. One that ends in #sha256=HEX is good for that content only. What is
	// imported from feeds that are not listed any more stays.
	Feeds []string `key:"feeds" default:""`

	// Time between two imports of a feed. Servers over the same database share the
	// work, and wait up to a tenth longer or shorter.
	Interval time.Duration `key:"interval" default:"6h"`

	// File of FIRST's EPSS scores, as CSV, compressed by gzip or not. A path or an
	// address like a feed.
	EPSS string `key:"epss" default:""`

	// File of CISA's catalogue of vulnerabilities that are known to be used, as
	// JSON. A path or an address like a feed.
	KEV string `key:"kev" default:""`
}

// Limits bound what one client can use up.
type Limits struct {
	// Largest manifest. Manifests live in the database; the distribution
	// specification asks for at least 4 MiB.
	MaxManifest Size `key:"max_manifest" default:"4MiB"`

	// Largest blob. A longer upload is refused when it crosses the limit.
	MaxBlob Size `key:"max_blob" default:"16GiB"`

	// Blob uploads that may be open at the same time. Beyond it a new upload is
	// answered with 429.
	MaxUploads int `key:"max_uploads" default:"1000"`

	// Time after which an upload that receives nothing is forgotten. The client has
	// to begin it again.
	UploadExpiry time.Duration `key:"upload_expiry" default:"1h"`

	// Requests that may run at the same time. Beyond it the answer is 503 with
	// Retry-After.
	MaxConcurrent int `key:"max_concurrent" default:"1024"`

	// Largest request header.
	MaxHeader Size `key:"max_header" default:"32KiB"`

	// Time a client has to send the header of a request. It also bounds the TLS
	// handshake.
	HeaderTimeout time.Duration `key:"header_timeout" default:"10s"`

	// Time a connection may stay open between two requests.
	IdleTimeout time.Duration `key:"idle_timeout" default:"2m"`

	// Time a body may make no progress, in either direction. A connection that
	// moves is never cut, however slow the transfer is.
	StallTimeout time.Duration `key:"stall_timeout" default:"1m"`
}

// Log is what the server says about itself, on standard error.
type Log struct {
	// Form of the log lines. text is for people, json for collectors.
	Format string `key:"format" default:"text" oneof:"text json" scope:"all"`

	// Least level that is written. info includes one line a request; debug
	// includes health checks.
	Level string `key:"level" default:"info" oneof:"debug info warn error" scope:"all"`
}

// Metrics are for Prometheus.
type Metrics struct {
	// Address of a listener of its own for /metrics, /healthz and /readyz. Without
	// it /metrics is served beside the registry; off serves no metrics.
	Listen string `key:"listen" default:""`
}

// Loopback reports whether only this machine can reach the listener.
func (c Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Open reports whether the server asks nobody who they are.
func (c Config) Open() bool { return c.Auth.HTPasswd == "" }

// WithDefaults replaces what is zero by the documented default.
func (c Config) WithDefaults() Config {
	for _, f := range Fields() {
		if f.Default == "" || !f.value(&c).IsZero() {
			continue
		}
		if err := f.set(&c, f.expand(&c)); err != nil {
			panic("config: default of " + f.Key + ": " + err.Error()) // a typing error in a tag above; the tests meet it
		}
	}
	return c
}

// expand gives the default for c: DATA stands for its data folder, which is
// settled before, being a field further up.
func (f Field) expand(c *Config) string {
	if scheme, rest, ok := strings.Cut(f.Default, "DATA/"); ok {
		return scheme + filepath.Join(c.Data, rest)
	}
	return f.Default
}
