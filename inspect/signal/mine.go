package signal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A minerHint is one sign of a miner; several together make a signal.
type minerHint int

// The hints of text, as minerWords has them, and then those of code and data.
const (
	hintStratum minerHint = iota
	hintPool
	hintMethod
	hintName
	hintWallet
	hintRandomX
	hintCryptoNight
	hintLoop
	minerHints
)

// minerScores are what each hint adds to the score.
var minerScores = [minerHints]int{
	hintStratum: 50, hintPool: 40, hintMethod: 30, hintName: 20, hintWallet: 30, hintRandomX: 40, hintCryptoNight: 40, hintLoop: 10,
}

// minerWords are the words that give the hints of text.
var minerWords = [...][]string{
	hintStratum: {"stratum+tcp:", "stratum+ssl:", "stratum+tls:", "stratum2+tcp:", "stratum+udp:"},
	hintPool: {
		"minexmr.com", "supportxmr.com", "moneroocean.stream", "hashvault.pro", "nanopool.org", "2miners.com", "f2pool.com",
		"nicehash.com", "monerohash.com", "dwarfpool.com", "xmrpool.eu", "herominers.com", "unmineable.com", "c3pool.com",
		"coinhive.com", "coin-hive.com", "crypto-loot.com", "coinimp.com", "webminepool.com", "minero.cc", "monerominer.rocks",
	},
	hintMethod: {"mining.subscribe", "mining.authorize", "mining.submit", "mining.notify", "mining.set_difficulty"},
	hintName:   {"cryptonight", "randomx", "xmrig", "cn-heavy", "cn/fast", "rx/0", "rx/wow", "argon2id_chukwa", "kawpow"},
}

// hint notes a sign of a miner of n bytes at byte i of the run.
func (s *scanner) hint(h minerHint, i, n int) {
	if s.f.miner[h].Score > 0 {
		return
	}
	if h == hintName && (!s.begins(i) || !s.ends(i+n)) {
		return
	}
	evidence := string(s.b[i:min(len(s.b), i+n)])
	if h == hintWallet {
		evidence = "wallet"
	}
	s.f.hintAt(h, s.at(i), evidence)
}

func (f *Findings) hintAt(h minerHint, p Place, evidence string) {
	if f.miner[h].Score == 0 || p.Offset < f.miner[h].Offset {
		p.Module = f.module
		f.miner[h] = Find{Place: p, Score: minerScores[h], Evidence: evidence}
	}
}

// minerThreshold is the sum of hints from which they are reported.
const minerThreshold = 30

// weighMiner adds up the hints. Constants of CryptoNight's loop mean nothing
// without the algorithms it is made of.
func (f *Findings) weighMiner() {
	for a, h := range map[algo]minerHint{algoRandomX: hintRandomX, algoCryptoNight: hintCryptoNight} {
		if u := f.algorithms[a]; u.tables+u.functions > 0 {
			f.miner[h] = Find{Place: u.places[0], Score: minerScores[h], Evidence: "constants of " + algorithms[a].name}
		}
	}
	if u := &f.algorithms[algoCryptoNight]; f.algorithms[algoKeccak].tables+f.algorithms[algoKeccak].functions == 0 ||
		f.algorithms[algoAES].tables+f.algorithms[algoAES].functions == 0 {
		// The mask of a scratchpad is a number like any other on its own.
		*u, f.miner[hintCryptoNight] = use{}, Find{}
	}
	sum, strongest := 0, -1
	var seen []string
	for h, v := range f.miner {
		if v.Score == 0 {
			continue
		}
		sum += v.Score
		seen = append(seen, v.Evidence)
		if strongest < 0 || v.Score > f.miner[strongest].Score {
			strongest = h
		}
	}
	if sum < minerThreshold || strongest < 0 {
		return
	}
	p := f.miner[strongest].Place
	f.rules[ruleMiner] = tally{count: 1, kept: []Find{{
		Place: p, Score: min(sum, rules[ruleMiner].Most), Evidence: excerpt(strings.Join(seen, ", ")),
	}}}
}

