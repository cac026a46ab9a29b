package clients;

import io.grpc.ManagedChannel;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;

/** grpc-java: the standard health service, whose answers are the backend's. */
public class Grpc extends HealthGrpc.HealthImplBase {
    private final ManagedChannel backend;

    Grpc(ManagedChannel backend) {
        this.backend = backend;
    }

    @Override
    public void check(HealthCheckRequest request, StreamObserver<HealthCheckResponse> responses) {
        HealthGrpc.newStub(backend).check(request, responses);
    }

    @Override
    public void watch(HealthCheckRequest request, StreamObserver<HealthCheckResponse> responses) {
        HealthGrpc.newStub(backend).watch(request, responses);
    }

    private static InetSocketAddress address(String variable) {
        String[] address = System.getenv(variable).split(":");
        return new InetSocketAddress(address[0], Integer.parseInt(address[1]));
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        // gRPC knows no plain proxy: the connection goes to the sidecar, as iptables does it in a pod.
        InetSocketAddress egress = address("EGRESS");
        ManagedChannel backend = NettyChannelBuilder.forAddress(egress.getHostString(), egress.getPort())
            .overrideAuthority(System.getenv("AUTHORITY")).usePlaintext().build();
        NettyServerBuilder.forAddress(address("LISTEN")).addService(new Grpc(backend)).build().start()
            .awaitTermination();
    }
}
