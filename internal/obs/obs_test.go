package obs

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/wreg-project/wreg/internal/httpx"
)

func TestEndpoint(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/v2", "base"},
		{"/v2/", "base"},
		{"/v2/_catalog", "catalog"},
		{"/v2/a/b/tags/list", "tags"},
		{"/v2/a/manifests/1.0.0", "manifest"},
		{"/v2/a/blobs/sha256:00", "blob"},
		{"/v2/a/blobs/uploads/", "upload"},
		{"/v2/a/blobs/uploads", "upload"},
		{"/v2/a/blobs/uploads/42", "upload"},
		{"/v2/a/referrers/sha256:00", "referrers"},
		{"/v2/blobs/uploads/manifests/1", "manifest"},
		{"/v2/manifests", "other"},
		{"/v2/x/y", "other"},
		{"/v2x", "other"},
		{"/", "web"},
		{"/anything/else", "web"},
		{"/api/v1/packages/a:b", "api"},
		{"/api/v1/search", "api-search"},
		{"/api/v1/policies/x", "api-policies"},
		{"/api/", "api"},
		{"/healthz", "health"},
		{"/metrics", "metrics"},
	}
	for _, tt := range tests {
		if got := Endpoint(tt.path); got != tt.want {
			t.Errorf("Endpoint(%q) = %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestMetricsCountRequests(t *testing.T) {
	m := NewMetrics()
	m.Gauge("wreg_test_gauge", "A test.", func() float64 { return 42 })
	h := httpx.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "12345")
	}), httpx.Options{Log: slog.New(slog.DiscardHandler), Begin: m.Begin, Observe: m.Observe})
	for _, method := range []string{"PATCH", "PATCH", "BREW"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/v2/a/blobs/uploads/1", strings.NewReader("123")))
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`wreg_http_requests_total{code="202",endpoint="upload",method="PATCH"} 2`,
		`wreg_http_requests_total{code="202",endpoint="upload",method="other"} 1`,
		`wreg_http_request_duration_seconds_count{endpoint="upload",method="PATCH"} 2`,
		`wreg_http_requests_running 0`,
		`wreg_http_sent_bytes_total{endpoint="upload"} 15`,
		`wreg_http_received_bytes_total{endpoint="upload"} 9`,
		`wreg_test_gauge 42`,
		`go_goroutines`,
		`wreg_build_info{`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("GET /metrics lacks %s:\n%s", want, w.Body)
		}
	}
}

func TestLogLinesCarryTheRequest(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		log := NewLogger(&out, format, Level("info")).With(slog.String("x", "y"))
		h := httpx.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			log.InfoContext(r.Context(), "inside")
			log.DebugContext(r.Context(), "hidden")
		}), httpx.Options{Log: slog.New(slog.DiscardHandler)})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", "abc")
		h.ServeHTTP(httptest.NewRecorder(), r)
		log.InfoContext(context.Background(), "outside")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "abc") || strings.Contains(lines[1], "request") {
			t.Errorf("%s log = %q, want two lines and the id in the first only", format, lines)
		}
	}
}

func TestTracerOnlyWhenAsked(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want bool
	}{
		{"nothing set", nil, false},
		{"another setting", []string{"OTEL_SERVICE_NAME=x"}, false},
		{"an empty exporter", []string{"OTEL_TRACES_EXPORTER="}, false},
		{"an exporter", []string{"OTEL_TRACES_EXPORTER=console"}, true},
		{"an address", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"}, true},
		{"an address and none", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_TRACES_EXPORTER=none"}, false},
		{"disabled", []string{"OTEL_TRACES_EXPORTER=console", "OTEL_SDK_DISABLED=true"}, false},
	}
	for _, tt := range tests {
		if got := wanted(tt.env); got != tt.want {
			t.Errorf("%s: wanted(%q) = %v, want %v", tt.name, tt.env, got, tt.want)
		}
	}
	tr, err := NewTracer(t.Context(), nil)
	if tr != nil || err != nil || tr.Close(t.Context()) != nil {
		t.Errorf("NewTracer(no variables) = %v, %v; want nil, nil", tr, err)
	}
}

// A request under tracing makes one span, in the caller's trace, and files still
// reach the response as files.
func TestTracerSendsSpans(t *testing.T) {
	var spans bytes.Buffer
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(&spans, r.Body); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	tr, err := NewTracer(t.Context(), os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	h := tr.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(io.ReaderFrom); !ok {
			t.Errorf("%T lost ReadFrom", w)
		}
	}))
	srv := httptest.NewServer(h)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/v2/a/manifests/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GET manifest", "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c", "wreg"} {
		if !strings.Contains(spans.String(), want) {
			t.Errorf("spans lack %q: %q", want, spans.String())
		}
	}
}
