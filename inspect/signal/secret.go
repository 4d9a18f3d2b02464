package signal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
)

// A token is a form of secret with a prefix of its own.
type token struct {
	rule     rule
	name     string
	score    int
	prefixes []string
	class    uint16 // of the characters after the prefix
	min, max int    // of their number
	check    func(body []byte, score int) int
}

var tokens = []token{
	{rule: ruleAWSKey, name: "AWS access key", score: 80, prefixes: []string{"AKIA", "ASIA"}, class: base32, min: 16, max: 16},
	{
		rule: ruleGitHubToken, name: "GitHub token", score: 95,
		prefixes: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, class: alnum, min: 36, max: 36, check: checksummed,
	},
	{
		rule: ruleGitHubToken, name: "GitHub token", score: 95,
		prefixes: []string{"github_pat_"}, class: alnum | underline, min: 82, max: 82,
	},
	{
		rule: ruleSlackToken, name: "Slack token", score: 90,
		prefixes: []string{"xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "xoxe-"}, class: alnum | dash, min: 20, max: 250, check: numbered,
	},
	{
		rule: ruleSlackToken, name: "Slack app token", score: 90,
		prefixes: []string{"xapp-"}, class: alnum | dash, min: 60, max: 200, check: numbered,
	},
	{
		rule: ruleSlackToken, name: "Slack webhook", score: 75,
		prefixes: []string{"hooks.slack.com/services/"}, class: alnum | b64Extra, min: 40, max: 80, check: numbered,
	},
	{rule: ruleGoogleKey, name: "Google API key", score: 60, prefixes: []string{"AIza"}, class: urlB64, min: 35, max: 35},
	{rule: ruleStripeKey, name: "Stripe secret key", score: 95, prefixes: []string{"sk_live_", "rk_live_"}, class: alnum, min: 24, max: 250},
	{rule: ruleStripeKey, name: "Stripe test key", score: 30, prefixes: []string{"sk_test_", "rk_test_"}, class: alnum, min: 24, max: 250},
	{rule: ruleNPMToken, name: "npm token", score: 95, prefixes: []string{"npm_"}, class: alnum, min: 36, max: 36, check: checksummed},
	{rule: ruleToken, name: "GitLab token", score: 90, prefixes: []string{"glpat-", "gldt-", "glrt-"}, class: urlB64, min: 20, max: 64},
	{rule: ruleToken, name: "PyPI token", score: 90, prefixes: []string{"pypi-AgE"}, class: urlB64, min: 70, max: 300},
	{rule: ruleToken, name: "Docker Hub token", score: 90, prefixes: []string{"dckr_pat_"}, class: urlB64, min: 27, max: 32},
	{rule: ruleToken, name: "Hugging Face token", score: 85, prefixes: []string{"hf_"}, class: alpha, min: 34, max: 34},
	{rule: ruleToken, name: "Anthropic key", score: 90, prefixes: []string{"sk-ant-"}, class: urlB64, min: 80, max: 200},
	{rule: ruleToken, name: "OpenAI key", score: 90, prefixes: []string{"sk-proj-"}, class: urlB64, min: 40, max: 250},
	{rule: ruleToken, name: "SendGrid key", score: 90, prefixes: []string{"SG."}, class: urlB64 | dot, min: 66, max: 66},
	{rule: ruleToken, name: "Shopify token", score: 90, prefixes: []string{"shpat_", "shpss_", "shpca_"}, class: hexDigit, min: 32, max: 32},
	{rule: ruleToken, name: "DigitalOcean token", score: 90, prefixes: []string{"dop_v1_", "doo_v1_"}, class: hexDigit, min: 64, max: 64},
	{rule: ruleToken, name: "Vault token", score: 85, prefixes: []string{"hvs.", "hvb."}, class: urlB64, min: 24, max: 200},
	{rule: ruleToken, name: "Grafana token", score: 85, prefixes: []string{"glsa_", "glc_"}, class: alnum | underline, min: 32, max: 250},
	{rule: ruleToken, name: "Linear key", score: 85, prefixes: []string{"lin_api_"}, class: alnum, min: 40, max: 40},
	{rule: ruleToken, name: "age key", score: 90, prefixes: []string{"AGE-SECRET-KEY-1"}, class: upperCase | digit, min: 58, max: 58},
	{
		rule: ruleToken, name: "Azure storage key", score: 90,
		prefixes: []string{"AccountKey=", "SharedAccessKey="}, class: stdB64, min: 43, max: 88,
	},
	{
		rule: ruleToken, name: "Discord webhook", score: 75,
		prefixes: []string{"discord.com/api/webhooks/", "discordapp.com/api/webhooks/"}, class: urlB64 | b64Extra, min: 80, max: 100,
		check: numbered,
	},
	{
		rule: ruleToken, name: "Telegram bot token", score: 85,
		prefixes: []string{"api.telegram.org/bot"}, class: urlB64, min: 8, max: 10, check: func(_ []byte, _ int) int { return 0 },
	},
}

// token reports the secret of form t whose prefix of length n is at i.
func (s *scanner) token(t token, n, i int) int {
	start := i + n
	end := s.while(start, start+t.max+1, t.class)
	for e := start + t.min; e < end; e++ {
		if s.literalAt(e) {
			end = e // the next literal follows at once
		}
	}
	if size := end - start; size < t.min || size > t.max || !s.begins(i) || !s.ends(end) {
		return i + 1
	}
	body := s.b[start:end]
	if !plausible(body) {
		return i + 1
	}
	score := t.score
	if t.check != nil {
		score = t.check(body, score)
	}
	if t.rule == ruleAWSKey && s.nearSecret(i, end) {
		score = 90
	}
	if score == 0 {
		return i + 1
	}
	s.secret(t.rule, score, i, t.name, s.b[i:end], n)
	return end
}

// secret reports what is at i; known is the length of its public prefix.
func (s *scanner) secret(r rule, score, i int, name string, secret []byte, known int) {
	s.hide(i+known, i+len(secret))
	s.f.add(r, score, s.at(i), func() string {
		return fmt.Sprintf("%s %s (%d characters)", name, mask(secret, known), len(secret))
	})
}

// nearSecret looks for the secret half of an AWS key, forty characters of base64,
// around the public one.
func (s *scanner) nearSecret(i, end int) bool {
	const around, size = 200, 40
	for at := max(0, i-around); at < min(len(s.b), end+around); {
		stop := s.while(at, at+size+1, stdB64)
		if stop-at == size && (at == 0 || charClass[s.b[at-1]]&stdB64 == 0 || s.b[at-1] == '=') && randomness(s.b[at:stop]) > 4.2 {
			return true
		}
		at = max(stop, at+1)
	}
	return false
}

// plausible tells a secret from a placeholder.
func plausible(body []byte) bool {
	var seen [4]uint64
	distinct, repeat := 0, 1
	for i, c := range body {
		if seen[c>>6]>>(c&63)&1 == 0 {
			seen[c>>6] |= 1 << (c & 63)
			distinct++
		}
		if i > 0 && c == body[i-1] {
			if repeat++; repeat > 5 {
				return false
			}
		} else {
			repeat = 1
		}
	}
	if distinct < min(8, len(body)/2) {
		return false
	}
	low := bytes.ToLower(body[:min(len(body), 256)])
	for _, word := range placeholders {
		if bytes.Contains(low, []byte(word)) {
			return false
		}
	}
	return true
}

var placeholders = []string{
	"example", "xxxx", "abcdefg", "1234567", "placeholder", "changeme", "your_", "your-", "dummy", "redacted", "0000000", "test_key",
}

// checksummed checks the last six characters of the tokens of GitHub and npm,
// which are the CRC-32 of the others in base62.
func checksummed(body []byte, score int) int {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.ChecksumIEEE(body[:len(body)-6])
	for i := len(body) - 1; i >= len(body)-6; i-- {
		if body[i] != digits[sum%62] {
			return 30
		}
		sum /= 62
	}
	return score
}

// numbered asks for the number of a workspace or channel in the token.
func numbered(body []byte, score int) int {
	digits := 0
	for _, c := range body {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	if digits < 6 {
		return 0
	}
	return score
}

// randomness is the entropy of the characters of b, in bits for each.
func randomness(b []byte) float64 {
	var counts [256]uint16
	for _, c := range b {
		counts[c]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			sum += float64(n) * math.Log2(float64(n))
		}
	}
	return math.Log2(float64(len(b))) - sum/float64(len(b))
}

// pem reports a block of a private key that has a body.
func (s *scanner) pem(i int) int {
	const begin, label, tail = "-----BEGIN ", 48, "-----"
	start := i + len(begin)
	n := bytes.Index(s.b[start:min(len(s.b), start+label)], []byte(tail))
	if n < 0 || !bytes.HasSuffix(s.b[start:start+n], []byte("PRIVATE KEY")) {
		return start
	}
	kind := string(s.b[start : start+n])
	body := s.pemBody(start + n + len(tail))
	if len(body) < 48 || !bytes.HasPrefix(body, []byte("M")) && !bytes.HasPrefix(body, []byte("b3BlbnNzaC1r")) {
		return start
	}
	score := 95
	if strings.Contains(kind, "ENCRYPTED") {
		score = 60
	}
	if s.hidden != nil {
		from := start + n + len(tail)
		until := bytes.Index(s.b[from:], []byte("-----END "))
		if until < 0 {
			until = len(s.b) - from
		}
		s.hide(from, from+until)
	}
	s.f.add(rulePrivateKey, score, s.at(i), func() string { return kind + ", " + mask(body, 4) })
	return start
}

// pemBody collects the beginning of the base64 from i on, across ends of lines,
// which JSON and source code write as \n. Headers of old formats end it.
func (s *scanner) pemBody(i int) []byte {
	const enough = 64
	body := make([]byte, 0, enough)
	for end := min(len(s.b), i+3*enough); i < end && len(body) < enough; i++ {
		switch c := s.b[i]; {
		case charClass[c]&stdB64 != 0:
			body = append(body, c)
		case c == '\n', c == '\r', c == ' ', c == '\t':
		case c == '\\' && i+1 < end && (s.b[i+1] == 'n' || s.b[i+1] == 'r'):
			i++
		default:
			return body
		}
	}
	return body
}

// jwt reports three parts of base64url whose first one is a header.
func (s *scanner) jwt(i int) int {
	const least, most = 10, 4096
	if !s.begins(i) {
		return i + 1
	}
	head := s.while(i, i+most, urlB64)
	if head-i < least || head+3 >= len(s.b) || s.b[head] != '.' || string(s.b[head+1:head+3]) != "ey" {
		return head // not i+1: a text of many such beginnings must not be read as often
	}
	claims := s.while(head+1, head+most, urlB64)
	if claims-head < least || claims >= len(s.b) || s.b[claims] != '.' {
		return claims
	}
	end := s.while(claims+1, claims+most, urlB64)
	if end-claims < 20 {
		return end
	}
	raw := s.b[i:head]
	json, err := base64.RawURLEncoding.DecodeString(string(raw[:len(raw)&^3]))
	if err != nil || !bytes.Contains(json, []byte(`"alg"`)) || bytes.HasPrefix(s.b[head+1:claims], []byte(jwtSample)) {
		return end
	}
	s.secret(ruleJWT, 50, i, "JWT", s.b[i:end], 6)
	return end
}

// jwtSample begins the claims of the sample in the documentation of JWT:
// {"sub":"1234567890".
const jwtSample = "eyJzdWIiOiIxMjM0NTY3ODkwI"

// registryKeys are the settings of an .npmrc that hold credentials.
var registryKeys = []string{":_authToken=", ":_password=", ":_auth="}

func (s *scanner) registryAuth(n, i int) int {
	start := i + n
	end := s.while(start, start+512, stdB64|dash|underline|dot)
	if end-start < 8 || !plausible(s.b[start:end]) {
		return i + 1
	}
	s.secret(ruleRegistryAuth, 85, i, ".npmrc", s.b[i:end], n)
	return end
}

// secretWords are parts of the names of variables that hold secrets.
var secretWords = []string{
	"password", "passwd", "secret", "api_key", "apikey", "api-key", "access_key", "accesskey", "auth_token", "authtoken", "private_key",
}

// assignment reports a name with a word for a secret in it, followed by an equals
// sign or colon and what looks random.
func (s *scanner) assignment(n, i int) int {
	const rest, least, most = 24, 16, 128
	at := s.while(i+n, i+n+rest, alnum|underline|dash)
	at = s.skip(at, `"' `, 2)
	if at >= len(s.b) || s.b[at] != '=' && s.b[at] != ':' {
		return i + 1
	}
	at = s.skip(at+1, `"' =>`, 3)
	end := s.while(at, s.limit(at, most), stdB64|dash|underline|dot)
	value := s.b[min(at, end):end]
	if len(value) < least || !s.ends(end) || !plausible(value) || !mixed(value) || randomness(value) < 3.5 {
		return i + 1
	}
	known := at - i
	s.secret(ruleAssignment, 25, i, "assignment", s.b[i:end], known)
	return end
}

// skip steps over at most most characters of a set.
func (s *scanner) skip(i int, set string, most int) int {
	for ; most > 0 && i < len(s.b) && strings.IndexByte(set, s.b[i]) >= 0; most-- {
		i++
	}
	return i
}

// mixed asks for digits and letters, at least three of each, and for more
// changes between them than a word with a number has.
func mixed(b []byte) bool {
	digits, letters, changes := 0, 0, 0
	for i, c := range b {
		if c >= '0' && c <= '9' {
			digits++
		} else if isAlnum(c) {
			letters++
		}
		if i > 0 && (c >= '0' && c <= '9') != (b[i-1] >= '0' && b[i-1] <= '9') {
			changes++
		}
	}
	return digits >= 3 && letters >= 3 && changes >= 4
}
