// What Go's libraries read.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"

	gofrs "github.com/gofrs/uuid/v5"
	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/propagators/ot"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
)

var out = bufio.NewWriter(os.Stdout)

func say(number, reader, kind, text string) {
	fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", number, reader, kind, hex.EncodeToString([]byte(text)))
}

func main() {
	defer out.Flush()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	w3c := propagation.Baggage{}
	readers := map[string]propagation.TextMapPropagator{"baggage": w3c, "opentracing": ot.OT{}}
	// Who then finds nothing is noticed.
	for name := range readers {
		say("-", "opentelemetry-go "+name, "key", "")
		say("-", "opentelemetry-go "+name, "baggage", "")
	}
	say("-", "google/uuid", "id", "")
	say("-", "gofrs/uuid", "id", "")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		fields := strings.Split(input.Text(), "\t")
		number := fields[0]
		headers := http.Header{}
		headers.Set("ot-tracer-traceid", "a3ce929d0e0e4736")
		headers.Set("ot-tracer-spanid", "00f067aa0ba902b7")
		headers.Set("ot-tracer-sampled", "true")
		for _, field := range fields[1:] {
			name, value, _ := strings.Cut(field, "=")
			bytes, err := hex.DecodeString(value)
			if err != nil {
				panic(err)
			}
			headers.Add(name, string(bytes))
		}
		for name, propagator := range readers {
			reader := "opentelemetry-go " + name
			ctx := propagator.Extract(context.Background(), propagation.HeaderCarrier(headers))
			for _, member := range baggage.FromContext(ctx).Members() {
				// net/http sends names in its own case, and Envoy in lower case.
				say(number, reader, "key", member.Key())
			}
			sent := http.Header{}
			w3c.Inject(ctx, propagation.HeaderCarrier(sent))
			if sent.Get("baggage") != "" {
				say(number, reader, "baggage", sent.Get("baggage"))
			}
		}
		for _, id := range headers.Values("x-request-id") {
			if parsed, err := uuid.Parse(id); err == nil {
				say(number, "google/uuid", "id", parsed.String())
			}
			if parsed, err := gofrs.FromString(id); err == nil {
				say(number, "gofrs/uuid", "id", parsed.String())
			}
		}
	}
	if input.Err() != nil {
		panic(input.Err())
	}
}
