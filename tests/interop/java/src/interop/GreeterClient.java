package interop;

import com.google.gson.Gson;
import interop.Calls.Load;
import interop.Calls.Order;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.xds.XdsChannelCredentials;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * A client of mesh.examples.v1.Greeter on stock gRPC for Java, for xds:/// and any other target, its only argument.
 *
 * <p>It prints {"ready": true} and then answers each line of JSON on its standard input with one on its standard output, on
 * one channel, until its input is closed. The orders are those of ../greeter_client.py, and so is INTEROP_XDS=1.
 */
public final class GreeterClient {
  private final ManagedChannel channel;
  private Load load;

  private GreeterClient(ManagedChannel channel) {
    this.channel = channel;
  }

  private Object follow(Order order) throws Exception {
    if (order.does("call")) {
      return Calls.burst(channel, order);
    }
    if (order.does("start") && load == null) {
      load = new Load(channel, order);
      return Map.of("started", true);
    }
    if (order.does("report") && load != null) {
      return load.report();
    }
    if (order.does("stop") && load != null) {
      Load running = load;
      load = null;
      return running.stop();
    }
    if (order.does("csds")) {
      return Map.of("csds", Csds.held());
    }
    throw new IllegalArgumentException("it cannot be followed");
  }

  private static ChannelCredentials credentials() {
    var plaintext = InsecureChannelCredentials.create();
    return "1".equals(System.getenv("INTEROP_XDS")) ? XdsChannelCredentials.create(plaintext) : plaintext;
  }

  /** Follows orders until there are no more. */
  public static void main(String[] arguments) throws Exception {
    if (arguments.length != 1) {
      System.err.println("usage: GreeterClient TARGET, for example xds:///greeter");
      System.exit(1);
    }
    var client = new GreeterClient(Grpc.newChannelBuilder(arguments[0], credentials()).build());
    var gson = new Gson();
    System.out.println(gson.toJson(Map.of("ready", true)));
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      Object answer;
      try {
        answer = client.follow(gson.fromJson(line, Order.class));
      } catch (Exception failed) {
        // The one who gives orders must hear of it, whatever it is.
        answer = Map.of("problem", line + ": " + failed);
      }
      System.out.println(gson.toJson(answer));
    }
    // The threads of a channel keep the process alive.
    System.exit(0);
  }
}
