package obs

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/wreg-project/wreg/internal/version"
)

// Tracer sends a span for each request to where the standard OTEL_* variables
// say.
type Tracer struct {
	provider *trace.TracerProvider
}

// NewTracer starts a tracer, or returns nil if no variable asks for one: without
// OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_* tracing costs nothing. A nil
// Tracer can be used.
func NewTracer(ctx context.Context, environ []string) (*Tracer, error) {
	if !wanted(environ) {
		return nil, nil //nolint:nilnil // documented: nil is a tracer that does nothing
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER=%s: %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	// Later attributes win, so OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
	// overrule what we say.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "wreg"), attribute.String("service.version", version.Get().Version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return &Tracer{trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))}, nil
}

// wanted reports whether the environment names an exporter or an address for one.
func wanted(environ []string) bool {
	found := false
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		switch {
		case value == "":
		case name == "OTEL_SDK_DISABLED" && strings.EqualFold(value, "true"),
			name == "OTEL_TRACES_EXPORTER" && value == "none":
			return false
		case name == "OTEL_TRACES_EXPORTER", name == "OTEL_EXPORTER_OTLP_ENDPOINT", name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":
			found = true
		}
	}
	return found
}

// Wrap makes a span of each request that h answers, named by its end-point. It
// continues the trace of a caller that sends W3C headers.
func (t *Tracer) Wrap(h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return otelhttp.NewHandler(h, "request",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			return knownMethod(r.Method) + " " + Endpoint(r.URL.Path)
		}))
}

// Close sends what is left, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
