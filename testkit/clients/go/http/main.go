// net/http, with OpenTelemetry's handler and transport, which is how Go is instrumented. It sets the
// propagators that its environment names; where that names none it sets none, as an application does
// that was not told to.
package main

import (
	"io"
	"log"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	otel.SetTracerProvider(trace.NewTracerProvider())
	if os.Getenv("OTEL_PROPAGATORS") != "" {
		otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())
	}
	client := http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	serve := func(response http.ResponseWriter, request *http.Request) {
		call, err := http.NewRequestWithContext(request.Context(), http.MethodGet, os.Getenv("URL"), nil)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		answer, err := client.Do(call)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		io.Copy(response, answer.Body)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), otelhttp.NewHandler(http.HandlerFunc(serve), "serve")))
}
