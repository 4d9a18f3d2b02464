package wasm

import (
	"fmt"
	"strings"
)

// A nameKind tells the forms of import and export names apart ("Import and
// Export Definitions" in Explainer.md).
type nameKind byte

const (
	namePlain nameKind = iota
	nameConstructor
	nameMethod
	nameStatic
	nameInterface
	nameDependency
	nameURL
	nameIntegrity
)

// An externName is an import or export name taken apart.
type externName struct {
	kind nameKind

	// resource is the resource of a constructor, method or static function.
	resource string

	// key is equal for two names that are not strongly unique: letters are in
	// lower case and hyphens left out, as two languages' identifiers may be.
	key string

	version string // of an interface
	nested  bool   // whether a package or interface is inside another
}

// parseName takes apart an import or export name; errors are ErrName.
func parseName(name string) (externName, error) {
	if rest, ok := strings.CutPrefix(name, "[constructor]"); ok {
		return externName{kind: nameConstructor, resource: rest, key: "c " + labelKey(rest)}, checkLabel(rest)
	}
	if rest, ok := strings.CutPrefix(name, "[method]"); ok {
		return memberName(nameMethod, rest)
	}
	if rest, ok := strings.CutPrefix(name, "[static]"); ok {
		return memberName(nameStatic, rest)
	}
	p := nameParser{rest: name}
	n := externName{kind: namePlain, key: "d " + name}
	switch {
	case p.eat("unlocked-dep="):
		n.kind = nameDependency
		p.query()
	case p.eat("locked-dep="):
		n.kind = nameDependency
		p.locked()
	case p.eat("url="):
		n.kind = nameURL
		p.url()
	case p.eat("integrity="):
		n.kind = nameIntegrity
		p.integrity()
	case strings.Contains(name, ":"):
		return p.interfaceName(name)
	default:
		n.key = labelKey(name)
		return n, checkLabel(name)
	}
	if p.err == nil && p.rest != "" {
		p.fail("%q is left over", p.rest)
	}
	return n, p.err
}

// memberName takes apart what follows [method] or [static]. A function that is
// called as its resource stands in the way of the resource's own name.
func memberName(kind nameKind, s string) (externName, error) {
	resource, function, ok := strings.Cut(s, ".")
	if !ok {
		return externName{}, fmt.Errorf("%w %q: there is no dot between resource and function", ErrName, s)
	}
	n := externName{kind: kind, resource: resource, key: "m " + labelKey(resource) + "." + labelKey(function)}
	if labelKey(resource) == labelKey(function) {
		n.key = labelKey(resource)
	}
	if err := checkLabel(resource); err != nil {
		return n, err
	}
	return n, checkLabel(function)
}

// checkLabel reports whether s is a label: words joined by single hyphens, each
// all in lower or all in upper case, the first beginning with a letter. Digits
// may stand anywhere else.
func checkLabel(s string) error {
	if s == "" {
		return fmt.Errorf("%w: it is empty", ErrName)
	}
	word := 0 // where the current word begins
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '-' {
			continue
		}
		if !isWord(s[word:i], word == 0) {
			return fmt.Errorf("%w %q: it is not in kebab case", ErrName, short(s))
		}
		word = i + 1
	}
	return nil
}

func isWord(s string, first bool) bool {
	if s == "" || first && s[0] >= '0' && s[0] <= '9' {
		return false
	}
	lower, upper := false, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= 'A' && c <= 'Z':
			upper = true
		case c < '0' || c > '9':
			return false
		}
	}
	return !lower || !upper
}

// labelKey is equal for labels that are not strongly unique.
func labelKey(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c == '-' || c >= 'A' && c <= 'Z' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.ToLower(strings.ReplaceAll(s, "-", ""))
}

// short cuts a name for an error message.
func short(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// A nameParser walks through a name; its first error sticks.
type nameParser struct {
	rest string
	err  error
}

func (p *nameParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrName, fmt.Sprintf(format, args...))
	}
}

func (p *nameParser) eat(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *nameParser) expect(prefix string) {
	if !p.eat(prefix) {
		p.fail("%q where %q belongs", short(p.rest), prefix)
	}
}

// upTo gives what is before the byte c, which must come and stays.
func (p *nameParser) upTo(c byte) string {
	i := strings.IndexByte(p.rest, c)
	if i < 0 {
		p.fail("%q has no %q", short(p.rest), c)
		return ""
	}
	s := p.rest[:i]
	p.rest = p.rest[i:]
	return s
}

