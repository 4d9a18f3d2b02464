package signal

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Endpoints are the names and addresses of other machines found in text.
type Endpoints struct {
	URLs      EndpointList `json:"urls"`
	Hosts     EndpointList `json:"hosts"` // of URLs, and domain names elsewhere
	Addresses EndpointList `json:"addresses"`
	Emails    EndpointList `json:"emails"`
}

// An EndpointList is a bounded list of different values.
type EndpointList struct {
	// Total counts the occurrences of all values, those that are not kept
	// included.
	Total int `json:"total"`

	// Values are the first different ones in the order of the file, at most
	// MaxEndpoints, sorted by value.
	Values []Endpoint `json:"values"`
}

// An Endpoint is one value, without passwords and queries.
type Endpoint struct {
	Value  string `json:"value"`
	Offset int64  `json:"offset"` // of the first occurrence in the file
	Count  int    `json:"count"`
}

// MaxEndpoints bounds the values kept of one kind.
const MaxEndpoints = 200

// The kinds of endpoints.
const (
	endpointURL = iota
	endpointHost
	endpointAddress
	endpointEmail
	endpointKinds
)

type endpointSet [endpointKinds]endpointMap

type endpointMap struct {
	total int
	seen  map[string]int // index into values
	list  []Endpoint
}

func (m *endpointMap) add(value []byte, offset int64) {
	m.total++
	if i, ok := m.seen[string(value)]; ok {
		m.list[i].Count++
		return
	}
	if len(m.list) < MaxEndpoints {
		m.keep(Endpoint{string(value), offset, 1})
	}
}

func (m *endpointMap) keep(e Endpoint) {
	if m.seen == nil {
		m.seen = map[string]int{}
	}
	m.seen[e.Value] = len(m.list)
	m.list = append(m.list, e)
}

func (s *endpointSet) merge(o *endpointSet) {
	for k := range s {
		m := &s[k]
		m.total += o[k].total
		for _, e := range o[k].list {
			if i, ok := m.seen[e.Value]; ok {
				m.list[i].Count += e.Count
				m.list[i].Offset = min(m.list[i].Offset, e.Offset)
			} else {
				m.keep(e)
			}
		}
		if len(m.list) <= MaxEndpoints {
			continue
		}
		slices.SortFunc(m.list, func(a, b Endpoint) int { return cmp.Compare(a.Offset, b.Offset) })
		list := m.list[:MaxEndpoints]
		m.list, m.seen = nil, nil
		for _, e := range list {
			m.keep(e)
		}
	}
}

func (s *endpointSet) result() Endpoints {
	list := func(k int) EndpointList {
		l := EndpointList{s[k].total, append([]Endpoint{}, s[k].list...)}
		slices.SortFunc(l.Values, func(a, b Endpoint) int { return strings.Compare(a.Value, b.Value) })
		return l
	}
	return Endpoints{list(endpointURL), list(endpointHost), list(endpointAddress), list(endpointEmail)}
}

const (
	// maxURL bounds a URL in bytes, and maxHost is the length of a domain name
	// by RFC 1035.
	maxURL  = 256
	maxHost = 253
)

// A url is the parts of a URL, as they stand in the text.
type url struct {
	scheme, user, host, port, path []byte
}

// url looks at the URL whose colon is at i.
func (s *scanner) url(i int) int {
	const scheme = 16
	start := s.back(i, scheme, alnum|dash|dot|b64Extra)
	for start < i && charClass[s.b[start]]&alpha == 0 {
		start++
	}
	if i-start < 2 {
		return i + 3
	}
	start = s.trimScheme(start, i)
	end := i + 3
	for limit := s.limit(i, maxURL); end < limit && isURLByte[s.b[end]]; end++ {
	}
	u, ok := parseURL(s.b[start:i], s.b[i+3:end])
	if !ok {
		return i + 3
	}
	shown := append(append([]byte{}, u.scheme...), "://"...)
	shown = append(shown, u.host...)
	if len(u.port) > 0 {
		shown = append(append(shown, ':'), u.port...)
	}
	shown = append(shown, u.path...)
	p := s.at(start)
	s.f.endpoints[endpointURL].add(shown, p.Offset)
	s.host(u.host, p.Offset)
	if len(u.user) > 0 {
		s.hide(i+3, i+3+len(u.user))
	}
	s.judgeURL(u, string(shown), p)
	return i + 3 + len(u.user) // what follows may be of interest to other rules
}

