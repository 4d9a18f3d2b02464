// Package capability says what a WebAssembly binary may do to the world around
// it: which files, networks, clocks and other things its imports give it, and
// which of them its code can really come to.
//
// What an import means is looked up in table.txt, which covers WASI 0.1 to 0.3,
// the hosts of the larger ecosystems and the glue of the toolchains for
// JavaScript. Each capability is then placed on one of three levels. It is
// declared if an import gives it; reachable if a chain of calls leads from what
// the host can call to that import; and held back by an adapter if a component
// imports it for a translation layer that no module behind it asks for it.
//
// Results are a pure function of the binary and its call graphs. They never
// leave out what a module can do by its own calls, but may name what it never
// does: a call that stands in the code need not happen. docs/spec/capabilities.md
// lists the capabilities and the rules.
package capability

import "strconv"

// An ID names a capability. It is stable: documents and policies hold it.
type ID string

// The capabilities. [All] describes them.
const (
	Stdio           ID = "stdio"
	Terminal        ID = "terminal"
	Arguments       ID = "arguments"
	Environment     ID = "environment"
	Exit            ID = "exit"
	Clock           ID = "clock"
	Poll            ID = "poll"
	Random          ID = "random"
	Logging         ID = "logging"
	ProcessInfo     ID = "process-info"
	Preopens        ID = "preopens"
	FilesRead       ID = "files-read"
	FilesWrite      ID = "files-write"
	NetResolve      ID = "net-resolve"
	NetOutbound     ID = "net-outbound"
	NetInbound      ID = "net-inbound"
	HTTPClient      ID = "http-client"
	HTTPServer      ID = "http-server"
	Threads         ID = "threads"
	Signals         ID = "signals"
	ProcessSpawn    ID = "process-spawn"
	KeyValue        ID = "key-value"
	BlobStore       ID = "blob-store"
	Database        ID = "database"
	Messaging       ID = "messaging"
	Config          ID = "config"
	Secrets         ID = "secrets"
	Crypto          ID = "crypto"
	MachineLearning ID = "machine-learning"
	GPU             ID = "gpu"
	Devices         ID = "devices"
	UserInterface   ID = "user-interface"
	BrowserStorage  ID = "browser-storage"
	Ledger          ID = "ledger"
	HostJavaScript  ID = "host-javascript"
	DynamicCode     ID = "dynamic-code"
	UnknownHostCall ID = "unknown-host-call"
)

// A Severity says how much attention a capability deserves of a person who
// decides whether to run a module. It is a class of the capability, not a
// verdict on the module.
type Severity byte

// The severities, in ascending order.
const (
	Harmless  Severity = iota // what any program may have
	Notable                   // worth knowing, and rarely a danger without another capability
	Sensitive                 // can leak, change or run something outside the module
)

func (s Severity) String() string {
	switch s {
	case Harmless:
		return "harmless"
	case Notable:
		return "notable"
	case Sensitive:
		return "sensitive"
	}
	return "severity " + strconv.Itoa(int(s))
}

// MarshalText gives the text of String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// An Info describes a capability for people.
type Info struct {
	ID       ID
	Severity Severity
	Title    string // a phrase: "read files"
	Meaning  string // what it lets a module do, one sentence
}