// word takes the letters, digits and hyphens that come next, a label.
func (p *nameParser) word(lower bool) string {
	n := 0
	for n < len(p.rest) {
		c := p.rest[n]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		n++
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	if err := checkLabel(s); err != nil && p.err == nil {
		p.err = err
	}
	if lower && strings.ToLower(s) != s {
		p.fail("%q in a package name is not in lower case", short(s))
	}
	return s
}

// interfaceName reads "namespace:package/interface", with or without a version.
// The version is checked with its suffix, by the caller.
func (p *nameParser) interfaceName(name string) (externName, error) {
	n := externName{kind: nameInterface}
	n.nested = p.path(true)
	path := name[:len(name)-len(p.rest)]
	if p.eat("@") {
		n.version = p.rest
		if n.version == "" {
			p.fail("the version is empty")
		}
	} else if p.rest != "" {
		p.fail("%q is left over", short(p.rest))
	}
	n.key = "i " + labelKey(path) + "@" + n.version
	return n, p.err
}

// path reads the path of a package and, as it may or must, of an interface in
// it; nested is whether it has more than one part on either side.
func (p *nameParser) path(projection bool) (nested bool) {
	p.word(true)
	p.expect(":")
	p.word(true)
	for p.err == nil && p.eat(":") {
		nested = true
		p.word(true)
	}
	if projection && !strings.HasPrefix(p.rest, "/") {
		p.fail("%q where an interface belongs", short(p.rest))
	}
	for i := 0; p.err == nil && p.eat("/"); i++ {
		nested = nested || i > 0
		p.word(false)
	}
	return nested
}

// query reads the package of an unlocked dependency, with a range of versions.
func (p *nameParser) query() {
	p.expect("<")
	p.path(false)
	if p.eat("@") && !p.eat("*") {
		p.expect("{")
		p.versions(p.upTo('}'))
		p.expect("}")
	}
	p.expect(">")
}

// versions checks a range: "*", ">=1.0.0", "<2.0.0" or both joined by a space.
func (p *nameParser) versions(s string) {
	if s == "*" || p.err != nil {
		return
	}
	if lower, ok := strings.CutPrefix(s, ">="); ok {
		lower, upper, both := strings.Cut(lower, " ")
		p.version(lower)
		if !both {
			return
		}
		s = upper
	}
	upper, ok := strings.CutPrefix(s, "<")
	if !ok {
		p.fail("%q is no range of versions", short(s))
		return
	}
	p.version(upper)
}

func (p *nameParser) version(s string) {
	if err := checkVersion(s); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *nameParser) locked() {
	p.expect("<")
	p.path(false)
	if p.eat("@") {
		p.version(p.upTo('>'))
	}
	p.expect(">")
	p.hash()
}

func (p *nameParser) url() {
	p.expect("<")
	if url := p.upTo('>'); strings.Contains(url, "<") {
		p.fail("%q has a \"<\"", short(url))
	}
	p.expect(">")
	p.hash()
}

// hash reads the hash that may follow a URL or locked dependency.
func (p *nameParser) hash() {
	if p.eat(",") {
		p.expect("integrity=")
		p.integrity()
	}
}

// integrity reads the metadata of Subresource Integrity: hashes of known
// algorithms, separated by spaces.
func (p *nameParser) integrity() {
	p.expect("<")
	list := strings.Fields(p.upTo('>'))
	p.expect(">")
	if len(list) == 0 {
		p.fail("there is no hash")
	}
	for _, h := range list {
		algorithm, value, _ := strings.Cut(h, "-")
		if algorithm != "sha256" && algorithm != "sha384" && algorithm != "sha512" {
			p.fail("%q is no hash by sha256, sha384 or sha512", short(h))
		}
		value, _, _ = strings.Cut(value, "?")
		digits := strings.TrimRight(value, "=")
		if digits == "" || len(value)-len(digits) > 2 || strings.Trim(digits, base64Digits) != "" {
			p.fail("%q is not in base64", short(h))
		}
	}
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// checkVersion reports whether s is a version as Semantic Versioning 2.0.0 has
// them.
func checkVersion(s string) error {
	bad := fmt.Errorf("%w: %q is no semantic version", ErrName, short(s))
	s, build, hasBuild := strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(s, "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 {
		return bad
	}
	for _, n := range numbers {
		if !isDigits(n) || len(n) > 1 && n[0] == '0' || len(n) > len("18446744073709551615") {
			return bad
		}
	}
	if hasPre && !identifiers(pre, false) || hasBuild && !identifiers(build, true) {
		return bad
	}
	return nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// identifiers reports whether s is identifiers separated by dots. Numbers of a
// pre-release have no leading zero, those of a build may.
func identifiers(s string, zeros bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || strings.Trim(id, base64Digits[:62]+"-") != "" {
			return false
		}
		if !zeros && len(id) > 1 && id[0] == '0' && isDigits(id) {
			return false
		}
	}
	return true
}