// trimScheme finds the scheme at the end of what stands before a colon: in
// literals without terminators, the last word of another may.
func (s *scanner) trimScheme(start, i int) int {
	word := s.b[start:i]
	for at := start + 1; at < i-1; at++ {
		if s.literalAt(at) {
			start = at
		}
	}
	for _, known := range []string{"https", "http", "wss", "ws", "ftp"} {
		if len(word) > len(known) && bytes.HasSuffix(word, []byte(known)) && !bytes.HasSuffix(word, []byte("+"+known)) {
			return max(start, i-len(known))
		}
	}
	return start
}

// isURLByte marks what may stand in a URL, and does not end it in text.
var isURLByte = func() (t [256]bool) {
	for c := byte('!'); c <= '~'; c++ {
		t[c] = strings.IndexByte("\"'<>`{}|\\^(),;", c) < 0
	}
	return t
}()

// parseURL takes what follows "://" apart. It is false without a host.
func parseURL(scheme, rest []byte) (u url, ok bool) {
	u.scheme = scheme
	authority := rest
	if i := bytes.IndexAny(rest, "/?#"); i >= 0 {
		authority, u.path = rest[:i], rest[i:]
	}
	if i := bytes.IndexAny(u.path, "?#"); i >= 0 {
		u.path = u.path[:i] // a query may hold anything
	}
	u.path = bytes.TrimRight(u.path, ".:!*&")
	if len(u.path) > 120 {
		u.path = u.path[:120]
	}
	if i := bytes.LastIndexByte(authority, '@'); i >= 0 {
		u.user, authority = authority[:i], authority[i+1:]
	}
	u.host = authority
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && !bytes.HasSuffix(authority, []byte("]")) {
		u.host, u.port = authority[:i], authority[i+1:]
		if n, err := strconv.ParseUint(string(u.port), 10, 16); err != nil || n == 0 {
			u.port = nil
		}
	}
	u.host = bytes.TrimRight(bytes.ToLower(u.host), ".:")
	return u, isHost(u.host)
}

// isHost accepts domain names of two labels or more, localhost, and addresses.
func isHost(h []byte) bool {
	if len(h) < 3 || len(h) > maxHost {
		return false
	}
	if h[0] == '[' {
		return h[len(h)-1] == ']' && bytes.Count(h, []byte(":")) >= 2
	}
	dots, label := 0, 0
	for _, c := range h {
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			dots, label = dots+1, 0
		case charClass[c]&(alnum|dash|underline) != 0:
			label++
		default:
			return false
		}
	}
	return label > 0 && (dots > 0 || string(h) == "localhost")
}

// host notes the host of a URL.
func (s *scanner) host(h []byte, offset int64) {
	if _, ok := parseIPv4(h); ok || h[0] == '[' {
		s.f.endpoints[endpointAddress].add(h, offset)
		return
	}
	s.f.endpoints[endpointHost].add(h, offset)
}

