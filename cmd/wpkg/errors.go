package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/artifact"
	"github.com/wreg-project/wreg/artifact/build"
	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/lazy"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/catalog/wire"
	"github.com/wreg-project/wreg/registry/client"
	"github.com/wreg-project/wreg/signing/keyless"
)

// A usageError is a command line that makes no sense: exit status 2.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// badReference is an argument that names no package.
func badReference(err error) *usageError {
	const hint = "a package is [HOST/]PATH[:TAG|@DIGEST|@RANGE], NAMESPACE:NAME[@VERSION] or oci-layout:FOLDER[:TAG]"
	return &usageError{text: err.Error(), hint: hint}
}

func usagef(format string, args ...any) *usageError {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// commandName is how a command is called behind wpkg: "push", "trust add".
func commandName(c *cli.Context) string {
	if c.Command == nil {
		return ""
	}
	return strings.TrimSpace(strings.TrimPrefix(c.Command.HelpName, "wpkg"))
}

// badUsage is what the flag parser's complaints become.
func badUsage(c *cli.Context, err error, _ bool) error {
	name := strings.TrimSpace("wpkg " + commandName(c))
	text := err.Error()
	if flag, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		text = "unknown flag -" + flag
		if len(flag) > 1 {
			text = "unknown flag --" + flag
		}
	}
	return &usageError{text: text, hint: name + " --help lists the flags"}
}

// arguments checks how many arguments a command got.
func arguments(c *cli.Context, least, most int) error {
	n := c.NArg()
	if n >= least && (most < 0 || n <= most) {
		return nil
	}
	what := "too many arguments"
	if n < least {
		what = "not enough arguments"
	}
	hint := "wpkg " + commandName(c) + " " + c.Command.ArgsUsage
	if c.Command.ArgsUsage == "" {
		hint += "--help lists what it takes, all of it by flags"
	}
	return &usageError{text: commandName(c) + ": " + what, hint: hint}
}

// A hinted error knows what to do about it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// complain writes an error for a person: what, why, and what to do about it.
func (t *tool) complain(err error) {
	colour := term.Colour(t.err)
	var compiler *build.Error
	if errors.As(err, &compiler) {
		err = &hinted{fmt.Errorf("build %s: %w", compiler.Dir, compiler.Err), hint(compiler.Err)}
		fmt.Fprintln(t.err, term.CleanLines(strings.TrimSpace(compiler.Text)))
	}
	fmt.Fprintf(t.err, "wpkg: %s\n", term.Paint(colour, term.Red, message(err)))
	if at, ok := errors.AsType[*located](err); ok {
		at.point(t.err, colour)
	}
	if h := hint(err); h != "" {
		fmt.Fprintf(t.err, "%s %s\n", term.Paint(colour, term.Bold, "hint:"), term.Clean(h))
	}
}

// message is err in one line: answers of registries by what they mean, not by
// their request.
func message(err error) string {
	text := err.Error()
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) {
		text = strings.ReplaceAll(text, answer.Error(), answered(answer))
	}
	var said *client.CatalogError
	if errors.As(err, &said) {
		about := strings.ReplaceAll(text, said.Error(), "")
		if text = about + said.Host + ": " + problemText(said.Problem); strings.Contains(about, said.Host) {
			text = about + problemText(said.Problem)
		}
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		text = nameOnce(strings.ReplaceAll(text, sent.Error(), unreachable(sent)), hostOf(sent))
	}
	if host := wantsCredential(err); host != "" {
		text = credentialless().ReplaceAllString(text, host+": it wants a credential, and there is none (401 Unauthorized)")
		text = nameOnce(text, host)
	}
	return term.Clean(strings.ReplaceAll(text, "\n", "; "))
}

// nameOnce takes out the second of two mentions of host side by side: that of
// the command and that of the request.
func nameOnce(text, host string) string {
	return strings.ReplaceAll(text, host+": "+host+": ", host+": ")
}

// credentialless is how oras-go says that there is no credential.
var credentialless = lazy.Regexp(`[A-Z]+ "https?://([^/"]+)[^"]*": basic credential not found`)

// wantsCredential is the host that a credential is missing for, "" if that is
// not the problem.
func wantsCredential(err error) string {
	if !errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return ""
	}
	if m := credentialless().FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

