package keyless

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// ErrNotAmbient is of a process that runs in no place which identifies it.
var ErrNotAmbient = errors.New("nothing around the process has an identity token for it")

// ambientTimeout is of the one request to a service that is near.
const ambientTimeout = 10 * time.Second

// A Surrounding is the CI service or machine that a process runs in, as far as it
// has identity tokens. The zero value, with Getenv, is the real one.
type Surrounding struct {
	// Getenv reads the environment: os.Getenv.
	Getenv func(string) string
	// TokenFile and ProductFile are read in place of those of the machine.
	TokenFile, ProductFile string
}

// The files of a machine: where an agent puts a token (SPIFFE's helper, or a
// projected volume of Kubernetes), and what Google's machines say they are.
const (
	tokenFileDefault   = "/var/run/sigstore/cosign/oidc-token"
	productFileDefault = "/sys/class/dmi/id/product_name"
	metadataHost       = "metadata.google.internal"
	buildkiteEndpoint  = "https://agent.buildkite.com/v3"
)

// Ambient finds the identity that the process has because of where it runs, and
// says what it is: "GitHub Actions". In the order in which they are looked for:
//
//   - the variable SIGSTORE_ID_TOKEN, as GitLab's id_tokens: set it
//   - GitHub Actions
//   - Buildkite
//   - the file /var/run/sigstore/cosign/oidc-token
//   - a machine of Google's
//
// The error is ErrNotAmbient where there is none, and an Error with a hint where a
// CI service could have one and was not told to.
func Ambient() (src TokenSource, name string, err error) {
	return Surrounding{Getenv: os.Getenv}.Find()
}

// Find is Ambient of s.
func (s Surrounding) Find() (TokenSource, string, error) {
	switch {
	case s.Getenv("SIGSTORE_ID_TOKEN") != "":
		return sourceFunc(s.variable), "SIGSTORE_ID_TOKEN", nil
	case s.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "":
		return sourceFunc(s.gitHub), "GitHub Actions", nil
	case s.Getenv("GITHUB_ACTIONS") == "true":
		return nil, "", &Error{
			Doing: "GitHub Actions", Err: errors.New("the job may not ask for an identity token"),
			Hint: "permissions: {id-token: write} in the job",
		}
	case s.Getenv("GITLAB_CI") == "true":
		return nil, "", &Error{
			Doing: "GitLab CI", Err: errors.New("the job has no identity token"),
			Hint: "id_tokens: {SIGSTORE_ID_TOKEN: {aud: sigstore}} in the job",
		}
	case s.Getenv("BUILDKITE_AGENT_ACCESS_TOKEN") != "" && s.Getenv("BUILDKITE_JOB_ID") != "":
		return sourceFunc(s.buildkite), "Buildkite", nil
	case exists(cmp.Or(s.TokenFile, tokenFileDefault)):
		return sourceFunc(s.file), cmp.Or(s.TokenFile, tokenFileDefault), nil
	case s.google():
		return sourceFunc(s.googleToken), "Google Cloud", nil
	}
	return nil, "", ErrNotAmbient
}

type sourceFunc func(ctx context.Context, audience string) (string, error)

func (f sourceFunc) Token(ctx context.Context, audience string) (string, error) {
	return f(ctx, audience)
}

func (s Surrounding) variable(context.Context, string) (string, error) {
	return strings.TrimSpace(s.Getenv("SIGSTORE_ID_TOKEN")), nil
}

func (s Surrounding) file(context.Context, string) (string, error) {
	return tokenFile(cmp.Or(s.TokenFile, tokenFileDefault))
}

// gitHub asks as GitHub's documentation has it: "Updating your actions for OIDC".
func (s Surrounding) gitHub(ctx context.Context, audience string) (string, error) {
	u, err := url.Parse(s.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"))
	if err != nil {
		return "", &Error{Doing: "GitHub Actions", Err: err}
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", &Error{Doing: "GitHub Actions", Err: err}
	}
	req.Header.Set("Authorization", "bearer "+s.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	return fromJSON(req, "GitHub Actions", "value")
}

// buildkite asks the agent API, as buildkite-agent oidc request-token does.
func (s Surrounding) buildkite(ctx context.Context, audience string) (string, error) {
	body, err := json.Marshal(map[string]string{"audience": audience})
	if err != nil {
		return "", err
	}
	address := cmp.Or(s.Getenv("BUILDKITE_AGENT_ENDPOINT"), buildkiteEndpoint) + "/jobs/" + url.PathEscape(s.Getenv("BUILDKITE_JOB_ID")) + "/oidc/tokens"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", &Error{Doing: "Buildkite", Err: err}
	}
	req.Header.Set("Authorization", "Token "+s.Getenv("BUILDKITE_AGENT_ACCESS_TOKEN"))
	req.Header.Set("Content-Type", "application/json")
	return fromJSON(req, "Buildkite", "token")
}

// google reports whether the machine is one of Google's, or the environment names
// a metadata server, as Google's own libraries have it.
func (s Surrounding) google() bool {
	if s.Getenv("GCE_METADATA_HOST") != "" {
		return true
	}
	text, err := os.ReadFile(cmp.Or(s.ProductFile, productFileDefault))
	return err == nil && strings.HasPrefix(string(text), "Google")
}

// googleToken asks the metadata server ("Verify VM identity" in Google's
// documentation). It is asked in the clear, for it is the machine's own.
func (s Surrounding) googleToken(ctx context.Context, audience string) (string, error) {
	u := url.URL{
		Scheme: "http", Host: cmp.Or(s.Getenv("GCE_METADATA_HOST"), metadataHost),
		Path:     "/computeMetadata/v1/instance/service-accounts/default/identity",
		RawQuery: url.Values{"audience": {audience}, "format": {"full"}}.Encode(),
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", &Error{Doing: "Google Cloud", Err: err}
	}
	req.Header.Set("Metadata-Flavor", "Google")
	text, err := ask(req, "Google Cloud")
	return strings.TrimSpace(string(text)), err
}

// fromJSON sends a request and takes one field of the answer.
func fromJSON(req *http.Request, doing, field string) (string, error) {
	text, err := ask(req, doing)
	if err != nil {
		return "", err
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", &Error{Doing: doing, Err: errors.New("the answer is not JSON")} // the cause quotes it
	}
	value, ok := answer[field].(string)
	if !ok || value == "" {
		return "", &Error{Doing: doing, Err: fmt.Errorf("the answer has no %s", field)}
	}
	return value, nil
}

// ask sends a request, again if the service is busy, and reads the answer.
func ask(req *http.Request, doing string) ([]byte, error) {
	client := http.Client{Timeout: ambientTimeout, Transport: &transport{ctx: req.Context(), doing: doing}}
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok { // without the address, which is nobody's business
			return nil, e
		}
		return nil, &Error{Doing: doing, Err: err}
	}
	defer resp.Body.Close()
	return readAll(resp.Body)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
