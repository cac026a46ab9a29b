// grpc-go, with OpenTelemetry's handlers: the standard health service, whose answers are the backend's.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

type health struct {
	grpc_health_v1.UnimplementedHealthServer
	backend grpc_health_v1.HealthClient
}

func (h health) Check(ctx context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return h.backend.Check(ctx, request)
}

func (h health) Watch(request *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	watch, err := h.backend.Watch(stream.Context(), request)
	for err == nil {
		var response *grpc_health_v1.HealthCheckResponse
		if response, err = watch.Recv(); err == nil {
			err = stream.Send(response)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func main() {
	otel.SetTracerProvider(trace.NewTracerProvider())
	if os.Getenv("OTEL_PROPAGATORS") != "" {
		otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())
	}
	// gRPC knows no plain proxy: the connection goes to the sidecar, as iptables does it in a pod.
	connection, err := grpc.NewClient("passthrough:///"+os.Getenv("EGRESS"),
		grpc.WithAuthority(os.Getenv("AUTHORITY")),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	grpc_health_v1.RegisterHealthServer(server, health{backend: grpc_health_v1.NewHealthClient(connection)})
	log.Fatal(server.Serve(listener))
}