// judgeURL says what is remarkable about a URL.
func (s *scanner) judgeURL(u url, shown string, p Place) {
	evidence := func() string { return shown }
	if user, password, ok := bytes.Cut(u.user, []byte(":")); ok && isPassword(user, password) && !hasSuffix(string(u.host), sampleHosts) {
		s.f.add(ruleURLCredentials, 70, p, func() string {
			return string(u.scheme) + "://" + mask(u.user, 0) + "@" + string(u.host)
		})
	}
	ip, isIP := parseIPv4(u.host)
	host := string(u.host)
	switch {
	case host == "169.254.169.254" || host == "metadata.google.internal" || host == "[fd00:ec2::254]":
		s.f.add(rulePrivateHost, 55, p, evidence)
	case isIP && isPrivate(ip):
		s.f.add(rulePrivateHost, 35, p, evidence)
	case isIP && isPublic(ip):
		s.f.add(ruleAddressURL, 25, p, evidence)
	case !isIP && hasSuffix(host, privateSuffixes):
		s.f.add(rulePrivateHost, 30, p, evidence)
	}
	if hasSuffix(host, dropHosts) {
		s.f.add(ruleDropHost, dropScore(host), p, evidence)
	}
	if hasSuffix(host, registryHosts) || strings.HasPrefix(host, "artifactory.") || strings.HasPrefix(host, "nexus.") {
		s.f.add(rulePrivateRegistry, 30, p, evidence)
	}
}

// isPassword tells a password from formats and samples.
func isPassword(user, password []byte) bool {
	if len(password) < 4 || bytes.ContainsAny(password, "%$*<{") || bytes.ContainsAny(user, "%${<") {
		return false
	}
	switch string(bytes.ToLower(password)) {
	case "pass", "passwd", "password", "pwd", "secret", "port", "user", "username", "token",
		"admin", "root", "test", "1234", "12345", "123456":
		return false
	}
	return plausible(password)
}

// hasSuffix reports whether a host is one of a list of domains, or in one.
func hasSuffix(host string, list []string) bool {
	for _, d := range list {
		if strings.HasSuffix(host, d) && (len(host) == len(d) || d[0] == '.' || host[len(host)-len(d)-1] == '.') {
			return true
		}
	}
	return false
}

// sampleHosts are those that RFC 2606 keeps for examples.
var sampleHosts = []string{"example.com", "example.org", "example.net", ".example", ".test", ".invalid", "localhost", "127.0.0.1"}

// privateSuffixes are domains of networks that nobody reaches from outside.
var privateSuffixes = []string{".internal", ".corp", ".intranet", ".intra", ".lan", ".local", ".home.arpa", ".cluster.local", ".private"}

// dropHosts are services that take what anyone sends, or serve what anyone put
// there.
var dropHosts = []string{
	".onion", "webhook.site", "requestbin.net", "pipedream.net", "burpcollaborator.net", "oastify.com", "interact.sh", "oast.fun",
	"oast.live", "oast.me", "oast.online", "oast.pro", "oast.site", "dnslog.cn", "ngrok.io", "ngrok.app", "ngrok-free.app",
	"trycloudflare.com", "serveo.net", "localtunnel.me", "loca.lt", "transfer.sh", "file.io", "0x0.st", "termbin.com", "pastebin.com",
	"paste.ee", "hastebin.com", "discord.com", "discordapp.com", "api.telegram.org",
}

// dropScore is lower for services that are mostly something else.
func dropScore(host string) int {
	if hasSuffix(host, []string{"discord.com", "discordapp.com", "file.io"}) {
		return 10
	}
	return 55
}

// registryHosts are services in which organisations keep packages.
var registryHosts = []string{
	"jfrog.io", "npm.pkg.github.com", "maven.pkg.github.com", "pkgs.dev.azure.com", "azurecr.io", "pkg.dev", "codeartifact.amazonaws.com",
	"cloudsmith.io", "dl.cloudsmith.io", "packagecloud.io", "npm.fury.io", "pypi.fury.io", "gem.fury.io", "myget.org",
}

// parseIPv4 reads four numbers without leading zeros.
func parseIPv4(b []byte) (ip [4]byte, ok bool) {
	part, n, digits := 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if digits > 0 && n == 0 || digits == 3 {
				return ip, false
			}
			n, digits = n*10+int(c-'0'), digits+1
		case c == '.' && digits > 0 && part < 3 && n <= 255:
			ip[part] = byte(n)
			part, n, digits = part+1, 0, 0
		default:
			return ip, false
		}
	}
	if part != 3 || digits == 0 || n > 255 {
		return ip, false
	}
	ip[3] = byte(n)
	return ip, true
}