var infos = []Info{
	{
		Stdio, Harmless, "use standard streams",
		"It reads and writes descriptors that the host opened before the start, as a rule standard input, output and error.",
	},
	{
		Terminal, Harmless, "ask about the terminal",
		"It learns whether its streams are a terminal, and may change the modes of it.",
	},
	{
		Arguments, Harmless, "read its arguments",
		"It reads the command line it was started with.",
	},
	{
		Environment, Notable, "read environment variables",
		"It reads the environment it is given, in which hosts often keep secrets.",
	},
	{
		Exit, Harmless, "end itself",
		"It ends the program, with a status.",
	},
	{
		Clock, Harmless, "read clocks",
		"It reads the time of day, or a clock to measure with.",
	},
	{
		Poll, Harmless, "wait",
		"It sleeps, yields, sets timers or waits for events.",
	},
	{
		Random, Harmless, "get random numbers",
		"It gets random bytes of the host.",
	},
	{
		Logging, Harmless, "write logs",
		"It writes log lines, metrics or traces of the host.",
	},
	{
		ProcessInfo, Harmless, "ask about its process",
		"It learns identifiers, users, limits or versions of the process it runs in.",
	},
	{
		Preopens, Harmless, "list opened directories",
		"It learns the names of the directories that the host opened for it.",
	},
	{
		FilesRead, Notable, "read files",
		"It reads files, or lists or examines them, in the directories that the host opened for it.",
	},
	{
		FilesWrite, Sensitive, "change files",
		"It creates, changes, renames or removes files in the directories that the host opened for it.",
	},
	{
		NetResolve, Notable, "resolve names",
		"It looks up host names, which also carries data to the name's server.",
	},
	{
		NetOutbound, Sensitive, "open connections",
		"It connects or sends to addresses of its choice.",
	},
	{
		NetInbound, Sensitive, "accept connections",
		"It listens, accepts connections or receives datagrams.",
	},
	{
		HTTPClient, Sensitive, "send HTTP requests",
		"It sends requests to servers and reads what they answer.",
	},
	{
		HTTPServer, Notable, "answer HTTP requests",
		"It is given requests, and answers or changes them.",
	},
	{
		Threads, Notable, "run threads",
		"It starts threads or workers, or signals between them.",
	},
	{
		Signals, Notable, "send signals",
		"It raises signals or is called for them.",
	},
	{
		ProcessSpawn, Sensitive, "run programs",
		"It starts other programs, copies itself or turns into another one.",
	},
	{
		KeyValue, Notable, "use key-value stores",
		"It reads or writes a key-value store or cache of the host.",
	},
	{
		BlobStore, Notable, "use blob stores",
		"It reads or writes objects of a blob store.",
	},
	{
		Database, Sensitive, "use databases",
		"It runs statements on a database of the host.",
	},
	{
		Messaging, Notable, "exchange messages",
		"It publishes or receives messages of queues and topics.",
	},
	{
		Config, Harmless, "read its configuration",
		"It reads configuration or reference data that the host keeps for it.",
	},
	{
		Secrets, Sensitive, "read secrets",
		"It reads secrets of the host's store.",
	},
	{
		Crypto, Notable, "use the host's cryptography",
		"It encrypts, signs or derives keys in the host, which may keep the keys.",
	},
	{
		MachineLearning, Notable, "run models",
		"It runs machine learning models in the host.",
	},
	{
		GPU, Notable, "use the GPU",
		"It draws or computes on the graphics processor.",
	},
	{
		Devices, Sensitive, "use devices",
		"It reads and drives hardware such as pins, buses and USB devices.",
	},
	{
		UserInterface, Notable, "use the page or window",
		"It reads and changes what a person sees, and sees what the person does.",
	},
	{
		BrowserStorage, Notable, "use browser storage",
		"It keeps data in the browser: databases, local storage, caches, cookies.",
	},
	{
		Ledger, Notable, "use a ledger",
		"It reads and changes the state of the blockchain it runs on.",
	},
	{
		HostJavaScript, Sensitive, "call any JavaScript",
		"It calls JavaScript that is not in the module or is chosen at run time, with all that the page or program may do.",
	},
	{
		DynamicCode, Sensitive, "run code from elsewhere",
		"It loads libraries or evaluates source, so that what runs is not only what was inspected.",
	},
	{
		UnknownHostCall, Notable, "call unknown functions",
		"It calls functions of the host whose meaning the name does not tell.",
	},
}

var index = func() map[ID]int {
	m := make(map[ID]int, len(infos))
	for i, info := range infos {
		m[info.ID] = i
	}
	return m
}()

// All describes every capability, in the order in which results list them.
func All() []Info { return append([]Info(nil), infos...) }

// Describe describes a capability; an unknown one has only its ID.
func Describe(id ID) Info {
	if i, ok := index[id]; ok {
		return infos[i]
	}
	return Info{ID: id}
}

// A Level says how far a capability is from being used.
type Level byte

