//! Streams in memory: what the server's side sees of them.

use xds_client::bootstrap::ServerConfig;
use xds_client::transport::{
    AdsRequest, AdsResponse, AdsTransport, RequestSender, ResponseReceiver, TransportError, Variant, memory,
};
use xds_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest,
};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};

#[tokio::test]
async fn stream_knows_its_server_and_its_variant() {
    let (transport, mut server) = memory::pair();
    for (uri, variant) in [("one:1", Variant::Sotw), ("two:2", Variant::Delta)] {
        let (mut sender, mut receiver) = transport.open(&ServerConfig::insecure(uri), variant).await.unwrap();
        let mut stream = server.accept().await.unwrap();
        assert_eq!((stream.server_uri(), stream.variant()), (uri, variant));
        sender.ready().await.unwrap();
        match variant {
            Variant::Sotw => {
                sender.send(DiscoveryRequest { type_url: "t".to_owned(), ..Default::default() }.into());
                assert_eq!(stream.sotw_request().await.unwrap().type_url, "t");
            }
            Variant::Delta => {
                let request = DeltaDiscoveryRequest { type_url: "t".to_owned(), ..Default::default() };
                sender.send(AdsRequest::Delta(request));
                assert_eq!(stream.delta_request().await.unwrap().type_url, "t");
            }
        }
        let response = DeltaDiscoveryResponse { nonce: "1".to_owned(), ..Default::default() };
        stream.respond(response.clone());
        assert_eq!(receiver.receive().await, Ok(Some(AdsResponse::Delta(response))));
        stream.fail(TransportError::failed("reset"));
        assert_eq!(receiver.receive().await, Err(TransportError::failed("reset")));
    }
}

#[tokio::test]
async fn servers_are_refused_one_by_one_and_all_at_once() {
    let (transport, mut server) = memory::pair();
    let (one, two) = (ServerConfig::insecure("one:1"), ServerConfig::insecure("two:2"));
    let refused = |reason: &str| Some(TransportError::failed(reason));
    let open = async |server: &ServerConfig| {
        let ads = transport.open(server, Variant::Sotw).await.err();
        assert_eq!(ads, transport.open_load_report(server).await.err());
        ads
    };
    server.refuse_server("one:1", "no one");
    assert_eq!([open(&one).await, open(&two).await], [refused("no one"), None]);
    server.refuse("nothing listens");
    assert_eq!([open(&one).await, open(&two).await], [refused("no one"), refused("nothing listens")]);
    server.admit_server("one:1");
    assert_eq!(
        [open(&one).await, open(&two).await],
        [refused("nothing listens"), refused("nothing listens")]
    );
    server.admit();
    assert_eq!([open(&one).await, open(&two).await], [None, None]);
    let uris: Vec<_> =
        std::iter::from_fn(|| server.try_accept()).map(|s| s.server_uri().to_owned()).collect();
    assert_eq!(uris, ["two:2", "one:1", "two:2"]);
}

#[tokio::test]
async fn load_reports_have_streams_of_their_own() {
    let (transport, mut server) = memory::pair();
    let one = ServerConfig::insecure("one:1");
    let (mut sender, mut receiver) = transport.open_load_report(&one).await.unwrap();
    assert!(server.try_accept().is_none());
    let mut stream = server.accept_load_report().await.unwrap();
    assert_eq!(stream.server_uri(), "one:1");
    sender.ready().await.unwrap();
    sender.send(LoadStatsRequest::default());
    assert_eq!(stream.request().await, Some(LoadStatsRequest::default()));
    let response = LoadStatsResponse { send_all_clusters: true, ..Default::default() };
    stream.respond(response.clone());
    assert_eq!(receiver.receive().await, Ok(Some(response)));
    drop(stream);
    assert_eq!(receiver.receive().await, Ok(None));
    assert!(sender.ready().await.is_err());
}
