package interop;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;

/**
 * The service mesh.examples.v1.Greeter of examples/proto/greeter.proto. Its messages are encoded by hand, so that no
 * protobuf compiler is needed.
 */
final class Greeter {
  static final String SERVICE = "mesh.examples.v1.Greeter";

  static final Map<String, MethodDescriptor<Request, Reply>> METHODS = Map.of(
      "SayHello", method("SayHello", MethodType.UNARY),
      "SayHellos", method("SayHellos", MethodType.SERVER_STREAMING),
      "GatherHellos", method("GatherHellos", MethodType.CLIENT_STREAMING),
      "Chat", method("Chat", MethodType.BIDI_STREAMING));

  /** A HelloRequest. */
  record Request(String name, int count) {}

  /** A HelloReply. */
  record Reply(String message, String endpoint, String version) {}

  private static MethodDescriptor<Request, Reply> method(String name, MethodType type) {
    return MethodDescriptor.newBuilder(new RequestMarshaller(), new ReplyMarshaller())
        .setType(type)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(SERVICE, name))
        .build();
  }

  /** Encodes and decodes one kind of message; unknown fields are ignored. */
  private abstract static class Marshaller<T> implements MethodDescriptor.Marshaller<T> {
    abstract void write(T message, CodedOutputStream to) throws IOException;

    /** Takes fields 1 to 3: a text, or a number of variable length as text. */
    abstract T of(String first, String second, String third);

    @Override
    public InputStream stream(T message) {
      var bytes = new ByteArrayOutputStream();
      var to = CodedOutputStream.newInstance(bytes);
      try {
        write(message, to);
        to.flush();
      } catch (IOException error) {
        throw Status.INTERNAL.withCause(error).asRuntimeException();
      }
      return new ByteArrayInputStream(bytes.toByteArray());
    }

    @Override
    public T parse(InputStream stream) {
      var fields = new String[] {"", "", "", ""};
      try {
        var from = CodedInputStream.newInstance(stream);
        for (int tag = from.readTag(); tag != 0; tag = from.readTag()) {
          int number = WireFormat.getTagFieldNumber(tag);
          int type = WireFormat.getTagWireType(tag);
          if (number < fields.length && type == WireFormat.WIRETYPE_LENGTH_DELIMITED) {
            fields[number] = from.readStringRequireUtf8();
          } else if (number < fields.length && type == WireFormat.WIRETYPE_VARINT) {
            fields[number] = Integer.toUnsignedString(from.readUInt32());
          } else {
            from.skipField(tag);
          }
        }
      } catch (IOException error) {
        throw Status.INTERNAL.withCause(error).asRuntimeException();
      }
      return of(fields[1], fields[2], fields[3]);
    }
  }

  private static final class RequestMarshaller extends Marshaller<Request> {
    @Override
    void write(Request request, CodedOutputStream to) throws IOException {
      to.writeString(1, request.name());
      to.writeUInt32(2, request.count());
    }

    @Override
    Request of(String name, String count, String none) {
      return new Request(name, count.isEmpty() ? 0 : Integer.parseUnsignedInt(count));
    }
  }

  private static final class ReplyMarshaller extends Marshaller<Reply> {
    @Override
    void write(Reply reply, CodedOutputStream to) throws IOException {
      to.writeString(1, reply.message());
      to.writeString(2, reply.endpoint());
      to.writeString(3, reply.version());
    }

    @Override
    Reply of(String message, String endpoint, String version) {
      return new Reply(message, endpoint, version);
    }
  }

  private Greeter() {}
}
