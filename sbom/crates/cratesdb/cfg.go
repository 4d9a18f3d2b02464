package main

import (
	"strings"

	"github.com/wreg-project/wreg/sbom/crates/internal/db"
)

// A platform is one of Rust's targets for Wasm.
type platform struct {
	is      db.Platforms
	os, env string
	unix    bool
}

// One that the database knows may have had other names in time.
var platforms = []platform{
	{is: db.Unknown, os: "unknown"},
	{is: db.WASIp1, os: "wasi", env: "p1"},
	{is: db.WASIp1, os: "wasi"},
	{is: db.WASIp2, os: "wasi", env: "p2"},
	{is: db.Emscripten, os: "emscripten", unix: true},
}

// A verdict is what is known of a condition before a build.
type verdict int

const (
	unknown verdict = iota
	no
	yes
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// platformsOf gives the platforms on which a dependency's target, a triple or a
// cfg expression (The Cargo Book, "Platform specific dependencies"), is certain
// to be true. No target at all is on all of them.
func platformsOf(target string) db.Platforms {
	if target == "" {
		return db.AllPlatforms
	}
	inner, ok := strings.CutPrefix(strings.TrimSpace(target), "cfg(")
	if !ok || !strings.HasSuffix(inner, ")") {
		return triples[target]
	}
	inner = strings.TrimSuffix(inner, ")")
	all := db.AllPlatforms
	for _, p := range platforms {
		c := condition{text: inner, on: p}
		if v := c.parse(0); v != yes || strings.TrimSpace(c.text) != "" || c.bad {
			all &^= p.is
		}
	}
	return all
}

// triples are those that have had one name alone.
var triples = map[string]db.Platforms{
	"wasm32-unknown-unknown": db.Unknown, "wasm32-wasip2": db.WASIp2, "wasm32-unknown-emscripten": db.Emscripten,
}

// maxDepth bounds the nesting of a condition.
const maxDepth = 64

// A condition is what is left to read of a configuration predicate (The Rust
// Reference, "Conditional compilation").
type condition struct {
	text string
	on   platform
	bad  bool
}

func (c *condition) parse(depth int) verdict {
	word := c.word()
	if word == "" || depth > maxDepth {
		c.bad = true
		return unknown
	}
	switch {
	case c.next("("):
		return c.combine(word, depth)
	case c.next("="):
		return c.on.key(word, c.quoted())
	}
	return c.on.flag(word)
}

// combine reads the operands of all, any or not up to the parenthesis.
func (c *condition) combine(op string, depth int) verdict {
	var of [3]int // how many operands have which verdict
	for !c.next(")") {
		of[c.parse(depth+1)]++
		if c.bad {
			return unknown
		}
		if !c.next(",") && !strings.HasPrefix(strings.TrimSpace(c.text), ")") {
			c.bad = true
			return unknown
		}
	}
	switch {
	case op == "not" && of[no]+of[yes]+of[unknown] == 1:
		return [3]verdict{unknown, yes, no}[of[no]+2*of[yes]]
	case op == "all" && of[no] > 0, op == "any" && of[yes] == 0 && of[unknown] == 0:
		return no
	case op == "any" && of[yes] > 0, op == "all" && of[unknown] == 0:
		return yes
	}
	return unknown
}

func (c *condition) word() string {
	c.text = strings.TrimSpace(c.text)
	rest := strings.TrimLeft(c.text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
	word := c.text[:len(c.text)-len(rest)]
	c.text = rest
	return word
}

func (c *condition) next(token string) bool {
	rest, ok := strings.CutPrefix(strings.TrimSpace(c.text), token)
	if ok {
		c.text = rest
	}
	return ok
}

func (c *condition) quoted() string {
	if c.next(`"`) {
		if s, rest, ok := strings.Cut(c.text, `"`); ok {
			c.text = rest
			return s
		}
	}
	c.bad = true
	return ""
}

// key gives the verdict on name = "value".
func (p platform) key(name, value string) verdict {
	switch name {
	case "target_arch":
		return verdictOf(value == "wasm32")
	case "target_os":
		return verdictOf(value == p.os)
	case "target_env":
		return verdictOf(value == p.env)
	case "target_family":
		return verdictOf(value == "wasm" || value == "unix" && p.unix)
	case "target_pointer_width":
		return verdictOf(value == "32")
	case "target_endian":
		return verdictOf(value == "little")
	}
	return unknown // target_feature, panic and whatever flags a build may set
}

// flag gives the verdict on a bare name.
func (p platform) flag(name string) verdict {
	switch name {
	case "unix":
		return verdictOf(p.unix)
	case "windows":
		return no
	}
	return unknown
}
