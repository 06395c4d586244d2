package interop;

import static io.grpc.stub.ServerCalls.asyncBidiStreamingCall;
import static io.grpc.stub.ServerCalls.asyncClientStreamingCall;
import static io.grpc.stub.ServerCalls.asyncServerStreamingCall;
import static io.grpc.stub.ServerCalls.asyncUnaryCall;

import com.google.gson.Gson;
import interop.Greeter.Reply;
import interop.Greeter.Request;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import io.grpc.xds.XdsServerBuilder;
import io.grpc.xds.XdsServerCredentials;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One endpoint of mesh.examples.v1.Greeter on stock gRPC for Java. Its arguments are those of ../greeter_server.py.
 *
 * <p>It prints {"address": "127.0.0.1:PORT", "port": PORT} on one line when it listens. It ends on SIGTERM, and when its
 * standard input is closed, so that it never outlives the test that started it. With INTEROP_XDS=1 the control plane of its
 * bootstrap tells it whom to serve, and how connections are secured; it then listens on all addresses.
 */
public final class GreeterServer {
  private static final int GRACE_SECONDS = 5;

  private final String name;
  private final String version;
  private final AtomicInteger toFail;

  private GreeterServer(Map<String, String> arguments) {
    name = arguments.getOrDefault("--name", "greeter");
    version = arguments.getOrDefault("--version", "v1");
    toFail = new AtomicInteger(Integer.parseInt(arguments.getOrDefault("--fail-times", "0")));
  }

  private void behave() {
    if (toFail.getAndUpdate(left -> Math.max(left - 1, 0)) > 0) {
      throw Status.UNAVAILABLE.withDescription("one of the first calls").asRuntimeException();
    }
    Behavior.apply(name);
  }

  private Reply reply(String greeted) {
    return new Reply("hello " + greeted, name, version);
  }

  private ServerServiceDefinition service() {
    var methods = Greeter.METHODS;
    return ServerServiceDefinition.builder(Greeter.SERVICE)
        .addMethod(methods.get("SayHello"), asyncUnaryCall((request, to) -> hellos(request, 1, to)))
        .addMethod(
            methods.get("SayHellos"),
            asyncServerStreamingCall((request, to) -> hellos(request, Math.max(request.count(), 1), to)))
        .addMethod(methods.get("GatherHellos"), asyncClientStreamingCall(to -> new Gathering(to)))
        .addMethod(methods.get("Chat"), asyncBidiStreamingCall(to -> new Chat(to)))
        .build();
  }

  private void hellos(Request request, int count, StreamObserver<Reply> to) {
    endingWithItsStatus(to, () -> {
      behave();
      for (int sent = 0; sent < count; sent++) {
        to.onNext(reply(request.name()));
      }
      to.onCompleted();
    });
  }

  private static boolean endingWithItsStatus(StreamObserver<Reply> to, Runnable steps) {
    try {
      steps.run();
      return true;
    } catch (StatusRuntimeException ended) {
      to.onError(ended);
      return false;
    }
  }

  /** A stream of requests; the endpoint misbehaves when the first comes. */
  private abstract class Requests implements StreamObserver<Request> {
    final StreamObserver<Reply> to;
    private boolean begun;
    private boolean refused;

    Requests(StreamObserver<Reply> to) {
      this.to = to;
    }

    abstract void received(Request request);

    abstract void ended();

    private boolean isAllowed() {
      if (!begun) {
        begun = true;
        refused = !endingWithItsStatus(to, GreeterServer.this::behave);
      }
      return !refused;
    }

    @Override
    public void onNext(Request request) {
      if (isAllowed()) {
        received(request);
      }
    }

    @Override
    public void onCompleted() {
      if (isAllowed()) {
        ended();
        to.onCompleted();
      }
    }

    /** The client has given up; gRPC has ended the call. */
    @Override
    public void onError(Throwable cancelled) {}
  }

  private final class Gathering extends Requests {
    private final ArrayList<String> names = new ArrayList<>();

    Gathering(StreamObserver<Reply> to) {
      super(to);
    }

    @Override
    void received(Request request) {
      names.add(request.name());
    }

    @Override
    void ended() {
      to.onNext(reply(String.join(", ", names)));
    }
  }

  private final class Chat extends Requests {
    Chat(StreamObserver<Reply> to) {
      super(to);
    }

    @Override
    void received(Request request) {
      to.onNext(reply(request.name()));
    }

    @Override
    void ended() {}
  }

  private static ServerBuilder<?> builder(int port) {
    var plaintext = InsecureServerCredentials.create();
    if ("1".equals(System.getenv("INTEROP_XDS"))) {
      return XdsServerBuilder.forPort(port, XdsServerCredentials.create(plaintext));
    }
    return NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", port), plaintext);
  }

  /** Serves until the process is asked to end. */
  public static void main(String[] words) throws Exception {
    var arguments = new HashMap<String, String>();
    for (int at = 0; at + 1 < words.length; at += 2) {
      arguments.put(words[at], words[at + 1]);
    }
    int port = Integer.parseInt(arguments.getOrDefault("--port", "0"));
    Server server = builder(port)
        .executor(Executors.newCachedThreadPool())
        .addService(new GreeterServer(arguments).service())
        .intercept(new Behavior())
        .build();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> end(server)));
    // From now on: with a control plane it starts only when that has answered.
    new Thread(GreeterServer::endWithInput).start();
    server.start();
    var listening = Map.of("address", "127.0.0.1:" + server.getPort(), "port", server.getPort());
    System.out.println(new Gson().toJson(listening));
  }

  private static void endWithInput() {
    try {
      System.in.transferTo(OutputStream.nullOutputStream());
    } catch (IOException closed) {
      // as good as its end
    }
    System.exit(0);
  }

  private static void end(Server server) {
    server.shutdown();
    try {
      server.awaitTermination(GRACE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    server.shutdownNow();
  }
}
