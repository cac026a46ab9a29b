import brave.baggage.BaggageField;
import brave.baggage.BaggagePropagation;
import brave.baggage.BaggagePropagationConfig.SingleBaggageField;
import brave.propagation.TraceContextOrSamplingFlags;
import io.micrometer.tracing.brave.bridge.BraveBaggageManager;
import io.micrometer.tracing.brave.bridge.W3CPropagation;
import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.baggage.propagation.W3CBaggagePropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.context.propagation.TextMapPropagator;
import io.opentelemetry.contrib.awsxray.propagator.AwsXrayPropagator;
import io.opentelemetry.extension.trace.propagation.JaegerPropagator;
import io.opentelemetry.extension.trace.propagation.OtTracePropagator;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** What Java's libraries read. */
class Read {
  static final Map<String, String> TRACE =
      Map.of(
          "ot-tracer-traceid", "a3ce929d0e0e4736",
          "ot-tracer-spanid", "00f067aa0ba902b7",
          "ot-tracer-sampled", "true",
          "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");

  static final TextMapGetter<Map<String, List<String>>> GETTER =
      new TextMapGetter<>() {
        @Override
        public Iterable<String> keys(Map<String, List<String>> carrier) {
          return carrier.keySet();
        }

        @Override
        public String get(Map<String, List<String>> carrier, String name) {
          var values = carrier.get(name.toLowerCase());
          return values == null ? TRACE.get(name.toLowerCase()) : values.get(0);
        }

        @Override
        public java.util.Iterator<String> getAll(Map<String, List<String>> carrier, String name) {
          return carrier.getOrDefault(name.toLowerCase(), List.of()).iterator();
        }
      };

  static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

  static void say(String number, String reader, String kind, String text) {
    var hex = HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8));
    OUT.print(number + "\t" + reader + "\t" + kind + "\t" + hex + "\n");
  }

  public static void main(String[] arguments) throws Exception {
    var w3c = W3CBaggagePropagator.getInstance();
    Map<String, TextMapPropagator> readers = new LinkedHashMap<>();
    readers.put("baggage", w3c);
    readers.put("jaeger", JaegerPropagator.getInstance());
    readers.put("opentracing", OtTracePropagator.getInstance());
    readers.put("xray", AwsXrayPropagator.getInstance());
    // As Spring Boot sets it up with management.tracing.baggage.remote-fields=release-track.
    var micrometer =
        BaggagePropagation.newFactoryBuilder(new W3CPropagation(new BraveBaggageManager(), List.of()))
            .add(SingleBaggageField.remote(BaggageField.create("release-track")))
            .build()
            .get();
    var extractor =
        micrometer.<Map<String, List<String>>>extractor((carrier, name) -> GETTER.get(carrier, name));
    // Who then finds nothing is noticed.
    for (var reader : readers.keySet()) {
      say("-", "opentelemetry-java " + reader, "key", "");
      say("-", "opentelemetry-java " + reader, "baggage", "");
    }
    say("-", "micrometer-brave", "key", "");
    say("-", "java.util.UUID", "id", "");
    var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (var line = input.readLine(); line != null; line = input.readLine()) {
      var fields = line.split("\t");
      var number = fields[0];
      Map<String, List<String>> carrier = new HashMap<>();
      for (int at = 1; at < fields.length; at++) {
        var equals = fields[at].indexOf('=');
        // As servlet containers read header values: a byte is a character.
        var value =
            new String(
                HexFormat.of().parseHex(fields[at].substring(equals + 1)), StandardCharsets.ISO_8859_1);
        carrier.computeIfAbsent(fields[at].substring(0, equals), name -> new java.util.ArrayList<>()).add(value);
      }
      for (var reader : readers.entrySet()) {
        var name = "opentelemetry-java " + reader.getKey();
        var context = reader.getValue().extract(Context.root(), carrier, GETTER);
        Baggage.fromContext(context).forEach((key, entry) -> say(number, name, "key", key));
        Map<String, String> out = new HashMap<>();
        w3c.inject(context, out, Map::put);
        if (out.containsKey("baggage")) {
          say(number, name, "baggage", out.get("baggage"));
        }
      }
      TraceContextOrSamplingFlags extracted = null;
      try {
        extracted = extractor.extract(carrier);
      } catch (RuntimeException ignored) {
        // It gives up on the request.
      }
      if (extracted != null) {
        BaggageField.getAllValues(extracted)
            .forEach(
                (key, value) -> {
                  if (value != null) say(number, "micrometer-brave", "key", key);
                });
      }
      for (var id : carrier.getOrDefault("x-request-id", List.of())) {
        try {
          say(number, "java.util.UUID", "id", UUID.fromString(id).toString());
        } catch (IllegalArgumentException ignored) {
          // No id to it.
        }
      }
    }
    OUT.flush();
  }
}
