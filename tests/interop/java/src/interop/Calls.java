package interop;

import com.google.gson.annotations.SerializedName;
import interop.Greeter.Reply;
import interop.Greeter.Request;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Calls to the greeter, and what came of them. */
final class Calls {
  /** How many failures a report shows in full. */
  private static final int KEPT_ERRORS = 5;

  /** What the test asks for, as JSON says it. */
  static final class Order {
    @SerializedName("do")
    private String what = "";
    private String method = "SayHello";
    private int calls = 1;
    private int concurrency = 1;
    private double qps = 50;
    private List<List<String>> metadata = List.of();
    private double timeout = 10;
    @SerializedName("wait_for_ready")
    private boolean waitForReady;

    boolean does(String wanted) {
      return what.equals(wanted);
    }
  }

  /** Counts of outcomes, as JSON says them. */
  record Report(
      int calls,
      Map<String, Integer> codes,
      Map<String, Integer> endpoints,
      Map<String, Integer> versions,
      List<String> errors,
      @SerializedName("latency_ms") Map<String, Double> latencies) {}

  /** Counts outcomes; threads share it. */
  private static final class Tally {
    private final Map<String, Integer> codes = new TreeMap<>();
    private final Map<String, Integer> endpoints = new TreeMap<>();
    private final Map<String, Integer> versions = new TreeMap<>();
    private final List<String> errors = new ArrayList<>();
    private final List<Double> latencies = new ArrayList<>();

    synchronized void ended(Status status, Reply reply, double milliseconds) {
      String code = status.getCode().name();
      codes.merge(code, 1, Integer::sum);
      latencies.add(milliseconds);
      if (status.isOk()) {
        endpoints.merge(reply.endpoint(), 1, Integer::sum);
        versions.merge(reply.version(), 1, Integer::sum);
      } else if (errors.size() < KEPT_ERRORS) {
        errors.add(code + ": " + status.getDescription());
      }
    }

    synchronized Report report() {
      var sorted = new ArrayList<>(latencies);
      Collections.sort(sorted);
      var shares = new TreeMap<String, Double>();
      if (!sorted.isEmpty()) {
        Map.of("p50", 0.5, "p99", 0.99, "max", 1.0).forEach((name, share) ->
            shares.put(name, sorted.get(Math.min((int) (sorted.size() * share), sorted.size() - 1))));
      }
      return new Report(
          sorted.size(),
          new TreeMap<>(codes),
          new TreeMap<>(endpoints),
          new TreeMap<>(versions),
          List.copyOf(errors),
          shares);
    }
  }

  /** Makes calls of one kind on one channel. */
  private static final class Caller {
    private final Channel channel;
    private final Order order;
    private final MethodDescriptor<Request, Reply> method;
    private final Tally tally = new Tally();

    Caller(Channel channel, Order order) {
      this.channel = channel;
      this.order = order;
      this.method = Greeter.METHODS.get(order.method);
      if (method == null) {
        throw new IllegalArgumentException("the greeter has no method " + order.method);
      }
    }

    /** Begins a call; what it gives is complete when the call has ended and is counted. */
    CompletableFuture<Void> one() {
      long began = System.nanoTime();
      var ended = new CompletableFuture<Void>();
      var options =
          CallOptions.DEFAULT.withDeadlineAfter((long) (order.timeout * 1e9), TimeUnit.NANOSECONDS);
      ClientCall<Request, Reply> call =
          channel.newCall(method, order.waitForReady ? options.withWaitForReady() : options);
      var metadata = new Metadata();
      for (List<String> pair : order.metadata) {
        metadata.put(Metadata.Key.of(pair.get(0), Metadata.ASCII_STRING_MARSHALLER), pair.get(1));
      }
      call.start(new ClientCall.Listener<>() {
        private Reply last;

        @Override
        public void onMessage(Reply reply) {
          last = reply;
          call.request(1);
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
          tally.ended(status, last, (System.nanoTime() - began) / 1e6);
          ended.complete(null);
        }
      }, metadata);
      call.sendMessage(new Request("java", 1));
      call.halfClose();
      call.request(1);
      return ended;
    }
  }

  /** Makes {@code calls} calls, {@code concurrency} at a time, and reports. */
  static Report burst(Channel channel, Order order) {
    var caller = new Caller(channel, order);
    var left = new AtomicInteger(order.calls);
    var chains = new CompletableFuture<?>[order.concurrency];
    for (int chain = 0; chain < chains.length; chain++) {
      chains[chain] = oneAfterTheOther(caller, left);
    }
    CompletableFuture.allOf(chains).join();
    return caller.tally.report();
  }

  /** No thread waits for a call: hundreds run at once. */
  private static CompletableFuture<Void> oneAfterTheOther(Caller caller, AtomicInteger left) {
    if (left.getAndDecrement() <= 0) {
      return CompletableFuture.completedFuture(null);
    }
    return caller.one().thenComposeAsync(ended -> oneAfterTheOther(caller, left));
  }

  /** Makes {@code qps} calls a second until stopped. */
  static final class Load {
    private final Caller caller;
    private final List<CompletableFuture<Void>> begun = Collections.synchronizedList(new ArrayList<>());
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();

    Load(Channel channel, Order order) {
      caller = new Caller(channel, order);
      timer.scheduleAtFixedRate(
          () -> begun.add(caller.one()), 0, (long) (1e9 / order.qps), TimeUnit.NANOSECONDS);
    }

    Report report() {
      return caller.tally.report();
    }

    Report stop() throws Exception {
      timer.shutdown();
      timer.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
      CompletableFuture.allOf(begun.toArray(CompletableFuture[]::new)).join();
      return report();
    }
  }

  private Calls() {}
}
