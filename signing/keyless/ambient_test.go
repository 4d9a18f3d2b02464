package keyless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// services stands for what CI services and machines have tokens at.
func ambientServices(t *testing.T) (base string) {
	t.Helper()
	wants := func(w http.ResponseWriter, r *http.Request, header, value string) bool {
		if got := r.Header.Get(header); got != value {
			http.Error(w, fmt.Sprintf("%s is %q", header, got), http.StatusUnauthorized)
			return false
		}
		return true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /github", func(w http.ResponseWriter, r *http.Request) {
		if wants(w, r, "Authorization", "bearer request-token") {
			fmt.Fprintf(w, `{"count":1,"value":"github %s %s"}`, r.FormValue("api-version"), r.FormValue("audience"))
		}
	})
	mux.HandleFunc("POST /v3/jobs/job-1/oidc/tokens", func(w http.ResponseWriter, r *http.Request) {
		if wants(w, r, "Authorization", "Token agent-token") {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, `{"token":"buildkite %s"}`, strings.ReplaceAll(string(body), `"`, `\"`))
		}
	})
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/identity", func(w http.ResponseWriter, r *http.Request) {
		if wants(w, r, "Metadata-Flavor", "Google") {
			fmt.Fprintf(w, "google %s %s\n", r.FormValue("format"), r.FormValue("audience"))
		}
	})
	mux.HandleFunc("GET /empty", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	mux.HandleFunc("GET /text", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a secret") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestAmbient(t *testing.T) {
	base, dir := ambientServices(t), t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(base, "http://")
	tests := []struct {
		name       string
		env        map[string]string
		file       string
		from, want string
		err, hint  string
	}{
		{name: "a variable", env: map[string]string{"SIGSTORE_ID_TOKEN": " given ", "GITLAB_CI": "true"}, from: "SIGSTORE_ID_TOKEN", want: "given"},
		{
			name: "GitHub Actions", from: "GitHub Actions", want: "github 2.0 sigstore",
			env: map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": base + "/github?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token"},
		},
		{
			name: "GitHub Actions with another token", from: "GitHub Actions", err: "GitHub Actions: 401 Unauthorized",
			env: map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": base + "/github", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "other"},
		},
		{
			name: "an answer without a token", from: "GitHub Actions", err: "the answer has no value",
			env: map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": base + "/empty"},
		},
		{
			name: "an answer that is not JSON", from: "GitHub Actions", err: "the answer is not JSON",
			env: map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": base + "/text"},
		},
		{
			name: "GitHub Actions without the permission", env: map[string]string{"GITHUB_ACTIONS": "true"},
			err: "may not ask", hint: "id-token: write",
		},
		{name: "GitLab without the token", env: map[string]string{"GITLAB_CI": "true"}, err: "no identity token", hint: "aud: sigstore"},
		{
			name: "Buildkite", from: "Buildkite", want: `buildkite {"audience":"sigstore"}`,
			env: map[string]string{
				"BUILDKITE_AGENT_ACCESS_TOKEN": "agent-token", "BUILDKITE_JOB_ID": "job-1", "BUILDKITE_AGENT_ENDPOINT": base + "/v3",
			},
		},
		{name: "a file of an agent", file: file, from: file, want: "from a file"},
		{name: "a machine of Google's", env: map[string]string{"GCE_METADATA_HOST": host}, from: "Google Cloud", want: "google full sigstore"},
		{name: "nowhere", err: ErrNotAmbient.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Surrounding{
				Getenv: func(k string) string { return tt.env[k] }, TokenFile: filepath.Join(dir, "absent"), ProductFile: filepath.Join(dir, "absent"),
			}
			if tt.file != "" {
				s.TokenFile = tt.file
			}
			src, from, err := s.Find()
			got := ""
			if err == nil {
				got, err = src.Token(t.Context(), DefaultAudience)
			}
			if from != tt.from || got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("Find() of %v = %q with token %q, %v; want %q with %q, error with %q", tt.env, from, got, err, tt.from, tt.want, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows what was answered: %v", err)
			}
			if e, ok := errors.AsType[*Error](err); tt.hint != "" && (!ok || !strings.Contains(e.Hint, tt.hint)) {
				t.Errorf("the hint of %v has no %q", err, tt.hint)
			}
		})
	}
}

// What says so is a machine of Google's, without being asked.
func TestGoogleIsKnownByItsProduct(t *testing.T) {
	product := filepath.Join(t.TempDir(), "product_name")
	for name, want := range map[string]string{"Google Compute Engine\n": "Google Cloud", "KVM\n": ""} {
		if err := os.WriteFile(product, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		_, got, err := Surrounding{Getenv: func(string) string { return "" }, TokenFile: product + ".absent", ProductFile: product}.Find()
		if got != want || (want == "") != errors.Is(err, ErrNotAmbient) {
			t.Errorf("Find() on a %q = %q, %v; want %q", name, got, err, want)
		}
	}
}

// A busy service is asked three times, with a growing wait in between, and a
// signature that is called off is not waited for.
func TestBusyServicesAreAskedAgain(t *testing.T) {
	tests := []struct {
		name    string
		answers []int
		cancel  time.Duration // 0: never
		asked   int
		took    time.Duration
		err     string
	}{
		{name: "busy once", answers: []int{503, 200}, asked: 2, took: firstWait},
		{name: "busy always", answers: []int{503, 429, 500, 200}, asked: 3, took: 3 * firstWait, err: "timestamp: 500 Internal Server Error: not now"},
		{name: "refused", answers: []int{403, 200}, asked: 1, err: "timestamp: 403 Forbidden: not now"},
		{name: "called off", answers: []int{503, 200}, cancel: firstWait / 2, asked: 1, took: firstWait / 2, err: "context canceled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				asked, start := 0, time.Now()
				inner := roundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if body, _ := io.ReadAll(req.Body); string(body) != "the request" {
						t.Errorf("request %d has the body %q", asked, body)
					}
					status := tt.answers[asked]
					asked++
					return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(`{"message":"not now"}`))}, nil
				})
				// The request has no context of its own, as those of sigstore-go.
				req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://127.0.0.1/", strings.NewReader("the request"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := (&transport{ctx: ctx, doing: "timestamp", base: inner}).RoundTrip(req)
				if err == nil {
					defer resp.Body.Close()
				}
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("RoundTrip() = %v, want error with %q", err, tt.err)
				}
				if took := time.Since(start); asked != tt.asked || took != tt.took {
					t.Errorf("RoundTrip() asked %d times in %v, want %d in %v", asked, took, tt.asked, tt.took)
				}
			})
		})
	}
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// An answer without an end is read to a bound.
func TestAnswersAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range maxAnswer/1024 + 2 {
			_, _ = w.Write(make([]byte, 1024))
		}
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(req, "asking"); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("ask() of an answer without an end = %v, want an error about its size", err)
	}
}
