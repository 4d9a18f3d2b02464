package signal

// A rule is an index into rules.
type rule int

// The rules. Ids are for others to refer to and never change.
const (
	ruleAWSKey rule = iota
	ruleGitHubToken
	ruleSlackToken
	ruleGoogleKey
	ruleStripeKey
	ruleNPMToken
	ruleToken
	rulePrivateKey
	ruleJWT
	ruleRegistryAuth
	ruleURLCredentials
	ruleAssignment

	rulePrivateHost
	rulePrivateRegistry
	ruleDropHost
	ruleAddressURL
	ruleHomePath

	ruleEntropy
	ruleEmbeddedWasm
	ruleEmbeddedExecutable
	ruleEmbeddedArchive
	ruleInterpreter

	ruleWallet
	ruleMiner

	rulePrecompiledFile
	rulePrecompiledSection

	ruleDebugInfo
	ruleNames
	ruleSourceMap
	ruleProducers

	rulePaddedSize
	rulePaddedNumber
	ruleDuplicateCustom
	ruleMisplacedCustom
	ruleMalformedCustom
	ruleUnknownCustom

	ruleHugeFunction
	ruleFlattened
	ruleDispatcher
	ruleWrappers
	ruleConstantCondition
	ruleDeadInstructions
	ruleHashLoop
	ruleMostlyData

	ruleMemoryUnbounded
	ruleMemoryImported
	ruleMemoryShared
	ruleMemories
	ruleTableExposed
	ruleGlobalExposed
	ruleStackPointer
	ruleStackUnguarded
	ruleStart

	ruleCount
)

// A Rule describes the signals of one id.
type Rule struct {
	ID    string
	Title string // what a signal says, a phrase
	Most  int    // the highest score it can have
	Why   string // why a person would want to know, and what is innocent
}

// severity follows from the score, so that the two never disagree.
func (Rule) severity(score int) Severity {
	switch {
	case score >= 75:
		return High
	case score >= 45:
		return Medium
	case score >= 20:
		return Low
	}
	return Info
}

// Rules lists what this package looks for, in the order of the documentation.
func Rules() []Rule { return append([]Rule(nil), rules[:]...) }