func isPrivate(ip [4]byte) bool {
	return ip[0] == 10 || ip[0] == 192 && ip[1] == 168 || ip[0] == 172 && ip[1]&0xf0 == 16 || ip[0] == 100 && ip[1]&0xc0 == 64
}

// isPublic leaves out this host, other special networks, and the ones for
// documentation (RFC 5737).
func isPublic(ip [4]byte) bool {
	switch {
	case ip[0] == 0, ip[0] == 127, ip[0] >= 224, ip[0] == 169 && ip[1] == 254, isPrivate(ip):
		return false
	case ip[0] == 192 && ip[1] == 0, ip[0] == 198 && ip[1] == 51 && ip[2] == 100, ip[0] == 203 && ip[1] == 0 && ip[2] == 113:
		return false
	}
	return true
}

// address looks at the numbers of which a digit before a dot is at i. What begins
// with 0, 1 or 2 is an object identifier more often than an address, and what
// follows a v a version.
func (s *scanner) address(i int) int {
	start := s.back(i, 3, digit)
	if start > 0 && (isWordByte(s.b[start-1]) || strings.IndexByte(".-+@/", s.b[start-1]) >= 0) {
		return s.while(i+1, i+maxHost, digit|dot)
	}
	end := s.while(start, start+20, digit|dot)
	ip, ok := parseIPv4(s.b[start:end])
	if !ok || !s.ends(end) || end < len(s.b) && s.b[end] == '-' || ip[0] <= 2 && ip != [4]byte{1, 1, 1, 1} || !isPublic(ip) && !isPrivate(ip) {
		return end
	}
	p := s.at(start)
	s.f.endpoints[endpointAddress].add(s.b[start:end], p.Offset)
	if isPrivate(ip) {
		s.f.add(rulePrivateHost, 15, p, func() string { return string(s.b[start:end]) })
	}
	return end
}

// domains are the ends of domain names that are looked for outside of URLs:
// those which are seldom names of files, fields or methods.
var domains = []string{".com", ".org", ".net", ".io", ".dev", ".gov", ".edu", ".onion", ".ru", ".cn", ".xyz", ".internal", ".corp"}

// domain looks at the name whose last label, n bytes with its dot, is at i.
func (s *scanner) domain(n, i int) int {
	const most = 64
	end := i + n
	start := s.back(i, most, lowerCase|digit|dash|dot)
	if i-start < 2 || i-start == most || !s.ends(end) || end < len(s.b) && strings.IndexByte("-.(=$", s.b[end]) >= 0 {
		return end
	}
	if start > 0 && (strings.IndexByte("@/$:\\", s.b[start-1]) >= 0 || isWordByte(s.b[start-1])) && !s.literalAt(start) {
		return end
	}
	name := s.b[start:end]
	if !isHost(name) || name[0] == '-' {
		return end
	}
	p := s.at(start)
	s.f.endpoints[endpointHost].add(name, p.Offset)
	return end
}

// email looks at the address the character before whose at sign is at i.
func (s *scanner) email(i int) int {
	const local = 64
	at := i + 1
	start := s.back(at, local, alnum|dot|dash|underline)
	end := s.while(at+1, min(at+1+maxHost, s.limit(at, maxHost)), alnum|dash|dot)
	for end > at+1 && charClass[s.b[end-1]]&alnum == 0 {
		end--
	}
	domain := bytes.ToLower(s.b[at+1 : end])
	last := bytes.LastIndexByte(domain, '.')
	if !isHost(domain) || last < 1 || len(domain)-last-1 < 2 || !isLetters(domain[last+1:]) || end < len(s.b) && s.b[end] == '/' {
		return at + 1
	}
	name := s.b[start:at]
	if string(name) == "git" || name[0] == '.' || name[0] == '-' {
		return end
	}
	s.f.endpoints[endpointEmail].add(s.b[start:end], s.at(start).Offset)
	return end
}

