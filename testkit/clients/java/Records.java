package clients;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's clients: what is asked over HTTP becomes a record, and a loop that polls for it calls the backend. */
public class Records {
    private static final String BROKER = System.getenv("KAFKA");
    private static final String TOPIC = System.getenv("TOPIC");
    /** Who waits for the answer to a record, by its key. */
    private static final Map<String, CompletableFuture<byte[]>> WAITING = new ConcurrentHashMap<>();

    private static void consume() {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest call = HttpRequest.newBuilder(URI.create(System.getenv("URL"))).build();
        Map<String, Object> options = Map.of(
            "bootstrap.servers", BROKER, "group.id", TOPIC, "auto.offset.reset", "earliest");
        StringDeserializer text = new StringDeserializer();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(options, text, text)) {
            consumer.subscribe(List.of(TOPIC));
            while (true) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    WAITING.remove(record.key()).complete(client.send(call, BodyHandlers.ofByteArray()).body());
                }
            }
        } catch (IOException | InterruptedException failed) {
            throw new IllegalStateException(failed);
        }
    }

    public static void main(String[] arguments) throws IOException {
        StringSerializer text = new StringSerializer();
        KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", BROKER), text, text);
        Executors.newSingleThreadExecutor().submit(Records::consume);
        String[] listen = System.getenv("LISTEN").split(":");
        HttpServer server = HttpServer.create(new InetSocketAddress(listen[0], Integer.parseInt(listen[1])), 0);
        server.createContext("/", exchange -> {
            try (exchange) {
                String key = UUID.randomUUID().toString();
                CompletableFuture<byte[]> answer = new CompletableFuture<>();
                WAITING.put(key, answer);
                producer.send(new ProducerRecord<>(TOPIC, key, ""));
                byte[] body = answer.join();
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
    }
}