var rules = [ruleCount]Rule{
	ruleAWSKey: {
		"secret-aws-key", "access key of AWS", 90,
		"`AKIA` (long-lived) or `ASIA` and sixteen characters of base32. A string of forty base64 characters within 200 bytes, " +
			"as the secret half has, raises the score. Keys of the documentation (`…EXAMPLE`) do not count.",
	},
	ruleGitHubToken: {
		"secret-github-token", "token of GitHub", 95,
		"`ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, `github_pat_`. The classic ones end in a checksum; " +
			"one that does not fit means a made-up token, and a low score.",
	},
	ruleSlackToken: {
		"secret-slack-token", "token or webhook of Slack", 90,
		"`xoxb-`, `xoxp-` and the like with numeric parts, `xapp-`, and addresses of incoming webhooks.",
	},
	ruleGoogleKey: {
		"secret-google-key", "API key of Google", 60,
		"`AIza` and 35 characters. Keys for use in browsers are public by design, if they are restricted.",
	},
	ruleStripeKey: {
		"secret-stripe-key", "secret key of Stripe", 95,
		"`sk_live_` and `rk_live_`; keys of the test mode have a low score, publishable ones do not count.",
	},
	ruleNPMToken: {
		"secret-npm-token", "token of npm", 95,
		"`npm_` and 36 characters, the last six of which are a checksum.",
	},
	ruleToken: {
		"secret-token", "token of another service", 90,
		"Tokens with a well-known prefix: GitLab, PyPI, Docker Hub, Hugging Face, Anthropic, OpenAI, SendGrid, Shopify, " +
			"DigitalOcean, Vault, Grafana, Linear, age, Azure storage, Discord and Telegram.",
	},
	rulePrivateKey: {
		"secret-private-key", "private key", 95,
		"A PEM block of a private key whose body is base64 and begins like one, or the DER form of an RSA key. " +
			"The line `-----BEGIN PRIVATE KEY-----` alone is in every library that reads such files, and does not count.",
	},
	ruleJWT: {
		"secret-jwt", "JSON Web Token", 50,
		"Three parts of base64url, the first of which is JSON with an `alg`. Many expire soon or hold nothing private.",
	},
	ruleRegistryAuth: {
		"secret-registry-auth", "credentials of a package registry", 85,
		"`_authToken=`, `_auth=` or `_password=` of an .npmrc with a value that is no variable.",
	},
	ruleURLCredentials: {
		"secret-url-credentials", "password in a URL", 70,
		"`scheme://user:password@host`, unless the password is a placeholder.",
	},
	ruleAssignment: {
		"secret-assignment", "something called a secret", 25,
		"A name with `password`, `secret`, `token` or `api key` in it, an equals sign or colon, and a value that looks random. " +
			"Often a digest, an example or a test.",
	},
	rulePrivateHost: {
		"private-host", "address inside somebody's network", 55,
		"URLs and addresses of private networks (RFC 1918), of names like `.internal`, `.corp` and `.local`, " +
			"and of the metadata service of clouds (169.254.169.254), which gives credentials to whoever asks it.",
	},
	rulePrivateRegistry: {
		"private-registry", "URL of a private package registry", 30,
		"Addresses of Artifactory, Nexus, GitHub Packages and the registries of clouds tell where an organisation keeps its packages.",
	},
	ruleDropHost: {
		"drop-host", "URL of a service that is used to take data out or code in", 55,
		"Chat webhooks, paste sites, request catchers, tunnels and onion services. All have honest users.",
	},
	ruleAddressURL: {
		"address-url", "URL with a bare public address", 25,
		"`scheme://` and an IP address of the public network in place of a name.",
	},
	ruleHomePath: {
		"home-path", "path in somebody's home directory", 30,
		"`/home/<user>/`, `/Users/<user>/` and `C:\\Users\\<user>\\` say who built a file and where. " +
			"Users of build services (runner, jenkins, …) have a score of 5.",
	},
	ruleEntropy: {
		"high-entropy", "data that looks compressed or encrypted", 40,
		"Stretches of 4 KiB or more with at least 7.5 bits per byte; the score grows with their length, from 5. Images, archives and tables " +
			"of numbers look the same; those that are recognised as an archive or image have a score of 5, and the powers of ten and five " +
			"that every program with floating-point numbers has do not count.",
	},
	ruleEmbeddedWasm: {
		"embedded-wasm", "WebAssembly inside data", 50,
		"A module or component in a data or custom section, whose sections were followed. No analysis of the outer file covers it.",
	},
	ruleEmbeddedExecutable: {
		"embedded-executable", "native program inside data", 75,
		"ELF, PE and Mach-O, whose headers were checked, and byte code of Lua, .NET and Java.",
	},
	ruleEmbeddedArchive: {
		"embedded-archive", "archive or compressed data", 15,
		"gzip, zstd, zip, xz, 7-Zip, bzip2 and tar, whose headers were checked. What is in them is not looked at.",
	},
	ruleInterpreter: {
		"interpreter", "interpreter: what runs may be loaded later", 30,
		"Text that interpreters have in them. A program of theirs is data to WebAssembly, so a list of the components of the file is incomplete.",
	},
	ruleWallet: {
		"wallet-address", "address of a cryptocurrency wallet", 45,
		"Addresses of Monero (95 characters of base58 that begin with 4 or 8).",
	},
	ruleMiner: {
		"miner", "signs of a miner of cryptocurrency", 95,
		"The sum of hints: URLs of the stratum protocol 50, names of pools 40, methods of the protocol 30, names of algorithms 20, " +
			"constants of RandomX 40, constants of CryptoNight's loop beside Keccak and AES 40, loops of mostly bit operations 10, wallets 30. " +
			"It is reported from 30 on.",
	},
	rulePrecompiledFile: {
		"precompiled-file", "native code in place of WebAssembly", 95,
		"The output of `wasmtime compile`, `wamrc`, `wasmer compile` or `wasmedge compile`. Loading it runs what is in it, without any check.",
	},
	rulePrecompiledSection: {
		"precompiled-section", "native code in a custom section", 95,
		"WasmEdge's `wasmedge` section, and custom sections that hold the output of another ahead-of-time compiler. " +
			"A host that trusts it runs native code; the file is valid WebAssembly all the same.",
	},
	ruleDebugInfo: {
		"debug-info", "debug information", 10,
		"Sections of DWARF, or an `external_debug_info` that says where they are. They make a file large and tell much of its source.",
	},
	ruleNames: {
		"names", "names of functions", 0,
		"A name section. It helps whoever analyses the file, on either side.",
	},
	ruleSourceMap: {
		"source-map", "URL of a source map", 10,
		"A `sourceMappingURL` section. A URL elsewhere than beside the file is fetched by development tools.",
	},
	ruleProducers: {
		"forged-producers", "producers section that disagrees with the code", 50,
		"The tools the file names are not those whose traces are in its code. Tools that rewrite modules can cause it.",
	},
	rulePaddedSize: {
		"padded-size", "unusual encoding of a size", 20,
		"The size of a section in more bytes than it needs, and not in the five that linkers reserve. " +
			"Room for a hidden message, or a rewritten file.",
	},
	rulePaddedNumber: {
		"padded-number", "unusual encoding of numbers in code", 30,
		"Numbers in more bytes than they need where no linker reserves room: indices of locals and labels, " +
			"or widths other than five and ten bytes. " +
			"Tools that disguise a module make these.",
	},
	ruleDuplicateCustom: {
		"duplicate-section", "custom section that is there twice", 25,
		"A section that should be there once, as `name` or `producers`. Readers disagree on which one counts.",
	},
	ruleMisplacedCustom: {
		"misplaced-section", "custom section in the wrong place", 20,
		"`name` before the data section or `dylink.0` behind the first place, where their specifications want them elsewhere.",
	},
	ruleMalformedCustom: {
		"malformed-section", "custom section that cannot be read", 20,
		"A known custom section with bytes left over or missing.",
	},
	ruleUnknownCustom: {
		"unknown-section", "custom section nobody knows", 25,
		"Bytes of unknown meaning; from 64 KiB on the score rises. The evidence has the size and entropy.",
	},
	ruleHugeFunction: {
		"huge-function", "one very large function", 20,
		"A function of at least 128 KiB that is more than 30 % of the code. Interpreters, generated parsers and unrolled or obfuscated code.",
	},
	ruleFlattened: {
		"flattened-control-flow", "control flow flattened into a dispatcher", 50,
		"A `br_table` in a loop over a local that most blocks set to a constant, as obfuscators leave it. " +
			"Not reported if more than a tenth of the functions dispatch in a loop: then it is how the compiler works, as Go's does.",
	},
	ruleDispatcher: {
		"dispatcher", "loop that dispatches on a value in memory", 10,
		"A `br_table` of at least 64 targets in a loop: the heart of an interpreter, a virtual machine or a state machine.",
	},
	ruleWrappers: {
		"tiny-wrappers", "mostly functions that only call another", 15,
		"More than 40 % of at least 200 functions do nothing but pass a call on. Bindings are like that, and obfuscators.",
	},
	ruleConstantCondition: {
		"constant-condition", "branches on constants", 30,
		"At least eight branches of one function whose condition is a constant, or a product of neighbours taken modulo two. " +
			"Optimising compilers leave none.",
	},
	ruleDeadInstructions: {
		"dead-instructions", "instructions that can never run", 25,
		"At least 256 instructions of one function stand behind an unconditional branch, and are a tenth of it. " +
			"Compilers leave them out; data can hide there.",
	},
	ruleHashLoop: {
		"bit-loop", "loop of mostly bit operations", 10,
		"At least 200 operations in loops of one function of which 60 % are xor, and, or, shifts, rotations " +
			"and additions: hashes, ciphers, compression, codecs.",
	},
	ruleMostlyData: {
		"mostly-data", "much more data than code", 10,
		"At least 1 MiB of data, ten times as much as code.",
	},
	ruleMemoryUnbounded: {
		"memory-unbounded", "memory without a maximum", 5,
		"The host's limit is the only one. Most toolchains set none.",
	},
	ruleMemoryImported: {
		"memory-imported", "memory that comes from outside", 5,
		"Whoever provides it can read and change all of the program's data.",
	},
	ruleMemoryShared: {
		"memory-shared", "memory shared between threads", 5,
		"The program expects threads, or is meant to share its data with another.",
	},
	ruleMemories: {
		"memory-multiple", "more than one memory", 10,
		"Rare so far; tools that look at the first one only miss the rest.",
	},
	ruleTableExposed: {
		"table-exposed", "table of functions that others can change", 10,
		"An exported or imported table: whoever holds it can change where indirect calls go.",
	},
	ruleGlobalExposed: {
		"global-exposed", "variable that others can change", 10,
		"Exported mutable globals.",
	},
	ruleStackPointer: {
		"stack-pointer-exposed", "stack pointer that others can change", 15,
		"An exported mutable `__stack_pointer`.",
	},
	ruleStackUnguarded: {
		"stack-unguarded", "stack that grows into data", 20,
		"The stack lies above the data and grows down, so that an overflow overwrites data and is not noticed. " +
			"Linkers place it first with `--stack-first`.",
	},
	ruleStart: {
		"start-function", "code that runs at instantiation", 5,
		"A start section: it runs before any export is called, and some hosts sandbox it differently.",
	},
}
