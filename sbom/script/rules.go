package script

import (
	"regexp"

	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/sbom/evidence"
)

// A rule recognises a package by the text about a constant part of it.
type rule struct {
	ecosystem  evidence.Ecosystem
	method     evidence.Method
	confidence float64
	anchors    []string // each of origin.MinPattern bytes or more

	// find looks at the anchor at a byte of data.
	find func(data []byte, at int) (find, bool)
}

// rules are those of all ecosystems.
var rules = append([]rule{
	{evidence.NPM, evidence.SourcePath, surePath, []string{"node_modules/"}, nodeModules},
	{evidence.PyPI, evidence.FileSystem, surePath, []string{".dist-info/"}, distInfo},
	{evidence.PyPI, evidence.Manifest, sureManifest, []string{"Metadata-Version: "}, coreMetadata},
	{evidence.Gem, evidence.FileSystem, surePath, []string{`File.expand_path("`}, bundledGem},
	{evidence.Gem, evidence.FileSystem, surePath, []string{"/specifications/"}, specification},
	{evidence.Composer, evidence.Manifest, sureManifest, []string{`"version_normalized": "`}, installedJSON},
	{evidence.Composer, evidence.Manifest, sureManifest, []string{"'pretty_version' => '"}, installedPHP},
}, banners()...)

// A banner is a comment or constant that a package of npm keeps in its published
// files, and that minifiers keep too.
type banner struct {
	name    string // "" if the first group is the name
	anchors []string
	pattern string // about an anchor; its next group is the version, if there is one
}

// version is that of npm, three numbers and maybe what comes before a release.
const version = `(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)`

// open is the beginning of a comment that minifiers keep.
const open = `/\*[*!][\s*]*(?:@(?:license|preserve)[\s*]+)?`

var bannerTable = []banner{
	{"angular", []string{"AngularJS v"}, open + `AngularJS v(1\.\d+\.\d+)\s`},
	{"axios", []string{"Axios v", "axios v"}, `(?:/\*!?|//) [Aa]xios v` + version + ` (?:Copyright|\| \(c\))`},
	{"backbone", []string{"Backbone.js "}, `//\s+Backbone\.js ` + version + `\s`},
	{"big.js", []string{"big.js v"}, open + `big\.js v` + version + `\s`},
	{"bignumber.js", []string{"bignumber.js v"}, open + `bignumber\.js v` + version + `\s`},
	{"bootstrap", []string{"Bootstrap v"}, open + `Bootstrap v` + version + ` \(https?://getbootstrap\.com`},
	{"chart.js", []string{"Chart.js v"}, open + `Chart\.js v` + version + `\s`},
	{"core-js", []string{"zloirock/core-js/blob/v"}, `zloirock/core-js/blob/v` + version + `/LICENSE`},
	{"d3", []string{"d3js.org v"}, `// https://d3js\.org v` + version + ` Copyright`},
	{"decimal.js", []string{"decimal.js v"}, open + `decimal\.js v` + version + `\s`},
	{"dompurify", []string{"DOMPurify "}, `@license DOMPurify ` + version + ` \|`},
	{"handlebars", []string{"handlebars v"}, `@license\s+handlebars v` + version + `\s`},
	{"highlight.js", []string{"Highlight.js v"}, open + `Highlight\.js v` + version + ` \(`},
	{"jquery", []string{"jQuery v", "jQuery JavaScript Library v"}, open + `jQuery (?:JavaScript Library )?v` + version + `\s`},
	{"lodash", []string{"__lodash_hash_undefined__"}, `\bVERSION\s*=\s*['"]` + version + `['"][\s\S]*?__lodash_hash_undefined__`},
	{"marked", []string{" - a markdown parser"}, open + `marked v` + version + ` - a markdown parser`},
	{"moment", []string{"//! moment.js"}, `//! moment\.js\s+//! version : ` + version + `\s`},
	{"react", []string{"@license React v"}, `@license React v` + version + `\s[\s*]*react\.(?:production|development)`},
	{"react-dom", []string{"@license React v"}, `@license React v` + version + `\s[\s*]*react-dom\.(?:production|development)`},
	{"showdown", []string{"showdown v "}, open + `showdown v ` + version + `\s`},
	{"underscore", []string{"Underscore.js "}, `//\s+Underscore\.js ` + version + `\s`},
	{"vue", []string{"Vue.js v"}, open + `Vue\.js v` + version + `\s`},

	// Families whose banners name the package.
	{"", []string{"* @vue/"}, `/\*\*\s*\* (@vue/[a-z-]+) v` + version + `\s`},
	{"", []string{"https://d3js.org/d3-"}, `// https://d3js\.org/(d3-[a-z-]+)/ v` + version + ` Copyright`},
	{
		"",
		[]string{"https://github.com/nodeca/", "https://github.com/markdown-it/"},
		`/\*! (js-yaml|pako|argparse|markdown-it|linkify-it|mdurl) ` + version + ` https://github\.com/`,
	},
	{"", []string{"https://mths.be/"}, `/\*! https://mths\.be/(cssesc|he|jsesc|punycode|regenerate) v` + version + ` by @mathias`},
	{"", []string{" License. Feross"}, `/\*! ([a-z0-9-]+)\. (?:MIT|BSD-3-Clause) License\. Feross`},
}

// Bytes on either side of an anchor that a banner may take.
const (
	beforeBanner = 64
	afterBanner  = 160
	beforeLodash = 2000 // its version stands before other constants
)

// banners makes the rules of bannerTable.
func banners() []rule {
	var list []rule
	for _, b := range bannerTable {
		re := lazy.Regexp(b.pattern)
		reach := beforeBanner
		if b.name == "lodash" {
			reach = beforeLodash
		}
		list = append(list, rule{evidence.NPM, evidence.Banner, sureBanner, b.anchors, func(data []byte, at int) (find, bool) {
			return b.match(re(), data, max(0, at-reach), at)
		}})
	}
	return list
}

// match applies re to the bytes from start on about an anchor. What it matches
// must hold the anchor's first byte.
func (b banner) match(re *regexp.Regexp, data []byte, start, at int) (find, bool) {
	part := data[start:min(len(data), at+afterBanner)]
	m := re.FindSubmatchIndex(part)
	if m == nil || start+m[0] > at || start+m[1] <= at {
		return find{}, false
	}
	group := func(i int) string {
		if len(m) <= 2*i+1 || m[2*i] < 0 {
			return ""
		}
		return string(part[m[2*i]:m[2*i+1]])
	}
	f := find{name: b.name, version: group(1), start: start + m[0], end: start + m[1]}
	if b.name == "" {
		f.name, f.version = group(1), group(2)
	}
	return f, true
}
