// net/http, with OpenTelemetry's handler and transport, which is how Go is instrumented. It sets the
// propagators that its environment names; where that names none it sets none, as an application does
// that was not told to. With the argument `http2` it speaks HTTP/2 alone.
package main

import (
	"context"
	"io"
	"log"
	"net"
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
	transport := http.DefaultTransport.(*http.Transport).Clone()
	server := http.Server{Addr: os.Getenv("LISTEN")}
	if len(os.Args) > 1 && os.Args[1] == "http2" {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		transport.Protocols, server.Protocols = &protocols, &protocols
		// HTTP/2 knows no plain proxy: the connection goes to the sidecar, as iptables does it in a pod.
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, os.Getenv("EGRESS"))
		}
	}
	client := http.Client{Transport: otelhttp.NewTransport(transport)}
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
	server.Handler = otelhttp.NewHandler(http.HandlerFunc(serve), "serve")
	log.Fatal(server.ListenAndServe())
}
