package interop;

import com.google.gson.annotations.SerializedName;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Server;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.xds.CsdsService;
import io.grpc.xds.shaded.io.envoyproxy.envoy.service.status.v3.ClientConfig.GenericXdsConfig;
import io.grpc.xds.shaded.io.envoyproxy.envoy.service.status.v3.ClientStatusDiscoveryServiceGrpc;
import io.grpc.xds.shaded.io.envoyproxy.envoy.service.status.v3.ClientStatusRequest;
import io.grpc.xds.shaded.io.envoyproxy.envoy.service.status.v3.ClientStatusResponse;
import java.io.IOException;
import java.util.List;

/** What the stock xDS client holds, from its own client status discovery service (CSDS). */
final class Csds {
  /** A resource, as JSON says it. */
  record Resource(
      String type,
      String name,
      String version,
      @SerializedName("client_status") String clientStatus,
      String error) {}

  /** Every resource of every xDS client in this process. */
  static List<Resource> held() throws IOException {
    // gRPC shows its service to servers only.
    Server server = InProcessServerBuilder.forName("csds").addService(CsdsService.newInstance()).build().start();
    ManagedChannel channel = InProcessChannelBuilder.forName("csds").build();
    try {
      MethodDescriptor<ClientStatusRequest, ClientStatusResponse> method =
          ClientStatusDiscoveryServiceGrpc.getFetchClientStatusMethod();
      var request = ClientStatusRequest.getDefaultInstance();
      return ClientCalls.blockingUnaryCall(channel, method, CallOptions.DEFAULT, request).getConfigList().stream()
          .flatMap(config -> config.getGenericXdsConfigsList().stream())
          .map(Csds::resource)
          .toList();
    } finally {
      channel.shutdownNow();
      server.shutdownNow();
    }
  }

  private static Resource resource(GenericXdsConfig config) {
    return new Resource(
        config.getTypeUrl().substring(config.getTypeUrl().lastIndexOf('/') + 1),
        config.getName(),
        config.getVersionInfo(),
        config.getClientStatus().name(),
        config.getErrorState().getDetails());
  }

  private Csds() {}
}