// The levels, in ascending order.
const (
	// Declared: an import gives it, and no chain of calls leads there.
	Declared Level = iota

	// Adapted: a component imports it for an adapter whose code can come to it,
	// but no module behind the adapter asks for it.
	Adapted

	// Reachable: a chain of calls leads from what the host can call to an
	// import that gives it.
	Reachable
)

func (l Level) String() string {
	switch l {
	case Declared:
		return "declared"
	case Adapted:
		return "adapter"
	case Reachable:
		return "reachable"
	}
	return "level " + strconv.Itoa(int(l))
}

// MarshalText gives the text of String.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// An Origin says whose calls a capability comes from.
type Origin byte

// The origins.
const (
	// Runtime: every way to it begins in the start-up or upkeep of the
	// language's runtime, which each program of that language carries, or in an
	// adapter.
	Runtime Origin = iota

	// Program: the program itself, or a library it uses, asks for it. So it is
	// also where the runtime cannot be told from the rest.
	Program
)

func (o Origin) String() string {
	switch o {
	case Runtime:
		return "runtime"
	case Program:
		return "program"
	}
	return "origin " + strconv.Itoa(int(o))
}

// MarshalText gives the text of String.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Result is what a binary may do.
type Result struct {
	// Capabilities are those of the whole binary, each once, in the order of
	// [All].
	Capabilities []Capability `json:"capabilities"`

	// Unresolved are imports whose meaning is unknown, as "module.name", at
	// most [MaxUnresolved] of them.
	Unresolved []string `json:"unresolved"`

	// Modules are the core modules of a component, nested components included,
	// with what each asks of whatever it is linked to. Of a core module it is
	// empty.
	Modules []Module `json:"modules"`

	// Notes are remarks on the analysis as a whole, such as what limited it.
	Notes []string `json:"notes"`
}

// Find gives the capability of that name, and whether there is one.
func (r *Result) Find(id ID) (Capability, bool) { return find(r.Capabilities, id) }

func find(list []Capability, id ID) (Capability, bool) {
	for _, c := range list {
		if c.ID == id {
			return c, true
		}
	}
	return Capability{}, false
}

// A Capability is one thing that a binary may do.
type Capability struct {
	ID       ID       `json:"id"`
	Severity Severity `json:"severity"`
	Level    Level    `json:"level"`
	Origin   Origin   `json:"origin"`

	// Possible says that the import gives the capability only if it is called
	// with arguments that the code does not show.
	Possible bool `json:"possible,omitempty"`

	// Access are ways in which it may be used, sorted: "read", "write",
	// "stdout". It is empty if the imports do not tell.
	Access []string `json:"access"`

	// Evidence are the imports that give it, those of the highest level first,
	// at most [MaxEvidence] of them.
	Evidence []Evidence `json:"evidence"`

	// Imports counts the imports that give it.
	Imports int `json:"imports"`
}

// Evidence is one import that gives a capability.
type Evidence struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Origin Origin `json:"origin"`

	// Via says whether calls alone lead to the import, "direct", or only calls
	// through tables and references, "indirect". It is empty if nothing leads
	// there.
	Via string `json:"via,omitempty"`

	// Root is the export from which the import is reached, or "(start)", or
	// "(table)" for a function that the host finds in a table.
	Root string `json:"root,omitempty"`

	// Path is a chain of functions of which each may call the next, from the
	// root to the one that calls the import, by their names or "func 12". Of a
	// long one the middle is left out, marked by "…".
	Path []string `json:"path,omitempty"`

	// In names the core module of a component that has the import.
	In string `json:"in,omitempty"`
}

// A Module is a core module inside a component.
type Module struct {
	// Path says where it is: "module 0", "component 1, module 0".
	Path string `json:"path"`

	// Name is its own name for itself, if it has one.
	Name string `json:"name,omitempty"`

	// Role is "main", "adapter" for one that translates the system calls of
	// another, "shim" for one that only passes calls on, or "unused" for one
	// that is never instantiated.
	Role string `json:"role"`

	// Capabilities are what its imports ask for, whoever provides them. The
	// levels are about its own part of the component.
	Capabilities []Capability `json:"capabilities"`
}

// Bounds of what a result keeps, so that it stays readable and small.
const (
	MaxEvidence   = 32
	MaxUnresolved = 1000
	MaxPath       = 12
)