// An interpreter is told by marks in text that only it has. So many different
// ones are asked for, since programs talk about each other.
type interpreter struct {
	name  string
	need  int
	marks []string
}

var interpreters = []interpreter{
	{"JavaScript (QuickJS)", 1, []string{
		"QuickJS memory usage", "rquickjs-core-", "JS_EvalInternal", "quickjs/quickjs.c", "got a null pointer from quickjs",
	}},
	{"JavaScript (SpiderMonkey)", 2, []string{
		"spidermonkey-source/js/src", "gecko-dev/js/src", "self-hosted code may not contain", "StarlingMonkey engine", "MOZ_CRASH(",
		"Used XDR for process self-hosted",
	}},
	{"JavaScript (Duktape)", 2, []string{"duk_", "Duktape", "\xffFinalizer"}},
	{"JavaScript (Hermes)", 2, []string{"Hermes VM", "HermesInternal", "hermes::vm"}},
	{"JavaScript (JerryScript)", 1, []string{"JerryScript", "jerry_eval"}},
	{"JavaScript (Boa)", 2, []string{"boa_engine", "boa_parser", "boa_interner"}},
	{"Python (CPython)", 2, []string{"importlib._bootstrap", "PyEval_", "Py_Initialize", "PYTHONHASHSEED", "__builtins__"}},
	{"Python (MicroPython)", 1, []string{"MicroPython v", "micropython"}},
	{"Python (RustPython)", 2, []string{"rustpython_vm", "rustpython-", "RustPython"}},
	{"Lua", 2, []string{
		"$LuaVersion: Lua", "attempt to call a %s value", "PANIC: unprotected error in call to Lua API", "package.cpath", "LUA_PATH",
	}},
	{"Ruby", 2, []string{"RUBY_GC_MALLOC_LIMIT", "RUBY_COPYRIGHT", "TMP_RUBY_PREFIX", "RUBY_FREE_AT_EXIT"}},
	{"Ruby (mruby)", 2, []string{"mruby ", "MRUBY_VERSION", "mrb_"}},
	{"PHP", 2, []string{"zend_set_memory_limit", "Zend Engine", "PHP_VERSION", "allow_url_include"}},
	{"Perl", 2, []string{"panic: memory wrap", "PERL5LIB", "Perl_", "perl5db.pl"}},
	{"WebAssembly (wasm3)", 2, []string{"[trap] out of bounds memory access", "wasm3 v", "m3_"}},
	{"WebAssembly (wasmi)", 1, []string{"wasmi-", "crates/wasmi/"}},
	{"WebAssembly (WAMR)", 2, []string{"WASM module load failed", "wasm_runtime_", "WASM function signature mismatch"}},
	{"Rhai", 1, []string{"rhai-1.", "src/eval/chaining.rs"}},
	{"Starlark", 2, []string{"starlark-", "starlark_syntax", "go.starlark.net"}},
	{"JavaScript (goja)", 1, []string{"dop251/goja"}},
}

// A hint is where a mark of an interpreter was seen first.
type hint struct {
	mark  int
	place Place
}

// engine notes mark h of interpreter n at byte i.
func (s *scanner) engine(n, h, i int) int {
	for _, seen := range s.engines[n] {
		if seen.mark == h {
			return i + 1
		}
	}
	s.engines[n] = append(s.engines[n], hint{h, s.at(i)})
	return i + 1
}

// finish reports what needed all of the text.
func (s *scanner) finish() {
	defer clear(s.engines)
	for n, seen := range s.engines {
		in := interpreters[n]
		if len(seen) < in.need {
			continue
		}
		first := slices.MinFunc(seen, func(a, b hint) int { return int(min(1, max(-1, a.place.Offset-b.place.Offset))) })
		s.f.add(ruleInterpreter, 30, first.place, func() string {
			return in.name + ", by " + strconv.Quote(in.marks[first.mark]) + more(len(seen)-1)
		})
	}
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
