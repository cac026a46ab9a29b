// franz-go with kotel, OpenTelemetry's hooks for it: what is asked over HTTP becomes a record, and the loop
// that polls for it calls the backend.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kotel"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
)

var client = http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}

func call(ctx context.Context) []byte {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, os.Getenv("URL"), nil)
	if err != nil {
		log.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return []byte(err.Error())
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return body
}

func main() {
	otel.SetTracerProvider(trace.NewTracerProvider())
	otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())
	topic := os.Getenv("TOPIC")
	tracer := kotel.NewTracer(kotel.TracerPropagator(otel.GetTextMapPropagator()))
	kafka, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv("KAFKA")), kgo.DefaultProduceTopic(topic),
		kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic), kgo.AllowAutoTopicCreation(),
		kgo.WithHooks(kotel.NewKotel(kotel.WithTracer(tracer)).Hooks()...))
	if err != nil {
		log.Fatal(err)
	}
	// Who waits for the answer to a record, by its key.
	var waiting sync.Map
	go func() {
		for {
			kafka.PollFetches(context.Background()).EachRecord(func(record *kgo.Record) {
				body := call(record.Context)
				if answer, found := waiting.LoadAndDelete(string(record.Key)); found {
					answer.(chan []byte) <- body
				}
			})
		}
	}()
	serve := func(response http.ResponseWriter, request *http.Request) {
		key, answer := uuid.NewString(), make(chan []byte, 1)
		waiting.Store(key, answer)
		if err := kafka.ProduceSync(request.Context(), &kgo.Record{Key: []byte(key)}).FirstErr(); err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		response.Write(<-answer)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), otelhttp.NewHandler(http.HandlerFunc(serve), "serve")))
}