// answered says what a registry answered.
func answered(e *errcode.ErrorResponse) string {
	status := fmt.Sprintf("%d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if len(e.Errors) == 0 {
		return status
	}
	var parts []string
	for _, one := range e.Errors[:min(len(e.Errors), 5)] {
		s := strings.TrimSuffix(one.Message, ". "+hintOf(one)) // which is shown apart
		if s == "" {
			s = strings.ToLower(strings.ReplaceAll(one.Code, "_", " "))
		}
		refused := one.Code == errcode.ErrorCodeDenied && one.Message != "" // which says why
		if d := detail(one.Detail, s); d != "" && !refused {
			s += " [" + d + "]"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ") + " (" + status + ")"
}

// refusedByPolicy reports whether a registry refused something because of what it
// is, which another try does not change.
func refusedByPolicy(err error) bool {
	answer, ok := errors.AsType[*errcode.ErrorResponse](err)
	if !ok || answer.StatusCode != http.StatusForbidden {
		return false
	}
	return slices.ContainsFunc(answer.Errors, func(one errcode.Error) bool {
		fields, ok := one.Detail.(map[string]any)
		return ok && one.Code == errcode.ErrorCodeDenied && fields["violations"] != nil
	})
}

// registryHint is what a registry says to do about its refusal, "" for nothing.
func registryHint(err error) string {
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		for _, one := range answer.Errors {
			if h := hintOf(one); h != "" {
				return h
			}
		}
	}
	return ""
}

// hintOf is the hint of the first violation of policy in a registry's error, which
// its message ends in, "" if it has none.
func hintOf(one errcode.Error) string {
	fields, _ := one.Detail.(map[string]any)
	broken, _ := fields["violations"].([]any)
	if len(broken) == 0 {
		return ""
	}
	first, _ := broken[0].(map[string]any)
	hint, _ := first["hint"].(string)
	return hint
}

// detail is what the detail of a registry's error adds to its message, in at
// most 400 bytes.
func detail(v any, message string) string {
	var s string
	switch v := v.(type) {
	case nil:
	case string:
		s = v
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if said := fmt.Sprint(v[k]); k != "name" && !strings.Contains(message, said) {
				parts = append(parts, k+" "+said)
			}
		}
		s = strings.Join(parts, ", ")
	default:
		if b, err := json.Marshal(v); err == nil {
			s = string(b)
		}
	}
	if strings.Contains(message, s) {
		return ""
	}
	if len(s) > 400 {
		s = s[:400] + "…"
	}
	return s
}

// unreachable says why a request got no answer.
func unreachable(e *url.Error) string {
	host := hostOf(e)
	switch why := root(e.Err); {
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return host + ": connection refused"
	default:
		return host + ": " + why.Error()
	}
}

// hostOf is whom a request was for.
func hostOf(e *url.Error) string {
	if u, err := url.Parse(e.URL); err == nil {
		return u.Host
	}
	return e.URL
}

// root is the innermost of a chain of errors.
func root(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// hint says what to do about err, "" if that is not known.
func hint(err error) string {
	var (
		usage  *usageError
		own    *hinted
		at     *located
		said   *client.CatalogError
		sent   *url.Error
		answer *errcode.ErrorResponse
		name   *net.DNSError
		cert   x509.UnknownAuthorityError
	)
	if service, ok := errors.AsType[*keyless.Error](err); ok {
		return service.Hint
	}
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &own):
		return own.hint
	case errors.As(err, &at):
		return at.hint
	case errors.As(err, &said):
		return problemHint(said)
	case errors.Is(err, client.ErrNoCatalog):
		return "search, info, deps and policies need a wreg; --registry names one"
	case errors.As(err, &answer) && answer.StatusCode == http.StatusUnauthorized:
		return "wpkg login " + answer.URL.Host
	case wantsCredential(err) != "":
		return "wpkg login " + wantsCredential(err)
	case refusedByPolicy(err) && registryHint(err) != "":
		return registryHint(err)
	case refusedByPolicy(err):
		return "wpkg quarantine list shows it to those who may let it pass with wpkg approve"
	case errors.As(err, &answer):
		return ""
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the registry speaks plain HTTP: --insecure allows that"
	case errors.As(err, &cert):
		return "the registry's certificate is of an authority that this machine does not know; SSL_CERT_FILE names a file with more"
	case errors.As(err, &name):
		return "check the name of the registry; --registry names another"
	case errors.As(err, &sent) && errors.Is(err, syscall.ECONNREFUSED):
		return refusedHint(sent)
	case errors.Is(err, artifact.ErrName):
		return "-o FILE names the file"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full; wpkg cache info says what compiled programs take, and wpkg cache prune removes those that were not used of late"
	case errors.Is(err, syscall.EROFS):
		return "nothing can be written there; XDG_CACHE_HOME names another folder for the cache"
	case errors.Is(err, client.ErrStalled):
		return "the connection stands still; try again"
	}
	return ""
}

// problemText is what a catalog answered, without its hint, which is shown apart.
func problemText(p *wire.Problem) string {
	text := p.Detail
	if text == "" {
		text = strings.ToLower(p.Title)
	}
	if p.Status >= 500 || p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden {
		text += fmt.Sprintf(" (%d %s)", p.Status, http.StatusText(p.Status))
	}
	return text
}

func problemHint(e *client.CatalogError) string {
	if e.Status == http.StatusUnauthorized {
		return "wpkg login " + e.Host
	}
	if strings.HasPrefix(e.Hint, "GET ") { // for those who speak to the API themselves
		return ""
	}
	return e.Hint
}

func refusedHint(e *url.Error) string {
	if host := hostOf(e); ref.IsLoopback(host) {
		return "is wreg running? wreg serve --listen " + host
	}
	return "is the registry running there?"
}
