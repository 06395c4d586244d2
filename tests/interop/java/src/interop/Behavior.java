package interop;

import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Misbehaviour on request: the metadata rpc-behavior, as gRPC's interoperability servers understand it: sleep-N[ms],
 * error-code-N, succeed-on-retry-attempt-N, hostname=NAME, keep-open.
 */
final class Behavior implements ServerInterceptor {
  private static final Context.Key<Metadata> RECEIVED = Context.key("received");
  private static final Metadata.Key<String> WANTED = key("rpc-behavior");
  private static final Metadata.Key<String> ATTEMPTS = key("grpc-previous-rpc-attempts");

  private static Metadata.Key<String> key(String name) {
    return Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
  }

  /** Lets the call's methods see its metadata. */
  @Override
  public <Q, R> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, R> call, Metadata received, ServerCallHandler<Q, R> next) {
    return Contexts.interceptCall(Context.current().withValue(RECEIVED, received), call, received, next);
  }

  /** Does what the current call asks the endpoint of this name for; throws the status that the call is to end with. */
  static void apply(String name) {
    Metadata received = RECEIVED.get();
    String attempts = received.get(ATTEMPTS);
    int attempt = attempts == null ? 0 : Integer.parseInt(attempts);
    Status status = Status.OK;
    Iterable<String> wanted = received.getAll(WANTED);
    for (String values : wanted == null ? List.<String>of() : wanted) {
      status = apply(values.split(","), name, attempt, status);
    }
    if (!status.isOk()) {
      throw status.withDescription("as rpc-behavior asked").asRuntimeException();
    }
  }

  /** Follows values in order, up to one that is for another server. */
  private static Status apply(String[] values, String name, int attempt, Status status) {
    for (String untrimmed : values) {
      String value = untrimmed.trim();
      int at = value.lastIndexOf('-');
      String kind = value.substring(0, Math.max(at, 0));
      String argument = value.substring(at + 1);
      if (value.startsWith("hostname=")) {
        if (!value.equals("hostname=" + name)) {
          return status;
        }
      } else if (value.equals("keep-open")) {
        waitUntilCancelled(Long.MAX_VALUE, TimeUnit.MILLISECONDS);
      } else if (kind.equals("error-code")) {
        status = Status.fromCodeValue(Integer.parseInt(argument));
      } else if (kind.equals("succeed-on-retry-attempt")) {
        status = attempt >= Integer.parseInt(argument) ? Status.OK : status;
      } else if (kind.equals("sleep") && argument.endsWith("ms")) {
        String milliseconds = argument.substring(0, argument.length() - 2);
        waitUntilCancelled(Long.parseLong(milliseconds), TimeUnit.MILLISECONDS);
      } else if (kind.equals("sleep")) {
        waitUntilCancelled(Long.parseLong(argument), TimeUnit.SECONDS);
      } else {
        String problem = "rpc-behavior " + value + " is not understood";
        throw Status.INVALID_ARGUMENT.withDescription(problem).asRuntimeException();
      }
    }
    return status;
  }

  /** Waits; throws when the client gives the call up first. */
  private static void waitUntilCancelled(long time, TimeUnit unit) {
    var cancelled = new CountDownLatch(1);
    Context.CancellationListener listener = context -> cancelled.countDown();
    Context call = Context.current();
    call.addListener(listener, Runnable::run);
    try {
      if (cancelled.await(time, unit)) {
        throw Status.CANCELLED.asRuntimeException();
      }
    } catch (InterruptedException interrupted) {
      throw Status.CANCELLED.withCause(interrupted).asRuntimeException();
    } finally {
      call.removeListener(listener);
    }
  }
}