func isLetters(b []byte) bool {
	for _, c := range b {
		if charClass[c]&alpha == 0 {
			return false
		}
	}
	return true
}

// unixHome looks at a path below /home/ or /Users/ at i.
func (s *scanner) unixHome(i int) int {
	start := i + bytes.IndexByte(s.b[i+1:], '/') + 2
	return s.home(i, start, '/')
}

// windowsHome looks at a path below :\Users\ at i.
func (s *scanner) windowsHome(i int) int {
	if i == 0 || charClass[s.b[i-1]]&alpha == 0 {
		return i + 1
	}
	return s.home(i-1, i+len(`:\users\`), '\\')
}

// home reports the path at i in the home directory of the user named at start.
func (s *scanner) home(i, start int, slash byte) int {
	const user, shown = 32, 100
	end := s.while(start, start+user, alnum|dot|dash|underline)
	if end == start || end >= len(s.b) || s.b[end] != slash || i > 0 && strings.IndexByte(".-_~%", s.b[i-1]) >= 0 {
		return start
	}
	if i > 0 && isWordByte(s.b[i-1]) && slash == '/' && !s.literalAt(i) && !knownHome(s.b[end:]) {
		return start // the middle of a URL or of another path
	}
	name := string(s.b[start:end])
	score := 30
	switch {
	case sharedUsers[strings.ToLower(name)]:
		return end
	case buildUsers[strings.ToLower(name)]:
		score = 5
	}
	last := end
	for limit := s.limit(i, shown); last < limit && s.b[last] > ' ' && s.b[last] != '"' && s.b[last] != '\''; last++ {
	}
	from := s.b[i:last]
	s.f.add(ruleHomePath, score, s.at(i), func() string { return string(from) })
	return end
}

// knownHome recognises what tools keep in a home directory.
func knownHome(rest []byte) bool {
	return len(rest) > 1 && (rest[1] == '.' || bytes.HasPrefix(rest, []byte("/go/")) || bytes.HasPrefix(rest, []byte("/work/")))
}

// buildUsers are the users of build services and containers, sharedUsers nobody
// at all.
var (
	buildUsers = map[string]bool{
		"runner": true, "circleci": true, "jenkins": true, "travis": true, "vsts": true, "vsts_azpcontainer": true, "buildbot": true,
		"gitlab-runner": true, "ubuntu": true, "vscode": true, "user": true, "me": true, "builder": true, "build": true, "node": true,
		"runneradmin": true, "vssadministrator": true, "appveyor": true, "distiller": true, "ec2-user": true, "ci": true, "docker": true,
		"worker": true, "codespace": true, "emscripten": true, "rust": true, "semaphore": true, "linuxbrew": true,
	}
	sharedUsers = map[string]bool{
		"web_user": true, // whom Emscripten's file system has
		"shared":   true, "public": true, "default": true, "username": true, "yourname": true, "you": true, "foo": true, "name": true,
	}
)

// wallets looks for addresses of Monero among long words of the run.
func (s *scanner) wallets() {
	const size = 95
	b := s.b
	for at := size - 1; at < len(b); {
		if charClass[b[at]]&base58 == 0 {
			at += size
			continue
		}
		start := s.back(at, size, base58)
		end := s.while(at, at+size, base58)
		if end-start == size && (b[start] == '4' || b[start] == '8') && s.begins(start) && s.ends(end) &&
			plausible(b[start:end]) && randomness(b[start:end]) > 4.8 {
			s.f.add(ruleWallet, 45, s.at(start), func() string { return "Monero address " + mask(b[start:end], 4) })
			s.hint(hintWallet, start, size)
		}
		at = end + size
	}
}
